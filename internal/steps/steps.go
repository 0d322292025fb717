// Package steps leads a learner through the steps of a lab on a running stack: it runs setups, checks the open step, and
// replays finished steps on a new stack.
//
// A Guide has the state of all steps. Steps are done in order, and each one is first Locked, then Open, then Done. A step
// opens after its setup scripts have run. An open step is checked whenever the stack reports a change, and again after
// some time (pace.go), because what the learner started may need a moment until it answers. On a new stack, the steps that
// the learner finished earlier are replayed first (replay.go).
//
// The Guide stores every change before it shows it. It does not know sessions: what it needs of one is in Config.
package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labrun"
	"github.com/labd-dev/labd/sandbox"
)

const (
	engineTimeout = 2 * time.Minute // for the engines of a new stack to answer, before steps are replayed
	filesTimeout  = 2 * time.Minute // to install the lab's files

	maxScriptOutput = 500 // bytes of a failed script's output that are logged
)

// State is the state of a step. It only moves forward.
type State string

const (
	Locked State = "locked"
	Open   State = "open"
	Done   State = "done" // a step that is done stays done, even if its check would fail later
)

var order = []State{Locked, Open, Done}

// advance sets the state to next if that is the state that follows. Otherwise it returns false.
func (s *State) advance(next State) bool {
	if slices.Index(order, next) != slices.Index(order, *s)+1 {
		return false
	}
	*s = next
	return true
}

// Checker checks steps. *check.Runner is one.
type Checker interface {
	Run(ctx context.Context, in check.Input) (check.Report, error)
}

// Recorder stores the progress of one session. Its methods must also work while the session ends.
type Recorder interface {
	OpenStep(anchor string, at time.Time) error
	FinishStep(anchor string, at time.Time, facts map[string]json.RawMessage) error
	SetReplayTo(anchor string) error
}

// Config is what a Guide needs.
type Config struct {
	Lab      *lab.Lab
	Vars     map[string]string // the session's variables
	Lang     string            // of reports
	ReplayTo string            // anchor of the last step to be replayed; "" for none
	Check    Checker
	Store    Recorder
	Log      *slog.Logger
	// Acquire waits for permission to run a check, which release gives back.
	Acquire func(ctx context.Context) (release func(), err error)
	// EnginesReady reports whether the Docker engines of all nodes answer. The Guide asks again after each Recheck.
	EnginesReady func() bool
	// Changed is called after the view has changed.
	Changed func()
	Settle  time.Duration // for a check to pass after a replayed solution; 0 means labrun.Settle
}

// step is the state of one step. Guarded by Guide.mu.
type step struct {
	def    *lab.Step
	state  State
	done   time.Time // when it was done; zero before
	report *check.Report
}

// Guide leads through the steps of one lab on one stack. Its methods may be called concurrently.
type Guide struct {
	cfg      Config
	recheck  chan struct{} // has a token when something may have changed
	requests chan request

	mu     sync.Mutex
	lang   string      // guarded by mu
	steps  []*step     // the slice never changes; its elements are guarded by mu
	facts  check.Facts // what checks of later steps compare with; guarded by mu
	replay *replay     // nil if nothing is replayed; guarded by mu
}

// New returns a Guide whose steps are all locked.
func New(cfg Config) *Guide {
	g := &Guide{cfg: cfg, lang: cfg.Lang, recheck: make(chan struct{}, 1), requests: make(chan request), facts: check.Facts{}}
	for _, def := range cfg.Lab.Steps {
		g.steps = append(g.steps, &step{def: def, state: Locked})
	}
	g.replay = newReplay(cfg.Lab, cfg.ReplayTo)
	return g
}

// Restore sets a step open or, if done is not zero, done, as an earlier run of labd stored it. Call it before Run.
func (g *Guide) Restore(anchor string, done time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if st, _ := g.lookup(anchor); st != nil {
		st.state.advance(Open)
		if !done.IsZero() && st.state.advance(Done) {
			st.done = done
		}
	}
}

// Remember restores a fact that an earlier run of labd stored. Call it before Run.
func (g *Guide) Remember(name string, fact check.Fact) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.facts[name] = fact
}

// View is a snapshot of a step.
type View struct {
	Anchor string
	Title  string // in the Guide's language
	State  State
	Done   time.Time     // when the step was done; zero before
	Report *check.Report // of the last check, or nil; read only
}

// Views returns all steps, and the progress of the replay, or nil.
func (g *Guide) Views() ([]View, *Replay) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []View
	for _, st := range g.steps {
		list = append(list, g.view(st))
	}
	if g.replay == nil {
		return list, nil
	}
	return list, g.replay.view(g.steps)
}

// view: g.mu is held.
func (g *Guide) view(st *step) View {
	return View{Anchor: st.def.Anchor, Title: st.def.Title.For(g.lang), State: st.state, Done: st.done, Report: st.report}
}

// SetLang sets the language of further reports.
func (g *Guide) SetLang(lang string) {
	g.mu.Lock()
	g.lang = lang
	g.mu.Unlock()
	g.Recheck()
}

// Recheck tells the Guide that something in the stack may have changed.
func (g *Guide) Recheck() {
	select {
	case g.recheck <- struct{}{}:
	default:
	}
}

// lookup returns the step, or nil, and whether it is the current one: the first that is not done. g.mu is held.
func (g *Guide) lookup(anchor string) (st *step, current bool) {
	current = true
	for _, st := range g.steps {
		if st.def.Anchor == anchor {
			return st, current && st.state != Done
		}
		current = current && st.state == Done
	}
	return nil, false
}

