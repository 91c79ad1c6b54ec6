package modules

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/enginetest"
	"farm/engine/local"
	"farm/inventory/value"
)

// keepers counts what the kept program file is asked.
type keepers struct {
	*local.Conn
	asked int
	fails bool // they do not answer
}

func (c *keepers) Keep(ctx context.Context, b *engine.Become, argv []string) (engine.Kept, bool) {
	k, ok := c.Conn.Keep(ctx, b, argv)
	if !slices.Equal(argv, mimeCommand) {
		return k, ok
	}
	return countedKept{k, c}, ok
}

type countedKept struct {
	engine.Kept
	c *keepers
}

func (k countedKept) Ask(ctx context.Context, question, end string) (string, error) {
	k.c.asked++
	if k.c.fails {
		return "", errors.New("no answer")
	}
	return k.Kept.Ask(ctx, question, end)
}

// newKeeping is a bench whose connection keeps file running already.
func newKeeping(t *testing.T) (*bench, *keepers) {
	enginetest.Need(t, "file")
	b := newBench(t)
	c := &keepers{Conn: b.task.Conn.(*local.Conn)}
	b.task.Conn = c
	b.keepsFile(c)
	return b, c
}

// keepsFile runs stat until a kept file is asked.
func (b *bench) keepsFile(c *keepers) {
	b.Helper()
	was := c.asked
	for began := time.Now(); c.asked == was; {
		if time.Since(began) > 20*time.Second {
			b.Fatal("file is never kept")
		}
		b.mime("/etc/passwd")
	}
}

// mime is what the module says of a file: "TYPE; charset=CHARSET", or "" where it says nothing.
func (b *bench) mime(path string) string {
	b.Helper()
	m := &Stat{Path: path, GetMime: true, Algorithm: "sha1"}
	r, err := m.Run(b.Context(), b.task)
	if err != nil || r.Failed {
		b.Fatalf("stat %q: %v, %s", path, err, r.Msg)
	}
	v, _ := r.Values.Get("stat")
	d := v.(*value.Dict)
	if !d.Has("mimetype") {
		return ""
	}
	kind, _ := d.Get("mimetype")
	charset, _ := d.Get("charset")
	return kind.(string) + "; charset=" + charset.(string)
}

// fresh is what file says of a file.
func (b *bench) fresh(path string) string {
	b.Helper()
	cmd := exec.Command("file", "-bi", "--", path)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, _ := cmd.Output()
	kind, charset, ok := strings.Cut(string(out), "; charset=")
	if !ok {
		return ""
	}
	return text(kind) + "; charset=" + text(strings.TrimSpace(charset))
}

