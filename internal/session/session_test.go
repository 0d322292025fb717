package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

func TestCreateAnswersAtOnceAndBecomesReady(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{CreateDelay: 50 * time.Millisecond}, nil).ready()
	v := w.create(0, "first")
	if v.State != session.Creating || v.Engine != session.EngineStarting || len(v.ID) > 40 || len(v.Variables["code"]) != 8 {
		t.Errorf("at once: %+v", v)
	}
	if got := steps(v); got != "one:locked two:locked three:locked" {
		t.Errorf("steps are %s", got)
	}
	v = w.await(v.ID, "the first step", func(v session.View) bool { return v.Steps[0].Report != nil })
	if !isReady(v) || steps(v) != "one:open two:locked three:locked" || v.Steps[0].Report.Findings[0].Hint != "touch one" {
		t.Errorf("ready: %+v", v)
	}
	if !v.Warn.Equal(v.Expires.Add(-5*time.Minute)) || v.Expires.Sub(v.Created) != time.Hour {
		t.Errorf("times are %v %v %v", v.Created, v.Warn, v.Expires)
	}
	if got := w.stacks(); !slices.Equal(got, []string{w.stackOf(v.ID)}) {
		t.Errorf("stacks are %v", got)
	}
}

func TestAskingAgainGivesTheSameSession(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{CreateDelay: 20 * time.Millisecond}, nil).ready()
	ids := make([]string, 20)
	var fresh atomic.Int32
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			v, existing, err := w.Create(t.Context(), w.learners[0], "first", "en", false)
			if err != nil {
				t.Error(err)
			}
			if !existing {
				fresh.Add(1)
			}
			ids[i] = v.ID
		})
	}
	wg.Wait()
	if slices.Sort(ids); ids[0] == "" || ids[0] != ids[19] || fresh.Load() != 1 {
		t.Errorf("%d new sessions: %v", fresh.Load(), ids)
	}
}

