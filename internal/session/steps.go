package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labrun"
	"github.com/labd-dev/labd/sandbox"
)

// step is the state of one step. Guarded by session.mu.
type step struct {
	def    *lab.Step
	state  StepState
	done   time.Time // when it was done; zero before
	report *check.Report
}

// steps are the steps of a lab, in order. Guarded by session.mu.
type steps []*step

func newSteps(l *lab.Lab) steps {
	var list steps
	for _, def := range l.Steps {
		list = append(list, &step{def: def, state: Locked})
	}
	return list
}

// lookup returns the step, or nil, and whether it is the current one: the first that is not done.
func (list steps) lookup(anchor string) (st *step, current bool) {
	current = true
	for _, st := range list {
		if st.def.Anchor == anchor {
			return st, current && st.state != Done
		}
		current = current && st.state == Done
	}
	return nil, false
}

// doneUntil returns the anchor of the last of the steps that are done without a gap, "" if the first step is not done.
func (list steps) doneUntil() string {
	last := ""
	for _, st := range list {
		if st.state != Done {
			break
		}
		last = st.def.Anchor
	}
	return last
}

// checkRequest asks the guide for a check of a step.
type checkRequest struct {
	anchor string
	answer chan<- checkAnswer // has capacity one, so the guide never waits
}

type checkAnswer struct {
	step StepView
	err  error
}

// checkNow checks the step now if it is the current one, and returns the result.
func (s *session) checkNow(ctx context.Context, anchor string) (StepView, error) {
	s.mu.Lock()
	st, current := s.steps.lookup(anchor)
	err := s.stackUsable()
	if err == nil && current {
		err = s.nodesOf(st.def)
	}
	s.mu.Unlock()
	switch {
	case st == nil:
		return StepView{}, fault.New(fault.NotFound, "This lab has no such step.", nil).Detailed("no_step")
	case err != nil:
		return StepView{}, err
	case !current:
		return s.stepNow(anchor)
	}
	got := make(chan checkAnswer, 1)
	select {
	case s.checkRequests <- checkRequest{anchor, got}:
	case <-s.ctx.Done():
		return StepView{}, s.overFault()
	case <-ctx.Done():
		return StepView{}, context.Cause(ctx)
	}
	select {
	case a := <-got:
		return a.step, a.err
	case <-s.ctx.Done():
		return StepView{}, s.overFault()
	case <-ctx.Done():
		return StepView{}, context.Cause(ctx)
	}
}

// nodesOf returns an error if a node that the step's check needs is down. s.mu is held.
func (s *session) nodesOf(def *lab.Step) error {
	probes := slices.Clone(def.Check.Probes)
	for _, wrong := range def.Check.Wrong {
		probes = append(probes, wrong.Probes...)
	}
	for _, p := range probes {
		if n := s.stack.node(p.Node); n != nil && n.state == NodeDown {
			return errNodeDown
		}
	}
	return nil
}

func (s *session) overFault() error {
	if s.m.ctx.Err() != nil {
		return errStopping
	}
	return errGone
}

// stepNow returns a step without checking it. A step that is done stays done.
func (s *session) stepNow(anchor string) (StepView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, _ := s.steps.lookup(anchor)
	if st.state != Done {
		return StepView{}, fault.New(fault.Conflict, "This step is not open yet: finish the ones before it.", nil).Detailed("step_locked")
	}
	report := st.report
	if report == nil {
		report = &check.Report{Passed: true, At: st.done, Findings: []check.Finding{}}
	}
	return StepView{Anchor: anchor, State: Done, Done: st.done, Report: report}, nil
}

// reply answers a request with err or, if that is nil, with the present state of the step.
func (s *session) reply(r checkRequest, err error) {
	if err != nil {
		r.answer <- checkAnswer{err: err}
		return
	}
	s.mu.Lock()
	st, _ := s.steps.lookup(r.anchor)
	v := StepView{Anchor: r.anchor, State: st.state, Done: st.done, Report: st.report}
	s.mu.Unlock()
	if v.Report == nil {
		r.answer <- checkAnswer{err: fault.New(fault.Conflict, "This step is still being prepared. Please wait a moment.", nil).Detailed("step_preparing")}
		return
	}
	r.answer <- checkAnswer{step: v}
}

// guide leads a learner through the steps on one stack. It runs in a goroutine of its own.
type guide struct {
	s     *session
	ctx   context.Context // the stack's
	nodes []sandbox.Node
}

// run returns when g.ctx ends. An error ends the session.
func (g *guide) run() error {
	s := g.s
	g.replaySteps()
	for i := range s.steps {
		if s.isDone(i) {
			continue
		}
		if !g.open(i) || !g.await(i) {
			return nil
		}
	}
	for {
		select {
		case <-g.ctx.Done():
			return nil
		case <-s.recheck:
		case r := <-s.checkRequests:
			s.reply(r, nil)
		}
	}
}

func (s *session) isDone(i int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.steps[i].state == Done
}

// open prepares a step and opens it. It returns false if g.ctx ends before. If the setup fails, open retries it: what it
// needs may still be starting.
func (g *guide) open(i int) bool {
	s := g.s
	s.mu.Lock()
	st := s.steps[i]
	locked := st.state == Locked
	s.mu.Unlock()
	if !locked {
		return true
	}
	var wait backoff
	for {
		if !g.awaitEngines(st.def) {
			return false
		}
		err := g.answering(func() error { return g.prepare(i) })
		if g.ctx.Err() != nil {
			return false
		}
		if err == nil {
			// Only after answering has returned: a request for a check of an open step must wait for its first check.
			g.markOpen(i)
			return true
		}
		s.m.log.Error("a step could not be prepared", "session", s.id, "lab", s.lab.ID, "step", st.def.Anchor,
			"err", err, "output", labrun.OutputOf(err, maxScriptOutput))
		s.mu.Lock()
		// The finding has no text. The page has one in its own language.
		st.report = &check.Report{At: time.Now().UTC(), Pending: true, Findings: []check.Finding{{
			Kind: "setup", Pending: true, Subject: st.def.Anchor,
		}}}
		s.publish()
		s.mu.Unlock()
		if g.answering(func() error { return wait.sleep(g.ctx) }) != nil {
			return false
		}
	}
}

