package callbacks

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"farm/engine"
)

// unarchive unpacks gz, xz, bz2, zst, zip and tar (also compressed), told apart by
// their content. The bytes pass through the controller, which counts them: a small file that
// grows without measure is stopped.
type unarchive struct {
	// Src is the archive, in the work folder or on the host. It stays.
	Src string `yaml:"src,required"`
	// Dest is, for a compressed file, the name of what it holds, and for a tar or zip the
	// folder to unpack into, both in the work folder; default the name of Src without its
	// ending, and Src's folder.
	Dest string `yaml:"dest"`
	// MaxSize bounds what comes out, in bytes; default 64 GiB.
	MaxSize int64 `yaml:"max_size"`
}

// The bounds of archives. Disks compress well where they are empty, so the ratio counts
// only once much has come out.
const (
	maxUnpacked = 64 << 30
	maxEntries  = 20_000
	maxRatio    = 1000
	freeRatio   = 1 << 30
	xzMemory    = 256 << 20
)

func newUnarchive() engine.Callback { return &unarchive{MaxSize: maxUnpacked} }

// Key is the state of a source outside of the work folder.
func (u *unarchive) Key(ctx context.Context, im *engine.Image) (string, error) {
	return outside(ctx, im, u.Src)
}

// Run unpacks.
func (u *unarchive) Run(ctx context.Context, im *engine.Image) (err error) {
	ctx, cancel := context.WithTimeout(ctx, atLast)
	defer cancel()
	defer func() {
		if err != nil {
			err = fmt.Errorf("unpack %q: %w", u.Src, err)
		}
	}()
	src, err := existing(ctx, im, u.Src)
	if err != nil {
		return err
	}
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := im.Conn.Download(ctx, src, pw)
		pw.CloseWithError(err)
		done <- err
	}()
	err = u.unpack(ctx, im, src, pr)
	pr.CloseWithError(errEnough)
	if lost := <-done; lost != nil && !errors.Is(lost, errEnough) && !errors.Is(lost, io.ErrClosedPipe) {
		return lost
	}
	return err
}

// errEnough ends a download whose rest is of no use.
var errEnough = errors.New("enough was read")

// meter counts what goes in and comes out and ends a flood.
type meter struct {
	in, out, most int64
	src, plain    io.Reader
}

// Read reads unpacked bytes.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.plain.Read(p)
	m.out += int64(n)
	switch {
	case m.out > m.most:
		return n, fmt.Errorf("more than %d bytes come out (`max_size` sets the limit)", m.most)
	case m.out > freeRatio && m.out > m.in*maxRatio:
		return n, fmt.Errorf("%d bytes grow to over %d; no honest image does", m.in, m.out)
	}
	return n, err
}

type countIn struct{ m *meter }

func (c countIn) Read(p []byte) (int, error) {
	n, err := c.m.src.Read(p)
	c.m.in += int64(n)
	return n, err
}

func (u *unarchive) unpack(ctx context.Context, im *engine.Image, src string, packed io.Reader) error {
	m := &meter{src: packed, most: u.MaxSize}
	in := bufio.NewReaderSize(countIn{m}, 64<<10)
	start, err := in.Peek(512)
	if err != nil && err != io.EOF {
		return err
	}
	if bytes.HasPrefix(start, []byte("PK\x03\x04")) {
		return u.unzip(ctx, im, src, in)
	}
	plain, ext, err := decompress(in, start)
	if err != nil {
		return err
	}
	if m.plain = plain; plain == nil {
		m.plain = in
	}
	out := bufio.NewReaderSize(m, 64<<10)
	first, err := out.Peek(512)
	if err != nil && err != io.EOF {
		return err
	}
	if isTar(first) {
		return u.untar(ctx, im, src, tar.NewReader(out))
	}
	if plain == nil {
		return errors.New("it is no gz, xz, bz2, zst, zip or tar file")
	}
	dest := u.Dest
	if dest == "" || strings.HasSuffix(dest, "/") {
		dest += strings.TrimSuffix(u.name(im, src), ext)
	}
	file, err := place(im, dest)
	if err != nil {
		return err
	}
	if file == src {
		return engine.Blamef(engine.UserFault, "`dest` %q is the archive itself", dest)
	}
	if err := u.keep(ctx, im, file, out); err != nil {
		return err
	}
	// Empty parts need no room; a file system that has no holes leaves them.
	_, err = sh(ctx, im, atLast, `fallocate -d -- "$1" 2>/dev/null || :`, file)
	return err
}

