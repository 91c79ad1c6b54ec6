package task_test

import (
	"fmt"
	"strings"
	"testing"

	"farm/inventory/value"
)

// wordMask masks one word.
type wordMask string

func (m wordMask) Text(text string) string { return strings.ReplaceAll(text, string(m), "********") }
func (m wordMask) Value(v any) any {
	switch t := v.(type) {
	case string:
		return m.Text(t)
	case *value.Dict:
		out := value.NewDict()
		for k, x := range t.All() {
			out.Set(k, m.Value(x))
		}
		return out
	}
	return v
}
func (m wordMask) Stream() func(string, bool) string {
	return func(piece string, _ bool) string { return m.Text(piece) }
}

// A text of 64 KiB is cut in its middle: no part of a secret may be left beside the cut,
// wherever in the text it lies.
func TestEventsMaskSecretsBeforeTheyAreCut(t *testing.T) {
	const secret, size, half = "hunter2", 70000, 32 << 10
	for _, around := range []int{half - 32, size - half + 32} {
		for at := around - 12; at < around+12; at++ {
			b := newBench(t, map[string]string{"main.yaml": "- say: {text: '{{ long }}'}\n"},
				"long", strings.Repeat("x", at)+secret+strings.Repeat("y", size-at-len(secret)))
			b.o.Mask = wordMask(secret)
			if err := b.run(); err != nil {
				t.Fatal(err)
			}
			e := b.events[len(b.events)-1]
			result, _ := value.From(e.Result).(*value.Dict).MarshalJSON()
			for _, shown := range []string{e.Text, string(result)} {
				if len(shown) < 60000 || !strings.Contains(shown, "bytes left out") {
					t.Fatalf("%d bytes are shown", len(shown))
				}
				if rest := strings.Trim(strings.ReplaceAll(strings.ReplaceAll(shown, "x", ""), "y", ""), " \n"); strings.Contains(rest, "hun") || strings.Contains(rest, "ter2") || strings.Contains(rest, "r2\n") {
					t.Errorf("the secret at %d shows in %.200q", at, rest)
				}
			}
		}
	}
}

func TestNoLogHidesNamesAndDiffs(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": `
- {name: 'add {{ item }}', say: '{{ item }}', loop: [hunter2], no_log: true, register: r, ignore_errors: true}
- {name: 'again {{ pw }}', say: {text: '{{ pw }}', fail: true}, no_log: true, ignore_errors: true}
- {name: 'undefined {{ pw }}', say: '{{ pw }} {{ nowhere[pw] }}', no_log: true, ignore_errors: true}
- {name: 'in a loop {{ pw }}', say: x, loop: '{{ pw.nothing }}', no_log: true, ignore_errors: true}
- block: [{say: '{{ pw }}'}]
  no_log: true
`}, "pw", "hunter2")
	if err := b.run(); err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Fatal(err)
	}
	if len(b.events) < 9 {
		t.Fatalf("%d events", len(b.events))
	}
	for _, e := range b.events {
		if text := fmt.Sprintf("%+v %s", e, shownResult(e.Result)); strings.Contains(text, "hunter2") {
			t.Errorf("an event shows it: %s", text)
		}
	}
}

func shownResult(v any) string {
	if d, ok := v.(*value.Dict); ok {
		text, _ := d.MarshalJSON()
		return string(text)
	}
	return fmt.Sprint(v)
}
