package images

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"farm/engine"
)

func TestExpireRemovesOnlyWhatWasMadeBefore(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	l := freeze(t, s, base(t, s, preparation(nil)), filepath.Join(h.home, "vm"), "a")
	if err := s.Expire(t.Context(), l.Key, l.Created); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), l.Key); err != nil {
		t.Fatalf("a layer that is new enough: %v", err)
	}
	if err := s.Expire(t.Context(), l.Key, l.Created.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), l.Key); !errors.Is(err, engine.ErrNotExist) {
		t.Errorf("an old layer: %v", err)
	}
	if err := s.Expire(t.Context(), l.Key, l.Created.Add(time.Second)); err != nil {
		t.Errorf("one that is not there: %v", err)
	}
}
