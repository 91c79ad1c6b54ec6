package modules

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/enginetest"
	"farm/engine/local"
	"farm/inventory/value"
)

// residents is a connection whose resident program runs from the first question on.
type residents struct {
	engine.Conn
	did   []string // functions, in hex, that it has done without the script
	loses bool     // its answers do not arrive
	never bool     // it is not there
}

func (c *residents) Keep(ctx context.Context, b *engine.Become, argv []string) (engine.Kept, bool) {
	keeper := c.Conn.(engine.Keeper)
	if !slices.Equal(argv, residentCommand) {
		return keeper.Keep(ctx, b, argv)
	}
	if c.never {
		return nil, false
	}
	for range 10000 {
		if k, ok := keeper.Keep(ctx, b, argv); ok {
			return &residentKept{k, c}, true
		}
		<-time.After(time.Millisecond)
	}
	return nil, false
}

type residentKept struct {
	engine.Kept
	c *residents
}

func (k *residentKept) Ask(ctx context.Context, question, end string) (string, error) {
	said, err := k.Kept.Ask(ctx, question, end)
	function := strings.Fields(question)[1]
	k.c.never = err != nil
	if err == nil && !strings.Contains(said, "\x1epass=") && !strings.Contains(said, "\x1eabsent=") {
		k.c.did = append(k.c.did, function)
	}
	if k.c.loses && function == "707574" { // put
		return "", errors.New("lost")
	}
	return said, err
}

const awakeResident = "FARM_TEST_RESIDENT" // set where benches have a resident program from the first task on

func (b *bench) withResident() {
	if os.Getenv(awakeResident) != "" {
		b.wakeResident()
	}
}

func (b *bench) wakeResident() *residents {
	c := &residents{Conn: b.task.Conn}
	b.task.Conn = c
	b.task.State["asked of the resident program"] = residentAfter
	return c
}

// What the modules' own tests ask of the scripts the resident program does as well.
func TestUnderResident(t *testing.T) {
	enginetest.Need(t, "perl")
	t.Setenv(awakeResident, "1")
	for name, test := range map[string]func(*testing.T){
		"Stat": TestStatTells, "Content": TestCopyContent, "Copy": TestCopyFile, "CopyLink": TestCopyReplacesOrFollowsALink,
		"CopyFolder": TestCopyFolder, "Template": TestTemplateRenders,
	} {
		t.Run(name, test)
	}
}

func TestResidentTellsWhatTheScriptTells(t *testing.T) {
	enginetest.Need(t, "perl")
	b := newBench(t)
	c := b.wakeResident()
	stat := func(path string) *value.Dict {
		m := &Stat{Path: path, GetChecksum: true, Algorithm: "sha256"}
		r, err := m.Run(b.Context(), b.task)
		if err != nil || r.Failed {
			t.Fatalf("%q: %v %s", path, err, r.Msg)
		}
		v, _ := r.Values.Get("stat")
		d := v.(*value.Dict)
		d.Delete("atime") // one may read what the other tells of
		return d
	}
	b.write("large", strings.Repeat("x", smallFile+1))
	b.write("most", strings.Repeat("x", smallFile))
	plain := 0
	for _, path := range append(manyKinds(t, b.dir), b.dir+"/large", b.dir+"/most", b.dir+"/nothing", b.dir+"/text/below") {
		if path == "/proc/self/status" { // of each process its own
			continue
		}
		c.did, c.never = nil, false
		quick := stat(path)
		plain += len(c.did)
		if c.never = true; !reflect.DeepEqual(quick, stat(path)) {
			t.Errorf("%q: the program says\n%v\nthe script\n%v", path, quick, stat(path))
		}
	}
	if plain < 20 {
		t.Errorf("the program has told of %d files only", plain)
	}
}

func TestResidentWritesNewFilesAndKnowsOldOnes(t *testing.T) {
	enginetest.Need(t, "perl")
	enginetest.NeedRoot(t, "only root can give files away")
	b := newBench(t)
	c := b.wakeResident()
	binary := strings.Repeat("it's\x00\xff\n", 500)
	os.WriteFile(filepath.Join(b.source, "f"), []byte(binary), 0o600)
	for _, a := range []struct {
		args, outcome string
		quick         bool
	}{
		{"{src: " + b.source + "/f, dest: DIR/new}", "changed", true},
		{"{src: " + b.source + "/f, dest: DIR/new}", "ok", true},
		{"{content: x, dest: DIR/new}", "changed", false},
		{"{content: x, dest: DIR/private, mode: '0600'}", "changed", true},
		{"{content: x, dest: DIR/set, mode: '6755'}", "changed", true},
		{"{content: x, dest: DIR/private, mode: '0640'}", "changed", false},
		{"{content: x, dest: DIR/words, mode: 'u=rw,go='}", "changed", false},
		{"{content: x, dest: DIR/words, mode: 'u=rw,go='}", "ok", false},
		{"{content: x, dest: DIR/given, owner: daemon, group: '1', mode: '4750'}", "changed", true},
		{"{content: x, dest: DIR/given, owner: '1', group: daemon}", "ok", true},
		{"{content: x, dest: DIR/given, owner: '01'}", "changed", false}, // as the script has it
		{"{content: x, dest: DIR/given, owner: root}", "changed", false},
		{"{content: x, dest: DIR/owned, owner: daemon}", "changed", true},
		{"{content: x, dest: DIR/other, owner: no-such-user-here}", "failed", false},
		{"{content: x, dest: DIR/other, owner: '4294967297', mode: '4755'}", "failed", false},
		{"{content: x, dest: DIR/other, group: '18446744073709551616'}", "failed", false},
		{"{content: x, dest: 'DIR/new name'}", "changed", true},
	} {
		c.did = nil
		b.check("copy", a.args, a.outcome)
		if did := len(c.did) > 0; did != a.quick {
			t.Errorf("%s: done by the program: %v, want %v", a.args, did, a.quick)
		}
	}
	b.holds("new", "x", 0o644)
	b.holds("private", "x", 0o640)
	if st, err := os.Stat(b.dir + "/set"); err != nil || st.Mode() != 0o755|os.ModeSetuid|os.ModeSetgid {
		t.Errorf("set is %v, %v", st.Mode(), err)
	}
	b.holds("owned", "x", 0o644)
	b.holds("given", "x", 0o750)
	b.only("", "given", "new", "new name", "owned", "private", "set", "words")
}

