package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNewerSchema: a newer labd wrote this database.
var ErrNewerSchema = errors.New("a newer labd wrote this database; run that version, or restore the copy made before the update")

func embedded() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the directory is compiled in
	}
	return sub
}

// migration is one file NNNN_name.sql. Numbers start at 1 and have no gaps; a file that was released never changes.
type migration struct {
	number int
	name   string
	script string
}

func readMigrations(fsys fs.FS) ([]migration, error) {
	names, err := fs.Glob(fsys, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var list []migration
	for i, name := range names {
		number, _, ok := strings.Cut(path.Base(name), "_")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s: want a name like %04d_what.sql", name, i+1)
		}
		script, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		list = append(list, migration{number: n, name: name, script: string(script)})
	}
	return list, nil
}

// migrate applies each migration that the database lacks in a transaction of its own.
func migrate(ctx context.Context, db *sql.DB, fsys fs.FS) error {
	list, err := readMigrations(fsys)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
		number     INTEGER PRIMARY KEY,
		name       TEXT    NOT NULL,
		applied_at INTEGER NOT NULL DEFAULT (unixepoch() * 1000)
	) STRICT`)
	if err != nil {
		return fmt.Errorf("read the schema version: %w", err)
	}
	for _, m := range list {
		if err := apply(ctx, db, m, len(list)); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
	}
	return nil
}

// apply runs m unless it was applied before. The version is read inside the transaction, so two processes that start
// together don't both apply it.
func apply(ctx context.Context, db *sql.DB, m migration, newest int) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	var version int
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(number), 0) FROM schema_migrations`).Scan(&version); err != nil {
		return err
	}
	if version > newest {
		return fmt.Errorf("%w: its schema has number %d, this labd knows %d", ErrNewerSchema, version, newest)
	}
	if version < m.number {
		if _, err := tx.ExecContext(ctx, m.script); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO schema_migrations (number, name) VALUES (?, ?)`, m.number, m.name)
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}
