package store

import (
	"context"
	"encoding/json"

	"farm/engine"
)

// Stands records the states of a VM in a run, by "base", "clean" and "init": what they are called and made
// from, kept or not. A later record of the same VM and run takes the place of an earlier one.
func (s *Store) Stands(run, vm, host string, states map[string]engine.CachedState) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // no effect after Commit
	for state, c := range states {
		if _, err := tx.Exec(`INSERT OR REPLACE INTO states (run, vm, state, host, name, key, parent, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			run, vm, state, host, c.Name, c.Key, c.Parent, c.Why); err != nil {
			return err
		}
		if c.Key == "" {
			continue
		}
		text, err := json.Marshal(c.Inputs)
		if err != nil {
			return err
		}
		// A key says what the inputs are, so that runs share them.
		if _, err := tx.Exec(`INSERT OR IGNORE INTO inputs (key, inputs) VALUES (?, ?)`, c.Key, string(text)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// States are the states of a VM in a run, as Stands recorded them, and the host that they are on; none where the
// VM did not come so far, or an earlier farm made the run.
func (s *Store) States(ctx context.Context, run, vm string) (host string, states map[string]engine.CachedState, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT state, host, name, states.key, parent, why, coalesce(inputs, '[]')
		FROM states LEFT JOIN inputs ON inputs.key = states.key WHERE run = ? AND vm = ?`, run, vm)
	if err != nil {
		return "", nil, err
	}
	defer rows.Close()
	states = map[string]engine.CachedState{}
	for rows.Next() {
		var state, inputs string
		var c engine.CachedState
		if err := rows.Scan(&state, &host, &c.Name, &c.Key, &c.Parent, &c.Why, &inputs); err != nil {
			return "", nil, err
		}
		if err := json.Unmarshal([]byte(inputs), &c.Inputs); err != nil {
			return "", nil, err
		}
		states[state] = c
	}
	return host, states, rows.Err()
}
