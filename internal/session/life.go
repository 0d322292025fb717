package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
)

// Why a session ends, as causes of its context.
var (
	errEnded   = errors.New("the learner ended the session")
	errExpired = errors.New("the session's time is over")
)

// session is one session of which something may be left. Its parts are in files of their own: stack.go and nodes.go (the
// machine), steps.go and replay.go, terminals.go. Each part's states move along the tables of transitions.go.
type session struct {
	m       *Manager
	id      string
	learner int64
	lab     *lab.Lab
	lease   store.Lease
	vars    map[string]string
	created time.Time
	found   *store.Session // the row, if an earlier run of labd or another one left the session; nil for a new one

	ctx  context.Context // ends when the session must, or when the manager closes; the cause says why
	stop context.CancelCauseFunc

	recheck       chan struct{}     // has a token when something may have changed: check the open step
	checkRequests chan checkRequest // checks that somebody waits for
	extended      chan struct{}     // has a token when expires has changed
	gone          chan struct{}     // closed when nothing is left, or when another labd owns the session
	stuck         chan struct{}     // closed when the first attempt to destroy the stack failed

	stored bool // the store has a row; guarded by Manager.mu

	mu         sync.Mutex // guards what follows
	lang       string
	life       State // Creating, Ready, Ending, Ended or Failed; State in a View also says what the stack does
	failure    *fault.Error
	expires    time.Time
	stack      *stack
	reset      *resetRequest // the learner wants another stack
	steps      steps
	facts      check.Facts
	replay     *replay // nil if nothing is replayed
	shells     shells
	subs       map[*Subscription]struct{}
	destroyErr error // of the last attempt
}

// newSession returns a session that is to be made, with a stack of that id.
func (m *Manager) newSession(id string, learner int64, l *lab.Lab, lang, stackID string, state stackState) *session {
	now := time.Now().Truncate(time.Millisecond) // as the store keeps it
	s := &session{
		m: m, id: id, learner: learner, lab: l, lang: lang,
		lease:         store.Lease{Session: id, Owner: m.cfg.Owner},
		vars:          l.NewVars(),
		created:       now,
		life:          Creating,
		expires:       now.Add(m.cfg.Limits.TTL),
		recheck:       make(chan struct{}, 1),
		checkRequests: make(chan checkRequest),
		extended:      make(chan struct{}, 1),
		gone:          make(chan struct{}),
		stuck:         make(chan struct{}),
		steps:         newSteps(l),
		facts:         check.Facts{},
		shells:        newShells(),
		subs:          map[*Subscription]struct{}{},
	}
	s.ctx, s.stop = context.WithCancelCause(m.ctx)
	s.stack = s.newStack(stackID, state)
	return s
}

// adopt returns the session of a row that an earlier run of labd, or another labd, left.
func (m *Manager) adopt(row store.Session) *session {
	l := m.cfg.Labs[row.Lab]
	if l == nil {
		l = &lab.Lab{ID: row.Lab, Langs: []string{lab.DefaultLang}}
	}
	s := m.newSession(row.ID, row.Learner, l, row.Lang, row.Stack, stackOpening)
	s.found = &row
	s.vars, s.created, s.expires = row.Variables, row.Created, row.Expires
	s.life = State(row.State)
	s.replay = newReplay(l, row.ReplayTo)
	switch {
	case row.ErrorCode != "":
		s.failure = fault.New(fault.Code(row.ErrorCode), row.ErrorMessage, nil)
	case s.life == Failed: // labd was killed before it stored why
		s.failure = fault.New(fault.Internal, fault.MessageOf(nil), nil)
	}
	for _, r := range row.Steps {
		if st, _ := s.steps.lookup(r.Anchor); st != nil {
			st.state, st.done = Open, r.Done
			if !r.Done.IsZero() {
				st.state = Done
			}
		}
	}
	for name, raw := range row.Facts {
		var f check.Fact
		if err := json.Unmarshal(raw, &f); err != nil {
			m.log.Error("a remembered fact can't be read", "session", s.id, "name", name, "err", err)
			continue
		}
		s.facts[name] = f
	}
	if !row.Ended.IsZero() {
		close(s.gone)
	}
	return s
}

// row is the session as a new row.
func (s *session) row() store.Session {
	row := store.Session{ID: s.id, Owner: s.lease.Owner, Learner: s.learner, Lab: s.lab.ID, Lang: s.lang, State: string(Creating),
		Stack: s.stack.id, Variables: s.vars, Created: s.created, Expires: s.expires}
	if s.replay != nil {
		row.ReplayTo = s.replay.to
	}
	return row
}

