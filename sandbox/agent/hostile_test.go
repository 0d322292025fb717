package agent_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent"
	"github.com/labd-dev/labd/sandbox/agent/agenttest"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

const hello = "labnode agent 1\n"

// hostileClient returns a client whose server is serve, on the other end of the connection.
func hostileClient(t *testing.T, serve func(net.Conn)) *agent.Client {
	agenttest.CheckLeaks(t)
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	c := agent.NewClient(func(context.Context) (io.ReadWriteCloser, error) {
		ours, theirs := net.Pipe()
		wg.Go(func() {
			defer theirs.Close()
			serve(theirs)
		})
		return ours, nil
	}, agent.ClientOptions{})
	t.Cleanup(func() { c.Close() })
	return c
}

// greet sends and reads the hello, as a server does.
func greet(c net.Conn) {
	go io.WriteString(c, hello)
	io.ReadFull(c, make([]byte, len(hello)))
}

// operations answers every operation with answer, on a correct multiplexer.
func operations(answer func(req map[string]any, s net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		greet(c)
		cfg := yamux.DefaultConfig()
		cfg.EnableKeepAlive = false
		cfg.LogOutput = io.Discard
		mux, err := yamux.Server(c, cfg)
		if err != nil {
			return
		}
		defer mux.Close()
		var wg sync.WaitGroup
		defer wg.Wait()
		defer mux.Close()
		for {
			s, err := mux.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				var head [4]byte
				if _, err := io.ReadFull(s, head[:]); err != nil {
					return
				}
				body := make([]byte, binary.BigEndian.Uint32(head[:]))
				if _, err := io.ReadFull(s, body); err != nil {
					return
				}
				req := map[string]any{}
				if json.Unmarshal(body, &req) == nil && req["op"] != "abort" {
					answer(req, s)
				}
			})
		}
	}
}

