package report

import (
	"bytes"
	"strings"
	"testing"

	"farm/engine"
	"farm/inventory/value"
)

// stats is the event of a task on a host that returned figures.
func stats(host, item string, status engine.Status, pairs ...any) engine.Event {
	return engine.Event{Kind: engine.TaskEnded, VM: host, Item: item, Status: status,
		Result: value.NewDict("ansible_stats", value.NewDict(pairs...))}
}

func TestStatsAddUp(t *testing.T) {
	for name, c := range map[string]struct {
		events []engine.Event
		want   string
	}{
		"numbers and texts": {[]engine.Event{
			stats("a", "", engine.OK, "data", value.NewDict("n", int64(10), "s", "x", "f", 1.5), "per_host", false, "aggregate", true),
			stats("b", "", engine.OK, "data", value.NewDict("n", int64(15), "s", "y", "f", 1.0), "per_host", false, "aggregate", true),
		}, `{"n":25,"s":"xy","f":2.5}`},
		"items of a loop": {[]engine.Event{
			stats("a", "1", engine.OK, "data", value.NewDict("n", int64(1)), "per_host", false, "aggregate", true),
			stats("a", "2", engine.OK, "data", value.NewDict("n", int64(2)), "per_host", false, "aggregate", true),
		}, `{"n":3}`},
		"lists and mappings": {[]engine.Event{
			stats("a", "", engine.OK, "data", value.NewDict("l", []any{"x"}, "d", value.NewDict("a", int64(1))), "per_host", false, "aggregate", true),
			stats("a", "", engine.OK, "data", value.NewDict("l", []any{"y"}, "d", value.NewDict("b", int64(2))), "per_host", false, "aggregate", true),
		}, `{"l":["x","y"],"d":{"a":1,"b":2}}`},
		"the last one": {[]engine.Event{
			stats("a", "", engine.OK, "data", value.NewDict("n", int64(1)), "per_host", false, "aggregate", true),
			stats("a", "", engine.OK, "data", value.NewDict("n", int64(2)), "per_host", false, "aggregate", false),
		}, `{"n":2}`},
		"another kind is left out, and so is what failed": {[]engine.Event{
			stats("a", "", engine.OK, "data", value.NewDict("n", int64(1)), "per_host", false, "aggregate", true),
			stats("a", "", engine.OK, "data", value.NewDict("n", "2"), "per_host", false, "aggregate", true),
			stats("a", "", engine.Failed, "data", value.NewDict("n", int64(3)), "per_host", false, "aggregate", true),
			stats("a", "", engine.OK, "data", value.NewDict("h", int64(3)), "per_host", true, "aggregate", true),
		}, `{"n":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewRecap(false)
			for _, e := range c.events {
				if err := r.Event(e, nil); err != nil {
					t.Fatal(err)
				}
			}
			got, err := r.Stats.Run.MarshalJSON()
			if err != nil || string(got) != c.want {
				t.Errorf("%s, %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestStatsAreShownForEachHost(t *testing.T) {
	var s Stats
	s.add(stats("b", "", engine.OK, "data", value.NewDict("n", int64(1)), "aggregate", true))
	s.add(stats("b", "", engine.Changed, "data", value.NewDict("n", int64(2)), "per_host", true, "aggregate", true))
	s.add(stats("a", "", engine.OK, "data", value.NewDict("text", "\x1b[31mred"), "per_host", true))
	s.add(stats("a", "", engine.OK, "data", value.NewDict("all", true), "per_host", false))
	var out bytes.Buffer
	if err := s.write(&printer{w: &out}, []string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	want := "\nstats of a: {\n  \"text\": \"\\u001b[31mred\"\n}\n\nstats of b: {\n  \"n\": 3\n}\n\nstats of the play: {\n  \"all\": true\n}\n"
	if got := out.String(); got != want || strings.Contains(got, "\x1b") {
		t.Errorf("%s", got)
	}
}
