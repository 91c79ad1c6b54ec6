// Package store keeps what must survive a crash, in SQLite: runs, their events, the
// machines that farm made, and the states that these stood on.
package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver named "sqlite"

	"farm/engine"
)

// Store is one database. Safe for concurrent use, also by several processes.
type Store struct{ db *sql.DB }

// version is the schema's; it is kept in the database as user_version.
const version = 1

const schema = `
CREATE TABLE IF NOT EXISTS runs (
	id TEXT PRIMARY KEY, inventory TEXT NOT NULL, dir TEXT NOT NULL, started TEXT NOT NULL, ended TEXT NOT NULL DEFAULT '', status TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS events (
	run TEXT NOT NULL, seq INTEGER NOT NULL, vm TEXT NOT NULL, kind TEXT NOT NULL, event TEXT NOT NULL,
	PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS machines (
	name TEXT PRIMARY KEY, run TEXT NOT NULL, vm TEXT NOT NULL, host TEXT NOT NULL, dir TEXT NOT NULL,
	hypervisor TEXT NOT NULL, ssh_user TEXT NOT NULL, key_file TEXT NOT NULL, host_keys TEXT NOT NULL,
	state TEXT NOT NULL, created TEXT NOT NULL, keep_until TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS requests (run TEXT PRIMARY KEY, request TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states (
	run TEXT NOT NULL, vm TEXT NOT NULL, state TEXT NOT NULL, host TEXT NOT NULL, name TEXT NOT NULL,
	key TEXT NOT NULL, parent TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY (run, vm, state)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inputs (key TEXT PRIMARY KEY, inputs TEXT NOT NULL) WITHOUT ROWID;
`

// Open opens or makes the database at path. An acknowledged write survives a power cut.
func Open(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // variables given with -e may be secret
	if err != nil {
		return nil, err
	}
	f.Close()
	dsn := "file:" + path + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_txlock=immediate"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := prepare(db); err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &Store{db}, nil
}

// prepare makes the tables of a new database and refuses one of another version.
func prepare(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // no effect after Commit
	var have, tables int
	if err := tx.QueryRow("PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	if err := tx.QueryRow("SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
		return err
	}
	if tables > 0 && have != version {
		return fmt.Errorf("it has version %d of farm's tables, this farm wants %d; end what it keeps with the farm that made it, then move it away", have, version)
	}
	if _, err := tx.Exec(schema + fmt.Sprintf("PRAGMA user_version = %d;", version)); err != nil {
		return err
	}
	return tx.Commit()
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// Run is one run as the store knows it.
type Run struct {
	ID        string        `json:"id"`
	Inventory string        `json:"inventory"` // path of the file
	Dir       string        `json:"dir"`       // the run's folder
	Started   time.Time     `json:"started"`
	Ended     time.Time     `json:"ended"` // zero while it goes on, or when it was cut off
	Status    engine.Status `json:"status"`
	// Request is what it was asked to do; nil = it was recorded by a farm that did not write it down.
	Request *Request `json:"-"`
}

// Request is what a run was asked to do, so that it can be taken up again.
type Request struct {
	Vars     []string `json:"vars,omitempty"`  // files, absolute
	Extra    []string `json:"extra,omitempty"` // as given with -e, files absolute; they may hold secrets
	Tags     []string `json:"tags,omitempty"`
	SkipTags []string `json:"skip_tags,omitempty"`
	Check    bool     `json:"check,omitempty"`
	// Visit says that it only let somebody into a state of another run: there is nothing to take up.
	Visit bool `json:"visit,omitempty"`
}

// Begin records a run before it starts.
func (s *Store) Begin(r Run) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // no effect after Commit
	if _, err := tx.Exec(`INSERT INTO runs (id, inventory, dir, started) VALUES (?, ?, ?, ?)`,
		r.ID, r.Inventory, r.Dir, stamp(r.Started)); err != nil {
		return err
	}
	if r.Request != nil {
		text, err := json.Marshal(r.Request)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO requests (run, request) VALUES (?, ?)`, r.ID, string(text)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Finish records a run's end.
func (s *Store) Finish(id string, status engine.Status) error {
	_, err := s.db.Exec(`UPDATE runs SET ended = ?, status = ? WHERE id = ?`, stamp(time.Now()), string(status), id)
	return err
}

// Runs lists runs, newest first, at most limit; 0 = all.
func (s *Store) Runs(ctx context.Context, limit int) ([]Run, error) {
	if limit <= 0 {
		limit = -1
	}
	rows, err := s.db.QueryContext(ctx, `SELECT id, inventory, dir, started, ended, status, coalesce(request, '')
		FROM runs LEFT JOIN requests ON run = id ORDER BY started DESC, id DESC LIMIT ?`, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var runs []Run
	for rows.Next() {
		var r Run
		var started, ended, status, request string
		if err := rows.Scan(&r.ID, &r.Inventory, &r.Dir, &started, &ended, &status, &request); err != nil {
			return nil, err
		}
		if request != "" {
			if err := json.Unmarshal([]byte(request), &r.Request); err != nil {
				return nil, err
			}
		}
		r.Started, r.Ended, r.Status = parse(started), parse(ended), engine.Status(status)
		runs = append(runs, r)
	}
	return runs, rows.Err()
}

// VMs lists the ids of the VMs of a run, sorted.
func (s *Store) VMs(ctx context.Context, run string) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT DISTINCT vm FROM events WHERE run = ? AND vm != '' ORDER BY vm`, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// stamp is a time as text that sorts by time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000000Z")
}

func parse(text string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, text) // "" is the zero time
	return t
}
