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

// replay is the replay of finished steps on a new stack: for each step that the learner finished on an earlier stack, the
// setup and the solution run again, and the check must pass. Guarded by session.mu.
type replay struct {
	to     string // anchor of the last step to be replayed
	total  int    // steps to be replayed
	next   string // anchor of the step after it, where the learner continues; "" if it is the last one
	failed string // anchor of the step whose replay failed, where the learner continues instead; "" if none failed
}

// newReplay returns the replay of the steps up to the one with the anchor to. It returns nil if to is no step of the lab.
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

// view returns the progress of the replay. list are the session's steps.
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

// reached returns the anchor of the last step that is to be replayed in a new session: the last of the steps that the
// learner finished without a gap. It returns "" if there is none, and also if all steps are finished: then the learner
// wants to do the lab again.
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

// replaySteps runs the session's replay, if it has one. If a step fails, it stops and leaves that step open.
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
		return // after a restart, labd continues with it
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

// replayStep runs the setup and the solution of one step, and waits until its check passes.
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

// firstFailure describes the first finding that is not as expected, for the log.
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

// settle returns how long a check may take to pass after a solution.
func (m *Manager) settle() time.Duration {
	if m.cfg.Settle > 0 {
		return m.cfg.Settle
	}
	return labrun.Settle
}

// resetRequest is a request for a new stack.
type resetRequest struct {
	replayTo string // anchor of the last step to be replayed on it, "" for none
}

// errReset is the cause of a stack's context if the session gets another stack.
var errReset = errors.New("the learner asked for a new machine")

// Reset replaces the session's stack by a new one. Unless startOver is set, the steps that are done in this session are
// replayed on it. Reset returns at once, with a View in state Creating.
//
// Errors: NotFound, Gone, NodeDown (labd is connecting to the stack), Conflict (a stack is being created already).
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
		s.reset.replayTo = s.replay.to // the present replay is not finished
	default:
		s.reset.replayTo = s.steps.doneUntil()
	}
	s.stack.stop(errReset)
	s.publish()
	return s.viewLocked(), nil
}
