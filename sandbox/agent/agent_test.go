package agent_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"labd/sandbox"
	"labd/sandbox/agent"
)

// patience bounds every wait of a test: it is only reached when the test fails.
const patience = 30 * time.Second

// halves is a node half on this machine and a labd half that speaks with it.
type halves struct {
	*agent.Client
	socket string
	opts   agent.Options
	stop   func() // ends the node half and waits for it
	start  func() // starts it again
}

// startHalves runs Serve on a unix socket and returns a client of it. The test fails if goroutines or descriptors stay.
func startHalves(tb testing.TB, change ...func(*agent.Options)) *halves {
	tb.Helper()
	checkLeaks(tb)
	dir := tb.TempDir()
	h := &halves{socket: filepath.Join(dir, "agent.sock")}
	h.opts = agent.Options{Home: dir, Env: []string{"PATH=" + os.Getenv("PATH"), "PS1=$ ", "LAB_CODE=x7k2"}}
	for _, f := range change {
		f(&h.opts)
	}
	h.start = func() {
		ln, err := agent.Listen(h.socket)
		if err != nil {
			tb.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- agent.Serve(ctx, ln, h.opts) }()
		h.stop = func() {
			cancel()
			select {
			case err := <-served:
				if err != nil {
					tb.Errorf("Serve: %v", err)
				}
			case <-time.After(patience):
				tb.Fatalf("Serve did not return\n%s", stacks())
			}
			h.stop = func() {}
		}
	}
	h.start()
	tb.Cleanup(func() { h.stop() })
	h.Client = h.newClient(tb)
	return h
}

// newClient returns another client of the same node half.
func (h *halves) newClient(tb testing.TB) *agent.Client {
	c := agent.NewClient(func(ctx context.Context) (io.ReadWriteCloser, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", h.socket)
	}, agent.ClientOptions{})
	tb.Cleanup(func() { c.Close() })
	return c
}

func kill(pid int) { syscall.Kill(pid, syscall.SIGKILL) }

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// checkLeaks compares goroutines and descriptors at the test's end with those at its start.
func checkLeaks(tb testing.TB) {
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
			runtime.GC() // package net keeps the pipes of its splices until then
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
		// The poller's own stay for the life of the process.
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.Contains(to, "anon_inode") {
			n++
		}
	}
	return n
}

func testContext(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain: %s\n%s", what, stacks())
		}
	}
}

// openTerminal starts a shell without line editing or a prompt of its own and attaches to it.
func (h *halves) openTerminal(tb testing.TB, id string) sandbox.Attachment {
	tb.Helper()
	ctx := testContext(tb)
	if err := h.OpenTerminal(ctx, sandbox.TerminalSpec{ID: id, Size: sandbox.Size{Cols: 80, Rows: 24}}); err != nil {
		tb.Fatal(err)
	}
	return h.attach(tb, id, -1)
}

func (h *halves) attach(tb testing.TB, id string, from int64) sandbox.Attachment {
	tb.Helper()
	a, err := h.Attach(testContext(tb), id, from, sandbox.Size{Cols: 80, Rows: 24})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { a.Close() })
	return a
}

// reading collects what an attachment gives.
type reading struct {
	tb testing.TB
	a  sandbox.Attachment
	b  []byte
}

// until reads until the text comes and returns all that was read so far.
func (r *reading) until(text string) string {
	r.tb.Helper()
	timer := time.AfterFunc(patience, func() { r.a.Close() })
	defer timer.Stop()
	buf := make([]byte, 32<<10)
	for !strings.Contains(string(r.b), text) {
		n, err := r.a.Read(buf)
		r.b = append(r.b, buf[:n]...)
		if err != nil {
			tail := r.b
			if len(tail) > 2000 {
				tail = tail[len(tail)-2000:]
			}
			r.tb.Fatalf("waiting for %q: %v; got %q", text, err, tail)
		}
	}
	return string(r.b)
}

func send(tb testing.TB, a sandbox.Attachment, text string) {
	tb.Helper()
	if n, err := io.WriteString(a, text); err != nil || n != len(text) {
		tb.Fatalf("wrote %d of %d bytes: %v", n, len(text), err)
	}
}

func mustBe(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Fatalf("error is %v, want %v", err, want)
	}
}

// startNodeProcess runs a node half in a process of its own.
func startNodeProcess(tb testing.TB) *halves {
	tb.Helper()
	h := &halves{socket: filepath.Join(tb.TempDir(), "agent.sock")}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "AGENT_TEST_SERVE="+h.socket)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	return h
}

// serveForTest is a node half until standard input ends.
func serveForTest(path string) int {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		io.Copy(io.Discard, os.Stdin)
	}()
	ln, err := agent.Listen(path)
	if err == nil {
		err = agent.Serve(ctx, ln, agent.Options{Home: filepath.Dir(path)})
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return 0
}
