package callbacks

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// zeros is n bytes of nothing.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func pack(t *testing.T, kind string, content io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch kind {
	case "gz":
		w = gzip.NewWriter(&b)
	case "xz":
		w, err = xz.NewWriter(&b)
	case "zst":
		w, err = zstd.NewWriter(&b)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// bz2 is "hello\n" as bzip2 packs it; Go has no packer.
func bz2(t *testing.T) string {
	b, err := base64.StdEncoding.DecodeString("QlpoOTFBWSZTWcHAgOIAAAFBAAAQAkSgADDNAMNGKZcXckU4UJDBwIDi")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func tarOf(t *testing.T, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		h := &tar.Header{Name: name, Mode: 0o644, Size: 6, Typeflag: tar.TypeReg}
		if link, ok := strings.CutPrefix(name, "link:"); ok {
			h = &tar.Header{Name: link, Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			io.WriteString(w, "hello\n")
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zipOf(t *testing.T, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, "hello\n")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestUnarchive(t *testing.T) {
	for name, tt := range map[string]struct {
		file, content, dest, want string
	}{
		"gz":            {"disk.img.gz", pack(t, "gz", strings.NewReader("hello\n")), "", "disk.img"},
		"xz":            {"sub/disk.img.xz", pack(t, "xz", strings.NewReader("hello\n")), "", "sub/disk.img"},
		"zst":           {"disk.zst", pack(t, "zst", strings.NewReader("hello\n")), "", "disk"},
		"bz2":           {"disk.bz2", bz2(t), "", "disk"},
		"dest":          {"disk.gz", pack(t, "gz", strings.NewReader("hello\n")), "new/name.img", "new/name.img"},
		"wrong ending":  {"disk.xz", pack(t, "gz", strings.NewReader("hello\n")), "disk", "disk"},
		"tar":           {"all.tar", tarOf(t, "a/disk.img", "link:evil"), "", "a/disk.img"},
		"tar.gz":        {"all.tar.gz", pack(t, "gz", strings.NewReader(tarOf(t, "disk.img"))), "out", "out/disk.img"},
		"tar.xz":        {"all.txz", pack(t, "xz", strings.NewReader(tarOf(t, "./disk.img"))), "", "disk.img"},
		"zip":           {"all.zip", zipOf(t, "d/disk.img"), "out/", "out/d/disk.img"},
		"absolute name": {"all.tar", tarOf(t, "/disk.img"), "", "disk.img"},
	} {
		t.Run(name, func(t *testing.T) {
			im, _ := newImage(t)
			write(t, filepath.Join(im.TmpDir, tt.file), tt.content)
			if err := callback(t, "unarchive", "src", tt.file, "dest", tt.dest).Run(t.Context(), im); err != nil {
				t.Fatal(err)
			}
			if got := read(t, filepath.Join(im.TmpDir, tt.want)); got != "hello\n" {
				t.Errorf("got %q", got)
			}
			if _, err := os.Lstat(filepath.Join(im.TmpDir, "evil")); err == nil {
				t.Error("a link was unpacked")
			}
		})
	}
}

func TestUnarchiveRefuses(t *testing.T) {
	bomb := func(kind string) string { return pack(t, kind, io.LimitReader(zeros{}, 8<<20)) }
	many := make([]string, maxEntries+1)
	for i := range many {
		many[i] = "link:x"
	}
	for name, tt := range map[string]struct{ content, want string }{
		"gz bomb":        {bomb("gz"), "more than 1048576 bytes"},
		"xz bomb":        {bomb("xz"), "more than 1048576 bytes"},
		"zst bomb":       {bomb("zst"), "more than 1048576 bytes"},
		"nested tar":     {pack(t, "gz", strings.NewReader(tarOf(t, "../../etc/passwd"))), "leads out of the folder"},
		"tar up":         {tarOf(t, "../x"), "leads out of the folder"},
		"zip up":         {zipOf(t, "../x"), "leads out of the folder"},
		"zip up windows": {zipOf(t, `..\x`), "no path"},
		"many entries":   {tarOf(t, many...), "more than 20000 entries"},
		"not an archive": {"hello", "no gz, xz"},
		"cut off":        {bomb("gz")[:100], "EOF"},
		"empty":          {"", "no gz, xz"},
	} {
		t.Run(name, func(t *testing.T) {
			im, _ := newImage(t)
			write(t, filepath.Join(im.TmpDir, "in.gz"), tt.content)
			most := int64(1 << 20)
			if name == "many entries" {
				most <<= 10 // their headers alone are more
			}
			err := callback(t, "unarchive", "src", "in.gz", "dest", "out", "max_size", most).Run(t.Context(), im)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			left, _ := os.ReadDir(im.TmpDir)
			if len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestUnarchiveMissingFileIsAnError(t *testing.T) {
	im, _ := newImage(t)
	if err := callback(t, "unarchive", "src", "nothing.gz").Run(t.Context(), im); err == nil || !strings.Contains(err.Error(), `"nothing.gz" is not on`) {
		t.Errorf("got %v", err)
	}
}

func TestMeterStopsFloods(t *testing.T) {
	m := &meter{in: 1000, most: 1 << 40, plain: zeros{}}
	if _, err := io.Copy(io.Discard, m); err == nil || m.out > freeRatio+1<<20 {
		t.Errorf("%d bytes came out, %v", m.out, err)
	}
}
