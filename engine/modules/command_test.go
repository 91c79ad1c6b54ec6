package modules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestShellResult(t *testing.T) {
	b := newBench(t)
	r := b.check("shell", `"echo a; echo; echo 'b c'; echo; echo err >&2"`, "changed")
	b.values(r, "rc", 0, "stdout", "a\n\nb c", "stderr", "err", "stdout_lines", []any{"a", "", "b c"}, "stderr_lines", []any{"err"},
		"cmd", "echo a; echo; echo 'b c'; echo; echo err >&2")
	if shown := b.shown(); !strings.Contains(shown, "b c") || !strings.Contains(shown, "err") {
		t.Errorf("shown: %q", shown)
	}
	r = b.check("shell", "cmd: 'echo x; exit 3'", "failed")
	b.values(r, "rc", 3, "stdout", "x")
	if r.Msg != "non-zero return code" || !r.Changed {
		t.Errorf("%+v", r)
	}
}

func TestShellArguments(t *testing.T) {
	b := newBench(t)
	b.write("there", "")
	for args, want := range map[string]string{
		"{cmd: pwd, chdir: DIR}":                                          b.dir,
		"{cmd: cat, stdin: hello}":                                        "hello",
		"{cmd: 'wc -c | tr -d \" \"', stdin: abc}":                        "4",
		"{cmd: 'wc -c | tr -d \" \"', stdin: abc, stdin_add_newline: no}": "3",
		"{cmd: 'echo; echo a', strip_empty_ends: no}":                     "\na\n",
		"{cmd: 'x=(1 2); echo ${x[1]}', executable: /bin/bash}":           "2",
	} {
		b.values(b.check("shell", args, "changed"), "stdout", want)
	}
	b.check("shell", "{cmd: echo, creates: DIR/the*}", "ok")
	b.check("shell", "{cmd: echo, creates: there, chdir: DIR}", "ok")
	b.check("shell", "{cmd: echo, creates: DIR/none}", "changed")
	b.check("shell", "{cmd: echo, removes: DIR/none}", "ok")
	b.check("shell", "{cmd: echo, removes: DIR/there}", "changed")
	b.check("shell", "{cmd: echo, chdir: DIR/none}", "failed")
	b.dry("shell", "{cmd: touch DIR/made}", "skipped")
	b.dry("shell", "{cmd: touch DIR/made, creates: DIR/made}", "changed")
	b.only("", "there")
}

func TestCommandHasNoShell(t *testing.T) {
	b := newBench(t)
	t.Setenv("HOME", b.dir)
	b.task.Env = map[string]string{"GREETING": "it's & me"}
	for line, want := range map[string]string{
		`echo a | b > 'c d' * ;`:                   "a | b > c d * ;",
		`echo "$GREETING" ${GREETING}! $NONE $ 5$`: "it's & me it's & me! $NONE $ 5$",
		`printf '%s|' "a b" '' c\ d "x\"y" 'p\q'`:  `a b||c d|x"y|p\q|`,
		`echo $(date) ` + "`id`":                   "$(date) `id`",
	} {
		b.values(b.check("command", "'"+strings.ReplaceAll(line, "'", "''")+"'", "changed"), "stdout", want)
	}
	r := b.check("command", `{argv: [printf, "%s|", "a b", 1, true]}`, "changed")
	b.values(r, "stdout", "a b|1|True|", "cmd", []any{"printf", "%s|", "a b", "1", "True"})
	b.values(b.check("command", "ls -d ~/ ~", "changed"), "rc", 0)
	b.check("command", "no-such-program-here x", "failed")
	b.check("command", "'echo \"'", "failed")
	b.check("command", "{}", "failed")
	r = b.check("command", "{cmd: pwd, chdir: DIR/none}", "failed")
	if b.values(r, "rc", nil, "stdout", ""); !strings.Contains(r.Msg, "Unable to change directory") || r.Changed {
		t.Errorf("%q, changed %v", r.Msg, r.Changed)
	}
	if list, _ := b.check("command", "{cmd: echo, executable: /bin/sh}", "changed").Values.Get("warnings"); list == nil {
		t.Error("no warning of executable")
	}
}

func TestScriptIsCopiedAndRemoved(t *testing.T) {
	b := newBench(t)
	b.write(b.source+"/files/x y.sh", "#!/bin/sh\necho \"$1-$2\"; echo \"${0%/*}\"; exit 4\n")
	r := b.check("script", `"'x y.sh' 'a b' c"`, "failed")
	b.values(r, "rc", 4)
	out, _ := r.Values.Get("stdout_lines")
	list := out.([]any)
	if list[0] != "a b-c" {
		t.Errorf("%q", list)
	}
	if _, err := os.Stat(list[1].(string)); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", list[1], err)
	}
	b.check("script", "none.sh", "failed")
	b.dry("script", `"'x y.sh'"`, "skipped")
}

func TestRawIsLikeShell(t *testing.T) {
	b := newBench(t)
	b.values(b.check("raw", "echo a", "changed"), "stdout", "a\n", "stdout_lines", []any{"a"}, "rc", 0)
	b.check("raw", "exit 5", "failed")
	b.dry("raw", "touch "+filepath.Join(b.dir, "x"), "skipped")
	b.only("")
}

func TestLiveOutputIsBoundedAndCutAtLines(t *testing.T) {
	b := newBench(t)
	l := newLive(b.task)
	l.out.Write([]byte("ab"))
	l.out.Write([]byte("c\nd\x1b[1me"))
	l.err.Write([]byte("x\n"))
	l.end()
	if got := b.shown(); got != "abc\nx\nde" {
		t.Errorf("%q", got)
	}
	b.events = nil
	for range 3 {
		l.out.Write([]byte(strings.Repeat("y", maxLive/2) + "\n"))
	}
	if n := len(b.shown()); n > maxLive+100 {
		t.Errorf("%d bytes shown", n)
	}
}

func TestDeltaIsPythons(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00:00", 3*time.Millisecond + 7: "0:00:00.003000", 90 * time.Second: "0:01:30",
		25*time.Hour + time.Second: "1 day, 1:00:01", 50 * time.Hour: "2 days, 2:00:00",
	} {
		if got := delta(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
