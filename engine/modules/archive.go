package modules

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/regex"
	"farm/inventory/value"
)

// Archive packs files and folders of the guest, or compresses a single file.
type Archive struct {
	Path         []string `yaml:"path,required"`      // files, folders, and globs of them
	Dest         string   `yaml:"dest"`               // the archive; a single file that is only compressed has a default, its name and the format
	Format       string   `yaml:"format"`             // gz, bz2, xz, tar or zip
	ExcludePath  []string `yaml:"exclude_path"`       // paths and globs that are left out of what path names
	Patterns     []string `yaml:"exclusion_patterns"` // globs of names within the archive that are left out, of paths with zip; * matches / too
	ForceArchive bool     `yaml:"force_archive"`      // pack a single file too
	Remove       bool     `yaml:"remove"`             // remove what was packed
	Mode         any      `yaml:"mode"`               // of the archive: '0644' or 'u=rw,go=r'
	Owner        string   `yaml:"owner"`              // name or number
	Group        string   `yaml:"group"`              // name or number
}

func newArchive() engine.Module { return &Archive{Format: "gz"} }

// Validate checks what goes together.
func (m *Archive) Validate() error {
	if len(m.Path) == 0 {
		return errors.New("path is empty")
	}
	if _, err := modeText(m.Mode); err != nil {
		return err
	}
	return oneOf("format", m.Format, "gz", "bz2", "xz", "tar", "zip")
}

// These two scripts print records of a letter and a path, ended by a zero byte. The first: what path and
// exclude_path expand to (E, X). The second: paths that are there (T), those that are folders (D), and of these
// what is in them, folders (d) and others (f).
const archiveLookScript = `expand() { # LETTER PATH
	case $2 in
	*[*?]*)
		IFS=
		for f in $2; do if [ -e "$f" ] || [ -L "$f" ]; then printf "$1%s\0" "$f"; fi; done
		unset IFS ;;
	*) printf "$1%s\0" "$2" ;;
	esac
}
n=$#
while [ "$n" -gt 0 ]; do
	n=$((n - 1))
	case $1 in
	X*) p=$(untilde "${1#X}"); expand X "$p" ;;
	*) p=$(untilde "${1#E}"); expand E "$p" ;;
	esac
	shift
done
`

const archiveListScript = `dest=$(untilde "$dest")
say dest "$dest"
for p; do
	if [ ! -e "$p" ] && [ ! -L "$p" ]; then continue; fi
	printf 'T%s\0' "$p"
	[ -d "$p" ] || continue
	printf 'D%s\0' "$p"
	find "${p%/}/" ! -path "${p%/}/" -type d -exec printf 'd%s\0' {} + || exit
	find "${p%/}/" ! -type d -exec printf 'f%s\0' {} + || exit
done
[ ! -e "${dest:-$1.$format}" ] || say there 1
`

// The names of what to pack come on standard input, a line each. An archive is replaced only by another one: the old
// one's content is compared, not how it was compressed.
const archivePackScript = fileFuncs + `
changed=
case $dest in /*) ;; *) dest=$PWD/$dest ;; esac
names=$(mktemp "${TMPDIR:-/tmp}/farm.XXXXXXXX") || exit
work=$dest.farm-$token
[ -z "$check" ] || work=$names.out
trap 'rm -f -- "$names" "$work" "$work.tar"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$names"
[ -d "$(dirname "$dest")" ] || die "the folder $(dirname "$dest") does not exist"
case $format in
gz) tool=gzip ;;
bz2) tool=bzip2 ;;
xz) tool=xz ;;
*) tool=cat ;;
esac
has $tool || die "the program \"$tool\" is missing on this host (package $tool, xz-utils on Debian)"
pack() {
	need tar
	case $(tar --version 2>/dev/null) in
	*GNU*) tar -cf "$work.tar" -C "$root" --no-unquote --verbatim-files-from --no-recursion -T "$names" ;;
	*bsdtar*) tar -cf "$work.tar" -C "$root" -n -T "$names" ;;
	*) # busybox may lack -T
		set -f
		IFS='
'
		tar -cf "$work.tar" -C "$root" --no-recursion -- $(cat "$names") ;;
	esac >&2
}
squeeze() { if [ $tool = cat ]; then cat; else $tool -c; fi; }
same() { # FILE: the archive that is there holds the same
	[ -f "$dest" ] || return 1
	if [ $tool = cat ]; then cmp -s -- "$1" "$dest"
	else $tool -dc <"$dest" 2>/dev/null | cmp -s -- - "$1"; fi
}
if [ "$format" = zip ]; then
	need zip
	(cd "$root" && zip -X -q "$work" -@ <"$names") >&2 || exit
	if cmp -s -- "$work" "$dest"; then rm -f -- "$work"; fi
else
	if [ -n "$single" ]; then source=$single
	else pack || exit; source=$work.tar; fi
	same "$source" || squeeze <"$source" >"$work" || exit
fi
if [ -f "$work" ]; then
	changed=1
	if [ -z "$check" ]; then
		if [ -f "$dest" ]; then set -- $(meta "$dest"); chmod "00$1" "$work"; chown "$2:$3" "$work" 2>/dev/null; fi
		mv -f -- "$work" "$dest" || exit
	fi
fi
if [ -e "$dest" ]; then attrs "$dest"; report "$dest"; else say changed "$changed"; fi
`

