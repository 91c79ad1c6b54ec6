package expr

import (
	"strings"
	"testing"

	"farm/inventory/value"
)

// FuzzEval looks for panics that are not turned into positioned errors, for crashes
// and for templates that do not end.
func FuzzEval(f *testing.F) {
	for _, item := range readCorpus(f) {
		if item.Template != "" {
			f.Add(item.Template)
		} else if len(item.Expr) < 60 {
			f.Add("{{ " + item.Expr + " }}")
		}
	}
	vars := corpusVars(f)
	f.Fuzz(func(t *testing.T, text string) {
		tm := tmpl(text)
		_ = vars.e.Check(tm)
		if _, err := vars.With().Eval(tm); err != nil && isInternalError(err) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func BenchmarkEvalExpression(b *testing.B) {
	v := New(Options{}).Vars(value.NewDict("vm", value.NewDict("metadata", value.NewDict("name", "debian_12"))))
	x := tmpl("{{ vm.metadata.name | upper }}")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Eval(x); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScopePerVM(b *testing.B) {
	low := New(Options{}).Vars(value.NewDict("host", "h", "url", tmpl("http://{{ host }}:{{ port }}/"), "port", int64(80), "base", tmpl("{{ port + 1 }}")))
	b.ReportAllocs()
	for b.Loop() {
		v := low.With(value.NewDict("host", "vm")).With(value.NewDict("item", int64(1)))
		for _, n := range []string{"url", "base", "item"} {
			if _, _, err := v.Get(n); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func isInternalError(err error) bool { return strings.Contains(err.Error(), "internal error") }
