package modules

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// Copy puts a file or folder of the controller, or text, into the guest.
type Copy struct {
	Src           string `yaml:"src"`             // a file or folder, looked up in files/; of a folder that ends with / what is in it
	Content       any    `yaml:"content"`         // or the text itself; a mapping or list becomes JSON
	Dest          string `yaml:"dest,required"`   // the file, or a folder to put it into
	RemoteSrc     bool   `yaml:"remote_src"`      // src is in the guest
	Backup        bool   `yaml:"backup"`          // keep the old file beside it
	Force         bool   `yaml:"force|thirsty"`   // false: leave a file that is there alone
	Mode          any    `yaml:"mode"`            // '0644', 'u=rw,go=r' or preserve
	Owner         string `yaml:"owner"`           // name or number
	Group         string `yaml:"group"`           // name or number
	DirectoryMode any    `yaml:"directory_mode"`  // of folders that are made
	CheckWith     string `yaml:"validate"`        // command that must accept the file, %s in it
	Follow        bool   `yaml:"follow"`          // write through a link
	LocalFollow   *bool  `yaml:"local_follow"`    // links in a folder that is copied become what they lead to; by default where the folder is the controller's
	Checksum      string `yaml:"checksum"`        // SHA-1 that src must have
	Decrypt       bool   `yaml:"decrypt"`         // accepted: there are no vaults
	Flags         string `yaml:"attributes|attr"` // flags as chattr takes them: A, +i, -a or =d
	UnsafeWrites  *bool  `yaml:"unsafe_writes"`   // write into the file itself where its folder takes no other

	skip func(rel string) bool // files and folders of a folder that are left out; nil = none
}

func newCopy() engine.Module { return &Copy{Force: true, Decrypt: true} }

// checkMode is the mode for put: by modeText, or "preserve".
func (m *Copy) checkMode() (string, error) {
	if m.Mode == "preserve" {
		return "preserve", nil
	}
	return modeText(m.Mode)
}

// Validate checks what goes together.
func (m *Copy) Validate() error {
	switch {
	case m.Src == "" && m.Content == nil:
		return errors.New("src (or content) is required")
	case m.Src != "" && m.Content != nil:
		return errors.New("src and content are mutually exclusive")
	case m.Content != nil && strings.HasSuffix(m.Dest, "/"):
		return errors.New("can not use content with a dir as dest: name the file")
	}
	mode, err := m.checkMode()
	if err == nil {
		_, err = modeText(m.DirectoryMode)
	}
	if err == nil && mode != "preserve" {
		err = checkedFile(m.CheckWith, m.Mode)
	}
	return err
}

// Run copies what differs.
func (m *Copy) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("copy: %v", err), nil
	}
	mode, _ := m.checkMode()
	p := putting{dest: m.Dest, mode: mode, owner: m.Owner, group: m.Group, validate: m.CheckWith,
		backup: m.Backup, keep: !m.Force, follow: m.Follow, flags: m.Flags, unsafe: m.UnsafeWrites}
	switch {
	case m.Content != nil:
		b, err := contentBytes(m.Content)
		if err != nil {
			return failed("copy: %v", err), nil
		}
		p.content(b)
		if mode == "preserve" {
			p.mode = ""
		}
		return p.put(ctx, t)
	case m.RemoteSrc:
		return m.remote(ctx, t, p)
	}
	return m.local(ctx, t, p)
}

// contentBytes is what the argument content means.
func contentBytes(v any) ([]byte, error) {
	switch v.(type) {
	case *value.Dict, []any:
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return nil, err
		}
		return spacedJSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
	}
	return []byte(value.Text(v)), nil
}

// spacedJSON puts a blank after each comma and colon, as Python's json does.
func spacedJSON(js []byte) []byte {
	var out []byte
	in := false
	for i := 0; i < len(js); i++ {
		c := js[i]
		out = append(out, c)
		switch {
		case in && c == '\\':
			i++
			out = append(out, js[i])
		case c == '"':
			in = !in
		case !in && (c == ',' || c == ':'):
			out = append(out, ' ')
		}
	}
	return out
}

func (m *Copy) local(ctx context.Context, t *engine.Task, p putting) (engine.Result, error) {
	file, err := t.Files.Find("files", m.Src)
	if err != nil {
		return failed("%v", err), nil
	}
	st, err := statFile(t.Files, file)
	if err != nil {
		return failed("%v", err), nil
	}
	if st.IsDir() {
		return m.tree(ctx, t, p, file)
	}
	if p.mode == "preserve" {
		p.mode = fmt.Sprintf("%05o", st.Mode().Perm())
	}
	p.name = path.Base(file)
	if err := p.file(t.Files, file); err != nil {
		return failed("%v", err), nil
	}
	if m.Checksum != "" && !strings.EqualFold(m.Checksum, p.sum) {
		return failed("%q has the checksum %s, not %s", file, p.sum, m.Checksum), nil
	}
	p.src = file
	return p.put(ctx, t)
}

// file is a putting's content from a file of the controller. The SHA-1 decides whether it
// is sent at all; the MD5 is summed up on the way.
func (p *putting) file(files engine.Finder, file string) error {
	sent := md5.New()
	p.md5 = func() string { return hex.EncodeToString(sent.Sum(nil)) }
	p.open = func() (io.ReadCloser, error) {
		f, err := files.Open(file)
		if err != nil {
			return nil, err
		}
		sent.Reset()
		return struct {
			io.Reader
			io.Closer
		}{io.TeeReader(f, sent), f}, nil
	}
	f, err := files.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha1.New()
	p.size, err = io.Copy(h, f)
	p.sum = hex.EncodeToString(h.Sum(nil))
	return err
}

func statFile(files engine.Finder, file string) (fs.FileInfo, error) {
	f, err := files.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

// remote copies within the guest.
func (m *Copy) remote(ctx context.Context, t *engine.Task, p putting) (engine.Result, error) {
	r, err := run(ctx, t, fileFuncs+`src=$(untilde "$src"); [ -e "$src" ] || die "the source $src does not exist"
if [ -d "$src" ]; then say dir 1; elif [ -f "$src" ]; then say md5 "$(sum md5 "$src")"; fi`, map[string]string{"src": m.Src})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("copy"), nil
	}
	if r.is("dir") {
		return m.remoteTree(ctx, t)
	}
	p.from, p.name = m.Src, path.Base(m.Src)
	res, err := p.put(ctx, t)
	if res.Values != nil && !res.Failed {
		res.Values.Set("src", m.Src)
		res.Values.Set("md5sum", r.get("md5"))
		res.Values.Delete("path")
	}
	return res, err
}
