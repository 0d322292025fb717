package session_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

// shortLease is short, so that tests need not wait, and long enough for a busy machine to renew it.
const shortLease = 600 * time.Millisecond

// sharedDriver is one labd's connection to an engine that others use too: closing it does not close theirs. It counts
// how often a Manager searched for orphans.
type sharedDriver struct {
	sandbox.Driver
	lists atomic.Int32
}

func (d *sharedDriver) Close() error { return nil }

func (d *sharedDriver) List(ctx context.Context) ([]sandbox.Info, error) {
	d.lists.Add(1)
	return d.Driver.List(ctx)
}

// frozenStore is a store that a labd can't reach while it is frozen, as when its machine is suspended.
type frozenStore struct {
	store.Store
	frozen atomic.Bool
}

var errFrozen = errors.New("the store can't be reached")

func (s *frozenStore) Claim(ctx context.Context, owner string, ttl time.Duration, stacks []string) ([]string, error) {
	if s.frozen.Load() {
		return nil, errFrozen
	}
	return s.Store.Claim(ctx, owner, ttl, stacks)
}

func (s *frozenStore) Renew(ctx context.Context, l store.Lease, ttl time.Duration) error {
	if s.frozen.Load() {
		return errFrozen
	}
	return s.Store.Renew(ctx, l, ttl)
}

func (s *frozenStore) SetState(ctx context.Context, l store.Lease, state, code, message string, ended time.Time) error {
	if s.frozen.Load() {
		return errFrozen
	}
	return s.Store.SetState(ctx, l, state, code, message, ended)
}

// labd is one more labd on the database of a world.
type labd struct {
	*world
	driver *sharedDriver
	store  *frozenStore
}

// another starts a labd on the database of w and the engine that fake stands for.
func (w *world) another(name string, fake *sandboxtest.Fake) *labd {
	w.t.Helper()
	return w.anotherFor(name, fake, shortLease)
}

func (w *world) anotherFor(name string, fake *sandboxtest.Fake, lease time.Duration) *labd {
	w.t.Helper()
	l := &labd{driver: &sharedDriver{Driver: fake}, store: &frozenStore{Store: w.db}}
	cfg := w.cfg
	cfg.Owner, cfg.LeaseTTL, cfg.Store = name, lease, l.store
	cfg.Connect = func(context.Context) (sandbox.Driver, error) { return l.driver, nil }
	l.world = &world{t: w.t, fake: fake, db: w.db, learners: w.learners, log: w.log, Manager: session.New(cfg)}
	if err := l.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			w.t.Error(err)
		}
	})
	l.ready()
	return l
}

// swept waits until the labd has searched for orphans twice from now on: once may have begun already.
func (l *labd) swept() {
	l.t.Helper()
	from := l.driver.lists.Load()
	eventually(l.t, "two searches for orphans", func() bool { return l.driver.lists.Load() >= from+3 })
}

func TestLabdsOnOneDatabaseLeaveEachOthersStacks(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil)
	a, b := w.another("a", w.fake), w.another("b", w.fake)
	elsewhere := w.another("elsewhere", sandboxtest.NewFake(t, sandboxtest.FakeOptions{})) // its engine is another one
	mine, theirs := a.started("first"), b.started("second")
	for _, l := range []*labd{a, b, elsewhere} {
		l.swept()
	}
	for l, id := range map[*labd]string{a: mine.ID, b: theirs.ID} {
		if v, err := l.Get(t.Context(), w.learners[0], id); err != nil || !isReady(v) {
			t.Errorf("%+v, %v", v, err)
		}
	}
	if _, err := b.Get(t.Context(), w.learners[0], mine.ID); fault.CodeOf(err) != fault.NodeDown {
		t.Errorf("the other labd's session: %v", err)
	}
	stacks := w.stacks()
	if !slices.Contains(stacks, w.stackOf(mine.ID)) || !slices.Contains(stacks, w.stackOf(theirs.ID)) {
		t.Errorf("stacks are %v", stacks)
	}
	// An orphan is still found, by whoever is first.
	if err := makeStack(t, w.fake, "orphan"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the orphan is gone", func() bool { return !slices.Contains(w.stacks(), "orphan") })
	if err := a.End(t.Context(), w.learners[0], mine.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.stacks(); !slices.Equal(got, []string{w.stackOf(theirs.ID)}) {
		t.Errorf("stacks are %v", got)
	}
}

func TestSessionsOfALabdThatDiedAreTakenOver(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil)
	a := w.another("a", w.fake)
	b := w.another("b", w.fake)
	v := a.started("first")
	typeText(t, a.shell(v.ID, "t1"), "marker=kept; touch one\n")
	a.await(v.ID, "step one", func(v session.View) bool { return v.Steps[0].State == session.Done })
	sub, err := a.Subscribe(t.Context(), w.learners[0], v.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	stack := w.stackOf(v.ID)

	a.store.frozen.Store(true)
	eventually(t, "the other labd has the session", func() bool {
		got, err := b.Get(t.Context(), w.learners[0], v.ID)
		return err == nil && isReady(got) && steps(got) == "one:done two:open three:locked"
	})
	term := b.shell(v.ID, "t1")
	typeText(t, term, "echo still-$marker\n")
	readUntil(t, term, "still-kept")

	// The first one wakes up while it removes the session: it must notice that the stack is no longer its own.
	ended := make(chan error, 1)
	go func() { ended <- a.End(t.Context(), w.learners[0], v.ID) }()
	if err := <-ended; err == nil {
		t.Error("a labd that can't reach the store says that the session has ended")
	}
	a.store.frozen.Store(false)
	<-sub.Gone()
	if _, err := a.Get(t.Context(), w.learners[0], v.ID); fault.CodeOf(err) != fault.NodeDown {
		t.Errorf("asked the first one: %v", err)
	}
	a.swept()
	if got := w.stacks(); !slices.Equal(got, []string{stack}) {
		t.Errorf("stacks are %v", got)
	}
	typeText(t, term, "touch two; echo and-$marker\n")
	readUntil(t, term, "and-kept")
	b.await(v.ID, "step two", func(v session.View) bool { return v.Steps[1].State == session.Done })
}

func TestSessionsOfALabdThatStoppedAreTakenOverAtOnce(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil)
	a := w.anotherFor("a", w.fake, time.Hour) // without a release its leases would outlive this test
	b := w.another("b", w.fake)
	v := a.started("first")
	stack := w.stackOf(v.ID)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other labd has the session", func() bool {
		got, err := b.Get(t.Context(), w.learners[0], v.ID)
		return err == nil && isReady(got)
	})
	if got := w.stacks(); !slices.Equal(got, []string{stack}) {
		t.Errorf("stacks are %v", got)
	}
}
