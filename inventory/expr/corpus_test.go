package expr

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"farm/inventory/source"
	"farm/inventory/value"
)

// corpusItem is one question, by which of the first three it has, with the answer of
// ansible-core; see testdata/oracle.py.
type corpusItem struct {
	Expr     string           `json:"expr,omitempty"`
	Template string           `json:"template,omitempty"`
	YAML     *string          `json:"yaml,omitempty"`
	Text     *string          `json:"text,omitempty"`
	Value    *json.RawMessage `json:"value,omitempty"`
	Error    string           `json:"error,omitempty"`
}

func (i corpusItem) String() string {
	if i.YAML != nil {
		return *i.YAML
	}
	return i.Expr + i.Template
}

// different holds what is answered otherwise than by Ansible on purpose; see
// docs/reference/ansible-differences.md.
var different = map[string]string{
	"'straße' | upper":              "case is changed character by character",
	"a: 1\na: 2\n":                  "duplicate keys are refused",
	"a: =\n":                        "PyYAML refuses a lone = by mistake",
	"['a' | e]":                     "escaped text is text like any other",
	"'a: b\\n' | to_yaml":           "text of several lines is written in double quotes",
	"'one-two' | wordwrap(5)":       "lines are broken at blanks only",
	"(-8) ** 0.5":                   "there are no complex numbers",
	"[1] ~ range(2)":                "a range is a list",
	"'1.0' is version('1.rc', '<')": "numbers come before letters",
}

func readCorpus(t testing.TB) []corpusItem {
	t.Helper()
	text, err := os.ReadFile("testdata/corpus.json")
	if err != nil {
		t.Fatal(err)
	}
	var items []corpusItem
	if err := json.Unmarshal(text, &items); err != nil {
		t.Fatal(err)
	}
	return items
}

func corpusVars(t testing.TB) *Vars {
	t.Helper()
	text, err := os.ReadFile("testdata/vars.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := value.FromJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Env: func(string) (string, bool) { return "", false }}
	return New(o).Vars(templated(d).(*value.Dict))
}

// templated makes templates of the texts in x that look like it, as reading YAML does.
func templated(x any) any {
	switch t := x.(type) {
	case string:
		if value.IsTemplate(t) {
			return value.Template{Text: t}
		}
	case []any:
		for i := range t {
			t[i] = templated(t[i])
		}
	case *value.Dict:
		for k, v := range t.All() {
			t.Set(k, templated(v))
		}
	}
	return x
}

func TestAnswersAreAnsibles(t *testing.T) {
	vars := corpusVars(t)
	for _, item := range readCorpus(t) {
		if different[item.String()] != "" {
			continue
		}
		if d := differs(vars, item); d != "" {
			t.Errorf("%s\n%s", item, d)
		}
	}
}

// differs says how this package's answer to item is not Ansible's; "" if it is.
func differs(vars *Vars, item corpusItem) string {
	at := source.Pos{File: "f.yaml", Line: 1, Col: 1}
	var v any
	var err error
	switch {
	case item.YAML != nil:
		v, err = parseYAMLText(*item.YAML)
	case item.Template != "":
		v, err = vars.Eval(value.Template{Text: item.Template, Pos: at})
	default:
		return expressionDiffers(vars, item, at)
	}
	switch {
	case item.Error != "" && err == nil:
		return fmt.Sprintf(" got %#v\nwant %s", v, item.Error)
	case item.Error != "":
		return ""
	case err != nil:
		return " got " + err.Error() + "\nwant " + wanted(item)
	case item.Value == nil:
		return ""
	}
	return valueDiffers(*item.Value, v)
}

func wanted(item corpusItem) string {
	if item.Value != nil {
		return string(*item.Value)
	}
	return *item.Text
}

func expressionDiffers(vars *Vars, item corpusItem, at source.Pos) string {
	got, err := vars.Eval(value.Template{Text: "<{{ " + item.Expr + " }}>", Pos: at})
	switch {
	case item.Error != "" && err == nil:
		return fmt.Sprintf(" got %q\nwant %s", got, item.Error)
	case item.Error != "":
		return ""
	case err != nil:
		return " got " + err.Error() + "\nwant " + *item.Text
	case got != *item.Text:
		return fmt.Sprintf(" got %q\nwant %q", got, *item.Text)
	case item.Value == nil:
		return ""
	}
	v, err := vars.Expression(item.Expr, source.Pos{})
	if err != nil {
		return " got " + err.Error() + "\nwant " + string(*item.Value)
	}
	return valueDiffers(*item.Value, v)
}

func parseYAMLText(text string) (any, error) {
	f, err := source.Parse("f.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	return value.FromNode(f, f.Root)
}

// valueDiffers compares types too: 2 is not 2.0.
func valueDiffers(want json.RawMessage, got any) string {
	v, err := value.FromJSON(want)
	if err != nil {
		return err.Error()
	}
	if w, g := asJSON(v), asJSON(got); w != g {
		return " got " + g + "\nwant " + w
	}
	return ""
}

// asJSON writes a value with its floats as floats.
func asJSON(x any) string {
	text, err := value.NewDict("v", x).MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(text), `{"v":`), "}")
}
