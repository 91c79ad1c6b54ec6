package main

import (
	"testing"
	"time"

	"farm/engine"
)

func TestOrphanedSparesWhatSomebodyOwns(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later, earlier := now.Add(time.Hour), now.Add(-time.Hour)
	runs := map[string]bool{"live": true, "over": false}
	for name, tc := range map[string]struct {
		owner engine.Owner
		gone  bool
	}{
		"a live run":                       {engine.Owner{Run: "live", User: "me", Expires: later}, false},
		"a live run past its lease":        {engine.Owner{Run: "live", User: "me", Expires: earlier}, false},
		"a run that is over":               {engine.Owner{Run: "over", User: "me", Expires: later}, true},
		"kept":                             {engine.Owner{Run: "over", User: "me", Keep: true, Expires: later}, false},
		"kept too long":                    {engine.Owner{Run: "over", User: "me", Keep: true, Expires: earlier}, true},
		"a run under another state folder": {engine.Owner{Run: "other", User: "me", Expires: later}, false},
		"the same, its lease over":         {engine.Owner{Run: "other", User: "me", Expires: earlier}, true},
		"somebody else's run":              {engine.Owner{Run: "over", User: "you", Expires: later}, false},
		"somebody else's lease over":       {engine.Owner{Run: "other", User: "you", Expires: earlier}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if why := orphaned(tc.owner, runs, "me", now); (why != "") != tc.gone {
				t.Errorf("got %q, want gone = %v", why, tc.gone)
			}
		})
	}
}
