package callbacks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"farm/engine"
)

// cache is farm's folder of downloads on the host: sha256-HEX and sha512-HEX are files by
// content, ID.json is what is known of an address, ID.list the text of one, ID.part a download
// that was broken off.
type cache struct{ im *engine.Image }

// fetched is what the cache knows of an address.
type fetched struct {
	Addr    string    `json:"addr"`
	Version version   `json:"version"`
	SHA256  string    `json:"sha256,omitempty"` // "" while the file is not whole
	Fetched time.Time `json:"fetched"`
}

func (c cache) file(addr, ext string) string {
	sum := sha256.Sum256([]byte(addr))
	return path.Join(c.im.Cache, hex.EncodeToString(sum[:16])+ext)
}

// object is the path of the file with that digest; "" if it is not there.
func (c cache) object(ctx context.Context, want checksum) (string, error) {
	if want.algo == "" {
		return "", nil
	}
	file := path.Join(c.im.Cache, want.algo+"-"+want.hex)
	out, err := c.sh(ctx, shortly, `[ ! -f "$1" ] || { touch -a -c -- "$1"; echo yes; }`, file)
	if err != nil || out == "" {
		return "", err
	}
	return file, nil
}

func (c cache) sh(ctx context.Context, limit time.Duration, script string, args ...string) (string, error) {
	return sh(ctx, &engine.Image{Conn: c.im.Conn}, limit, script, args...)
}

// text is a small file of the cache; "" if it is not there.
func (c cache) text(ctx context.Context, addr string) (string, error) {
	return c.sh(ctx, shortly, `[ ! -f "$1" ] || cat -- "$1"`, c.file(addr, ".list"))
}

func (c cache) keepText(ctx context.Context, addr, text string) error {
	return c.im.Conn.Upload(ctx, c.file(addr, ".list"), 0o644, strings.NewReader(text))
}

// record is what is known of an address; the zero value if nothing is.
func (c cache) record(ctx context.Context, addr string) (fetched, error) {
	out, err := c.sh(ctx, shortly, `[ ! -f "$1" ] || cat -- "$1"`, c.file(addr, ".json"))
	if err != nil || out == "" {
		return fetched{}, err
	}
	var rec fetched
	if json.Unmarshal([]byte(out), &rec) != nil || rec.Addr != redact(addr) {
		return fetched{}, nil // a record that cannot be read is none
	}
	return rec, nil
}

func (c cache) keep(ctx context.Context, addr string, rec fetched) error {
	rec.Addr, rec.Fetched = redact(addr), time.Now().UTC()
	text, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return c.im.Conn.Upload(ctx, c.file(addr, ".json"), 0o644, bytes.NewReader(text))
}

// download gets the file from Src or a mirror into the cache: what an earlier
// attempt left is taken up where it ends, and nothing of a wrong checksum stays.
func (f *fetch) download(ctx context.Context, im *engine.Image, c cache, want checksum) (string, error) {
	addrs := append([]string{f.Src}, f.Mirrors...)
	var object string
	addr := f.Src
	ctx, stop := f.bounded(ctx)
	defer stop()
	err := f.again(ctx, f.Retries, func(try int) error {
		var err error
		addr = addrs[try%len(addrs)]
		object, err = f.attempt(ctx, im, c, addr, want)
		if err != nil && ctx.Err() == nil {
			emit(im, engine.Progress, "download of %s broken off: %v", f.base(), err)
		}
		return err
	})
	return object, f.late(ctx, addr, "downloaded", f.clock.come(), err)
}

// errStalled is the cause of a download that gets no bytes any more.
var errStalled = fmt.Errorf("no bytes for %s", stallLimit)

