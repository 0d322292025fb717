package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labrun"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
)

// Why a session ends, as causes of its context.
var (
	errEnded   = errors.New("the learner ended the session")
	errExpired = errors.New("the session's time is over")
)

// session is one session of which something may be left.
type session struct {
	m       *Manager
	id      string
	learner int64
	lab     *lab.Lab
	vars    map[string]string
	created time.Time
	found   *store.Session // the row, of a session of an earlier run; nil for a new one

	work context.Context // ends when the session must, or when the manager closes; the cause tells
	stop context.CancelCauseFunc

	kick  chan struct{} // something may have changed: look at the open step
	asks  chan ask      // checks that somebody waits for
	moved chan struct{} // expires has changed
	gone  chan struct{} // closed when nothing is left

	mu         sync.Mutex
	lang       string
	state      State
	failure    *fault.Error
	notice     string
	expires    time.Time
	stack      sandbox.Stack
	nodes      []*node
	steps      []*step
	facts      check.Facts
	terminals  []TerminalView
	attached   map[*Terminal]struct{}
	subs       map[*Subscription]struct{}
	destroyErr error         // of the last attempt
	stuck      chan struct{} // closed when the first attempt to destroy failed
}

// node is what is known of a node; guarded by session.mu.
type node struct {
	name   string
	down   bool
	engine EngineState
}

// step is a step's state; guarded by session.mu.
type step struct {
	def    *lab.Step
	opened time.Time
	done   time.Time
	report *check.Report
}

func (m *Manager) newSession(id string, learner int64, l *lab.Lab, lang string) *session {
	now := time.Now().Truncate(time.Millisecond) // as the store keeps it
	s := &session{
		m: m, id: id, learner: learner, lab: l, lang: lang,
		vars:     l.NewVars(),
		created:  now,
		state:    Creating,
		expires:  now.Add(m.cfg.Limits.TTL),
		kick:     make(chan struct{}, 1),
		asks:     make(chan ask),
		moved:    make(chan struct{}, 1),
		gone:     make(chan struct{}),
		stuck:    make(chan struct{}),
		facts:    check.Facts{},
		attached: map[*Terminal]struct{}{},
		subs:     map[*Subscription]struct{}{},
	}
	s.work, s.stop = context.WithCancelCause(m.ctx)
	for _, name := range l.Stack.Nodes {
		s.nodes = append(s.nodes, &node{name: name, engine: EngineStarting})
	}
	for _, def := range l.Steps {
		s.steps = append(s.steps, &step{def: def})
	}
	return s
}

