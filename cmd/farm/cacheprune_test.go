package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPrunableTakesWhatIsOldAndUnused(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	all := []cached{
		{Host: "a", Kind: "layer", ID: "base", Bytes: 100, Used: now.Add(-9 * day)},
		{Host: "a", Kind: "layer", ID: "init", Parent: "base", Bytes: 10, Used: now.Add(-8 * day)},
		{Host: "a", Kind: "layer", ID: "used", Parent: "base", Bytes: 10, Used: now.Add(-9 * day), Users: []string{"vm"}},
		{Host: "a", Kind: "download", ID: "file", Bytes: 50, Used: now.Add(-time.Hour / 2)},
		{Host: "b", Kind: "layer", ID: "base", Bytes: 100, Used: now.Add(-9 * day)},
		{Host: "b", Kind: "layer", ID: "init", Parent: "base", Bytes: 10, Used: now.Add(-2 * day)},
		{Host: "b", Kind: "download", ID: "file", Bytes: 50, Used: now.Add(-5 * day)},
	}
	for name, c := range map[string]struct {
		l    limits
		want string
	}{
		"a week":        {limits{age: 7 * day}, "a/init"},
		"a day":         {limits{age: day}, "a/init b/file b/init b/base"},
		"half of it":    {limits{bytes: 130}, "a/init b/file"},
		"next to none":  {limits{bytes: 1}, "a/init b/file b/init b/base"},
		"all has room":  {limits{bytes: 1000}, ""},
		"age and bytes": {limits{age: 8*day + time.Hour, bytes: 150}, "a/init b/file"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range prunable(all, c.l, now) {
				got = append(got, e.Host+"/"+e.ID)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

// TestPrunableNeverTakesWhatSomethingStandsOn prunes random trees of layers.
func TestPrunableNeverTakesWhatSomethingStandsOn(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		var all []cached
		for i := range rapid.IntRange(0, 8).Draw(rt, "layers") {
			c := cached{Host: "h", Kind: "layer", ID: string(rune('a' + i)), Bytes: int64(rapid.IntRange(1, 100).Draw(rt, "bytes")),
				Used: now.Add(-time.Duration(rapid.IntRange(0, 3000).Draw(rt, "minutes")) * time.Minute)}
			if i > 0 && rapid.Bool().Draw(rt, "over another") {
				c.Parent = all[rapid.IntRange(0, i-1).Draw(rt, "parent")].ID
			}
			if rapid.IntRange(0, 3).Draw(rt, "used") == 0 {
				c.Users = []string{"vm"}
			}
			all = append(all, c)
		}
		left := slices.Clone(all)
		for _, gone := range prunable(all, limits{age: time.Hour, bytes: int64(rapid.IntRange(0, 300).Draw(rt, "limit"))}, now) {
			i := slices.IndexFunc(left, func(c cached) bool { return c.ID == gone.ID })
			left = slices.Delete(left, i, i+1)
			if len(gone.Users) > 0 || recent(gone, now) {
				rt.Fatalf("%+v is in use", gone)
			}
			if j := slices.IndexFunc(left, func(c cached) bool { return c.Parent == gone.ID }); j >= 0 {
				rt.Fatalf("%s goes before %s, which stands on it", gone.ID, left[j].ID)
			}
		}
	})
}

func TestByIDTakesTheStartOfOne(t *testing.T) {
	all := []cached{{Host: "a", ID: "abcdef"}, {Host: "b", ID: "abcdef"}, {Host: "a", ID: "abcd00"}}
	if got, err := byID(all, "abcde"); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	for id, want := range map[string]string{"abcd": "several ids", "abc": "nothing that is kept", "xyz0": "nothing that is kept"} {
		if _, err := byID(all, id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestSizesAndAgesAreForPeople(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 30: "5.0 GiB", 2048 << 40: "2048.0 TiB"} {
		if got := sizeText(bytes); got != want {
			t.Errorf("%d: %q, want %q", bytes, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "0s", 59 * time.Second: "59s", 90 * time.Minute: "1h", 47 * time.Hour: "47h", 72 * time.Hour: "3d"} {
		if got := age(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
