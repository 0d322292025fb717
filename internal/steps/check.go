package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/labrun"
	"github.com/labd-dev/labd/sandbox"
)

// prepare runs the step's setup scripts and stores that the step is open. Before the first step it installs the lab's files.
func (r *run) prepare(i int) error {
	def := r.steps[i].def
	if i == 0 {
		ctx, cancel := context.WithTimeout(r.ctx, filesTimeout)
		defer cancel()
		if err := labrun.InstallFiles(ctx, r.cfg.Lab, r.nodes); err != nil {
			return err
		}
	}
	if err := labrun.RunScripts(r.ctx, def.Setup, r.nodes, r.cfg.Vars); err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	return r.cfg.Store.OpenStep(def.Anchor, time.Now())
}

func (g *Guide) markOpen(i int) {
	g.mu.Lock()
	if st := g.steps[i]; st.state.advance(Open) {
		st.report = nil
	}
	g.mu.Unlock()
	g.cfg.Changed()
}

// await checks the step until it is done. It returns false if r.ctx ends before.
func (r *run) await(i int) bool {
	p := newPace(time.Now())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var asked *request
		select {
		case <-r.ctx.Done():
			return false
		case <-r.recheck:
			p.eventAt(time.Now())
			if wait := p.wait(time.Now()); wait > 0 {
				timer.Reset(wait)
				continue
			}
		case q := <-r.requests:
			asked = &q
			p.eventAt(time.Now())
		case <-timer.C:
		}
		began := time.Now()
		changed, done, err := r.check(i)
		p.checked(began, time.Now(), changed)
		if asked != nil {
			r.reply(*asked, err)
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

// check runs the step's check once. changed is true if the report differs from the one before.
func (r *run) check(i int) (changed, done bool, err error) {
	release, err := r.cfg.Acquire(r.ctx)
	if err != nil {
		return false, false, err
	}
	defer release()
	r.mu.Lock()
	st := r.steps[i]
	in := check.Input{Step: st.def, Nodes: r.nodes, Vars: r.cfg.Vars, Facts: maps.Clone(r.facts), Lang: r.lang}
	r.mu.Unlock()
	report, err := r.cfg.Check.Run(r.ctx, in)
	if err == nil && report.Passed {
		err = r.storeDone(st, &report)
		done = err == nil
	}
	if err != nil {
		if r.ctx.Err() == nil && !errors.Is(err, sandbox.ErrNodeDown) {
			r.cfg.Log.Warn("a step could not be checked", "step", st.def.Anchor, "err", err)
		}
		return false, false, err
	}
	r.mu.Lock()
	changed = !sameReport(st.report, &report)
	st.report = &report
	if done && st.state.advance(Done) {
		st.done = report.At
		maps.Copy(r.facts, report.Remembered)
	}
	r.mu.Unlock()
	if changed {
		r.cfg.Changed()
	}
	return changed, done, nil
}

// storeDone stores that the step is done. This happens before the view shows it.
func (r *run) storeDone(st *step, report *check.Report) error {
	facts := make(map[string]json.RawMessage, len(report.Remembered))
	for name, f := range report.Remembered {
		raw, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("remember %s: %w", name, err)
		}
		facts[name] = raw
	}
	return r.cfg.Store.FinishStep(st.def.Anchor, report.At, facts)
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
