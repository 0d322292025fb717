package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labrun"
	"github.com/labd-dev/labd/sandbox"
)

// ask is somebody who waits for a check of a step.
type ask struct {
	anchor string
	answer chan<- answer // has room for one
}

type answer struct {
	step StepView
	err  error
}

// checkNow has the open step checked and returns what was seen.
func (s *session) checkNow(ctx context.Context, anchor string) (StepView, error) {
	s.mu.Lock()
	_, err := s.usable("")
	st, open := s.lookup(anchor)
	s.mu.Unlock()
	switch {
	case st == nil:
		return StepView{}, fault.New(fault.NotFound, "This lab has no such step.", nil)
	case err != nil:
		return StepView{}, err
	case !open:
		return s.stepNow(anchor)
	}
	got := make(chan answer, 1)
	select {
	case s.asks <- ask{anchor, got}:
	case <-s.work.Done():
		return StepView{}, s.overFault()
	case <-ctx.Done():
		return StepView{}, context.Cause(ctx)
	}
	select {
	case a := <-got:
		return a.step, a.err
	case <-s.work.Done():
		return StepView{}, s.overFault()
	case <-ctx.Done():
		return StepView{}, context.Cause(ctx)
	}
}

func (s *session) overFault() error {
	if s.m.ctx.Err() != nil {
		return errStopping
	}
	return errGone
}

// lookup returns the step, or nil, and whether it is the one being worked on. s.mu is held.
func (s *session) lookup(anchor string) (st *step, current bool) {
	current = true
	for _, st := range s.steps {
		if st.def.Anchor == anchor {
			return st, current && st.done.IsZero()
		}
		current = current && !st.done.IsZero()
	}
	return nil, false
}

// stepNow is a step without a new check: a done one stays done.
func (s *session) stepNow(anchor string) (StepView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, _ := s.lookup(anchor)
	if st.done.IsZero() {
		return StepView{}, fault.New(fault.Conflict, "This step is not open yet: finish the ones before it.", nil)
	}
	report := st.report
	if report == nil {
		report = &check.Report{Passed: true, At: st.done, Findings: []check.Finding{}}
	}
	return StepView{Anchor: anchor, State: Done, Done: st.done, Report: report}, nil
}

// doSteps leads through the steps. It returns nil when the session ends.
func (s *session) doSteps() error {
	for i := range s.steps {
		if s.isDone(i) {
			continue
		}
		if !s.openStep(i) || !s.awaitStep(i) {
			return nil
		}
	}
	for {
		select {
		case <-s.work.Done():
			return nil
		case <-s.kick:
		case a := <-s.asks:
			s.reply(a, nil)
		}
	}
}

func (s *session) isDone(i int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.steps[i].done.IsZero()
}

// reply answers with the step as it is now.
func (s *session) reply(a ask, err error) {
	if err != nil {
		a.answer <- answer{err: err}
		return
	}
	s.mu.Lock()
	st, _ := s.lookup(a.anchor)
	v := StepView{Anchor: a.anchor, State: Open, Done: st.done, Report: st.report}
	if !st.done.IsZero() {
		v.State = Done
	}
	s.mu.Unlock()
	if v.Report == nil {
		a.answer <- answer{err: fault.New(fault.Conflict, "This step is still being prepared. Please wait a moment.", nil)}
		return
	}
	a.answer <- answer{step: v}
}

// openStep prepares a step and opens it, and returns false when the session ends before. A setup that fails is tried
// again: what it needs may be starting still.
func (s *session) openStep(i int) bool {
	s.mu.Lock()
	st := s.steps[i]
	opened := !st.opened.IsZero()
	s.mu.Unlock()
	if opened {
		return true
	}
	var wait backoff
	for {
		if !s.awaitEngines(st.def) {
			return false
		}
		err := s.answering(func() error { return s.prepareAndOpen(i) })
		if s.work.Err() != nil {
			return false
		}
		if err == nil {
			return true
		}
		s.m.log.Error("a step could not be prepared", "session", s.id, "lab", s.lab.ID, "step", st.def.Anchor, "err", err)
		s.mu.Lock()
		// No words: the page has them in its language.
		st.report = &check.Report{At: time.Now().UTC(), Pending: true, Findings: []check.Finding{{
			Kind: "setup", Pending: true, Subject: st.def.Anchor,
		}}}
		s.publish()
		s.mu.Unlock()
		if s.answering(func() error { return wait.sleep(s.work) }) != nil {
			return false
		}
	}
}

// answering runs f and answers requests for checks meanwhile: f may take minutes. f must return when the session ends.
func (s *session) answering(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- s.guard(f) }()
	for {
		select {
		case err := <-done:
			return err
		case a := <-s.asks:
			s.reply(a, nil)
		}
	}
}

