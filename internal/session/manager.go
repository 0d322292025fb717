package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
)

// Manager runs all sessions. Create one with New, call Start, and call Close at the end.
type Manager struct {
	cfg      Config
	log      *slog.Logger
	starting chan struct{} // semaphore: has one token per stack that is being created
	checking chan struct{} // semaphore: has one token per running check

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup

	examineRequests chan struct{} // has a token when the monitor should examine the engine at once

	mu        sync.Mutex
	started   bool
	closed    bool
	driver    sandbox.Driver      // nil until Connect succeeded; guarded by mu
	connected chan struct{}       // closed when driver is set
	offReason error               // why no lab can be started; nil if labs can be; guarded by mu
	sessions  map[string]*session // sessions of which something may be left, by ID; guarded by mu
}

var errNotExamined = fault.New(fault.LabsOff, "labd has just started and is still looking for the engine. Please try again in a moment.", nil).Detailed("not_looked")

// New returns a Manager. It does nothing before Start.
func New(cfg Config) *Manager {
	ctx, cancel := context.WithCancel(context.Background())
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{
		cfg:             cfg,
		log:             cfg.Log,
		starting:        make(chan struct{}, max(cfg.Limits.Starting, 1)),
		checking:        make(chan struct{}, maxChecks),
		ctx:             ctx,
		cancel:          cancel,
		examineRequests: make(chan struct{}, 1),
		connected:       make(chan struct{}),
		offReason:       errNotExamined,
		sessions:        map[string]*session{},
	}
}

// Start resumes the sessions that are stored for this labd, and begins to connect to the engine. It does not wait for the
// engine.
func (m *Manager) Start(ctx context.Context) error {
	m.mu.Lock()
	if m.started || m.closed {
		m.mu.Unlock()
		return errors.New("the session manager was started or closed before")
	}
	m.mu.Unlock()
	if err := m.claim(ctx, nil); err != nil {
		return fmt.Errorf("claim the sessions of the last run: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started = true
	m.wg.Go(m.monitor)
	m.wg.Go(m.keepLeases)
	m.wg.Go(m.sweep)
	return nil
}

// Close closes all terminals and ends all goroutines. Stacks and shells keep running. It waits until ctx ends.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	stopped := make(chan struct{})
	go func() {
		m.wg.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		return fmt.Errorf("close the sessions: %w", context.Cause(ctx))
	}
	// Nothing uses the sessions any more, so another labd may take them over at once.
	err := m.cfg.Store.Release(ctx, m.cfg.Owner)
	m.mu.Lock()
	driver := m.driver
	m.mu.Unlock()
	if driver == nil {
		return err
	}
	if shut := driver.Close(); shut != nil {
		err = errors.Join(err, fmt.Errorf("close the driver: %w", shut))
	}
	return err
}

// Status returns whether labs can be started.
func (m *Manager) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := Status{Ready: m.offReason == nil, Sessions: len(m.sessions), Limit: m.cfg.Limits.Sessions}
	if m.offReason != nil {
		st.Reason, st.Detail = fault.MessageOf(m.offReason), fault.DetailOf(m.offReason)
	}
	return st
}

// Create returns the learner's session of the lab. If there is none it starts one, and existing is false; the session is then
// in state Creating. Unless startOver is set, the steps that the learner finished earlier are replayed in a new session.
// Nothing is replayed for a learner who finished the whole lab.
//
// Errors: NotFound (no such lab), Invalid (the lab can't run here), LabsOff, TooMany (of this learner), Full (the class).
func (m *Manager) Create(ctx context.Context, learner int64, labID, lang string, startOver bool) (v View, existing bool, err error) {
	l := m.cfg.Labs[labID]
	if l == nil {
		return View{}, false, fault.New(fault.NotFound, "There is no such lab on this server.", nil).Detailed("no_lab")
	}
	if !slices.Contains(l.Langs, lang) {
		lang = l.Langs[0]
	}
	if l.Stack.Full && !m.cfg.Full {
		return View{}, false, fault.New(fault.Invalid, "This lab needs a kind of isolation that this server does not offer. Please ask your instructor.", nil).Detailed("isolation")
	}
	s, existing, err := m.reserve(learner, labID, lang)
	if err != nil {
		return View{}, false, err
	}
	if existing {
		s.setLang(ctx, lang)
		return s.view(), true, nil
	}
	if err := m.store(ctx, s, startOver); err != nil {
		m.forget(s)
		m.wg.Done()
		s.stop(err)
		s.finish(Failed, nil)
		return View{}, false, fmt.Errorf("store a new session: %w", err)
	}
	v = s.view()
	go func() {
		defer m.wg.Done()
		s.run()
	}()
	return v, false, nil
}

