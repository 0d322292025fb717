package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/labd-dev/labd/internal/store"
)

// Claim renews the owner's leases and takes over expired ones, in one UPDATE.
func (d *DB) Claim(ctx context.Context, owner string, ttl time.Duration, stacks []string) ([]string, error) {
	reachable, err := json.Marshal(stacks)
	if err != nil {
		return nil, fmt.Errorf("claim the sessions: %w", err)
	}
	now := time.Now()
	var ids []string
	err = d.query(ctx, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `UPDATE sessions SET owner = ?1, lease_until = ?2
		WHERE ended_at IS NULL AND (owner IN (?1, '')
			OR lease_until <= ?3 AND (stack = '' OR stack IN (SELECT value FROM json_each(?4))))
		RETURNING id`, owner, millis(now.Add(ttl)), millis(now), string(reachable))
	if err != nil {
		return nil, fmt.Errorf("claim the sessions: %w", err)
	}
	return ids, nil
}

// Renew extends one lease.
func (d *DB) Renew(ctx context.Context, l store.Lease, ttl time.Duration) error {
	return d.update(ctx, l, `UPDATE sessions SET lease_until = ?3 WHERE id = ?1 AND owner = ?2 AND ended_at IS NULL`, millis(time.Now().Add(ttl)))
}

// Release gives up all leases of owner.
func (d *DB) Release(ctx context.Context, owner string) error {
	if _, err := d.exec(ctx, `UPDATE sessions SET lease_until = 0 WHERE owner = ? AND ended_at IS NULL`, owner); err != nil {
		return fmt.Errorf("release the sessions: %w", err)
	}
	return nil
}

// Stacks returns the stacks of all sessions that have not ended.
func (d *DB) Stacks(ctx context.Context) ([]string, error) {
	var ids []string
	err := d.query(ctx, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT stack FROM sessions WHERE ended_at IS NULL AND stack <> ''`)
	if err != nil {
		return nil, fmt.Errorf("list the stacks: %w", err)
	}
	return ids, nil
}

// SetState stores a session's state.
func (d *DB) SetState(ctx context.Context, l store.Lease, state, errorCode, errorMessage string, ended time.Time) error {
	return d.update(ctx, l, `UPDATE sessions SET state = ?3, error_code = ?4, error_message = ?5, ended_at = ?6 WHERE id = ?1 AND owner = ?2`,
		state, errorCode, errorMessage, nullMillis(ended))
}

// SetExpires stores a session's new end.
func (d *DB) SetExpires(ctx context.Context, l store.Lease, at time.Time) error {
	return d.update(ctx, l, `UPDATE sessions SET expires_at = ?3 WHERE id = ?1 AND owner = ?2`, millis(at))
}

// SetLang stores the language that a session's learner reads.
func (d *DB) SetLang(ctx context.Context, l store.Lease, lang string) error {
	return d.update(ctx, l, `UPDATE sessions SET lang = ?3 WHERE id = ?1 AND owner = ?2`, lang)
}

// SetReplayTo stores which steps are still to be replayed.
func (d *DB) SetReplayTo(ctx context.Context, l store.Lease, anchor string) error {
	return d.update(ctx, l, `UPDATE sessions SET replay_to = ?3 WHERE id = ?1 AND owner = ?2`, anchor)
}

// update runs a statement whose first two arguments are the session and its owner, and which changes one row if the
// lease is held.
func (d *DB) update(ctx context.Context, l store.Lease, query string, args ...any) error {
	n, err := d.exec(ctx, query, append([]any{l.Session, l.Owner}, args...)...)
	if err == nil && n == 0 {
		err = d.whyNot(ctx, l)
	}
	if err != nil {
		return fmt.Errorf("update session %s: %w", l.Session, err)
	}
	return nil
}

// whyNot says why a statement changed no row: the session does not exist or has ended, or another labd owns it.
func (d *DB) whyNot(ctx context.Context, l store.Lease) error {
	var owner string
	err := d.db.QueryRowContext(ctx, `SELECT owner FROM sessions WHERE id = ?`, l.Session).Scan(&owner)
	if err == nil && owner != l.Owner {
		return store.ErrLeaseLost
	}
	return errors.Join(store.ErrNotFound, err)
}

// holding runs f in a transaction during which the lease is held. Transactions are "immediate" (see Open), so nobody else
// writes until it ends.
func (d *DB) holding(ctx context.Context, l store.Lease, f func(*sql.Tx) error) error {
	return d.tx(ctx, func(tx *sql.Tx) error {
		var owner string
		if err := tx.QueryRowContext(ctx, `SELECT owner FROM sessions WHERE id = ?`, l.Session).Scan(&owner); err != nil {
			return known(err)
		}
		if owner != l.Owner {
			return store.ErrLeaseLost
		}
		return f(tx)
	})
}

// Restart makes a session begin again on another stack.
func (d *DB) Restart(ctx context.Context, l store.Lease, stack, replayTo string) error {
	err := d.holding(ctx, l, func(tx *sql.Tx) error {
		for _, query := range []string{`DELETE FROM steps WHERE session = ?`, `DELETE FROM facts WHERE session = ?`} {
			if _, err := tx.ExecContext(ctx, query, l.Session); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `UPDATE sessions SET stack = ?, replay_to = ? WHERE id = ?`, stack, replayTo, l.Session)
		return err
	})
	if err != nil {
		return fmt.Errorf("restart session %s: %w", l.Session, known(err))
	}
	return nil
}

// OpenStep stores that a step's setup ran.
func (d *DB) OpenStep(ctx context.Context, l store.Lease, anchor string, at time.Time) error {
	err := d.holding(ctx, l, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO steps (session, anchor, opened_at) VALUES (?, ?, ?)
			ON CONFLICT (session, anchor) DO NOTHING`, l.Session, anchor, millis(at))
		return err
	})
	if err != nil {
		return fmt.Errorf("open step %s of session %s: %w", anchor, l.Session, known(err))
	}
	return nil
}

// FinishStep stores that an opened step is done, what its check remembered, and the learner's progress.
func (d *DB) FinishStep(ctx context.Context, l store.Lease, anchor string, at time.Time, facts map[string]json.RawMessage) error {
	err := d.holding(ctx, l, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE steps SET done_at = coalesce(done_at, ?) WHERE session = ? AND anchor = ?`,
			millis(at), l.Session, anchor)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, store.ErrNotFound)
		}
		for name, value := range facts {
			_, err := tx.ExecContext(ctx, `INSERT INTO facts (session, name, value) VALUES (?, ?, ?)
				ON CONFLICT (session, name) DO UPDATE SET value = excluded.value`, l.Session, name, string(value))
			if err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO progress (learner, lab, anchor, done_at)
			SELECT learner, lab, ?, ? FROM sessions WHERE id = ? ON CONFLICT DO NOTHING`, anchor, millis(at), l.Session)
		return err
	})
	if err != nil {
		return fmt.Errorf("finish step %s of session %s: %w", anchor, l.Session, known(err))
	}
	return nil
}
