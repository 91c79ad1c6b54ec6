package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// Unarchive unpacks a tar or zip archive with the guest's tar or unzip.
type Unarchive struct {
	Src       string   `yaml:"src,required"`   // the archive, looked up in files/; or in the guest; or a URL with remote_src
	Dest      string   `yaml:"dest,required"`  // folder that is there
	RemoteSrc bool     `yaml:"remote_src"`     // src is in the guest, or a URL
	Copy      bool     `yaml:"copy"`           // false is the old way to write remote_src: true
	Creates   string   `yaml:"creates"`        // do nothing if this is there
	ListFiles bool     `yaml:"list_files"`     // the result has "files"
	KeepNewer bool     `yaml:"keep_newer"`     // do not replace newer files
	Include   []string `yaml:"include"`        // only these members
	Exclude   []string `yaml:"exclude"`        // not these
	ExtraOpts []string `yaml:"extra_opts"`     // further options of tar or unzip
	Mode      any      `yaml:"mode"`           // of what was unpacked: '0644' or 'u=rwX,go=rX'
	Owner     string   `yaml:"owner"`          // name or number
	Group     string   `yaml:"group"`          // name or number
	Certs     bool     `yaml:"validate_certs"` // true; a URL's server must prove who it is
}

func newUnarchive() engine.Module { return &Unarchive{Copy: true, Certs: true} }

// Validate checks what goes together.
func (m *Unarchive) Validate() error {
	if len(m.Include) > 0 && len(m.Exclude) > 0 {
		return errors.New("include and exclude are mutually exclusive")
	}
	if !m.Certs {
		return errors.New("validate_certs: false is not supported")
	}
	_, err := modeText(m.Mode)
	return err
}

// The archive's kind is told from its first bytes, never from its name. What an archive
// would change is found by comparing the folder's files before and after with the same
// names from the archive; tar's --compare is not in busybox.
const unarchiveScript = fileFuncs + `
changed=
wants() { has "$1" || die "Unable to find required program \"$1\": install the package of that name"; }
dest=$(untilde "$dest")
if [ -n "$creates" ]; then
	creates=$(untilde "$creates")
	if [ -e "$creates" ]; then say skip "$creates"; exit 0; fi
fi
[ -d "$dest" ] || die "the folder $dest does not exist"
src=$(untilde "$src")
tmp=
trap '[ -z "$tmp" ] || rm -rf -- "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
tmp=$(mktemp -d "$dest/.farm.XXXXXXXX" 2>/dev/null || mktemp -d "${TMPDIR:-/tmp}/farm.XXXXXXXX") || exit
if [ -n "$send" ]; then
	cat >"$tmp/a" || exit
	src=$tmp/a
elif [ -n "$url" ]; then
	if has curl; then curl -fsSL --retry 3 -o "$tmp/a" -- "$url" >&2 || exit
	elif has wget; then wget -q -O "$tmp/a" -- "$url" >&2 || exit
	else die "neither curl nor wget is installed on this host"; fi
	src=$tmp/a
fi
[ -e "$src" ] || die "the archive $src does not exist"
[ -f "$src" ] || die "the archive $src is no file"
magic=$(od -An -tx1 -N 6 <"$src" | tr -d ' \n')
case $magic in
504b0304* | 504b0506*) kind=zip ;;
1f8b*) kind=gzip ;;
425a68*) kind=bzip2 ;;
fd377a585a00) kind=xz ;;
28b52ffd*) kind=zstd ;;
*) kind=tar ;;
esac
new=$tmp/new
mkdir -- "$new" || exit
if [ $kind = zip ]; then
	wants unzip
	unzip -qo "$src" -d "$new" "$@" >&2 || [ $? = 1 ] || exit
else
	wants tar
	[ $kind = tar ] || wants $kind
	if [ $kind = tar ]; then tar -xpf "$src" -C "$new" "$@" >&2 || die "the archive $src cannot be unpacked; it is no zip, and tar says no"
	else { $kind -dc <"$src" || : >"$tmp/bad"; } | tar -xpf - -C "$new" "$@" >&2 || exit; fi
	[ ! -e "$tmp/bad" ] || die "the archive $src is damaged: $kind says no"
fi
list=$(cd "$new" && find . ! -name . ! -name '*
*') || exit
[ -z "$files" ] || say files "$list"
want=$mode
# Where nothing is in the way whole folders move, at one program a folder, not several a file.
clear=1
[ -z "$check$mode$owner$group" ] || clear=
for a in "$new"/* "$new"/.[!.]* "$new"/..?*; do
	if [ -e "$a" ] || [ -L "$a" ]; then
		b=$dest/${a##*/}
		if [ -e "$b" ] || [ -L "$b" ]; then clear=; fi
	fi
done
if [ -n "$clear" ] && [ -n "$list" ]; then
	changed=1
	for a in "$new"/* "$new"/.[!.]* "$new"/..?*; do
		if [ -e "$a" ] || [ -L "$a" ]; then mv -- "$a" "$dest/" || exit; fi
	done
	list=
fi
while IFS= read -r f; do
	[ -n "$f" ] || continue
	f=${f#./}
	a=$new/$f b=$dest/$f
	if [ -d "$a" ] && [ ! -L "$a" ]; then
		if [ ! -d "$b" ]; then
			changed=1
			if [ -z "$check" ]; then
				mkdir -- "$b" || exit
				set -- $(meta "$a")
				chmod "00$1" "$b"
				chown "$2:$3" "$b" 2>/dev/null
			fi
		fi
	elif [ -L "$a" ]; then
		if [ "$(readlink -- "$a")" != "$(readlink -- "$b" 2>/dev/null)" ]; then
			changed=1
			[ -n "$check" ] || mv -f -- "$a" "$b" || exit
		fi
	else
		if [ -n "$newer" ] && [ -e "$b" ] && [ "$b" -nt "$a" ]; then continue; fi
		if ! cmp -s -- "$a" "$b" || [ -L "$b" ]; then
			changed=1
			[ -n "$check" ] || mv -f -- "$a" "$b" || exit
		else
			set -- $(meta "$a") $(meta "$b")
			if [ "$1" != "$7" ] && [ -z "$want" ]; then
				changed=1
				[ -n "$check" ] || chmod "00$1" "$b" || exit
			fi
		fi
	fi
	if [ -e "$b" ] && [ ! -L "$b" ]; then attrs "$b"; fi
done <<END
$list
END
mode=
report "$dest"
say kind $kind
`

