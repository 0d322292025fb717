// Package sqlite implements store.Store on one SQLite file, without cgo.
//
// # Schema
//
// The files in migrations are the schema, applied in order when the file is opened; times are milliseconds since 1970 in
// UTC. A file of a newer labd is refused. Write-ahead logging lets readers run beside the one writer, and every commit is
// synced to the disk.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/labd-dev/labd/internal/store"
)

const (
	busyTimeout = 10 * time.Second // how long a writer waits for another
	maxConns    = 4                // WAL lets readers run beside the one writer
)

// DB is a SQLite database.
type DB struct {
	db *sql.DB
}

var _ store.Store = (*DB)(nil)

// Open opens or creates the database at path and brings its schema up to date.
func Open(ctx context.Context, path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the database: %w", err)
	}
	// Made here, because SQLite would make it readable for everyone.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(1)",
	}}
	dsn := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open the database %s: %w", path, err)
	}
	db.SetMaxOpenConns(maxConns)
	if err := migrate(ctx, db, embedded()); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database %s: %w", path, err), db.Close())
	}
	return &DB{db: db}, nil
}

// Close closes the database.
func (d *DB) Close() error { return d.db.Close() }

// tx runs f in a transaction.
func (d *DB) tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// AddLearner stores a new anonymous learner.
func (d *DB) AddLearner(ctx context.Context, tokenHash []byte, now time.Time) (store.Learner, error) {
	res, err := d.db.ExecContext(ctx, `INSERT INTO learners (token_hash, created_at) VALUES (?, ?)`, tokenHash, millis(now))
	if err != nil {
		return store.Learner{}, fmt.Errorf("add a learner: %w", known(err))
	}
	id, err := res.LastInsertId()
	return store.Learner{ID: id, Role: store.RoleLearner}, err
}

// Learner returns the learner with that hash.
func (d *DB) Learner(ctx context.Context, tokenHash []byte) (store.Learner, error) {
	var l store.Learner
	err := d.db.QueryRowContext(ctx, `SELECT id, name, role, class FROM learners WHERE token_hash = ?`, tokenHash).
		Scan(&l.ID, &l.Name, &l.Role, &l.Class)
	if err != nil {
		return store.Learner{}, fmt.Errorf("find a learner: %w", known(err))
	}
	return l, nil
}

// SetLearner stores name, role and class.
func (d *DB) SetLearner(ctx context.Context, l store.Learner) error {
	n, err := d.exec(ctx, `UPDATE learners SET name = ?, role = ?, class = ? WHERE id = ?`, l.Name, string(l.Role), l.Class, l.ID)
	if err == nil && n == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("update learner %d: %w", l.ID, err)
	}
	return nil
}

