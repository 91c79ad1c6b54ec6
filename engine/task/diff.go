package task

import (
	"fmt"
	"strings"

	"farm/inventory/value"
)

const (
	maxDiffWork = 4 << 20 // cells of the table in which two texts are compared; with more all lines differ
	around      = 3       // lines that are shown before and after what differs
)

// unified is what a module registered as its diff in the form of diff -u; "" where nothing
// differs.
func unified(v any) string {
	var b strings.Builder
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, one := range list {
		if d, ok := one.(*value.Dict); ok {
			b.WriteString(unifiedOne(d))
		}
	}
	return b.String()
}

func unifiedOne(d *value.Dict) string {
	for _, why := range []struct{ key, text string }{
		{"dst_binary", "the old file is no text"}, {"src_binary", "the new file is no text"},
		{"dst_larger", "the old file is larger than %s bytes"}, {"src_larger", "the new file is larger than %s bytes"},
	} {
		if n, ok := d.Get(why.key); ok {
			if strings.Contains(why.text, "%s") {
				return fmt.Sprintf("diff skipped: "+why.text+"\n", value.Text(n))
			}
			return "diff skipped: " + why.text + "\n"
		}
	}
	before, after := side(d, "before"), side(d, "after")
	if before == after {
		return ""
	}
	return "--- before" + header(d, "before_header") + "\n+++ after" + header(d, "after_header") + "\n" + hunks(diffLines(before), diffLines(after))
}

func header(d *value.Dict, key string) string {
	if v, ok := d.Get(key); ok {
		return ": " + value.Text(v)
	}
	return ""
}

// side is one side of a diff as text; a mapping has a line for each key.
func side(d *value.Dict, key string) string {
	v, _ := d.Get(key)
	m, ok := v.(*value.Dict)
	if !ok {
		return value.Text(v)
	}
	var b strings.Builder
	for k, x := range m.All() {
		fmt.Fprintf(&b, "%s: %s\n", value.Text(k), value.Text(x))
	}
	return b.String()
}

// diffLines cuts text after each newline; a last line without one says so.
func diffLines(text string) []string {
	if text == "" {
		return nil
	}
	list := strings.SplitAfter(text, "\n")
	if last := len(list) - 1; list[last] == "" {
		return list[:last]
	} else {
		list[last] += "\n\\ No newline at end of file\n"
	}
	return list
}

// edit is a line that stays (' '), goes ('-') or comes ('+').
type edit struct {
	op   byte
	line string
}

// edits is a shortest way from a to b, what goes before what comes.
func edits(a, b []string) []edit {
	var head, tail []edit
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		head = append(head, edit{' ', a[0]})
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail = append(tail, edit{' ', a[len(a)-1]})
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	out := append(head, between(a, b)...)
	for i := len(tail) - 1; i >= 0; i-- {
		out = append(out, tail[i])
	}
	return out
}

// between is edits by a table of longest common rests.
func between(a, b []string) (out []edit) {
	wide := len(b) + 1
	if (len(a)+1)*wide > maxDiffWork {
		for _, l := range a {
			out = append(out, edit{'-', l})
		}
		for _, l := range b {
			out = append(out, edit{'+', l})
		}
		return out
	}
	common := make([]int32, (len(a)+1)*wide)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*wide+j] = common[(i+1)*wide+j+1] + 1
			} else {
				common[i*wide+j] = max(common[(i+1)*wide+j], common[i*wide+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, edit{' ', a[i]})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[(i+1)*wide+j] >= common[i*wide+j+1]):
			out = append(out, edit{'-', a[i]})
			i++
		default:
			out = append(out, edit{'+', b[j]})
			j++
		}
	}
	return out
}

// hunks is what differs between a and b, with some lines around it.
func hunks(a, b []string) string {
	list := edits(a, b)
	var out strings.Builder
	oldAt, newAt := 0, 0 // lines of a and b before list[i]
	for i := 0; i < len(list); {
		if list[i].op == ' ' {
			oldAt, newAt, i = oldAt+1, newAt+1, i+1
			continue
		}
		from := max(i-around, 0)
		to := hunkEnd(list, i)
		var body strings.Builder
		oldN, newN := 0, 0
		for _, e := range list[from:to] {
			body.WriteByte(e.op)
			body.WriteString(e.line)
			if e.op != '+' {
				oldN++
			}
			if e.op != '-' {
				newN++
			}
		}
		fmt.Fprintf(&out, "@@ -%s +%s @@\n%s", lineRange(oldAt-(i-from), oldN), lineRange(newAt-(i-from), newN), body.String())
		oldAt, newAt, i = oldAt-(i-from)+oldN, newAt-(i-from)+newN, to
	}
	return out.String()
}

// hunkEnd is the end of the hunk that begins to differ at i: so many equal lines after its last change.
func hunkEnd(list []edit, i int) int {
	last := i
	for j := i; j < len(list) && j-last <= 2*around+1; j++ {
		if list[j].op != ' ' {
			last = j
		}
	}
	return min(last+1+around, len(list))
}

// lineRange is a place in a hunk's head: the first line, from 1, and how many.
func lineRange(before, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", before)
	case 1:
		return fmt.Sprint(before + 1)
	}
	return fmt.Sprintf("%d,%d", before+1, n)
}
