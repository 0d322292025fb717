package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/sandbox"
)

var (
	errNodeDown   = fault.New(fault.NodeDown, "The machine of this lab stopped and is being restarted. Please wait a moment.", nil)
	errReplacing  = fault.New(fault.NodeDown, "The machine of this lab is being replaced by a new one. Please wait a moment.", nil).Detailed("replacing")
	errCreating   = fault.New(fault.Conflict, "The lab is still being started. Please wait a moment.", nil).Detailed("creating")
	errNoNode     = fault.New(fault.NotFound, "This lab has no such machine.", nil).Detailed("no_node")
	errNoTerminal = fault.New(fault.NotFound, "There is no such terminal.", nil).Detailed("no_terminal")
	errBadID      = fault.New(fault.Invalid, "A terminal's id is 1 to 40 of a-z, 0-9 and -.", nil).Detailed("terminal_id")
)

// MaxCells is the maximum width and height of a terminal.
const MaxCells = 1000

// shells are the shells of a session, and the connections to them. Guarded by session.mu.
type shells struct {
	list  []TerminalView
	conns map[*Terminal]struct{}
}

func newShells() shells { return shells{conns: map[*Terminal]struct{}{}} }

func (sh *shells) find(id string) (TerminalView, bool) {
	for _, t := range sh.list {
		if t.ID == id {
			return t, true
		}
	}
	return TerminalView{}, false
}

// forget removes a shell from the list. It returns false if the shell is not in it.
func (sh *shells) forget(node, id string) bool {
	before := len(sh.list)
	sh.list = slices.DeleteFunc(sh.list, func(t TerminalView) bool { return t.Node == node && t.ID == id })
	return len(sh.list) != before
}

func (sh *shells) forgetNode(node string) {
	sh.list = slices.DeleteFunc(sh.list, func(t TerminalView) bool { return t.Node == node })
}

func (sh *shells) clear() { sh.list = nil }

// connected returns the connections to a node's shells, or all of them if node is "".
func (sh *shells) connected(node string) []*Terminal {
	var list []*Terminal
	for t := range sh.conns {
		if node == "" || t.node == node {
			list = append(list, t)
		}
	}
	return list
}

// Terminal is a connection to a shell of a session. The session closes it when the shell can't be reached any more. Read and
// Write then fail, and Cause returns the reason.
type Terminal struct {
	sandbox.Attachment
	s    *session
	node string
	id   string

	mu    sync.Mutex
	state connState // guarded by mu
	cause error     // why the session closed it; nil if its user closed it; guarded by mu
}

// Cause returns why the session closed the connection, or nil.
func (t *Terminal) Cause() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cause
}

// Read reads output. It returns io.EOF when the shell has ended.
func (t *Terminal) Read(p []byte) (int, error) {
	n, err := t.Attachment.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	t.mu.Lock()
	open, cause := t.state == connOpen, t.cause
	t.mu.Unlock()
	switch {
	case cause != nil:
		return n, cause
	case open:
		t.s.forgetShell(t.node, t.id)
	}
	return n, err
}

// Close closes the connection. The shell keeps running.
func (t *Terminal) Close() error {
	t.s.mu.Lock()
	delete(t.s.shells.conns, t)
	t.s.mu.Unlock()
	t.end(nil)
	return t.Attachment.Close()
}

// end records the cause of the first call: nil if the user closes the connection, otherwise the session's reason.
func (t *Terminal) end(cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if connMoves.move(&t.state, connClosed) {
		t.cause = cause
	}
}

// closeTerminals closes the connections to a node's shells, or all of them if node is "". Their users then get an error from
// Read, and call Close.
func (s *session) closeTerminals(node string, cause error) {
	s.mu.Lock()
	conns := s.shells.connected(node)
	s.mu.Unlock()
	for _, t := range conns {
		t.end(cause)
		_ = t.Attachment.Close()
	}
}

