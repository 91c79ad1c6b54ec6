package expr

import (
	"fmt"
	"strings"

	"farm/inventory/regex"
)

// identifier is a term that names something; it must be text.
func identifier(x any) string {
	if u, ok := x.(*undefined); ok {
		u.fail()
	}
	s, ok := x.(string)
	if !ok {
		throw("Invalid setting identifier, \"%s\" is not a string, its type is %s", text(x), typeName(x))
	}
	return s
}

func varsLookup(c *call) any {
	out := []any{}
	for _, a := range c.args {
		name := identifier(a)
		v := c.m.variable(name)
		if u, ok := v.(*undefined); ok {
			def, has := c.named["default"]
			if !has && u.err != nil {
				u.fail()
			}
			if !has {
				err := &UndefinedError{Name: name, Why: "No variable found with this name: " + name}
				(&undefined{name: name, err: err}).fail()
			}
			v = def
		}
		out = append(out, v)
	}
	return out
}

// varNames lists the variables whose names match regular expressions, those of each after the
// other's, in the order in which they were set.
func varNames(c *call) any {
	out := []any{}
	names := c.m.vars.inOrder()
	for _, a := range c.args {
		pattern := identifier(a)
		re, err := regex.Compile(pattern, 0)
		if err != nil {
			throw("Unable to use \"%s\" as a search parameter: %s", pattern, err)
		}
		re.MatchTimeout = regexTime
		for _, name := range names {
			if len(c.m.matches(re, name, 1)) > 0 {
				out = append(out, name)
			}
		}
	}
	return out
}

// hostNames lists the hosts of the inventory that patterns select.
func hostNames(c *call) any {
	sel := c.m.vars.e.o.Select
	if sel == nil {
		throw("the lookup %q has no inventory here", c.name)
	}
	var hosts []string
	groups := map[string][]string{}
	all := c.m.variable("groups")
	for _, name := range c.m.items(all) {
		for _, h := range c.m.items(c.m.index(all, name)) {
			host := text(h)
			groups[text(name)] = append(groups[text(name)], host)
			if name == "all" {
				hosts = append(hosts, host)
			}
		}
	}
	var terms []string
	for _, a := range flatLookup(c).([]any) {
		terms = append(terms, text(a))
	}
	found, err := sel(strings.Join(terms, ","), hosts, groups)
	if err != nil {
		throwErr(fmt.Errorf("inventory_hostnames: %w", err))
	}
	return stringList(found)
}
