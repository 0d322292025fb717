package node_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/agenttest"
	"github.com/labd-dev/labd/sandbox/agent/node"
)

// fakeEngine implements the part of the engine's API that the agent uses.
type fakeEngine struct {
	path string
	srv  *http.Server

	events chan string
}

func startEngine(t *testing.T, path string) *fakeEngine {
	t.Helper()
	os.Remove(path)
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	e := &fakeEngine{path: path, events: make(chan string)}
	e.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/events" || r.URL.Query().Get("filters") == "" {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for {
			select {
			case s := <-e.events:
				io.WriteString(w, s)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})}
	go e.srv.Serve(ln)
	t.Cleanup(func() { e.srv.Close() })
	return e
}

func withWatching(o *node.Options) {
	o.Engine = filepath.Join(o.Home, "docker.sock")
	o.Prompt = filepath.Join(o.Home, "prompt")
}

func next(t *testing.T, events <-chan sandbox.Event, want sandbox.EventKind) {
	t.Helper()
	for timeout := time.After(agenttest.Patience); ; {
		select {
		case e, ok := <-events:
			if !ok {
				t.Fatalf("the watch ended, waiting for %s", want)
			}
			if e.Kind == want {
				return
			}
		case <-timeout:
			t.Fatalf("no %s", want)
		}
	}
}

func TestWatchFollowsTheEngine(t *testing.T) {
	h := agenttest.Start(t, withWatching)
	ctx, cancel := context.WithCancel(agenttest.Context(t))
	events, err := h.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	next(t, events, sandbox.EngineDown)
	engine := startEngine(t, h.Options.Engine)
	next(t, events, sandbox.EngineUp)
	engine.events <- `{"Type":"container","Action":"start"}` + "\n"
	next(t, events, sandbox.EngineChange)
	engine.srv.Close()
	next(t, events, sandbox.EngineDown)
	startEngine(t, h.Options.Engine)
	next(t, events, sandbox.EngineUp)
	// A watch that starts later receives the current state first.
	late, err := h.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	next(t, late, sandbox.EngineUp)
	cancel()
	for range events {
	}
	for range late {
	}
}

func TestWatchCoalescesBursts(t *testing.T) {
	h := agenttest.Start(t, withWatching)
	engine := startEngine(t, h.Options.Engine)
	events, err := h.Watch(agenttest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	next(t, events, sandbox.EngineUp)
	started := time.Now()
	for range 2000 {
		engine.events <- "{}\n"
	}
	next(t, events, sandbox.EngineChange)
	n, took := 1, time.Since(started) // until the last event, because the machine may be slow
	for quiet := false; !quiet; {
		select {
		case e := <-events:
			if e.Kind == sandbox.EngineChange {
				n, took = n+1, time.Since(started)
			}
		case <-time.After(300 * time.Millisecond):
			quiet = true
		}
	}
	if most := int(took/(50*time.Millisecond)) + 3; n > most {
		t.Fatalf("%d events in %v", n, took)
	}
}

func TestWatchEndsWithTheConnection(t *testing.T) {
	h := agenttest.Start(t, withWatching)
	events, err := h.Watch(agenttest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	h.StopNode(t)
	for range events {
	}
	h.StartNode(t)
	if events, err = h.Watch(agenttest.Context(t)); err != nil {
		t.Fatal(err)
	}
	h.Client.Close()
	for range events {
	}
	_, err = h.Watch(agenttest.Context(t))
	agenttest.MustBe(t, err, sandbox.ErrNodeDown)
}

// The engine may answer slowly, incorrectly or not at all.
func TestWatchSurvivesABrokenEngine(t *testing.T) {
	h := agenttest.Start(t, withWatching)
	events, err := h.Watch(agenttest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	next(t, events, sandbox.EngineDown)
	for _, answer := range []string{"", "HTTP/1.1 503 no\r\n\r\n", "garbage", "HTTP/1.1 200 OK\r\n" + fmt.Sprintf("X: %09000d\r\n", 1)} {
		ln, err := net.Listen("unix", h.Options.Engine)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		bufio.NewReader(c).ReadString('\n')
		io.WriteString(c, answer)
		c.Close()
		ln.Close()
	}
	select {
	case e := <-events:
		t.Fatalf("event %s of a broken engine", e.Kind)
	default:
	}
	startEngine(t, h.Options.Engine)
	next(t, events, sandbox.EngineUp)
}

func TestFinishedCommandIsAnEvent(t *testing.T) {
	h := agenttest.Start(t, withWatching)
	events, err := h.Watch(agenttest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	a := openTerminal(t, h, "t1")
	r := &reading{tb: t, a: a}
	next(t, events, sandbox.ShellPrompt) // the first prompt
	send(t, a, "(exit 7)\n")
	next(t, events, sandbox.ShellPrompt)
	send(t, a, "echo code:$?:\n")
	r.until("code:7:") // reporting a prompt does not change the exit code
	next(t, events, sandbox.ShellPrompt)

	// The FIFO is created again after the learner removed it. Meanwhile shells neither hang nor
	// print errors.
	if err := os.Remove(h.Options.Prompt); err != nil {
		t.Fatal(err)
	}
	send(t, a, "echo re''moved\n")
	r.until("removed\r\n")
	agenttest.Eventually(t, "the FIFO is back", func() bool {
		info, err := os.Lstat(h.Options.Prompt)
		return err == nil && info.Mode().Type() == os.ModeNamedPipe
	})
	agenttest.Eventually(t, "prompts are seen again", func() bool {
		send(t, a, "\n")
		select {
		case e := <-events:
			return e.Kind == sandbox.ShellPrompt
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
	send(t, a, "PROMPT_COMMAND=; echo un''set\n")
	r.until("unset\r\n")
	send(t, a, "echo still-$((1+1))\n")
	r.until("still-2\r\n")
}