// stackUsable returns nil if the session's stack can be used. s.mu is held.
func (s *session) stackUsable() error {
	switch {
	case s.life == Creating:
		return errCreating
	case s.life != Ready:
		return errGone
	}
	switch s.stack.state {
	case stackUp:
		if s.reset != nil {
			return errCreating
		}
		return nil
	case stackOpening:
		return errNodeDown
	}
	return errCreating
}

// usable returns the node with that name, or the first one if name is "", if it can be used now. s.mu is held.
func (s *session) usable(name string) (*node, error) {
	if err := s.stackUsable(); err != nil {
		return nil, err
	}
	n := s.stack.node(name)
	switch {
	case n == nil || n.conn == nil:
		return nil, errNoNode
	case n.state == NodeDown:
		return nil, errNodeDown
	}
	return n, nil
}

// OpenTerminal starts a shell with that id on a node, or on the first node if node is "". If the shell runs already, it does
// nothing. It returns the name of the shell's node. Errors: NotFound, Gone, Conflict, NodeDown, Invalid, TooMany.
func (m *Manager) OpenTerminal(ctx context.Context, learner int64, session, id, node string, size sandbox.Size) (string, error) {
	s, err := m.find(ctx, learner, session)
	if err != nil {
		return "", err
	}
	if sandbox.CheckTerminalID(id) != nil {
		return "", errBadID
	}
	if err := checkSize(size); err != nil {
		return "", err
	}
	n, known, err := s.reserveShell(id, node)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, shellTimeout)
	defer cancel()
	if err := n.OpenTerminal(ctx, sandbox.TerminalSpec{ID: id, Size: size}); err != nil {
		if !known {
			s.forgetShell(n.Name(), id)
		}
		return "", s.nodeFault(n.Name(), err)
	}
	return n.Name(), nil
}

// reserveShell adds the shell to the session's list, if the limit allows it. known is true if it was in the list already.
func (s *session) reserveShell(id, name string) (conn sandbox.Node, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.usable(name)
	if err != nil {
		return nil, false, err
	}
	if t, ok := s.shells.find(id); ok {
		if t.Node != n.name {
			return nil, false, fault.New(fault.Conflict, "A terminal of this name runs on another machine of the lab.", nil).Detailed("terminal_elsewhere")
		}
		return n.conn, true, nil
	}
	if limit := s.m.cfg.Limits.ShellsPerSession; len(s.shells.list) >= limit {
		return nil, false, fault.New(fault.TooMany, fmt.Sprintf("%d terminals are open, which is all that one session can have. Close one of them first.", limit), nil).Detailed("terminals_limit")
	}
	s.shells.list = append(s.shells.list, TerminalView{ID: id, Node: n.name})
	s.publish()
	return n.conn, false, nil
}

func checkSize(size sandbox.Size) error {
	if size.Cols < 1 || size.Rows < 1 || size.Cols > MaxCells || size.Rows > MaxCells {
		return fault.New(fault.Invalid, fmt.Sprintf("A terminal has 1 to %d columns and rows.", MaxCells), nil).Detailed("terminal_size")
	}
	return nil
}

// nodeFault returns the fault that tells the learner what an error of a node means.
func (s *session) nodeFault(node string, err error) error {
	switch {
	case errors.Is(err, sandbox.ErrNotFound):
		return errNoTerminal
	case errors.Is(err, sandbox.ErrCapacity):
		return fault.New(fault.TooMany, "This machine can't have more terminals. Close one of them first.", err).Detailed("node_terminals_limit")
	case errors.Is(err, sandbox.ErrNodeDown), errors.Is(err, sandbox.ErrUnavailable):
		return errNodeDown.Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.NodeDown, "The machine of this lab is too busy to answer. Please try again in a moment.", err).Detailed("node_busy")
	}
	return fmt.Errorf("node %s of session %s: %w", node, s.id, err)
}

