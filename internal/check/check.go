// Package check evaluates the check of a step against a learner's stack. Its report says whether
// the step is done. If not, it says what was seen, what was expected, and gives the author's hint.
//
// # How a step is checked
//
// Wrong states are tried first, in the author's order. If all probes of one hold, the report names
// that wrong state, and the step is not done. Otherwise every probe of the step is evaluated, and
// the step is done if all of them hold.
//
// A probe has no result if its node does not answer in time or if the node's engine is still
// starting. The report is then Pending: the caller should check again. Such a probe gives no hint.
//
// # Trust
//
// Probes use sandbox.Node only and never change the learner's state. Everything that a node returns
// is untrusted, because the learner is root in it. It is bounded in size and time by the constants
// below, parsed defensively, cleaned of control characters before it is shown, and never executed.
package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/sandbox"
)

// Time limits of one check.
const (
	DefaultProbeTimeout = 3 * time.Second // of a probe without a timeout of its own
	MaxProbeTimeout     = lab.MaxProbeTimeout
	DefaultTimeout      = 10 * time.Second // of a whole check
)

// Report is the result of a check. Its texts are plain text in the requested language, with code in
// backticks.
type Report struct {
	Passed bool      `json:"passed"`
	At     time.Time `json:"at"`
	// Pending is set if something could not be checked yet, because an engine is starting or an
	// answer timed out.
	Pending  bool      `json:"pending,omitempty"`
	Wrong    *Wrong    `json:"wrong,omitempty"`
	Findings []Finding `json:"findings"`

	// Remembered are facts for later steps to compare with. It is set only if Passed is. The caller
	// stores them with the session.
	Remembered Facts `json:"-"`
}

// Wrong is the wrong state that was recognized.
type Wrong struct {
	ID   string `json:"id"`
	Saw  string `json:"saw"`
	Hint string `json:"hint"`
}

// Finding is the result of one probe.
type Finding struct {
	Kind     string `json:"kind"` // container, image, network, event, http, tcp, file, shell
	OK       bool   `json:"ok"`
	Pending  bool   `json:"pending,omitempty"`
	Subject  string `json:"subject"` // what was checked: a name, an address or a path
	Saw      string `json:"saw"`
	Expected string `json:"expected"`
	Hint     string `json:"hint,omitempty"`
}

// Fact is what a step remembers of a container.
type Fact struct {
	ID       string    `json:"id"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"` // zero if it never ended
}

// Facts are remembered containers, by the names that the author gave them.
type Facts map[string]Fact

// Input is what Run checks.
type Input struct {
	Step  *lab.Step
	Nodes []sandbox.Node    // of the stack; probes use the first by default
	Vars  map[string]string // the session's variables
	Facts Facts             // merged from the reports of earlier steps
	Lang  string            // "" for lab.DefaultLang
}

// Runner runs checks. The zero value uses the limits above. It can be used concurrently.
type Runner struct {
	ProbeTimeout time.Duration // of a probe without a timeout; 0 for DefaultProbeTimeout
	Timeout      time.Duration // of a whole check; 0 for DefaultTimeout
	Now          func() time.Time
}

// Run checks the stack once. It returns an error if the check could not run, not if the step is not
// done. The error is the context's error, or wraps sandbox.ErrNodeDown if a node that a probe needs
// is down.
func (r *Runner) Run(ctx context.Context, in Input) (Report, error) {
	if in.Step == nil || len(in.Nodes) == 0 {
		return Report{}, errors.New("check: no step or no nodes to check")
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

// look is one call of Run. It caches the listings that it fetches, because probes share them.
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

// verdict is the result of a probe before it becomes a Finding.
type verdict struct {
	ok       bool
	pending  bool
	subject  string
	saw      string
	expected string
	hint     string // replaces the author's hint
}

// wrong returns the first wrong state whose probes hold. pending is set if one could not be
// decided; the step must not pass then.
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

// probe evaluates p within its timeout. A timeout makes the verdict pending and is not an error.
func (l *look) probe(ctx context.Context, p *lab.Probe) (kind string, v verdict, err error) {
	node, err := l.node(p.Node)
	if err != nil {
		return "", verdict{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, min(orDefault(p.Timeout, l.timeout), MaxProbeTimeout))
	defer cancel()
	if p.Look == nil {
		return "", verdict{}, fmt.Errorf("check: the probe at %s:%d has no kind", p.File, p.Line)
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
		// Other errors come from the state of the node. The learner sees them, and the check runs
		// again.
		v.saw = l.text.unreadable(clean(err.Error()))
	}
	v.ok, v.pending = false, true
	return kind, v, nil
}

// evaluate evaluates one probe. It has a case for each kind.
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

// errNoEvaluator means that evaluate has no case for a kind of probe.
var errNoEvaluator = errors.New("check: no evaluator for probes of kind")

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
