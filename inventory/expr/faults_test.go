package expr

import (
	"testing"

	"farm/inventory/source"
	"farm/inventory/value"
)

func TestCheckTellsTheFaultsOfAllExpressions(t *testing.T) {
	e := New(Options{})
	at := source.Pos{File: "v.yaml", Line: 1, Col: 1}
	for text, want := range map[string]string{
		"{{ a + }} {{ b | nof }} {{ c }} {{ d. }}": `v.yaml:1:9: unexpected "}}"
v.yaml:1:19: unknown filter "nof"
v.yaml:1:40: expected a name after the dot, found "}}"`,
		"ü {{ 'ü' + }} {{ b is nof }}": `v.yaml:1:12: unexpected "}}"
v.yaml:1:23: unknown test "nof"`,
		"{{ {{ a }} }}":                    `v.yaml:1:6: unexpected "{{" inside an expression (inside {{ }} variables are named without braces)`,
		"{{ a":                             `v.yaml:1:2: an expression that is never closed (close it with "}}")`,
		"{% if x + %}{{ a + }}{% endif %}": `v.yaml:1:12: unexpected "%}"`,
		"{{ a + }}{% if %}{{ b + }}{% endif %}": `v.yaml:1:9: unexpected "}}"
v.yaml:1:17: unexpected "%}"`,
		"{{ a + }}{{ '}}' }}": `v.yaml:1:9: unexpected "}}"`,
	} {
		if err := e.Check(value.Template{Text: text, Pos: at}); err == nil || err.Error() != want {
			t.Errorf("%q\ngot  %v\nwant %s", text, err, want)
		}
	}
	const file = "{{ a + }}\n{{ y | nof }}\n{% if x %}{{ d + }}{% endif %}\n"
	want := `t.j2:1:8: unexpected "}}"
t.j2:2:8: unknown filter "nof"
t.j2:3:18: unexpected "}}"`
	if err := e.CheckText("t.j2", file, value.Syntax{}); err == nil || err.Error() != want {
		t.Errorf("of a file:\ngot  %v\nwant %s", err, want)
	}
}
