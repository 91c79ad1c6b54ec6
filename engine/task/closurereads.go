package task

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strings"

	"farm/inventory/expr"
	"farm/inventory/value"
)

// parser is what templates are read with where no variables are given.
var parser = expr.New(expr.Options{})

func (c *closure) engine() *expr.Engine {
	if c.vars == nil {
		return parser
	}
	return c.vars.Engine()
}

// conditions are the keywords and arguments that hold expressions without braces.
var conditions = map[string]bool{
	"when": true, "until": true, "changed_when": true, "failed_when": true, "that": true, "var": true,
}

// mentions adds the variables that a task or block may read itself.
func (c *closure) mentions(t *Task) {
	for _, v := range []any{t.Keys, t.Args, t.Free, t.ArgsFrom} {
		c.mention(v)
	}
	if text, ok := t.Free.(string); ok && t.Module == "debug" {
		c.engine().MentionExpression(&c.reads, strings.TrimPrefix(text, "var="), t.ModulePos)
	}
	if t.Module == "ansible" && c.reads.Any == "" {
		c.reads.Any = c.short(t.Pos.String()) + ": ansible-playbook is given all of them"
	}
}

// mention adds the variables of the templates in v, and of expressions where they are known to be.
func (c *closure) mention(v any) {
	e := c.engine()
	e.Mention(&c.reads, v)
	eachKey(v, func(key string, d *value.Dict, item any) {
		with := strings.HasPrefix(key, "with_")
		if !conditions[key] && !with {
			return
		}
		list, ok := item.([]any)
		if !ok {
			list = []any{item}
		}
		for _, x := range list {
			if text, ok := x.(string); ok {
				e.MentionExpression(&c.reads, text, d.KeyPos(key))
			} else if with && key == "with_vars" || key == "with_varnames" {
				c.reads.Any = d.KeyPos(key).String() + ": " + key + " makes up names on reading"
			}
		}
	})
}

// eachKey calls f for every key of the dicts in v, at any depth.
func eachKey(v any, f func(key string, d *value.Dict, item any)) {
	switch t := v.(type) {
	case []any:
		for _, x := range t {
			eachKey(x, f)
		}
	case *value.Dict:
		for k, x := range t.All() {
			if key, ok := k.(string); ok {
				f(key, t, x)
			}
			eachKey(x, f)
		}
	}
}

// varTree adds a file of variables, or all files below a folder, by what they say, with
// the variables that they may read themselves.
func (c *closure) varTree(root string, s *scope) {
	c.walk(root, func(path string) {
		d, err := ReadVars(path)
		if err != nil { // nothing that farm reads
			c.add(path)
			return
		}
		c.meaning(path, d)
		c.mention(d)
		c.look(d, s, nil)
	})
}

// tasksValue is tasks as a value, without their places.
func tasksValue(tasks []*Task) any {
	list := make([]any, 0, len(tasks))
	for _, t := range tasks {
		list = append(list, value.NewDict("keys", t.Keys, "module", t.Module, "args", t.Args, "free", t.Free, "from", t.ArgsFrom,
			"block", tasksValue(t.Block), "rescue", tasksValue(t.Rescue), "always", tasksValue(t.Always)))
	}
	return list
}

// Digest is the SHA-256, in hex, of a value that is not evaluated. Templates differ from
// texts; false where it has a part that is made on reading.
func Digest(v any) (digest string, ok bool) {
	h := sha256.New()
	ok = hashValue(h, v)
	return hex.EncodeToString(h.Sum(nil)), ok
}

func hashValue(h hash.Hash, v any) bool {
	switch t := v.(type) {
	case value.Template:
		fmt.Fprintf(h, "t%d:%s", len(t.Text), t.Text)
	case string:
		fmt.Fprintf(h, "s%d:%s", len(t), t)
	case []any:
		fmt.Fprintf(h, "l%d:", len(t))
		for _, x := range t {
			if !hashValue(h, x) {
				return false
			}
		}
	case *value.Dict:
		fmt.Fprintf(h, "d%d:", t.Len())
		for k, x := range t.All() {
			if !hashValue(h, k) || !hashValue(h, x) {
				return false
			}
		}
	case expr.Lazy:
		return false
	default:
		text, err := json.Marshal(t)
		if err != nil {
			return false
		}
		fmt.Fprintf(h, "%T%d:%s", t, len(text), text)
	}
	return true
}