func TestClassLimitHoldsUnderFiftyStartsAtOnce(t *testing.T) {
	const places = 7
	w := newWorld(t, sandboxtest.FakeOptions{CreateDelay: 10 * time.Millisecond}, func(c *session.Config) {
		c.Limits.Sessions = places
		c.Limits.PerLearner = 1
	}).ready()
	var learners []int64
	for i := range 50 {
		id, err := w.db.AddLearner(t.Context(), fmt.Append(nil, "learner", i), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		learners = append(learners, id.ID)
	}
	var ok, full atomic.Int32
	var wg sync.WaitGroup
	for _, id := range learners {
		wg.Go(func() {
			_, _, err := w.Create(t.Context(), id, "first", "en", false)
			switch {
			case err == nil:
				ok.Add(1)
			case fault.CodeOf(err) == fault.Full && strings.Contains(err.Error(), "All 7 places"):
				full.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ok.Load() != places || full.Load() != 50-places {
		t.Fatalf("%d started, %d were refused", ok.Load(), full.Load())
	}
	if st := w.Status(); st.Sessions != places || st.Limit != places {
		t.Errorf("status is %+v", st)
	}
	for _, id := range learners {
		if list := w.List(id, ""); len(list) == 1 {
			if err := w.End(t.Context(), id, list[0].ID); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	// A place that was given back can be taken, by one.
	again := 0
	for _, id := range learners {
		if len(w.List(id, "")) == 0 {
			if _, _, err := w.Create(t.Context(), id, "first", "en", false); err == nil {
				again++
			}
		}
	}
	if again != 1 {
		t.Errorf("%d sessions started in one free place", again)
	}
}

func TestSessionsPerLearnerAreLimited(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	first := w.create(0, "first")
	w.create(0, "second")
	_, _, err := w.Create(t.Context(), w.learners[0], "third", "en", false)
	if fault.CodeOf(err) != fault.TooMany || !strings.Contains(err.Error(), "2 labs") {
		t.Errorf("got %v", err)
	}
	if _, _, err := w.Create(t.Context(), w.learners[1], "third", "en", false); err != nil {
		t.Errorf("another learner: %v", err)
	}
	if err := w.End(t.Context(), w.learners[0], first.ID); err != nil {
		t.Fatal(err)
	}
	w.create(0, "third")
	if list := w.List(w.learners[0], ""); len(list) != 2 || list[0].Lab != "second" || list[1].Lab != "third" {
		t.Errorf("alive are %+v", list)
	}
}

func TestRefusalsNameWhatIsWrong(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		c.Labs["full"] = labWith("full", func(l *lab.Lab) { l.Stack.Full = true })
	}).ready()
	if _, _, err := w.Create(t.Context(), w.learners[0], "none", "en", false); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("no such lab: %v", err)
	}
	if _, _, err := w.Create(t.Context(), w.learners[0], "full", "en", false); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("a lab that needs another isolation: %v", err)
	}
}

func TestSessionOfAnotherLearnerLooksLikeNone(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	mine := w.started("first")
	w.shell(mine.ID, "t1")
	ctx, other, size := t.Context(), w.learners[1], sandbox.Size{Cols: 80, Rows: 24}
	try := func(id string) []error {
		_, get := w.Get(ctx, other, id)
		_, extend := w.Extend(ctx, other, id)
		_, check := w.Check(ctx, other, id, "one")
		_, sub := w.Subscribe(ctx, other, id)
		_, open := w.OpenTerminal(ctx, other, id, "t1", "", size)
		_, attach := w.Attach(ctx, other, id, "t1", -1, size)
		return []error{get, extend, check, sub, open, attach, w.CloseTerminal(ctx, other, id, "t1"), w.End(ctx, other, id)}
	}
	theirs, none := try(mine.ID), try("nosuchsession")
	for i := range theirs {
		if fault.CodeOf(theirs[i]) != fault.NotFound || theirs[i].Error() != none[i].Error() {
			t.Errorf("call %d: %v and %v", i, theirs[i], none[i])
		}
	}
	if len(w.List(other, "")) != 0 {
		t.Error("another learner's session is listed")
	}
	if v, err := w.Get(ctx, w.learners[0], mine.ID); err != nil || !isReady(v) {
		t.Errorf("afterwards: %+v, %v", v, err)
	}
}

func TestFailedCreateSaysWhyAndLeavesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		code fault.Code
	}{
		"no room":  {fmt.Errorf("create: %w", sandbox.ErrCapacity), fault.Full},
		"no image": {fmt.Errorf("create: %w", sandbox.ErrImageMissing), fault.LabsOff},
		"engine":   {fmt.Errorf("create: %w", sandbox.ErrUnavailable), fault.LabsOff},
		"defect":   {errors.New("secret path /srv/x"), fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
			w.fake.SetCreateError(tc.err)
			v := w.create(0, "first")
			v = w.await(v.ID, "the failure", func(v session.View) bool { return v.State == session.Failed })
			if v.Error == nil || v.Error.Code != tc.code || strings.Contains(v.Error.Message, "secret") {
				t.Errorf("error is %+v", v.Error)
			}
			eventually(t, "its place is free", func() bool { return w.Status().Sessions == 0 })
			if got := w.stacks(); len(got) != 0 {
				t.Errorf("left behind: %v", got)
			}
			// It can still be read, and another one started.
			if v, err := w.Get(t.Context(), w.learners[0], v.ID); err != nil || v.State != session.Failed || v.Error.Code != tc.code {
				t.Errorf("afterwards: %+v, %v", v, err)
			}
			w.fake.SetCreateError(nil)
			if next := w.started("first"); next.ID == v.ID {
				t.Error("the failed session came back")
			}
		})
	}
}

