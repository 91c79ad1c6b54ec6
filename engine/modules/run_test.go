package modules

import (
	"context"
	"errors"
	"strings"
	"testing"

	"farm/engine"
)

func TestScriptValuesArriveUnchanged(t *testing.T) {
	b := newBench(t)
	nasty := "a 'b' \"c\" $HOME `id` \\ & * ; \n\n x=\x1e%s $$"
	r, err := script{
		Text: `say v "$v"; say a "$1|$2|$#"; cat; echo plain; echo oops >&2; exit 3`,
		Vars: map[string]string{"v": nasty}, Args: []string{"", nasty}, Stdin: strings.NewReader("in\x1eput"),
	}.run(t.Context(), b.task)
	if err != nil {
		t.Fatal(err)
	}
	if r.get("v") != nasty || r.get("a") != "|"+nasty+"|2" {
		t.Errorf("%q", r.said)
	}
	if string(r.Stdout) != "in\x1eputplain\n" || r.stderr() != "oops" || r.Status != 3 || r.ok() {
		t.Errorf("%q %q %d", r.Stdout, r.stderr(), r.Status)
	}
	if res := r.failure("try"); !res.Failed || res.Msg != "try: oops" {
		t.Error(res.Msg)
	}
}

func TestScriptFunctions(t *testing.T) {
	b := newBench(t)
	t.Setenv("HOME", "/home/x y")
	r, err := run(t.Context(), b.task, `say a "$(untilde '~/f g')"; say b "$(untilde '~root')"; say c "$(untilde '~$(id)/x')"; say d "$(untilde 'a~b')"
need sh cat; need no-such-program-here`, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{"a": "/home/x y/f g", "b": "/root", "c": "~$(id)/x", "d": "a~b"} {
		if r.get(k) != want {
			t.Errorf("%s: %q, want %q", k, r.get(k), want)
		}
	}
	if r.ok() || !strings.Contains(r.stderr(), `"no-such-program-here" is missing`) {
		t.Errorf("%d %q", r.Status, r.stderr())
	}
}

// lost is a connection that has gone.
type lost struct{ engine.Conn }

func (lost) Exec(context.Context, engine.Cmd) (engine.Output, error) {
	return engine.Output{}, engine.ErrUnreachable
}

func TestModulesTellALostConnection(t *testing.T) {
	b := newBench(t)
	b.task.Conn = lost{}
	b.write(b.source+"/files/f", "x")
	for name, args := range map[string]string{
		"shell": "echo", "command": "echo", "raw": "echo", "script": "f", "ping": "{}", "setup": "{}", "stat": "path: x", "file": "path: x",
		"copy": "{content: x, dest: y}", "fetch": "{src: x, dest: y}", "slurp": "src: x", "find": "paths: x", "lineinfile": "{path: x, line: y}",
		"tempfile": "{}", "unarchive": "{src: f, dest: y}", "get_url": "{url: 'http://x/y', dest: z}", "openssh_keypair": "path: x",
		"known_hosts": "{name: x, state: absent}", "replace": "{path: x, regexp: y}", "blockinfile": "{path: x, block: y}",
	} {
		if _, err := b.module(name, args).Run(t.Context(), b.task); !errors.Is(err, engine.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestModuleNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range All() {
		for _, n := range append([]string{d.Name}, d.Aliases...) {
			if seen[n] {
				t.Errorf("%s is listed twice", n)
			}
			seen[n] = true
		}
		if d.New() == nil || d.New() == d.New() {
			t.Errorf("%s: a call does not get a module of its own", d.Name)
		}
	}
}
