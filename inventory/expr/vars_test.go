package expr

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farm/inventory/source"
	"farm/inventory/value"
)

func tmpl(text string) value.Template {
	return value.Template{Text: text, Pos: source.Pos{File: "vm.yaml", Line: 3, Col: 5}}
}

func get(t *testing.T, v *Vars, name string) any {
	t.Helper()
	x, ok, err := v.Get(name)
	if err != nil || !ok {
		t.Fatalf("Get(%q) = %v, %v, %v", name, x, ok, err)
	}
	return x
}

func TestVarsLaterLayerWins(t *testing.T) {
	v := New(Options{}).Vars(value.NewDict("a", "low", "b", "low"), nil, value.NewDict("b", "high"))
	if a, b := get(t, v, "a"), get(t, v, "b"); a != "low" || b != "high" {
		t.Errorf("a = %v, b = %v", a, b)
	}
	if _, ok, err := v.Get("none"); ok || err != nil {
		t.Errorf("Get(none) = %v, %v", ok, err)
	}
}

func TestWithChangesWhatTemplatesBelowSee(t *testing.T) {
	low := New(Options{}).Vars(value.NewDict("host", "h0", "port", int64(1), "url", tmpl("{{ host }}:{{ port }}"), "fixed", tmpl("{{ port + 1 }}")))
	one, two := low.With(value.NewDict("host", "h1")), low.With(value.NewDict("host", "h2"))
	for _, c := range []struct {
		v    *Vars
		want string
	}{{low, "h0:1"}, {one, "h1:1"}, {two, "h2:1"}, {one.With(value.NewDict("port", int64(9))), "h1:9"}, {low, "h0:1"}} {
		if got := get(t, c.v, "url"); got != c.want {
			t.Errorf("url = %v, want %s", got, c.want)
		}
	}
	if got := get(t, one.With(value.NewDict("port", int64(9))), "fixed"); got != int64(10) {
		t.Errorf("fixed = %v, want 10", got)
	}
}

func TestVariableIsEvaluatedOnce(t *testing.T) {
	low := New(Options{}).Vars(value.NewDict("r", tmpl("{{ 1000000000000 | random }}"), "x", tmpl("{{ r }}")))
	high := low.With(value.NewDict("other", true))
	first := get(t, high, "r")
	for _, v := range []*Vars{high, low, low.With(value.NewDict("y", 1))} {
		if got := get(t, v, "x"); got != first {
			t.Errorf("r = %v, at first %v", got, first)
		}
	}
}

func TestCircularVariablesNameTheChain(t *testing.T) {
	v := New(Options{}).Vars(value.NewDict("a", tmpl("{{ b.x }}"), "b", value.NewDict("x", tmpl("{{ c }}")), "c", tmpl("{{ a }}")))
	_, _, err := v.Get("a")
	if want := `the variable "a" needs itself: a -> b -> c -> a`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q in it", err, want)
	}
}

func TestCircleThroughHostvarsIsFound(t *testing.T) {
	e := New(Options{})
	hosts := value.NewDict()
	one := e.Vars(value.NewDict("hostvars", hosts, "x", tmpl("{{ hostvars['two'].x }}")))
	two := e.Vars(value.NewDict("hostvars", hosts, "x", tmpl("{{ hostvars['one'].x }}"), "y", "here"))
	hosts.Set("one", one.Lazy())
	hosts.Set("two", two.Lazy())
	if _, _, err := one.Get("x"); err == nil || !strings.Contains(err.Error(), "needs itself") {
		t.Errorf("error %v", err)
	}
	got, err := one.Eval(tmpl("{{ hostvars.two.y }}"))
	if err != nil || got != "here" {
		t.Errorf("hostvars.two.y = %v, %v", got, err)
	}
}

func TestReadListsWhatTemplatesNeeded(t *testing.T) {
	low := New(Options{}).Vars(value.NewDict("a", tmpl("{{ b }}"), "b", tmpl("{{ c }}"), "c", int64(1), "unread", tmpl("{{ a }}")))
	first := low.With()
	get(t, first, "a")
	second := low.With(value.NewDict("d", tmpl("{{ a if nothere is defined else 0 }}")))
	get(t, second, "d")
	third := low.With()
	get(t, third, "a") // remembered, but needed all the same
	for i, c := range []struct {
		v    *Vars
		want []string
	}{{first, []string{"a", "b", "c"}}, {second, []string{"d", "nothere"}}, {third, []string{"a", "b", "c"}}, {low, []string{"a", "b", "c", "d", "nothere"}}} {
		if got := c.v.Read(); !slices.Equal(got, c.want) {
			t.Errorf("%d: Read() = %v, want %v", i, got, c.want)
		}
	}
}

