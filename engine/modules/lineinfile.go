package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"farm/engine"
	"farm/inventory/regex"
	"farm/inventory/value"
)

// Lineinfile makes sure that a file has a line, or has it not.
type Lineinfile struct {
	Path         string  `yaml:"path|dest|destfile|name,required"` // the file
	Line         *string `yaml:"line|value"`                       // the line
	Regexp       *string `yaml:"regexp|regex"`                     // the last line that matches is replaced; with absent all that match go
	SearchString *string `yaml:"search_string"`                    // as regexp, but plain text
	State        string  `yaml:"state"`                            // present (the default) or absent
	Backrefs     bool    `yaml:"backrefs"`                         // line may use \1; no match, no change
	InsertAfter  string  `yaml:"insertafter"`                      // EOF (the default), or a new line goes after the last line that matches this
	InsertBefore string  `yaml:"insertbefore"`                     // BOF, or before the last line that matches this
	FirstMatch   bool    `yaml:"firstmatch"`                       // the first instead of the last
	Create       bool    `yaml:"create"`                           // make a file that is missing
	Backup       bool    `yaml:"backup"`                           // keep the old file beside it
	Mode         any     `yaml:"mode"`                             // '0644' or 'u=rw,go=r'
	Owner        string  `yaml:"owner"`                            // name or number
	Group        string  `yaml:"group"`                            // name or number
	CheckWith    string  `yaml:"validate"`                         // command that must accept the file, %s in it
	UnsafeWrites *bool   `yaml:"unsafe_writes"`                    // write into the file itself where its folder takes no other
}

func newLineinfile() engine.Module { return &Lineinfile{State: "present"} }

// Validate checks what goes together.
func (m *Lineinfile) Validate() error {
	switch {
	case m.State != "present" && m.State != "absent":
		return fmt.Errorf("state %q is neither present nor absent", m.State)
	case m.Regexp != nil && m.SearchString != nil:
		return errors.New("regexp and search_string are mutually exclusive")
	case m.InsertAfter != "" && m.InsertBefore != "":
		return errors.New("insertafter and insertbefore are mutually exclusive")
	case m.State == "present" && m.Line == nil:
		return errors.New("state: present needs line")
	case m.State == "present" && m.Backrefs && m.Regexp == nil:
		return errors.New("backrefs needs regexp")
	case m.State == "absent" && m.Line == nil && m.Regexp == nil && m.SearchString == nil:
		return errors.New("state: absent needs line, regexp or search_string")
	}
	for _, p := range []struct{ name, text string }{{"regexp", m.text(m.Regexp)}, {"insertafter", m.InsertAfter}, {"insertbefore", m.InsertBefore}} {
		if _, err := regex.Compile(p.text, 0); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return checkedFile(m.CheckWith, m.Mode)
}

func (m *Lineinfile) text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// everyLine is why an expression is not what was meant; "" where it may be.
func (m *Lineinfile) everyLine() string {
	const why = " is an empty string, which will match every line in the file. " +
		"This may have unintended consequences, such as replacing the last line in the file rather than appending."
	switch {
	case m.Regexp != nil && *m.Regexp == "":
		return "The regular expression" + why + " If this is desired, use '^' to match every line in the file and avoid this warning."
	case m.SearchString != nil && *m.SearchString == "":
		return "The search string" + why
	}
	return ""
}

// Run edits the file.
func (m *Lineinfile) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("lineinfile: %v", err), nil
	}
	mode, _ := modeText(m.Mode)
	e := editing{path: m.Path, mode: mode, owner: m.Owner, group: m.Group, validate: m.CheckWith, create: m.Create || m.State == "absent",
		backup: m.Backup, follow: true, unsafe: m.UnsafeWrites, what: "Destination"}
	e.tell = func(msg, backup string) *value.Dict { return value.NewDict("msg", msg, "backup", backup) }
	found, gone := 0, false
	res, err := e.edit(ctx, t, func(old string, exists bool) (string, string, error) {
		if m.State == "absent" {
			gone = !exists
			now, n, err := m.remove(old)
			found = n
			if n > 0 {
				return now, fmt.Sprintf("%d line(s) removed", n), err
			}
			return old, "", err
		}
		return m.insert(old)
	})
	switch {
	case m.State != "absent" || err != nil || res.Failed:
	case gone:
		res.Values = value.NewDict("msg", "file not present")
	default:
		res.Values.Set("found", int64(found))
	}
	if why := m.everyLine(); why != "" && err == nil {
		res = cautioned(t, res, "%s", why)
	}
	return res, err
}

// matcher says whether a line, without its newline, is one that is looked for.
func (m *Lineinfile) matcher() (*regex.Regex, func(string) bool, error) {
	if m.Regexp == nil {
		return nil, func(line string) bool {
			if m.SearchString != nil {
				return strings.Contains(line, *m.SearchString)
			}
			return m.Line != nil && line == *m.Line
		}, nil
	}
	re, err := regex.Compile(*m.Regexp, 0)
	if err != nil {
		return nil, nil, err
	}
	return re, func(line string) bool {
		ok, _ := re.MatchString(line)
		return ok
	}, nil
}

func (m *Lineinfile) remove(old string) (string, int, error) {
	_, is, err := m.matcher()
	if err != nil {
		return "", 0, err
	}
	var b strings.Builder
	n := 0
	for _, line := range splitLines(old) {
		if is(strings.TrimRight(line, "\r\n")) {
			n++
			continue
		}
		b.WriteString(line)
	}
	return b.String(), n, nil
}

func (m *Lineinfile) insert(old string) (now, msg string, err error) {
	re, is, err := m.matcher()
	if err != nil {
		return "", "", err
	}
	list := splitLines(old)
	at, exact := -1, -1
	for i, line := range list {
		bare := strings.TrimRight(line, "\r\n")
		if is(bare) && (at < 0 || !m.FirstMatch) {
			at = i
		}
		if bare == *m.Line {
			exact = i
		}
	}
	line := *m.Line
	if at >= 0 {
		if m.Backrefs {
			match, err := re.FindStringMatch(strings.TrimRight(list[at], "\r\n"))
			if err == nil {
				line, err = re.Expand(line, match)
			}
			if err != nil {
				return "", "", err
			}
		}
		if strings.TrimRight(list[at], "\r\n") == line {
			return old, "", nil
		}
		list[at] = line + "\n" // whatever ended it before, as Ansible does
		return strings.Join(list, ""), "line replaced", nil
	}
	if m.Backrefs || exact >= 0 {
		return old, "", nil
	}
	where, err := m.place(list)
	if err != nil {
		return "", "", err
	}
	if where > 0 && !strings.HasSuffix(list[where-1], "\n") {
		list[where-1] += "\n"
	}
	list = append(list[:where:where], append([]string{line + "\n"}, list[where:]...)...)
	return strings.Join(list, ""), "line added", nil
}

// place is the index that a new line gets.
func (m *Lineinfile) place(list []string) (int, error) {
	text, after := m.InsertAfter, 1
	if m.InsertBefore != "" {
		text, after = m.InsertBefore, 0
	}
	switch {
	case m.InsertBefore == "BOF", m.InsertAfter == "BOF":
		return 0, nil
	case text == "", text == "EOF":
		return len(list), nil
	}
	re, err := regex.Compile(text, 0)
	if err != nil {
		return 0, err
	}
	at := len(list)
	for i, line := range list {
		if ok, _ := re.MatchString(strings.TrimRight(line, "\r\n")); ok {
			at = i + after
			if m.FirstMatch {
				break
			}
		}
	}
	return at, nil
}
