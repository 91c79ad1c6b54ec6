package shell

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"farm/engine"
)

func TestFunctionsAreThereInTheirCommandsAlone(t *testing.T) {
	const functions = "hello() { echo \"hello $1 it's\"; }\nsleep() { echo hidden; }\nends() {\n\ttrap 'echo over' EXIT\n\texit 3\n}\n"
	for _, shell := range [][]string{{"dash"}, {"bash"}, {"bash", "--posix"}, {"busybox", "ash"}, {"ksh"}, {"mksh"}} {
		t.Run(strings.Join(shell, " "), func(t *testing.T) {
			p := New("test", spawnWith(t, shell))
			defer p.Close()
			for _, c := range []struct {
				cmd    engine.Cmd
				want   string
				status int
			}{
				{engine.Cmd{Functions: functions, Script: "hello x"}, "hello x it's\n", 0},
				{engine.Cmd{Functions: functions, Script: "hello $X", Env: map[string]string{"X": "y"}, Dir: "/"}, "hello y it's\n", 0},
				{engine.Cmd{Functions: functions, Script: "sleep 1"}, "hidden\n", 0},
				{engine.Cmd{Functions: functions, Script: "ends"}, "over\n", 3},
				{engine.Cmd{Functions: functions, Script: "hello $(cat)", Stdin: strings.NewReader("in")}, "hello in it's\n", 0},
				{engine.Cmd{Functions: functions, Script: "hello $(cat)", Stdin: io.MultiReader(strings.NewReader("streamed"))}, "hello streamed it's\n", 0},
				{engine.Cmd{Functions: functions, Script: "[ $$ -gt 1 ] && hello own"}, "hello own it's\n", 0},
				{engine.Cmd{Functions: functions, Script: "hello other", Shell: "/bin/sh"}, "hello other it's\n", 0},
				{engine.Cmd{Functions: functions + "other() { echo more; }", Script: "hello x; other"}, "hello x it's\nmore\n", 0},
				{engine.Cmd{Script: "hello x 2>/dev/null; sleep 0"}, "", 0},
			} {
				out, _ := p.Exec(t.Context(), c.cmd)
				if string(out.Stdout) != c.want || out.Status != c.status || len(out.Stderr) > 0 {
					t.Errorf("%q: %q, %q, status %d, want %q, %d", c.cmd.Script, out.Stdout, out.Stderr, out.Status, c.want, c.status)
				}
			}
		})
	}
}

func TestShellsRememberFewFunctions(t *testing.T) {
	var s session
	for i := range 2 * maxKnown {
		for range 2 {
			before, cmd := s.define(engine.Cmd{Functions: fmt.Sprintf("f() { echo %d; }", i), Script: "f"})
			if inline := strings.HasPrefix(cmd.Script, "f()"); cmd.Functions != "" || inline != (i >= maxKnown) || inline && before != "" {
				t.Fatalf("%d: %q before %q", i, before, cmd.Script)
			}
		}
	}
	if _, cmd := (&session{}).define(engine.Cmd{Functions: strings.Repeat("#", maxFunctions+1), Script: "f"}); len(cmd.Script) <= maxFunctions {
		t.Error("a long text is remembered")
	}
}
