package modules

import (
	"context"
	"fmt"
	"strings"

	"farm/engine"
	"farm/inventory/regex"
	"farm/inventory/value"
)

// Replace replaces all matches of a regular expression in a file. It works on the whole
// text: ^ and $ match at lines, and . does not match a newline.
type Replace struct {
	Path         string `yaml:"path|dest|destfile|name,required"` // the file
	Regexp       string `yaml:"regexp,required"`                  // what is replaced, as in Python
	Replace      string `yaml:"replace"`                          // by what; \1 and \g<name> are the groups
	After        string `yaml:"after"`                            // only after the first match of this
	Before       string `yaml:"before"`                           // only before the first match of this
	Backup       bool   `yaml:"backup"`                           // keep the old file beside it
	Mode         any    `yaml:"mode"`                             // '0644' or 'u=rw,go=r'
	Owner        string `yaml:"owner"`                            // name or number
	Group        string `yaml:"group"`                            // name or number
	CheckWith    string `yaml:"validate"`                         // command that must accept the file, %s in it
	Encoding     string `yaml:"encoding"`                         // utf-8, the only one
	UnsafeWrites *bool  `yaml:"unsafe_writes"`                    // write into the file itself where its folder takes no other
}

func newReplace() engine.Module { return &Replace{Encoding: "utf-8"} }

// Validate compiles the expressions.
func (m *Replace) Validate() error {
	for _, p := range []struct{ name, text string }{{"regexp", m.Regexp}, {"after", m.After}, {"before", m.Before}} {
		if _, err := regex.Compile(p.text, regex.Multiline); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if e := strings.ToLower(m.Encoding); e != "utf-8" && e != "utf8" {
		return fmt.Errorf("the encoding %q is not supported; utf-8 is", m.Encoding)
	}
	return checkedFile(m.CheckWith, m.Mode)
}

// Run edits the file.
func (m *Replace) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("replace: %v", err), nil
	}
	mode, _ := modeText(m.Mode)
	e := editing{path: m.Path, mode: mode, owner: m.Owner, group: m.Group, validate: m.CheckWith, backup: m.Backup, follow: true, unsafe: m.UnsafeWrites, one: true}
	e.tell = func(msg, backup string) *value.Dict {
		d := saying(msg, backup)
		d.Set("rc", int64(0))
		return d
	}
	return e.edit(ctx, t, func(old string, _ bool) (string, string, error) { return m.change(old) })
}

func (m *Replace) change(old string) (now, msg string, err error) {
	head, body, tail, ok, err := m.section(old)
	if err != nil {
		return old, "", err
	}
	if !ok {
		return old, "Pattern for before/after params did not match the given file: " + m.between(), nil
	}
	re, err := regex.Compile(m.Regexp, regex.Multiline)
	if err != nil {
		return "", "", err
	}
	repl, err := re.Template(m.Replace)
	if err != nil {
		return "", "", err
	}
	n := 0
	body, err = re.ReplaceFunc(body, func(match regex.Match) string {
		n++
		return repl.Expand(&match)
	}, -1, -1)
	if now = head + body + tail; err != nil || now == old {
		return old, "", err
	}
	return now, fmt.Sprintf("%d replacements made", n), nil
}

// between is the expression that finds the section, as Ansible composes and shows it.
func (m *Replace) between() string {
	switch {
	case m.Before == "":
		return m.After + "(?P<subsection>.*)"
	case m.After == "":
		return "(?P<subsection>.*)" + m.Before
	}
	return m.After + "(?P<subsection>.*?)" + m.Before
}

// section is the part of the text between after and before; ok is false where one has no match.
func (m *Replace) section(old string) (head, body, tail string, ok bool, err error) {
	body = old
	if m.After != "" {
		re, err := regex.Compile(m.After, regex.DotAll)
		if err != nil {
			return "", "", "", false, err
		}
		match, err := re.FindStringMatch(body)
		if err != nil || match == nil {
			return "", "", "", false, err
		}
		cut := len(string([]rune(body)[:match.Index+match.Length]))
		head, body = body[:cut], body[cut:]
	}
	if m.Before != "" {
		re, err := regex.Compile(m.Before, regex.DotAll)
		if err != nil {
			return "", "", "", false, err
		}
		match, err := re.FindStringMatch(body)
		if err != nil || match == nil {
			return "", "", "", false, err
		}
		cut := len(string([]rune(body)[:match.Index]))
		body, tail = body[:cut], body[cut:]
	}
	return head, body, tail, true, nil
}
