package session_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/internal/store/sqlite"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

// patience bounds every wait for something that must come.
const patience = time.Minute

// world is a Manager on the fake driver and a real database; restart stands for a restart of labd.
type world struct {
	*session.Manager
	t        *testing.T
	fake     *sandboxtest.Fake
	db       *sqlite.DB
	dbPath   string
	cfg      session.Config
	learners []int64
	log      *logBuffer
}

// patient gives probes much time, for machines that do much else.
func patient() *check.Runner {
	return &check.Runner{ProbeTimeout: check.MaxProbeTimeout, Timeout: patience}
}

func limits() session.Limits {
	return session.Limits{Sessions: 40, PerLearner: 2, Starting: 4, ShellsPerSession: 4,
		TTL: time.Hour, Max: 2 * time.Hour, WarnBefore: 5 * time.Minute}
}

// newWorld starts a Manager. change, if not nil, may alter its configuration before.
func newWorld(t *testing.T, opts sandboxtest.FakeOptions, change func(*session.Config)) *world {
	t.Helper()
	noGoroutinesLeft(t)
	w := &world{t: t, fake: sandboxtest.NewFake(t, opts), dbPath: filepath.Join(t.TempDir(), "labd.db"), log: &logBuffer{}}
	w.openStore()
	for i := range 3 {
		id, err := w.db.AddLearner(t.Context(), []byte{byte(i)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.learners = append(w.learners, id.ID)
	}
	w.cfg = session.Config{
		Owner:  owner,
		Labs:   map[string]*lab.Lab{},
		Check:  patient(),
		Limits: limits(),
		Log:    slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, l := range []*lab.Lab{threeSteps("first"), threeSteps("second"), threeSteps("third")} {
		w.cfg.Labs[l.ID] = l
	}
	if change != nil {
		change(&w.cfg)
	}
	w.start()
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Logf("log:\n%s", w.log)
		}
	})
	return w
}

func (w *world) openStore() {
	w.t.Helper()
	db, err := sqlite.Open(context.Background(), w.dbPath)
	if err != nil {
		w.t.Fatal(err)
	}
	w.db = db
}

func (w *world) start() {
	w.t.Helper()
	w.cfg.Store = w.db
	fake := w.fake
	if w.cfg.Connect == nil {
		w.cfg.Connect = func(context.Context) (sandbox.Driver, error) { return fake, nil }
		defer func() { w.cfg.Connect = nil }()
	}
	w.Manager = session.New(w.cfg)
	if err := w.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// ready waits until labs can be started.
func (w *world) ready() *world {
	w.t.Helper()
	eventually(w.t, "labs are ready", func() bool { return w.Status().Ready })
	return w
}

func (w *world) stop() {
	w.t.Helper()
	if w.Manager == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.Close(ctx); err != nil {
		w.t.Error(err)
	}
	if err := w.db.Close(); err != nil {
		w.t.Error(err)
	}
	w.Manager = nil
}

// restart ends the Manager and starts another one over the same stacks and database. between, if not nil, runs while
// none runs, with the database open.
func (w *world) restart(between func()) {
	w.t.Helper()
	w.stop()
	w.fake = w.fake.Reopen(w.t)
	w.openStore()
	if between != nil {
		between()
	}
	w.start()
}

// create starts a lab for the learner with that index.
func (w *world) create(learner int, labID string) session.View {
	w.t.Helper()
	v, existing, err := w.Create(w.t.Context(), w.learners[learner], labID, "en", false)
	if err != nil || existing {
		w.t.Fatalf("create %s: existing %v, %v", labID, existing, err)
	}
	return v
}

// await waits until the session of the first learner satisfies want.
func (w *world) await(id, what string, want func(session.View) bool) session.View {
	w.t.Helper()
	return w.awaitAs(0, id, what, want)
}

func (w *world) awaitAs(learner int, id, what string, want func(session.View) bool) session.View {
	w.t.Helper()
	ctx := w.t.Context()
	sub, err := w.Subscribe(ctx, w.learners[learner], id)
	if err != nil {
		w.t.Fatalf("subscribe to wait for %s: %v", what, err)
	}
	defer sub.Close()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		v := sub.View()
		if want(v) {
			return v
		}
		select {
		case <-sub.Changed():
		case <-sub.Gone():
			if v := sub.View(); want(v) {
				return v
			}
			w.t.Fatalf("the session ended before %s: %+v", what, sub.View())
		case <-timer.C:
			w.t.Fatalf("no %s: %+v", what, v)
		}
	}
}

