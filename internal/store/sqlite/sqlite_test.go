package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/internal/store/storetest"
)

var lease = store.Lease{Session: "s1", Owner: "here"}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func open(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestStoreContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "labd.db")) })
}

func TestDatabaseIsItsOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a dir with ? and #", "labd.db")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labd.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is a text file\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labd.db")
	db := open(t, path)
	if _, err := db.db.Exec(`INSERT INTO schema_migrations (number, name) VALUES (9999, '9999_future.sql')`); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path); !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "9999") {
		t.Errorf("got %v", err)
	}
}

func raw(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "x.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func files(list ...string) fs.FS {
	m := fstest.MapFS{}
	for i := 0; i < len(list); i += 2 {
		m[list[i]] = &fstest.MapFile{Data: []byte(list[i+1])}
	}
	return m
}

func TestMigrateGoesOnFromWhereItWas(t *testing.T) {
	db := raw(t)
	one := []string{"0001_a.sql", "CREATE TABLE a (x); INSERT INTO a VALUES (1);"}
	for range 2 {
		if err := migrate(t.Context(), db, files(one...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := migrate(t.Context(), db, files(append(one, "0002_b.sql", "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1;")...)); err != nil {
		t.Fatal(err)
	}
	var rows, y int
	if err := db.QueryRow(`SELECT count(*), max(y) FROM a`).Scan(&rows, &y); err != nil || rows != 1 || y != 2 {
		t.Errorf("%d rows, y = %d, %v", rows, y, err)
	}
}

// A database of the first release must come up with what it held.
func TestDatabaseOfTheFirstReleaseIsMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labd.db")
	old, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	first, err := fs.ReadFile(embedded(), "0001_initial.sql")
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), old, files("0001_initial.sql", string(first))); err != nil {
		t.Fatal(err)
	}
	_, err = old.Exec(`INSERT INTO learners VALUES (7, x'01', 1000);
		INSERT INTO sessions (id, learner, lab, lang, state, variables, created_at, expires_at) VALUES ('s1', 7, 'first', 'zh', 'ready', '{"a": "b"}', 1000, 2000);
		INSERT INTO steps VALUES ('s1', 'hello', 1100, 1200);
		INSERT INTO facts VALUES ('s1', 'cache', '{}');
		INSERT INTO progress VALUES (7, 'first', 'hello', 1200);`)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db := open(t, path)
	ids, err := db.Claim(t.Context(), "here", time.Hour, nil)
	if err != nil || len(ids) != 1 {
		t.Fatalf("claimed %v, %v", ids, err)
	}
	s, err := db.Session(t.Context(), "s1")
	if err != nil || s.Stack != "s1" || s.Owner != "here" || s.Variables["a"] != "b" || len(s.Steps) != 1 || s.Steps[0].Done.IsZero() || len(s.Facts) != 1 {
		t.Errorf("the session is %+v, %v", s, err)
	}
	if l, err := db.Learner(t.Context(), []byte{1}); err != nil || l != (store.Learner{ID: 7, Role: store.RoleLearner}) {
		t.Errorf("the learner is %+v, %v", l, err)
	}
	if p, err := db.Progress(t.Context(), 7); err != nil || len(p) != 1 {
		t.Errorf("progress is %+v, %v", p, err)
	}
}

func TestMigrateUndoesAMigrationThatFails(t *testing.T) {
	db := raw(t)
	err := migrate(t.Context(), db, files("0001_a.sql", "CREATE TABLE a (x);", "0002_b.sql", "CREATE TABLE b (x); SELECT nonsense FROM nowhere;"))
	if err == nil || !strings.Contains(err.Error(), "0002_b.sql") {
		t.Fatalf("got %v", err)
	}
	var names string
	if err := db.QueryRow(`SELECT group_concat(name) FROM sqlite_schema WHERE name IN ('a', 'b')`).Scan(&names); err != nil || names != "a" {
		t.Errorf("tables %q, %v", names, err)
	}
	if err := migrate(t.Context(), db, files("0001_a.sql", "CREATE TABLE a (x);", "0002_b.sql", "CREATE TABLE b (x);")); err != nil {
		t.Errorf("after the repair: %v", err)
	}
}

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	for _, name := range []string{"0002_a.sql", "0000_a.sql", "a.sql", "0001.sql"} {
		if err := migrate(t.Context(), raw(t), files(name, "SELECT 1;")); err == nil {
			t.Errorf("accepted %s", name)
		}
	}
}

func TestMigrateOnceWhenTwoStartTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labd.db")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := Open(context.Background(), path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// crashEnv makes the test binary the victim of TestKilledWriterLosesNothingItSaidIsStored.
const crashEnv = "LABD_STORE_CRASH_DB"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		writeForever(path)
		return
	}
	os.Exit(m.Run())
}

// writeForever finishes step after step, and says each one's name once it is stored.
func writeForever(path string) {
	ctx := context.Background()
	db, err := Open(ctx, path)
	for i := 0; err == nil; i++ {
		anchor := fmt.Sprintf("a%d", i)
		if err = db.OpenStep(ctx, lease, anchor, epoch); err == nil {
			err = db.FinishStep(ctx, lease, anchor, epoch, map[string]json.RawMessage{anchor: json.RawMessage(`{}`)})
		}
		fmt.Println(anchor)
	}
	fmt.Println("error", err)
}

func TestKilledWriterLosesNothingItSaidIsStored(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "labd.db")
	db := open(t, path)
	learner, err := db.AddLearner(t.Context(), []byte("hash"), epoch)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.AddSession(t.Context(), store.Session{ID: "s1", Owner: "here", Learner: learner.ID, Created: epoch, Expires: epoch}, time.Hour); err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for round := range 3 {
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env = append(os.Environ(), crashEnv+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 20*(round+1) && lines.Scan(); n++ {
			said[lines.Text()] = true
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			said[lines.Text()] = true
		}
		_ = cmd.Wait() // killed
	}
	s, err := db.Session(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	done := map[string]bool{}
	for _, st := range s.Steps {
		if !st.Done.IsZero() {
			done[st.Anchor] = true
		}
	}
	for anchor := range said {
		if !done[anchor] || s.Facts[anchor] == nil {
			t.Errorf("%s was said to be stored and is not", anchor)
		}
	}
	if len(said) < 60 || len(s.Facts) != len(done) {
		t.Errorf("%d said, %d done, %d facts", len(said), len(done), len(s.Facts))
	}
	var ok string
	if err := db.db.QueryRow(`PRAGMA integrity_check`).Scan(&ok); err != nil || ok != "ok" {
		t.Errorf("integrity: %s, %v", ok, err)
	}
}