// prepareAndOpen runs the step's setup and stores that the step is open.
func (s *session) prepareAndOpen(i int) error {
	if err := s.prepare(s.work, i); err != nil {
		return err
	}
	st, now := s.steps[i], time.Now()
	err := s.persist(func(ctx context.Context) error {
		return s.m.cfg.Store.OpenStep(ctx, s.id, st.def.Anchor, now)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.opened, st.report = now, nil
	s.publish()
	return nil
}

// awaitEngines waits until the engines answer, if the step has scripts that may need them.
func (s *session) awaitEngines(def *lab.Step) bool {
	if len(def.Setup) == 0 {
		return true
	}
	for {
		s.mu.Lock()
		ready := s.viewLocked().Engine == EngineReady && s.state == Ready
		s.mu.Unlock()
		if ready {
			return true
		}
		select {
		case <-s.work.Done():
			return false
		case <-s.kick:
		case a := <-s.asks:
			s.reply(a, nil)
		}
	}
}

// prepare puts the lab's files in place before the first step, and runs the step's setup scripts.
func (s *session) prepare(ctx context.Context, i int) error {
	within := func(f func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, setupTimeout)
		defer cancel()
		return f(ctx)
	}
	nodes := s.stack.Nodes()
	if i == 0 {
		if err := within(func(ctx context.Context) error { return labrun.InstallFiles(ctx, s.lab, nodes) }); err != nil {
			return err
		}
	}
	for _, script := range s.steps[i].def.Setup {
		err := within(func(ctx context.Context) error { return labrun.RunScript(ctx, script, nodes, s.vars) })
		var failed *labrun.ScriptError
		if errors.As(err, &failed) {
			err = fmt.Errorf("setup: %w: %q", err, tail(failed.Output))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tail is the end of a script's output, where its error is.
func tail(b []byte) string {
	if len(b) > maxSetupOutput {
		b = b[len(b)-maxSetupOutput:]
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// awaitStep checks the step until it is done, and returns false when the session ends before.
func (s *session) awaitStep(i int) bool {
	p := newPace(time.Now())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var asked *ask
		select {
		case <-s.work.Done():
			return false
		case <-s.kick:
			p.kicked(time.Now())
			if wait := p.wait(time.Now()); wait > 0 {
				timer.Reset(wait)
				continue
			}
		case a := <-s.asks:
			asked = &a
			p.kicked(time.Now())
		case <-timer.C:
		}
		began := time.Now()
		changed, done, err := s.checkStep(i)
		p.checked(began, time.Now(), changed)
		if asked != nil {
			s.reply(*asked, askFault(err))
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

func askFault(err error) error {
	if errors.Is(err, sandbox.ErrNodeDown) || errors.Is(err, sandbox.ErrUnavailable) {
		return fault.New(fault.NodeDown, errNodeDown.Message, err)
	}
	return err
}

// checkStep looks once. changed tells that the report differs from the one before.
func (s *session) checkStep(i int) (changed, done bool, err error) {
	select {
	case s.m.checking <- struct{}{}:
		defer func() { <-s.m.checking }()
	case <-s.work.Done():
		return false, false, context.Cause(s.work)
	}
	s.mu.Lock()
	st := s.steps[i]
	in := check.Input{Step: st.def, Nodes: s.stack.Nodes(), Vars: s.vars, Facts: maps.Clone(s.facts), Lang: s.lang}
	s.mu.Unlock()
	report, err := s.m.cfg.Check.Run(s.work, in)
	if err == nil && report.Passed {
		err = s.finishStep(st, &report)
		done = err == nil
	}
	if err != nil {
		if s.work.Err() == nil && !errors.Is(err, sandbox.ErrNodeDown) {
			s.m.log.Warn("a step could not be checked", "session", s.id, "lab", s.lab.ID, "step", st.def.Anchor, "err", err)
		}
		return false, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = !sameReport(st.report, &report)
	st.report = &report
	if done {
		st.done = report.At
		maps.Copy(s.facts, report.Remembered)
	}
	if changed {
		s.publish()
	}
	return changed, done, nil
}

// finishStep stores that the step is done before anybody is told.
func (s *session) finishStep(st *step, report *check.Report) error {
	facts := make(map[string]json.RawMessage, len(report.Remembered))
	for name, f := range report.Remembered {
		raw, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("remember %s: %w", name, err)
		}
		facts[name] = raw
	}
	return s.persist(func(ctx context.Context) error {
		return s.m.cfg.Store.FinishStep(ctx, s.id, st.def.Anchor, report.At, facts)
	})
}

// sameReport compares what was seen, not when.
func sameReport(a, b *check.Report) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.At, y.At = time.Time{}, time.Time{}
	return reflect.DeepEqual(x, y)
}
