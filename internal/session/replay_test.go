package session_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

// solvable is threeSteps with solutions, and a setup in step two. Each script writes to the file "story".
func solvable(change func(*lab.Lab)) func(*session.Config) {
	return func(c *session.Config) {
		c.Settle = 500 * time.Millisecond
		c.Labs["solvable"] = labWith("solvable", func(l *lab.Lab) {
			for i, name := range []string{"one", "two", "three"} {
				l.Steps[i].Solution = []lab.Script{{Source: "echo solve " + name + " $LAB_CODE >> story; touch " + name}}
			}
			l.Steps[1].Setup = []lab.Script{{Source: "echo set up two >> story"}}
			if change != nil {
				change(l)
			}
		})
	}
}

// doneByHand starts the lab and does steps by hand.
func (w *world) doneByHand(names ...string) session.View {
	w.t.Helper()
	v := w.started("solvable")
	term := w.shell(v.ID, "t1")
	for i, name := range names {
		typeText(w.t, term, "touch "+name+"\n")
		v = w.await(v.ID, "step "+name, func(v session.View) bool { return v.Steps[i].State == session.Done })
	}
	return v
}

func (w *world) end(id string) {
	w.t.Helper()
	if err := w.End(w.t.Context(), w.learners[0], id); err != nil {
		w.t.Fatal(err)
	}
}

func TestNewMachineIsBroughtToWhereTheLearnerWas(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{Engine: idleEngine}, solvable(nil)).ready()
	v := w.doneByHand("one", "two")
	w.end(v.ID)
	v = w.create(0, "solvable")
	if r := v.Replay; r == nil || r.Total != 2 || r.Done != 0 || r.Step != "one" || r.To != "three" || r.Failed {
		t.Errorf("at first the replay is %+v", r)
	}
	v = w.await(v.ID, "step three", func(v session.View) bool { return v.Steps[2].State == session.Open && v.Replay == nil })
	if steps(v) != "one:done two:done three:open" {
		t.Errorf("steps are %s", steps(v))
	}
	code := v.Variables["code"]
	if got := contents(t, w.root(v.ID, "node1"), "root/story"); got != "solve one "+code+"\nset up two\nsolve two "+code+"\n" {
		t.Errorf("the machine was brought there by %q", got)
	}
	// The rest is the learner's.
	typeText(t, w.shell(v.ID, "t1"), "touch three\n")
	v = w.await(v.ID, "step three done", func(v session.View) bool { return v.Steps[2].State == session.Done })
	w.end(v.ID)
	// Who has finished the lab does it anew.
	v = w.started("solvable")
	if steps(v) != "one:open two:locked three:locked" || v.Replay != nil {
		t.Errorf("after the whole lab: %s, %+v", steps(v), v.Replay)
	}
}

func TestLearnerCanStartOver(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{Engine: idleEngine}, solvable(nil)).ready()
	w.end(w.doneByHand("one").ID)
	v, _, err := w.Create(t.Context(), w.learners[0], "solvable", "en", true)
	if err != nil {
		t.Fatal(err)
	}
	v = w.await(v.ID, "its first step", func(v session.View) bool { return v.Steps[0].State == session.Open })
	if v.Replay != nil || exists(w.root(v.ID, "node1"), "root/story") {
		t.Errorf("something was replayed: %+v", v.Replay)
	}
	if p, err := w.Progress(t.Context(), w.learners[0]); err != nil || len(p) != 1 || len(p[0].Steps) != 1 {
		t.Errorf("progress is %+v, %v", p, err)
	}
}

func TestReplayThatFailsLeavesTheLearnerAtThatStep(t *testing.T) {
	for name, source := range map[string]string{
		"script": "echo no such image >&2; exit 7", // it fails
		"check":  "true",                           // it runs, and the check does not pass
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sandboxtest.FakeOptions{Engine: idleEngine}, solvable(func(l *lab.Lab) {
				l.Steps[1].Solution = []lab.Script{{File: "labs/solvable/lab.md", Line: 30, Source: source}}
				l.Steps = append(l.Steps, &lab.Step{Anchor: "four", Check: lab.Check{Probes: []lab.Probe{fileProbe("four")}}})
			})).ready()
			w.end(w.doneByHand("one", "two", "three").ID)
			v := w.create(0, "solvable")
			v = w.await(v.ID, "the failure", func(v session.View) bool { return v.Replay != nil && v.Replay.Failed })
			if r := v.Replay; r.Step != "two" || r.Done != 1 || r.Total != 3 || r.To != "four" {
				t.Errorf("the replay is %+v", r)
			}
			if steps(v) != "one:done two:open three:locked four:locked" {
				t.Errorf("steps are %s", steps(v))
			}
			eventually(t, "the log says which step", func() bool { return strings.Contains(w.log.String(), "step=two") })
			if log := w.log.String(); name == "script" && (!strings.Contains(log, "labs/solvable/lab.md:30") || !strings.Contains(log, "no such image")) {
				t.Errorf("the log does not say why: %s", log)
			}
			// The learner goes on there, and the session is like any other.
			typeText(t, w.shell(v.ID, "t1"), "touch two\n")
			w.await(v.ID, "step three", func(v session.View) bool { return v.Steps[2].State == session.Open })
		})
	}
}

