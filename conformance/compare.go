package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Difference is one thing in which the two sides differ.
type Difference struct {
	Run           int    // 1 or 2
	Path          string // "events.3.status", "vars.r.stat.mode", "files.a/b.mode", "order", "outcome"
	Ansible, Farm string
}

func (d Difference) String() string {
	return fmt.Sprintf("run %d: %s: ansible %s, farm %s", d.Run, d.Path, d.Ansible, d.Farm)
}

// Compare lists the differences of the runs of a case.
func Compare(of *Case, ansible, farm []*Run) []Difference {
	var out []Difference
	for i := range ansible {
		c := comparison{run: i + 1}
		c.runs(Normal(of, ansible[i]), Normal(of, farm[i]))
		out = append(out, c.found...)
	}
	return out
}

type comparison struct {
	run   int
	found []Difference
}

func (c *comparison) differ(path, a, f string) {
	c.found = append(c.found, Difference{c.run, path, a, f})
}

func (c *comparison) runs(a, f *Run) {
	if a.Outcome != f.Outcome {
		c.differ("outcome", a.Outcome+quoted(a.Detail), f.Outcome+quoted(f.Detail))
	}
	if order(a) != order(f) {
		c.differ("order", order(a), order(f))
	} else {
		for i := range a.Events {
			path := fmt.Sprintf("events.%d", i+1)
			if x, y := a.Events[i].Status, f.Events[i].Status; x != y {
				c.differ(path+".status", x+message(a.Events[i]), y+message(f.Events[i]))
			}
			c.values(path+"("+a.Events[i].Module+")", a.Events[i].Result, f.Events[i].Result)
		}
	}
	if a.Outcome != "error" && f.Outcome != "error" {
		c.values("vars", mapping(a.Vars), mapping(f.Vars))
	}
	c.files(a.Files, f.Files)
}

func quoted(detail string) string {
	if detail == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", detail)
}

func message(e Event) string {
	if m, ok := e.Result["msg"].(string); ok {
		return quoted(m)
	}
	return ""
}

func mapping(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// order is the order of execution: a line for each result.
func order(r *Run) string {
	var b strings.Builder
	for _, e := range r.Events {
		item := ""
		if e.Item {
			item = " (item)"
		}
		fmt.Fprintf(&b, "[%s%s]", e.Task, item)
	}
	return b.String()
}

func (c *comparison) values(path string, a, f any) {
	x, xok := a.(map[string]any)
	y, yok := f.(map[string]any)
	if xok && yok {
		for _, k := range keys(x, y) {
			va, inA := x[k]
			vf, inF := y[k]
			switch {
			case va == upload:
			case !inA:
				c.differ(path+"."+k, "has none", show(vf))
			case !inF:
				c.differ(path+"."+k, show(va), "has none")
			default:
				c.values(path+"."+k, va, vf)
			}
		}
		return
	}
	la, aok := a.([]any)
	lf, fok := f.([]any)
	if aok && fok && len(la) == len(lf) {
		for i := range la {
			c.values(fmt.Sprintf("%s.%d", path, i), la[i], lf[i])
		}
		return
	}
	if show(a) != show(f) && !(keepsType(path) && show(a) == strconv.Quote(show(f))) {
		c.differ(path, show(a), show(f))
	}
}

// keepsType says where a value is what the user's expression gave. There farm keeps numbers
// as numbers, as ansible does with jinja2_native; by default ansible makes text of them.
func keepsType(path string) bool {
	event, isEvent := strings.CutPrefix(path, "events.")
	if isEvent {
		_, event, _ = strings.Cut(event, "(")
		return strings.HasPrefix(event, "debug)") || strings.HasPrefix(event, "set_fact)")
	}
	return strings.Count(path, ".") == 1 || strings.HasSuffix(path, ".msg")
}

func (c *comparison) files(a, f map[string]File) {
	for _, name := range keys(a, f) {
		x, inA := a[name]
		y, inF := f[name]
		switch {
		case !inA:
			c.differ("files."+name, "has none", show(y))
		case !inF:
			c.differ("files."+name, show(x), "has none")
		case x != y:
			c.differ("files."+name, show(x), show(y))
		}
	}
}

func keys[T any](a, b map[string]T) []string {
	var out []string
	for k := range a {
		out = append(out, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

// maxShown bounds one value in a message.
const maxShown = 400

// show is a value as JSON, with its keys in order.
func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func cut(s string) string {
	if len(s) > maxShown {
		return s[:maxShown] + "..."
	}
	return s
}

// Unexpected returns the differences of a case that no directive names, and the faults of
// its directives: one that names nothing, one whose reason the page of differences does not hold.
func Unexpected(c *Case, found []Difference, page string) (differs []Difference, faults []string) {
	used := make([]bool, len(c.Differs))
	for _, d := range found {
		named := false
		for i, known := range c.Differs {
			if strings.HasPrefix(d.Path, known.Where) {
				used[i], named = true, true
			}
		}
		if !named {
			differs = append(differs, d)
		}
	}
	for i, known := range c.Differs {
		if !used[i] {
			faults = append(faults, fmt.Sprintf("says that %q differs, and it does not", known.Where))
		}
		if !strings.Contains(page, known.Reason) {
			faults = append(faults, fmt.Sprintf("docs/reference/ansible-differences.md does not hold the difference %q", known.Reason))
		}
	}
	return differs, faults
}

// Condensed leaves out what says the same again: of a second run, and of the variable that
// a result was registered in.
func Condensed(found []Difference) []Difference {
	var out []Difference
	seen := map[string]bool{}
	for _, d := range found {
		last := d.Path[strings.LastIndex(d.Path, ".")+1:]
		key := strings.Join([]string{last, d.Ansible, d.Farm}, "\x00")
		if !seen[key] {
			out = append(out, d)
		}
		seen[key] = true
	}
	return out
}
