package modules

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// program writes a module of the user's own.
func (b *bench) program(name, text string, mode os.FileMode) {
	b.Helper()
	path := filepath.Join(b.source, name)
	b.write(path, text)
	if err := os.Chmod(path, mode); err != nil {
		b.Fatal(err)
	}
}

// plugin runs a module of the user's own.
func (b *bench) plugin(name string, pairs ...any) engine.Result {
	b.Helper()
	for _, def := range WithPlugins(b.source) {
		if def.Name != name || def.File == "" {
			continue
		}
		m := def.New()
		if err := value.Decode(value.NewDict(pairs...), m); err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
		defer cancel()
		r, err := m.Run(ctx, b.task)
		if err != nil {
			b.Fatal(err)
		}
		return r
	}
	b.Fatalf("no module %q of the user's", name)
	return engine.Result{}
}

func TestPluginsGetArgumentsAndAnswer(t *testing.T) {
	b := newBench(t)
	t.Setenv("TMPDIR", b.dir)
	b.program("modules/greet.sh", `#!/bin/sh
# prints what it was given, behind a line that is none of its own
echo Welcome
printf '{"changed": true, "given": %s, "mode": "%s", "ansible_facts": {"greeted": true}, "warnings": ["mind"], "_ansible_x": 1}\n' \
	"$(cat "$1")" "$(ls -l "$1" | cut -c1-10)"
`, 0o644)
	b.task.Env = map[string]string{"TMPDIR": b.dir}
	r := b.want(b.plugin("greet", "name", "a 'b' \"c\"", "list", []any{int64(1)}, "none", value.Omit{}), "changed")
	given, _ := r.Values.Get("given")
	if text, err := given.(*value.Dict).MarshalJSON(); err != nil ||
		string(text) != `{"name":"a 'b' \"c\"","list":[1],"_ansible_check_mode":false,"_ansible_diff":false}` {
		t.Errorf("%s, %v", text, err)
	}
	b.values(r, "mode", "-rw-------")
	if greeted, _ := r.Facts.Get("greeted"); greeted != true || r.Values.Has("ansible_facts") || r.Values.Has("_ansible_x") {
		t.Errorf("%v, %v", r.Facts, r.Values)
	}
	if !strings.Contains(b.shown(), "mind") {
		t.Error(b.shown())
	}
	b.only(".")
	b.task.Check = true
	given, _ = b.plugin("greet").Values.Get("given")
	if check, _ := given.(*value.Dict).Get("_ansible_check_mode"); check != true {
		t.Error("check mode is not told")
	}
}

func TestPluginsFail(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]struct{ text, want string }{
		"mute":    {"exit 3", "ended with status 3 and printed no result"},
		"loud":    {"echo broken >&2; exit 1", "it says: broken"},
		"garbled": {"echo '{changed'", "no JSON"},
		"two":     {"echo '{} {}'", "more text after"},
		"endless": {"head -c 5000000 /dev/zero | tr '\\0' x", "longer than 4 MiB"},
		"refusal": {`echo '{"failed": true, "msg": "not today"}'`, "not today"},
		"silent":  {`echo '{"failed": true}'`, "does not say why"},
		"status":  {`echo '{"rc": 2, "msg": "two"}'`, "two"},
		"deep":    {`printf '{"a": '; head -c 100000 /dev/zero | tr '\0' '['`, "nested deeper"},
	} {
		b.program("library/"+name, "#!/bin/sh\n"+c.text+"\n", 0o755)
		if r := b.want(b.plugin(name), "failed"); !strings.Contains(r.Msg, c.want) {
			t.Errorf("%s: %q", name, r.Msg)
		}
	}
	b.program("library/fine", "#!/bin/sh\necho '{\"rc\": 0}'\nexit 1\n", 0o755)
	b.want(b.plugin("fine"), "ok")
}

func TestPluginsAreFound(t *testing.T) {
	b := newBench(t)
	b.program("modules/one", "#!/bin/sh\n", 0o644)
	b.program("modules/two.py", "from ansible.module_utils.basic import AnsibleModule\n", 0o755)
	b.program("modules/README.md", "a text", 0o644)
	b.program("modules/not-a-name", "#!/bin/sh\n", 0o755)
	b.program("library/one", "#!/bin/sh\n", 0o755)
	b.program("library/copy", "#!/bin/sh\n", 0o755)
	var got []string
	for _, def := range WithPlugins(filepath.Join(b.source, "nowhere"), b.source)[len(All()):] {
		rel, err := filepath.Rel(b.source, def.File)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, def.Name+"="+rel)
		if bad := def.New().(engine.Validator).Validate(); (bad != nil) != (def.Name == "two") {
			t.Errorf("%s: %v", def.Name, bad)
		}
	}
	if want := "one=modules/one two=modules/two.py copy=library/copy"; strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", got, want)
	}
}
