package session

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/labd-dev/labd/internal/steps"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
)

// newGuide returns a guide through the session's steps on a new stack.
func (s *session) newGuide(replayTo string) *steps.Guide {
	return steps.New(steps.Config{
		Lab: s.lab, Vars: s.vars, Lang: s.lang, ReplayTo: replayTo,
		Check: s.m.cfg.Check, Store: recorder{s}, Settle: s.m.cfg.Settle,
		Log:          s.m.log.With("session", s.id, "lab", s.lab.ID),
		Acquire:      s.m.acquireCheck,
		EnginesReady: s.enginesReady,
		Changed: func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.publish()
		},
	})
}

// acquireCheck waits until one more check may run.
func (m *Manager) acquireCheck(ctx context.Context) (release func(), err error) {
	select {
	case m.checking <- struct{}{}:
		return func() { <-m.checking }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// enginesReady reports whether the engines of all nodes answer.
func (s *session) enginesReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.stack.nodes {
		if n.state != NodeUp || n.engine != EngineReady {
			return false
		}
	}
	return true
}

// recorder stores what the guide reports.
type recorder struct{ s *session }

func (r recorder) OpenStep(anchor string, at time.Time) error {
	return r.s.persist(func(ctx context.Context) error { return r.s.m.cfg.Store.OpenStep(ctx, r.s.lease, anchor, at) })
}

func (r recorder) FinishStep(anchor string, at time.Time, facts map[string]json.RawMessage) error {
	return r.s.persist(func(ctx context.Context) error { return r.s.m.cfg.Store.FinishStep(ctx, r.s.lease, anchor, at, facts) })
}

func (r recorder) SetReplayTo(anchor string) error {
	return r.s.persist(func(ctx context.Context) error { return r.s.m.cfg.Store.SetReplayTo(ctx, r.s.lease, anchor) })
}

// Check checks the open step now. Errors: NotFound (also: no such step), Gone, Conflict (not open, not ready), NodeDown.
func (m *Manager) Check(ctx context.Context, learner int64, id, anchor string) (StepView, error) {
	s, err := m.find(ctx, learner, id)
	if err != nil {
		return StepView{}, err
	}
	guide, st, err := s.checkable(anchor)
	if err != nil {
		return StepView{}, err
	}
	// Nobody answers any more when the stack is given up.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(st.ctx, func() { cancel(s.overFault(st)) })()
	v, err := guide.Check(ctx, anchor)
	if errors.Is(err, sandbox.ErrNodeDown) || errors.Is(err, sandbox.ErrUnavailable) {
		err = errNodeDown.Because(err)
	}
	return v, err
}

// checkable returns the guide and the stack that a check of the step uses, if all nodes that it needs are up.
func (s *session) checkable(anchor string) (*steps.Guide, *stack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	needs, err := s.guide.Needs(anchor)
	if err != nil {
		return nil, nil, err
	}
	if err := s.stackUsable(); err != nil {
		return nil, nil, err
	}
	for _, name := range needs {
		if n := s.stack.node(name); n != nil && n.state == NodeDown {
			return nil, nil, errNodeDown
		}
	}
	return s.guide, s.stack, nil
}

// overFault returns why a stack was given up.
func (s *session) overFault(st *stack) error {
	switch {
	case s.m.ctx.Err() != nil:
		return errStopping
	case errors.Is(context.Cause(st.ctx), errReset):
		return errCreating
	case errors.Is(context.Cause(st.ctx), store.ErrLeaseLost):
		return errElsewhere
	}
	return errGone
}

// replayTo returns the anchor of the last step that a new session of the learner replays, "" for none.
func (m *Manager) replayTo(ctx context.Context, s *session) (string, error) {
	progress, err := m.cfg.Store.Progress(ctx, s.learner)
	if err != nil {
		return "", err
	}
	finished := map[string]bool{}
	for _, p := range progress {
		if p.Lab == s.lab.ID {
			finished[p.Anchor] = true
		}
	}
	return steps.Reached(s.lab, finished), nil
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
	s.reset = &resetRequest{}
	if !startOver {
		s.reset.replayTo = s.guide.ReplayTo()
	}
	s.stack.stop(errReset)
	s.publish()
	return s.viewLocked(), nil
}
