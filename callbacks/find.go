package callbacks

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"farm/engine"
	"farm/inventory"
	"farm/inventory/source"
	"farm/inventory/value"
)

// RunTasks runs a user's task file on the host of im, with the variables vm, source, task,
// source_index and task_index besides the host's own. A task that fails is a FarmFault, for nothing was tested; a wrong
// file is a UserFault.
type RunTasks func(ctx context.Context, im *engine.Image, file string, vars *value.Dict) error

// ReadBy lists what the outcome of a user's task file depends on beside its arguments and the
// definition: the files and variables that it reads.
type ReadBy func(im *engine.Image, file string, vars *value.Dict) ([]engine.Input, error)

// Find makes the lookup of callbacks by the names in definitions. A user's file comes first:
// in each of dirs, folders on the controller in order, callbacks/NAME.yaml, .yml or an
// executable callbacks/NAME, or NAME itself where it is a path. Task files are run by
// run, nil = they are refused, and made anew when what reads lists has changed. An unknown name is a user's fault and the error names
// the places searched and the nearest known name.
func Find(dirs []string, run RunTasks, reads ReadBy) func(name string) (engine.CallbackDef, error) {
	return func(name string) (engine.CallbackDef, error) {
		file, searched, err := findFile(dirs, name)
		if err != nil {
			return engine.CallbackDef{}, engine.Blame(engine.UserFault, fmt.Errorf("callback %q: %w", name, err))
		}
		if file != "" {
			return userDef(name, file, run, reads)
		}
		var known []string
		for _, d := range All() {
			known = append(known, d.Name)
			for _, n := range append([]string{d.Name}, d.Aliases...) {
				if sameName(n, name) {
					return d, nil
				}
			}
		}
		return engine.CallbackDef{}, engine.Blame(engine.UserFault, &source.Error{
			What: fmt.Sprintf("unknown callback %q, neither built in nor one of %s", name, strings.Join(searched, ", ")),
			Hint: source.DidYouMean(bareName(name), known),
		})
	}
}

// sameName compares without the file's extension: definitions write .yaml and .yml for both.
func sameName(a, b string) bool { return trimExt(a) == trimExt(b) }

func trimExt(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, ".yaml"), ".yml")
}

func bareName(name string) string { return path.Base(trimExt(name)) }

func findFile(dirs []string, name string) (file string, searched []string, err error) {
	if name == "" || strings.ContainsRune(name, 0) || !filepath.IsLocal(name) && !filepath.IsAbs(name) {
		return "", nil, fmt.Errorf("%q is no name of a callback", name)
	}
	for _, dir := range dirs {
		var tries []string
		if strings.Contains(name, "/") || trimExt(name) != name {
			tries = append(tries, name)
		}
		if !strings.Contains(name, "/") {
			for _, ext := range []string{".yaml", ".yml", ""} {
				tries = append(tries, filepath.Join("callbacks", trimExt(name)+ext))
			}
		}
		for _, try := range tries {
			p := try
			if !filepath.IsAbs(p) {
				p = filepath.Join(dir, try)
			}
			searched = append(searched, p)
			if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
				return p, searched, nil
			}
		}
	}
	return "", searched, nil
}

func userDef(name, file string, run RunTasks, reads ReadBy) (engine.CallbackDef, error) {
	def := engine.CallbackDef{Name: name}
	if trimExt(file) != file {
		if run == nil {
			return def, engine.Blamef(engine.UserFault, "callback %q: the task file %q cannot be run here", name, file)
		}
		def.New = func() engine.Callback { return &userTasks{userFile: userFile{file: file}, run: run, reads: reads} }
		return def, nil
	}
	if st, err := os.Stat(file); err != nil || st.Mode()&0o111 == 0 {
		return def, engine.Blamef(engine.UserFault, "callback %q: %q is neither a .yaml file nor executable (chmod +x)", name, file)
	}
	def.New = func() engine.Callback { return &userProgram{userFile: userFile{file: file}} }
	return def, nil
}

// TaskFile is the file of a callback that is a task file.
func (u *userTasks) TaskFile() string { return u.file }

// userFile is what a user's callbacks have in common: any arguments, and a key of the file's content
// and of the whole definition, for they may read all of it.
type userFile struct{ file string }

