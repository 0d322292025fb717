package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labrun"
	"github.com/labd-dev/labd/sandbox"
)

// stack is one stack of a session. A session has one at a time; a reset replaces it. Its fields are guarded by session.mu
// except those that never change.
type stack struct {
	id  string // of the stack: it is not the session's
	ctx context.Context
	// stop ends what runs on the stack: watchers and steps. The cause says why.
	stop context.CancelCauseFunc

	state stackState
	conn  sandbox.Stack // nil unless state is stackUp
	nodes []*node
}

// newStack is a stack that is not made yet.
func (s *session) newStack(id string, state stackState) *stack {
	st := &stack{id: id, state: state}
	st.ctx, st.stop = context.WithCancelCause(s.ctx)
	for _, name := range s.lab.Stack.Nodes {
		st.nodes = append(st.nodes, newNode(name))
	}
	return st
}

// node returns the node's entry; "" is the first. It is nil if there is none.
func (st *stack) node(name string) *node {
	for _, n := range st.nodes {
		if name == "" || n.name == name {
			return n
		}
	}
	return nil
}

// connect notes that the stack can be used.
func (st *stack) connect(conn sandbox.Stack) {
	if !stackMoves.move(&st.state, stackUp) {
		return
	}
	st.conn = conn
	for _, c := range conn.Nodes() {
		if n := st.node(c.Name()); n != nil {
			n.conn = c
			continue
		}
		// A stack that was made for an earlier version of the lab may have other nodes.
		n := newNode(c.Name())
		n.conn = c
		st.nodes = append(st.nodes, n)
	}
}

// disconnect notes that the stack can't be used any more, and returns the connection to close, if any.
func (st *stack) disconnect() sandbox.Stack {
	conn := st.conn
	stackMoves.move(&st.state, stackDown)
	st.conn = nil
	return conn
}

// bringUp makes the session's stack, or connects to the one that an earlier run of labd made.
func (s *session) bringUp() error {
	s.mu.Lock()
	st := s.stack
	making := st.state == stackMaking
	expires := s.expires
	s.mu.Unlock()
	ctx, cancel := context.WithDeadlineCause(st.ctx, expires, errExpired)
	defer cancel()
	open := s.reopenStack
	if making {
		open = s.makeStack
	}
	conn, err := open(ctx, st)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	st.connect(conn)
	lifeMoves.move(&s.life, Ready)
	s.publish()
	s.mu.Unlock()
	return s.persist(func(ctx context.Context) error {
		return s.m.cfg.Store.SetState(ctx, s.lease, string(Ready), "", "", time.Time{})
	})
}

