package modules

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// treeFile is a file of a folder that is copied.
type treeFile struct {
	rel  string // below the folder
	perm fs.FileMode
	put  putting
}

// treeLink is a link of a folder that is copied as a link.
type treeLink struct{ rel, target string }

const treeScript = fileFuncs + `
changed= want=$mode
dest=$(untilde "$dest")
while IFS= read -r line; do
	f=$dest/${line#? }
	case $line in
	'd '*)
		if [ ! -d "$f" ]; then
			changed=1
			[ -n "$check" ] || mkdir -p -- "$f" || exit
			[ -n "$check" ] || attrs "$f"
		else
			mode=
			attrs "$f"
			mode=$want
		fi ;;
	'l '*)
		IFS= read -r target
		if [ "$(readlink -- "$f" 2>/dev/null)" != "$target" ]; then
			changed=1
			if [ -d "$f" ] && [ ! -L "$f" ]; then [ -n "$check" ] || rmdir -- "$f" || exit; fi
			[ -n "$check" ] || { rm -f -- "$f" && ln -s -- "$target" "$f"; } || exit
		fi ;;
	*)
		if [ -f "$f" ]; then printf '%s\n' "$(sum sha1 "$f")"; else echo -; fi ;;
	esac
done
report "$dest"
`

// tree copies a folder: the folders are made and the files compared in one round trip,
// then each file that differs is sent.
func (m *Copy) tree(ctx context.Context, t *engine.Task, p putting, dir string) (engine.Result, error) {
	dest := m.treeDest(dir)
	files, folders, links, err := readTree(t.Files, dir, m.LocalFollow == nil || *m.LocalFollow, m.skip)
	if err != nil {
		return failed("%v", err), nil
	}
	dirMode, _ := modeText(m.DirectoryMode)
	var list strings.Builder
	for _, d := range folders {
		list.WriteString("d " + d + "\n")
	}
	for i := range files {
		if err := files[i].put.file(t.Files, dir+"/"+files[i].rel); err != nil {
			return failed("%v", err), nil
		}
		list.WriteString("f " + files[i].rel + "\n")
	}
	for _, l := range links {
		list.WriteString("l " + l.rel + "\n" + l.target + "\n")
	}
	r, err := script{Text: treeScript, Stdin: strings.NewReader(list.String()), Keep: 16 << 20, Vars: map[string]string{
		"dest": dest, "mode": dirMode, "owner": m.Owner, "group": m.Group, "check": flag(t.Check)}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	sums := strings.Fields(string(r.Stdout))
	if !r.ok() || len(sums) != len(files) {
		return r.failure(fmt.Sprintf("copy %q", dir)), nil
	}
	res := engine.Result{Changed: r.is("changed")}
	var diffs []any
	var only *value.Dict // what is told of the only file of a folder
	for i, f := range files {
		q := f.put
		q.dest, q.mode, q.owner, q.group = dest+"/"+f.rel, p.mode, p.owner, p.group
		q.backup, q.keep, q.validate, q.follow = p.backup, p.keep, p.validate, p.follow
		if q.mode == "preserve" {
			q.mode = fmt.Sprintf("%05o", f.perm)
		}
		if sums[i] == q.sum && q.mode+q.owner+q.group == "" || q.keep && sums[i] != "-" {
			continue
		}
		if t.Check && sums[i] != q.sum { // its folder may not be there yet
			res.Changed = true
			continue
		}
		one, err := q.put(ctx, t)
		if err != nil || one.Failed {
			return one, err
		}
		res.Changed = res.Changed || one.Changed
		if len(files) == 1 && one.Changed {
			only = one.Values
		}
		if list, ok := one.Diff.([]any); ok {
			diffs = append(diffs, list...)
		}
	}
	if len(diffs) > 0 {
		res.Diff = diffs
	}
	if res.Values = only; only == nil {
		res.Values = value.NewDict("src", withSlash(dir, m.Src), "dest", withSlash(text(strings.TrimSuffix(r.get("path"), m.below(dir))), "/"))
	}
	return res, nil
}

// withSlash is a folder's path with a slash at its end where that of like has one.
func withSlash(dir, like string) string {
	if strings.HasSuffix(like, "/") {
		return strings.TrimSuffix(dir, "/") + "/"
	}
	return dir
}

// below is where dir is put below dest.
func (m *Copy) below(dir string) string {
	if strings.HasSuffix(m.Src, "/") {
		return ""
	}
	return "/" + path.Base(dir)
}

// treeDest is the folder of the guest that dir becomes.
func (m *Copy) treeDest(dir string) string {
	dest := strings.TrimSuffix(m.Dest, "/") + m.below(dir)
	if dest == "" {
		return "/."
	}
	return dest
}

// readTree lists a folder of the controller: files and folders by their paths below it, in
// order, the folder itself first, without those that skip says. Links count as what they lead to; where
// that is nothing, or a folder that they are in, and all of them unless follow is set, they are links.
func readTree(finder engine.Finder, root string, follow bool, skip func(rel string) bool) (files []treeFile, folders []string, links []treeLink, err error) {
	var walk func(rel string, above []fs.FileInfo) error
	walk = func(rel string, above []fs.FileInfo) error {
		f, err := finder.Open(path.Join(root, rel))
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		if strings.Contains(rel, "\n") || strings.Count(rel, "/") > 200 {
			return fmt.Errorf("%s in %s: the name cannot be copied", strconv.Quote(rel), root)
		}
		if !st.IsDir() {
			files = append(files, treeFile{rel: rel, perm: st.Mode().Perm()})
			return nil
		}
		folders = append(folders, rel)
		d, ok := f.(fs.ReadDirFile)
		if !ok {
			return fmt.Errorf("the folder %q cannot be read", path.Join(root, rel))
		}
		list, err := d.ReadDir(-1)
		if err != nil {
			return err
		}
		slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		for _, e := range list {
			next := path.Join(rel, e.Name())
			if skip != nil && skip(next) {
				continue
			}
			if e.Type()&fs.ModeSymlink != 0 && (!follow || endless(path.Join(root, next), append(above, st))) {
				target, err := os.Readlink(path.Join(root, next))
				if err != nil || strings.Contains(next+target, "\n") {
					return fmt.Errorf("the link %q cannot be copied", path.Join(root, next))
				}
				links = append(links, treeLink{next, target})
				continue
			}
			if err := walk(next, append(above, st)); err != nil {
				return err
			}
		}
		return nil
	}
	err = walk(".", nil)
	return files, folders, links, err
}

// endless reports whether a link leads nowhere, or to one of the folders that it is in.
func endless(link string, above []fs.FileInfo) bool {
	st, err := os.Stat(link)
	return err != nil || slices.ContainsFunc(above, func(dir fs.FileInfo) bool { return os.SameFile(dir, st) })
}

const remoteTreeScript = fileFuncs + `
changed=
src=$(untilde "$src") dest=$(untilde "$dest")
told=$dest
if [ -d "$dest" ]; then told=${dest%/}/${src##*/}; fi
case $src in
*/) ;;
*) dest=${dest%/}/${src##*/} ;;
esac
src=${src%/} dest=${dest%/}
want=$mode
if [ -n "$localfollow" ]; then # what is endless is left out
	list=$(cd "$src/." && find -L . ! -name '*
*' 2>/dev/null)
	[ -n "$list" ] || die "the folder $src cannot be read"
else list=$(cd "$src/." && find . ! -name '*
*') || exit; fi
real() { if [ -L "$1" ]; then readlink -f -- "$1"; else printf %s "$1"; fi; }
islink() { [ -L "$1" ] && { [ -z "$localfollow" ] || [ ! -e "$1" ]; }; }
while IFS= read -r f; do
	mode=$want
	if [ -d "$src/$f" ] && ! islink "$src/$f"; then
		mode=$dirmode
		if [ ! -d "$dest/$f" ]; then
			changed=1
			[ -n "$check" ] || mkdir -p -- "$dest/$f" || exit
			if [ -z "$mode" ]; then set -- $(meta "$(real "$src/$f")"); [ -n "$check" ] || chmod "00$1" "$dest/$f"; fi
		fi
	elif islink "$src/$f"; then
		if [ "$(readlink -- "$src/$f")" != "$(readlink -- "$dest/$f" 2>/dev/null)" ]; then
			changed=1
			[ -n "$check" ] || { rm -f -- "$dest/$f" && cp -P -- "$src/$f" "$dest/$f"; } || exit
		fi
		mode=
		if [ -L "$dest/$f" ]; then attrs "$dest/$f"; fi
		continue
	elif ! cmp -s -- "$src/$f" "$dest/$f"; then
		if [ -n "$keep" ] && [ -e "$dest/$f" ]; then continue; fi
		changed=1
		if [ "$mode" = preserve ] || [ -z "$mode" ]; then set -- $(meta "$(real "$src/$f")"); mode=00$1; fi
		[ -n "$check" ] || { rm -f -- "$dest/$f" && cp -- "$src/$f" "$dest/$f"; } || exit
	fi
	if [ "$mode" = preserve ]; then set -- $(meta "$(real "$src/$f")"); mode=00$1; fi
	if [ -e "$dest/$f" ]; then attrs "$dest/$f"; fi
done <<END
$list
END
report "$told"
`

// remoteTree copies a folder within the guest.
func (m *Copy) remoteTree(ctx context.Context, t *engine.Task) (engine.Result, error) {
	mode, _ := m.checkMode()
	dirMode, _ := modeText(m.DirectoryMode)
	r, err := run(ctx, t, remoteTreeScript, map[string]string{"src": m.Src, "dest": m.Dest, "mode": mode, "dirmode": dirMode,
		"owner": m.Owner, "group": m.Group, "check": flag(t.Check), "keep": flag(!m.Force),
		"localfollow": flag(m.LocalFollow != nil && *m.LocalFollow)})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure(fmt.Sprintf("copy %q to %q", m.Src, m.Dest)), nil
	}
	return engine.Result{Changed: r.is("changed"), Values: fileValues(r, value.NewDict("src", m.Src, "dest", text(r.get("path")),
		"checksum", nil, "md5sum", nil))}, nil
}
