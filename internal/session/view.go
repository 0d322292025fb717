package session

import (
	"context"
	"maps"
	"slices"

	"github.com/labd-dev/labd/internal/fault"
)

func (s *session) view() View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.viewLocked()
}

// viewLocked returns a snapshot. s.mu is held.
func (s *session) viewLocked() View {
	v := View{
		ID: s.id, Lab: s.lab.ID, Lang: s.lang,
		State: s.life, Engine: EngineReady, Error: s.failure,
		Created: s.created, Expires: s.expires, Warn: s.expires.Add(-s.m.cfg.Limits.WarnBefore),
		Terminals: slices.Clone(s.shells.list),
		Variables: maps.Clone(s.vars),
	}
	for _, n := range s.stack.nodes {
		v.Nodes = append(v.Nodes, n.view())
	}
	s.sumUp(&v)
	v.Steps, v.Replay = s.guide.Views()
	if !s.alive() {
		v.Replay = nil
	}
	return v
}

// sumUp sets State, Engine and Notice of v from its nodes and the stack. The worst node counts.
func (s *session) sumUp(v *View) {
	for _, n := range v.Nodes {
		if n.Engine == EngineDown || n.Engine == EngineStarting && v.Engine == EngineReady {
			v.Engine = n.Engine
		}
		if n.Notice != "" {
			v.Notice = n.Notice
		}
	}
	if s.life != Ready {
		if s.life == Creating || len(v.Nodes) == 0 {
			v.Engine = EngineStarting
		}
		return
	}
	switch {
	case s.stack.state == stackMaking, s.reset != nil:
		v.State, v.Engine, v.Notice = Creating, EngineStarting, ""
	case s.stack.state == stackOpening, slices.ContainsFunc(v.Nodes, func(n NodeView) bool { return n.State == NodeDown }):
		v.State = Recovering
	}
	if len(v.Nodes) == 0 {
		v.Engine = EngineStarting
	}
}

// Subscription notifies of changes of a session. A slow subscriber misses intermediate views but never the newest one, and
// does not delay others.
type Subscription struct {
	s       *session
	changed chan struct{}
}

// Subscribe returns a Subscription to the learner's session. The caller must close it. Errors: NotFound, Gone, TooMany.
func (m *Manager) Subscribe(ctx context.Context, learner int64, id string) (*Subscription, error) {
	s, err := m.find(ctx, learner, id)
	if err != nil {
		return nil, err
	}
	sub := &Subscription{s: s, changed: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.subs) >= maxSubscribers {
		return nil, fault.New(fault.TooMany, "This session is open in too many pages. Close some of them.", nil).Detailed("too_many_pages")
	}
	s.subs[sub] = struct{}{}
	return sub, nil
}

// Changed receives a token when the view has changed.
func (sub *Subscription) Changed() <-chan struct{} { return sub.changed }

// Gone is closed when the view won't change any more: nothing is left of the session, or another labd owns it.
func (sub *Subscription) Gone() <-chan struct{} { return sub.s.finished }

// View returns the present view.
func (sub *Subscription) View() View { return sub.s.view() }

// Close ends the subscription.
func (sub *Subscription) Close() {
	sub.s.mu.Lock()
	defer sub.s.mu.Unlock()
	delete(sub.s.subs, sub)
}

// publish notifies all subscribers that the view has changed. s.mu is held.
func (s *session) publish() {
	for sub := range s.subs {
		signal(sub.changed)
	}
}