// owner names the Manager of a world in the store.
const owner = "here"

func leaseOf(id string) store.Lease { return store.Lease{Session: id, Owner: owner} }

// stackOf returns the ID of a session's stack.
func (w *world) stackOf(id string) string {
	w.t.Helper()
	row, err := w.db.Session(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return row.Stack
}

// root returns the directory that stands for the file system of a session's node.
func (w *world) root(id, node string) string {
	w.t.Helper()
	return w.fake.Root(w.t, w.stackOf(id), node)
}

func isReady(v session.View) bool { return v.State == session.Ready }

// started creates the lab and waits until its first step is open.
func (w *world) started(labID string) session.View {
	w.t.Helper()
	return w.await(w.create(0, labID).ID, "the first step", func(v session.View) bool {
		return isReady(v) && v.Steps[0].State == session.Open
	})
}

// stacks lists what the driver has.
func (w *world) stacks() []string {
	w.t.Helper()
	list, err := w.fake.List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, info := range list {
		ids = append(ids, info.ID)
	}
	return ids
}

// shell opens a shell and returns a connection to it.
func (w *world) shell(id, terminal string) *session.Terminal {
	w.t.Helper()
	size := sandbox.Size{Cols: 80, Rows: 24}
	if _, err := w.OpenTerminal(w.t.Context(), w.learners[0], id, terminal, "", size); err != nil {
		w.t.Fatal(err)
	}
	t, err := w.Attach(w.t.Context(), w.learners[0], id, terminal, -1, size)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = t.Close() })
	return t
}

// readUntil reads output until it holds want.
func readUntil(t *testing.T, term *session.Terminal, want string) string {
	t.Helper()
	var all strings.Builder
	buf := make([]byte, 4096)
	guard := time.AfterFunc(patience, func() { _ = term.Close() })
	defer guard.Stop()
	for !strings.Contains(all.String(), want) {
		n, err := term.Read(buf)
		all.Write(buf[:n])
		if err != nil {
			t.Fatalf("read %q instead of %q: %v", all.String(), want, err)
		}
	}
	return all.String()
}

func typeText(t *testing.T, term *session.Terminal, text string) {
	t.Helper()
	if _, err := term.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// threeSteps is a lab whose steps one, two and three are done when a file of that name is in the home directory.
func threeSteps(id string) *lab.Lab {
	l := &lab.Lab{ID: id, Title: lab.Text{"en": id}, Langs: []string{"en", "zh"},
		Stack:     lab.Stack{Nodes: []string{"node1"}, Images: []string{"redis:8"}},
		Variables: []lab.Variable{{Name: "code", Length: 8}},
	}
	for _, name := range []string{"one", "two", "three"} {
		l.Steps = append(l.Steps, &lab.Step{Anchor: name, Title: lab.Text{"en": name}, Check: lab.Check{Probes: []lab.Probe{fileProbe(name)}}})
	}
	return l
}

func fileProbe(name string) lab.Probe {
	exists := true
	return lab.Probe{ID: name, Look: &lab.FileProbe{Path: "/root/" + name, Exists: &exists}, Hint: lab.Text{"en": "touch " + name, "zh": "创建 " + name}}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// noGoroutinesLeft fails the test if there are more goroutines at its end than now.
func noGoroutinesLeft(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(2 * time.Millisecond) {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<20)
				t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
				return
			}
		}
	})
}

// logBuffer is a log that many goroutines write.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// checkFunc is a Checker.
type checkFunc func(context.Context, check.Input) (check.Report, error)

func (f checkFunc) Run(ctx context.Context, in check.Input) (check.Report, error) { return f(ctx, in) }

func labWith(id string, change func(*lab.Lab)) *lab.Lab {
	l := threeSteps(id)
	change(l)
	return l
}

func steps(v session.View) string {
	var out []string
	for _, st := range v.Steps {
		out = append(out, fmt.Sprintf("%s:%s", st.Anchor, st.State))
	}
	return strings.Join(out, " ")
}
