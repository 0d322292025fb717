// Package agenttest runs the agent's server and client in one process, for tests.
package agenttest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox/agent"
	"github.com/labd-dev/labd/sandbox/agent/node"
)

// Patience bounds every wait of a test. It is reached only if the test fails.
const Patience = 30 * time.Second

// Pair is a server and a client connected to it.
type Pair struct {
	*agent.Client
	Socket  string
	Options node.Options
	end     func() // stops the server and waits for it; nil if it is not running
}

// Start runs a server on a Unix socket. The test fails if it leaves goroutines or open files
// behind.
func Start(tb testing.TB, change ...func(*node.Options)) *Pair {
	tb.Helper()
	CheckLeaks(tb)
	dir := tb.TempDir()
	h := &Pair{Socket: filepath.Join(dir, "agent.sock")}
	h.Options = node.Options{Home: dir, Env: []string{"PATH=" + os.Getenv("PATH"), "PS1=$ ", "LAB_CODE=x7k2"}}
	for _, f := range change {
		f(&h.Options)
	}
	h.StartNode(tb)
	tb.Cleanup(func() { h.StopNode(tb) })
	h.Client = NewClient(tb, h.Socket)
	return h
}

// StartNode starts the server again.
func (h *Pair) StartNode(tb testing.TB) {
	tb.Helper()
	ln, err := node.Listen(h.Socket)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- node.Serve(ctx, ln, h.Options) }()
	h.end = func() {
		cancel()
		select {
		case err := <-served:
			if err != nil {
				tb.Errorf("Serve: %v", err)
			}
		case <-time.After(Patience):
			tb.Fatalf("Serve did not return\n%s", stacks())
		}
	}
}

// StopNode stops the server, if it is running, and waits for it.
func (h *Pair) StopNode(tb testing.TB) {
	tb.Helper()
	if end := h.end; end != nil {
		h.end = nil
		end()
	}
}

// NewClient returns a client of the server that listens on socket.
func NewClient(tb testing.TB, socket string) *agent.Client {
	c := agent.NewClient(func(ctx context.Context) (io.ReadWriteCloser, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}, agent.ClientOptions{})
	tb.Cleanup(func() { c.Close() })
	return c
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// CheckLeaks compares the numbers of goroutines and open files at the test's end with those at its
// start.
func CheckLeaks(tb testing.TB) {
	tb.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles(tb)
	tb.Cleanup(func() {
		deadline := time.Now().Add(10 * time.Second)
		for {
			g, f := runtime.NumGoroutine(), openFiles(tb)
			if g <= goroutines && f <= files {
				return
			}
			if time.Now().After(deadline) {
				tb.Errorf("left behind: %d goroutines (%d before), %d descriptors (%d before)\n%s", g, goroutines, f, files, stacks())
				return
			}
			runtime.GC() // package net caches the pipes that it uses for splice(2) until then
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func openFiles(tb testing.TB) int {
	tb.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	n := 0
	for _, e := range list {
		// The poller's own descriptors stay open as long as the process runs.
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.Contains(to, "anon_inode") {
			n++
		}
	}
	return n
}

// Context returns a context that ends after Patience.
func Context(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	tb.Cleanup(cancel)
	return ctx
}

// Eventually waits until cond returns true.
func Eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(Patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("timed out waiting until %s\n%s", what, stacks())
		}
	}
}

// MustBe fails the test unless err is want.
func MustBe(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Fatalf("error is %v, want %v", err, want)
	}
}

// MeasureEcho measures the round trip of a key to the program that echoes it.
func MeasureEcho(b *testing.B, rw io.ReadWriter) {
	var took []time.Duration
	buf := make([]byte, 4096)
	for b.Loop() {
		started := time.Now()
		if _, err := rw.Write([]byte("k")); err != nil {
			b.Fatal(err)
		}
		if _, err := rw.Read(buf); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "p99-us")
}
