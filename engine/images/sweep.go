package images

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"strings"
	"unicode"

	"farm/engine"
)

// Swept is what a preparation left: its work folder, or programs that went on without.
type Swept struct {
	Name     string   // of the work folder, in the folder tmp of the store
	Programs []string // as in "sleep (4323)", where the folder was gone already; else nil
}

// Sweep ends and removes what killed preparations left, ends programs of this user whose work folder
// is gone, and returns what that was, folders first; with dry it only names it. Work that is under
// way, in any process, is left alone, and so is a folder in which something is mounted.
func (s *Store) Sweep(ctx context.Context, dry bool) ([]Swept, error) {
	fail := func(err error) error {
		return engine.Blame(engine.FarmFault, fmt.Errorf("sweep the image store on %s: %w", s.conn, err))
	}
	out, err := s.sh(ctx, `cd "$1/tmp" && for d in *; do [ -e "$d" ] && printf '%s\n' "$d"; done; :`, s.dir)
	if err != nil {
		return nil, fail(err)
	}
	what := "rm"
	if dry {
		what = "name"
	}
	args := []string{path.Join(s.dir, "tmp"), what}
	for name := range strings.Lines(out) {
		name = strings.TrimSuffix(name, "\n")
		key, _, _ := strings.Cut(name, ".")
		args = append(args, s.lockFile("layer "+key), name)
	}
	out, err = s.sh(ctx, dropScript+strayScript+`
cd "$1" || exit; root=$PWD; what=$2; shift 2
while [ $# -gt 0 ]; do
	(
		exec 9>>"$1" && flock -n 9 && ours "$2" && ! mounted "$root/$2" || exit
		if [ "$what" = name ] || drop "$root/$2"; then printf "%s\n" "$2"; fi
	)
	shift 2
done
tab=$(printf '\t') last=
strays "$root" | sort | while IFS=$tab read -r name pid comm; do
	if [ "$name" != "$last" ]; then
		last=$name over=true
		[ "$what" = name ] || end "$root/$name" || over=false
	fi
	! $over || printf '%s\t%s\t%s\n' "$name" "$pid" "$comm"
done; :`, args...)
	if err != nil {
		return nil, fail(err)
	}
	return sweptFrom(out), nil
}

// sweptFrom reads what Sweep's script prints: a line for each folder, then one for each program,
// those of one folder together.
func sweptFrom(out string) (all []Swept) {
	for line := range strings.Lines(out) {
		name, rest, stray := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !stray {
			all = append(all, Swept{Name: name})
			continue
		}
		pid, comm, _ := strings.Cut(rest, "\t")
		comm = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return '?'
			}
			return r
		}, comm) // a program names itself as it likes
		if len(all) == 0 || all[len(all)-1].Name != name {
			all = append(all, Swept{Name: name})
		}
		last := &all[len(all)-1]
		last.Programs = append(last.Programs, fmt.Sprintf("%s (%s)", cmp.Or(comm, "?"), pid))
	}
	return all
}
