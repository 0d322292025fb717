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
	"github.com/labd-dev/labd/internal/steps"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
)

// Reasons for the end of a session. They are causes of its context.
var (
	errEnded   = errors.New("the learner ended the session")
	errExpired = errors.New("the session's time is over")
)

// session is a session that has not ended, or whose stack is still being destroyed. Its parts have files of their own:
// stack.go and nodes.go, steps.go and replay.go, terminals.go. transitions.go has the state machines of all parts.
type session struct {
	m       *Manager
	id      string
	learner int64
	lab     *lab.Lab
	lease   store.Lease
	vars    map[string]string
	created time.Time
	found   *store.Session // the stored row of a session that this Manager did not create; nil for a new one

	ctx  context.Context // ends when the session must, or when the manager closes; the cause says why
	stop context.CancelCauseFunc

	extended      chan struct{} // has a token when expires has changed
	finished      chan struct{} // closed when nothing is left of the session, or another labd owns it
	destroyFailed chan struct{} // closed when the first attempt to destroy the stack failed

	stored bool // the store has a row; guarded by Manager.mu

	mu         sync.Mutex // guards what follows
	lang       string
	life       State // Creating, Ready, Ending, Ended or Failed; State in a View also says what the stack does
	failure    *fault.Error
	expires    time.Time
	stack      *stack
	reset      *resetRequest // the learner wants another stack
	guide      *steps.Guide  // leads through the steps on the present stack; has a lock of its own, taken after mu
	shells     shells
	subs       map[*Subscription]struct{}
	destroyErr error // of the last attempt
}

// newSession returns a session in state Creating. stackID is the ID of its stack.
func (m *Manager) newSession(id string, learner int64, l *lab.Lab, lang, stackID string, state stackState) *session {
	now := time.Now().Truncate(time.Millisecond) // as the store keeps it
	s := &session{
		m: m, id: id, learner: learner, lab: l, lang: lang,
		lease:         store.Lease{Session: id, Owner: m.cfg.Owner},
		vars:          l.NewVars(),
		created:       now,
		life:          Creating,
		expires:       now.Add(m.cfg.Limits.TTL),
		extended:      make(chan struct{}, 1),
		finished:      make(chan struct{}),
		destroyFailed: make(chan struct{}),
		shells:        newShells(),
		subs:          map[*Subscription]struct{}{},
	}
	s.ctx, s.stop = context.WithCancelCause(m.ctx)
	s.stack = s.newStack(stackID, state)
	s.guide = s.newGuide("")
	return s
}

// adopt returns the session that a stored row describes. An earlier run of labd, or another labd, created it.
func (m *Manager) adopt(row store.Session) *session {
	l := m.cfg.Labs[row.Lab]
	if l == nil {
		l = &lab.Lab{ID: row.Lab, Langs: []string{lab.DefaultLang}}
	}
	s := m.newSession(row.ID, row.Learner, l, row.Lang, row.Stack, stackOpening)
	s.found = &row
	s.vars, s.created, s.expires = row.Variables, row.Created, row.Expires
	s.life = State(row.State)
	s.guide = s.newGuide(row.ReplayTo)
	switch {
	case row.ErrorCode != "":
		s.failure = fault.New(fault.Code(row.ErrorCode), row.ErrorMessage, nil)
	case s.life == Failed: // labd was killed before it stored why
		s.failure = fault.New(fault.Internal, fault.MessageOf(nil), nil)
	}
	for _, r := range row.Steps {
		s.guide.Restore(r.Anchor, r.Done)
	}
	for name, raw := range row.Facts {
		var f check.Fact
		if err := json.Unmarshal(raw, &f); err != nil {
			m.log.Error("a remembered fact can't be read", "session", s.id, "name", name, "err", err)
			continue
		}
		s.guide.Remember(name, f)
	}
	if !row.Ended.IsZero() {
		close(s.finished)
	}
	return s
}

// row returns the row to store for a new session, on whose stack steps are replayed.
func (s *session) row(replayTo string) store.Session {
	return store.Session{ID: s.id, Owner: s.lease.Owner, Learner: s.learner, Lab: s.lab.ID, Lang: s.lang, State: string(Creating),
		Stack: s.stack.id, ReplayTo: replayTo, Variables: s.vars, Created: s.created, Expires: s.expires}
}

