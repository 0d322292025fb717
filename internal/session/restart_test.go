package session_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

func contents(t *testing.T, root, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// idleEngine is an engine that answers pings and has nothing.
func idleEngine(string, string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte("OK"))
	})
}

func TestRestartKeepsSessionsShellsAndProgress(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	term := w.shell(v.ID, "t1")
	typeText(t, term, "marker=kept; touch one\n")
	before := w.await(v.ID, "step one", func(v session.View) bool { return steps(v) == "one:done two:open three:locked" })
	extended, err := w.Extend(t.Context(), w.learners[0], v.ID)
	if err != nil && fault.CodeOf(err) != fault.Conflict {
		t.Fatal(err)
	}
	if err == nil {
		before.Expires = extended.Expires
	}
	seen := term.Start()
	w.restart(nil)
	if term.Cause() != session.ErrStopping {
		t.Errorf("the terminal was cut because of %v", term.Cause())
	}
	if _, err := w.Get(t.Context(), w.learners[0], v.ID); err != nil {
		t.Errorf("right after the restart: %v", err)
	}
	after := w.ready().await(v.ID, "ready again", isReady)
	if steps(after) != steps(before) || !after.Expires.Equal(before.Expires) || !after.Created.Equal(before.Created) ||
		after.Variables["code"] != before.Variables["code"] || !after.Steps[0].Done.Equal(before.Steps[0].Done.Truncate(time.Millisecond)) {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	if !slices.Equal(after.Terminals, []session.TerminalView{{ID: "t1", Node: "node1"}}) {
		t.Errorf("terminals are %+v", after.Terminals)
	}
	again, err := w.Attach(t.Context(), w.learners[0], v.ID, "t1", seen, sandbox.Size{Cols: 80, Rows: 24})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Start() != seen {
		t.Errorf("scrollback begins at %d, not %d", again.Start(), seen)
	}
	typeText(t, again, "echo still-$marker; touch two\n")
	readUntil(t, again, "still-kept")
	w.await(v.ID, "step two", func(v session.View) bool { return v.Steps[1].State == session.Done })
	if got := w.stacks(); !slices.Equal(got, []string{w.stackOf(v.ID)}) {
		t.Errorf("stacks are %v", got)
	}
}

func TestRestartKeepsWhatChecksRemembered(t *testing.T) {
	started := time.Date(2026, 5, 6, 7, 8, 9, 123456789, time.UTC)
	facts := make(chan check.Facts, 100)
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) { c.Check = remembering{facts, started} }).ready()
	v := w.create(0, "first")
	w.await(v.ID, "step one", func(v session.View) bool { return v.Steps[0].State == session.Done })
	w.restart(nil)
	w.ready().await(v.ID, "ready again", isReady)
	eventually(t, "the fact is given to a check after the restart", func() bool {
		f := <-facts
		return f["cache"].ID == "abc" && f["cache"].Started.Equal(started)
	})
}

func TestRestartEndsSessionsThatCannotContinue(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		c.Limits.PerLearner = 10
		for _, id := range []string{"gone", "broken", "creating", "expired", "ending", "failed", "removed"} {
			c.Labs[id] = threeSteps(id)
		}
	}).ready()
	ids := map[string]string{}
	for _, id := range []string{"gone", "broken", "creating", "expired", "ending", "failed", "removed", "first"} {
		ids[id] = w.started(id).ID
	}
	w.restart(func() {
		ctx := t.Context()
		delete(w.cfg.Labs, "removed")
		w.fake.Spoil(t, w.stackOf(ids["broken"]), 0)
		past := time.Now().Add(-time.Minute)
		for _, err := range []error{
			w.fake.Destroy(ctx, w.stackOf(ids["gone"])),
			w.db.SetState(ctx, leaseOf(ids["creating"]), string(session.Creating), "", "", time.Time{}),
			w.db.SetState(ctx, leaseOf(ids["ending"]), string(session.Ending), "", "", time.Time{}),
			w.db.SetState(ctx, leaseOf(ids["failed"]), string(session.Failed), "", "", time.Time{}),
			w.db.SetExpires(ctx, leaseOf(ids["expired"]), past),
			makeStack(t, w.fake, "orphan"),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	w.ready()
	eventually(t, "only one session is left", func() bool { return w.Status().Sessions == 1 })
	eventually(t, "only its stack is left", func() bool { return slices.Equal(w.stacks(), []string{w.stackOf(ids["first"])}) })
	for lab, want := range map[string]string{
		"gone":     "no longer there",
		"broken":   "no longer there",
		"creating": "being started",
		"failed":   "Something went wrong",
		"removed":  "no longer offered",
	} {
		v, err := w.Get(t.Context(), w.learners[0], ids[lab])
		if err != nil || v.State != session.Failed || !strings.Contains(v.Error.Message, want) {
			t.Errorf("%s: %+v, %v", lab, v.Error, err)
		}
	}
	for _, lab := range []string{"expired", "ending"} {
		if _, err := w.Get(t.Context(), w.learners[0], ids[lab]); fault.CodeOf(err) != fault.Gone {
			t.Errorf("%s: %v", lab, err)
		}
	}
	w.await(ids["first"], "ready again", isReady)
}

func makeStack(t *testing.T, fake *sandboxtest.Fake, id string) error {
	s, err := fake.Create(t.Context(), sandbox.Spec{ID: id, Nodes: []sandbox.NodeSpec{{Name: "node1"}}})
	if err != nil {
		return err
	}
	return s.Close()
}

func TestSessionsWaitForAnEngineThatComesAfterLabd(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	w.fake.SetUnavailable(true)
	w.restart(nil)
	eventually(t, "labd looked", func() bool { return strings.Contains(w.Status().Reason, "does not answer") })
	if got, err := w.Get(t.Context(), w.learners[0], v.ID); err != nil || got.State != session.Recovering {
		t.Errorf("without an engine: %+v, %v", got.State, err)
	}
	w.fake.SetUnavailable(false)
	w.await(v.ID, "ready again", isReady)
}

func TestSessionBeingCreatedWhenLabdStopsIsUndone(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{CreateDelay: time.Hour}, nil).ready()
	v := w.create(0, "first")
	w.restart(nil)
	if got := w.stacks(); len(got) != 0 {
		t.Errorf("stacks are left: %v", got)
	}
	w.ready()
	eventually(t, "it has failed", func() bool {
		got, err := w.Get(t.Context(), w.learners[0], v.ID)
		return err == nil && got.State == session.Failed
	})
}

func TestCreateBeforeStartAndAfterCloseIsRefused(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	m := session.New(w.cfg)
	if _, _, err := m.Create(t.Context(), w.learners[0], "first", "en", false); fault.CodeOf(err) != fault.LabsOff {
		t.Errorf("before Start: %v", err)
	}
	old := w.Manager
	w.restart(nil)
	if _, _, err := old.Create(t.Context(), w.learners[0], "first", "en", false); fault.CodeOf(err) != fault.LabsOff {
		t.Errorf("after Close: %v", err)
	}
}

func TestSessionThatCannotBeStoredIsNotStarted(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	// A learner whom the store does not know: a row without its parent is refused.
	_, _, err := w.Create(t.Context(), 999, "first", "en", false)
	if err == nil || !strings.Contains(err.Error(), store.ErrNotFound.Error()) {
		t.Errorf("got %v", err)
	}
	if st := w.Status(); st.Sessions != 0 {
		t.Errorf("its place is taken: %+v", st)
	}
	if got := w.stacks(); len(got) != 0 {
		t.Errorf("stacks are left: %v", got)
	}
}
