package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sync"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/sandbox"
)

var (
	errNodeDown   = fault.New(fault.NodeDown, "The machine of this lab stopped and is being brought back. Please wait a moment.", nil)
	errCreating   = fault.New(fault.Conflict, "The lab is still being started. Please wait a moment.", nil)
	errNoTerminal = fault.New(fault.NotFound, "There is no such terminal.", nil)
	errBadID      = fault.New(fault.Invalid, "A terminal's id is 1 to 40 of a-z, 0-9 and -.", nil)

	terminalID = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
)

// MaxCells bounds a terminal's width and height.
const MaxCells = 1000

// Terminal is one connection to a shell of a session. The session cuts it when the shell can't be reached any longer:
// Read and Write then fail, and Cause tells why.
type Terminal struct {
	sandbox.Attachment
	s    *session
	node string
	id   string

	mu    sync.Mutex
	cause error // guarded by mu
}

// errLeft is the cause of a Terminal that its user closed.
var errLeft = errors.New("the terminal was closed")

// Cause returns why the session cut the terminal, or nil.
func (t *Terminal) Cause() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cause == errLeft {
		return nil
	}
	return t.cause
}

// Read reads output. At io.EOF the shell has ended.
func (t *Terminal) Read(p []byte) (int, error) {
	n, err := t.Attachment.Read(p)
	if errors.Is(err, io.EOF) {
		t.mu.Lock()
		cause := t.cause
		t.mu.Unlock()
		if cause != nil {
			return n, cause
		}
		t.s.forgetShell(t.node, t.id)
	}
	return n, err
}

// Close leaves the shell, which goes on.
func (t *Terminal) Close() error {
	t.s.mu.Lock()
	delete(t.s.attached, t)
	t.s.mu.Unlock()
	t.setCause(errLeft)
	return t.Attachment.Close()
}

func (t *Terminal) setCause(cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cause == nil {
		t.cause = cause
	}
}

func (t *Terminal) cut(cause error) {
	t.setCause(cause)
	// Whoever uses the terminal sees its Read fail, and closes it properly.
	_ = t.Attachment.Close()
}

// cutAll cuts the terminals of a node, or of all nodes if name is "".
func (s *session) cutAll(name string, cause error) {
	s.mu.Lock()
	var cut []*Terminal
	for t := range s.attached {
		if name == "" || t.node == name {
			cut = append(cut, t)
		}
	}
	s.mu.Unlock()
	for _, t := range cut {
		t.cut(cause)
	}
}

// usable returns the node called name, "" for the first, if the session can be used now. s.mu is held.
func (s *session) usable(name string) (sandbox.Node, error) {
	switch s.state {
	case Creating:
		return nil, errCreating
	case Recovering:
		return nil, errNodeDown
	case Ready:
	default:
		return nil, errGone
	}
	for _, n := range s.stack.Nodes() {
		if name == "" || n.Name() == name {
			return n, nil
		}
	}
	return nil, fault.New(fault.NotFound, "This lab has no such machine.", nil)
}

// OpenTerminal starts a shell, or finds the one that runs under the id. Node "" is the first. It returns the shell's node.
// Errors: NotFound, Gone, Conflict, NodeDown, Invalid, TooMany.
func (m *Manager) OpenTerminal(ctx context.Context, learner int64, session, id, node string, size sandbox.Size) (string, error) {
	s, err := m.find(ctx, learner, session)
	if err != nil {
		return "", err
	}
	if !terminalID.MatchString(id) {
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
		return "", s.nodeFault(n, err)
	}
	return n.Name(), nil
}

