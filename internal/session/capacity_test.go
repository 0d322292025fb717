package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

// fullDriver has nodes that can have no further terminal.
type fullDriver struct{ sandbox.Driver }

func (d fullDriver) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Stack, error) {
	st, err := d.Driver.Create(ctx, spec)
	if err != nil {
		return nil, err
	}
	return fullStack{st}, nil
}

type fullStack struct{ sandbox.Stack }

func (s fullStack) Nodes() (nodes []sandbox.Node) {
	for _, n := range s.Stack.Nodes() {
		nodes = append(nodes, fullNode{n})
	}
	return nodes
}

type fullNode struct{ sandbox.Node }

func (fullNode) OpenTerminal(context.Context, sandbox.TerminalSpec) error {
	return fmt.Errorf("32 terminals are open: %w", sandbox.ErrCapacity)
}

// After a restart a node may have shells that the session does not count. One more must be refused, and not be an internal error.
func TestFullNodeIsReportedAndTakesNoTerminalSlot(t *testing.T) {
	w := newWorld(t, sandboxtest.FakeOptions{}, func(c *session.Config) {
		fake := sandboxtest.NewFake(t, sandboxtest.FakeOptions{})
		c.Connect = func(context.Context) (sandbox.Driver, error) { return fullDriver{fake}, nil }
	}).ready()
	v := w.started("first")
	for range 2 * limits().ShellsPerSession {
		_, err := w.OpenTerminal(t.Context(), w.learners[0], v.ID, "t1", "", sandbox.Size{Cols: 80, Rows: 24})
		if fault.CodeOf(err) != fault.TooMany || !strings.Contains(fault.MessageOf(err), "can't have more terminals") {
			t.Fatalf("a terminal of a full node: %v", err)
		}
	}
	if v, err := w.Get(t.Context(), w.learners[0], v.ID); err != nil || len(v.Terminals) != 0 {
		t.Errorf("the session counts %v, %v", v.Terminals, err)
	}
}
