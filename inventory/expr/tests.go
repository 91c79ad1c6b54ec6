package expr

import (
	"math"
	"strings"
	"unicode"

	"farm/inventory/value"
)

// tests is the table of all tests by name. Each gives a boolean.
func tests() map[string]function {
	t := map[string]function{
		"defined":   func(c *call) any { return !isUndefined(c.in) },
		"undefined": func(c *call) any { return isUndefined(c.in) },
		"none":      func(c *call) any { return c.in == nil },
		"true":      func(c *call) any { return c.in == true },
		"false":     func(c *call) any { return c.in == false },
		"truthy":    truthy(true), "falsy": truthy(false),
		"even":        func(c *call) any { return equal(c.modulo(int64(2)), int64(0)) },
		"odd":         func(c *call) any { return equal(c.modulo(int64(2)), int64(1)) },
		"divisibleby": func(c *call) any { return equal(c.modulo(c.numberArg(0, "num")), int64(0)) },
		"sameas":      func(c *call) any { return sameAs(c.in, c.need(0, "other")) },
		"in":          func(c *call) any { return c.m.contains(c.need(0, "seq"), c.defined()) },
		"contains":    func(c *call) any { return c.m.contains(c.defined(), c.need(0, "value")) },
		"subset":      func(c *call) any { return subset(c.items(), c.m.items(c.need(0, "b"))) },
		"superset":    func(c *call) any { return subset(c.m.items(c.need(0, "b")), c.items()) },
		"any":         func(c *call) any { return anyTrue(c.items(), true) },
		"all":         func(c *call) any { return !anyTrue(c.items(), false) },
		"lower":       func(c *call) any { s := c.text(); return strings.ToLower(s) == s && hasLetter(s) },
		"upper":       func(c *call) any { s := c.text(); return strings.ToUpper(s) == s && hasLetter(s) },
		"version":     versionTest, "version_compare": versionTest,
		"match": regexTest("match"), "search": regexTest("search"), "regex": regexTest("search"),
		"filter": func(c *call) any { _, ok := c.m.vars.e.filter(c.text()); return ok },
		"test":   func(c *call) any { _, ok := c.m.vars.e.test(c.text()); return ok },
		"nan":    func(c *call) any { f, ok := c.defined().(float64); return ok && math.IsNaN(f) },
		"abs":    func(c *call) any { return strings.HasPrefix(c.text(), "/") },
		"uri":    func(c *call) any { _, ok := c.uri(); return ok },
		"url":    func(c *call) any { u, ok := c.uri(); return ok && (u.netloc != "" || u.scheme == "file") },
		"urn":    func(c *call) any { u, ok := c.uri(); return ok && u.scheme == "urn" },
		// There are no encrypted values.
		"vault_encrypted": func(c *call) any { c.defined(); return false },
	}
	kindTests(t)
	resultTests(t)
	fileTests(t)
	for op, names := range map[string][]string{
		"==": {"eq", "equalto", "=="}, "!=": {"ne", "!="}, "<": {"lt", "lessthan", "<"},
		"<=": {"le", "<="}, ">": {"gt", "greaterthan", ">"}, ">=": {"ge", ">="},
	} {
		for _, n := range names {
			t[n] = func(c *call) any { return c.m.compare(op, c.in, c.need(0, "other")) }
		}
	}
	t["issubset"], t["issuperset"] = t["subset"], t["superset"]
	t["is_abs"], t["is_dir"], t["is_file"], t["is_link"], t["isnan"] = t["abs"], t["directory"], t["file"], t["link"], t["nan"]
	t["is_same_file"], t["is_mount"] = t["same_file"], t["mount"]
	return t
}

