package expr

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"farm/inventory/source"
	"farm/inventory/value"
)

// corpusItem is one answer of ansible-core; see testdata/generate.py.
type corpusItem struct {
	Expr     string           `json:"expr"`
	Template string           `json:"template"`
	Text     *string          `json:"text"`
	Value    *json.RawMessage `json:"value"`
	Error    string           `json:"error"`
}

// different holds what is answered otherwise than by Ansible on purpose.
var different = map[string]string{
	"9223372036854775807 + 1": "whole numbers have 64 bits",
	"'straße' | upper":        "case is changed character by character",
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
		if different[item.Expr+item.Template] != "" {
			continue
		}
		text := item.Template
		if text == "" {
			text = "<{{ " + item.Expr + " }}>"
		}
		got, err := vars.Eval(value.Template{Text: text, Pos: source.Pos{File: "f.yaml", Line: 1, Col: 1}})
		switch {
		case item.Error != "":
			if err == nil {
				t.Errorf("%s = %v, want an error", text, got)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", text, err)
			continue
		case value.Text(got) != *item.Text:
			t.Errorf("%s\n got %q\nwant %q", text, got, *item.Text)
		}
		if item.Value == nil {
			continue
		}
		v, err := vars.Expression(item.Expr, source.Pos{})
		if err != nil {
			t.Errorf("%s: %v", item.Expr, err)
			continue
		}
		want, _ := value.FromJSON(*item.Value)
		if d := cmp.Diff(asJSON(t, want), asJSON(t, v)); d != "" {
			t.Errorf("%s: the value differs (-want +got):\n%s", item.Expr, d)
		}
	}
}

func asJSON(t *testing.T, x any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(x); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