func TestEndLeavesNothing(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	term := w.shell(v.ID, "t1")
	sub, err := w.Subscribe(t.Context(), w.learners[0], v.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if err := w.End(t.Context(), w.learners[0], v.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.stacks(); len(got) != 0 {
		t.Errorf("stacks are left: %v", got)
	}
	<-sub.Gone()
	if v := sub.View(); v.State != session.Ended || len(v.Terminals) != 0 {
		t.Errorf("the last view is %+v", v)
	}
	if _, err := io.Copy(io.Discard, term); err == nil || fault.CodeOf(term.Cause()) != fault.Gone {
		t.Errorf("the terminal read on: %v, cause %v", err, term.Cause())
	}
	if _, err := w.Get(t.Context(), w.learners[0], v.ID); fault.CodeOf(err) != fault.Gone {
		t.Errorf("afterwards: %v", err)
	}
	if err := w.End(t.Context(), w.learners[0], v.ID); fault.CodeOf(err) != fault.Gone {
		t.Errorf("ended again: %v", err)
	}
	if st := w.Status(); st.Sessions != 0 {
		t.Errorf("status is %+v", st)
	}
}

func TestEndWhileCreatingUndoesTheCreate(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{CreateDelay: time.Hour}, nil).ready()
	v := w.create(0, "first")
	waiting := w.create(0, "second")
	if err := w.End(t.Context(), w.learners[0], v.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.End(t.Context(), w.learners[0], waiting.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.stacks(); len(got) != 0 {
		t.Errorf("stacks are left: %v", got)
	}
}

func TestConcurrentCreatesAreLimited(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) { c.Limits.Starting = 1 }).ready()
	var making, most atomic.Int32
	w.stop()
	w.openStore()
	w.cfg.Connect = func(context.Context) (sandbox.Driver, error) {
		return &slowDriver{Driver: w.fake, making: &making, most: &most}, nil
	}
	w.fake = w.fake.Reopen(t)
	w.start()
	w.ready()
	a, b, c := w.create(0, "first"), w.create(0, "second"), w.create(1, "first")
	w.await(a.ID, "ready", isReady)
	w.await(b.ID, "ready", isReady)
	w.awaitAs(1, c.ID, "ready", isReady)
	if most.Load() != 1 {
		t.Errorf("%d stacks were made at the same time", most.Load())
	}
}

// slowDriver counts how many Creates run at the same time.
type slowDriver struct {
	sandbox.Driver
	making, most *atomic.Int32
}

func (d *slowDriver) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Stack, error) {
	n := d.making.Add(1)
	defer d.making.Add(-1)
	for m := d.most.Load(); n > m && !d.most.CompareAndSwap(m, n); m = d.most.Load() {
	}
	return d.Driver.Create(ctx, spec)
}

func TestTimeEndsASession(t *testing.T) {
	ttl := 1500 * time.Millisecond
	for !timeEndsASession(t, ttl) {
		t.Logf("%v was over before this machine came to extend it", ttl)
		if ttl *= 2; ttl > patience {
			t.Fatal("no session lives long enough to be extended")
		}
	}
}

// timeEndsASession returns false if a session of that time was over before it could be extended.
func timeEndsASession(t *testing.T, ttl time.Duration) bool {
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		c.Limits.TTL, c.Limits.Max, c.Limits.WarnBefore = ttl, time.Hour, time.Millisecond
	}).ready()
	v := w.create(0, "first")
	sub, err := w.Subscribe(t.Context(), w.learners[0], v.ID)
	if fault.CodeOf(err) == fault.Gone {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	longer, over := v, false
	eventually(t, "an extension gains a second", func() bool {
		got, err := w.Extend(t.Context(), w.learners[0], v.ID)
		switch {
		case err == nil:
			longer = got
		case fault.CodeOf(err) == fault.Gone:
			over = true
		case fault.CodeOf(err) != fault.Conflict:
			t.Fatal(err)
		}
		return err == nil || over
	})
	if over {
		return false
	}
	if longer.Expires.Sub(v.Expires) < time.Second {
		t.Errorf("extended from %v to %v", v.Expires, longer.Expires)
	}
	select {
	case <-sub.Gone():
	case <-time.After(ttl + patience):
		t.Fatal("it does not end")
	}
	if state := sub.View().State; state != session.Ended {
		t.Errorf("at its end it is %s", state)
	}
	if time.Now().Before(longer.Expires) {
		t.Error("it ended before its time")
	}
	eventually(t, "its place is free", func() bool { return w.Status().Sessions == 0 })
	if got := w.stacks(); len(got) != 0 {
		t.Errorf("stacks are left: %v", got)
	}
	return true
}

