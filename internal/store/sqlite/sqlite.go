// Package store keeps what must outlive labd: learners, sessions, the steps done in them, what checks remembered, and
// each learner's progress.
//
// DB is the SQLite implementation. Packages that need storage declare the part of its methods that they call as an
// interface of their own (package session has Store, package web has learners), so another database means one more type
// with these methods. What such a type must keep:
//   - every method is one transaction: after a crash it has happened or not;
//   - what a method returned without error is on disk;
//   - a missing row is ErrNotFound; a second row under the same key is ErrExists.
package store

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
)

var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrExists: there is a row under that key already.
	ErrExists = errors.New("already exists")
)

const (
	busyTimeout = 10 * time.Second // how long a writer waits for another
	maxConns    = 4                // WAL lets readers run beside the one writer
)

// Session is one learner's use of one lab.
type Session struct {
	ID           string
	Learner      int64
	Lab          string
	Lang         string
	State        string // as package session names it
	ErrorCode    string
	ErrorMessage string
	Variables    map[string]string
	Created      time.Time
	Expires      time.Time
	Ended        time.Time // zero while something of it may be left

	Steps []Step                     // those that were opened, in no order
	Facts map[string]json.RawMessage // by name
}

// Step is a step that was opened in a session.
type Step struct {
	Anchor string
	Opened time.Time
	Done   time.Time // zero until it is done
}

// Progress is a step that a learner finished at some time.
type Progress struct {
	Lab    string
	Anchor string
	Done   time.Time
}

// DB is a SQLite database.
type DB struct {
	db *sql.DB
}

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

// AddLearner stores a new learner and returns their number.
func (d *DB) AddLearner(ctx context.Context, tokenHash []byte, now time.Time) (int64, error) {
	res, err := d.db.ExecContext(ctx, `INSERT INTO learners (token_hash, created_at) VALUES (?, ?)`, tokenHash, millis(now))
	if err != nil {
		return 0, fmt.Errorf("add a learner: %w", known(err))
	}
	return res.LastInsertId()
}

// Learner returns the number of the learner with that hash.
func (d *DB) Learner(ctx context.Context, tokenHash []byte) (int64, error) {
	var id int64
	err := d.db.QueryRowContext(ctx, `SELECT id FROM learners WHERE token_hash = ?`, tokenHash).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("find a learner: %w", known(err))
	}
	return id, nil
}

