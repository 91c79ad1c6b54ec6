package callbacks

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
	"farm/inventory"
	"farm/inventory/value"
)

func TestFindBuiltInByNameAndPath(t *testing.T) {
	find := Find([]string{t.TempDir()}, nil, nil)
	for name, want := range map[string]string{
		"fetch": "fetch", "callbacks/sources/fetch.yaml": "fetch", "callbacks/sources/fetch.yml": "fetch",
		"callbacks/sources/unarchive.yml": "unarchive", "callbacks/sources/unarchive.yaml": "unarchive",
		"callbacks/sources/img_convert.yaml": "img_convert", "setup_cloudinit_iso": "setup_cloudinit_iso",
		"install_to_libvirt": "install_to_libvirt", "bootstrap": "bootstrap",
	} {
		if d, err := find(name); err != nil || d.Name != want || d.New() == nil {
			t.Errorf("%s: %q, %v", name, d.Name, err)
		}
	}
}

func TestFindUnknownNamesPlacesAndNearest(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		"fetsh": `did you mean "fetch"?`, "callbacks/sources/setup_imag.yaml": `did you mean "setup_image"?`,
		"mine": filepath.Join(dir, "callbacks/mine.yaml"), "": "no name", "../../etc/passwd": "no name",
	} {
		_, err := Find([]string{dir}, nil, nil)(name)
		if err == nil || !strings.Contains(err.Error(), want) || engine.FaultOf(err) != engine.UserFault {
			t.Errorf("%q: %v (%s), want %q", name, err, engine.FaultOf(err), want)
		}
	}
}

func TestUserTaskFileWinsAndSeesItsTask(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	write(t, filepath.Join(second, "callbacks/fetch.yaml"), "- debug:\n")
	write(t, filepath.Join(first, "callbacks/sources/fetch.yml"), "- debug:\n")
	im, _ := newImage(t)
	im.VM.Def.Raw = value.NewDict("metadata", value.NewDict("name", "x", "tmp_dir", "/home/user/tmp/"))
	im.Source = inventory.Source{BeforeProvision: []inventory.CallbackTask{{Callback: "fetch", Args: value.NewDict("src", "a")}}}
	im.Task, im.SourceIndex, im.TaskIndex = im.Source.BeforeProvision[0], 1, 2
	var ran string
	var vars *value.Dict
	boom := errors.New("boom")
	find := Find([]string{first, second}, func(_ context.Context, _ *engine.Image, file string, v *value.Dict) error {
		ran, vars = file, v
		return boom
	}, nil)
	for name, want := range map[string]string{"fetch": filepath.Join(second, "callbacks/fetch.yaml"), "callbacks/sources/fetch.yml": filepath.Join(first, "callbacks/sources/fetch.yml")} {
		d, err := find(name)
		if err != nil {
			t.Fatal(err)
		}
		cb := d.New()
		if err := value.Decode(value.NewDict("src", "a", "anything", int64(1)), cb); err != nil {
			t.Fatal(err)
		}
		if err := cb.Run(t.Context(), im); !errors.Is(err, boom) || ran != want {
			t.Errorf("%s: %v, ran %q", name, err, ran)
		}
		key, err := cb.(engine.Keyed).Key(t.Context(), im)
		if err != nil || len(key) != 64 {
			t.Errorf("Key: %q, %v", key, err)
		}
		write(t, want, "- debug: {msg: changed}\n")
		if again, _ := cb.(engine.Keyed).Key(t.Context(), im); again == key {
			t.Error("the key does not follow the file")
		}
	}
	vm, _ := vars.Get("vm")
	meta, _ := vm.(*value.Dict).Get("metadata")
	if dir, _ := meta.(*value.Dict).Get("tmp_dir"); dir != im.TmpDir+"/" {
		t.Errorf("tmp_dir is %v", dir)
	}
	task, _ := vars.Get("task")
	if src, _ := task.(*value.Dict).Get("src"); src != "a" {
		t.Errorf("task is %v", task)
	}
	if i, _ := vars.Get("task_index"); i != int64(2) {
		t.Errorf("task_index is %v", i)
	}
}

