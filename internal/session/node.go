package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/sandbox"
)

const (
	firstWait   = 500 * time.Millisecond // before the second attempt at something
	longestWait = 10 * time.Second
	settled     = time.Minute     // a node that was up so long starts with a short wait again
	unanswering = 2 * time.Minute // a node that is up and silent so long is restarted
)

// backoff is how many attempts failed in a row.
type backoff int

// sleep waits longer each time, a little different for each session, so they don't all come at once.
func (b *backoff) sleep(ctx context.Context) error {
	wait := min(firstWait<<min(int(*b), 10), longestWait)
	*b++
	timer := time.NewTimer(wait/2 + rand.N(wait))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watch follows one node's events until the session ends, and brings the node back when it goes down.
func (s *session) watch(n sandbox.Node) error {
	var wait backoff
	var silent time.Time // since when the node does not answer
	for s.work.Err() == nil {
		events, err := n.Watch(s.work)
		up := time.Now()
		if err == nil {
			silent = time.Time{}
			s.nodeIsUp(n)
			for ev := range events {
				s.event(n, ev)
			}
		}
		if s.work.Err() != nil {
			return nil
		}
		if err == nil && time.Since(up) >= settled {
			wait = 0
		}
		if wait > 0 {
			if wait.sleep(s.work) != nil {
				return nil
			}
		} else {
			wait++
		}
		if err := s.mend(n, &silent); err != nil {
			return err
		}
	}
	return nil
}

// mend finds out why a watch ended, and does what helps. An error ends the session.
func (s *session) mend(n sandbox.Node, silent *time.Time) error {
	err := s.ping(n)
	var down *sandbox.NodeDownError
	switch {
	case s.work.Err() != nil:
		return nil
	case err == nil:
		return nil // only the connection broke
	case errors.Is(err, sandbox.ErrNotFound):
		return fault.New(fault.Internal, "The machine of this lab is no longer there. Please start the lab again.", err)
	case errors.As(err, &down):
		s.nodeIsDown(n, string(down.Reason))
	case errors.Is(err, sandbox.ErrNodeDown):
		s.nodeIsDown(n, string(sandbox.DownEnded))
	default:
		// The engine is away, or the node is too busy to answer: both may pass by themselves.
		s.nodeIsDown(n, "")
		s.m.lookNow()
		s.m.log.Warn("a node does not answer", "session", s.id, "node", n.Name(), "err", err)
		if silent.IsZero() {
			*silent = time.Now()
		}
		if errors.Is(err, sandbox.ErrUnavailable) || time.Since(*silent) < unanswering {
			return nil
		}
	}
	*silent = time.Time{}
	s.m.log.Info("a node is brought back", "session", s.id, "node", n.Name(), "err", err)
	ctx, cancel := context.WithTimeout(s.work, restartTimeout)
	defer cancel()
	err = n.Restart(ctx)
	switch {
	case s.work.Err() != nil:
	case errors.Is(err, sandbox.ErrNotFound):
		return fault.New(fault.Internal, "The machine of this lab is no longer there. Please start the lab again.", err)
	case err != nil:
		s.m.lookNow()
		s.m.log.Warn("a node could not be brought back yet", "session", s.id, "node", n.Name(), "err", err)
	default:
		s.forgetShells(n.Name())
	}
	return nil
}

// ping asks the node for something small.
func (s *session) ping(n sandbox.Node) error {
	ctx, cancel := context.WithTimeout(s.work, pingTimeout)
	defer cancel()
	_, err := n.Terminals(ctx)
	if err != nil {
		return fmt.Errorf("ping node %s: %w", n.Name(), err)
	}
	return nil
}

func (s *session) event(n sandbox.Node, ev sandbox.Event) {
	switch ev.Kind {
	case sandbox.EngineUp:
		s.setEngine(n.Name(), EngineReady)
	case sandbox.EngineDown:
		s.setEngine(n.Name(), EngineDown)
	case sandbox.EngineChange, sandbox.ShellPrompt:
	default:
		return
	}
	signal(s.kick)
}

func (s *session) setEngine(name string, state EngineState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nd := s.node(name)
	if state == EngineDown && nd.engine == EngineStarting {
		return // it is not up yet
	}
	if nd.engine != state {
		nd.engine = state
		s.publish()
	}
}

// node returns the node's entry. s.mu is held.
func (s *session) node(name string) *node {
	for _, nd := range s.nodes {
		if nd.name == name {
			return nd
		}
	}
	// A stack of an earlier version of the lab may have other nodes.
	nd := &node{name: name, engine: EngineStarting}
	s.nodes = append(s.nodes, nd)
	return nd
}

func (s *session) nodeIsUp(n sandbox.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nd := s.node(n.Name())
	if !nd.down && s.state != Recovering {
		return
	}
	nd.down = false
	for _, other := range s.nodes {
		if other.down {
			return
		}
	}
	if s.state == Recovering {
		s.state = Ready
		s.publish()
	}
	signal(s.kick)
}

// nodeIsDown makes the session recovering. reason is "" where the node itself may be well.
func (s *session) nodeIsDown(n sandbox.Node, reason string) {
	s.mu.Lock()
	nd := s.node(n.Name())
	if !s.livesLocked() {
		s.mu.Unlock()
		return
	}
	nd.down, nd.engine = true, EngineStarting
	s.state = Recovering
	if reason != "" {
		s.notice = reason
	}
	s.publish()
	s.mu.Unlock()
	s.cutAll(n.Name(), errNodeDown)
}
