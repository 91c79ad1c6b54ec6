package expr

import (
	"strings"

	"farm/inventory/value"
)

func basicFilters() map[string]function {
	return map[string]function{
		"default": defaultFilter, "d": defaultFilter,
		"ternary": ternary, "mandatory": mandatory, "bool": boolFilter,
		"string": func(c *call) any { return c.text() },
		"safe":   func(c *call) any { return c.defined() },
		"e":      escapeHTML, "escape": escapeHTML, "forceescape": escapeHTML,
		"type_debug": typeDebug,
		"random":     randomFilter, "shuffle": shuffleFilter, "random_mac": randomMAC,
		"attr": func(c *call) any { return c.m.attr(c.in, text(c.need(0, "name"))) },
	}
}

// defaultFilter gives its argument for what is undefined, and with a true second
// argument also for what is empty, zero or false.
func defaultFilter(c *call) any {
	def, ok := c.get(0, "default_value")
	if !ok {
		def = ""
	}
	loose := c.bool(1, "boolean", false)
	if isUndefined(c.in) || loose && !truth(c.in) {
		return def
	}
	return c.in
}

func ternary(c *call) any {
	yes, hasYes := c.get(0, "true_val") // may be undefined if it is not chosen
	no, hasNo := c.get(1, "false_val")
	if !hasYes || !hasNo {
		throw("ternary needs two arguments: true_val and false_val")
	}
	none := c.value(2, "none_val", nil)
	switch v := c.defined(); {
	case v == nil && none != nil:
		return none
	case truth(v):
		return yes
	}
	return no
}

func mandatory(c *call) any {
	msg := c.str(0, "msg", "")
	u, ok := c.in.(*undefined)
	if !ok {
		return c.in
	}
	if msg == "" {
		msg = "Mandatory variable '" + u.name + "'  not defined."
	}
	throw("%s", msg)
	return nil
}

// boolFilter is Ansible's: only yes, on, true and 1 are true.
func boolFilter(c *call) any {
	switch v := c.defined().(type) {
	case nil, bool:
		return v
	case string:
		switch strings.ToLower(v) {
		case "yes", "on", "1", "true":
			return true
		}
		return false
	default:
		return equal(v, int64(1))
	}
}

var htmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

func escapeHTML(c *call) any { return htmlEscapes.Replace(c.text()) }

func typeDebug(c *call) any { return typeName(c.in) }

// typeName is what Python calls the type of x.
func typeName(x any) string {
	switch x.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, value.Big:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case []any:
		return "list"
	case tuple:
		return "tuple"
	case *value.Dict, *namespace, Lazy:
		return "dict"
	case moment:
		return "datetime"
	case span:
		return "timedelta"
	case *undefined:
		return "AnsibleUndefined"
	}
	return "object"
}
