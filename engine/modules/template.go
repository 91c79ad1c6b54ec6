package modules

import (
	"context"
	"errors"
	"path"
	"strings"

	"farm/engine"
)

// Template renders a Jinja2 template of the controller into a file of the guest.
type Template struct {
	Src          string `yaml:"src,required"`     // the template, looked up in templates/
	Dest         string `yaml:"dest,required"`    // the file, or a folder to put it into
	Backup       bool   `yaml:"backup"`           // keep the old file beside it
	Force        bool   `yaml:"force"`            // false: leave a file that is there alone
	Mode         any    `yaml:"mode"`             // '0644', 'u=rw,go=r' or preserve
	Owner        string `yaml:"owner"`            // name or number
	Group        string `yaml:"group"`            // name or number
	Check        string `yaml:"validate"`         // command that must accept the file, %s in it
	Follow       bool   `yaml:"follow"`           // write through a link
	Newline      string `yaml:"newline_sequence"` // \n, \r or \r\n
	TrimBlocks   bool   `yaml:"trim_blocks"`      // true (the default) is how templates are read
	UnsafeWrites bool   `yaml:"unsafe_writes"`    // accepted: a file that cannot be replaced is written in place
}

func newTemplate() engine.Module { return &Template{Force: true, TrimBlocks: true, Newline: "\n"} }

// Validate checks the mode.
func (m *Template) Validate() error {
	if m.Check != "" && !strings.Contains(m.Check, "%s") {
		return errors.New("validate must hold %s, for the file's name")
	}
	if !m.TrimBlocks {
		return errors.New("trim_blocks: false is not supported")
	}
	if m.Mode == "preserve" {
		return nil
	}
	_, err := modeText(m.Mode)
	return err
}

// Run renders and writes.
func (m *Template) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("template: %v", err), nil
	}
	file, err := t.Files.Find("templates", m.Src)
	if err != nil {
		return failed("%v", err), nil
	}
	raw, err := t.Files.ReadFile(file)
	if err != nil {
		return failed("%v", err), nil
	}
	vars := t.Vars
	if _, ok, _ := vars.Get("ansible_managed"); !ok {
		vars = managed{vars}
	}
	out, err := vars.EvalText(file, string(raw))
	if err != nil {
		return failed("%v", err), nil
	}
	if nl := strings.NewReplacer(`\n`, "\n", `\r`, "\r").Replace(m.Newline); nl != "\n" {
		out = strings.ReplaceAll(out, "\n", nl)
	}
	p := putting{dest: m.Dest, name: path.Base(file), owner: m.Owner, group: m.Group,
		validate: m.Check, backup: m.Backup, keep: !m.Force, follow: m.Follow}
	if m.Mode == "preserve" {
		st, err := statFile(t.Files, file)
		if err != nil {
			return failed("%v", err), nil
		}
		p.mode, _ = modeText(int64(st.Mode().Perm()))
	} else {
		p.mode, _ = modeText(m.Mode)
	}
	p.content([]byte(out))
	p.src = file
	return p.put(ctx, t)
}

// managed are variables with ansible_managed among them, for templates that print it.
type managed struct{ engine.Vars }

func (m managed) EvalText(name, text string) (string, error) {
	if !strings.Contains(text, "ansible_managed") {
		return m.Vars.EvalText(name, text)
	}
	return m.Vars.EvalText(name, "{% set ansible_managed = 'Ansible managed' %}"+text)
}

func (m managed) Get(name string) (any, bool, error) {
	if name == "ansible_managed" {
		return "Ansible managed", true, nil
	}
	return m.Vars.Get(name)
}
