package modules

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"farm/engine"
	"farm/inventory/regex"
	"farm/inventory/value"
)

// Assemble makes one file of the files of a folder, in the order of their names.
type Assemble struct {
	Src          string  `yaml:"src,required"`  // the folder of the fragments; those in its folders are left out
	Dest         string  `yaml:"dest,required"` // the file
	RemoteSrc    bool    `yaml:"remote_src"`    // true: src is in the guest; false: looked up in files/
	Regexp       *string `yaml:"regexp"`        // only fragments whose names match it
	Delimiter    string  `yaml:"delimiter"`     // put between two fragments, with a newline at its end; \n, \t and the like are read
	IgnoreHidden bool    `yaml:"ignore_hidden"` // leave out names that begin with a dot
	Backup       bool    `yaml:"backup"`        // keep the old file beside it
	Mode         any     `yaml:"mode"`          // '0644' or 'u=rw,go=r'
	Owner        string  `yaml:"owner"`         // name or number
	Group        string  `yaml:"group"`         // name or number
	CheckWith    string  `yaml:"validate"`      // command that must accept the file, %s in it
	Decrypt      bool    `yaml:"decrypt"`       // accepted: there are no vaults
	UnsafeWrites *bool   `yaml:"unsafe_writes"` // write into the file itself where its folder takes no other
}

func newAssemble() engine.Module { return &Assemble{RemoteSrc: true, Decrypt: true} }

// Validate checks the expression and the mode.
func (m *Assemble) Validate() error {
	if m.CheckWith != "" && !strings.Contains(m.CheckWith, "%s") {
		return errors.New("validate must hold %s, for the file's name")
	}
	if m.Regexp != nil {
		if _, err := regex.Compile(*m.Regexp, 0); err != nil {
			return err
		}
	}
	_, err := modeText(m.Mode)
	return err
}

// fragment is a file of the folder.
type fragment struct {
	name    string
	content []byte
}

// The fragments come as NAME/SIZE, a newline, and the content.
const fragmentsScript = `src=$(untilde "$src")
[ -e "$src" ] || die "the folder $src does not exist"
[ -d "$src" ] || die "$src is no folder"
cd "$src" || exit
for f in * .[!.]* ..?*; do
	[ -f "$f" ] || continue
	size=$(wc -c <"$f") || exit
	printf '%s/%s\n' "$f" $size
	cat <"$f" || exit
done
`

// Run joins the fragments and writes the file.
func (m *Assemble) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("assemble: %v", err), nil
	}
	var all []fragment
	if m.RemoteSrc {
		content := &bounded{left: maxSlurp}
		r, err := script{Text: fragmentsScript, Stdout: content, Keep: 4 << 10, Vars: map[string]string{"src": m.Src}}.run(ctx, t)
		switch {
		case err != nil:
			return engine.Result{}, err
		case content.over:
			return failed("assemble: the files of %q are larger than %d MiB", m.Src, maxSlurp>>20), nil
		case !r.ok():
			r.Stdout = nil
			return r.failure("assemble"), nil
		}
		if all, err = readFragments(content.Bytes()); err != nil {
			return failed("assemble: %q: %v", m.Src, err), nil
		}
	} else {
		var err error
		if all, err = m.local(t.Files); err != nil {
			return failed("assemble: %v", err), nil
		}
	}
	mode, _ := modeText(m.Mode)
	p := putting{dest: m.Dest, mode: mode, owner: m.Owner, group: m.Group, validate: m.CheckWith, backup: m.Backup, unsafe: m.UnsafeWrites}
	p.content(m.join(all))
	if !m.RemoteSrc {
		res, err := p.put(ctx, t)
		if err == nil && !res.Failed && !res.Changed {
			res.Values.Delete("path")
			res.Values.Set("md5sum", p.md5())
		}
		return res, err
	}
	_, res, err := p.putting(ctx, t)
	if err == nil && !res.Failed {
		for k, v := range value.NewDict("src", m.Src, "dest", m.Dest, "md5sum", p.md5(), "msg", "OK").All() {
			res.Values.Set(k, v)
		}
	}
	return res, err
}

// readFragments reads what fragmentsScript printed.
func readFragments(out []byte) ([]fragment, error) {
	var all []fragment
	for len(out) > 0 {
		name, rest, ok := bytes.Cut(out, []byte("/"))
		size, content, ok2 := bytes.Cut(rest, []byte("\n"))
		n, err := strconv.Atoi(string(size))
		if !ok || !ok2 || err != nil || n < 0 || n > len(content) {
			return nil, errors.New("the fragments changed while they were read")
		}
		all = append(all, fragment{string(name), content[:n]})
		out = content[n:]
	}
	return all, nil
}

// local reads the fragments of a folder of the controller.
func (m *Assemble) local(files engine.Finder) ([]fragment, error) {
	dir, err := files.Find("files", m.Src)
	if err != nil {
		return nil, err
	}
	d, err := files.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	folder, ok := d.(fs.ReadDirFile)
	if st, err := d.Stat(); err != nil || !ok || !st.IsDir() {
		return nil, fmt.Errorf("%q is no folder", dir)
	}
	list, err := folder.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var all []fragment
	left := int64(maxSlurp)
	for _, e := range list {
		f, err := files.Open(path.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		var b []byte
		st, err := f.Stat()
		if err == nil && st.Mode().IsRegular() {
			b, err = io.ReadAll(io.LimitReader(f, left+1))
			all = append(all, fragment{e.Name(), b})
		}
		f.Close()
		if err != nil {
			return nil, err
		}
		if left -= int64(len(b)); left < 0 {
			return nil, fmt.Errorf("the files of %q are larger than %d MiB", dir, maxSlurp>>20)
		}
	}
	return all, nil
}

// join is the wanted fragments one after the other: a newline where the one before lacks it, and the
// delimiter between two.
func (m *Assemble) join(all []fragment) []byte {
	var re *regex.Regex
	if m.Regexp != nil {
		re, _ = regex.Compile(*m.Regexp, 0) // Validate has seen its error
	}
	slices.SortFunc(all, func(a, b fragment) int { return cmp.Compare(a.name, b.name) })
	delimiter := unescape(m.Delimiter)
	// Ansible adds a newline even to a delimiter that has one, if the fragments are the controller's.
	if delimiter != "" && (!m.RemoteSrc || !strings.HasSuffix(delimiter, "\n")) {
		delimiter += "\n"
	}
	var out []byte
	between, ended := false, false // there was a fragment; it ended with a newline, which an empty one does not
	for _, f := range all {
		if m.IgnoreHidden && f.name[0] == '.' {
			continue
		}
		if re != nil {
			if ok, _ := re.MatchString(f.name); !ok {
				continue
			}
		}
		if between {
			if !ended {
				out = append(out, '\n')
			}
			out = append(out, delimiter...)
		}
		out = append(out, f.content...)
		between, ended = true, bytes.HasSuffix(f.content, []byte("\n"))
	}
	return out
}

// unescape reads \n, \t, \x41, \101 and the like, as Python does in bytes; what is none stays.
func unescape(s string) string {
	var b strings.Builder
	for s != "" {
		if s[0] == '\\' && len(s) > 1 && !strings.ContainsRune("uU", rune(s[1])) {
			if s[1] == '\'' || s[1] == '"' {
				b.WriteByte(s[1])
				s = s[2:]
				continue
			}
			if c, _, rest, err := strconv.UnquoteChar(s, 0); err == nil {
				b.WriteByte(byte(c))
				s = rest
				continue
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}