// answering runs f, which may take minutes, and meanwhile answers requests for checks. f must return when g.ctx ends.
func (g *guide) answering(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- guard(f) }()
	for {
		select {
		case err := <-done:
			return err
		case r := <-g.s.checkRequests:
			g.s.reply(r, nil)
		}
	}
}

// awaitEngines waits until all engines answer, if the step has setup scripts. It returns false if g.ctx ends before.
func (g *guide) awaitEngines(def *lab.Step) bool {
	if len(def.Setup) == 0 {
		return true
	}
	for {
		g.s.mu.Lock()
		ready := !slices.ContainsFunc(g.s.stack.nodes, func(n *node) bool { return n.state != NodeUp || n.engine != EngineReady })
		g.s.mu.Unlock()
		if ready {
			return true
		}
		select {
		case <-g.ctx.Done():
			return false
		case <-g.s.recheck:
		case r := <-g.s.checkRequests:
			g.s.reply(r, nil)
		}
	}
}

// prepare runs the step's setup scripts and stores that the step is open. Before the first step it installs the lab's files.
func (g *guide) prepare(i int) error {
	s, def := g.s, g.s.steps[i].def
	if i == 0 {
		ctx, cancel := context.WithTimeout(g.ctx, filesTimeout)
		defer cancel()
		if err := labrun.InstallFiles(ctx, s.lab, g.nodes); err != nil {
			return err
		}
	}
	if err := labrun.RunScripts(g.ctx, def.Setup, g.nodes, s.vars); err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	return s.persist(func(ctx context.Context) error {
		return s.m.cfg.Store.OpenStep(ctx, s.lease, def.Anchor, time.Now())
	})
}

func (g *guide) markOpen(i int) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	if st := g.s.steps[i]; stepMoves.move(&st.state, Open) {
		st.report = nil
		g.s.publish()
	}
}

// await checks the step until it is done. It returns false if g.ctx ends before.
func (g *guide) await(i int) bool {
	s := g.s
	p := newPace(time.Now())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var asked *checkRequest
		select {
		case <-g.ctx.Done():
			return false
		case <-s.recheck:
			p.eventAt(time.Now())
			if wait := p.wait(time.Now()); wait > 0 {
				timer.Reset(wait)
				continue
			}
		case r := <-s.checkRequests:
			asked = &r
			p.eventAt(time.Now())
		case <-timer.C:
		}
		began := time.Now()
		changed, done, err := g.check(i)
		p.checked(began, time.Now(), changed)
		if asked != nil {
			s.reply(*asked, checkFault(err))
		}
		if done {
			return true
		}
		timer.Stop()
		if wait := p.wait(time.Now()); wait >= 0 {
			timer.Reset(wait)
		}
	}
}

// checkFault returns the fault that tells the learner why a check failed.
func checkFault(err error) error {
	if errors.Is(err, sandbox.ErrNodeDown) || errors.Is(err, sandbox.ErrUnavailable) {
		return errNodeDown.Because(err)
	}
	return err
}

// check runs the step's check once. changed is true if the report differs from the one before.
func (g *guide) check(i int) (changed, done bool, err error) {
	s := g.s
	select {
	case s.m.checking <- struct{}{}:
		defer func() { <-s.m.checking }()
	case <-g.ctx.Done():
		return false, false, context.Cause(g.ctx)
	}
	s.mu.Lock()
	st := s.steps[i]
	in := check.Input{Step: st.def, Nodes: g.nodes, Vars: s.vars, Facts: maps.Clone(s.facts), Lang: s.lang}
	s.mu.Unlock()
	report, err := s.m.cfg.Check.Run(g.ctx, in)
	if err == nil && report.Passed {
		err = s.storeDone(st, &report)
		done = err == nil
	}
	if err != nil {
		if g.ctx.Err() == nil && !errors.Is(err, sandbox.ErrNodeDown) {
			s.m.log.Warn("a step could not be checked", "session", s.id, "lab", s.lab.ID, "step", st.def.Anchor, "err", err)
		}
		return false, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = !sameReport(st.report, &report)
	st.report = &report
	if done && stepMoves.move(&st.state, Done) {
		st.done = report.At
		s.remember(report.Remembered)
	}
	if changed {
		s.publish()
	}
	return changed, done, nil
}

// remember adds facts that the checks of later steps need. s.mu is held.
func (s *session) remember(facts check.Facts) {
	if s.facts == nil {
		s.facts = check.Facts{}
	}
	maps.Copy(s.facts, facts)
}

// storeDone stores that the step is done. This happens before the view shows it.
func (s *session) storeDone(st *step, report *check.Report) error {
	facts := make(map[string]json.RawMessage, len(report.Remembered))
	for name, f := range report.Remembered {
		raw, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("remember %s: %w", name, err)
		}
		facts[name] = raw
	}
	return s.persist(func(ctx context.Context) error {
		return s.m.cfg.Store.FinishStep(ctx, s.lease, st.def.Anchor, report.At, facts)
	})
}

// sameReport compares two reports without their times.
func sameReport(a, b *check.Report) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.At, y.At = time.Time{}, time.Time{}
	return reflect.DeepEqual(x, y)
}