// Key is the digest of the file and of the definition.
func (u *userFile) Key(ctx context.Context, im *engine.Image) (string, error) {
	text, err := os.ReadFile(u.file)
	if err != nil {
		return "", err
	}
	def, err := json.Marshal(im.VM.Def.Raw)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s", len(text), text)
	h.Write(def)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// vars are the variables that a user's callback sees.
func (u *userFile) vars(im *engine.Image) *value.Dict {
	vm := im.VM.Def.Raw
	if vm == nil {
		vm = value.NewDict()
	}
	return value.NewDict("vm", vm, "source", sourceDict(im.Source), "task", taskDict(im.Task),
		"source_index", int64(im.SourceIndex), "task_index", int64(im.TaskIndex))
}

func sourceDict(s inventory.Source) *value.Dict {
	before := []any{}
	for _, t := range s.BeforeProvision {
		before = append(before, taskDict(t))
	}
	d := s.Rest.Copy()
	d.Set("before_provision", before)
	if s.OnProvision != nil {
		d.Set("on_provision", taskDict(*s.OnProvision))
	}
	return d
}

func taskDict(t inventory.CallbackTask) *value.Dict {
	d := value.NewDict()
	if t.Callback != "" {
		d.Set("callback", t.Callback)
	}
	return value.Merge(d, t.Args.Copy())
}

// userTasks is a user's task file.
type userTasks struct {
	userFile `yaml:"-"`
	Args     *value.Dict `yaml:",rest"` // any; the file sees them as `task`
	run      RunTasks
	reads    ReadBy
}

// Key also covers what the tasks read: other files, and variables of the inventory.
func (u *userTasks) Key(ctx context.Context, im *engine.Image) (string, error) {
	own, err := u.userFile.Key(ctx, im)
	if err != nil || u.reads == nil {
		return own, err
	}
	inputs, err := u.reads(im, u.file, u.vars(im))
	if err != nil {
		return "", engine.Blame(engine.UserFault, err)
	}
	h := sha256.New()
	fmt.Fprintln(h, own)
	for _, in := range inputs {
		if in.Unknown != "" && im.Emit != nil {
			im.Emit(engine.Event{Kind: engine.Warning, Text: in.Unknown + "; the image is not made anew when that changes"})
		}
		fmt.Fprintf(h, "%q %s\n", in.Name, in.Digest)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Run runs the task file with tmp_dir and libvirt_pool_dir of the definition set to
// the folders of this preparation.
func (u *userTasks) Run(ctx context.Context, im *engine.Image) error {
	return u.run(ctx, im, u.file, redirected(u.vars(im), im))
}

// redirected sets the definition's folders to those of the preparation.
func redirected(vars *value.Dict, im *engine.Image) *value.Dict {
	folders := value.NewDict("vm", value.NewDict("metadata", value.NewDict("tmp_dir", im.TmpDir+"/", "libvirt_pool_dir", im.PoolDir+"/")))
	return value.Merge(vars, folders)
}

// userProgram is a user's executable: it gets JSON on standard input, runs on the host in the
// work folder, and may answer JSON with failed, msg, installed and host_keys.
type userProgram struct {
	userFile `yaml:"-"`
	Args     *value.Dict `yaml:",rest"` // any; the program sees them as `task`
}

// Run uploads the program and runs it. That it fails, or answers what is no answer, is no fault of the inventory:
// the image could not be prepared.
func (u *userProgram) Run(ctx context.Context, im *engine.Image) error {
	name := path.Join(im.TmpDir, ".callback-"+filepath.Base(u.file))
	f, err := os.Open(u.file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := im.Conn.Upload(ctx, name, 0o700, f); err != nil {
		return err
	}
	vars := redirected(u.vars(im), im)
	for k, v := range map[string]string{"tmp_dir": im.TmpDir, "pool_dir": im.PoolDir, "cache_dir": im.Cache, "host": im.Conn.String()} {
		vars.Set(k, v)
	}
	vars.Set("facts", value.From(im.Facts))
	vars.Set("offline", im.Offline)
	text, err := json.Marshal(vars)
	if err != nil {
		return err
	}
	stop := tellTime(im, filepath.Base(u.file))
	out, err := im.Conn.Exec(ctx, engine.Cmd{Argv: []string{name}, Dir: im.TmpDir, Stdin: bytes.NewReader(text)})
	stop()
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(u.file), out.Because(err))
	}
	a, err := readAnswer(out)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(u.file), err)
	}
	if a.Failed {
		return fmt.Errorf("%s: %s", filepath.Base(u.file), cmp.Or(a.Msg, "its answer is failed, without a msg that says why"))
	}
	if err := a.check(ctx, im); err != nil {
		return fmt.Errorf("%s: its answer: %w", filepath.Base(u.file), err)
	}
	im.Installed = append(im.Installed, a.Installed...)
	im.HostKeys = append(im.HostKeys, a.HostKeys...)
	return nil
}

// check refuses host keys that are none and files that are not in the pool folder, and makes
// the paths absolute and the keys plain.
func (a *programAnswer) check(ctx context.Context, im *engine.Image) error {
	for i, text := range a.HostKeys {
		key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
		if err != nil || len(options) > 0 || len(rest) > 0 || strings.ContainsAny(strings.TrimSpace(text), "\r\n") {
			return fmt.Errorf("host_keys: %.80q is no public SSH key; write it as in a .pub file", text)
		}
		a.HostKeys[i] = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	}
	for i, name := range a.Installed {
		file := path.Clean(name)
		if !path.IsAbs(file) {
			file = path.Join(im.PoolDir, name)
		}
		if _, ok := under(im.PoolDir, file); !ok {
			return fmt.Errorf("installed: %.200q is not below the pool folder %q", name, im.PoolDir)
		}
		if _, err := sh(ctx, im, shortly, plainScript+`
plain "$1" "$2" || exit; [ -f "$2" ] || { echo "it is no regular file" >&2; exit 1; }`, path.Clean(im.PoolDir), file); err != nil {
			return fmt.Errorf("installed: %.200q: %w", name, err)
		}
		a.Installed[i] = file
	}
	return nil
}
