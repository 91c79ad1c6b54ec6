package modules

import (
	"bytes"
	"io"

	"farm/inventory/value"
)

// maxDiff is the size in bytes above which the content of a file is not compared, as in Ansible.
const maxDiff = 104448

// changes are attributes before and after.
type changes struct{ path, before, after *value.Dict }

// attrsDiff is what attrs said that it changed on the file at path.
func attrsDiff(r reply, path string) changes {
	c := changes{value.NewDict("path", path), value.NewDict(), value.NewDict()}
	for _, k := range []string{"owner", "group"} {
		if r.has("was_" + k) {
			c.note(k, text(r.get("was_"+k)), text(r.get("now_"+k)))
		}
	}
	if r.has("was_mode") {
		c.note("mode", fourDigits(r.get("was_mode")), fourDigits(r.get("now_mode")))
	}
	return c
}

func (c changes) note(name string, before, after any) {
	c.before.Set(name, before)
	c.after.Set(name, after)
}

// value is the diff as it is registered; with a header the path stands there.
func (c changes) value(header string) *value.Dict {
	if header == "" {
		return value.NewDict("before", value.Merge(c.path, c.before), "after", value.Merge(c.path, c.after))
	}
	path, _ := c.path.Get("path")
	title := value.Text(path) + header
	d := value.NewDict("before_header", title, "after_header", title)
	if c.before.Len() > 0 {
		d.Set("before", value.Merge(c.path, c.before))
		d.Set("after", value.Merge(c.path, c.after))
	}
	return d
}

// textDiff is the diff of a text as it is registered; a title may be empty.
func textDiff(oldTitle, before, newTitle, after string) *value.Dict {
	d := value.NewDict()
	for _, side := range []struct{ header, title, key, content string }{
		{"before_header", oldTitle, "before", before}, {"after_header", newTitle, "after", after},
	} {
		if side.title != "" {
			d.Set(side.header, side.title)
		}
		d.Set(side.key, text(side.content))
	}
	return d
}

// diff is what putting the file changed: its content or else its attributes.
func (p putting) diff(r reply) any {
	path := text(r.get("path"))
	if !r.is("content") {
		return attrsDiff(r, path).value("")
	}
	if p.open == nil {
		return nil
	}
	d := value.NewDict()
	switch {
	case r.is("large"):
		d.Set("dst_larger", int64(maxDiff))
	case r.is("binary"):
		d.Set("dst_binary", int64(1))
	default:
		d.Set("before", text(r.get("before")))
		if r.has("before") {
			d.Set("before_header", path)
		}
	}
	src, err := p.open()
	if err != nil {
		return nil
	}
	defer src.Close()
	b, err := io.ReadAll(io.LimitReader(src, maxDiff+1))
	switch {
	case err != nil:
		return nil
	case len(b) > maxDiff:
		d.Set("src_larger", int64(maxDiff))
	case bytes.IndexByte(b, 0) >= 0:
		d.Set("src_binary", int64(1))
	default:
		d.Set("after", text(string(b)))
		d.Set("after_header", path)
	}
	return []any{d}
}
