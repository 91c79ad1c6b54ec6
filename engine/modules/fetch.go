package modules

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// Fetch copies a file of the guest to the controller.
type Fetch struct {
	Src              any    `yaml:"src,required"`      // the file in the guest
	Dest             string `yaml:"dest,required"`     // folder on the controller, relative to the project; the file goes to DEST/HOST/SRC
	Flat             bool   `yaml:"flat"`              // it goes to DEST itself, or into it if it ends with /
	FailOnMissing    bool   `yaml:"fail_on_missing"`   // true by default
	ValidateChecksum bool   `yaml:"validate_checksum"` // true by default

	src string
}

func newFetch() engine.Module { return &Fetch{FailOnMissing: true, ValidateChecksum: true} }

// Validate wants both ends.
func (m *Fetch) Validate() error {
	switch m.Src.(type) {
	case []any, *value.Dict:
		return fmt.Errorf("src: Invalid type supplied for source: %s, not text", value.Kind(m.Src))
	}
	if m.src = value.Text(m.Src); m.Src == nil || m.src == "" || m.Dest == "" {
		return errors.New("src and dest are required")
	}
	return nil
}

const fetchScript = fileFuncs + readable + `readable "$src"
say path "$src"
say sum "$(sum sha1 "$src")"
`

// Run copies the file if the controller has it not.
func (m *Fetch) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("fetch: %v", err), nil
	}
	if t.Check {
		return engine.Result{Skipped: true, Msg: "check mode not (yet) supported for this module"}, nil
	}
	r, err := run(ctx, t, fetchScript, map[string]string{"src": m.src})
	switch {
	case err != nil:
		return engine.Result{}, err
	case !r.ok():
		return m.unfetched(r), nil
	}
	dest, err := m.target(t.Dir, t.Host, r.get("path"))
	if err != nil {
		return failed("fetch: %v", err), nil
	}
	want := r.get("sum")
	if have, md5sum, err := fileSums(dest); err == nil && have == want {
		return engine.Result{Values: value.NewDict("dest", dest, "file", m.src, "checksum", have, "md5sum", md5sum)}, nil
	}
	sum, res, err := m.download(ctx, t, dest)
	switch {
	case err != nil:
		return engine.Result{}, err
	case res != nil:
		return *res, nil
	case m.ValidateChecksum && sum != want:
		os.Remove(dest)
		return failed("fetch %q: the checksum of what came is %s, not %s; does the file change meanwhile?", m.src, sum, want), nil
	}
	_, md5sum, err := fileSums(dest)
	if err != nil {
		return failed("fetch %q: %v", m.src, err), nil
	}
	return engine.Result{Changed: true, Values: value.NewDict("dest", dest, "checksum", sum, "md5sum", md5sum,
		"remote_checksum", want, "remote_md5sum", nil)}, nil
}

// unfetched is the result where the file could not be read.
func (m *Fetch) unfetched(r reply) engine.Result {
	var why string
	switch r.Status {
	case isMissing:
		why = "the remote file does not exist"
	case isFolder:
		why = "the remote file is a directory, fetch works on files; archive it first"
	case isUnreadable:
		why = "the remote file is not readable: Permission denied"
	default:
		return r.failure(fmt.Sprintf("fetch %q", m.src))
	}
	if !m.FailOnMissing {
		res := engine.Result{Msg: why + ", not transferring, ignored"}
		if r.Status == isMissing {
			res.Values = value.NewDict("file", m.src)
		}
		return res
	}
	return failed("%s: %s", why, m.src)
}

// target is the file on the controller; dir is where a relative one starts. A guest's path cannot lead out of dest.
func (m *Fetch) target(dir, host, src string) (string, error) {
	dest := m.Dest
	if rest, ok := strings.CutPrefix(dest, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dest = filepath.Join(home, rest)
		if strings.HasSuffix(m.Dest, "/") {
			dest += "/"
		}
	}
	if !filepath.IsAbs(dest) {
		slash := strings.HasSuffix(dest, "/")
		if dest = filepath.Join(dir, dest); slash {
			dest += "/"
		}
	}
	inside := filepath.Clean("/" + src)
	switch {
	case m.Flat && strings.HasSuffix(dest, "/"):
		dest = filepath.Join(dest, filepath.Base(inside))
	case !m.Flat:
		dest = filepath.Join(dest, filepath.Clean("/"+host), inside)
	}
	if st, err := os.Stat(dest); err == nil && st.IsDir() {
		return "", fmt.Errorf("dest is an existing directory, %q; end it with / to put the file into it", dest)
	}
	return filepath.Abs(dest)
}

func fileSums(path string) (sha1sum, md5sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	s, m := sha1.New(), md5.New()
	_, err = io.Copy(io.MultiWriter(s, m), f)
	return hex.EncodeToString(s.Sum(nil)), hex.EncodeToString(m.Sum(nil)), err
}

// download writes the file beside dest and renames it.
func (m *Fetch) download(ctx context.Context, t *engine.Task, dest string) (sum string, bad *engine.Result, err error) {
	refuse := func(err error) (string, *engine.Result, error) {
		res := failed("fetch %q: %v", m.src, err)
		return "", &res, nil
	}
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return refuse(err)
	}
	f, err := os.CreateTemp(filepath.Dir(dest), ".farm-*")
	if err != nil {
		return refuse(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	h := sha1.New()
	r, err := script{Text: readScript, Vars: map[string]string{"src": m.src}, Stdout: io.MultiWriter(f, h), Keep: 4 << 10}.run(ctx, t)
	if err != nil {
		return "", nil, err
	}
	if !r.ok() {
		return refuse(errors.New(r.stderr()))
	}
	if err := errors.Join(f.Chmod(0o644), f.Close(), os.Rename(f.Name(), dest)); err != nil {
		return refuse(err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil, nil
}
