package callbacks

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
)

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
		"dest climbs":      {[]any{"src", s.URL + "/disk.img", "dest", "a/../../../x"}, false, `"a/../../../x" is outside of the work folder; use a path below it`},
		"dest is above":    {[]any{"src", s.URL + "/disk.img", "dest", "../"}, false, "outside of the work folder"},
		"src climbs":       {[]any{"src", "../x"}, false, "outside of the work folder"},
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
