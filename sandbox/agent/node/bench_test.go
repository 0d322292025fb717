package node_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/agenttest"
	"github.com/labd-dev/labd/sandbox/agent/node"
)

// BenchmarkEcho measures the round trip of a key through the agent to a process on a raw PTY,
// against the same PTY without the agent.
func BenchmarkEcho(b *testing.B) {
	const script = "stty raw -echo; printf R; exec cat"
	b.Run("floor", func(b *testing.B) { agenttest.MeasureEcho(b, rawPTY(b, script)) })
	b.Run("attached", func(b *testing.B) {
		h := agenttest.Start(b, withScript(b, script))
		a := openTerminal(b, h, "t1")
		(&reading{tb: b, a: a}).until("R")
		agenttest.MeasureEcho(b, a)
	})
}

// BenchmarkOutput measures output of 64 MB.
func BenchmarkOutput(b *testing.B) {
	const size = 64 << 20
	script := "stty raw -echo; printf R; head -c 1 >/dev/null; head -c " + strconv.Itoa(size) + " /dev/zero; printf E; sleep 1000"
	measure := func(b *testing.B, rw io.ReadWriter) {
		b.Helper()
		if _, err := rw.Write([]byte("g")); err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(rw, size), make([]byte, 64<<10)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("floor", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			b.StopTimer()
			p := rawPTY(b, script)
			b.StartTimer()
			measure(b, p)
		}
	})
	b.Run("attached", func(b *testing.B) {
		b.SetBytes(size)
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			h := agenttest.Start(b, withScript(b, script))
			a := openTerminal(b, h, "t"+strconv.Itoa(i))
			(&reading{tb: b, a: a}).until("R")
			b.StartTimer()
			measure(b, a)
		}
	})
}

// BenchmarkIdleTerminal measures the memory that one more attached terminal keeps in the client
// after a burst of output. The server runs in a process of its own.
func BenchmarkIdleTerminal(b *testing.B) {
	const terminals = 30
	socket := startNodeProcess(b)
	for b.Loop() {
		c := agenttest.NewClient(b, socket)
		ctx := agenttest.Context(b)
		if err := c.Ping(ctx); err != nil {
			b.Fatal(err)
		}
		before := heap()
		var list []sandbox.Attachment
		var wg sync.WaitGroup
		for i := range terminals {
			id := fmt.Sprintf("t%d", i)
			if err := c.OpenTerminal(ctx, sandbox.TerminalSpec{ID: id}); err != nil {
				b.Fatal(err)
			}
			a, err := c.Attach(ctx, id, -1, sandbox.Size{Cols: 80, Rows: 24})
			if err != nil {
				b.Fatal(err)
			}
			list = append(list, a)
			send(b, a, "seq 30000; echo do''ne\n")
			(&reading{tb: b, a: a}).until("done\r\n")
			wg.Go(func() { // reads like an attached page
				for buf := make([]byte, 64); ; {
					if _, err := a.Read(buf); err != nil {
						return
					}
				}
			})
		}
		time.Sleep(100 * time.Millisecond) // until they are all waiting
		b.ReportMetric(float64(heap()-before)/terminals, "heap-B/terminal")
		b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
		for _, a := range list {
			a.Close()
		}
		c.Close()
		wg.Wait()
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func rawPTY(b *testing.B, script string) io.ReadWriter {
	cmd := exec.Command("bash", "-c", script)
	f, err := pty.Start(cmd)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		f.Close()
	})
	if _, err := io.ReadFull(f, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	return f
}

// TestMain lets the test binary run as a separate server process.
func TestMain(m *testing.M) {
	if path := os.Getenv("AGENT_TEST_SERVE"); path != "" {
		os.Exit(serveForTest(path))
	}
	os.Exit(m.Run())
}

// startNodeProcess runs a server in a separate process.
func startNodeProcess(tb testing.TB) (socket string) {
	tb.Helper()
	socket = filepath.Join(tb.TempDir(), "agent.sock")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "AGENT_TEST_SERVE="+socket)
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
	return socket
}

// serveForTest runs a server until standard input ends.
func serveForTest(path string) int {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		io.Copy(io.Discard, os.Stdin)
	}()
	ln, err := node.Listen(path)
	if err == nil {
		err = node.Serve(ctx, ln, node.Options{Home: filepath.Dir(path)})
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return 0
}