const archiveRemoveScript = `for p; do
	if [ -d "$p" ] && [ ! -L "$p" ]; then rm -rf -- "$p"; else rm -f -- "$p"; fi || exit
done
`

// packing is what goes into an archive.
type packing struct {
	expanded, excluded []string // what path and exclude_path expand to
	paths              []string // the first without the second, sorted
	root               string   // what is cut off the paths within the archive; "" or ends with /
	targets            []string // of paths those that are there
	missing            []string
	folders            map[string]bool // of targets
	members            []string        // all that is packed
	inner              map[string]bool // of members the folders
	pack               bool            // not only compressed
	dest               string
	there              bool // dest is
}

// Run packs.
func (m *Archive) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("archive: %v", err), nil
	}
	p, bad, err := m.look(ctx, t)
	if err != nil || bad.Failed {
		return bad, err
	}
	res := engine.Result{Values: value.NewDict("arcroot", text(p.root), "dest", text(p.dest), "dest_state", "absent", "archived", []any{},
		"missing", texted(p.missing), "expanded_paths", texted(p.expanded), "expanded_exclude_paths", texted(p.excluded))}
	kind := either(p.pack || m.Format == "zip" || m.Format == "tar", "archive", "compress")
	if p.pack && len(p.missing) > 0 {
		kind = "incomplete"
	}
	if len(p.targets) == 0 {
		if p.there {
			res.Values.Set("dest_state", either(archiveName(p.dest), "archive", "compress"))
		}
		return m.attributes(ctx, t, p, res)
	}
	r, err := m.pack(ctx, t, p)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure(fmt.Sprintf("archive %q", p.dest)), nil
	}
	res.Changed = r.is("changed")
	fileValues(r, res.Values)
	if t.Check {
		return res, nil
	}
	res.Values.Set("dest_state", kind)
	// as with Ansible the folders of a zip do not count
	told := slices.DeleteFunc(slices.Clone(p.members), func(s string) bool { return m.Format == "zip" && p.inner[s] })
	res.Values.Set("archived", texted(told))
	if m.Remove {
		r, err := run(ctx, t, archiveRemoveScript, nil, append(slices.Clone(p.members), p.targets...)...)
		if err != nil || !r.ok() {
			return r.failure("archive: remove what was packed"), err
		}
		res.Changed = true
	}
	return res, nil
}

func texted(list []string) []any {
	out := []any{}
	for _, s := range list {
		out = append(out, text(s))
	}
	return out
}

