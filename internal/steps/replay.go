package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labrun"
)

// replay is the replay of finished steps on a new stack: for each step that the learner finished on an earlier stack, the
// setup and the solution run again, and the check must pass. Guarded by Guide.mu.
type replay struct {
	to     string // anchor of the last step to be replayed
	total  int    // steps to be replayed
	next   string // anchor of the step after it, where the learner continues; "" if it is the last one
	failed string // anchor of the step whose replay failed, where the learner continues instead; "" if none failed
}

// Replay is the progress of a replay.
type Replay struct {
	Step   string // anchor of the step that is replayed now, or whose replay failed
	Done   int    // steps replayed so far
	Total  int    // steps to be replayed
	To     string // anchor of the step where the learner then continues, "" if all are done
	Failed bool   // the learner continues with Step instead
}

// newReplay returns the replay of the steps up to the one with the anchor to. It returns nil if to is no step of the lab.
func newReplay(l *lab.Lab, to string) *replay {
	i := slices.IndexFunc(l.Steps, func(st *lab.Step) bool { return to != "" && st.Anchor == to })
	if i < 0 {
		return nil
	}
	r := &replay{to: to, total: i + 1}
	if i+1 < len(l.Steps) {
		r.next = l.Steps[i+1].Anchor
	}
	return r
}

// view returns the progress of the replay. list are the Guide's steps.
func (p *replay) view(list []*step) *Replay {
	v := &Replay{Total: p.total, To: p.next, Failed: p.failed != "", Step: p.failed}
	for _, st := range list[:min(p.total, len(list))] {
		if st.state == Done {
			v.Done++
		} else if v.Step == "" {
			v.Step = st.def.Anchor
		}
	}
	return v
}

// Reached returns the anchor of the last step that is to be replayed in a new session: the last of the steps that the
// learner finished without a gap. It returns "" if there is none, and also if all steps are finished: then the learner
// wants to do the lab again.
func Reached(l *lab.Lab, finished map[string]bool) string {
	last := ""
	for _, st := range l.Steps {
		if !finished[st.Anchor] {
			return last
		}
		last = st.Anchor
	}
	return ""
}

// ReplayTo returns the anchor of the last step that is to be replayed if the stack is replaced now, "" for none.
func (g *Guide) ReplayTo() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.replay != nil && g.replay.failed == "" {
		return g.replay.to // the present replay is not finished
	}
	last := ""
	for _, st := range g.steps {
		if st.state != Done {
			break
		}
		last = st.def.Anchor
	}
	return last
}

// replaySteps runs the replay, if there is one. If a step fails, it stops and leaves that step open.
func (r *run) replaySteps() {
	r.mu.Lock()
	p := r.replay
	r.mu.Unlock()
	if p == nil {
		return
	}
	err := r.answering(func() error { return r.replayAll(p.total) })
	if r.ctx.Err() != nil {
		return // after a restart, labd continues with it
	}
	r.mu.Lock()
	if err != nil {
		p.failed = p.view(r.steps).Step
	} else {
		r.replay = nil
	}
	failed := p.failed
	r.mu.Unlock()
	r.cfg.Changed()
	if err != nil {
		r.cfg.Log.Warn("a step could not be replayed", "step", failed, "err", err, "output", labrun.OutputOf(err, maxScriptOutput))
	}
	if err := r.cfg.Store.SetReplayTo(""); err != nil {
		r.cfg.Log.Warn("the end of a replay could not be stored", "err", err)
	}
}

// replayAll replays the first total steps, except those that are done.
func (r *run) replayAll(total int) error {
	ctx, cancel := context.WithTimeout(r.ctx, engineTimeout)
	defer cancel()
	if err := labrun.AwaitEngines(ctx, r.nodes); err != nil {
		return err
	}
	for i := range min(total, len(r.steps)) {
		if r.isDone(i) {
			continue
		}
		if err := r.replayStep(i); err != nil {
			return err
		}
	}
	return nil
}

// replayStep runs the setup and the solution of one step, and waits until its check passes.
func (r *run) replayStep(i int) error {
	if r.stateOf(i) == Locked {
		if err := r.prepare(i); err != nil {
			return err
		}
		r.markOpen(i)
	}
	err := labrun.Solve(r.ctx, r.steps[i].def, r.nodes, r.cfg.Vars, r.settle(), func(context.Context) (bool, error) {
		_, done, err := r.check(i)
		return done, err
	})
	if errors.Is(err, labrun.ErrNotSettled) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return fmt.Errorf("replay: %w: %s", err, firstFailure(r.steps[i].report))
	}
	return err
}

// firstFailure describes the first finding that is not as expected, for the log.
func firstFailure(r *check.Report) string {
	if r == nil {
		return "nothing"
	}
	if r.Wrong != nil {
		return r.Wrong.ID + ": " + r.Wrong.Saw
	}
	for _, f := range r.Findings {
		if !f.OK {
			return f.Kind + " " + f.Subject + ": " + f.Saw
		}
	}
	return "nothing"
}

// settle returns how long a check may take to pass after a solution.
func (g *Guide) settle() time.Duration {
	if g.cfg.Settle > 0 {
		return g.cfg.Settle
	}
	return labrun.Settle
}
