// Package labtest tests labs on real nodes. It finds checks that pass too early, never pass, or
// miss a wrong state.
//
// Every lab runs on a new stack. For each step, in order:
//
//  1. Run the setup scripts. The check must not pass.
//  2. For each wrong state that has a `wrong` block: run the block. The check must recognize
//     exactly that state. Then run the undo block. The check must not pass.
//  3. Run the solution. The check must pass within labrun.Settle.
//
// If a step fails, the steps after it cannot be tested. They are reported as not tested.
package labtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labrun"
	"github.com/labd-dev/labd/sandbox"
)

const (
	createTimeout = 5 * time.Minute
	removeTimeout = time.Minute
	// maxOutput is how many bytes of a failed script's output are shown.
	maxOutput = 4 << 10
)

// expiresLabel is a label with the time after which a later test may remove the stack of a killed
// test.
const expiresLabel = "labtest.expires"

// lifetime is longer than any test of one lab takes.
const lifetime = 2 * time.Hour

// Tester tests labs on a driver.
type Tester struct {
	Driver sandbox.Driver
	Out    io.Writer // receives progress for people
	Step   string    // anchor of the only step to test; earlier steps are only solved. "" for all steps
	Settle time.Duration
}

// Case is the result of one test.
type Case struct {
	Lab  string
	Step string
	Name string // "stack", "fails before", "wrong foreground", "passes after the solution"
	Took time.Duration
	// Look is how long the last run of the check took; 0 if it did not run.
	Look time.Duration
	Err  error
}

// Run tests labs one after another. It returns an error if the context ends or the driver fails,
// not if a case fails.
func (t *Tester) Run(ctx context.Context, labs []*lab.Lab) ([]Case, error) {
	if err := t.sweep(ctx); err != nil {
		return nil, err
	}
	var all []Case
	for _, l := range labs {
		if t.Step != "" && l.Step(t.Step) == nil {
			continue
		}
		r := &run{t: t, lab: l, vars: l.NewVars(), facts: check.Facts{}}
		r.run(ctx)
		all = append(all, r.cases...)
		if cause := context.Cause(ctx); cause != nil {
			return all, cause
		}
	}
	return all, nil
}

// sweep removes stacks that killed tests left behind.
func (t *Tester) sweep(ctx context.Context) error {
	infos, err := t.Driver.List(ctx)
	if err != nil {
		return fmt.Errorf("list stacks of earlier tests: %w", err)
	}
	for _, in := range infos {
		at, err := time.Parse(time.RFC3339, in.Labels[expiresLabel])
		if err == nil && time.Now().Before(at) && !in.Broken {
			continue
		}
		if in.Broken && time.Since(in.Created) < createTimeout {
			continue // another test may be creating it right now
		}
		if err := t.Driver.Destroy(ctx, in.ID); err != nil {
			return fmt.Errorf("remove the stack %s of an earlier test: %w", in.ID, err)
		}
	}
	return nil
}

// run is the test of one lab on one stack.
type run struct {
	t     *Tester
	lab   *lab.Lab
	nodes []sandbox.Node
	vars  map[string]string
	facts check.Facts
	cases []Case
}

