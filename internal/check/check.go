// Package check looks at a learner's stack and says whether a step is done, and if not, what it saw, what it expected
// and what may help.
//
// # How a step is checked
//
// The step's known wrong states come first, in the author's order. The first one whose probes all hold is the answer:
// the report names it and the step is not done. Otherwise every probe of the step is evaluated, and the step is done
// when all hold. A probe that got no answer in its time, or needs an engine that is still starting, neither holds nor
// is wrong: the report is then Pending, which means "look again", and no hint is given for it.
//
// # Trust
//
// Probes look through sandbox.Node only and never change the learner's state. Whatever comes back was written by a
// learner who is root in the node: it is bounded in size and time by the constants below, parsed defensively, cleaned of
// control characters before it is shown, and never executed.
package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/sandbox"
)

// Limits on what a node may cost one check.
const (
	DefaultProbeTimeout = 3 * time.Second // a probe without its own timeout
	MaxProbeTimeout     = lab.MaxProbeTimeout
	DefaultTimeout      = 10 * time.Second // a whole check
)

// Report is what a check saw. Its texts are plain text in the language asked for; spans in backticks are code.
type Report struct {
	Passed bool      `json:"passed"`
	At     time.Time `json:"at"`
	// Pending is set when something could not be looked at yet: an engine that is starting, an answer that did not come.
	Pending  bool      `json:"pending,omitempty"`
	Wrong    *Wrong    `json:"wrong,omitempty"`
	Findings []Finding `json:"findings"`

	// Remembered are facts that later steps compare with. Set only when Passed; the caller keeps them with the session.
	Remembered Facts `json:"-"`
}

// Wrong is the known wrong state that was recognised.
type Wrong struct {
	ID   string `json:"id"`
	Saw  string `json:"saw"`
	Hint string `json:"hint"`
}

// Finding is what one probe saw.
type Finding struct {
	Kind     string `json:"kind"` // container, image, network, event, http, tcp, file, shell
	OK       bool   `json:"ok"`
	Pending  bool   `json:"pending,omitempty"`
	Subject  string `json:"subject"` // what was looked at: a name, an address, a path
	Saw      string `json:"saw"`
	Expected string `json:"expected"`
	Hint     string `json:"hint,omitempty"`
}

// Fact is what is remembered of a container.
type Fact struct {
	ID       string    `json:"id"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"` // zero if it never ended
}

// Facts are remembered containers by the name the author gave them.
type Facts map[string]Fact

// Input is what to look at.
type Input struct {
	Step  *lab.Step
	Nodes []sandbox.Node    // the stack's; a probe without a node looks at the first
	Vars  map[string]string // the session's variables
	Facts Facts             // merged from the reports of the steps before
	Lang  string            // "" is lab.DefaultLang
}

// Runner runs checks. The zero value uses the limits above. It may be used concurrently.
type Runner struct {
	ProbeTimeout time.Duration // of a probe without its own; 0 means DefaultProbeTimeout
	Timeout      time.Duration // of a whole check; 0 means DefaultTimeout
	Now          func() time.Time
}

// Run looks at the stack once. Its error is about the look, never about the learner's state: it wraps
// sandbox.ErrNodeDown when a node that must be looked at is gone, or is the context's error.
func (r *Runner) Run(ctx context.Context, in Input) (Report, error) {
	if in.Step == nil || len(in.Nodes) == 0 {
		return Report{}, errors.New("check: no step or no nodes to look at")
	}
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, orDefault(r.Timeout, DefaultTimeout))
	defer cancel()
	l := &look{
		in:      in,
		text:    messagesFor(in.Lang),
		timeout: orDefault(r.ProbeTimeout, DefaultProbeTimeout),
		engines: map[string]*engine{},
	}
	defer l.close()

	rep := Report{At: now().UTC(), Findings: []Finding{}}
	wrong, pending, err := l.wrong(ctx)
	if err == nil && wrong == nil {
		rep.Findings, err = l.findings(ctx)
	}
	if cause := context.Cause(outer); cause != nil {
		return Report{}, cause
	}
	if err != nil {
		return Report{}, err
	}
	rep.Wrong = wrong
	rep.Passed = wrong == nil && !pending
	rep.Pending = pending && wrong == nil
	for _, f := range rep.Findings {
		rep.Passed = rep.Passed && f.OK
		rep.Pending = rep.Pending || f.Pending
	}
	if rep.Passed {
		rep.Remembered = l.remembered
	}
	return rep, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}

// look is one Run: what it fetched is kept until its end, so that probes share it.
type look struct {
	in         Input
	text       messages
	timeout    time.Duration
	engines    map[string]*engine
	remembered Facts
}

