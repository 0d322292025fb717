package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labrun"
	"github.com/labd-dev/labd/internal/steps"
	"github.com/labd-dev/labd/sandbox"
)

// stack is a stack of a session. A session has one at a time, and a reset replaces it. session.mu guards the fields that
// change.
type stack struct {
	id  string // the ID of the stack, not of the session
	ctx context.Context
	// stop ends the goroutines that use the stack: watchers and guide. The cause is the reason.
	stop context.CancelCauseFunc

	state stackState
	conn  sandbox.Stack // nil unless state is stackUp
	nodes []*node
}

// newStack returns a stack that is not connected yet.
func (s *session) newStack(id string, state stackState) *stack {
	st := &stack{id: id, state: state}
	st.ctx, st.stop = context.WithCancelCause(s.ctx)
	for _, name := range s.lab.Stack.Nodes {
		st.nodes = append(st.nodes, newNode(name))
	}
	return st
}

// node returns the node with that name, or the first one if name is "". It returns nil if there is none.
func (st *stack) node(name string) *node {
	for _, n := range st.nodes {
		if name == "" || n.name == name {
			return n
		}
	}
	return nil
}

// connect sets the connection, and the stack is up.
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
		// The stack was created for an earlier version of the lab, which had other nodes.
		n := newNode(c.Name())
		n.conn = c
		st.nodes = append(st.nodes, n)
	}
}

// disconnect sets the stack down. It returns the connection, which the caller must close, or nil.
func (st *stack) disconnect() sandbox.Stack {
	conn := st.conn
	stackMoves.move(&st.state, stackDown)
	st.conn = nil
	return conn
}

// bringUp creates the session's stack, or connects to the one that an earlier run of labd created.
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

// makeStack creates a stack and hands it over to the learner.
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
		s.m.examineNow()
		return nil, createFault(err)
	}
	if err := s.handOver(ctx, conn); err != nil {
		s.close(conn)
		return nil, createFault(err)
	}
	return conn, nil
}

// handOver gives the session's variables to the shells and scripts of a stack. Before, the stack is like any other one of
// the same lab.
func (s *session) handOver(ctx context.Context, conn sandbox.Stack) error {
	for _, n := range conn.Nodes() {
		if err := n.SetEnv(ctx, lab.Env(s.vars)); err != nil {
			return fmt.Errorf("hand over node %s: %w", n.Name(), err)
		}
	}
	return nil
}

// spec returns the spec of a stack of the lab. It contains nothing about the learner.
func (s *session) spec(id string) sandbox.Spec {
	spec := labrun.Spec(s.lab, id, nil, map[string]string{"lab": s.lab.ID})
	spec.Internet = spec.Internet && s.m.cfg.Internet
	for i := range spec.Nodes {
		spec.Nodes[i].Limits = capped(spec.Nodes[i].Limits, s.m.cfg.Limits.Node)
	}
	return spec
}

// capped returns the limits that the lab asks for, reduced to those that the operator allows.
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

// createFault returns the fault that tells the learner why a stack could not be created.
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

// reopenStack connects to the stack that an earlier run of labd created. It waits for the engine until the session ends.
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
	for wait := steps.Backoff(0); ; {
		conn, err := driver.Open(ctx, st.id)
		if err == nil {
			s.findShells(ctx, conn)
			return conn, nil
		}
		if errors.Is(err, sandbox.ErrNotFound) {
			return nil, errNoStack.Because(err)
		}
		s.m.log.Warn("a session's stack can't be opened yet", "session", s.id, "stack", st.id, "err", err)
		if err := wait.Sleep(ctx); err != nil {
			return nil, err
		}
	}
}

// close closes the connection to a stack. conn may be nil.
func (s *session) close(conn sandbox.Stack) {
	if conn == nil {
		return
	}
	if err := conn.Close(); err != nil {
		s.m.log.Warn("a stack was not closed cleanly", "session", s.id, "stack", conn.ID(), "err", err)
	}
}

// replaceStack replaces the stack by a new one, which bringUp then creates. If the old stack can't be destroyed now, the
// sweep destroys it later, because it belongs to no session any more.
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
	s.reset = nil
	s.shells.clear()
	s.guide = s.newGuide(r.replayTo)
	s.publish()
	s.mu.Unlock()
	s.closeTerminals("", errReplacing)
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