func archiveName(name string) bool {
	name = strings.ToLower(path.Base(name))
	for _, end := range []string{".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".zip"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// records reads records of a letter and a path.
func records(out []byte) (all [][2]string) {
	for rec := range strings.SplitSeq(string(out), "\x00") {
		if len(rec) > 1 {
			all = append(all, [2]string{rec[:1], rec[1:]})
		}
	}
	return all
}

// look finds what is to be packed.
func (m *Archive) look(ctx context.Context, t *engine.Task) (p packing, bad engine.Result, err error) {
	var args []string
	for _, s := range m.Path {
		args = append(args, "E"+s)
	}
	for _, s := range m.ExcludePath {
		args = append(args, "X"+s)
	}
	r, err := script{Text: archiveLookScript, Args: args, Keep: maxSlurp}.run(ctx, t)
	if err != nil || !r.ok() {
		return p, r.failure("archive"), err
	}
	for _, rec := range records(r.Stdout) {
		if rec[0] == "E" {
			p.expanded = append(p.expanded, rec[1])
		} else {
			p.excluded = append(p.excluded, rec[1])
		}
	}
	for _, s := range p.expanded {
		if !slices.Contains(p.excluded, s) && !slices.Contains(p.paths, s) {
			p.paths = append(p.paths, s)
		}
	}
	slices.Sort(p.paths)
	if len(p.paths) == 0 {
		return p, failed("archive: no file is there to be packed: %s", strings.Join(m.Path, ", ")), nil
	}
	p.root = commonFolder(p.paths)
	r, err = script{Text: archiveListScript, Args: p.paths, Keep: 4 * maxSlurp, Vars: map[string]string{"dest": m.Dest, "format": m.Format}}.run(ctx, t)
	if err != nil || !r.ok() {
		return p, r.failure("archive"), err
	}
	if len(r.Stdout) >= 4*maxSlurp {
		return p, failed("archive: the names of the files are longer than %d MiB", 4*maxSlurp>>20), nil
	}
	p.there, p.dest = r.is("there"), r.get("dest")
	p.folders, p.inner = map[string]bool{}, map[string]bool{}
	var inside [][2]string
	for _, rec := range records(r.Stdout) {
		switch rec[0] {
		case "T":
			p.targets = append(p.targets, rec[1])
		case "D":
			p.folders[rec[1]] = true
		default:
			inside = append(inside, rec)
			p.inner[rec[1]] = rec[0] == "d"
		}
	}
	for _, s := range p.paths {
		if !slices.Contains(p.targets, s) {
			p.missing = append(p.missing, s)
		}
	}
	globs := slices.ContainsFunc(m.Path, func(s string) bool { return strings.ContainsAny(s, "*?") })
	p.pack = m.ForceArchive || globs || len(p.paths) > 1 || p.folders[p.paths[0]]
	if p.dest == "" && p.pack {
		return p, failed("archive: dest is missing: only a single file that is compressed has a default"), nil
	}
	if p.dest == "" {
		p.dest = p.paths[0] + "." + m.Format
	}
	if m.Remove {
		for f := range p.folders {
			if strings.HasPrefix(p.dest, strings.TrimSuffix(f, "/")+"/") {
				return p, failed("archive: dest is in %q, which remove would remove", f), nil
			}
		}
	}
	p.members = m.members(p, inside)
	for _, s := range p.members {
		if strings.Contains(s, "\n") {
			return p, failed("archive: %q: a name with a newline cannot be packed", s), nil
		}
	}
	return p, engine.Result{}, nil
}

// commonFolder is the folder that all paths are in, as far as their folders begin alike; it ends with /.
func commonFolder(paths []string) string {
	common := ""
	for i, s := range paths {
		dir := s[:strings.LastIndexByte(s, '/')+1]
		if i == 0 {
			common = dir
		}
		for !strings.HasPrefix(dir, common) {
			common = common[:len(common)-1]
		}
	}
	return common[:strings.LastIndexByte(common, '/')+1]
}

// members lists what goes into the archive: of folders what is in them, each after the folder it is in.
func (m *Archive) members(p packing, inside [][2]string) (list []string) {
	var skip []*regexp.Regexp
	for _, s := range m.Patterns {
		if re, err := regexp.Compile(regex.Glob(s)); err == nil {
			skip = append(skip, re)
		}
	}
	add := func(s string) {
		name := s
		if m.Format != "zip" {
			name = strings.TrimPrefix(s, p.root)
		}
		for _, re := range skip {
			if re.MatchString(name) {
				return
			}
		}
		if s != p.dest {
			list = append(list, s)
		}
	}
	slices.SortFunc(inside, func(a, b [2]string) int {
		if c := strings.Compare(path.Dir(a[1]), path.Dir(b[1])); c != 0 {
			return c
		}
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c // folders first
		}
		return strings.Compare(a[1], b[1])
	})
	for _, target := range p.targets {
		if !p.folders[target] {
			add(target)
			continue
		}
		for _, rec := range inside {
			if strings.HasPrefix(rec[1], strings.TrimSuffix(target, "/")+"/") {
				add(rec[1])
			}
		}
	}
	return list
}

func (m *Archive) pack(ctx context.Context, t *engine.Task, p packing) (reply, error) {
	mode, _ := modeText(m.Mode) // Validate has seen its error
	var names strings.Builder
	for _, s := range p.members {
		names.WriteString(strings.TrimPrefix(s, p.root) + "\n")
	}
	single := ""
	if !p.pack && m.Format != "zip" && m.Format != "tar" {
		single = p.paths[0]
	}
	return script{Text: archivePackScript, Stdin: strings.NewReader(names.String()), Vars: map[string]string{
		"dest": p.dest, "format": m.Format, "root": either(p.root == "", ".", p.root), "single": single, "token": token(),
		"mode": mode, "owner": m.Owner, "group": m.Group, "check": flag(t.Check)}}.run(ctx, t)
}

// attributes gives an archive that is there its mode and owner.
func (m *Archive) attributes(ctx context.Context, t *engine.Task, p packing, res engine.Result) (engine.Result, error) {
	if !p.there {
		return res, nil
	}
	mode, _ := modeText(m.Mode)
	r, err := run(ctx, t, fileFuncs+"changed=\nattrs \"$dest\"\nreport \"$dest\"\n", map[string]string{
		"dest": p.dest, "mode": mode, "owner": m.Owner, "group": m.Group, "check": flag(t.Check)})
	if err != nil || !r.ok() {
		return r.failure("archive"), err
	}
	res.Changed = r.is("changed")
	fileValues(r, res.Values)
	return res, nil
}
