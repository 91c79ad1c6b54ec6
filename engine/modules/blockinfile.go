package modules

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"farm/engine"
	"farm/inventory/regex"
)

// Blockinfile makes sure that a file has a block of lines between two marker lines.
type Blockinfile struct {
	Path         string `yaml:"path|dest|destfile|name,required"` // the file
	Block        string `yaml:"block|content"`                    // the lines; "" removes the block
	State        string `yaml:"state"`                            // present (the default) or absent
	Marker       string `yaml:"marker"`                           // marker line, {mark} in it
	MarkerBegin  string `yaml:"marker_begin"`                     // {mark} of the first; BEGIN by default
	MarkerEnd    string `yaml:"marker_end"`                       // {mark} of the last; END by default
	InsertAfter  string `yaml:"insertafter"`                      // EOF (the default), or after the last line that matches this; with (?m) in front, after its first match in the whole text
	InsertBefore string `yaml:"insertbefore"`                     // BOF, or before the last line that matches this
	Create       bool   `yaml:"create"`                           // make a file that is missing
	Backup       bool   `yaml:"backup"`                           // keep the old file beside it
	AppendNL     bool   `yaml:"append_newline"`                   // an empty line after the block
	PrependNL    bool   `yaml:"prepend_newline"`                  // and before it
	Mode         any    `yaml:"mode"`                             // '0644' or 'u=rw,go=r'
	Owner        string `yaml:"owner"`                            // name or number
	Group        string `yaml:"group"`                            // name or number
	CheckWith    string `yaml:"validate"`                         // command that must accept the file, %s in it
	UnsafeWrites *bool  `yaml:"unsafe_writes"`                    // write into the file itself where its folder takes no other
}

func newBlockinfile() engine.Module {
	return &Blockinfile{State: "present", Marker: "# {mark} ANSIBLE MANAGED BLOCK", MarkerBegin: "BEGIN", MarkerEnd: "END"}
}

// Validate checks what goes together.
func (m *Blockinfile) Validate() error {
	switch {
	case m.State != "present" && m.State != "absent":
		return fmt.Errorf("state %q is neither present nor absent", m.State)
	case m.InsertAfter != "" && m.InsertBefore != "":
		return errors.New("insertafter and insertbefore are mutually exclusive")
	case m.marker(m.MarkerBegin) == m.marker(m.MarkerEnd):
		return errors.New("the two markers are equal: put {mark} into marker")
	}
	for _, p := range []struct{ name, text string }{{"insertafter", m.InsertAfter}, {"insertbefore", m.InsertBefore}} {
		if _, err := regex.Compile(p.text, 0); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return checkedFile(m.CheckWith, m.Mode)
}

func (m *Blockinfile) marker(mark string) string {
	return strings.ReplaceAll(m.Marker, "{mark}", mark)
}

// Run edits the file.
func (m *Blockinfile) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("blockinfile: %v", err), nil
	}
	mode, _ := modeText(m.Mode)
	e := editing{path: m.Path, mode: mode, owner: m.Owner, group: m.Group, validate: m.CheckWith,
		create: m.Create, backup: m.Backup, follow: true, unsafe: m.UnsafeWrites}
	return e.edit(ctx, t, m.change)
}

func (m *Blockinfile) change(old string, exists bool) (now, msg string, err error) {
	list := splitLines(old)
	begin, end := m.marker(m.MarkerBegin), m.marker(m.MarkerEnd)
	first, last := -1, -1
	for i, line := range list {
		switch strings.TrimRight(line, "\r\n") {
		case begin:
			first = i
		case end:
			last = i
		}
	}
	gone := m.State == "absent" || m.Block == ""
	at := -1
	if first >= 0 && last >= 0 {
		low, high := min(first, last), max(first, last)
		list = append(list[:low:low], list[high+1:]...)
		at = low
	} else if !gone {
		if at, err = m.place(old, list); err != nil {
			return "", "", err
		}
	}
	if !gone {
		list = m.put(list, at, begin, end)
	}
	now = strings.Join(list, "")
	switch {
	case now == old:
		return old, "", nil
	case gone:
		return now, "Block removed", nil
	case !exists:
		return now, "File created", nil
	}
	return now, "Block inserted", nil
}

// manyLines are expressions that are searched for in the whole text.
var manyLines = regexp.MustCompile(`^\(\?[a-zA-Z]*m[a-zA-Z]*\)`)

// place is the index in list, the lines of old, that a new block gets.
func (m *Blockinfile) place(old string, list []string) (int, error) {
	text := m.InsertAfter + m.InsertBefore
	if !manyLines.MatchString(text) {
		return (&Lineinfile{InsertAfter: m.InsertAfter, InsertBefore: m.InsertBefore}).place(list)
	}
	re, err := regex.Compile(text, 0)
	if err != nil {
		return 0, err
	}
	match, err := re.FindStringMatch(old)
	switch {
	case err != nil:
		return 0, err
	case match == nil:
		return len(list), nil
	case m.InsertBefore != "":
		return strings.Count(string([]rune(old)[:match.Index]), "\n"), nil
	}
	return min(len(list), strings.Count(string([]rune(old)[:match.Index+match.Length]), "\n")+1), nil
}

func (m *Blockinfile) put(list []string, at int, begin, end string) []string {
	if at > 0 && !strings.HasSuffix(list[at-1], "\n") {
		list[at-1] += "\n"
	}
	block := []string{begin + "\n", strings.TrimSuffix(m.Block, "\n") + "\n", end + "\n"}
	if m.PrependNL && at > 0 && strings.TrimSpace(list[at-1]) != "" {
		block = append([]string{"\n"}, block...)
	}
	if m.AppendNL && at < len(list) && strings.TrimSpace(list[at]) != "" {
		block = append(block, "\n")
	}
	return append(list[:at:at], append(block, list[at:]...)...)
}