func message(body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func muxFrame(kind byte, flags uint16, id, length uint32, body string) []byte {
	b := []byte{0, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, length)
	return append(b, body...)
}

// Whatever a server sends, the client's call returns an error and the client's memory stays
// bounded.
func TestHostileServer(t *testing.T) {
	flood := func(b []byte) func(net.Conn) {
		b = bytes.Repeat(b, 1+(64<<10)/len(b))
		return func(c net.Conn) {
			greet(c)
			for {
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		}
	}
	raw := func(b []byte) func(net.Conn) {
		return operations(func(_ map[string]any, s net.Conn) { s.Write(b) })
	}
	for name, serve := range map[string]func(net.Conn){
		"closes at once":               func(net.Conn) {},
		"another version":              func(c net.Conn) { io.WriteString(c, "labnode agent 9\n"); io.Copy(io.Discard, c) },
		"an engine's error message":    func(c net.Conn) { io.WriteString(c, "OCI runtime exec failed: exec failed: \x1b[2J") },
		"garbage after hello":          flood([]byte("\xff\x00garbage")),
		"opens streams":                flood(muxFrame(1, 1, 2, 0, "")),
		"opens streams of ours":        flood(muxFrame(1, 1, 1, 0, "")),
		"pings":                        flood(muxFrame(2, 1, 0, 7, "")),
		"data for stream 0":            flood(muxFrame(0, 0, 0, 1, "x")),
		"frame larger than any window": flood(muxFrame(0, 0, 1, 1<<31, "x")),
		"more than the window":         flood(muxFrame(0, 0, 1, 256<<10, strings.Repeat("w", 256<<10))),
		"overflows our window":         flood(muxFrame(1, 0, 1, 1<<32-1, "")),
		"unknown frame types":          flood(muxFrame(9, 0, 1, 0, "")),
		"unknown flags":                flood(muxFrame(1, 0xfff0, 1, 0, "")),
		"goes away":                    flood(muxFrame(3, 0, 0, 2, "")),
		"resets":                       flood(muxFrame(1, 8, 1, 0, "")),
		"acknowledges for ever":        flood(muxFrame(1, 2, 1, 0, "")),
		"finishes twice":               flood(muxFrame(1, 4, 1, 0, "")),
		"oversize header":              raw([]byte{0xff, 0xff, 0xff, 0xff, '{'}),
		"empty header":                 raw([]byte{0, 0, 0, 0}),
		"half a header":                operations(func(_ map[string]any, s net.Conn) { s.Write([]byte{0, 0}); s.Close() }),
		"half a body": operations(func(_ map[string]any, s net.Conn) {
			s.Write(message(`{"size":5,"stdout":5}`))
			s.Write([]byte("abc"))
			s.Close()
		}),
		"no JSON":                      raw(message("hello")),
		"JSON of another type":         raw(message(`[1]`)),
		"fields of another type":       raw(message(`{"size":"x","terminals":{},"start":{}}`)),
		"numbers too large":            raw(message(`{"size":99999999999999999999,"stdout":99999999999999999999,"start":1e99,"terminals":[1]}`)),
		"negative sizes":               raw(message(`{"size":-1,"stdout":-1,"start":-1,"terminals":["../x"]}`)),
		"sizes over the limit":         raw(message(`{"size":9000000,"stdout":9000000,"start":9,"end":8,"terminals":["A b"]}`)),
		"a failure of an unknown kind": raw(message(`{"code":"\u001b[2J","message":"\u001b[2Jboo"}`)),
		"deep JSON":                    raw(message(strings.Repeat(`[`, 20000))),
	} {
		t.Run(name, func(t *testing.T) {
			c := hostileClient(t, serve)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.ReadFile(ctx, "/x", 1<<20)
			if err == nil {
				t.Fatal("ReadFile succeeded")
			}
			_, execErr := c.Exec(ctx, sandbox.Command{Args: []string{"x"}})
			if execErr == nil {
				t.Fatal("Exec succeeded")
			}
			ids, listErr := c.Terminals(ctx)
			a, attachErr := c.Attach(ctx, "t1", -1, sandbox.Size{})
			if len(ids) > 0 || a != nil && (a.Start() != 0 || a.End() != 0) {
				t.Fatalf("made up: %q %v", ids, a)
			}
			if a != nil {
				a.Close()
			}
			for _, err := range []error{err, execErr, listErr, attachErr} {
				if err != nil && (strings.ContainsAny(err.Error(), "\x1b\x00") || len(err.Error()) > 4000) {
					t.Fatalf("error is unfit to show: %q", err)
				}
			}
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
				t.Fatalf("it cost %d bytes", grown)
			}
		})
	}
}

// A server that never answers blocks a call only until its context ends, and Close only for a
// limited time.
func TestSilentServer(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"no hello":      func(c net.Conn) { io.Copy(io.Discard, c) },
		"no answer":     operations(func(map[string]any, net.Conn) {}),
		"no stream":     func(c net.Conn) { greet(c); io.Copy(io.Discard, c) },
		"reads nothing": func(c net.Conn) { greet(c); io.ReadFull(c, make([]byte, 30)); time.Sleep(2 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			c := hostileClient(t, serve)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			err := c.Ping(ctx)
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, sandbox.ErrNodeDown) {
				t.Fatal(err)
			}
		})
	}
}

