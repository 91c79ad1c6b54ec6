package callbacks

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"farm/engine"
)

// server serves one file with ETag and Range, and misbehaves on demand.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	content  string
	etag     string
	cutAt    []int // each answer ends after so many bytes, one entry used an answer
	down     bool
	requests []string // "GET bytes=4-"
	sums     string   // content of /SUMS
}

func newServer(t *testing.T, content string) *server {
	s := &server{content: content, etag: `"v1"`}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, strings.TrimSpace(r.Method+" "+r.Header.Get("Range")))
	switch {
	case s.down:
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	case r.URL.Path == "/SUMS":
		io.WriteString(w, s.sums)
		return
	case r.URL.Path != "/disk.img":
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", s.etag)
	content := bytes.NewReader([]byte(s.content))
	if len(s.cutAt) > 0 && r.Method == "GET" {
		w = &cutter{w, s.cutAt[0]}
		s.cutAt = s.cutAt[1:]
	}
	http.ServeContent(w, r, "", time.Time{}, content)
}

// cutter breaks the connection off after n bytes.
type cutter struct {
	http.ResponseWriter
	n int
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) > c.n {
		c.ResponseWriter.Write(b[:c.n])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.n -= len(b)
	return c.ResponseWriter.Write(b)
}

func sum256(text string) string { s := sha256.Sum256([]byte(text)); return hex.EncodeToString(s[:]) }
func sum512(text string) string { s := sha512.Sum512([]byte(text)); return hex.EncodeToString(s[:]) }

func count(requests []string, prefix string) (n int) {
	for _, r := range requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

const content = "the content of a disk, quite short\n"

func TestFetchDownloadsOnceAndRevalidates(t *testing.T) {
	s := newServer(t, content)
	im, _ := newImage(t)
	for range 3 {
		if err := callback(t, "fetch", "src", s.URL+"/disk.img", "dest", "new/a.img").Run(t.Context(), im); err != nil {
			t.Fatal(err)
		}
		if got := read(t, filepath.Join(im.TmpDir, "new/a.img")); got != content {
			t.Fatalf("got %q", got)
		}
	}
	if n := count(s.requests, "GET"); n != 1 {
		t.Errorf("downloaded %d times: %v", n, s.requests)
	}
	s.content, s.etag = "the new content of a disk, as short\n", `"v2"`
	if err := callback(t, "fetch", "src", s.URL+"/disk.img").Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(im.TmpDir, "disk.img")); got != s.content {
		t.Errorf("a new version was not fetched: %q", got)
	}
}

func TestFetchWithoutVersionsDownloadsAgain(t *testing.T) {
	s := newServer(t, content)
	s.etag = ""
	im, _ := newImage(t)
	for range 2 {
		if err := callback(t, "fetch", "src", s.URL+"/disk.img").Run(t.Context(), im); err != nil {
			t.Fatal(err)
		}
		s.content = strings.ToUpper(content) // of the same size
	}
	if got := read(t, filepath.Join(im.TmpDir, "disk.img")); got != s.content {
		t.Errorf("a file of the same size was taken for the same file: %q", got)
	}
}

func TestFetchResumes(t *testing.T) {
	s := newServer(t, content)
	s.cutAt = []int{5, 7}
	im, _ := newImage(t)
	if err := callback(t, "fetch", "src", s.URL+"/disk.img").Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(im.TmpDir, "disk.img")); got != content {
		t.Errorf("got %q", got)
	}
	if count(s.requests, "GET bytes=5-") != 1 || count(s.requests, "GET bytes=12-") != 1 {
		t.Errorf("requests: %v", s.requests)
	}
}

func TestFetchResumesAcrossRunsOnlyTheSameVersion(t *testing.T) {
	s := newServer(t, content)
	s.cutAt = []int{5}
	im, _ := newImage(t)
	if err := callback(t, "fetch", "src", s.URL+"/disk.img", "retries", int64(0)).Run(t.Context(), im); err == nil {
		t.Fatal("a broken download passed")
	}
	s.content, s.etag = "another content", `"v2"`
	if err := callback(t, "fetch", "src", s.URL+"/disk.img").Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(im.TmpDir, "disk.img")); got != s.content {
		t.Errorf("two versions were mixed: %q", got)
	}
}