func TestReplayGoesOnAfterARestart(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{Engine: idleEngine}, solvable(func(l *lab.Lab) {
		l.Steps[1].Solution = []lab.Script{{Source: "echo waits >> story; until test -e permit; do sleep 0.05; done; touch two"}}
	})).ready()
	w.end(w.doneByHand("one", "two").ID)
	v := w.create(0, "solvable")
	v = w.await(v.ID, "one replayed step", func(v session.View) bool { return v.Replay != nil && v.Replay.Done == 1 })
	root := w.root(v.ID, "node1")
	eventually(t, "the second solution runs", func() bool { return strings.Contains(contents(t, root, "root/story"), "waits") })
	w.restart(nil)
	w.ready()
	v = w.await(v.ID, "the rest of the replay", func(v session.View) bool { return isReady(v) && v.Replay != nil })
	if v.Replay.Total != 2 || v.Replay.Done != 1 || v.Replay.Step != "two" {
		t.Errorf("after the restart: %+v", v.Replay)
	}
	typeText(t, w.shell(v.ID, "t1"), "touch permit\n")
	w.await(v.ID, "step three", func(v session.View) bool { return v.Steps[2].State == session.Open && v.Replay == nil })
}

func TestResetMakesAnotherMachine(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{Engine: idleEngine}, solvable(nil)).ready()
	v := w.doneByHand("one")
	before := w.stackOf(v.ID)
	term := w.shell(v.ID, "t2")
	typeText(t, term, "touch junk\n")
	root := w.root(v.ID, "node1")
	eventually(t, "the file is there", func() bool { return exists(root, "root/junk") })
	for _, startOver := range []bool{false, true} {
		got, err := w.Reset(t.Context(), w.learners[0], v.ID, startOver)
		if err != nil || got.ID != v.ID || got.State != session.Creating {
			t.Fatalf("reset: %+v, %v", got, err)
		}
		if _, err := w.OpenTerminal(t.Context(), w.learners[0], v.ID, "t1", "", sandbox.Size{Cols: 80, Rows: 24}); err != nil && fault.CodeOf(err) != fault.Conflict {
			t.Errorf("a terminal meanwhile: %v", err)
		}
		want := "one:done two:open three:locked"
		if startOver {
			want = "one:open two:locked three:locked"
		}
		v = w.await(v.ID, "the new machine", func(v session.View) bool { return isReady(v) && steps(v) == want && v.Replay == nil })
		if len(v.Terminals) > 1 || exists(w.root(v.ID, "node1"), "root/junk") {
			t.Errorf("something of the old machine is left: %+v", v)
		}
		eventually(t, "the old machine is gone", func() bool { return slices.Equal(w.stacks(), []string{w.stackOf(v.ID)}) })
	}
	if after := w.stackOf(v.ID); after == before {
		t.Error("the stack is the same")
	}
	if _, err := io.Copy(io.Discard, term); err == nil || fault.CodeOf(term.Cause()) != fault.NodeDown {
		t.Errorf("the old terminal: %v, cause %v", err, term.Cause())
	}
	out := w.shell(v.ID, "t9")
	typeText(t, out, "echo \"<$LAB_CODE>\"\n")
	readUntil(t, out, "<"+v.Variables["code"]+">")
}

func TestResetIsRefusedWhileAMachineIsMade(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{CreateDelay: time.Hour}, nil).ready()
	v := w.create(0, "first")
	if _, err := w.Reset(t.Context(), w.learners[0], v.ID, false); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("got %v", err)
	}
	if _, err := w.Reset(t.Context(), w.learners[1], v.ID, false); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("another learner's: %v", err)
	}
}