func TestVarsServeManyAtOnce(t *testing.T) {
	low := New(Options{}).Vars(value.NewDict("n", tmpl("{{ 100000000 | random }}"), "m", tmpl("{{ n }}")))
	var wg sync.WaitGroup
	got := make([]any, 20)
	for i := range got {
		wg.Go(func() {
			got[i], _, _ = low.With(value.NewDict("i", int64(i))).Get("m")
		})
	}
	wg.Wait()
	for _, x := range got {
		if x == nil || x != got[0] {
			t.Fatalf("different values: %v", got)
		}
	}
}

func TestEvalKeepsTypesAndDropsOmitted(t *testing.T) {
	v := New(Options{}).Vars(value.NewDict("n", int64(3), "fromguest", "{{ n }}"))
	x, err := v.Eval(value.NewDict("a", tmpl("{{ n }}"), "b", tmpl("n={{ n }}"), "c", tmpl("{{ nothere | default(omit) }}"),
		"d", []any{tmpl("{{ [n] }}")}, "e", tmpl("{{ fromguest }}"), "f", tmpl("{{ none }}"), "g", tmpl("{{ '7' }}")))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"a":3,"b":"n=3","d":[[3]],"e":"{{ n }}","f":"","g":"7"}`
	if got := asJSON(x); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

type failing struct{}

func (failing) Get(string) (any, bool, error) { return nil, false, errors.New("no such host") }
func (failing) Keys() []string                { return []string{"x"} }

func TestLazyIsReadOnlyWhenNeeded(t *testing.T) {
	v := New(Options{}).Vars(value.NewDict("hostvars", failing{}))
	if x, err := v.Eval(tmpl("{{ hostvars | length }} {{ 'x' in hostvars.keys() }}")); err != nil || x != "1 True" {
		t.Errorf("%v, %v", x, err)
	}
	if _, err := v.Eval(tmpl("{{ hostvars.x }}")); err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("error %v", err)
	}
}

func TestWhiteSpaceIsUnicodes(t *testing.T) {
	v := New(Options{}).Vars(value.NewDict("a", int64(1)))
	if got, err := v.Eval(value.Template{Text: "{{\u00a0a\u2003==\v1 }}"}); err != nil || got != true {
		t.Errorf("%v (%v)", got, err)
	}
}

func TestCondition(t *testing.T) {
	v := New(Options{}).Vars(value.NewDict("yes", true, "word", "False", "list", []any{}, "indirect", tmpl("{{ word }}"), "result", value.NewDict("rc", int64(0))))
	for text, want := range map[string]bool{
		"": true, "yes": true, "not yes": false, "word": true, "indirect": true, "{{ word }}": false, "list": false,
		"result.rc == 0 and result is success": true, "nothere is defined": false, "{{ yes }}": true,
		"'x' in\n ['x']": true, "false": false, "'yes'": true,
		"(yes | ternary(word, nothere)) == 'False'": true,
	} {
		if got, err := v.Condition(text, source.Pos{}); err != nil || got != want {
			t.Errorf("%q = %v, %v, want %v", text, got, err, want)
		}
	}
	if _, err := v.Condition("nothere == 1", source.Pos{File: "t.yaml", Line: 2, Col: 11}); err == nil || err.Error() != `t.yaml:2:11: "nothere" is undefined` {
		t.Errorf("error %v", err)
	}
}

func TestEndlessTemplatesEnd(t *testing.T) {
	v := New(Options{}).Vars(value.NewDict("s", strings.Repeat("a", 40)+"!"))
	for _, text := range []string{
		"{{ 'x' * 99999999999 }}", "{{ range(10**12) | list }}", "{% for i in range(5000) %}{% for j in range(5000) %}{{ i }}{% endfor %}{% endfor %}",
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{{ " + strings.Repeat("(", 5000) + "1 }}",
		"{{ 1" + strings.Repeat("+1", 100_000) + " }}", "{{ 2 ** 9999999 }}", "{{ s is match('(a+)+$') }}", "{{ '%999999999d' % 1 ~ 'x' * (2**40) }}",
		"{% for i in range(60) %}{% set ns.x = 1 %}{% endfor %}", "{{ '{}' | from_json(x=1) }}",
	} {
		start := time.Now()
		if _, err := v.Eval(tmpl(text)); err == nil {
			t.Errorf("%.60s: no error", text)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%.60s took %s", text, d)
		}
	}
}