// run runs the session until nothing is left of it. It has a goroutine of its own.
func (s *session) run() {
	err := s.guard(s.live)
	end := func() error { s.tearDown(err); return nil }
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		end = func() error { s.abandon(); return nil }
	case s.m.ctx.Err() != nil && !errors.Is(err, errEnded):
		end = func() error { s.detach(errStopping); return nil }
	}
	if err := s.guard(end); err != nil {
		// The stack may be left. Now that the row says "ended", the sweep destroys it.
		s.m.log.Error("removing a session failed", "session", s.id, "err", err)
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

// live runs the session until it must end, and returns the reason. Each reset gives it another stack.
func (s *session) live() error {
	for {
		if err := s.bringUp(); err != nil {
			return err
		}
		err := s.serve()
		s.mu.Lock()
		reset := s.reset // replaceStack clears it: until then the session must look as if it were being created
		s.mu.Unlock()
		if !errors.Is(err, errReset) || reset == nil {
			return err
		}
		if err := s.replaceStack(*reset); err != nil {
			return err
		}
	}
}

// serve runs the session on its present stack until the session ends or is reset, and returns the reason.
func (s *session) serve() error {
	s.mu.Lock()
	st, guide := s.stack, s.guide
	conns := st.conn.Nodes()
	watchers := make([]*watcher, len(conns))
	for i, c := range conns {
		watchers[i] = &watcher{s: s, ctx: st.ctx, conn: c, node: st.node(c.Name()), guide: guide}
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
	run(func() error { guide.Run(st.ctx, conns); return nil })
	s.awaitEnd(st.ctx)
	wg.Wait()
	return context.Cause(st.ctx)
}

// awaitEnd stops the session when its time is over. It returns when ctx ends.
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

// detach closes all connections, and leaves the stack and the row as they are. The next run of labd, or another labd,
// resumes the session.
func (s *session) detach(cause error) {
	s.mu.Lock()
	conn := s.stack.disconnect()
	s.mu.Unlock()
	s.closeTerminals("", cause)
	s.close(conn)
}

// abandon gives up a session that another labd owns now. This labd must not touch its stack any more.
func (s *session) abandon() {
	s.m.log.Warn("another labd owns the session now", "session", s.id)
	s.stop(store.ErrLeaseLost)
	s.detach(errElsewhere)
	s.m.forget(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publish()
	s.closeFinished()
}

// tearDown ends the session and destroys its stack, with retries until that succeeds. why is the reason for the end.
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
	s.closeTerminals("", errGone)
	s.record(begins, failure, time.Time{})
	s.close(conn)

	driver, err := s.m.waitDriver(s.m.ctx)
	for wait := steps.Backoff(0); err == nil; err = wait.Sleep(s.m.ctx) {
		failed := s.destroy(driver, stackID)
		if errors.Is(failed, store.ErrLeaseLost) {
			s.abandon()
			return
		}
		if failed == nil {
			s.record(last, failure, time.Now())
			s.m.forget(s) // before finish: who waits for the end may start another session at once
			s.finish(last, failure)
			return
		}
		if s.m.ctx.Err() == nil {
			s.m.log.Warn("a stack could not be destroyed yet", "session", s.id, "stack", stackID, "err", failed)
		}
		s.mu.Lock()
		if s.destroyErr == nil {
			close(s.destroyFailed)
		}
		s.destroyErr = failed
		s.mu.Unlock()
	}
}

// destroy destroys the stack if this labd still owns the session. The lease may have expired, for example while the machine
// was suspended.
func (s *session) destroy(driver sandbox.Driver, stackID string) error {
	err := s.persist(func(ctx context.Context) error { return s.m.cfg.Store.Renew(ctx, s.lease, s.m.leaseTTL()) })
	if err != nil && !errors.Is(err, store.ErrNotFound) { // the row may have been forgotten
		return err
	}
	return s.m.destroy(driver, stackID)
}

// record stores the state. An error is only logged, because the end of the session must go on.
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

// finish publishes the last view of the session.
func (s *session) finish(last State, failure *fault.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lifeMoves.move(&s.life, last)
	s.failure = failure
	s.publish()
	s.closeFinished()
}

// closeFinished closes s.finished once. s.mu is held.
func (s *session) closeFinished() {
	select {
	case <-s.finished:
	default:
		close(s.finished)
	}
}

// persist runs a write to the store that must also happen while the session or labd ends.
func (s *session) persist(write func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.m.ctx), storeTimeout)
	defer cancel()
	return write(ctx)
}

func (s *session) end(ctx context.Context) error {
	s.stop(errEnded)
	// A session that has failed is being removed already, so this only waits.
	select {
	case <-s.finished:
		return nil
	case <-s.destroyFailed:
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

// setLang sets the language of further reports: that of the page that the learner opened last.
func (s *session) setLang(ctx context.Context, lang string) {
	s.mu.Lock()
	same := s.lang == lang
	if !same {
		s.lang = lang
		s.guide.SetLang(lang)
		s.publish()
	}
	s.mu.Unlock()
	if same {
		return
	}
	if err := s.m.cfg.Store.SetLang(ctx, s.lease, lang); err != nil {
		s.m.log.Warn("a session's language could not be stored", "session", s.id, "err", err)
	}
}

// alive reports whether the session is being created or can be used. s.mu is held.
func (s *session) alive() bool { return s.life == Creating || s.life == Ready }

// isAlive is alive with locking.
func (s *session) isAlive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive()
}

// signal puts a token into a channel of capacity one, unless the channel has one already.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
