package store

import (
	"encoding/json"

	"farm/engine"
)

// batch is how many events wait for one write at most; what ends a phase or a VM is
// written at once.
const batch = 64

// Sink returns a sink that writes events to the store. Output is left to the task logs.
func (s *Store) Sink() engine.Sink { return &sink{store: s} }

type sink struct {
	store   *Store
	pending []engine.Event
}

func (k *sink) Event(e engine.Event, _ *engine.State) error {
	if e.Kind == engine.TaskOutput || e.Kind == engine.Progress {
		return nil
	}
	k.pending = append(k.pending, e)
	switch e.Kind {
	case engine.PhaseEnded, engine.VMEnded, engine.RunEnded:
		return k.flush()
	}
	if len(k.pending) >= batch {
		return k.flush()
	}
	return nil
}

func (k *sink) Close() error { return k.flush() }

func (k *sink) flush() error {
	if len(k.pending) == 0 {
		return nil
	}
	tx, err := k.store.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // no effect after Commit
	for _, e := range k.pending {
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO events (run, seq, vm, kind, event) VALUES (?, ?, ?, ?, ?)`, e.Run, e.Seq, e.VM, string(e.Kind), string(text)); err != nil {
			return err
		}
	}
	k.pending = nil
	return tx.Commit()
}

// Events returns the events of a run in order.
func (s *Store) Events(run string) ([]engine.Event, error) {
	rows, err := s.db.Query(`SELECT event FROM events WHERE run = ? ORDER BY seq`, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []engine.Event
	for rows.Next() {
		var text string
		var e engine.Event
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, rows.Err()
}
