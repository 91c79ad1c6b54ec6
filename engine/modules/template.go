package modules

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// Template renders a Jinja2 template of the controller into a file of the guest.
type Template struct {
	Src           string `yaml:"src,required"`          // the template, looked up in templates/
	Dest          string `yaml:"dest,required"`         // the file, or a folder to put it into
	Backup        bool   `yaml:"backup"`                // keep the old file beside it
	Force         bool   `yaml:"force"`                 // false: leave a file that is there alone
	Mode          any    `yaml:"mode"`                  // '0644', 'u=rw,go=r' or preserve
	Owner         string `yaml:"owner"`                 // name or number
	Group         string `yaml:"group"`                 // name or number
	Check         string `yaml:"validate"`              // command that must accept the file, %s in it
	Follow        bool   `yaml:"follow"`                // write through a link
	Newline       string `yaml:"newline_sequence"`      // \n, \r or \r\n
	TrimBlocks    bool   `yaml:"trim_blocks"`           // false: keep the newline after a block
	StripLeft     bool   `yaml:"lstrip_blocks"`         // drop the blanks before a block on its line
	VariableStart string `yaml:"variable_start_string"` // what stands before an expression, in place of {{
	VariableEnd   string `yaml:"variable_end_string"`   // what stands behind it
	BlockStart    string `yaml:"block_start_string"`    // what stands before a statement, in place of {%
	BlockEnd      string `yaml:"block_end_string"`      // what stands behind it
	CommentStart  string `yaml:"comment_start_string"`  // what stands before a comment, in place of {#
	CommentEnd    string `yaml:"comment_end_string"`    // what stands behind it
	Encoding      string `yaml:"output_encoding"`       // of the file: utf-8, ascii, latin-1, windows-1252, utf-16
	Flags         string `yaml:"attributes|attr"`       // flags as chattr takes them: A, +i, -a or =d
	UnsafeWrites  *bool  `yaml:"unsafe_writes"`         // write into the file itself where its folder takes no other
}

func newTemplate() engine.Module {
	return &Template{Force: true, TrimBlocks: true, Newline: "\n", Encoding: "utf-8"}
}

// Validate checks the mode.
func (m *Template) Validate() error {
	switch m.Newline {
	case "\n", "\r", "\r\n", `\n`, `\r`, `\r\n`:
	default:
		return fmt.Errorf(`newline_sequence %q is none of \n, \r, \r\n`, m.Newline)
	}
	if _, err := encoded("", m.Encoding); err != nil {
		return fmt.Errorf("output_encoding: %w", err)
	}
	mode := m.Mode
	if mode == "preserve" {
		mode = nil
	}
	return checkedFile(m.Check, mode)
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
	more, err := m.about(t, file)
	if err != nil {
		return failed("%v", err), nil
	}
	out, err := t.Vars.EvalFile(file, string(raw), more, m.syntax())
	if err != nil {
		return failed("%v", err), nil
	}
	if nl := strings.NewReplacer(`\n`, "\n", `\r`, "\r").Replace(m.Newline); nl != "\n" {
		out = strings.ReplaceAll(out, "\n", nl)
	}
	p := putting{dest: m.Dest, name: path.Base(file), owner: m.Owner, group: m.Group,
		validate: m.Check, backup: m.Backup, keep: !m.Force, follow: m.Follow, flags: m.Flags, unsafe: m.UnsafeWrites}
	if m.Mode == "preserve" {
		st, err := statFile(t.Files, file)
		if err != nil {
			return failed("%v", err), nil
		}
		p.mode, _ = modeText(int64(st.Mode().Perm()))
	} else {
		p.mode, _ = modeText(m.Mode)
	}
	b, err := encoded(out, m.Encoding)
	if err != nil {
		return failed("template: %v", err), nil
	}
	p.content(b)
	p.src = file
	return p.put(ctx, t)
}

func (m *Template) syntax() value.Syntax {
	return value.Syntax{
		KeepNewlines: !m.TrimBlocks, StripLeft: m.StripLeft, VariableStart: m.VariableStart, VariableEnd: m.VariableEnd,
		BlockStart: m.BlockStart, BlockEnd: m.BlockEnd, CommentStart: m.CommentStart, CommentEnd: m.CommentEnd,
	}
}

// about are the variables that tell a template of itself.
func (m *Template) about(t *engine.Task, file string) (*value.Dict, error) {
	st, err := statFile(t.Files, file)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	d := value.NewDict("template_host", host, "template_path", m.Src, "template_fullpath", file, "template_destpath", m.Dest,
		"template_mtime", pythonTime(st.ModTime()), "template_run_date", pythonTime(time.Now()), "template_uid", ownerOf(st))
	if _, ok, err := t.Vars.Get("ansible_managed"); err == nil && !ok {
		d.Set("ansible_managed", "Ansible managed")
	}
	return d, nil
}

// pythonTime is a time as Python prints it.
func pythonTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000000") }

// ownerOf is the name of a file's owner on the controller, or the number where it has none.
func ownerOf(st fs.FileInfo) any {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	if u, err := user.LookupId(strconv.FormatUint(uint64(sys.Uid), 10)); err == nil {
		return u.Username
	}
	return int64(sys.Uid)
}
