package images

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"farm/engine"
)

// worker is a process of a work folder that has left its session, with one that it started.
type worker struct {
	cmd  *exec.Cmd
	over chan struct{}
}

// work starts script in a session of its own, once it has printed a line.
func work(t *testing.T, script string, env ...string) worker {
	t.Helper()
	w := worker{exec.Command("/bin/sh", "-c", script), make(chan struct{})}
	w.cmd.Env = append(os.Environ(), env...)
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	r, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(r)
	if _, err := out.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	go func() {
		out.ReadString(0) // it ends when all that have the pipe have ended
		w.cmd.Wait()
		close(w.over)
	}()
	t.Cleanup(func() { syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL); <-w.over })
	return w
}

// ended waits until the worker and what it started are gone.
func (w worker) ended(t *testing.T) {
	t.Helper()
	select {
	case <-w.over:
	case <-time.After(30 * time.Second):
		t.Error("it was not ended")
	}
}

func (w worker) runs() bool {
	select {
	case <-w.over:
		return false
	default:
		return true
	}
}

// names are those of the folders that were swept, and the commands of programs, without their numbers.
func names(all []Swept) (list []string) {
	for _, w := range all {
		if w.Programs == nil {
			list = append(list, w.Name)
		}
		for _, p := range w.Programs {
			comm, _, _ := strings.Cut(p, " (")
			list = append(list, w.Name+": "+comm)
		}
	}
	return list
}

