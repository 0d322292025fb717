package store

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
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

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

// withSession opens a new database that holds one learner and one session.
func withSession(t *testing.T) (*DB, Session) {
	t.Helper()
	db := open(t, filepath.Join(t.TempDir(), "labd.db"))
	learner, err := db.AddLearner(t.Context(), []byte("hash"), epoch)
	if err != nil {
		t.Fatal(err)
	}
	s := Session{ID: "s1", Learner: learner, Lab: "first", Lang: "zh", State: "creating",
		Variables: map[string]string{"code": "x7k2p9"}, Created: epoch, Expires: epoch.Add(time.Hour)}
	if err := db.AddSession(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return db, s
}

func TestSessionComesBackAsItWasStored(t *testing.T) {
	db, s := withSession(t)
	ctx := t.Context()
	if err := db.OpenStep(ctx, "s1", "hello", epoch.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := db.OpenStep(ctx, "s1", "hello", epoch.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	facts := map[string]json.RawMessage{"cache": json.RawMessage(`{"id":"abc"}`)}
	if err := db.FinishStep(ctx, "s1", "hello", epoch.Add(2*time.Second), facts); err != nil {
		t.Fatal(err)
	}
	if err := db.SetState(ctx, "s1", "ready", "", "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := db.SetExpires(ctx, "s1", epoch.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	s.State, s.Expires, s.Facts = "ready", epoch.Add(2*time.Hour), facts
	s.Steps = []Step{{Anchor: "hello", Opened: epoch.Add(time.Second), Done: epoch.Add(2 * time.Second)}}
	alive, err := db.Alive(ctx)
	if err != nil || len(alive) != 1 || !reflect.DeepEqual(alive[0], s) {
		t.Fatalf("got  %+v, %v\nwant %+v", alive, err, s)
	}
	progress, err := db.Progress(ctx, s.Learner)
	if err != nil || !reflect.DeepEqual(progress, []Progress{{Lab: "first", Anchor: "hello", Done: epoch.Add(2 * time.Second)}}) {
		t.Fatalf("progress is %+v, %v", progress, err)
	}

	if err := db.SetState(ctx, "s1", "failed", "full", "no room", epoch.Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if alive, err = db.Alive(ctx); err != nil || len(alive) != 0 {
		t.Fatalf("an ended session is alive: %+v, %v", alive, err)
	}
	s.State, s.ErrorCode, s.ErrorMessage, s.Ended = "failed", "full", "no room", epoch.Add(3*time.Hour)
	if got, err := db.Session(ctx, "s1"); err != nil || !reflect.DeepEqual(got, s) {
		t.Fatalf("got  %+v, %v\nwant %+v", got, err, s)
	}
}

func TestStepsDoneTwiceKeepTheFirstTime(t *testing.T) {
	db, s := withSession(t)
	ctx := t.Context()
	if err := db.OpenStep(ctx, "s1", "a", epoch); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := db.FinishStep(ctx, "s1", "a", epoch.Add(time.Duration(i)*time.Hour), nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := db.Session(ctx, "s1")
	if err != nil || !got.Steps[0].Done.Equal(epoch) {
		t.Errorf("step is %+v, %v", got.Steps, err)
	}
	if p, err := db.Progress(ctx, s.Learner); err != nil || len(p) != 1 || !p[0].Done.Equal(epoch) {
		t.Errorf("progress is %+v, %v", p, err)
	}
}

func TestErrorsSayWhatIsMissingOrDouble(t *testing.T) {
	db, s := withSession(t)
	ctx := t.Context()
	other := s
	other.ID, other.Learner = "s2", 999
	for name, tc := range map[string]struct {
		err  error
		want error
	}{
		"same session":         {db.AddSession(ctx, s), ErrExists},
		"session of nobody":    {db.AddSession(ctx, other), ErrNotFound},
		"state of no session":  {db.SetState(ctx, "none", "x", "", "", time.Time{}), ErrNotFound},
		"expiry of no session": {db.SetExpires(ctx, "none", epoch), ErrNotFound},
		"step of no session":   {db.OpenStep(ctx, "none", "a", epoch), ErrNotFound},
		"step never opened":    {db.FinishStep(ctx, "s1", "a", epoch, nil), ErrNotFound},
		"no session":           {second(db.Session(ctx, "none")), ErrNotFound},
		"no learner":           {second(db.Learner(ctx, []byte("x"))), ErrNotFound},
		"same learner":         {second(db.AddLearner(ctx, []byte("hash"), epoch)), ErrExists},
	} {
		if !errors.Is(tc.err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, tc.err, tc.want)
		}
	}
	if p, err := db.Progress(ctx, s.Learner); err != nil || len(p) != 0 {
		t.Errorf("a step that failed to finish left progress %+v, %v", p, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestForgetKeepsWhatCounts(t *testing.T) {
	db, s := withSession(t)
	ctx := t.Context()
	if err := db.OpenStep(ctx, "s1", "a", epoch); err != nil {
		t.Fatal(err)
	}
	if err := db.FinishStep(ctx, "s1", "a", epoch, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := db.AddLearner(ctx, []byte("visitor"), epoch); err != nil {
		t.Fatal(err)
	}
	if err := db.Forget(ctx, epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Session(ctx, "s1"); err != nil {
		t.Errorf("a session that lives was forgotten: %v", err)
	}
	if _, err := db.Learner(ctx, []byte("visitor")); !errors.Is(err, ErrNotFound) {
		t.Errorf("a visitor who did nothing is kept: %v", err)
	}
	if err := db.SetState(ctx, "s1", "ended", "", "", epoch); err != nil {
		t.Fatal(err)
	}
	if err := db.Forget(ctx, epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Session(ctx, "s1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session that ended long ago is kept: %v", err)
	}
	if p, err := db.Progress(ctx, s.Learner); err != nil || len(p) != 1 {
		t.Errorf("progress went with the session: %+v, %v", p, err)
	}
}

func TestWritersDoNotFailEachOther(t *testing.T) {
	db, _ := withSession(t)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			anchor := fmt.Sprintf("a%d", i)
			if err := db.OpenStep(t.Context(), "s1", anchor, epoch); err != nil {
				t.Error(err)
			}
			if err := db.FinishStep(t.Context(), "s1", anchor, epoch, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s, err := db.Session(t.Context(), "s1"); err != nil || len(s.Steps) != 40 {
		t.Errorf("%d steps, %v", len(s.Steps), err)
	}
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
		if err = db.OpenStep(ctx, "s1", anchor, epoch); err == nil {
			err = db.FinishStep(ctx, "s1", anchor, epoch, map[string]json.RawMessage{anchor: json.RawMessage(`{}`)})
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
	if err := db.AddSession(t.Context(), Session{ID: "s1", Learner: learner, Created: epoch, Expires: epoch}); err != nil {
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