// adopted makes the session of a row that an earlier run of labd left.
func (m *Manager) adopted(row store.Session) *session {
	l := m.cfg.Labs[row.Lab]
	if l == nil {
		l = &lab.Lab{ID: row.Lab, Langs: []string{lab.DefaultLang}}
	}
	s := m.newSession(row.ID, row.Learner, l, row.Lang)
	s.found = &row
	s.vars, s.created, s.expires = row.Variables, row.Created, row.Expires
	s.state = State(row.State)
	if s.state == Ready {
		s.state = Recovering
	}
	switch {
	case row.ErrorCode != "":
		s.failure = fault.New(fault.Code(row.ErrorCode), row.ErrorMessage, nil)
	case s.state == Failed: // labd was killed before it stored why
		s.failure = fault.New(fault.Internal, fault.MessageOf(nil), nil)
	}
	for _, r := range row.Steps {
		for _, st := range s.steps {
			if st.def.Anchor == r.Anchor {
				st.opened, st.done = r.Opened, r.Done
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
	return store.Session{ID: s.id, Learner: s.learner, Lab: s.lab.ID, Lang: s.lang, State: string(Creating),
		Variables: s.vars, Created: s.created, Expires: s.expires}
}

// run is the session's life, in the goroutine that owns it.
func (s *session) run() {
	err := s.guard(s.bringUp)
	if err == nil {
		err = s.guard(s.serve)
	}
	finish := func() error { s.tearDown(err); return nil }
	if s.m.ctx.Err() != nil && !errors.Is(err, errEnded) {
		finish = func() error { s.leave(); return nil }
	}
	if err := s.guard(finish); err != nil {
		// The sweep destroys the stack of a session that the manager has forgotten.
		s.m.log.Error("a session could not be removed", "session", s.id, "err", err)
		s.m.forget(s)
		s.finish(Failed, fault.New(fault.Internal, fault.MessageOf(err), err))
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

// bringUp makes the session's stack, or connects to the one it has.
func (s *session) bringUp() error {
	ctx, cancel := context.WithDeadlineCause(s.work, s.expires, errExpired)
	defer cancel()
	var stack sandbox.Stack
	var err error
	if s.found != nil {
		stack, err = s.reopen(ctx)
	} else {
		stack, err = s.create(ctx)
	}
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.stack, s.state = stack, Ready
	s.publish()
	s.mu.Unlock()
	return s.persist(func(ctx context.Context) error {
		return s.m.cfg.Store.SetState(ctx, s.id, string(Ready), "", "", time.Time{})
	})
}

func (s *session) create(ctx context.Context) (sandbox.Stack, error) {
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
	stack, err := driver.Create(ctx, s.spec())
	if err != nil {
		s.m.lookNow()
		return nil, createFault(err)
	}
	return stack, nil
}

func (s *session) spec() sandbox.Spec {
	spec := labrun.Spec(s.lab, s.id, s.vars, map[string]string{
		"learner": strconv.FormatInt(s.learner, 10),
		"lab":     s.lab.ID,
		"expires": s.expires.UTC().Format(time.RFC3339),
	})
	spec.Internet = spec.Internet && s.m.cfg.Internet
	for i := range spec.Nodes {
		spec.Nodes[i].Limits = capped(spec.Nodes[i].Limits, s.m.cfg.Limits.Node)
	}
	return spec
}

// capped is what the lab wants, within what the operator allows.
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
		return fault.New(fault.Full, "This server has no room for another lab right now. Please try again when somebody has finished.", err)
	case errors.Is(err, sandbox.ErrImageMissing):
		return fault.New(fault.LabsOff, "This lab needs an image that this server has not built. Please tell your instructor: `labd images build` makes it.", err)
	case errors.Is(err, sandbox.ErrUnavailable):
		return fault.New(fault.LabsOff, "The container engine of this server stopped answering. Please try again in a moment.", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Internal, "Starting the lab took too long, probably because the server is very busy. Please try again.", err)
	}
	return fault.New(fault.Internal, "The lab could not be started. Please try again; if it stays, tell your instructor.", err)
}

// reopen connects to the stack of a session of an earlier run. It waits for the engine as long as the session has time.
func (s *session) reopen(ctx context.Context) (sandbox.Stack, error) {
	switch State(s.found.State) {
	case Ending:
		return nil, errEnded
	case Creating:
		return nil, fault.New(fault.Internal, "labd was restarted while this lab was being started. Please start it again.", nil)
	case Failed:
		return nil, s.failure
	}
	if len(s.lab.Steps) == 0 {
		return nil, fault.New(fault.Internal, "This lab is no longer offered.", nil)
	}
	driver, err := s.m.waitDriver(ctx)
	if err != nil {
		return nil, err
	}
	for wait := backoff(0); ; {
		stack, err := driver.Open(ctx, s.id)
		if err == nil {
			s.findShells(ctx, stack)
			return stack, nil
		}
		if errors.Is(err, sandbox.ErrNotFound) {
			return nil, fault.New(fault.Internal, "The machine of this lab is no longer there. Please start the lab again.", err)
		}
		s.m.log.Warn("a session's stack can't be opened yet", "session", s.id, "err", err)
		if err := wait.sleep(ctx); err != nil {
			return nil, err
		}
	}
}

// serve runs the session until it must end, and returns why.
func (s *session) serve() error {
	var wg sync.WaitGroup
	tend := func(f func() error) {
		wg.Go(func() {
			if err := s.guard(f); err != nil {
				s.stop(err)
			}
		})
	}
	for _, n := range s.stack.Nodes() {
		tend(func() error { return s.watch(n) })
	}
	tend(s.doSteps)
	s.awaitEnd()
	wg.Wait()
	return context.Cause(s.work)
}

// awaitEnd returns when the session must end; the passing of its time is one reason.
func (s *session) awaitEnd() {
	for {
		s.mu.Lock()
		left := time.Until(s.expires)
		s.mu.Unlock()
		if left <= 0 {
			s.stop(errExpired)
		}
		timer := time.NewTimer(left)
		select {
		case <-s.work.Done():
			timer.Stop()
			return
		case <-s.moved:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// leave lets go of everything and changes nothing: the next run takes the session up.
func (s *session) leave() {
	s.mu.Lock()
	stack := s.stack
	s.mu.Unlock()
	s.cutAll("", errStopping)
	s.close(stack)
}

func (s *session) close(stack sandbox.Stack) {
	if stack == nil {
		return
	}
	if err := stack.Close(); err != nil {
		s.m.log.Warn("a stack was not closed cleanly", "session", s.id, "err", err)
	}
}

// tearDown removes all that belongs to the session, and does not give up. why is the reason that it ends.
func (s *session) tearDown(why error) {
	s.stop(why)
	last := Ended
	var failure *fault.Error
	if !errors.Is(why, errEnded) && !errors.Is(why, errExpired) {
		last = Failed
		if !errors.As(why, &failure) {
			failure = fault.New(fault.Internal, fault.MessageOf(why), why)
		}
		s.m.log.Error("a session failed", "session", s.id, "lab", s.lab.ID, "err", why)
	}
	s.mu.Lock()
	s.failure = failure
	if s.state = Ending; last == Failed {
		s.state = Failed
	}
	s.terminals = nil
	stack, state := s.stack, s.state
	s.stack = nil
	s.publish()
	s.mu.Unlock()
	s.cutAll("", errGone)
	s.record(state, time.Time{})
	s.close(stack)

	driver, err := s.m.waitDriver(s.m.ctx)
	for wait := backoff(0); err == nil; err = wait.sleep(s.m.ctx) {
		gone := s.m.destroy(driver, s.id)
		if gone == nil {
			s.record(last, time.Now())
			s.m.forget(s) // first: whoever waits for the end may want the place
			s.finish(last, failure)
			return
		}
		if s.m.ctx.Err() == nil {
			s.m.log.Warn("a stack could not be destroyed yet", "session", s.id, "err", gone)
		}
		s.mu.Lock()
		if s.destroyErr == nil {
			close(s.stuck)
		}
		s.destroyErr = gone
		s.mu.Unlock()
	}
}

// record stores the state; failing to is no reason to stop ending.
func (s *session) record(state State, ended time.Time) {
	var code, message string
	s.mu.Lock()
	if s.failure != nil {
		code, message = string(s.failure.Code), s.failure.Message
	}
	s.mu.Unlock()
	err := s.persist(func(ctx context.Context) error {
		return s.m.cfg.Store.SetState(ctx, s.id, string(state), code, message, ended)
	})
	if err != nil {
		s.m.log.Error("a session's state could not be stored", "session", s.id, "state", state, "err", err)
	}
}

// finish gives the last view to whoever follows the session.
func (s *session) finish(last State, failure *fault.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.failure = last, failure
	s.publish()
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
			return fault.New(fault.LabsOff, "The session has ended, but the container engine does not answer. What is left of it is removed as soon as it does.", s.destroyErr)
		}
		return fault.New(fault.Internal, "The session has ended, but not all of it could be removed yet. labd keeps trying.", s.destroyErr)
	case <-s.m.ctx.Done():
		return errStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *session) extend(ctx context.Context) (View, error) {
	s.mu.Lock()
	if !s.livesLocked() {
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
		return View{}, fault.New(fault.Conflict, "This session can't be extended any further. You can start the lab again when it has ended.", nil)
	}
	before := s.expires
	s.expires = until
	s.publish()
	v := s.viewLocked()
	s.mu.Unlock()
	signal(s.moved)
	if err := s.m.cfg.Store.SetExpires(ctx, s.id, until); err != nil {
		s.mu.Lock()
		if s.expires.Equal(until) {
			s.expires = before
			s.publish()
		}
		s.mu.Unlock()
		signal(s.moved)
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
	signal(s.kick)
	if err := s.m.cfg.Store.SetLang(ctx, s.id, lang); err != nil {
		s.m.log.Warn("a session's language could not be stored", "session", s.id, "err", err)
	}
}

func (s *session) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.livesLocked()
}

// livesLocked: s.mu is held.
func (s *session) livesLocked() bool {
	return s.state == Creating || s.state == Ready || s.state == Recovering
}

func (s *session) view() View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.viewLocked()
}

// viewLocked: s.mu is held.
func (s *session) viewLocked() View {
	v := View{
		ID: s.id, Lab: s.lab.ID, Lang: s.lang,
		State: s.state, Engine: EngineReady, Error: s.failure, Notice: s.notice,
		Created: s.created, Expires: s.expires, Warn: s.expires.Add(-s.m.cfg.Limits.WarnBefore),
		Terminals: slices.Clone(s.terminals),
		Variables: maps.Clone(s.vars),
	}
	for _, n := range s.nodes {
		v.Nodes = append(v.Nodes, n.name)
		if n.engine == EngineDown || n.engine == EngineStarting && v.Engine == EngineReady {
			v.Engine = n.engine
		}
	}
	if s.state == Creating || len(s.nodes) == 0 {
		v.Engine = EngineStarting
	}
	for _, st := range s.steps {
		sv := StepView{Anchor: st.def.Anchor, Title: st.def.Title.For(s.lang), State: Locked, Done: st.done, Report: st.report}
		switch {
		case !st.done.IsZero():
			sv.State = Done
		case !st.opened.IsZero():
			sv.State = Open
		}
		v.Steps = append(v.Steps, sv)
	}
	return v
}

// signal puts a token into a channel of capacity one unless one is there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
