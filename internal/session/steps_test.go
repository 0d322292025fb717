package session_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

func TestStepsTurnGreenByThemselvesInOrder(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	term := w.shell(v.ID, "t1")
	typeText(t, term, "touch one\n")
	v = w.await(v.ID, "step one", func(v session.View) bool { return steps(v) == "one:done two:open three:locked" })
	if v.Steps[0].Done.IsZero() {
		t.Error("a done step has no time")
	}
	// A state reached before its step opens counts as soon as it opens. A late change is found without an event.
	typeText(t, term, "touch three; (sleep 0.3; touch two) & disown\n")
	w.await(v.ID, "all steps", func(v session.View) bool { return steps(v) == "one:done two:done three:done" })
	progress, err := w.Progress(t.Context(), w.learners[0])
	if err != nil || len(progress) != 1 || !progress[0].Done || len(progress[0].Steps) != 3 {
		t.Errorf("progress is %+v, %v", progress, err)
	}
}

func TestDoneStepStaysDone(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	term := w.shell(v.ID, "t1")
	typeText(t, term, "touch one\n")
	w.await(v.ID, "step one", func(v session.View) bool { return v.Steps[0].State == session.Done })
	typeText(t, term, "rm one\n")
	got, err := w.Check(t.Context(), w.learners[0], v.ID, "one")
	if err != nil || got.State != session.Done || !got.Report.Passed {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestCheckAnswersForTheOpenStepOnly(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	got, err := w.Check(t.Context(), w.learners[0], v.ID, "one")
	if err != nil || got.State != session.Open || got.Report.Passed || len(got.Report.Findings) != 1 {
		t.Errorf("open step: %+v, %v", got, err)
	}
	if _, err := w.Check(t.Context(), w.learners[0], v.ID, "two"); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("locked step: %v", err)
	}
	if _, err := w.Check(t.Context(), w.learners[0], v.ID, "nine"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("no such step: %v", err)
	}
	typeText(t, w.shell(v.ID, "t1"), "touch one two three\n")
	w.await(v.ID, "all steps", func(v session.View) bool { return v.Steps[2].State == session.Done })
	if got, err := w.Check(t.Context(), w.learners[0], v.ID, "three"); err != nil || got.State != session.Done {
		t.Errorf("after all steps: %+v, %v", got, err)
	}
}

func TestReportsUseTheLanguageOfThePage(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, nil).ready()
	v := w.started("first")
	if _, _, err := w.Create(t.Context(), w.learners[0], "first", "zh", false); err != nil {
		t.Fatal(err)
	}
	w.await(v.ID, "a Chinese hint", func(v session.View) bool {
		return v.Lang == "zh" && v.Steps[0].Report != nil && v.Steps[0].Report.Findings[0].Hint == "创建 one"
	})
	if v, _, err := w.Create(t.Context(), w.learners[0], "first", "xx", false); err != nil || v.Lang != "en" {
		t.Errorf("a language that the lab lacks: %s, %v", v.Lang, err)
	}
}

func TestSetupRunsBeforeAStepOpens(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{Engine: idleEngine}, func(c *session.Config) {
		c.Labs["setup"] = labWith("setup", func(l *lab.Lab) {
			l.Files = []lab.File{{Path: "data/given", Mode: 0o600, Data: []byte("from the lab\n")}}
			l.Steps[0].Setup = []lab.Script{{Source: "cat data/given > before; echo $LAB_CODE >> before"}}
			l.Steps[1].Setup = []lab.Script{{Source: "echo again >> again"}}
			l.Steps[1].Check.Probes = []lab.Probe{fileProbe("two")}
		})
	}).ready()
	v := w.started("setup")
	root := w.root(v.ID, "node1")
	if got := contents(t, root, "root/before"); got != "from the lab\n"+v.Variables["code"]+"\n" {
		t.Errorf("the first setup wrote %q", got)
	}
	if exists(root, "root/again") {
		t.Error("the second step's setup ran too early")
	}
	typeText(t, w.shell(v.ID, "t1"), "touch one\n")
	w.await(v.ID, "step two", func(v session.View) bool { return v.Steps[1].State == session.Open })
	w.restart(nil)
	w.ready()
	w.await(v.ID, "step two again", func(v session.View) bool { return isReady(v) && v.Steps[1].Report != nil })
	if got := contents(t, root, "root/again"); got != "again\n" {
		t.Errorf("the second setup wrote %q", got)
	}
}

func TestFailedSetupIsReportedAndRetried(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{Engine: idleEngine}, func(c *session.Config) {
		c.Labs["setup"] = labWith("setup", func(l *lab.Lab) {
			l.Steps[0].Setup = []lab.Script{{File: "labs/setup/lab.md", Line: 7, Source: "test -e permit || { echo no permit yet >&2; exit 3; }"}}
		})
	}).ready()
	v := w.create(0, "setup")
	v = w.await(v.ID, "the failure", func(v session.View) bool { return v.Steps[0].Report != nil })
	if f := v.Steps[0].Report.Findings[0]; v.Steps[0].State != session.Locked || f.Kind != "setup" || f.OK || f.Saw != "" || f.Expected != "" {
		t.Errorf("step is %+v", v.Steps[0]) // words would be of one language
	}
	// Between two attempts a check returns the present report.
	step, err := w.Check(t.Context(), w.learners[0], v.ID, "one")
	if err != nil || step.Report.Findings[0].Kind != "setup" {
		t.Errorf("a check between attempts: %+v, %v", step, err)
	}
	if got := w.log.String(); !strings.Contains(got, "labs/setup/lab.md:7") || !strings.Contains(got, "no permit yet") {
		t.Errorf("the log does not say what failed: %s", got)
	}
	typeText(t, w.shell(v.ID, "t1"), "touch permit\n")
	w.await(v.ID, "the step", func(v session.View) bool { return v.Steps[0].State == session.Open })
}