// store stores a new session, with the steps that are to be replayed.
func (m *Manager) store(ctx context.Context, s *session, startOver bool) error {
	replayTo := ""
	if !startOver {
		var err error
		if replayTo, err = m.replayTo(ctx, s); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.guide = s.newGuide(replayTo)
	row := s.row(replayTo)
	s.mu.Unlock()
	if err := m.cfg.Store.AddSession(ctx, row, m.leaseTTL()); err != nil {
		return err
	}
	m.mu.Lock()
	s.stored = true
	m.mu.Unlock()
	return nil
}

// reserve returns the learner's session of the lab, or adds a new one if the limits allow it. It counts and adds under one
// lock, so concurrent calls can't exceed the limits. For a new session the caller must call m.wg.Done once.
func (m *Manager) reserve(learner int64, labID, lang string) (s *session, existing bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mine := 0
	for _, s := range m.sessions {
		if s.learner != learner || !s.isAlive() {
			continue
		}
		if s.lab.ID == labID {
			return s, true, nil
		}
		mine++
	}
	switch limit := m.cfg.Limits; {
	case m.closed || !m.started:
		return nil, false, fault.New(fault.LabsOff, "labd is being restarted. Please try again in a moment.", nil).Detailed("restarting")
	case m.offReason != nil:
		return nil, false, m.offReason
	case mine >= limit.PerLearner:
		return nil, false, fault.New(fault.TooMany, fmt.Sprintf("You have %s running, which is all that you can have at once. End one of them, then start this one.", labs(mine)), nil).Detailed("learner_limit")
	case len(m.sessions) >= limit.Sessions:
		return nil, false, fault.New(fault.Full, fmt.Sprintf("All %d places of this class are taken. Please try again when somebody has finished.", limit.Sessions), nil).Detailed("class_limit")
	}
	s = m.newSession(strings.ToLower(rand.Text()), learner, m.cfg.Labs[labID], lang, sandbox.NewID(), stackMaking)
	m.sessions[s.id] = s
	m.wg.Add(1)
	return s, false, nil
}

func labs(n int) string {
	if n == 1 {
		return "one lab"
	}
	return strconv.Itoa(n) + " labs"
}

// forget removes a session of which nothing is left. It no longer counts against the limits.
func (m *Manager) forget(s *session) {
	m.mu.Lock()
	delete(m.sessions, s.id)
	m.mu.Unlock()
}

var (
	errNoSession = fault.New(fault.NotFound, "There is no such session.", nil).Detailed("no_session")
	errGone      = fault.New(fault.Gone, "This session has ended.", nil)
	errElsewhere = fault.New(fault.NodeDown, "This lab is served by another server now. Please reconnect in a moment.", nil).Detailed("elsewhere")
	errStopping  = fault.New(fault.NodeDown, "labd is being restarted. Your lab keeps running; please reconnect in a moment.", nil).Detailed("restarting")
)

// ErrStopping is the Cause of terminals that were closed because the Manager closes.
var ErrStopping error = errStopping

// find returns the learner's session. The session of another learner is a NotFound too, so nobody can find out which IDs
// exist.
func (m *Manager) find(ctx context.Context, learner int64, id string) (*session, error) {
	m.mu.Lock()
	s := m.sessions[id]
	m.mu.Unlock()
	if s != nil {
		if s.learner != learner {
			return nil, errNoSession
		}
		return s, nil
	}
	row, err := m.cfg.Store.Session(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && row.Learner != learner:
		return nil, errNoSession
	case err != nil:
		return nil, err
	case State(row.State) == Failed:
		// It can only be viewed, to read why it failed.
		s := m.adopt(row)
		s.stop(errEnded)
		return s, nil
	case row.Ended.IsZero():
		return nil, errElsewhere
	}
	return nil, errGone
}

// Get returns the learner's session. Errors: NotFound, Gone.
func (m *Manager) Get(ctx context.Context, learner int64, id string) (View, error) {
	s, err := m.find(ctx, learner, id)
	if err != nil {
		return View{}, err
	}
	return s.view(), nil
}

// List returns the learner's sessions that have not ended, oldest first. Unless labID is "", it only returns those of that
// lab.
func (m *Manager) List(learner int64, labID string) []View {
	m.mu.Lock()
	var mine []*session
	for _, s := range m.sessions {
		if s.learner == learner && s.isAlive() && (labID == "" || s.lab.ID == labID) {
			mine = append(mine, s)
		}
	}
	m.mu.Unlock()
	list := make([]View, 0, len(mine))
	for _, s := range mine {
		list = append(list, s.view())
	}
	slices.SortFunc(list, func(a, b View) int { return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID)) })
	return list
}

// Extend moves the session's end to one TTL from now. Errors: NotFound, Gone, Conflict when it can't be moved.
func (m *Manager) Extend(ctx context.Context, learner int64, id string) (View, error) {
	s, err := m.find(ctx, learner, id)
	if err != nil {
		return View{}, err
	}
	return s.extend(ctx)
}

// End ends the session and waits until its stack is destroyed. If the first attempt to destroy it fails, End returns the
// error, and labd retries in the background. Errors: NotFound, Gone, LabsOff.
func (m *Manager) End(ctx context.Context, learner int64, id string) error {
	s, err := m.find(ctx, learner, id)
	if err != nil {
		return err
	}
	return s.end(ctx)
}

// Progress returns every step that the learner ever finished.
func (m *Manager) Progress(ctx context.Context, learner int64) ([]LabProgress, error) {
	rows, err := m.cfg.Store.Progress(ctx, learner)
	if err != nil {
		return nil, err
	}
	byLab := map[string]map[string]time.Time{}
	for _, r := range rows {
		if byLab[r.Lab] == nil {
			byLab[r.Lab] = map[string]time.Time{}
		}
		byLab[r.Lab][r.Anchor] = r.Done
	}
	var out []LabProgress
	for id, steps := range byLab {
		l := m.cfg.Labs[id]
		done := l != nil
		if l != nil {
			for _, st := range l.Steps {
				done = done && !steps[st.Anchor].IsZero()
			}
		}
		out = append(out, LabProgress{Lab: id, Steps: steps, Done: done})
	}
	slices.SortFunc(out, func(a, b LabProgress) int { return strings.Compare(a.Lab, b.Lab) })
	return out, nil
}

// LabProgress is what a learner finished of a lab, in any session.
type LabProgress struct {
	Lab   string
	Steps map[string]time.Time // by anchor
	Done  bool                 // every step that the lab has now is finished
}
