package session_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker"
	"github.com/labd-dev/labd/sandbox/docker/seed"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

// A learner who did all steps of a lab but the last one comes back: a real node is brought to the last step.
func TestReplayOfTheCoursesLabsOnRealNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the engine")
	}
	labs, err := lab.Load(os.DirFS("../../labs"), "")
	if err != nil {
		t.Fatal(err)
	}
	seedDir := os.Getenv("LABD_SEED_DIR")
	if seedDir == "" {
		seedDir = seed.DefaultDir
	}
	stateDir, instance := t.TempDir(), fmt.Sprintf("replay-%d", os.Getpid())
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		c.Settle = 0 // as labd has it
		c.Check = &check.Runner{}
		for _, l := range labs {
			c.Labs[l.ID] = l
		}
		c.Connect = func(ctx context.Context) (sandbox.Driver, error) {
			d, err := docker.New(ctx, docker.Config{SeedDir: seedDir, StateDir: stateDir, Instance: instance, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				return nil, err
			}
			return d, nil
		}
	}).ready()
	for _, l := range labs {
		t.Run(l.ID, func(t *testing.T) {
			w := *w
			w.t = t
			last := len(l.Steps) - 1
			w.finished(l, l.Steps[:last])
			began := time.Now()
			v := w.create(0, l.ID)
			v = w.await(v.ID, "its machine", isReady)
			made := time.Now()
			v = w.await(v.ID, "the last step", func(v session.View) bool {
				return v.Steps[last].State == session.Open || v.Replay != nil && v.Replay.Failed
			})
			t.Logf("machine after %.1f s, at step %d after %.1f s", made.Sub(began).Seconds(), last+1, time.Since(began).Seconds())
			if v.Replay != nil || v.Steps[last].State != session.Open {
				t.Errorf("replay %+v, steps %s", v.Replay, steps(v))
			}
			w.end(v.ID)
		})
	}
}

// finished stores that the first learner did the steps, in a session that has ended.
func (w *world) finished(l *lab.Lab, steps []*lab.Step) {
	w.t.Helper()
	ctx, now := w.t.Context(), time.Now()
	lease := leaseOf("old-" + l.ID)
	errs := []error{w.db.AddSession(ctx, store.Session{ID: lease.Session, Owner: owner, Learner: w.learners[0], Lab: l.ID, Lang: "en", Created: now, Expires: now}, time.Hour)}
	for _, st := range steps {
		errs = append(errs, w.db.OpenStep(ctx, lease, st.Anchor, now), w.db.FinishStep(ctx, lease, st.Anchor, now, nil))
	}
	errs = append(errs, w.db.SetState(ctx, lease, string(session.Ended), "", "", now))
	for _, err := range errs {
		if err != nil {
			w.t.Fatal(err)
		}
	}
}