// name is where src lies below the work folder, or its last part.
func (u *unarchive) name(im *engine.Image, src string) string {
	if rel, ok := under(im.TmpDir, src); ok {
		return rel
	}
	return path.Base(src)
}

// decompress recognises a compressed stream by its start; nil where it is none. ext is
// the ending that names usually have.
func decompress(in io.Reader, start []byte) (plain io.Reader, ext string, err error) {
	switch {
	case bytes.HasPrefix(start, []byte("\x1f\x8b\x08")):
		plain, err = gzip.NewReader(in)
		return plain, ".gz", err
	case bytes.HasPrefix(start, []byte("\xfd7zXZ\x00")):
		if err := checkXZ(start); err != nil {
			return nil, "", err
		}
		plain, err = xz.NewReader(in)
		return plain, ".xz", err
	case bytes.HasPrefix(start, []byte("BZh")):
		return bzip2.NewReader(in), ".bz2", nil
	case bytes.HasPrefix(start, []byte("\x28\xb5\x2f\xfd")):
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxMemory(512<<20), zstd.WithDecoderMaxWindow(256<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, "", err
		}
		return z.IOReadCloser(), ".zst", nil
	}
	return nil, "", nil
}

// checkXZ bounds the dictionary that the first block of a stream asks for, which the
// decoder would allocate at once (section 5.3.1 of the .xz format).
func checkXZ(start []byte) error {
	for i := 12; i+2 < len(start) && i < 12+64; i++ {
		if start[i] == 0x21 && start[i+1] == 1 {
			bits := start[i+2] & 0x3f
			if bits > 40 || bits < 40 && uint64(2|bits&1)<<(bits/2+11) > xzMemory {
				return fmt.Errorf("it needs more than %d MiB of memory", xzMemory>>20)
			}
			return nil
		}
	}
	return nil
}

func isTar(start []byte) bool {
	return len(start) >= 262 && string(start[257:262]) == "ustar"
}

// keep writes one unpacked file.
func (u *unarchive) keep(ctx context.Context, im *engine.Image, file string, content io.Reader) error {
	if err := mkdirFor(ctx, im, file); err != nil {
		return err
	}
	return im.Conn.Upload(ctx, file, 0o644, content)
}

// into is where an archive's entry goes.
func (u *unarchive) into(im *engine.Image, src, entry string) (string, error) {
	dir := u.Dest
	if dir == "" {
		dir = path.Dir(u.name(im, src))
	}
	if strings.ContainsRune(entry, 0) || strings.Contains(entry, "\\") {
		return "", fmt.Errorf("the name %q of an entry is no path", entry)
	}
	for part := range strings.SplitSeq(entry, "/") {
		if part == ".." {
			return "", fmt.Errorf("the entry %q leads out of the folder", entry)
		}
	}
	return place(im, path.Join(dir, path.Join("/", entry)))
}

func (u *unarchive) untar(ctx context.Context, im *engine.Image, src string, t *tar.Reader) error {
	for n := 0; ; n++ {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n == maxEntries {
			return fmt.Errorf("it has more than %d entries", maxEntries)
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeGNUSparse {
			continue // links and devices have no place among images
		}
		file, err := u.into(im, src, h.Name)
		if err != nil {
			return err
		}
		if h.Size > u.MaxSize {
			return fmt.Errorf("the entry %q has %d bytes (`max_size` is %d)", h.Name, h.Size, u.MaxSize)
		}
		if err := u.keep(ctx, im, file, t); err != nil {
			return err
		}
	}
}

// unzip needs to jump in the file, so it goes through a temporary one here.
func (u *unarchive) unzip(ctx context.Context, im *engine.Image, src string, in io.Reader) error {
	tmp, err := os.CreateTemp("", "farm-zip-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	size, err := io.Copy(tmp, io.LimitReader(in, u.MaxSize+1))
	if err != nil {
		return err
	}
	if size > u.MaxSize {
		return fmt.Errorf("it is larger than %d bytes", u.MaxSize)
	}
	z, err := zip.NewReader(tmp, size)
	if err != nil {
		return err
	}
	if len(z.File) > maxEntries {
		return fmt.Errorf("it has more than %d entries", maxEntries)
	}
	m := &meter{in: size, most: u.MaxSize}
	for _, f := range z.File {
		if !f.Mode().IsRegular() {
			continue
		}
		file, err := u.into(im, src, f.Name)
		if err != nil {
			return err
		}
		content, err := f.Open()
		if err != nil {
			return err
		}
		m.plain = content
		err = errors.Join(u.keep(ctx, im, file, m), content.Close())
		if err != nil {
			return err
		}
	}
	return nil
}
