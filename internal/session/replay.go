package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labrun"
	"github.com/labd-dev/labd/internal/store"
)

// replay brings a new machine to where its learner was: the setup and solution of each step that they finished on an
// earlier machine run again, and each step's check must pass. Guarded by session.mu.
type replay struct {
	to     string // anchor of the last step to be replayed
	total  int    // steps to be replayed
	next   string // anchor of the step that the learner goes on with, "" if all are done
	failed string // anchor of the step whose replay failed: the learner goes on there; "" if none did
}

// newReplay returns nil if there is nothing to replay: to is "" or no step of the lab.
func newReplay(l *lab.Lab, to string) *replay {
	i := slices.IndexFunc(l.Steps, func(st *lab.Step) bool { return to != "" && st.Anchor == to })
	if i < 0 {
		return nil
	}
	r := &replay{to: to, total: i + 1}
	if i+1 < len(l.Steps) {
		r.next = l.Steps[i+1].Anchor
	}
	return r
}

// view returns the replay as others see it; list is the session's steps.
func (r *replay) view(list steps) *ReplayView {
	v := &ReplayView{Total: r.total, To: r.next, Failed: r.failed != "", Step: r.failed}
	for _, st := range list[:min(r.total, len(list))] {
		if st.state == Done {
			v.Done++
		} else if v.Step == "" {
			v.Step = st.def.Anchor
		}
	}
	return v
}

// reached returns up to which step a learner finished a lab, without a gap: "" if the first step is missing, and also if
// all are done, because then the lab is done anew.
func reached(l *lab.Lab, progress []store.Progress) string {
	done := map[string]bool{}
	for _, p := range progress {
		done[p.Anchor] = done[p.Anchor] || p.Lab == l.ID
	}
	last := ""
	for _, st := range l.Steps {
		if !done[st.Anchor] {
			return last
		}
		last = st.Anchor
	}
	return ""
}

// replaySteps replays what is to be replayed, before the learner goes on. A step that fails is left as it is: the
// learner goes on there.
func (g *guide) replaySteps() {
	s := g.s
	s.mu.Lock()
	r := s.replay
	s.mu.Unlock()
	if r == nil {
		return
	}
	err := g.answering(func() error {
		ctx, cancel := context.WithTimeout(g.ctx, engineTimeout)
		defer cancel()
		if err := labrun.AwaitEngines(ctx, g.nodes); err != nil {
			return err
		}
		for i := range min(r.total, len(s.steps)) {
			if s.isDone(i) {
				continue
			}
			if err := g.replayStep(i); err != nil {
				return err
			}
		}
		return nil
	})
	if g.ctx.Err() != nil {
		return // the next run of labd goes on with it
	}
	s.mu.Lock()
	if err != nil {
		r.failed = r.view(s.steps).Step
	} else {
		s.replay = nil
	}
	failed := r.failed
	s.publish()
	s.mu.Unlock()
	if err != nil {
		s.m.log.Warn("a step could not be replayed", "session", s.id, "lab", s.lab.ID, "step", failed,
			"err", err, "output", labrun.OutputOf(err, maxScriptOutput))
	}
	if err := s.persist(func(ctx context.Context) error { return s.m.cfg.Store.SetReplayTo(ctx, s.lease, "") }); err != nil {
		s.m.log.Warn("the end of a replay could not be stored", "session", s.id, "err", err)
	}
}

// replayStep does one step as its author would. If its check passes already after the setup, nothing is left to do.
func (g *guide) replayStep(i int) error {
	s := g.s
	def := s.steps[i].def
	s.mu.Lock()
	locked := s.steps[i].state == Locked
	s.mu.Unlock()
	if locked {
		if err := g.prepare(i); err != nil {
			return err
		}
		g.markOpen(i)
	}
	err := labrun.Solve(g.ctx, def, g.nodes, s.vars, s.m.settle(), func(context.Context) (bool, error) {
		_, done, err := g.check(i)
		return done, err
	})
	if errors.Is(err, labrun.ErrNotSettled) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return fmt.Errorf("replay: %w: %s", err, firstFailure(s.steps[i].report))
	}
	return err
}

// firstFailure is what a report saw that was not as expected, for the log.
func firstFailure(r *check.Report) string {
	if r == nil {
		return "nothing"
	}
	if r.Wrong != nil {
		return r.Wrong.ID + ": " + r.Wrong.Saw
	}
	for _, f := range r.Findings {
		if !f.OK {
			return f.Kind + " " + f.Subject + ": " + f.Saw
		}
	}
	return "nothing"
}

// settle is how long a check may take to pass after a solution.
func (m *Manager) settle() time.Duration {
	if m.cfg.Settle > 0 {
		return m.cfg.Settle
	}
	return labrun.Settle
}

// resetRequest asks for a new stack.
type resetRequest struct {
	replayTo string // anchor of the last step to be replayed on it, "" for none
}

// errReset is the cause that ends what runs on a stack when the session gets another one.
var errReset = errors.New("the learner asked for a new machine")

// Reset throws the session's machine away and makes another one. Unless startOver is set, the steps that are done in the
// session are replayed on it. It returns at once, with the session in state Creating.
//
// Errors: NotFound, Gone, Conflict when a machine is being made already.
func (m *Manager) Reset(ctx context.Context, learner int64, id string, startOver bool) (View, error) {
	s, err := m.find(ctx, learner, id)
	if err != nil {
		return View{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stackUsable(); err != nil {
		return View{}, err
	}
	if s.reset != nil {
		return View{}, errCreating
	}
	s.reset = &resetRequest{}
	switch {
	case startOver:
	case s.replay != nil && s.replay.failed == "":
		s.reset.replayTo = s.replay.to // it was not finished
	default:
		s.reset.replayTo = s.steps.doneUntil()
	}
	s.stack.stop(errReset)
	s.publish()
	return s.viewLocked(), nil
}
