package modules

import (
	"strings"
	"testing"

	"farm/inventory/value"
)

func TestArgumentsAreWhatTheirSpecificationSays(t *testing.T) {
	b := newBench(t)
	b.vars["of_play"] = int64(5)
	for _, c := range []struct{ spec, given, want string }{
		{"a: {}", "a: 1", ""},
		{"a: {required: true}, b: {required: true}, c: {required: true, default: 1}", "", "missing required arguments: a, b"},
		{"of_play: {type: int, required: true}", "", ""},
		{"of_play: {type: list, elements: dict}", "", "an element of 'of_play' is text and cannot be converted to dict"},
		{"a: {type: int}, b: {type: float}, c: {type: bool}, d: {type: list}, e: {type: dict}, f: {type: json}, g: {type: bytes}, h: {type: raw}",
			"a: ' 5 ', b: '1.5', c: 'Yes', d: 'x,y', e: 'k=v, l=w', f: [1], g: 10M, h: {x: 1}", ""},
		{"a: {type: int}", "a: 1.5", "argument 'a' is a number"},
		{"a: {type: int}", "a: x", "argument 'a' is text and cannot be converted to int: it is no number"},
		{"a: {type: bool}", "a: maybe", "cannot be converted to bool"},
		{"a: {type: list}", "a: {x: 1}", "it is no list"},
		{"a: {type: dict}", "a: x", "it is neither JSON nor KEY=VALUE"},
		{"a: {type: dict}", "a: '{x'", "it is no mapping in JSON"},
		{"a: {type: bytes}", "a: {x: 1}", "it is no size"},
		{"a: {elements: int}", "a: x", "argument 'a' is of type str, and only lists have elements"},
		{"a: {choices: [x, y]}", "a: z", "value of a must be one of: x, y, got: z"},
		{"a: {type: list, choices: [x, y]}", "a: 'x,z'", "value of a must be one or more of: x, y. Got no match for: z"},
		{"a: {aliases: [b]}", "b: 1", ""},
		{"a: {}, b: {}", "c: 1", "c. Supported parameters include: a, b."},
		{"a: {type: list, elements: dict, options: {x: {required: true}, y: {type: dict, options: {z: {type: int}}}}}", "a: [{x: 1, y: {z: 1}}, {y: {z: x, q: 1}}]",
			"missing required arguments: x found in a\nargument 'z' is text and cannot be converted to int: it is no number found in a -> y\na.y.q. Supported parameters include: z."},
		{"a: {type: dict, options: {x: {}, y: {}}, mutually_exclusive: [[x, y]]}", "a: {x: 1, y: 1}", "parameters are mutually exclusive: x|y found in a"},
		{"a: {type: dict, options: {x: {}, y: {}}, required_together: [[x, y]]}", "a: {x: 1}", "parameters are required together: x, y found in a"},
		{"a: {type: dict, apply_defaults: true, options: {x: {}, y: {}}, required_one_of: [[x, y]]}", "", "one of the following is required: x, y found in a"},
		{"a: {type: dict, options: {x: {}, y: {}, z: {}}, required_if: [[x, go, [y, z]]]}", "a: {x: go, y: 1}", "x is go but all of the following are missing: z found in a"},
		{"a: {type: dict, options: {x: {}, y: {}, z: {}}, required_if: [[x, go, [y, z], true]]}", "a: {x: go, y: 1}", ""},
		{"a: {type: dict, options: {x: {}, y: {}}, required_by: {x: y}}", "a: {x: 1}", "missing parameter(s) required by 'x': y found in a"},
	} {
		args := "{argument_spec: {" + c.spec + "}, provided_arguments: {" + c.given + "}}"
		if c.want == "" {
			b.check("validate_argument_spec", args, "ok")
			continue
		}
		r := b.check("validate_argument_spec", args, "failed")
		errs, _ := r.Values.Get("argument_errors")
		if list, _ := errs.([]any); !strings.Contains(r.Msg, c.want) || len(list) != strings.Count(c.want, "\n")+1 {
			t.Errorf("%s\nsays %q (%s)\nwant %q", args, r.Msg, value.Text(errs), c.want)
		}
	}
}
