package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxLines bounds a case file: what needs more is two cases.
const maxLines = 25

// Case is one file under cases/. Its text is a list of tasks, or a mapping with
// the keys of section; comments at its head may be directives (see directives).
type Case struct {
	Name string // path under cases/ without .yaml: "modules/copy/mode"
	Slug string // Name as a host name and folder: "modules-copy-mode"
	Text []byte
	Directives
	section
	telling map[string]bool // names that telling modules register
}

// section is the form of a case that is a mapping.
type section struct {
	Vars     yaml.Node         `yaml:"vars"`     // of the play
	Work     map[string]string `yaml:"work"`     // files in {{ work }} before the first run, mode 0644
	Files    map[string]string `yaml:"files"`    // beside the playbook: templates/, roles/, tasks to include
	Handlers yaml.Node         `yaml:"handlers"` // of the play
	Tasks    yaml.Node         `yaml:"tasks"`
}

// Directives are comments `# name: value` or `# name` before the first line of YAML.
type Directives struct {
	Check    bool      // --check
	Tags     string    // --tags
	SkipTags string    // --skip-tags
	StartAt  string    // --start-at-task
	Extra    string    // --extra-vars, JSON
	Alone    bool      // a process and an inventory of its own, for cases that read groups or end the process
	Volatile bool      // ansible's answer is not kept: it depends on the machine's state
	Differs  []Differs // known differences
}

// Differs is `# differs: WHERE: REASON`: differences whose path begins with WHERE are
// expected, and REASON stands in docs/reference/ansible-differences.md.
type Differs struct{ Where, Reason string }

// ReadCases reads every case under dir whose name matches one of the patterns, sorted by
// name; no pattern = all. A pattern is a glob of the whole name or a prefix of it.
func ReadCases(dir string, patterns []string) ([]*Case, error) {
	var out []*Case
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name, ok := strings.CutSuffix(filepath.ToSlash(rel), ".yaml")
		if !ok {
			return fmt.Errorf("%s: a case file ends in .yaml", path)
		}
		if !matches(name, patterns) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		c, err := ParseCase(name, text)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, c)
		return nil
	})
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, err
}

func matches(name string, patterns []string) bool {
	for _, p := range patterns {
		if ok, err := filepath.Match(p, name); err == nil && ok || strings.HasPrefix(name, strings.TrimSuffix(p, "*")) {
			return true
		}
	}
	return len(patterns) == 0
}

// ParseCase reads the text of a case.
func ParseCase(name string, text []byte) (*Case, error) {
	c := &Case{Name: name, Slug: strings.NewReplacer("/", "-", "_", "-").Replace(name), Text: text}
	if n := bytes.Count(text, []byte("\n")); n > maxLines {
		return nil, fmt.Errorf("%d lines; a case has at most %d", n, maxLines)
	}
	for line := range strings.Lines(string(text)) {
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		if err := c.directive(strings.TrimSpace(comment)); err != nil {
			return nil, err
		}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	c.telling = map[string]bool{}
	c.registers(&doc)
	if len(doc.Content) == 0 {
		return nil, errors.New("no tasks")
	}
	if doc.Content[0].Kind == yaml.SequenceNode {
		c.Tasks = *doc.Content[0]
		return c, nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&c.section); err != nil {
		return nil, err
	}
	if c.Tasks.Kind != yaml.SequenceNode {
		return nil, errors.New("no list of tasks")
	}
	return c, nil
}

// registers notes what telling modules register, at any depth.
func (c *Case) registers(n *yaml.Node) {
	name, tells := "", false
	for i, child := range n.Content {
		c.registers(child)
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			tells = tells || telling[shortName(child.Value)]
			if child.Value == "register" {
				name = n.Content[i+1].Value
			}
		}
	}
	if tells && name != "" {
		c.telling[name] = true
	}
}

// directive reads one comment; other comments say what the case is about.
func (d *Directives) directive(comment string) error {
	name, value, _ := strings.Cut(comment, ":")
	value = strings.TrimSpace(value)
	flags := map[string]*bool{"check": &d.Check, "alone": &d.Alone, "volatile": &d.Volatile}
	texts := map[string]*string{"tags": &d.Tags, "skip-tags": &d.SkipTags, "start-at": &d.StartAt, "extra": &d.Extra}
	switch {
	case flags[name] != nil:
		*flags[name] = true
	case texts[name] != nil:
		*texts[name] = value
	case name == "differs":
		where, reason, ok := strings.Cut(value, ": ")
		if !ok {
			return fmt.Errorf("%q is not `differs: WHERE: REASON`", comment)
		}
		d.Differs = append(d.Differs, Differs{where, strings.TrimSpace(reason)})
	}
	return nil
}

// flags are the arguments of ansible-playbook that the directives ask for.
func (d *Directives) flags() []string {
	var out []string
	if d.Check {
		out = append(out, "--check")
	}
	for _, f := range []struct{ name, value string }{{"--tags", d.Tags}, {"--skip-tags", d.SkipTags}, {"--start-at-task", d.StartAt}, {"--extra-vars", d.Extra}} {
		if f.value != "" {
			out = append(out, f.name, f.value)
		}
	}
	return out
}