// A file that may have been written by a program that gave no answer has changed.
func TestResidentThatGivesNoAnswer(t *testing.T) {
	enginetest.Need(t, "perl")
	b := newBench(t)
	b.wakeResident().loses = true
	b.check("copy", "{content: x, dest: DIR/f}", "changed")
	b.holds("f", "x", 0o644)
	b.check("stat", "{path: DIR/f, get_mime: false}", "ok")
}

// childWith is the one child of this process that was started with these arguments.
func childWith(t *testing.T, args string) (pid int) {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		line, _ := os.ReadFile(dir + "/cmdline")
		status, _ := os.ReadFile(dir + "/status")
		if !strings.HasPrefix(string(line), args) || !strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())) {
			continue
		}
		if pid != 0 {
			t.Fatalf("both %d and %s", pid, dir)
		}
		pid, _ = strconv.Atoi(filepath.Base(dir))
	}
	if pid <= 1 {
		t.Fatal("there is no such child")
	}
	return pid
}

// What is there and right has not changed, though the program ended unnoticed.
func TestResidentThatIsKilled(t *testing.T) {
	enginetest.Need(t, "perl")
	b := newBench(t)
	c := b.wakeResident()
	b.check("copy", "{content: x, dest: DIR/f}", "changed")
	if b.check("copy", "{content: x, dest: DIR/f}", "ok"); len(c.did) != 2 {
		t.Fatalf("the program did %v", c.did)
	}
	if err := syscall.Kill(childWith(t, "perl\x00-e\x00"+residentText), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r := b.check("copy", "{content: x, dest: DIR/f}", "ok")
	b.values(r, "path", b.dir+"/f")
	b.check("copy", "{content: x, dest: DIR/f}", "ok")
}

// Where there is no program file stat says nothing of types, and where one comes it does.
func TestResidentNeedsNoProgramFile(t *testing.T) {
	enginetest.Need(t, "perl", "file")
	b := newBench(t)
	os.Mkdir(b.dir+"/bin", 0o755)
	for _, name := range []string{"env", "perl", "stat", "sha1sum", "readlink", "sed"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		os.Symlink(path, b.dir+"/bin/"+name)
	}
	real, _ := exec.LookPath("file")
	t.Setenv("PATH", b.dir+"/bin")
	conn := local.New()
	t.Cleanup(func() { conn.Close() })
	b.task.Conn = conn
	c := b.wakeResident()
	b.write("f", "text\n")
	for range 4 {
		if got := b.mime(b.dir + "/f"); got != "" {
			t.Errorf("without file: %q", got)
		}
	}
	if len(c.did) == 0 {
		t.Error("the program told nothing")
	}
	os.Symlink(real, b.dir+"/bin/file")
	if got := b.mime(b.dir + "/f"); got != "text/plain; charset=us-ascii" {
		t.Errorf("with file: %q", got)
	}
}

// A zero byte ends a name for Perl's lstat.
func TestResidentIsNotAskedOfNamesThatAreNone(t *testing.T) {
	b := newBench(t)
	c := b.wakeResident()
	m := &Stat{Path: "/etc/passwd\x00x", Algorithm: "sha1"}
	if r, err := m.Run(b.Context(), b.task); err == nil && !r.Failed || len(c.did) > 0 {
		t.Errorf("%v %v, done by the program: %v", r, err, c.did)
	}
}

// Machines without Perl have the scripts.
func TestScriptsDoWithoutPerl(t *testing.T) {
	b := newBench(t)
	command := residentCommand
	defer func() { residentCommand = command }()
	residentCommand = []string{"no-such-perl"}
	c := b.wakeResident()
	for range 3 {
		b.check("stat", "{path: DIR, get_mime: false}", "ok")
	}
	b.check("copy", "{content: x, dest: DIR/f}", "changed")
	b.check("copy", "{content: x, dest: DIR/f}", "ok")
	if len(c.did) > 0 {
		t.Error("it was asked")
	}
}
