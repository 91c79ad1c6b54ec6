package modules

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/inventory/source"
	"farm/inventory/value"
)

// system is a bench with programs of the system replaced: small scripts that keep their
// state in files of $STATE and write each call down in $STATE/calls.
type system struct {
	*bench
	state string
}

// newSystem makes the programs; their texts are the bodies of sh scripts.
func newSystem(t *testing.T, programs map[string]string) *system {
	t.Helper()
	s := &system{bench: newBench(t)}
	bin := t.TempDir()
	s.state = t.TempDir()
	for name, text := range programs {
		head := "#!/bin/sh\nPATH=${PATH#*:}; cd \"$STATE\" || exit 99; echo \"" + name + " $*\" >>calls\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(head+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.task.Env = map[string]string{"PATH": bin + ":" + os.Getenv("PATH"), "STATE": s.state}
	return s
}

// alone leaves within reach just the programs that were made, sh, and those named.
func (s *system) alone(names ...string) {
	s.Helper()
	bin, _, _ := strings.Cut(s.task.Env["PATH"], ":")
	tools := s.TempDir()
	for _, name := range append(names, "sh") {
		path, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(path, filepath.Join(tools, name))
		}
		if err != nil {
			s.Fatal(err)
		}
	}
	s.task.Env["PATH"] = bin + ":" + tools
}

// module is bench's for the modules of systemModules.
func (s *system) module(name, args string) engine.Module {
	s.Helper()
	for _, def := range All() {
		if def.Name != name {
			continue
		}
		m := def.New()
		f, err := source.Parse("task.yaml", []byte(strings.ReplaceAll(args, "DIR", s.dir)))
		if err != nil {
			s.Fatal(err)
		}
		v, err := value.FromNode(f, f.Root)
		if err != nil {
			s.Fatal(err)
		}
		if err := value.Decode(v.(*value.Dict), m); err != nil {
			s.Fatal(err)
		}
		switch m := m.(type) {
		case *aptModule:
			m.root = s.dir
		case *serviceModule:
			m.root = s.dir
		case *serviceFactsModule:
			m.root = s.dir
		case *cronModule:
			m.root = s.dir
		case *mountModule:
			m.root = s.dir
		case *modprobeModule:
			m.root = s.dir
		case *hostnameModule:
			m.root = s.dir
		}
		return m
	}
	s.Fatalf("no module %q", name)
	return nil
}

func (s *system) check(name, args, outcome string) engine.Result {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	r, err := s.module(name, args).Run(ctx, s.task)
	if err != nil {
		s.Fatalf("%s: %v", name, err)
	}
	return s.want(r, outcome)
}

func (s *system) dry(name, args, outcome string) engine.Result {
	s.Helper()
	s.task.Check = true
	defer func() { s.task.Check = false }()
	return s.check(name, args, outcome)
}

// cycle checks that a task says what it would change without changing the state, changes
// it, and has nothing to do after that. It returns the result of the change.
func (s *system) cycle(name, args string) engine.Result {
	s.Helper()
	before := s.snapshot()
	s.dry(name, args, "changed")
	if after := s.snapshot(); after != before {
		s.Errorf("%s %s: check mode changed the host from\n%s\nto\n%s", name, args, before, after)
	}
	r := s.check(name, args, "changed")
	s.dry(name, args, "ok")
	s.check(name, args, "ok")
	return r
}

// snapshot is the text of every file of the state and of the guest, but for the calls.
func (s *system) snapshot() string {
	s.Helper()
	var all strings.Builder
	for _, root := range []string{s.state, s.dir} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() == "calls" {
				return err
			}
			b, err := os.ReadFile(path)
			all.WriteString(path + ":\n" + string(b) + "\n")
			return err
		})
		if err != nil {
			s.Fatal(err)
		}
	}
	return all.String()
}

// keep writes a file of the programs' state.
func (s *system) keep(name, text string) { s.write(filepath.Join(s.state, name), text) }

func (s *system) kept(name, want string) {
	s.Helper()
	got, err := os.ReadFile(filepath.Join(s.state, name))
	if err != nil || strings.TrimSpace(string(got)) != strings.TrimSpace(want) {
		s.Errorf("%s holds %q, want %q (%v)", name, got, want, err)
	}
}

// called checks the calls that begin with prefix since the last time, and forgets all.
func (s *system) called(prefix string, want ...string) {
	s.Helper()
	path := filepath.Join(s.state, "calls")
	b, _ := os.ReadFile(path)
	var got []string
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, prefix) {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		s.Errorf("called %q, want %q", got, want)
	}
	os.Remove(path)
}

// fails checks a failure with its status and a part of its message.
func (s *system) fails(name, args string, rc int, part string) {
	s.Helper()
	r := s.check(name, args, "failed")
	if !strings.Contains(r.Msg, part) {
		s.Errorf("message %q does not have %q", r.Msg, part)
	}
	if rc > 0 {
		s.values(r, "rc", rc)
		if _, ok := r.Values.Get("stderr"); !ok {
			s.Errorf("no stderr: %v", r.Values)
		}
	}
}