// Run unpacks.
func (m *Unarchive) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("unarchive: %v", err), nil
	}
	mode, _ := modeText(m.Mode)
	remote := m.RemoteSrc || !m.Copy
	isURL := strings.Contains(m.Src, "://")
	s := script{Text: unarchiveScript, Keep: 16 << 20, Vars: map[string]string{
		"src": m.Src, "dest": m.Dest, "creates": m.Creates, "send": flag(!remote), "url": "", "newer": flag(m.KeepNewer),
		"files": flag(m.ListFiles), "mode": mode, "owner": m.Owner, "group": m.Group, "check": flag(t.Check)}}
	zip := strings.HasSuffix(strings.ToLower(m.Src), ".zip")
	s.Args = append(s.Args, m.ExtraOpts...)
	for _, e := range m.Exclude {
		if zip {
			s.Args = append(s.Args, "-x", e)
		} else {
			s.Args = append(s.Args, "--exclude="+e)
		}
	}
	s.Args = append(s.Args, m.Include...)
	shown := m.Src
	switch {
	case remote && isURL:
		s.Vars["url"] = m.Src
	case isURL:
		return failed("unarchive: a URL needs remote_src: true"), nil
	case !remote:
		if m.Creates != "" { // ask before the archive is sent
			r, err := run(ctx, t, `creates=$(untilde "$creates"); [ ! -e "$creates" ] || say skip "$creates"`, map[string]string{"creates": m.Creates})
			if err != nil || r.has("skip") {
				return m.skipped(r), err
			}
		}
		file, err := t.Files.Find("files", m.Src)
		if err != nil {
			return failed("%v", err), nil
		}
		f, err := t.Files.Open(file)
		if err != nil {
			return failed("%v", err), nil
		}
		defer f.Close()
		s.Stdin, shown = struct{ io.Reader }{f}, file
	}
	r, err := s.run(ctx, t)
	switch {
	case err != nil:
		return engine.Result{}, err
	case r.has("skip"):
		return m.skipped(r), nil
	case !r.ok():
		return r.failure(fmt.Sprintf("unpack %q", m.Src)), nil
	}
	d := value.NewDict("src", shown, "dest", text(r.get("path")), "handler", handlers[r.get("kind")])
	if m.ListFiles {
		files := []any{}
		for line := range strings.SplitSeq(r.get("files"), "\n") {
			if f := strings.TrimPrefix(line, "./"); f != "" {
				files = append(files, text(path.Clean(f)))
			}
		}
		d.Set("files", files)
	}
	return engine.Result{Changed: r.is("changed"), Values: fileValues(r, d)}, nil
}

// handlers are Ansible's names of the kinds of archives.
var handlers = map[string]string{
	"tar": "TarArchive", "gzip": "TgzArchive", "bzip2": "TarBzipArchive", "xz": "TarXzArchive", "zstd": "TarZstdArchive", "zip": "ZipArchive",
}

func (m *Unarchive) skipped(r reply) engine.Result {
	return engine.Result{Skipped: true, Msg: fmt.Sprintf("skipped, since %s exists", text(r.get("skip")))}
}