var (
	errNoStep    = fault.New(fault.NotFound, "This lab has no such step.", nil).Detailed("no_step")
	errLocked    = fault.New(fault.Conflict, "This step is not open yet: finish the ones before it.", nil).Detailed("step_locked")
	errPreparing = fault.New(fault.Conflict, "This step is still being prepared. Please wait a moment.", nil).Detailed("step_preparing")
)

// Needs returns the names of the nodes that a check of the step would look at now; "" is the first node. It returns none if
// a check would answer without looking. Errors: NotFound.
func (g *Guide) Needs(anchor string) ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	st, current := g.lookup(anchor)
	if st == nil {
		return nil, errNoStep
	}
	if !current {
		return nil, nil
	}
	probes := slices.Clone(st.def.Check.Probes)
	for _, wrong := range st.def.Check.Wrong {
		probes = append(probes, wrong.Probes...)
	}
	var nodes []string
	for _, p := range probes {
		nodes = append(nodes, p.Node)
	}
	return nodes, nil
}

// request asks for a check of a step.
type request struct {
	anchor string
	answer chan<- answer // has capacity one, so the Guide never waits
}

type answer struct {
	view View
	err  error
}

// Check checks the step now if it is the current one, and returns it. Errors: NotFound, Conflict, ctx's cause, and those
// of the Checker.
func (g *Guide) Check(ctx context.Context, anchor string) (View, error) {
	g.mu.Lock()
	st, current := g.lookup(anchor)
	if st == nil || !current {
		defer g.mu.Unlock()
		return g.withoutCheck(st)
	}
	g.mu.Unlock()
	got := make(chan answer, 1)
	select {
	case g.requests <- request{anchor, got}:
	case <-ctx.Done():
		return View{}, context.Cause(ctx)
	}
	select {
	case a := <-got:
		return a.view, a.err
	case <-ctx.Done():
		return View{}, context.Cause(ctx)
	}
}

// withoutCheck returns a step that is not the current one. g.mu is held.
func (g *Guide) withoutCheck(st *step) (View, error) {
	switch {
	case st == nil:
		return View{}, errNoStep
	case st.state != Done:
		return View{}, errLocked
	}
	v := g.view(st)
	if v.Report == nil {
		v.Report = &check.Report{Passed: true, At: st.done, Findings: []check.Finding{}}
	}
	return v, nil
}

// reply answers a request with err or, if that is nil, with the present state of the step.
func (g *Guide) reply(r request, err error) {
	if err != nil {
		r.answer <- answer{err: err}
		return
	}
	g.mu.Lock()
	st, _ := g.lookup(r.anchor)
	v := g.view(st)
	g.mu.Unlock()
	if v.Report == nil {
		r.answer <- answer{err: errPreparing}
		return
	}
	r.answer <- answer{view: v}
}

// run is one Run on a stack.
type run struct {
	*Guide
	ctx   context.Context
	nodes []sandbox.Node
}

// Run leads through the steps until ctx ends. Call it once.
func (g *Guide) Run(ctx context.Context, nodes []sandbox.Node) {
	r := &run{g, ctx, nodes}
	r.replaySteps()
	for i := range g.steps {
		if g.isDone(i) {
			continue
		}
		if !r.open(i) || !r.await(i) {
			return
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.recheck:
		case q := <-g.requests:
			g.reply(q, nil)
		}
	}
}

func (g *Guide) isDone(i int) bool { return g.stateOf(i) == Done }

func (g *Guide) stateOf(i int) State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.steps[i].state
}

// open prepares a step and opens it. It returns false if r.ctx ends before. If the setup fails, open retries it: what it
// needs may still be starting.
func (r *run) open(i int) bool {
	if r.stateOf(i) != Locked {
		return true
	}
	st := r.steps[i]
	var wait Backoff
	for {
		if !r.awaitEngines(st.def) {
			return false
		}
		err := r.answering(func() error { return r.prepare(i) })
		if r.ctx.Err() != nil {
			return false
		}
		if err == nil {
			// Only after answering has returned: a request for a check of an open step must wait for its first check.
			r.markOpen(i)
			return true
		}
		r.cfg.Log.Error("a step could not be prepared", "step", st.def.Anchor, "err", err, "output", labrun.OutputOf(err, maxScriptOutput))
		r.mu.Lock()
		// The finding has no text. The page has one in its own language.
		st.report = &check.Report{At: time.Now().UTC(), Pending: true, Findings: []check.Finding{{
			Kind: "setup", Pending: true, Subject: st.def.Anchor,
		}}}
		r.mu.Unlock()
		r.cfg.Changed()
		if r.answering(func() error { return wait.Sleep(r.ctx) }) != nil {
			return false
		}
	}
}

// answering runs f, which may take minutes, and meanwhile answers requests for checks. f must return when r.ctx ends. A
// panic in f is one in the caller's goroutine.
func (r *run) answering(f func() error) error {
	type result struct {
		err   error
		panic string
	}
	done := make(chan result, 1)
	go func() {
		var res result
		defer func() {
			if p := recover(); p != nil {
				res.panic = fmt.Sprintf("%v\n%s", p, debug.Stack()) // the caller's stack would not show where
			}
			done <- res
		}()
		res.err = f()
	}()
	for {
		select {
		case res := <-done:
			if res.panic != "" {
				panic(res.panic)
			}
			return res.err
		case q := <-r.requests:
			r.reply(q, nil)
		}
	}
}

// awaitEngines waits until all engines answer, if the step has setup scripts. It returns false if r.ctx ends before.
func (r *run) awaitEngines(def *lab.Step) bool {
	if len(def.Setup) == 0 {
		return true
	}
	for !r.cfg.EnginesReady() {
		select {
		case <-r.ctx.Done():
			return false
		case <-r.recheck:
		case q := <-r.requests:
			r.reply(q, nil)
		}
	}
	return true
}