func TestUserProgramGetsJSONAndAnswers(t *testing.T) {
	dir := t.TempDir()
	program := func(script string) engine.Callback {
		file := filepath.Join(dir, "callbacks/mine")
		write(t, file, "#!/bin/sh\n"+script)
		if err := os.Chmod(file, 0o755); err != nil {
			t.Fatal(err)
		}
		d, err := Find([]string{dir}, nil, nil)("mine")
		if err != nil {
			t.Fatal(err)
		}
		cb := d.New()
		if err := value.Decode(value.NewDict("release", "13"), cb); err != nil {
			t.Fatal(err)
		}
		return cb
	}
	im, _ := newImage(t)
	im.Task.Args = value.NewDict("release", "13")
	_, public, err := newHostKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := program(`cat >got.json; : >"$(sed 's/.*"pool_dir":"\([^"]*\)".*/\1/' got.json)/x.img"; echo '{"installed": ["x.img"], "host_keys": ["`+public+` x"]}'`).Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(im.TmpDir, "got.json")); !strings.Contains(got, `"release":"13"`) || !strings.Contains(got, im.PoolDir) {
		t.Errorf("the program got %s", got)
	}
	if len(im.Installed) != 1 || len(im.HostKeys) != 1 {
		t.Errorf("answer: %v, %v", im.Installed, im.HostKeys)
	}
	for script, want := range map[string]string{
		`echo '{"failed": true, "msg": "no such release"}'`: "no such release",
		`echo '{"failed": true}'`:                           "without a msg",
		`echo hello`:                                        "no JSON",
		`echo why >&2; exit 3`:                              "why: exit status 3",
		`echo '{"installed":1}'`:                            `"installed" is a JSON number, not a list of file names`,
		`echo '[]'`:                                         "its answer is a JSON array, not an object",
		`echo '{"instaled":[]}'`:                            `unknown key "instaled"`,
		`echo '{} done'`:                                    "goes on behind",
		`head -c 300000000 /dev/zero | tr '\0' x`:           "too long",
		`printf %s '{"host_keys": ["garbage\ninjected"]}'`:  "no public SSH key",
		`printf %s '{"host_keys": ["` + public + `\n` + public + `"]}'`: "no public SSH key",
		`echo '{"installed": ["../../x"]}'`:                             "not below the pool folder",
		`echo '{"installed": ["/usr/bin/env"]}'`:                        "not below the pool folder",
		`echo '{"installed": ["nothing"]}'`:                             "no regular file",
	} {
		if err := program(script).Run(t.Context(), im); err == nil || !strings.Contains(err.Error(), want) || engine.FaultOf(err) != engine.FarmFault {
			t.Errorf("%s: got %v (%s), want %q", script, err, engine.FaultOf(err), want)
		}
	}
	write(t, filepath.Join(dir, "callbacks/plain"), "text")
	if _, err := Find([]string{dir}, nil, nil)("plain"); err == nil || !strings.Contains(err.Error(), "chmod +x") {
		t.Errorf("a file that cannot run: %v", err)
	}
}

func TestUserTaskFileIsMadeAnewWhenWhatItReadsChanges(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "callbacks/mine.yaml"), "- debug:\n")
	im, _ := newImage(t)
	inputs := []engine.Input{{Name: "variable release", Digest: "1"}}
	find := Find([]string{dir}, func(context.Context, *engine.Image, string, *value.Dict) error { return nil },
		func(*engine.Image, string, *value.Dict) ([]engine.Input, error) { return inputs, nil })
	key := func() string {
		d, err := find("mine")
		if err != nil {
			t.Fatal(err)
		}
		k, err := d.New().(engine.Keyed).Key(t.Context(), im)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := key()
	if key() != first {
		t.Error("the same inputs give another key")
	}
	if inputs = []engine.Input{{Name: "variable release", Digest: "2"}}; key() == first {
		t.Error("a changed variable gives the same key")
	}
	var warned []string
	im.Emit = func(e engine.Event) { warned = append(warned, e.Text) }
	inputs = append(inputs, engine.Input{Name: "unknown", Unknown: "a name comes from a result"})
	if key(); len(warned) != 1 || !strings.Contains(warned[0], "a name comes from a result") {
		t.Errorf("warnings %q", warned)
	}
}
