package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/agenttest"
	"github.com/labd-dev/labd/sandbox/agent/node"
)

func withSpare(o *node.Options) { o.Spare = true }

// recordPIDs makes every shell write its process id to a file. It returns a function that waits for
// n of them.
func recordPIDs(tb testing.TB) (change func(*node.Options), wait func(h *agenttest.Pair, n int) []int) {
	change = withScript(tb, `echo $$ >>"$HOME/pids"; while read -r line; do eval "$line"; done`)
	return change, func(h *agenttest.Pair, n int) []int {
		tb.Helper()
		for deadline := time.Now().Add(agenttest.Patience); ; time.Sleep(5 * time.Millisecond) {
			b, _ := os.ReadFile(filepath.Join(h.Options.Home, "pids"))
			lines := strings.Fields(string(b))
			if len(lines) >= n {
				pids := make([]int, len(lines))
				for i, l := range lines {
					pids[i], _ = strconv.Atoi(l)
				}
				return pids
			}
			if time.Now().After(deadline) {
				tb.Fatalf("%d shells have started, want %d", len(lines), n)
			}
		}
	}
}

func TestFirstTerminalUsesTheSpareShellWithItsOwnSize(t *testing.T) {
	change, pids := recordPIDs(t)
	h := agenttest.Start(t, change, withSpare)
	spare := pids(h, 1)[0]
	if ids, err := h.Terminals(agenttest.Context(t)); err != nil || len(ids) != 0 {
		t.Fatalf("before any is opened, terminals are %v, %v", ids, err)
	}
	spec := sandbox.TerminalSpec{ID: "t1", Size: sandbox.Size{Cols: 101, Rows: 33}}
	if err := h.OpenTerminal(agenttest.Context(t), spec); err != nil {
		t.Fatal(err)
	}
	a, err := h.Attach(agenttest.Context(t), "t1", -1, sandbox.Size{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	send(t, a, `echo "pid:$$: size:$(stty size):"`+"\n")
	want := "pid:" + strconv.Itoa(spare) + ": size:33 101:"
	(&reading{tb: t, a: a}).until(want)

	openTerminal(t, h, "t2")
	if got := pids(h, 2); got[1] == spare {
		t.Errorf("two terminals share the shell %d", spare)
	}
}

func TestKilledSpareShellIsReplaced(t *testing.T) {
	change, pids := recordPIDs(t)
	h := agenttest.Start(t, change, withSpare)
	kill(pids(h, 1)[0])
	// The agent may not have noticed yet that the shell is gone. Then the terminal ends at once and
	// is opened again, as a page would.
	for deadline := time.Now().Add(agenttest.Patience); ; {
		if err := h.OpenTerminal(agenttest.Context(t), sandbox.TerminalSpec{ID: "t1", Size: sandbox.Size{Cols: 80, Rows: 24}}); err != nil {
			t.Fatal(err)
		}
		var out string
		switch a, err := h.Attach(agenttest.Context(t), "t1", -1, sandbox.Size{Cols: 80, Rows: 24}); {
		case err == nil:
			send(t, a, "echo al''ive\n")
			buf := make([]byte, 4096)
			for !strings.Contains(out, "alive") {
				n, err := a.Read(buf)
				out += string(buf[:n])
				if err != nil {
					break
				}
			}
			a.Close()
		case !errors.Is(err, sandbox.ErrNotFound): // it may end before anybody attaches
			t.Fatal(err)
		}
		if strings.Contains(out, "alive") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no shell is alive; the last one printed %q", out)
		}
		if err := h.CloseTerminal(agenttest.Context(t), "t1"); err != nil && !errors.Is(err, sandbox.ErrNotFound) {
			t.Fatal(err)
		}
	}
}

func TestSpareShellIsReplacedWhenVariablesChange(t *testing.T) {
	change, pids := recordPIDs(t)
	h := agenttest.Start(t, change, withSpare)
	old := pids(h, 1)[0]
	ctx := agenttest.Context(t)
	seat := map[string]string{"SEAT": "a 7"}
	for range 2 { // the second call changes nothing, so the spare shell stays
		if err := h.SetEnv(ctx, seat); err != nil {
			t.Fatal(err)
		}
	}
	spare := pids(h, 2)[1]
	if err := h.OpenTerminal(ctx, sandbox.TerminalSpec{ID: "t1", Size: sandbox.Size{Cols: 80, Rows: 24}}); err != nil {
		t.Fatal(err)
	}
	a, err := h.Attach(ctx, "t1", -1, sandbox.Size{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	send(t, a, `echo "pid:$$: seat:$SEAT:"`+"\n")
	(&reading{tb: t, a: a}).until("pid:" + strconv.Itoa(spare) + ": seat:a 7:")
	agenttest.Eventually(t, "the old spare shell to end", func() bool { return syscall.Kill(old, 0) != nil })
}