// run is the session's life, in the goroutine that owns it.
func (s *session) run() {
	err := s.guard(s.live)
	end := func() error { s.tearDown(err); return nil }
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		end = func() error { s.abandon(); return nil }
	case s.m.ctx.Err() != nil && !errors.Is(err, errEnded):
		end = func() error { s.leave(errStopping); return nil }
	}
	if err := s.guard(end); err != nil {
		// The sweep destroys the stack of a session that has ended.
		s.m.log.Error("a session could not be removed", "session", s.id, "err", err)
		failure := fault.New(fault.Internal, fault.MessageOf(err), err)
		s.record(Failed, failure, time.Now())
		s.m.forget(s)
		s.finish(Failed, failure)
	}
}

func (s *session) guard(f func() error) error { return guard(f) }

// guard turns a panic in f into an error: a defect in one session must not end all others.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// live serves the session on one stack after another until it must end, and returns why.
func (s *session) live() error {
	for {
		if err := s.bringUp(); err != nil {
			return err
		}
		err := s.serve()
		s.mu.Lock()
		reset := s.reset
		s.reset = nil
		s.mu.Unlock()
		if !errors.Is(err, errReset) || reset == nil {
			return err
		}
		if err := s.replaceStack(*reset); err != nil {
			return err
		}
	}
}

