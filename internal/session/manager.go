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

// Manager owns all sessions. Make one with New, then call Start, and Close at the end.
type Manager struct {
	cfg      Config
	log      *slog.Logger
	starting chan struct{} // one token per stack being made
	checking chan struct{} // one token per check running

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup

	look chan struct{} // asks the monitor for a look at the engine now

	mu        sync.Mutex
	started   bool
	closed    bool
	driver    sandbox.Driver      // nil until Connect succeeded; guarded by mu
	connected chan struct{}       // closed when driver is set
	off       error               // why labs are off, nil when they work; guarded by mu
	sessions  map[string]*session // all of which something may be left; guarded by mu
}

var errNotLooked = fault.New(fault.LabsOff, "labd has just started and is still looking for the engine. Please try again in a moment.", nil).Detailed("not_looked")

// New returns a Manager that does nothing yet.
func New(cfg Config) *Manager {
	ctx, cancel := context.WithCancel(context.Background())
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{
		cfg:       cfg,
		log:       cfg.Log,
		starting:  make(chan struct{}, max(cfg.Limits.Starting, 1)),
		checking:  make(chan struct{}, maxChecks),
		ctx:       ctx,
		cancel:    cancel,
		look:      make(chan struct{}, 1),
		connected: make(chan struct{}),
		off:       errNotLooked,
		sessions:  map[string]*session{},
	}
}

// Start takes up the sessions that the store knows and begins to look for the engine. It does not wait for the engine.
func (m *Manager) Start(ctx context.Context) error {
	m.mu.Lock()
	if m.started || m.closed {
		m.mu.Unlock()
		return errors.New("the session manager was started or closed before")
	}
	m.mu.Unlock()
	if err := m.claim(ctx, nil); err != nil {
		return fmt.Errorf("find the sessions of the last run: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started = true
	m.wg.Go(m.monitor)
	m.wg.Go(m.keepLeases)
	m.wg.Go(m.sweep)
	return nil
}

// Close stops serving: terminals are cut, stacks and shells stay as they are. It returns when all goroutines have ended
// or ctx has.
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
	// Nothing runs any more, so another labd may take the sessions over without waiting.
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

// Status tells whether labs can be started.
func (m *Manager) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := Status{Ready: m.off == nil, Sessions: len(m.sessions), Limit: m.cfg.Limits.Sessions}
	if m.off != nil {
		st.Reason, st.Detail = fault.MessageOf(m.off), fault.DetailOf(m.off)
	}
	return st
}

// Create returns the learner's session of the lab: the one that lives, or a new one that is being made. Existing tells
// which. Unless startOver is set, a new session begins where the learner was: the steps that they finished earlier are
// replayed. A learner who finished the whole lab begins at its start.
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
	if !startOver {
		progress, err := m.cfg.Store.Progress(ctx, s.learner)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.replay = newReplay(s.lab, reached(s.lab, progress))
		s.mu.Unlock()
	}
	if err := m.cfg.Store.AddSession(ctx, s.row(), m.leaseTTL()); err != nil {
		return err
	}
	m.mu.Lock()
	s.stored = true
	m.mu.Unlock()
	return nil
}

// reserve takes a place for a new session, or finds the one that lives. The limits hold exactly because counting and
// taking are one step. For a new session the caller owes wg one Done.
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
	case m.off != nil:
		return nil, false, m.off
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

// forget takes a session of which nothing is left out of the count.
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

// ErrStopping is the cause that terminals are cut with when the Manager closes.
var ErrStopping error = errStopping

// find returns the learner's session. Another learner's is not told apart from none.
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
		// Only to be looked at: it tells why it failed.
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

// List returns the learner's sessions that are alive, oldest first; of one lab unless labID is "".
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

// End ends the session and returns when nothing of it is left, or with the first failure to remove it; labd then goes on
// trying by itself. Errors: NotFound, Gone, LabsOff.
func (m *Manager) End(ctx context.Context, learner int64, id string) error {
	s, err := m.find(ctx, learner, id)
	if err != nil {
		return err
	}
	return s.end(ctx)
}

// Check checks the open step now. Errors: NotFound (also: no such step), Gone, Conflict (not open, not ready), NodeDown.
func (m *Manager) Check(ctx context.Context, learner int64, id, anchor string) (StepView, error) {
	s, err := m.find(ctx, learner, id)
	if err != nil {
		return StepView{}, err
	}
	return s.checkNow(ctx, anchor)
}

// Progress returns all that the learner ever finished.
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

// LabProgress is what a learner finished of a lab, in whichever session.
type LabProgress struct {
	Lab   string
	Steps map[string]time.Time // by anchor
	Done  bool                 // every step the lab has now
}
