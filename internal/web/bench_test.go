package web_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/labd-dev/labd/sandbox"
)

// idleTerminals is how many shells are open while the memory of one is measured.
const idleTerminals = 200

// shellsPerNode is how many of them run in one session; an agent allows 32.
const shellsPerNode = 25

// BenchmarkIdleTerminal measures the memory of an idle terminal: heap and goroutine stacks, including the agent's client. The
// WebSocket clients and the node's agent run in this process too. The memory of the shells is subtracted. That of the
// clients and of the agent's end of each attachment is not, so the true figure is lower.
func BenchmarkIdleTerminal(b *testing.B) {
	for b.Loop() {
		w := newWorld(b, nil)
		type place struct {
			l       *learner
			session string
			node    sandbox.Node
		}
		var places []place
		for range (idleTerminals + shellsPerNode - 1) / shellsPerNode {
			l := w.learner()
			s := l.start()
			l.attach(s.ID, "warm", -1)
			stack, err := w.fake.Open(b.Context(), w.stackOf(s.ID))
			if err != nil {
				b.Fatal(err)
			}
			defer stack.Close()
			p := place{l, s.ID, stack.Nodes()[0]}
			if _, err := p.node.Terminals(b.Context()); err != nil { // connects
				b.Fatal(err)
			}
			places = append(places, p)
		}
		each := func(f func(p place, id string)) int64 {
			for i := range idleTerminals {
				f(places[i/shellsPerNode], fmt.Sprint("x", i%shellsPerNode))
			}
			return settled()
		}
		// The shells with nobody attached are the agent's own part.
		empty := settled()
		shells := each(func(p place, id string) {
			if err := p.node.OpenTerminal(b.Context(), sandbox.TerminalSpec{ID: id, Size: sandbox.Size{Cols: 80, Rows: 24}}); err != nil {
				b.Fatal(err)
			}
		})
		var clients []*websocket.Conn
		attached := each(func(p place, id string) {
			ws, _, err := p.l.dial(p.session, id, p.l.ticket(p.session, id), -1, http.Header{"Origin": {w.http.URL}})
			if err != nil {
				b.Fatal(err)
			}
			for range 2 { // hello, and the prompt
				if _, _, err := ws.ReadMessage(); err != nil {
					b.Fatal(err)
				}
			}
			clients = append(clients, ws)
		})
		b.ReportMetric(float64(shells-empty)/idleTerminals/1024, "KiB/shell-in-agent")
		b.ReportMetric(float64(attached-shells)/idleTerminals/1024, "KiB/terminal")
		for _, ws := range clients {
			_ = ws.Close()
		}
		w.stop()
	}
}

// settled returns the memory in use once it no longer falls.
func settled() int64 {
	last := int64(1) << 62
	for {
		time.Sleep(50 * time.Millisecond) // shells print their prompts meanwhile
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		now := int64(m.HeapAlloc + m.StackInuse)
		if now >= last-64<<10 {
			return now
		}
		last = now
	}
}

// BenchmarkEcho measures how long a keystroke takes through the WebSocket, web, session, agent and shell, and back. The
// baseline is the same byte through the driver alone, in the same run.
func BenchmarkEcho(b *testing.B) {
	w := newWorld(b, nil)
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	c.typeText("echo go''on; exec cat\n")
	c.until("goon\r\n")
	c.typeText("mark\n")
	c.until("mark\r\nmark\r\n") // typed, and by cat
	stack, err := w.fake.Open(b.Context(), w.stackOf(s.ID))
	if err != nil {
		b.Fatal(err)
	}
	defer stack.Close()
	node, size := stack.Nodes()[0], sandbox.Size{Cols: 80, Rows: 24}
	if err := node.OpenTerminal(b.Context(), sandbox.TerminalSpec{ID: "raw", Size: size}); err != nil {
		b.Fatal(err)
	}
	att, err := node.Attach(b.Context(), "raw", -1, size)
	if err != nil {
		b.Fatal(err)
	}
	defer att.Close()
	buf := make([]byte, 4096)
	for _, step := range [][2]string{{"echo go''on; exec cat\n", "goon\r\n"}, {"mark\n", "mark\r\nmark\r\n"}} {
		if _, err := att.Write([]byte(step[0])); err != nil {
			b.Fatal(err)
		}
		readAttachment(b, att, step[1])
	}

	var floor, ours []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := att.Write([]byte("x")); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadAtLeast(att, buf, 1); err != nil {
			b.Fatal(err)
		}
		floor = append(floor, time.Since(start))
		start = time.Now()
		if err := c.WriteMessage(websocket.BinaryMessage, []byte("x")); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.ReadMessage(); err != nil {
			b.Fatal(err)
		}
		ours = append(ours, time.Since(start))
	}
	slices.Sort(floor)
	slices.Sort(ours)
	at := func(d []time.Duration, q float64) float64 {
		return float64(d[int(q*float64(len(d)-1))].Nanoseconds()) / 1000
	}
	b.ReportMetric(at(floor, 0.5), "us-p50-floor")
	b.ReportMetric(at(floor, 0.99), "us-p99-floor")
	b.ReportMetric(at(ours, 0.5), "us-p50")
	b.ReportMetric(at(ours, 0.99), "us-p99")
}