// Attach connects to a shell. from is the sequence number of the first output byte wanted, -1 for all output that is kept. A
// zero size leaves the size of the terminal unchanged. The caller must close the Terminal. Errors: as OpenTerminal.
func (m *Manager) Attach(ctx context.Context, learner int64, session, id string, from int64, size sandbox.Size) (*Terminal, error) {
	s, err := m.find(ctx, learner, session)
	if err != nil {
		return nil, err
	}
	if size != (sandbox.Size{}) {
		if err := checkSize(size); err != nil {
			return nil, err
		}
	}
	n, err := s.shellNode(id)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, shellTimeout)
	defer cancel()
	att, err := n.Attach(ctx, id, from, size)
	if err != nil {
		if errors.Is(err, sandbox.ErrNotFound) {
			s.forgetShell(n.Name(), id)
		}
		return nil, s.nodeFault(n.Name(), err)
	}
	t := &Terminal{Attachment: att, s: s, node: n.Name(), id: id, state: connOpen}
	if err := s.addConn(t, n); err != nil {
		_ = att.Close()
		return nil, err
	}
	return t, nil
}

// addConn adds a connection to the session's list, if its node can still be used and the limit allows it.
func (s *session) addConn(t *Terminal, conn sandbox.Node) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.usable(t.node)
	switch {
	case err != nil:
		return err
	case n.conn != conn: // the stack was replaced in the meantime
		return errReplacing
	case len(s.shells.conns) >= maxAttached*s.m.cfg.Limits.ShellsPerSession:
		return fault.New(fault.TooMany, "The terminals of this session are open in too many pages. Close some of them.", nil).Detailed("too_many_connections")
	case s.m.ctx.Err() != nil:
		return errStopping
	}
	s.shells.conns[t] = struct{}{}
	return nil
}

// shellNode returns the node on which the shell runs.
func (s *session) shellNode(id string) (sandbox.Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stackUsable(); err != nil {
		return nil, err
	}
	t, ok := s.shells.find(id)
	if !ok {
		// A node that is down may have lost its shells. NodeDown tells the page to wait for it.
		if slices.ContainsFunc(s.stack.nodes, func(n *node) bool { return n.state == NodeDown }) {
			return nil, errNodeDown
		}
		return nil, errNoTerminal
	}
	n, err := s.usable(t.Node)
	if err != nil {
		return nil, err
	}
	return n.conn, nil
}

// CloseTerminal ends a shell. It is no error if the shell does not run. Errors: as OpenTerminal.
func (m *Manager) CloseTerminal(ctx context.Context, learner int64, session, id string) error {
	s, err := m.find(ctx, learner, session)
	if err != nil {
		return err
	}
	if sandbox.CheckTerminalID(id) != nil {
		return errBadID
	}
	n, err := s.shellNode(id)
	if err == errNoTerminal {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, shellTimeout)
	defer cancel()
	if err := n.CloseTerminal(ctx, id); err != nil {
		return s.nodeFault(n.Name(), err)
	}
	s.forgetShell(n.Name(), id)
	return nil
}

func (s *session) forgetShell(node, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shells.forget(node, id) {
		s.publish()
	}
}

// findShells sets the list of shells to those that run in the stack.
func (s *session) findShells(ctx context.Context, stack sandbox.Stack) {
	ctx, cancel := context.WithTimeout(ctx, shellTimeout)
	defer cancel()
	var found []TerminalView
	for _, n := range stack.Nodes() {
		ids, err := n.Terminals(ctx)
		if err != nil {
			s.m.log.Warn("a node's shells can't be listed", "session", s.id, "node", n.Name(), "err", err)
			continue
		}
		for _, id := range ids {
			if sandbox.CheckTerminalID(id) == nil && len(found) < s.m.cfg.Limits.ShellsPerSession {
				found = append(found, TerminalView{ID: id, Node: n.Name()})
			}
		}
	}
	s.mu.Lock()
	s.shells.list = found
	s.mu.Unlock()
}