// reserveShell enters the shell into the session's list, if there is room. known tells that it was there.
func (s *session) reserveShell(id, name string) (n sandbox.Node, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, err = s.usable(name); err != nil {
		return nil, false, err
	}
	for _, t := range s.terminals {
		if t.ID != id {
			continue
		}
		if t.Node != n.Name() {
			return nil, false, fault.New(fault.Conflict, "A terminal of this name runs on another machine of the lab.", nil)
		}
		return n, true, nil
	}
	if limit := s.m.cfg.Limits.ShellsPerSession; len(s.terminals) >= limit {
		return nil, false, fault.New(fault.TooMany, fmt.Sprintf("%d terminals are open, which is all that one session can have. Close one of them first.", limit), nil)
	}
	s.terminals = append(s.terminals, TerminalView{ID: id, Node: n.Name()})
	s.publish()
	return n, false, nil
}

func checkSize(size sandbox.Size) error {
	if size.Cols < 1 || size.Rows < 1 || size.Cols > MaxCells || size.Rows > MaxCells {
		return fault.New(fault.Invalid, fmt.Sprintf("A terminal has 1 to %d columns and rows.", MaxCells), nil)
	}
	return nil
}

// nodeFault says what an error of a node means to the learner.
func (s *session) nodeFault(n sandbox.Node, err error) error {
	switch {
	case errors.Is(err, sandbox.ErrNotFound):
		return errNoTerminal
	case errors.Is(err, sandbox.ErrCapacity):
		return fault.New(fault.TooMany, "This machine can't have more terminals. Close one of them first.", err)
	case errors.Is(err, sandbox.ErrNodeDown), errors.Is(err, sandbox.ErrUnavailable):
		return fault.New(fault.NodeDown, errNodeDown.Message, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.NodeDown, "The machine of this lab is too busy to answer. Please try again in a moment.", err)
	}
	return fmt.Errorf("node %s of session %s: %w", n.Name(), s.id, err)
}

// Attach connects to a shell. from is the sequence number of the first output byte wanted, -1 for all that is kept. The zero
// size leaves the shell's as it is.
// The caller closes the Terminal. Errors as OpenTerminal's.
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
		return nil, s.nodeFault(n, err)
	}
	t := &Terminal{Attachment: att, s: s, node: n.Name(), id: id}
	s.mu.Lock()
	_, err = s.usable(n.Name())
	if err == nil && len(s.attached) >= maxAttached*m.cfg.Limits.ShellsPerSession {
		err = fault.New(fault.TooMany, "The terminals of this session are open in too many pages. Close some of them.", nil)
	}
	if err == nil && m.ctx.Err() != nil {
		err = errStopping
	}
	if err == nil {
		s.attached[t] = struct{}{}
	}
	s.mu.Unlock()
	if err != nil {
		_ = att.Close()
		return nil, err
	}
	return t, nil
}

// shellNode returns the node on which the shell runs.
func (s *session) shellNode(id string) (sandbox.Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.usable(""); err != nil {
		return nil, err
	}
	for _, t := range s.terminals {
		if t.ID == id {
			return s.usable(t.Node)
		}
	}
	return nil, errNoTerminal
}

// CloseTerminal ends a shell; one that does not run is no error. Errors as OpenTerminal's.
func (m *Manager) CloseTerminal(ctx context.Context, learner int64, session, id string) error {
	s, err := m.find(ctx, learner, session)
	if err != nil {
		return err
	}
	if !terminalID.MatchString(id) {
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
		return s.nodeFault(n, err)
	}
	s.forgetShell(n.Name(), id)
	return nil
}

func (s *session) forgetShell(node, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.terminals)
	s.terminals = slices.DeleteFunc(s.terminals, func(t TerminalView) bool { return t.Node == node && t.ID == id })
	if len(s.terminals) != before {
		s.publish()
	}
}

// forgetShells: a node that was restarted has none.
func (s *session) forgetShells(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.terminals = slices.DeleteFunc(s.terminals, func(t TerminalView) bool { return t.Node == node })
	s.publish()
}

// findShells lists the shells that run in a stack of an earlier run.
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
			if terminalID.MatchString(id) && len(found) < s.m.cfg.Limits.ShellsPerSession {
				found = append(found, TerminalView{ID: id, Node: n.Name()})
			}
		}
	}
	s.mu.Lock()
	s.terminals = found
	s.mu.Unlock()
}