func (r *run) run(ctx context.Context) {
	fmt.Fprintf(r.t.Out, "%s: %s\n", r.lab.ID, r.lab.Title.For(lab.DefaultLang))
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never returns an error
	name := "t-" + r.lab.ID[:min(len(r.lab.ID), 28)] + "-" + hex.EncodeToString(random)
	labels := map[string]string{expiresLabel: time.Now().Add(lifetime).UTC().Format(time.RFC3339)}

	var stack sandbox.Stack
	defer func() {
		// Remove the stack also after an interrupt.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		defer cancel()
		if stack != nil {
			_ = stack.Close()
		}
		start := time.Now()
		if err := r.t.Driver.Destroy(ctx, name); err != nil {
			r.add(Case{Name: "removal", Took: time.Since(start), Err: err})
		}
	}()
	if !r.try(Case{Name: "stack"}, func(*Case) (err error) {
		ctx, cancel := context.WithTimeout(ctx, createTimeout)
		defer cancel()
		if stack, err = r.t.Driver.Create(ctx, labrun.Spec(r.lab, name, r.vars, labels)); err != nil {
			return fmt.Errorf("create the stack: %w", err)
		}
		r.nodes = stack.Nodes()
		if err := labrun.InstallFiles(ctx, r.lab, r.nodes); err != nil {
			return err
		}
		return labrun.AwaitEngines(ctx, r.nodes)
	}) {
		return
	}
	for i, step := range r.lab.Steps {
		if r.t.Step != "" && step.Anchor != r.t.Step {
			if !r.solveOnly(ctx, step) {
				r.skip(r.lab.Steps[i+1:], step)
				return
			}
			continue
		}
		if !r.step(ctx, step) {
			r.skip(r.lab.Steps[i+1:], step)
			return
		}
		if r.t.Step != "" {
			return
		}
	}
}

// skip reports steps as not tested.
func (r *run) skip(steps []*lab.Step, because *lab.Step) {
	for _, s := range steps {
		if r.t.Step == "" || r.t.Step == s.Anchor {
			r.add(Case{Step: s.Anchor, Name: "step", Err: fmt.Errorf("not tested, because the step %q failed", because.Anchor)})
		}
	}
}

// step tests one step and reports whether the next can be tested.
func (r *run) step(ctx context.Context, s *lab.Step) bool {
	ok := r.try(Case{Step: s.Anchor, Name: "fails before"}, func(c *Case) error {
		if err := r.scripts(ctx, s.Setup); err != nil {
			return err
		}
		return r.settle(ctx, s, c, "get a result", func(rep check.Report) (bool, error) {
			if rep.Passed {
				return false, errors.New("the check passes before anything was done")
			}
			return !rep.Pending, nil
		})
	})
	for i := range s.Check.Wrong {
		w := &s.Check.Wrong[i]
		if len(w.Demo) == 0 || !ok {
			continue
		}
		ok = r.try(Case{Step: s.Anchor, Name: "wrong " + w.ID}, func(c *Case) error { return r.wrong(ctx, s, w, c) })
	}
	if !ok {
		// After a failure the state of the stack is unknown, so a test of the solution would mean
		// nothing.
		r.add(Case{Step: s.Anchor, Name: "passes after the solution", Err: errors.New("not tested, because of the failure above")})
		return false
	}
	return r.try(Case{Step: s.Anchor, Name: "passes after the solution"}, func(c *Case) error { return r.solve(ctx, s, c) })
}

// solveOnly solves a step without testing its check before.
func (r *run) solveOnly(ctx context.Context, s *lab.Step) bool {
	var c Case
	err := r.scripts(ctx, s.Setup)
	if err == nil {
		err = r.solve(ctx, s, &c)
	}
	if err != nil {
		r.add(Case{Step: s.Anchor, Name: "solved for " + r.t.Step, Err: err})
	}
	return err == nil
}

func (r *run) wrong(ctx context.Context, s *lab.Step, w *lab.Wrong, c *Case) error {
	if err := r.scripts(ctx, w.Demo); err != nil {
		return err
	}
	if err := r.settle(ctx, s, c, fmt.Sprintf("recognize %q", w.ID), func(rep check.Report) (bool, error) {
		if rep.Passed {
			return false, errors.New("the check passes in a wrong state")
		}
		return rep.Wrong != nil && rep.Wrong.ID == w.ID, nil
	}); err != nil {
		return err
	}
	if err := r.scripts(ctx, w.Undo); err != nil {
		return err
	}
	return r.settle(ctx, s, c, "get a result", func(rep check.Report) (bool, error) {
		if rep.Passed {
			return false, errors.New("the check passes after the wrong state was undone, before the solution")
		}
		return !rep.Pending, nil
	})
}

