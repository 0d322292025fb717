package session_test

import (
	"context"
	"io"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

// stayDown is a driver whose nodes can't be restarted until the test allows it.
type stayDown struct {
	sandbox.Driver
	allowed *atomic.Bool
}

func (d stayDown) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Stack, error) {
	st, err := d.Driver.Create(ctx, spec)
	if err != nil {
		return nil, err
	}
	return stayDownStack{st, d.allowed}, nil
}

type stayDownStack struct {
	sandbox.Stack
	allowed *atomic.Bool
}

func (s stayDownStack) Nodes() (nodes []sandbox.Node) {
	for _, n := range s.Stack.Nodes() {
		nodes = append(nodes, stayDownNode{n, s.allowed})
	}
	return nodes
}

type stayDownNode struct {
	sandbox.Node
	allowed *atomic.Bool
}

func (n stayDownNode) Restart(ctx context.Context) error {
	if !n.allowed.Load() {
		return sandbox.ErrUnavailable
	}
	return n.Node.Restart(ctx)
}

func TestNodeThatIsDownBlocksOnlyItsOwnTerminals(t *testing.T) {
	var allowed atomic.Bool
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		c.Labs["two"] = labWith("two", func(l *lab.Lab) { l.Stack.Nodes = []string{"node1", "node2"} })
	})
	w.stop()
	w.openStore()
	w.fake = w.fake.Reopen(t)
	w.cfg.Connect = func(context.Context) (sandbox.Driver, error) { return stayDown{w.fake, &allowed}, nil }
	w.start()
	w.ready()
	v := w.started("two")
	size := sandbox.Size{Cols: 80, Rows: 24}
	open := func(id, node string) error {
		_, err := w.OpenTerminal(t.Context(), w.learners[0], v.ID, id, node, size)
		return err
	}
	good := w.shell(v.ID, "t1")
	if err := open("t2", "node2"); err != nil {
		t.Fatal(err)
	}
	bad, err := w.Attach(t.Context(), w.learners[0], v.ID, "t2", -1, size)
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	w.fake.Kill(t, w.stackOf(v.ID), "node2", sandbox.DownMemory)
	v = w.await(v.ID, "the node's end", func(v session.View) bool { return v.Nodes[1].State == session.NodeDown })
	if n := v.Nodes[0]; n.State != session.NodeUp || n.Notice != "" || v.Nodes[1].Notice != "memory" || v.State != session.Recovering {
		t.Errorf("the view is %+v", v)
	}
	if _, err := io.Copy(io.Discard, bad); err == nil || fault.CodeOf(bad.Cause()) != fault.NodeDown {
		t.Errorf("the terminal of the node that is down: %v, cause %v", err, bad.Cause())
	}
	if err := open("t3", "node2"); fault.CodeOf(err) != fault.NodeDown {
		t.Errorf("a new terminal there: %v", err)
	}
	// The other node goes on as if nothing had happened: old and new terminals, checks, steps.
	if err := open("t4", "node1"); err != nil {
		t.Errorf("a new terminal on the other node: %v", err)
	}
	if _, err := w.Check(t.Context(), w.learners[0], v.ID, "one"); err != nil {
		t.Errorf("a check that looks at the other node: %v", err)
	}
	typeText(t, good, "touch one; echo o''k\n")
	readUntil(t, good, "ok")
	w.await(v.ID, "step one", func(v session.View) bool { return v.Steps[0].State == session.Done })
	if good.Cause() != nil {
		t.Errorf("the other node's terminal was closed: %v", good.Cause())
	}
	allowed.Store(true)
	v = w.await(v.ID, "its return", func(v session.View) bool { return isReady(v) && v.Nodes[1].State == session.NodeUp })
	if slices.ContainsFunc(v.Terminals, func(t session.TerminalView) bool { return t.Node == "node2" }) || len(v.Terminals) != 2 {
		t.Errorf("terminals are %+v", v.Terminals)
	}
	if err := open("t3", "node2"); err != nil {
		t.Errorf("a terminal after its return: %v", err)
	}
}

func TestImagesAreRestoredInOneNode(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		c.Labs["two"] = labWith("two", func(l *lab.Lab) { l.Stack.Nodes = []string{"node1", "node2"} })
	}).ready()
	v := w.started("two")
	stack := w.stackOf(v.ID)
	w.fake.RemoveImages(t, stack, "node1")
	w.fake.RemoveImages(t, stack, "node2")
	restore := func(learner int, node string) error {
		return w.RestoreImages(t.Context(), w.learners[learner], v.ID, node)
	}
	if err := restore(0, "node2"); err != nil {
		t.Fatal(err)
	}
	if !w.fake.ImagesRemoved(t, stack, "node1") || w.fake.ImagesRemoved(t, stack, "node2") {
		t.Error("another node's images were restored")
	}
	if err := restore(0, "node9"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("a node that does not exist: %v", err)
	}
	if err := restore(1, "node1"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("another learner's node: %v", err)
	}
	w.fake.SetUnavailable(true)
	if err := restore(0, "node1"); fault.CodeOf(err) != fault.NodeDown {
		t.Errorf("without an engine: %v", err)
	}
	w.fake.SetUnavailable(false)
}
