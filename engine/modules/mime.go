package modules

import (
	"context"
	"path"
	"strings"

	"farm/engine"
)

// keptFile is the program file as stat uses it: file reads a database of some megabytes
// when it starts, so one that runs is asked where the connection keeps one. It answers
// as a new one would: it is asked about absolute names alone, since it has a folder of
// its own, after stat has told of the file, and no more once the database or the program has changed.
type keptFile struct {
	magic *magic
	kept  engine.Kept // nil where none runs yet
}

// magic is what file is made of, shared by the tasks of one user on one connection.
type magic struct {
	listed bool   // files were asked for, of a file that is there
	files  string // the program, its database and what may take that one's place, one a line; "" = not known
	seen   string // what stat told of them before the program that runs was started
}

// magicScript lists in $magic what file reads, if that is asked for, and makes it "$@".
// What is a link is in the list with what it points to. stat of other systems than Linux prints
// other lines; there is no list then.
const magicScript = `
set -f
if [ -n "$list" ] && has file && stat -c %i / >/dev/null 2>&1; then
	IFS=':
'
	for farm_f in $(command -v file) $HOME/.magic $(file --version 2>/dev/null | sed -n 's/^magic file from //p'); do
		magic="$magic$farm_f
$farm_f.mgc
"
	done
	for farm_f in $magic; do
		[ ! -L "$farm_f" ] || magic="$magic$(readlink -f -- "$farm_f")
"
	done
	say magic "$magic"
fi
IFS='
'
set -- $magic
unset IFS
set +f
`

// mimeCommand is file as it answers a name a line, each at once.
var mimeCommand = []string{"env", "LC_ALL=C", "file", "-n", "-b", "-i", "-f", "-"}

// maxAsked is the longest name, in bytes, that any file reads whole.
const maxAsked = 1000

// keepFile is nil where file cannot be asked about name as it would be started for it.
func keepFile(ctx context.Context, t *engine.Task, name string) *keptFile {
	keeper, ok := t.Conn.(engine.Keeper)
	if !ok || t.State == nil || len(t.Env) > 0 || len(name) > maxAsked || strings.Contains(name, "\n") || !path.IsAbs(name) {
		return nil
	}
	key := "file's database"
	if b := t.Become; b != nil {
		key += " as " + b.User + " by " + b.Method
	}
	m, ok := t.State[key].(*magic)
	switch {
	case !ok: // one task alone gains nothing
		t.State[key] = &magic{}
		return nil
	case !m.listed:
		return &keptFile{magic: m}
	case m.files == "":
		return nil
	}
	k := &keptFile{magic: m}
	if kept, ok := keeper.Keep(ctx, t.Become, mimeCommand); ok {
		k.kept = kept
	}
	return k
}

// prepare sets the variables of stat's script: a file that runs need not be started.
func (k *keptFile) prepare(vars map[string]string) {
	vars["magic"] = k.magic.files
	vars["list"] = flag(k.magic.files == "")
	vars["mime"] = flag(k.kept == nil)
}

// ask names the file and then one that is nowhere: what file says of that ends the answer.
func (k *keptFile) ask(ctx context.Context, name string) (mime string, ok bool) {
	end := "none-" + token() + token()
	said, err := k.kept.Ask(ctx, name+"\n/"+end+"\n", end)
	i := strings.LastIndexByte(said, '\n')
	return said[:i+1], err == nil && i >= 0
}

// tell adds the type to the reply of stat's script; seen is what that told of the database.
func (k *keptFile) tell(ctx context.Context, t *engine.Task, r reply, seen string) error {
	if k == nil {
		return nil
	}
	k.magic.listed = true
	if files := r.get("magic"); files != "" {
		k.magic.files, k.magic.seen = files, lasting(seen)
	}
	if k.kept == nil {
		return nil
	}
	if now := lasting(seen); now != k.magic.seen {
		k.magic.seen = now
		k.kept.Drop()
	} else if mime, ok := k.ask(ctx, r.get("path")); ok {
		r.said["mime"] = mime
		return nil
	}
	fresh, err := run(ctx, t, `if has file; then tell mime file -bi -- "$path"; fi`, map[string]string{"path": r.get("path")})
	if err == nil && fresh.has("mime") {
		r.said["mime"] = fresh.get("mime")
	}
	return err
}

// release gives file back when it has answered.
func (k *keptFile) release() {
	if k != nil && k.kept != nil {
		k.kept.Release()
	}
}

// lasting is what stat told of files without the times of reading.
func lasting(seen string) string {
	var b strings.Builder
	for line := range strings.Lines(seen) {
		for i, f := range strings.SplitN(line, "|", 16) {
			if i != 10 {
				b.WriteString(f + "|")
			}
		}
	}
	return b.String()
}