// kindTests look at the kind of a value only; what is undefined has none of the kinds.
func kindTests(t map[string]function) {
	is := func(ok func(x any) bool) function { return func(c *call) any { return ok(c.in) } }
	t["string"] = is(func(x any) bool { _, ok := x.(string); return ok })
	t["boolean"] = is(func(x any) bool { _, ok := x.(bool); return ok })
	t["integer"] = is(func(x any) bool {
		switch x.(type) {
		case int64, value.Big:
			return true
		}
		return false
	})
	t["float"] = is(func(x any) bool { _, ok := x.(float64); return ok })
	t["number"] = is(func(x any) bool {
		if isUndefined(x) {
			return false
		}
		_, ok := number(x)
		return ok
	})
	t["mapping"] = is(isMapping)
	t["sequence"] = is(func(x any) bool {
		switch x.(type) {
		case string, []any, tuple:
			return true
		}
		return isMapping(x)
	})
	t["iterable"] = func(c *call) any { _, ok := c.m.iterable(c.in); return ok }
	t["callable"] = is(func(x any) bool {
		switch x.(type) {
		case builtin, *macro:
			return true
		}
		return false
	})
}

func isMapping(x any) bool {
	switch x.(type) {
	case *value.Dict, Lazy, *namespace:
		return true
	}
	return false
}

func truthy(want bool) function {
	return func(c *call) any {
		convert := c.bool(0, "convert_bool", false)
		x := c.defined()
		if s, ok := x.(string); ok && convert {
			if b, err := value.ParseBool(s); err == nil {
				x = b
			}
		}
		return truth(x) == want
	}
}

// modulo is the number tested % n.
func (c *call) modulo(n any) any { return arithmetic("%", c.number(), n) }

// sameAs is Python's `is` as far as values show it.
func sameAs(a, b any) bool {
	if isUndefined(a) {
		return false
	}
	_, abool := a.(bool)
	_, bbool := b.(bool)
	return abool == bbool && equal(a, b)
}

func subset(a, b []any) bool {
	for _, list := range [][]any{a, b} {
		for _, x := range list {
			if !hashable(x) {
				throw("%s in a set", kindOf(x))
			}
		}
	}
	in := setOf(b)
	for _, x := range a {
		if !in.has(x) {
			return false
		}
	}
	return true
}

// hashable says whether Python takes x into a set.
func hashable(x any) bool {
	switch t := x.(type) {
	case []any, *value.Dict:
		return false
	case tuple:
		for _, y := range t {
			if !hashable(y) {
				return false
			}
		}
	}
	return true
}

func anyTrue(list []any, want bool) bool {
	for _, x := range list {
		if truth(x) == want {
			return true
		}
	}
	return false
}

func hasLetter(s string) bool { return strings.ContainsFunc(s, unicode.IsLetter) }

// resultTests look into a task's registered result.
func resultTests(t map[string]function) {
	flag := func(key string) func(c *call) bool {
		return func(c *call) bool {
			if u, ok := c.in.(*undefined); ok {
				u.fail()
			}
			if !isMapping(c.in) {
				throwHint("register a task's result and test that", "the test %q takes a task's result, not %s", c.name, kindOf(c.in))
			}
			v := c.m.attr(c.in, key)
			return !isUndefined(v) && truth(v)
		}
	}
	failed := flag("failed")
	changed := func(c *call) bool {
		if flag("changed")(c) {
			return true
		}
		// A loop's result has changed if one of its rounds has.
		if list, ok := c.m.attr(c.in, "results").([]any); ok && isUndefined(c.m.attr(c.in, "changed")) {
			for _, r := range list {
				if d, ok := r.(*value.Dict); ok {
					if v, _ := d.Get("changed"); truth(v) {
						return true
					}
				}
			}
		}
		return false
	}
	as := func(f func(c *call) bool, want bool) function { return func(c *call) any { return f(c) == want } }
	for _, n := range []string{"failed", "failure"} {
		t[n] = as(failed, true)
	}
	for _, n := range []string{"success", "succeeded", "successful"} {
		t[n] = as(failed, false)
	}
	t["changed"], t["change"] = as(changed, true), as(changed, true)
	t["skipped"], t["skip"] = as(flag("skipped"), true), as(flag("skipped"), true)
	t["finished"], t["started"] = as(flag("finished"), true), as(flag("started"), true)
	t["unreachable"] = as(flag("unreachable"), true)
	t["reachable"] = as(flag("unreachable"), false)
}