// serve runs the session on its stack until the stack is given up, and returns why.
func (s *session) serve() error {
	s.mu.Lock()
	st := s.stack
	conns := st.conn.Nodes()
	watchers := make([]*watcher, len(conns))
	for i, c := range conns {
		watchers[i] = &watcher{s: s, ctx: st.ctx, conn: c, node: st.node(c.Name())}
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	run := func(f func() error) {
		wg.Go(func() {
			if err := s.guard(f); err != nil {
				s.stop(err)
			}
		})
	}
	for _, w := range watchers {
		run(w.watch)
	}
	run((&guide{s: s, ctx: st.ctx, nodes: conns}).run)
	s.awaitEnd(st.ctx)
	wg.Wait()
	return context.Cause(st.ctx)
}

// awaitEnd returns when ctx ends; the passing of the session's time is one reason.
func (s *session) awaitEnd(ctx context.Context) {
	for {
		s.mu.Lock()
		left := time.Until(s.expires)
		s.mu.Unlock()
		if left <= 0 {
			s.stop(errExpired)
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.extended:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// leave closes the connections and changes nothing: the next run of labd, or another labd, takes the session up.
func (s *session) leave(cause error) {
	s.mu.Lock()
	conn := s.stack.disconnect()
	s.mu.Unlock()
	s.cutAll("", cause)
	s.close(conn)
}

// abandon leaves a session that another labd owns now. Its stack is no longer ours to touch.
func (s *session) abandon() {
	s.m.log.Warn("another labd has taken over a session", "session", s.id)
	s.stop(store.ErrLeaseLost)
	s.leave(errElsewhere)
	s.m.forget(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publish()
	s.closeGone()
}

// tearDown removes all that belongs to the session, and does not give up. why is the reason that it ends.
func (s *session) tearDown(why error) {
	s.stop(why)
	begins, last := Ending, Ended
	var failure *fault.Error
	if !errors.Is(why, errEnded) && !errors.Is(why, errExpired) {
		begins, last = Failed, Failed
		if !errors.As(why, &failure) {
			failure = fault.New(fault.Internal, fault.MessageOf(why), why)
		}
		s.m.log.Error("a session failed", "session", s.id, "lab", s.lab.ID, "err", why)
	}
	s.mu.Lock()
	s.failure = failure
	lifeMoves.move(&s.life, begins)
	s.shells.clear()
	stackID, conn := s.stack.id, s.stack.disconnect()
	s.publish()
	s.mu.Unlock()
	s.cutAll("", errGone)
	s.record(begins, failure, time.Time{})
	s.close(conn)

	driver, err := s.m.waitDriver(s.m.ctx)
	for wait := backoff(0); err == nil; err = wait.sleep(s.m.ctx) {
		gone := s.destroy(driver, stackID)
		if errors.Is(gone, store.ErrLeaseLost) {
			s.abandon()
			return
		}
		if gone == nil {
			s.record(last, failure, time.Now())
			s.m.forget(s) // first: whoever waits for the end may want the place
			s.finish(last, failure)
			return
		}
		if s.m.ctx.Err() == nil {
			s.m.log.Warn("a stack could not be destroyed yet", "session", s.id, "stack", stackID, "err", gone)
		}
		s.mu.Lock()
		if s.destroyErr == nil {
			close(s.stuck)
		}
		s.destroyErr = gone
		s.mu.Unlock()
	}
}

// destroy destroys the stack, if the session is still ours: a labd that was suspended may wake up after its lease expired.
func (s *session) destroy(driver sandbox.Driver, stackID string) error {
	err := s.persist(func(ctx context.Context) error { return s.m.cfg.Store.Renew(ctx, s.lease, s.m.leaseTTL()) })
	if err != nil && !errors.Is(err, store.ErrNotFound) { // the row may have been forgotten
		return err
	}
	return s.m.destroy(driver, stackID)
}

// record stores the state; failing to is no reason to stop ending.
func (s *session) record(state State, failure *fault.Error, ended time.Time) {
	var code, message string
	if failure != nil {
		code, message = string(failure.Code), failure.Message
	}
	err := s.persist(func(ctx context.Context) error {
		return s.m.cfg.Store.SetState(ctx, s.lease, string(state), code, message, ended)
	})
	if err != nil {
		s.m.log.Error("a session's state could not be stored", "session", s.id, "state", state, "err", err)
	}
}

// finish gives the last view to whoever follows the session.
func (s *session) finish(last State, failure *fault.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lifeMoves.move(&s.life, last)
	s.failure = failure
	s.publish()
	s.closeGone()
}

// closeGone tells that nothing is left here. s.mu is held.
func (s *session) closeGone() {
	select {
	case <-s.gone:
	default:
		close(s.gone)
	}
}

// persist runs a write that must happen even while the session ends.
func (s *session) persist(write func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.m.ctx), storeTimeout)
	defer cancel()
	return write(ctx)
}

func (s *session) end(ctx context.Context) error {
	s.stop(errEnded)
	// A session that failed is being removed already.
	select {
	case <-s.gone:
		return nil
	case <-s.stuck:
		s.mu.Lock()
		defer s.mu.Unlock()
		if errors.Is(s.destroyErr, sandbox.ErrUnavailable) {
			return fault.New(fault.LabsOff, "The session has ended, but the container engine does not answer. What is left of it is removed as soon as it does.", s.destroyErr).Detailed("removal_engine")
		}
		return fault.New(fault.Internal, "The session has ended, but not all of it could be removed yet. labd keeps trying.", s.destroyErr).Detailed("removal")
	case <-s.m.ctx.Done():
		return errStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *session) extend(ctx context.Context) (View, error) {
	s.mu.Lock()
	if !s.alive() {
		s.mu.Unlock()
		return View{}, errGone
	}
	limits := s.m.cfg.Limits
	until := time.Now().Add(limits.TTL)
	if last := s.created.Add(limits.Max); until.After(last) {
		until = last
	}
	until = until.Truncate(time.Millisecond) // as the store keeps it
	if until.Sub(s.expires) < time.Second {
		s.mu.Unlock()
		return View{}, fault.New(fault.Conflict, "This session can't be extended any further. You can start the lab again when it has ended.", nil).Detailed("extend_limit")
	}
	before := s.expires
	s.expires = until
	s.publish()
	v := s.viewLocked()
	s.mu.Unlock()
	signal(s.extended)
	if err := s.m.cfg.Store.SetExpires(ctx, s.lease, until); err != nil {
		s.mu.Lock()
		if s.expires.Equal(until) {
			s.expires = before
			s.publish()
		}
		s.mu.Unlock()
		signal(s.extended)
		return View{}, err
	}
	return v, nil
}

// setLang makes further reports speak the language of the page that the learner opened last.
func (s *session) setLang(ctx context.Context, lang string) {
	s.mu.Lock()
	same := s.lang == lang
	if !same {
		s.lang = lang
		s.publish()
	}
	s.mu.Unlock()
	if same {
		return
	}
	signal(s.recheck)
	if err := s.m.cfg.Store.SetLang(ctx, s.lease, lang); err != nil {
		s.m.log.Warn("a session's language could not be stored", "session", s.id, "err", err)
	}
}

// alive: s.mu is held.
func (s *session) alive() bool { return s.life == Creating || s.life == Ready }

// isAlive tells whether the session can be used or will be.
func (s *session) isAlive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive()
}

// signal puts a token into a channel of capacity one unless one is there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