func (f *fetch) attempt(ctx context.Context, im *engine.Image, c cache, addr string, want checksum) (string, error) {
	part := c.file(f.Src, ".part")
	out, err := c.sh(ctx, shortly, `stat -c %s -- "$1" 2>/dev/null || echo 0`, part)
	if err != nil {
		return "", err
	}
	offset, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		return "", err
	}
	rec, err := c.record(ctx, part)
	if err != nil {
		return "", err
	}
	if !rec.Version.resumable() {
		offset = 0 // nothing would tell two halves of different files
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s, err := openRemote(ctx, addr, offset, rec.Version)
	if err != nil {
		return "", err
	}
	defer s.Close()
	if s.offset > 0 && s.version.known() && (s.version.ETag != rec.Version.ETag || s.version.Modified != rec.Version.Modified) {
		return "", errors.Join(errors.New("the file changed on the server"), c.drop(ctx, part))
	}
	if err := c.keep(ctx, part, fetched{Version: s.version}); err != nil {
		return "", err
	}
	if err := f.write(ctx, im, s, part, cancel); err != nil {
		return "", err
	}
	object, err := c.admit(ctx, part, f.Src, s.version, want)
	var mismatch permanent
	if s.offset > 0 && errors.As(err, &mismatch) && ctx.Err() == nil {
		// Perhaps the halves are of different files. The part is gone, so this starts at 0.
		emit(im, engine.Progress, "what was resumed of %s is wrong; starts over: %v", f.base(), err)
		return f.attempt(ctx, im, c, addr, want)
	}
	return object, err
}

// write appends a stream to the part on the host and checks that it came whole.
func (f *fetch) write(ctx context.Context, im *engine.Image, s *stream, part string, cancel context.CancelCauseFunc) error {
	stall := time.AfterFunc(stallLimit, func() { cancel(errStalled) })
	defer stall.Stop()
	f.clock.size = s.Size
	f.clock.got.Store(s.offset)
	last := time.Now()
	b := &body{src: s, stall: stall, limit: stallLimit, on: func(n int) {
		got := f.clock.got.Add(int64(n))
		if time.Since(last) >= 2*time.Second {
			last = time.Now()
			emit(im, engine.Progress, "fetched %s of %s", mib(got, s.Size), f.base())
		}
	}}
	script := `cat >>"$1"`
	if s.offset == 0 {
		script = `cat >"$1"`
	}
	out, err := im.Conn.Exec(ctx, engine.Cmd{Argv: []string{"/bin/sh", "-c", script, "farm", part}, Dir: "/", Stdin: b})
	got := f.clock.got.Load()
	switch {
	case context.Cause(ctx) == errStalled:
		return errStalled
	case err != nil:
		return out.Because(err)
	case b.err != nil:
		return b.err
	case s.Size >= 0 && got != s.Size:
		return fmt.Errorf("the connection ended after %d of %d bytes", got, s.Size)
	}
	return nil
}

func mib(got, all int64) string {
	if all < 0 {
		return fmt.Sprintf("%d MiB", got>>20)
	}
	return fmt.Sprintf("%d of %d MiB", got>>20, (all+1<<20-1)>>20)
}

// admit checks a whole part and gives it its place in the cache.
func (c cache) admit(ctx context.Context, part, addr string, v version, want checksum) (string, error) {
	algos := []string{"sha256"}
	if want.algo == "sha512" {
		algos = append(algos, "sha512")
	}
	var sums []checksum
	for _, algo := range algos {
		out, err := c.sh(ctx, atLast, `"$1" <"$2"`, algo+"sum", part)
		if err != nil {
			return "", err
		}
		digest, _, _ := strings.Cut(out, " ")
		sum := checksumOf(digest)
		if sum.algo != algo {
			return "", fmt.Errorf("%ssum on %s answers %q", algo, c.im.Conn, out)
		}
		sums = append(sums, sum)
	}
	for _, sum := range sums {
		if sum.algo == want.algo && sum != want {
			return "", errors.Join(permanent{fmt.Errorf("the file's checksum is %s, not %s", sum, want)}, c.drop(ctx, part))
		}
	}
	object := path.Join(c.im.Cache, "sha256-"+sums[0].hex)
	args := []string{part, object}
	for _, sum := range sums[1:] {
		args = append(args, path.Join(c.im.Cache, sum.algo+"-"+sum.hex))
	}
	if _, err := c.sh(ctx, atLast, `
chmod 0444 -- "$1" && { sync "$1" 2>/dev/null || sync; } && mv -f -T -- "$1" "$2" || exit
from=$2; shift 2; for f; do ln -f -- "$from" "$f" || exit; done`, args...); err != nil {
		return "", err
	}
	return object, c.keep(ctx, addr, fetched{Version: v, SHA256: sums[0].hex})
}

func (c cache) drop(ctx context.Context, part string) error {
	_, err := c.sh(ctx, shortly, `rm -f -- "$1"`, part)
	return err
}