func TestCheckAnswersWhileSetupRuns(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{Engine: idleEngine}, func(c *session.Config) {
		c.Labs["setup"] = labWith("setup", func(l *lab.Lab) {
			l.Steps[0].Setup = []lab.Script{{Source: "touch begun; until test -e permit; do sleep 0.05; done"}}
		})
	}).ready()
	v := w.create(0, "setup")
	v = w.await(v.ID, "its machine", isReady)
	root := w.root(v.ID, "node1")
	eventually(t, "setup runs", func() bool { return exists(root, "root/begun") })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := w.Check(ctx, w.learners[0], v.ID, "one"); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("got %v", err)
	}
	typeText(t, w.shell(v.ID, "t1"), "touch permit\n")
	w.await(v.ID, "the step", func(v session.View) bool { return v.Steps[0].State == session.Open })
}

func TestChecksOfASessionNeverOverlap(t *testing.T) {
	var running, most, looks atomic.Int32
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		c.Check = checkFunc(func(ctx context.Context, in check.Input) (check.Report, error) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer running.Add(-1)
			looks.Add(1)
			time.Sleep(time.Millisecond) // a check takes time
			return check.Report{At: time.Now()}, nil
		})
	}).ready()
	v := w.started("first")
	term := w.shell(v.ID, "t1")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if _, err := w.Check(t.Context(), w.learners[0], v.ID, "one"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	typeText(t, term, strings.Repeat("\n", 100))
	wg.Wait()
	if most.Load() != 1 || looks.Load() < 80 {
		t.Errorf("%d checks, %d at a time", looks.Load(), most.Load())
	}
}

func TestPanicInOneSessionLeavesTheOthers(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		c.Labs["bad"] = labWith("bad", func(l *lab.Lab) { l.Steps[0].Anchor = "bomb" })
		c.Check = checkFunc(func(ctx context.Context, in check.Input) (check.Report, error) {
			if in.Step.Anchor == "bomb" {
				panic("boom")
			}
			return patient().Run(ctx, in)
		})
	}).ready()
	good := w.started("first")
	bad := w.create(0, "bad")
	v := w.await(bad.ID, "its failure", func(v session.View) bool { return v.State == session.Failed })
	if v.Error.Code != fault.Internal || strings.Contains(v.Error.Message, "boom") {
		t.Errorf("error is %+v", v.Error)
	}
	if got := w.log.String(); !strings.Contains(got, "boom") || !strings.Contains(got, "steps_test.go") {
		t.Error("the log does not say where")
	}
	typeText(t, w.shell(good.ID, "t1"), "touch one\n")
	w.await(good.ID, "step one", func(v session.View) bool { return v.Steps[0].State == session.Done })
}

// panickyDriver panics in its first Destroy.
type panickyDriver struct {
	sandbox.Driver
	once sync.Once
}

func (d *panickyDriver) Destroy(ctx context.Context, id string) error {
	d.once.Do(func() { panic("boom in Destroy") })
	return d.Driver.Destroy(ctx, id)
}

func TestPanicWhileASessionIsRemovedLeavesTheOthers(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		driver := &panickyDriver{Driver: sandboxtest.NewFake(t, sandboxtest.FakeOptions{})}
		c.Connect = func(context.Context) (sandbox.Driver, error) { return driver, nil }
	}).ready()
	good, bad := w.started("first"), w.create(1, "first")
	w.awaitAs(1, bad.ID, "its machine", isReady)
	sub, err := w.Subscribe(t.Context(), w.learners[1], bad.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	_ = w.End(t.Context(), w.learners[1], bad.ID) // its answer depends on which goroutine is first
	<-sub.Gone()
	if v := sub.View(); v.State != session.Failed || strings.Contains(v.Error.Message, "boom") {
		t.Errorf("the last view is %+v", v)
	}
	if w.Status().Sessions != 1 {
		t.Errorf("status is %+v", w.Status())
	}
	typeText(t, w.shell(good.ID, "t1"), "touch one\n")
	w.await(good.ID, "step one", func(v session.View) bool { return v.Steps[0].State == session.Done })
}

func TestFailedCheckIsRetried(t *testing.T) {
	var tries atomic.Int32
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		c.Check = checkFunc(func(ctx context.Context, in check.Input) (check.Report, error) {
			if tries.Add(1) < 3 {
				return check.Report{}, errors.New("could not look")
			}
			return check.Report{At: time.Now(), Passed: true}, nil
		})
	}).ready()
	v := w.create(0, "first")
	w.await(v.ID, "step one", func(v session.View) bool { return v.Steps[0].State == session.Done })
}