func TestFetchWrongChecksumNeverLands(t *testing.T) {
	s := newServer(t, content)
	im, _ := newImage(t)
	err := callback(t, "fetch", "src", s.URL+"/disk.img", "sha256", sum256("other")).Run(t.Context(), im)
	if err == nil || !strings.Contains(err.Error(), "checksum is sha256:"+sum256(content)) {
		t.Fatalf("got %v", err)
	}
	files, _ := os.ReadDir(im.Cache)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".json") {
			t.Errorf("in the cache: %s", f.Name())
		}
	}
	if _, err := os.Stat(filepath.Join(im.TmpDir, "disk.img")); err == nil {
		t.Error("the file is in the work folder")
	}
}

func TestFetchTakesMirrors(t *testing.T) {
	bad, good := newServer(t, "forged"), newServer(t, content)
	im, _ := newImage(t)
	err := callback(t, "fetch", "src", bad.URL+"/disk.img", "sha512", sum512(content),
		"mirrors", []any{bad.URL + "/missing.img", good.URL + "/disk.img"}).Run(t.Context(), im)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(im.TmpDir, "disk.img")); got != content {
		t.Errorf("got %q", got)
	}
}

func TestFetchChecksPublishedList(t *testing.T) {
	s := newServer(t, content)
	s.sums = sum256("x") + "  other.img\n" + sum256(content) + " *disk.img\n"
	im, _ := newImage(t)
	cb := callback(t, "fetch", "src", s.URL+"/disk.img", "checksum", "sha256:"+s.URL+"/SUMS")
	key, err := cb.(engine.Keyed).Key(t.Context(), im)
	if err != nil || key != "sha256:"+sum256(content) {
		t.Fatalf("Key: %q, %v", key, err)
	}
	if err := cb.Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	s.sums = strings.ReplaceAll(s.sums, sum256(content), sum256("forged"))
	if err := cb.Run(t.Context(), im); err == nil {
		t.Error("a file that the list does not know passed")
	}
}

func TestFetchUsesCacheWhenServerIsDown(t *testing.T) {
	for name, args := range map[string][]any{"by version": nil, "by list": {"checksum", "/SUMS"}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, content)
			s.sums = sum256(content) + "  disk.img\n"
			im, events := newImage(t)
			all := []any{"src", s.URL + "/disk.img", "retries", int64(1)}
			if args != nil {
				all = append(all, args[0], s.URL+args[1].(string))
			}
			cb := callback(t, "fetch", all...)
			key, err := cb.(engine.Keyed).Key(t.Context(), im)
			if err != nil {
				t.Fatal(err)
			}
			if err := cb.Run(t.Context(), im); err != nil {
				t.Fatal(err)
			}
			s.down = true
			again, err := cb.(engine.Keyed).Key(t.Context(), im)
			if err != nil || again != key {
				t.Errorf("Key with the server down: %q, then %q, %v", key, again, err)
			}
			if err := cb.Run(t.Context(), im); err != nil {
				t.Fatal(err)
			}
			if !events.has(engine.Warning, "uses the") {
				t.Error("no warning that the copy may be old")
			}
			im.Offline, s.requests = true, nil
			if err := cb.Run(t.Context(), im); err != nil || len(s.requests) != 0 {
				t.Errorf("offline: %v, requests %v", err, s.requests)
			}
		})
	}
}