// makeStack makes a stack and hands it over to the learner: until then it is like any other stack of the lab.
func (s *session) makeStack(ctx context.Context, st *stack) (sandbox.Stack, error) {
	select {
	case s.m.starting <- struct{}{}:
		defer func() { <-s.m.starting }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	driver, err := s.m.waitDriver(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	conn, err := driver.Create(ctx, s.spec(st.id))
	if err != nil {
		s.m.lookNow()
		return nil, createFault(err)
	}
	if err := s.handOver(ctx, conn); err != nil {
		s.close(conn)
		return nil, createFault(err)
	}
	return conn, nil
}

// handOver makes a stack this learner's: its shells and scripts get the session's variables.
func (s *session) handOver(ctx context.Context, conn sandbox.Stack) error {
	for _, n := range conn.Nodes() {
		if err := n.SetEnv(ctx, lab.Env(s.vars)); err != nil {
			return fmt.Errorf("hand over node %s: %w", n.Name(), err)
		}
	}
	return nil
}

// spec describes a stack of the lab. It says nothing of the learner.
func (s *session) spec(id string) sandbox.Spec {
	spec := labrun.Spec(s.lab, id, nil, map[string]string{"lab": s.lab.ID})
	spec.Internet = spec.Internet && s.m.cfg.Internet
	for i := range spec.Nodes {
		spec.Nodes[i].Limits = capped(spec.Nodes[i].Limits, s.m.cfg.Limits.Node)
	}
	return spec
}

// capped returns what the lab wants, within what the operator allows.
func capped(want, most sandbox.Limits) sandbox.Limits {
	return sandbox.Limits{
		MemoryBytes: atMost(want.MemoryBytes, most.MemoryBytes),
		CPUs:        atMost(want.CPUs, most.CPUs),
		PIDs:        atMost(want.PIDs, most.PIDs),
		DiskBytes:   atMost(want.DiskBytes, most.DiskBytes),
	}
}

func atMost[T int64 | float64](want, most T) T {
	if want == 0 || most != 0 && want > most {
		return most
	}
	return want
}

// createFault says what a failed Create means to the learner.
func createFault(err error) error {
	switch {
	case errors.Is(err, sandbox.ErrCapacity):
		return fault.New(fault.Full, "This server has no room for another lab right now. Please try again when somebody has finished.", err).Detailed("no_room")
	case errors.Is(err, sandbox.ErrImageMissing):
		return fault.New(fault.LabsOff, "This lab needs an image that this server has not built. Please tell your instructor: `labd images build` makes it.", err).Detailed("image_missing")
	case errors.Is(err, sandbox.ErrUnavailable):
		return fault.New(fault.LabsOff, "The container engine of this server stopped answering. Please try again in a moment.", err).Detailed("engine_away")
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Internal, "Starting the lab took too long, probably because the server is very busy. Please try again.", err).Detailed("start_timeout")
	}
	return fault.New(fault.Internal, "The lab could not be started. Please try again; if it stays, tell your instructor.", err).Detailed("start_failed")
}

var errNoStack = fault.New(fault.Internal, "The machine of this lab is no longer there. Please start the lab again.", nil).Detailed("no_stack")

// reopenStack connects to the stack of a session that an earlier run of labd left. It waits for the engine as long as the
// session has time.
func (s *session) reopenStack(ctx context.Context, st *stack) (sandbox.Stack, error) {
	switch State(s.found.State) {
	case Ending:
		return nil, errEnded
	case Creating:
		return nil, fault.New(fault.Internal, "labd was restarted while this lab was being started. Please start it again.", nil).Detailed("start_interrupted")
	case Failed:
		return nil, s.failure
	}
	if len(s.lab.Steps) == 0 {
		return nil, fault.New(fault.Internal, "This lab is no longer offered.", nil).Detailed("lab_removed")
	}
	driver, err := s.m.waitDriver(ctx)
	if err != nil {
		return nil, err
	}
	for wait := backoff(0); ; {
		conn, err := driver.Open(ctx, st.id)
		if err == nil {
			s.findShells(ctx, conn)
			return conn, nil
		}
		if errors.Is(err, sandbox.ErrNotFound) {
			return nil, errNoStack.Because(err)
		}
		s.m.log.Warn("a session's stack can't be opened yet", "session", s.id, "stack", st.id, "err", err)
		if err := wait.sleep(ctx); err != nil {
			return nil, err
		}
	}
}

// close closes the connection to a stack; nil is none.
func (s *session) close(conn sandbox.Stack) {
	if conn == nil {
		return
	}
	if err := conn.Close(); err != nil {
		s.m.log.Warn("a stack was not closed cleanly", "session", s.id, "stack", conn.ID(), "err", err)
	}
}

// replaceStack throws the stack away for a new one, after the learner asked for a reset. What is left of the old stack, if
// it can't be destroyed now, is found and destroyed by the sweep, because no session knows it any more.
func (s *session) replaceStack(r resetRequest) error {
	next := s.newStack(sandbox.NewID(), stackMaking)
	err := s.persist(func(ctx context.Context) error { return s.m.cfg.Store.Restart(ctx, s.lease, next.id, r.replayTo) })
	if err != nil {
		return fmt.Errorf("store a reset: %w", err)
	}
	s.mu.Lock()
	old := s.stack
	conn := old.disconnect()
	s.stack = next
	s.shells.clear()
	s.steps = newSteps(s.lab)
	s.facts = nil
	s.replay = newReplay(s.lab, r.replayTo)
	s.publish()
	s.mu.Unlock()
	s.cutAll("", errReplacing)
	s.close(conn)
	driver, err := s.m.waitDriver(s.ctx)
	if err != nil {
		return err
	}
	if err := s.m.destroy(driver, old.id); err != nil {
		s.m.log.Warn("a stack that was replaced could not be destroyed yet", "session", s.id, "stack", old.id, "err", err)
	}
	return nil
}