func (l *look) close() {
	for _, e := range l.engines {
		e.client.CloseIdleConnections()
	}
}

// verdict is a probe's answer before it is put into a Finding.
type verdict struct {
	ok       bool
	pending  bool
	subject  string
	saw      string
	expected string
	hint     string // takes the place of the author's hint
}

// wrong returns the first known wrong state that holds. pending is set when one could not be decided: the step must not
// pass on such a look.
func (l *look) wrong(ctx context.Context) (found *Wrong, pending bool, err error) {
	for i := range l.in.Step.Check.Wrong {
		w := &l.in.Step.Check.Wrong[i]
		holds, saw := true, ""
		for j := range w.Probes {
			_, v, err := l.probe(ctx, &w.Probes[j])
			if err != nil {
				return nil, false, err
			}
			pending = pending || v.pending
			if !v.ok {
				holds = false
				break
			}
			if saw == "" || v.saw != "" && w.Probes[j-1].Look.Absence() {
				saw = l.text.about(v.subject, v.saw)
			}
		}
		if holds && len(w.Probes) > 0 {
			return &Wrong{ID: w.ID, Saw: saw, Hint: l.expand(w.Hint.For(l.in.Lang))}, false, nil
		}
	}
	return nil, pending, nil
}

func (l *look) findings(ctx context.Context) ([]Finding, error) {
	out := []Finding{}
	for i := range l.in.Step.Check.Probes {
		p := &l.in.Step.Check.Probes[i]
		kind, v, err := l.probe(ctx, p)
		if err != nil {
			return nil, err
		}
		f := Finding{Kind: kind, OK: v.ok, Pending: v.pending, Subject: v.subject, Saw: v.saw, Expected: v.expected}
		if !v.ok && !v.pending {
			f.Hint = l.expand(p.Hint.For(l.in.Lang))
			if v.hint != "" {
				f.Hint = v.hint
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// probe evaluates p within its own time. An answer that did not come is pending, not an error.
func (l *look) probe(ctx context.Context, p *lab.Probe) (kind string, v verdict, err error) {
	node, err := l.node(p.Node)
	if err != nil {
		return "", verdict{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, min(orDefault(p.Timeout, l.timeout), MaxProbeTimeout))
	defer cancel()
	if p.Look == nil {
		return "", verdict{}, fmt.Errorf("check: probe at %s:%d looks at nothing", p.File, p.Line)
	}
	kind = p.Look.Kind()
	v, err = l.evaluate(ctx, node, p.Look)
	switch {
	case err == nil:
		return kind, v, nil
	case errors.Is(err, errNoEvaluator):
		return "", verdict{}, err
	case errors.Is(err, sandbox.ErrNodeDown):
		return "", verdict{}, fmt.Errorf("check %s: %w", node.Name(), err)
	case errors.Is(err, errEngineStarting):
		v.saw = l.text.engineStarting
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		v.saw = l.text.noAnswer
	default:
		// Anything else the node did is a state it is in: it is shown, and looked at again.
		v.saw = l.text.unreadable(clean(err.Error()))
	}
	v.ok, v.pending = false, true
	return kind, v, nil
}

// evaluate looks once. It has a case for each kind of probe.
func (l *look) evaluate(ctx context.Context, node sandbox.Node, p lab.Look) (verdict, error) {
	switch p := p.(type) {
	case *lab.ContainerProbe:
		return l.container(ctx, node, p)
	case *lab.ImageProbe:
		return l.image(ctx, node, p)
	case *lab.NetworkProbe:
		return l.network(ctx, node, p)
	case *lab.EventProbe:
		return l.event(ctx, node, p)
	case *lab.HTTPProbe:
		return l.http(ctx, node, p)
	case *lab.TCPProbe:
		return l.tcp(ctx, node, p)
	case *lab.FileProbe:
		return l.file(ctx, node, p)
	case *lab.ShellProbe:
		return l.shell(ctx, node, p)
	}
	return verdict{}, fmt.Errorf("%w %q", errNoEvaluator, p.Kind())
}

// errNoEvaluator is a kind of probe that evaluate has no case for.
var errNoEvaluator = errors.New("check: nothing evaluates probes of the kind")

func (l *look) node(name string) (sandbox.Node, error) {
	if name == "" {
		return l.in.Nodes[0], nil
	}
	for _, n := range l.in.Nodes {
		if n.Name() == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("check: the stack has no node %q: %w", name, sandbox.ErrNotFound)
}

func (l *look) expand(s string) string { return lab.Expand(s, l.in.Vars) }