// AddSession stores a new session and takes its lease.
func (d *DB) AddSession(ctx context.Context, s store.Session, ttl time.Duration) error {
	vars, err := json.Marshal(s.Variables)
	if err != nil {
		return fmt.Errorf("add session %s: %w", s.ID, err)
	}
	_, err = d.exec(ctx, `INSERT INTO sessions (id, owner, lease_until, learner, lab, lang, state, stack, replay_to, variables, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.ID, s.Owner, millis(time.Now().Add(ttl)), s.Learner, s.Lab, s.Lang, s.State, s.Stack, s.ReplayTo, string(vars), millis(s.Created), millis(s.Expires))
	if err != nil {
		return fmt.Errorf("add session %s: %w", s.ID, err)
	}
	return nil
}

// exec runs one statement and returns how many rows it changed.
func (d *DB) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := d.db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, known(err)
	}
	return res.RowsAffected()
}

// Session returns one session, alive or ended.
func (d *DB) Session(ctx context.Context, id string) (store.Session, error) {
	list, err := d.sessions(ctx, `WHERE id = ?`, id)
	if err != nil {
		return store.Session{}, fmt.Errorf("read session %s: %w", id, err)
	}
	if len(list) == 0 {
		return store.Session{}, fmt.Errorf("read session %s: %w", id, store.ErrNotFound)
	}
	return list[0], nil
}

func (d *DB) sessions(ctx context.Context, where string, args ...any) ([]store.Session, error) {
	var list []store.Session
	err := d.query(ctx, func(rows *sql.Rows) error {
		var s store.Session
		var vars string
		var created, expires int64
		var ended sql.NullInt64
		err := rows.Scan(&s.ID, &s.Owner, &s.Learner, &s.Lab, &s.Lang, &s.State, &s.ErrorCode, &s.ErrorMessage, &s.Stack, &s.ReplayTo, &vars, &created, &expires, &ended)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(vars), &s.Variables); err != nil {
			return fmt.Errorf("variables of session %s: %w", s.ID, err)
		}
		s.Created, s.Expires, s.Ended = instant(created), instant(expires), nullInstant(ended)
		list = append(list, s)
		return nil
	}, `SELECT id, owner, learner, lab, lang, state, error_code, error_message, stack, replay_to, variables, created_at, expires_at, ended_at
		FROM sessions `+where, args...)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if err := d.details(ctx, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// details fills in a session's steps and facts.
func (d *DB) details(ctx context.Context, s *store.Session) error {
	err := d.query(ctx, func(rows *sql.Rows) error {
		var st store.Step
		var opened int64
		var done sql.NullInt64
		if err := rows.Scan(&st.Anchor, &opened, &done); err != nil {
			return err
		}
		st.Opened, st.Done = instant(opened), nullInstant(done)
		s.Steps = append(s.Steps, st)
		return nil
	}, `SELECT anchor, opened_at, done_at FROM steps WHERE session = ?`, s.ID)
	if err != nil {
		return err
	}
	s.Facts = map[string]json.RawMessage{}
	return d.query(ctx, func(rows *sql.Rows) error {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		s.Facts[name] = json.RawMessage(value)
		return nil
	}, `SELECT name, value FROM facts WHERE session = ?`, s.ID)
}

// Progress returns all that a learner ever finished.
func (d *DB) Progress(ctx context.Context, learner int64) ([]store.Progress, error) {
	var list []store.Progress
	err := d.query(ctx, func(rows *sql.Rows) error {
		var p store.Progress
		var done int64
		if err := rows.Scan(&p.Lab, &p.Anchor, &done); err != nil {
			return err
		}
		p.Done = instant(done)
		list = append(list, p)
		return nil
	}, `SELECT lab, anchor, done_at FROM progress WHERE learner = ? ORDER BY lab, done_at, anchor`, learner)
	if err != nil {
		return nil, fmt.Errorf("read the progress of learner %d: %w", learner, err)
	}
	return list, nil
}

// Forget deletes what is old.
func (d *DB) Forget(ctx context.Context, before time.Time) error {
	err := d.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE ended_at < ?1 OR ended_at IS NULL AND lease_until < ?1 AND expires_at < ?1`, millis(before))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM learners WHERE created_at < ? AND name = ''
			AND NOT EXISTS (SELECT 1 FROM sessions WHERE learner = learners.id)
			AND NOT EXISTS (SELECT 1 FROM progress WHERE learner = learners.id)`, millis(before))
		return err
	})
	if err != nil {
		return fmt.Errorf("forget old sessions: %w", err)
	}
	return nil
}

func (d *DB) query(ctx context.Context, each func(*sql.Rows) error, query string, args ...any) error {
	rows, err := d.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := each(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// known turns SQLite's errors into those of package store.
func known(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	var se *sqlite.Error
	if errors.As(err, &se) {
		switch se.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return fmt.Errorf("%w: %w", store.ErrExists, err)
		case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return fmt.Errorf("%w: %w", store.ErrNotFound, err)
		}
	}
	return err
}

func millis(t time.Time) int64 { return t.UnixMilli() }

func nullMillis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func nullInstant(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return instant(n.Int64)
}