// The number of operations that a server leaves unfinished is bounded.
func TestUnfinishedOperationsAreBounded(t *testing.T) {
	c := hostileClient(t, operations(func(_ map[string]any, s net.Conn) {
		s.Write(message(`{"size":1}`))
		for {
			if _, err := s.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	}))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 1000 {
		c.ReadFile(agenttest.Context(t), "/x", 10)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	// The server runs in this process too and needs as much again.
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Fatalf("1000 calls left %d bytes", grown)
	}
}

// An attachment that receives invalid frames ends, and never returns invented output.
func TestHostileFrames(t *testing.T) {
	for name, frames := range map[string]string{
		"unknown type":   "z\x00\x00\x01x",
		"too long":       "o\xff\xff\xffx",
		"empty output":   "o\x00\x00\x00",
		"exit with data": "x\x00\x00\x01x",
		"cut off":        "o\x00\x00\x05ab",
		"cut header":     "o\x00",
		"nothing":        "",
	} {
		t.Run(name, func(t *testing.T) {
			c := hostileClient(t, operations(func(_ map[string]any, s net.Conn) {
				s.Write(append(message(`{"start":0,"end":0}`), frames...))
				s.Close()
			}))
			a, err := c.Attach(agenttest.Context(t), "t1", -1, sandbox.Size{})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			got, err := io.ReadAll(a)
			if err == nil || len(got) > 2 {
				t.Fatalf("%q, %v", got, err)
			}
		})
	}
}

// Every protocol violation ends the session, even if the call that detected it already has its
// answer.
func TestProtocolViolationEndsTheSession(t *testing.T) {
	attach := func(t *testing.T, c *agent.Client) sandbox.Attachment {
		a, err := c.Attach(agenttest.Context(t), "t1", -1, sandbox.Size{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		return a
	}
	for name, tt := range map[string]struct {
		op, answer string // op gets answer; all other operations get a valid answer
		call       func(t *testing.T, c *agent.Client)
	}{
		"terminals": {"terminals", string(message(`{"terminals":["A b"]}`)), func(t *testing.T, c *agent.Client) {
			_, err := c.Terminals(agenttest.Context(t))
			agenttest.MustBe(t, err, wire.ErrProtocol)
		}},
		"event": {"watch", string(message(`{}`)) + "!", func(t *testing.T, c *agent.Client) {
			events, err := c.Watch(agenttest.Context(t))
			if err != nil {
				t.Fatal(err)
			}
			for e := range events {
				t.Errorf("event %s", e.Kind)
			}
		}},
		"run": {"run", string(message(`[]`)), func(t *testing.T, c *agent.Client) {
			_, err := attach(t, c).Run("r", "x")
			agenttest.MustBe(t, err, wire.ErrProtocol)
		}},
		"frame": {"attach", string(message(`{}`)) + "zzzz", func(t *testing.T, c *agent.Client) {
			_, err := attach(t, c).Read(make([]byte, 1))
			agenttest.MustBe(t, err, wire.ErrProtocol)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{}, 1)
			serve := operations(func(req map[string]any, s net.Conn) {
				answer := string(message(`{}`))
				if req["op"] == tt.op {
					answer = tt.answer
				}
				io.WriteString(s, answer)
			})
			c := hostileClient(t, func(conn net.Conn) {
				serve(conn)
				over <- struct{}{}
			})
			tt.call(t, c)
			select {
			case <-over:
			case <-time.After(agenttest.Patience):
				t.Error("the session goes on")
			}
		})
	}
}

// A flood of events is rate-limited, and a byte that is not an event ends the watch.
func TestHostileEvents(t *testing.T) {
	c := hostileClient(t, operations(func(_ map[string]any, s net.Conn) {
		s.Write(message(`{}`))
		for {
			if _, err := s.Write(bytes.Repeat([]byte("cpud"), 4<<10)); err != nil {
				return
			}
		}
	}))
	ctx, cancel := context.WithCancel(agenttest.Context(t))
	events, err := c.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n, started := 0, time.Now()
	for stop := time.After(300 * time.Millisecond); stop != nil; {
		select {
		case <-events:
			n++
		case <-stop:
			stop = nil
		}
	}
	took := time.Since(started) // more than necessary, for a busy machine
	cancel()
	for range events {
	}
	if n > 100*int(1+took/(300*time.Millisecond)) {
		t.Fatalf("%d events in %v", n, took)
	}

	c = hostileClient(t, operations(func(_ map[string]any, s net.Conn) { s.Write(append(message(`{}`), "c!"...)); io.Copy(io.Discard, s) }))
	if events, err = c.Watch(agenttest.Context(t)); err != nil {
		t.Fatal(err)
	}
	for e := range events {
		if e.Kind != sandbox.EngineChange {
			t.Fatal(e)
		}
	}
}