// manyKinds makes files of every kind that can be made here, and returns their paths.
func manyKinds(t *testing.T, dir string) []string {
	t.Helper()
	contents := map[string]string{
		"empty": "", "text": "hello\n", "utf8": "häß\n", "latin1": "h\xe4\xdf\n", "utf16": "\xff\xfeh\x00i\x00\n\x00", "bom": "\xef\xbb\xbfhi\n",
		"binary": "\x00\x01\x02\xfe\xff", "zeros": strings.Repeat("\x00", 5000), "elf": "\x7fELF\x02\x01\x01\x00" + strings.Repeat("\x00", 60),
		"script": "#!/bin/sh\necho\n", "json": `{"a": [1, 2]}`, "xml": "<?xml version=\"1.0\"?><a/>", "gz": "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
		"fat":  "\xca\xfe\xba\xbe\x00\x00\x00\x02" + strings.Repeat("\x01\x00\x00\x07\x00\x00\x00\x03\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00\x00\x0c", 2) + strings.Repeat("\x00", 5000),
		"crlf": "a\r\nb\r\n", "a b  c": "blanks\n", " lead and trail ": "x\n", "it's \"quoted\" `x` $home": "x\n", "-i": "x\n", "--help": "#!/bin/sh\n",
		"-": "x\n", "ünïcode €": "x\n", "cr\rin\r": "x\n", `back\slash\n`: "x\n", "new\nline": "x\n", "t\tab": "x\n", "\xff\xfe bad": "x\n", "*": "x\n",
		"a|b": "x\n", "a: b": "x\n", strings.Repeat("n", 250): "x\n",
	}
	var all []string
	add := func(name string) string {
		all = append(all, filepath.Join(dir, name))
		return all[len(all)-1]
	}
	for name, text := range contents {
		if err := os.WriteFile(add(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		os.Mkdir(add("folder"), 0o755), os.Symlink("text", add("link")), os.Symlink("nowhere", add("dangling")), os.Symlink("folder", add("link to folder")),
		syscall.Mkfifo(add("fifo"), 0o600), os.WriteFile(add("unreadable"), []byte("x"), 0), os.WriteFile(add("unreadable program"), []byte("x"), 0o111),
		os.Mkdir(add("sticky"), 0o755|os.ModeSticky),
	); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", add("socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	long := dir
	for range 5 {
		long += "/" + strings.Repeat("d", 240)
	}
	if err := errors.Join(os.MkdirAll(long, 0o755), os.WriteFile(long+"/f", []byte("{}"), 0o644)); err != nil {
		t.Fatal(err)
	}
	return append(all, long+"/f", "/dev/null", "/dev/zero", "/proc/self/status", "/proc/1/environ", "/etc/passwd", "/bin/sh", "/", dir+"/./text", "/"+dir+"//text")
}

func TestKeptFileAnswersAsANewOne(t *testing.T) {
	b, c := newKeeping(t)
	for _, path := range manyKinds(t, b.dir) {
		was := c.asked
		if got, want := b.mime(path), b.fresh(path); got != want {
			t.Errorf("%q: kept %q, new %q", path, got, want)
		}
		if able := !strings.Contains(path, "\n") && len(path) <= maxAsked; able != (c.asked > was) {
			t.Errorf("%q: a kept file was asked %d times", path, c.asked-was)
		}
	}
	for _, args := range []string{"{path: DIR/link, follow: true}", "{path: DIR/text, get_mime: false}"} {
		was := c.asked
		if b.check("stat", args, "ok"); c.asked > was {
			t.Errorf("%s: a kept file was asked", args)
		}
	}
	b.task.Env = map[string]string{"MAGIC": "/nonexistent"}
	was := c.asked
	b.mime(b.dir + "/text")
	if c.asked > was {
		t.Error("a kept file was asked in another environment")
	}
}

// A file that is missing tells nothing of file's database.
func TestFileIsKeptAfterMissingFiles(t *testing.T) {
	enginetest.Need(t, "file")
	b := newBench(t)
	c := &keepers{Conn: b.task.Conn.(*local.Conn)}
	b.task.Conn = c
	for range 3 {
		b.mime(b.dir + "/missing")
	}
	b.keepsFile(c)
}

func TestKeptFileSeesWhatAFileIsNow(t *testing.T) {
	b, c := newKeeping(t)
	for i, content := range []string{"", "text\n", "\x7fELF\x02\x01\x01\x00" + strings.Repeat("\x00", 60), "#!/bin/sh\n", "häß\n"} {
		b.write("f", content)
		was := c.asked
		if got, want := b.mime(b.dir+"/f"), b.fresh(b.dir+"/f"); got != want || c.asked == was {
			t.Errorf("%d: %q after %d questions, want %q", i, got, c.asked-was, want)
		}
	}
}

func TestKeptFileThatFailsIsReplacedByANewOne(t *testing.T) {
	b, c := newKeeping(t)
	c.fails = true
	was := c.asked
	if got, want := b.mime("/etc/passwd"), b.fresh("/etc/passwd"); got != want || c.asked == was {
		t.Errorf("%q after %d questions, want %q", got, c.asked-was, want)
	}
}

// Where file is another program, or its database another one, the one that runs is of no use.
func TestKeptFileIsOfTheDatabaseOfNow(t *testing.T) {
	enginetest.Need(t, "file")
	real, err := exec.LookPath("file")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	home := b.dir + "/home"
	t.Setenv("HOME", home)
	t.Setenv("PATH", b.dir+"/bin:"+os.Getenv("PATH"))
	b.write("home/x", "")
	b.write("bin/file", "#!/bin/sh\nexec "+real+" \"$@\"\n")
	os.Chmod(b.dir+"/bin/file", 0o755)
	b.write("f", "FARM-MAGIC\n")
	conn := local.New()
	t.Cleanup(func() { conn.Close() })
	c := &keepers{Conn: conn}
	b.task.Conn = c
	b.keepsFile(c)
	if got := b.mime(b.dir + "/f"); got != "text/plain; charset=us-ascii" {
		t.Fatalf("at first %q", got)
	}
	b.write("home/.magic", "0\tstring\tFARM-MAGIC\tFarm\n!:mime\tapplication/x-farm\n")
	want := b.fresh(b.dir + "/f")
	if !strings.HasPrefix(want, "application/x-farm") {
		enginetest.Lacking(t, "needs a file that reads ~/.magic, as Debian's does; this one says %q", want)
	}
	if got := b.mime(b.dir + "/f"); got != want {
		t.Errorf("with another database %q, want %q", got, want)
	}
	b.keepsFile(c)
	if got := b.mime(b.dir + "/f"); got != want {
		t.Errorf("kept again: %q, want %q", got, want)
	}
	b.write("bin/new", "#!/bin/sh\necho 'x/y; charset=z'\n")
	os.Chmod(b.dir+"/bin/new", 0o755)
	os.Rename(b.dir+"/bin/new", b.dir+"/bin/file")
	if got := b.mime(b.dir + "/f"); got != "x/y; charset=z" {
		t.Errorf("by another program %q", got)
	}
}

// A file that cannot be asked, as OpenBSD's, is started each time.
func TestFileWithoutListsIsStartedEachTime(t *testing.T) {
	b := newBench(t)
	t.Setenv("PATH", b.dir+"/bin:"+os.Getenv("PATH"))
	b.write("bin/file", "#!/bin/sh\ncase $1 in -bi) echo 'x/y; charset=z' ;; *) echo usage >&2; exit 1 ;; esac\n")
	os.Chmod(b.dir+"/bin/file", 0o755)
	conn := local.New()
	t.Cleanup(func() { conn.Close() })
	c := &keepers{Conn: conn}
	b.task.Conn = c
	b.keepsFile(c)
	for range 3 {
		if got := b.mime("/etc/passwd"); got != "x/y; charset=z" || c.asked != 1 {
			t.Errorf("%q after %d questions", got, c.asked)
		}
	}
}

func TestKeptFileReadsAsItsUser(t *testing.T) {
	enginetest.NeedRoot(t, "only root can become another user without a password")
	enginetest.Need(t, "su")
	b, c := newKeeping(t)
	os.Chmod(b.dir, 0o755)
	os.Chmod(filepath.Dir(b.dir), 0o755)
	b.write("secret", "x")
	os.Chmod(b.dir+"/secret", 0)
	b.write("open", "x\n")
	asRoot := b.mime(b.dir + "/secret")
	b.task.Become = &engine.Become{User: "nobody", Method: "su"}
	b.keepsFile(c)
	for _, name := range []string{"open", "secret"} {
		out, err := exec.Command("su", "nobody", "-s", "/bin/sh", "-c", "LC_ALL=C file -bi "+b.dir+"/"+name).Output()
		want, was := strings.TrimSpace(string(out)), c.asked
		if !strings.Contains(want, "; charset=") {
			want = ""
		}
		if got := b.mime(b.dir + "/" + name); got != want || c.asked == was || err != nil {
			t.Errorf("%s: %q after %d questions, want %q, %v", name, got, c.asked-was, want, err)
		}
	}
	if asRoot == b.mime(b.dir+"/secret") {
		t.Errorf("nobody is told %q as well", asRoot)
	}
}