func TestExtendHasAnEnd(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) { c.Limits.Max = c.Limits.TTL + time.Minute }).ready()
	v := w.started("first")
	_, err := w.Extend(t.Context(), w.learners[0], v.ID)
	if fault.CodeOf(err) != fault.Conflict {
		t.Errorf("nothing to gain yet: %v", err)
	}
	if got, err := w.Get(t.Context(), w.learners[0], v.ID); err != nil || !got.Expires.Equal(v.Expires) {
		t.Errorf("a refused extension moved the end: %v, %v", got.Expires, err)
	}
}

func TestDestroyIsRetriedUntilItSucceeds(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	w.fake.SetUnavailable(true)
	if err := w.End(t.Context(), w.learners[0], v.ID); fault.CodeOf(err) != fault.LabsOff {
		t.Errorf("got %v", err)
	}
	if st := w.Status(); st.Sessions != 1 {
		t.Errorf("a stack that is left does not count: %+v", st)
	}
	if len(w.List(w.learners[0], "")) != 0 {
		t.Error("an ending session is listed as alive")
	}
	w.fake.SetUnavailable(false)
	eventually(t, "nothing is left", func() bool { return len(w.stacks()) == 0 && w.Status().Sessions == 0 })
}

func TestNodeThatDiesIsRestarted(t *testing.T) {
	for _, reason := range []sandbox.DownReason{sandbox.DownMemory, sandbox.DownEnded} {
		t.Run(string(reason), func(t *testing.T) {
			w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
			v := w.started("first")
			term := w.shell(v.ID, "t1")
			typeText(t, term, "touch kept\n")
			root := w.root(v.ID, "node1")
			eventually(t, "the file is there", func() bool { return exists(root, "root/kept") })
			w.fake.Kill(t, w.stackOf(v.ID), "node1", reason)
			v = w.await(v.ID, "its return", func(v session.View) bool { return isReady(v) && v.Notice != "" })
			if v.Notice != string(reason) || len(v.Terminals) != 0 {
				t.Errorf("came back as %+v", v)
			}
			if _, err := io.Copy(io.Discard, term); err == nil {
				t.Error("the old shell ended as if it had been left")
			}
			again := w.shell(v.ID, "t1")
			typeText(t, again, "ls; echo a''b\n")
			if out := readUntil(t, again, "ab"); !strings.Contains(out, "kept") {
				t.Errorf("the file is gone: %q", out)
			}
		})
	}
}

func exists(root, name string) bool {
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

func TestEngineGoesAndComesBack(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	term := w.shell(v.ID, "t1")
	typeText(t, term, "marker=kept\n")
	readUntil(t, term, "marker=kept")
	w.fake.SetUnavailable(true)
	w.await(v.ID, "recovering", func(v session.View) bool { return v.State == session.Recovering })
	eventually(t, "labs are off", func() bool { return !w.Status().Ready })
	if st := w.Status(); !strings.Contains(st.Reason, "does not answer") {
		t.Errorf("reason is %q", st.Reason)
	}
	if _, _, err := w.Create(t.Context(), w.learners[1], "first", "en", false); fault.CodeOf(err) != fault.LabsOff {
		t.Errorf("a start while labs are off: %v", err)
	}
	if _, err := w.OpenTerminal(t.Context(), w.learners[0], v.ID, "t2", "", sandbox.Size{Cols: 80, Rows: 24}); fault.CodeOf(err) != fault.NodeDown {
		t.Errorf("a shell while recovering: %v", err)
	}
	if _, err := w.Check(t.Context(), w.learners[0], v.ID, "one"); fault.CodeOf(err) != fault.NodeDown {
		t.Errorf("a check while recovering: %v", err)
	}
	w.fake.SetUnavailable(false)
	v = w.await(v.ID, "ready again", isReady)
	if v.Notice != "" {
		t.Errorf("the node itself was well, and yet: %q", v.Notice)
	}
	again := w.shell(v.ID, "t1")
	typeText(t, again, "echo still-$marker\n")
	readUntil(t, again, "still-kept")
	eventually(t, "labs are ready", func() bool { return w.Status().Ready })
}

func TestWithoutAnEngineLabsAreOffUntilThereIsOne(t *testing.T) {
	var there atomic.Bool
	var fake *sandboxtest.Fake
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		c.Connect = func(context.Context) (sandbox.Driver, error) {
			if !there.Load() {
				return nil, errors.New("no engine here")
			}
			return fake, nil
		}
	})
	fake = w.fake
	if _, _, err := w.Create(t.Context(), w.learners[0], "first", "en", false); fault.CodeOf(err) != fault.LabsOff {
		t.Errorf("got %v", err)
	}
	there.Store(true)
	w.ready()
	w.started("first")
}

