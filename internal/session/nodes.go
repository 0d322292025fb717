package session

import (
	"context"
	"errors"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/steps"
	"github.com/labd-dev/labd/sandbox"
)

const (
	settled     = time.Minute     // after this time without a failure, waits are short again
	unanswering = 2 * time.Minute // a node that does not answer for this long is restarted
)

// node is the state of one node of a stack. Guarded by session.mu.
type node struct {
	name      string
	conn      sandbox.Node // nil until the stack is up
	state     NodeState
	engine    EngineState
	notice    string // why the node was restarted last, "" if it never was
	restoring bool   // its images are being restored
}

func newNode(name string) *node {
	return &node{name: name, state: NodeUp, engine: EngineStarting}
}

func (n *node) view() NodeView {
	return NodeView{Name: n.name, State: n.state, Engine: n.engine, Notice: n.notice}
}

// watcher follows one node and restarts it when it goes down. It runs in a goroutine of its own.
type watcher struct {
	s      *session
	ctx    context.Context // the stack's
	conn   sandbox.Node
	node   *node // guarded by session.mu
	guide  *steps.Guide
	silent time.Time // since when the node does not answer; zero if it does
}

// watch follows the node's events until ctx ends. An error ends the session.
func (w *watcher) watch() error {
	var wait steps.Backoff
	for w.ctx.Err() == nil {
		events, err := w.conn.Watch(w.ctx)
		up := time.Now()
		if err == nil {
			w.silent = time.Time{}
			w.isUp()
			for ev := range events {
				w.event(ev)
			}
		}
		if w.ctx.Err() != nil {
			return nil
		}
		if err == nil && time.Since(up) >= settled {
			wait = 0
		}
		if wait > 0 {
			if wait.Sleep(w.ctx) != nil {
				return nil
			}
		} else {
			wait++
		}
		if err := w.repair(); err != nil {
			return err
		}
	}
	return nil
}

// repair finds out why a watch ended, and restarts the node if it is down. An error ends the session.
func (w *watcher) repair() error {
	log := w.s.m.log.With("session", w.s.id, "node", w.conn.Name())
	err := w.ping()
	var down *sandbox.NodeDownError
	switch {
	case w.ctx.Err() != nil, err == nil:
		return nil // if err is nil, the node is up and only the connection broke
	case errors.Is(err, sandbox.ErrNotFound):
		return errNoStack.Because(err)
	case errors.As(err, &down):
		w.isDown(string(down.Reason))
	case errors.Is(err, sandbox.ErrNodeDown):
		w.isDown(string(sandbox.DownEnded))
	default:
		// The host's engine is away, or the node is too busy to answer. Both may pass without a restart.
		w.isDown("")
		w.s.m.examineNow()
		log.Warn("a node does not answer", "err", err)
		if w.silent.IsZero() {
			w.silent = time.Now()
		}
		if errors.Is(err, sandbox.ErrUnavailable) || time.Since(w.silent) < unanswering {
			return nil
		}
	}
	w.silent = time.Time{}
	log.Info("a node is restarted", "err", err)
	ctx, cancel := context.WithTimeout(w.ctx, restartTimeout)
	defer cancel()
	err = w.conn.Restart(ctx)
	switch {
	case w.ctx.Err() != nil:
	case errors.Is(err, sandbox.ErrNotFound):
		return errNoStack.Because(err)
	case err != nil:
		w.s.m.examineNow()
		log.Warn("a node could not be restarted yet", "err", err)
	default:
		w.s.mu.Lock()
		w.s.shells.forgetNode(w.conn.Name()) // the restart has ended its shells
		w.s.publish()
		w.s.mu.Unlock()
	}
	return nil
}

func (w *watcher) ping() error {
	ctx, cancel := context.WithTimeout(w.ctx, pingTimeout)
	defer cancel()
	return w.conn.Ping(ctx)
}

// event handles an event of the node.
func (w *watcher) event(ev sandbox.Event) {
	switch ev.Kind {
	case sandbox.EngineUp:
		w.setEngine(EngineReady)
	case sandbox.EngineDown:
		w.setEngine(EngineDown)
	case sandbox.EngineChange, sandbox.ShellPrompt:
	default:
		return
	}
	w.guide.Recheck()
}

func (w *watcher) setEngine(state EngineState) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if engineMoves.move(&w.node.engine, state) {
		w.s.publish()
	}
}

func (w *watcher) isUp() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if nodeMoves.move(&w.node.state, NodeUp) {
		w.s.publish()
		w.guide.Recheck()
	}
}

// isDown sets the node down and closes its terminals. reason becomes its notice; it is "" if the node itself may still run.
// The other nodes of the stack are not affected.
func (w *watcher) isDown(reason string) {
	w.s.mu.Lock()
	nodeMoves.move(&w.node.state, NodeDown)
	engineMoves.move(&w.node.engine, EngineStarting)
	if reason != "" {
		w.node.notice = reason
	}
	w.s.publish()
	w.s.mu.Unlock()
	w.s.closeTerminals(w.conn.Name(), errNodeDown)
}

// RestoreImages restores the course's images in a node's engine, after the learner has deleted some. It returns when all
// images are there. Errors: NotFound, Gone, Conflict (it runs already, or the stack is not up), NodeDown.
func (m *Manager) RestoreImages(ctx context.Context, learner int64, session, name string) error {
	s, err := m.find(ctx, learner, session)
	if err != nil {
		return err
	}
	s.mu.Lock()
	n, err := s.usable(name)
	if err == nil && n.restoring {
		err = fault.New(fault.Conflict, "The images of this machine are being restored already. Please wait a moment.", nil).Detailed("restoring")
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	n.restoring = true
	conn, stack, guide := n.conn, s.stack, s.guide
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		n.restoring = false
		s.mu.Unlock()
	}()
	// The engine is restarted for this, so it must not stop half way because the learner has closed the page.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
	defer cancel()
	defer context.AfterFunc(stack.ctx, cancel)()
	if err := conn.RestoreImages(ctx); err != nil {
		if errors.Is(err, sandbox.ErrNotFound) {
			return errNoStack.Because(err)
		}
		return s.nodeFault(name, err)
	}
	guide.Recheck()
	return nil
}