// AddSession stores a new session without its steps and facts.
func (d *DB) AddSession(ctx context.Context, s Session) error {
	vars, err := json.Marshal(s.Variables)
	if err != nil {
		return fmt.Errorf("add session %s: %w", s.ID, err)
	}
	_, err = d.db.ExecContext(ctx, `INSERT INTO sessions (id, learner, lab, lang, state, variables, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		s.ID, s.Learner, s.Lab, s.Lang, s.State, string(vars), millis(s.Created), millis(s.Expires))
	if err != nil {
		return fmt.Errorf("add session %s: %w", s.ID, known(err))
	}
	return nil
}

// SetState stores a session's state and, for a failed one, why. A non-zero ended says that nothing of it is left.
func (d *DB) SetState(ctx context.Context, id, state, errorCode, errorMessage string, ended time.Time) error {
	return d.updateOne(ctx, "session "+id,
		`UPDATE sessions SET state = ?, error_code = ?, error_message = ?, ended_at = ? WHERE id = ?`,
		state, errorCode, errorMessage, nullMillis(ended), id)
}

// SetExpires stores a session's new end.
func (d *DB) SetExpires(ctx context.Context, id string, at time.Time) error {
	return d.updateOne(ctx, "session "+id, `UPDATE sessions SET expires_at = ? WHERE id = ?`, millis(at), id)
}

// SetLang stores the language a session's learner reads.
func (d *DB) SetLang(ctx context.Context, id, lang string) error {
	return d.updateOne(ctx, "session "+id, `UPDATE sessions SET lang = ? WHERE id = ?`, lang, id)
}

func (d *DB) updateOne(ctx context.Context, what, query string, args ...any) error {
	res, err := d.db.ExecContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("update %s: %w", what, known(err))
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("update %s: %w", what, err)
	}
	if n == 0 {
		return fmt.Errorf("update %s: %w", what, ErrNotFound)
	}
	return nil
}

// OpenStep stores that a step's setup ran. Once is enough: later calls keep the first time.
func (d *DB) OpenStep(ctx context.Context, session, anchor string, at time.Time) error {
	_, err := d.db.ExecContext(ctx, `INSERT INTO steps (session, anchor, opened_at) VALUES (?, ?, ?)
		ON CONFLICT (session, anchor) DO NOTHING`, session, anchor, millis(at))
	if err != nil {
		return fmt.Errorf("open step %s of session %s: %w", anchor, session, known(err))
	}
	return nil
}

// FinishStep stores that an opened step is done, what its check remembered, and the learner's progress, together.
func (d *DB) FinishStep(ctx context.Context, session, anchor string, at time.Time, facts map[string]json.RawMessage) error {
	err := d.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE steps SET done_at = coalesce(done_at, ?) WHERE session = ? AND anchor = ?`,
			millis(at), session, anchor)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNotFound)
		}
		for name, value := range facts {
			_, err := tx.ExecContext(ctx, `INSERT INTO facts (session, name, value) VALUES (?, ?, ?)
				ON CONFLICT (session, name) DO UPDATE SET value = excluded.value`, session, name, string(value))
			if err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO progress (learner, lab, anchor, done_at)
			SELECT learner, lab, ?, ? FROM sessions WHERE id = ? ON CONFLICT DO NOTHING`, anchor, millis(at), session)
		return err
	})
	if err != nil {
		return fmt.Errorf("finish step %s of session %s: %w", anchor, session, known(err))
	}
	return nil
}

// Session returns one session, alive or ended.
func (d *DB) Session(ctx context.Context, id string) (Session, error) {
	list, err := d.sessions(ctx, `WHERE id = ?`, id)
	if err != nil {
		return Session{}, fmt.Errorf("read session %s: %w", id, err)
	}
	if len(list) == 0 {
		return Session{}, fmt.Errorf("read session %s: %w", id, ErrNotFound)
	}
	return list[0], nil
}

// Alive returns the sessions of which something may be left, oldest first.
func (d *DB) Alive(ctx context.Context) ([]Session, error) {
	list, err := d.sessions(ctx, `WHERE ended_at IS NULL ORDER BY created_at, id`)
	if err != nil {
		return nil, fmt.Errorf("read the sessions: %w", err)
	}
	return list, nil
}

func (d *DB) sessions(ctx context.Context, where string, args ...any) ([]Session, error) {
	var list []Session
	err := d.query(ctx, func(rows *sql.Rows) error {
		var s Session
		var vars string
		var created, expires int64
		var ended sql.NullInt64
		err := rows.Scan(&s.ID, &s.Learner, &s.Lab, &s.Lang, &s.State, &s.ErrorCode, &s.ErrorMessage, &vars, &created, &expires, &ended)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(vars), &s.Variables); err != nil {
			return fmt.Errorf("variables of session %s: %w", s.ID, err)
		}
		s.Created, s.Expires, s.Ended = instant(created), instant(expires), nullInstant(ended)
		list = append(list, s)
		return nil
	}, `SELECT id, learner, lab, lang, state, error_code, error_message, variables, created_at, expires_at, ended_at
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
func (d *DB) details(ctx context.Context, s *Session) error {
	err := d.query(ctx, func(rows *sql.Rows) error {
		var st Step
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
func (d *DB) Progress(ctx context.Context, learner int64) ([]Progress, error) {
	var list []Progress
	err := d.query(ctx, func(rows *sql.Rows) error {
		var p Progress
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

// Forget deletes sessions that ended before the time, and learners made before it who have neither sessions nor
// progress: most visitors never start a lab.
func (d *DB) Forget(ctx context.Context, before time.Time) error {
	err := d.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE ended_at < ?`, millis(before)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM learners WHERE created_at < ?
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

// known turns the database's errors into this package's.
func known(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	var se *sqlite.Error
	if errors.As(err, &se) {
		switch se.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return fmt.Errorf("%w: %w", ErrExists, err)
		case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return fmt.Errorf("%w: %w", ErrNotFound, err)
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
