package expr

import (
	"strings"

	"farm/inventory/value"
)

// lookupCall is lookup, query and q: the terms go to the lookup, which gives a list;
// lookup joins it with commas unless wantlist is true or there is nothing in it.
func lookupCall(c *call, wantList bool) any {
	c.open = true
	id := text(c.need(0, "name"))
	f, ok := c.m.vars.e.lookup(id)
	if !ok {
		throwHint(suggest(id, keysOf(c.m.vars.e.lookups)), "unknown lookup %q", id)
	}
	wantList = wantList || truth(c.named["wantlist"])
	errorsAs := "strict"
	if e, ok := c.named["errors"]; ok {
		errorsAs = text(e)
	}
	result, err := c.m.try(func() any {
		return c.m.call(f, id, nil, c.args[1:], c.named, nil)
	})
	if err != nil {
		switch {
		case errorsAs == "strict":
			throwErr(err)
		case !wantList:
			return ""
		}
		return []any{}
	}
	list := result.([]any)
	switch {
	case wantList || len(list) == 0:
		return list
	case len(list) == 1:
		return list[0]
	}
	parts := make([]string, len(list))
	for i, x := range list {
		s, ok := x.(string)
		if !ok {
			return list // what is not text is not joined
		}
		parts[i] = s
	}
	return strings.Join(parts, ",")
}

// try runs f and returns its fault as an error placed where m is.
func (m *machine) try(f func() any) (v any, err error) {
	at, depth := m.at, m.depth
	defer func() { m.depth = depth }()
	defer guard(&err, m.prog.text, m.pos, m.file, &at)
	return f(), nil
}

func lookups() map[string]function {
	return map[string]function{
		"first_found": firstFound, "template": templateLookup, "file": fileLookup,
		"unvault": fileLookup, "fileglob": fileGlob, "env": envLookup, "vars": varsLookup,
		"dict": dictLookup, "items": flatLookup, "flattened": deepLookup, "list": listLookup,
		"indexed_items": indexedItems, "sequence": sequenceLookup, "varnames": varNames,
		"csvfile": csvLookup, "ini": iniLookup, "inventory_hostnames": hostNames,
		"random_choice": func(c *call) any {
			if len(c.args) == 1 {
				if list, ok := c.args[0].([]any); ok {
					c.args = list
				}
			}
			if len(c.args) == 0 {
				return []any{}
			}
			return []any{c.args[randomSource(nil, false)(uint64(len(c.args)))]}
		},
		"together": func(c *call) any {
			if len(c.args) == 0 {
				throw("with_together requires at least one element in each list")
			}
			c.in, c.args = c.args[0], c.args[1:]
			return zipLongest(c)
		},
		"nested": func(c *call) any {
			if len(c.args) == 0 {
				throw("with_nested requires at least one element in the nested list")
			}
			c.in, c.args, c.named = c.args[0], c.args[1:], nil
			return productFilter(c)
		},
		"subelements": subelementsLookup,
		"password":    passwordLookup,
		"pipe":        refused, "lines": refused, "url": refused, "config": unconfigured,
	}
}

// refused is a lookup that would run a project's command on this machine, or use its network.
func refused(c *call) any {
	throwHint("use a task with register", "the lookup %q is not allowed: it would act on the machine that farm runs on", c.name)
	return nil
}

// unconfigured says why there is no lookup of Ansible's settings.
func unconfigured(*call) any {
	throwHint("use a variable", "there is no lookup \"config\": farm has no ansible.cfg")
	return nil
}

func envLookup(c *call) any {
	out := []any{}
	for _, a := range c.args {
		v, ok := c.m.env(text(a))
		def, has := c.named["default"]
		switch {
		case ok:
			out = append(out, v)
		case has:
			out = append(out, def)
		default:
			out = append(out, "")
		}
	}
	return out
}

func dictLookup(c *call) any {
	out := []any{}
	for _, a := range c.args {
		if !isMapping(a) && !isUndefined(a) {
			throw("with_dict expects a dict, not %s", kindOf(a))
		}
		for k, v := range c.m.dict(a).All() {
			out = append(out, value.NewDict("key", k, "value", v))
		}
	}
	return out
}

// flatLookup flattens its terms by one level.
func flatLookup(c *call) any {
	out := []any{}
	for _, a := range c.args {
		if list, ok := a.([]any); ok {
			out = append(out, list...)
		} else {
			out = append(out, a)
		}
	}
	return out
}

// deepLookup flattens its terms at every depth.
func deepLookup(c *call) any {
	c.in, c.args, c.named = c.args, nil, nil
	return flattenFilter(c)
}

func listLookup(c *call) any { return append([]any{}, c.args...) }

func indexedItems(c *call) any {
	out := []any{}
	for i, x := range flatLookup(c).([]any) {
		out = append(out, tuple{int64(i), x})
	}
	return out
}