func half(t *testing.T, s *Store, name string) string {
	t.Helper()
	dir := filepath.Join(s.Dir(), "tmp", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDropRemovesWhatIsNamedOutside(t *testing.T) {
	s := open(t, newHost(t))
	dir := half(t, s, strings.Repeat("a", 64)+".x")
	beside, err := os.MkdirTemp("/tmp", "farm-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(beside) })
	mine := t.TempDir()
	if err := os.MkdirAll(filepath.Join(beside, "root", "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	list := strings.Join([]string{mine, beside + "/../" + filepath.Base(mine), "/tmp/farm-none", beside, ""}, "\n")
	if err := os.WriteFile(filepath.Join(dir, "outside"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.drop(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for path, stays := range map[string]bool{mine: true, beside: false, dir: false} {
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSweepEndsWhatStillWorks(t *testing.T) {
	s := open(t, newHost(t))
	name := strings.Repeat("d", 64) + ".X"
	dir := half(t, s, name)
	const forks = `sleep 100 & env -u FARM_WORK sleep 100 & echo; wait`
	dead := work(t, forks, "FARM_WORK="+dir)
	others := []worker{
		work(t, forks),
		work(t, forks, "FARM_WORK="+dir+"_"), // no name that farm gives
		work(t, forks, "FARM_WORK="+filepath.Dir(dir)),
		work(t, forks, "NOT_FARM_WORK="+dir),
		work(t, "echo; exec sleep 100 # FARM_WORK="+dir),
	}
	if got, err := s.Sweep(t.Context(), true); err != nil || !slices.Equal(names(got), []string{name}) || !dead.runs() {
		t.Fatalf("dry: %q, %v, the process runs: %v", got, err, dead.runs())
	}
	if got, err := s.Sweep(t.Context(), false); err != nil || !slices.Equal(names(got), []string{name}) {
		t.Fatalf("%q, %v", got, err)
	}
	dead.ended(t)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
	for i, w := range others {
		if !w.runs() {
			t.Errorf("process %d of others was ended", i)
		}
	}
}

func TestDropInsists(t *testing.T) {
	s := open(t, newHost(t))
	dir := half(t, s, "deaf")
	deaf := work(t, `trap "" TERM; echo; while :; do sleep 1; done`, "FARM_WORK="+dir)
	hurried := strings.Replace(dropScript, "patience=100", "patience=1", 1)
	if hurried == dropScript {
		t.Fatal("the script has another patience")
	}
	if _, err := s.sh(t.Context(), hurried+`drop "$1"`, dir); err != nil {
		t.Fatal(err)
	}
	deaf.ended(t)
}

func TestSweepLeavesWorkOfOtherSystems(t *testing.T) {
	s := open(t, newHost(t))
	dir := half(t, s, strings.Repeat("e", 64)+".X")
	if err := os.WriteFile(filepath.Join(dir, "system"), []byte("another host "), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Sweep(t.Context(), false); err != nil || len(got) != 0 {
		t.Errorf("swept %q, %v", got, err)
	}
	old := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(dir, old, old); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Sweep(t.Context(), false); err != nil || len(got) != 1 {
		t.Errorf("a day later: swept %q, %v", got, err)
	}
}

func TestFailedPreparationEndsWhatItStarted(t *testing.T) {
	s := open(t, newHost(t))
	var left worker
	p := preparation(func(ctx context.Context, im *engine.Image) error {
		out, err := im.Conn.Exec(ctx, engine.Cmd{Argv: []string{"sh", "-c", `printf %s "$FARM_WORK"`}})
		if err != nil {
			return err
		}
		mark := string(out.Stdout)
		if filepath.Dir(im.TmpDir) != mark || filepath.Dir(im.PoolDir) != mark {
			t.Errorf("the mark is %q in %q", mark, im.TmpDir)
		}
		left = work(t, "sleep 100 & echo; wait", "FARM_WORK="+mark)
		return errors.New("no image today")
	})
	if _, err := s.Base(t.Context(), p); err == nil || !strings.Contains(err.Error(), "no image today") {
		t.Fatal(err)
	}
	left.ended(t)
}

func TestPreparationEndsWhatCallbacksLeftRunning(t *testing.T) {
	s := open(t, newHost(t))
	var left, freed, other worker
	var tmp string
	p := preparation(func(ctx context.Context, im *engine.Image) error {
		tmp = filepath.Dir(im.TmpDir)
		left = work(t, "echo; setsid sleep 100 & wait", "FARM_WORK="+tmp)
		freed = work(t, "exec env -u FARM_WORK sh -c 'echo; exec sleep 100'", "FARM_WORK="+tmp)
		other = work(t, "echo; exec sleep 100", "FARM_WORK="+half(t, s, strings.Repeat("b", 64)+".Y"))
		_, err := im.Conn.Exec(ctx, engine.Cmd{Script: "setsid sleep 100 >/dev/null 2>&1 </dev/null & echo $! >" + filepath.Join(s.Dir(), "pid")})
		return err
	})
	base(t, s, p)
	left.ended(t)
	if !freed.runs() || !other.runs() {
		t.Errorf("the one without mark runs: %v, that of another folder: %v", freed.runs(), other.runs())
	}
	pid, err := os.ReadFile(filepath.Join(s.Dir(), "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if env, _ := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/environ"); strings.Contains(string(env), tmp) {
		t.Error("what the callback's command started goes on")
	}
	if _, err := os.Stat(tmp); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
}

func TestSweepEndsProgramsWhoseFolderIsGone(t *testing.T) {
	h := newHost(t)
	key := strings.Repeat("c", 64)
	mine := filepath.Join(h.home, "farm", "tmp", key+".MINE")
	t.Setenv("FARM_WORK", mine) // what asks was itself started by a callback
	s := open(t, h)
	release, err := s.lockLayer(t.Context(), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	there := half(t, s, key+".X")
	gone := there + "Y"
	const rest = "echo; exec sleep 100"
	bare := func(env, script string) worker {
		return work(t, "exec env -u FARM_WORK "+env+" sh -c '"+script+"'", "FARM_WORK="+gone)
	}
	stray := work(t, "sleep 100 & echo; wait", "FARM_WORK="+gone)
	others := map[string]worker{
		"without mark":            bare("", rest),
		"of a folder in use":      work(t, rest, "FARM_WORK="+there),
		"of another store":        work(t, rest, "FARM_WORK="+filepath.Join(t.TempDir(), "tmp", filepath.Base(gone))),
		"of a folder further in":  work(t, rest, "FARM_WORK="+gone+"/work"),
		"of all folders":          work(t, rest, "FARM_WORK="+filepath.Dir(gone)+"/"),
		"with another variable":   bare("NOT_FARM_WORK="+gone, rest),
		"with lines in a value":   bare("X='\nFARM_WORK="+gone+"'", rest),
		"with the asker's mark":   work(t, rest),
		"with the mark elsewhere": bare("", rest+" # FARM_WORK="+gone),
	}
	want := []string{filepath.Base(gone) + ": sh", filepath.Base(gone) + ": sleep"}
	for _, dry := range []bool{true, false} {
		got, err := s.Sweep(t.Context(), dry)
		told := names(got)
		slices.Sort(told)
		if err != nil || !slices.Equal(told, want) || len(got) != 1 {
			t.Fatalf("dry %v: %q, not %q, %v", dry, told, want, err)
		}
		if dry && !stray.runs() {
			t.Fatal("a dry sweep ended it")
		}
	}
	stray.ended(t)
	for what, w := range others {
		if !w.runs() {
			t.Errorf("a program %s was ended", what)
		}
	}
	if got, err := s.Sweep(t.Context(), false); err != nil || len(got) > 0 {
		t.Errorf("afterwards: %q, %v", names(got), err)
	}
}

func TestSweptFromKeepsTerminalsSafe(t *testing.T) {
	got := sweptFrom("a.X\nb.Y\t7\tsl\x1bep\nb.Y\t8\t\nc.Z\t9\ttwo words\n")
	want := []Swept{{Name: "a.X"}, {"b.Y", []string{"sl?ep (7)", "? (8)"}}, {"c.Z", []string{"two words (9)"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, not %q", got, want)
	}
}