func TestFetchRefuses(t *testing.T) {
	s := newServer(t, content)
	for name, tt := range map[string]struct {
		args    []any
		offline bool
		want    string
	}{
		"not found":        {[]any{"src", s.URL + "/nothing"}, false, "404 Not Found"},
		"offline":          {[]any{"src", s.URL + "/disk.img"}, true, "--offline forbids"},
		"offline list":     {[]any{"src", s.URL + "/disk.img", "checksum", s.URL + "/SUMS"}, true, "--offline forbids"},
		"bad digest":       {[]any{"src", s.URL + "/disk.img", "sha256", "abc"}, false, `"abc" is no checksum`},
		"wrong length":     {[]any{"src", s.URL + "/disk.img", "checksum", "sha512:" + sum256("")}, false, "is no checksum"},
		"missing path":     {[]any{"src", "/no/such/file"}, false, `"/no/such/file"`},
		"dest escapes":     {[]any{"src", s.URL + "/disk.img", "dest", "/etc/passwd"}, false, "outside of the work folder"},
		"list without it":  {[]any{"src", s.URL + "/disk.img", "checksum", s.URL + "/disk.img"}, false, "holds no SHA-256"},
		"foreign file URL": {[]any{"src", "file://server/share"}, false, "no address of a local file"},
	} {
		t.Run(name, func(t *testing.T) {
			im, _ := newImage(t)
			im.Offline = tt.offline
			err := callback(t, "fetch", tt.args...).Run(t.Context(), im)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFetchCopiesPaths(t *testing.T) {
	im, _ := newImage(t)
	file := filepath.Join(t.TempDir(), "a disk.img")
	write(t, file, content)
	for _, src := range []string{file, "file://" + strings.ReplaceAll(file, " ", "%20")} {
		cb := callback(t, "fetch", "src", src, "dest", "x.img", "sha256", sum256(content))
		if err := cb.Run(t.Context(), im); err != nil {
			t.Fatal(err)
		}
		if got := read(t, filepath.Join(im.TmpDir, "x.img")); got != content {
			t.Errorf("got %q", got)
		}
		if key, err := cb.(engine.Keyed).Key(t.Context(), im); err != nil || !strings.Contains(key, "a disk.img") {
			t.Errorf("Key: %q, %v", key, err)
		}
	}
	if err := callback(t, "fetch", "src", file, "sha256", sum256("")).Run(t.Context(), im); err == nil {
		t.Error("a wrong checksum passed")
	}
}

// controllerOnly is a host that does not have the controller's files.
type controllerOnly struct {
	engine.Conn
	hidden string
}

func (c controllerOnly) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	for i, a := range cmd.Argv {
		if strings.HasPrefix(a, c.hidden) {
			cmd.Argv = append([]string(nil), cmd.Argv...)
			cmd.Argv[i] = "/nonexistent"
		}
	}
	return c.Conn.Exec(ctx, cmd)
}

func TestFetchSendsControllersFile(t *testing.T) {
	im, _ := newImage(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "disk.img"), content)
	im.Conn = controllerOnly{im.Conn, dir}
	if err := callback(t, "fetch", "src", filepath.Join(dir, "disk.img")).Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(im.TmpDir, "disk.img")); got != content {
		t.Errorf("got %q", got)
	}
}

// ftpServer serves one file to one client after the other; the first transfer ends early.
func ftpServer(t *testing.T, content string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for first := true; ; {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if serveFTP(conn, content, first) {
				first = false
			}
		}
	})
	return "ftp://" + l.Addr().String()
}

func serveFTP(conn net.Conn, content string, cut bool) (sent bool) {
	defer conn.Close()
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	data, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return false
	}
	defer data.Close()
	offset := 0
	say("220 ready")
	for in := bufio.NewScanner(conn); in.Scan(); {
		verb, arg, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "USER":
			say("331 password")
		case "PASS":
			say("230 in")
		case "TYPE":
			say("200 ok")
		case "SIZE":
			say("213 %d", len(content))
		case "MDTM":
			say("213 20260101000000")
		case "EPSV":
			say("229 Entering (|||%d|)", data.Addr().(*net.TCPAddr).Port)
		case "REST":
			fmt.Sscan(arg, &offset)
			say("350 ok")
		case "RETR":
			c, err := data.Accept()
			if err != nil {
				return false
			}
			say("150 here")
			part := content[offset:]
			if cut {
				part = part[:len(part)/2]
			}
			io.WriteString(c, part)
			c.Close()
			say("226 done")
			return true
		default:
			say("502 what")
		}
	}
	return false
}

func TestFetchFTPResumes(t *testing.T) {
	im, _ := newImage(t)
	addr := ftpServer(t, content)
	cb := callback(t, "fetch", "src", addr+"/pub/disk.img", "sha256", sum256(content))
	if err := cb.Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(im.TmpDir, "disk.img")); got != content {
		t.Errorf("got %q", got)
	}
}