func (r *run) solve(ctx context.Context, s *lab.Step, c *Case) error {
	l := &looker{r: r, step: s, c: c, want: "pass", done: func(rep check.Report) (bool, error) {
		maps.Copy(r.facts, rep.Remembered)
		return rep.Passed, nil
	}}
	return l.explain(labrun.Solve(ctx, s, r.nodes, r.vars, r.limit(), l.look))
}

func (r *run) scripts(ctx context.Context, scripts []lab.Script) error {
	return withOutput(labrun.RunScripts(ctx, scripts, r.nodes, r.vars))
}

// withOutput appends the last lines of a failed script's output to its error.
func withOutput(err error) error {
	if out := labrun.OutputOf(err, maxOutput); out != "" {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return err
}

// settle runs the check repeatedly until done returns true.
func (r *run) settle(ctx context.Context, s *lab.Step, c *Case, want string, done func(check.Report) (bool, error)) error {
	l := &looker{r: r, step: s, c: c, want: want, done: done}
	return l.explain(labrun.Await(ctx, r.limit(), l.look))
}

func (r *run) limit() time.Duration {
	if r.t.Settle > 0 {
		return r.t.Settle
	}
	return labrun.Settle
}

// looker runs a step's check and measures how long it takes.
type looker struct {
	r    *run
	step *lab.Step
	c    *Case
	want string // completes "the check did not"
	done func(check.Report) (bool, error)
	last check.Report
}

func (l *looker) look(ctx context.Context) (bool, error) {
	start := time.Now()
	rep, err := (&check.Runner{}).Run(ctx, check.Input{Step: l.step, Nodes: l.r.nodes, Vars: l.r.vars, Facts: l.r.facts})
	l.c.Look = time.Since(start)
	if err != nil {
		return false, fmt.Errorf("run the check: %w", err)
	}
	l.last = rep
	return l.done(rep)
}

// explain adds the last report to the error of a timeout.
func (l *looker) explain(err error) error {
	if errors.Is(err, labrun.ErrNotSettled) {
		return fmt.Errorf("the check did not %s within %v\n%s", l.want, l.r.limit(), describe(l.last))
	}
	return withOutput(err)
}

// describe formats a report for authors.
func describe(rep check.Report) string {
	var b strings.Builder
	if rep.Wrong != nil {
		fmt.Fprintf(&b, "it recognized the wrong state %q (%s)\n", rep.Wrong.ID, rep.Wrong.Saw)
	}
	for _, f := range rep.Findings {
		state := "no"
		switch {
		case f.OK:
			state = "ok"
		case f.Pending:
			state = "?"
		}
		fmt.Fprintf(&b, "%-3s %s %s: saw %s; expected %s\n", state, f.Kind, f.Subject, f.Saw, f.Expected)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// try runs f as a case and reports whether it passed.
func (r *run) try(c Case, f func(*Case) error) bool {
	start := time.Now()
	c.Err = f(&c)
	c.Took = time.Since(start)
	r.add(c)
	return c.Err == nil
}

func (r *run) add(c Case) {
	c.Lab = r.lab.ID
	r.cases = append(r.cases, c)
	mark, step := "ok  ", c.Step
	if c.Err != nil {
		mark = "FAIL"
	}
	look := ""
	if c.Look > 0 {
		look = fmt.Sprintf("  (look %d ms)", c.Look.Milliseconds())
	}
	fmt.Fprintf(r.t.Out, "  %s %-14s %-28s %6.1f s%s\n", mark, step, c.Name, c.Took.Seconds(), look)
	if c.Err != nil {
		for _, line := range strings.Split(c.Err.Error(), "\n") {
			fmt.Fprintf(r.t.Out, "       %s\n", line)
		}
	}
}

// Failed returns the number of failed cases.
func Failed(cases []Case) int {
	n := 0
	for _, c := range cases {
		if c.Err != nil {
			n++
		}
	}
	return n
}

// MedianLook returns the median duration of one run of a check.
func MedianLook(cases []Case) time.Duration {
	var all []time.Duration
	for _, c := range cases {
		if c.Look > 0 {
			all = append(all, c.Look)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}