func TestSlowSubscriberMissesOnlyOldViews(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) { c.Limits.TTL = time.Minute }).ready()
	v := w.started("first")
	sub, err := w.Subscribe(t.Context(), w.learners[0], v.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for i := range 20 { // nobody reads meanwhile
		lang := []string{"zh", "en"}[i%2]
		if _, _, err := w.Create(t.Context(), w.learners[0], "first", lang, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := w.Create(t.Context(), w.learners[0], "first", "zh", false); err != nil {
		t.Fatal(err)
	}
	<-sub.Changed()
	if v := sub.View(); v.Lang != "zh" {
		t.Errorf("got an old view: %+v", v)
	}
}

func TestSubscribersAreLimited(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	for i := 0; ; i++ {
		sub, err := w.Subscribe(t.Context(), w.learners[0], v.ID)
		if err != nil {
			if fault.CodeOf(err) != fault.TooMany || i < 10 {
				t.Errorf("after %d: %v", i, err)
			}
			return
		}
		defer sub.Close()
		if i > 1000 {
			t.Fatal("no limit")
		}
	}
}

func TestShellsAreLimited(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	size := sandbox.Size{Cols: 80, Rows: 24}
	for i := range 4 {
		if _, err := w.OpenTerminal(t.Context(), w.learners[0], v.ID, fmt.Sprint("t", i), "node1", size); err != nil {
			t.Fatal(err)
		}
	}
	open := func(id, node string, size sandbox.Size) fault.Code {
		_, err := w.OpenTerminal(t.Context(), w.learners[0], v.ID, id, node, size)
		return fault.CodeOf(err)
	}
	if got := open("t9", "", size); got != fault.TooMany {
		t.Errorf("a fifth shell: %s", got)
	}
	if got := open("t0", "", size); got != "" {
		t.Errorf("a shell that runs: %s", got)
	}
	if got := open("T_0", "", size); got != fault.Invalid {
		t.Errorf("a bad id: %s", got)
	}
	if got := open("t0", "", sandbox.Size{Cols: 0, Rows: 24}); got != fault.Invalid {
		t.Errorf("no columns: %s", got)
	}
	if got := open("t0", "node7", size); got != fault.NotFound {
		t.Errorf("no such node: %s", got)
	}
	if err := w.CloseTerminal(t.Context(), w.learners[0], v.ID, "t0"); err != nil {
		t.Fatal(err)
	}
	if got := open("t9", "", size); got != "" {
		t.Errorf("after one was closed: %s", got)
	}
	if _, err := w.Attach(t.Context(), w.learners[0], v.ID, "t0", -1, size); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("attach to a closed shell: %v", err)
	}
	if err := w.CloseTerminal(t.Context(), w.learners[0], v.ID, "t0"); err != nil {
		t.Errorf("close a closed shell: %v", err)
	}
}

func TestShellThatExitsIsForgotten(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	term := w.shell(v.ID, "t1")
	typeText(t, term, "exit\n")
	if _, err := io.Copy(io.Discard, term); err != nil {
		t.Fatal(err)
	}
	w.await(v.ID, "no shell", func(v session.View) bool { return len(v.Terminals) == 0 })
	if term.Cause() != nil {
		t.Errorf("cause is %v", term.Cause())
	}
	// Leaving a shell is not its end.
	term = w.shell(v.ID, "t2")
	if err := term.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, term)
	if v, err := w.Get(t.Context(), w.learners[0], v.ID); err != nil || len(v.Terminals) != 1 || v.Terminals[0].ID != "t2" {
		t.Errorf("terminals are %+v, %v", v.Terminals, err)
	}
}