func TestFindChecksum(t *testing.T) {
	a, b, b512 := sum256("a"), sum256("b"), sum512("b")
	for name, tt := range map[string]struct{ list, file, want, err string }{
		"coreutils":        {a + "  a.img\n" + b + "  b.img\n", "b.img", "sha256:" + b, ""},
		"coreutils binary": {b + " *./dir/b.img\n", "b.img", "sha256:" + b, ""},
		"sha512":           {b512 + "  b.img\n", "b.img", "sha512:" + b512, ""},
		"bsd":              {"SHA256 (a.img) = " + a + "\nSHA256 (b.img) = " + strings.ToUpper(b) + "\n", "b.img", "sha256:" + b, ""},
		"fedora": {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# b.img: 3 bytes\nSHA256 (b.img) = " + b +
			"\n-----BEGIN PGP SIGNATURE-----\n\niQIzBAEB\n-----END PGP SIGNATURE-----\n", "b.img", "sha256:" + b, ""},
		"longest wins":     {b + "  b.img\n" + b512 + "  b.img\n", "b.img", "sha512:" + b512, ""},
		"alone":            {b + "\n", "b.img", "sha256:" + b, ""},
		"tab":              {b + "\tb.img\n", "b.img", "sha256:" + b, ""},
		"crlf":             {b + "  b.img\r\n", "b.img", "sha256:" + b, ""},
		"another file":     {a + "  b.imgs\n", "b.img", "", `did you mean "b.imgs"?`},
		"two alone":        {a + "\n" + b + "\n", "b.img", "", "no SHA-256"},
		"md5":              {"d41d8cd98f00b204e9800998ecf8427e  b.img\n", "b.img", "", "no SHA-256"},
		"bsd wrong length": {"SHA512 (b.img) = " + b + "\n", "b.img", "", "no SHA-256"},
		"a page":           {"<html>", "b.img", "", "no SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := findChecksum(tt.list, tt.file)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestFetchWithoutVersionsNeverResumes(t *testing.T) {
	s := newServer(t, content)
	s.etag, s.cutAt = "", []int{5}
	im, _ := newImage(t)
	if err := callback(t, "fetch", "src", s.URL+"/disk.img", "sha256", sum256(content), "retries", int64(0)).Run(t.Context(), im); err == nil {
		t.Fatal("a broken download passed")
	}
	s.content = strings.ToUpper(content)
	if err := callback(t, "fetch", "src", s.URL+"/disk.img", "sha256", sum256(s.content), "retries", int64(0)).Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if n := count(s.requests, "GET bytes="); n != 0 {
		t.Errorf("resumed %d times: %v", n, s.requests)
	}
}

func TestFetchStartsOverAfterAWrongResume(t *testing.T) {
	s := newServer(t, content)
	s.cutAt = []int{5}
	im, _ := newImage(t)
	if err := callback(t, "fetch", "src", s.URL+"/disk.img", "sha256", sum256(content), "retries", int64(0)).Run(t.Context(), im); err == nil {
		t.Fatal("a broken download passed")
	}
	// Another file under the same ETag: the server's word is not enough.
	s.content = strings.ToUpper(content)
	if err := callback(t, "fetch", "src", s.URL+"/disk.img", "sha256", sum256(s.content), "retries", int64(0)).Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if count(s.requests, "GET bytes=5-") != 1 || count(s.requests, "GET") != 3 {
		t.Errorf("requests: %v", s.requests)
	}
}

func TestFetchKeyWithoutVersionsIsNotTheLength(t *testing.T) {
	s := newServer(t, content)
	s.etag = ""
	im, events := newImage(t)
	key, err := callback(t, "fetch", "src", s.URL+"/disk.img").(engine.Keyed).Key(t.Context(), im)
	if err != nil || strings.Contains(key, "bytes") || !strings.Contains(key, thisRun) {
		t.Errorf("Key: %q, %v", key, err)
	}
	if !events.has(engine.Warning, "give a checksum") {
		t.Error("no warning")
	}
}
