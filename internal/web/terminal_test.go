package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/sandbox"
)

func TestTerminalTypesShowsAndExits(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	c.typeText("echo sum-$((40+2))\n")
	c.until("sum-42")
	if err := c.WriteJSON(map[string]any{"type": "resize", "cols": 120, "rows": 40}); err != nil {
		t.Fatal(err)
	}
	c.typeText("stty size\n")
	c.until("40 120")
	c.typeText("exit\n")
	for {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		kind, b, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("no exit message: %v", err)
		}
		if kind == websocket.TextMessage {
			if string(b) != `{"type":"exit"}` {
				t.Errorf("got %s", b)
			}
			break
		}
	}
	if code := c.closed(); code != websocket.CloseNormalClosure {
		t.Errorf("closed with %d", code)
	}
}

func TestRunTypesOnceHoweverOftenItIsSent(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	run := func(c *term) bool {
		t.Helper()
		if err := c.WriteJSON(map[string]any{"type": "run", "id": "block-1", "text": "echo ran >> runs; echo done-$((1+1))\n"}); err != nil {
			t.Fatal(err)
		}
		for {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			kind, b, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			var m controlJSON
			if kind == websocket.TextMessage && json.Unmarshal(b, &m) == nil && m.Type == "ran" {
				if m.ID != "block-1" {
					t.Errorf("answer is %+v", m)
				}
				return m.Fresh
			}
		}
	}
	c := l.attach(s.ID, "t1", -1)
	if !run(c) || run(c) {
		t.Error("the first must be fresh, the second not")
	}
	_ = c.Close()
	if run(l.attach(s.ID, "t1", -1)) {
		t.Error("typed again after a reconnect")
	}
	c = l.attach(s.ID, "t1", -1)
	c.typeText("echo runs-$(wc -l < runs)-end-$((3+4))\n")
	if out := c.until("end-7"); !strings.Contains(out, "runs-1-end-7") {
		t.Errorf("it ran more than once: %q", out)
	}
}

func TestTerminalResumesWhereItWasAfterARestart(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	c.typeText("marker=kept; echo first-$((1+1))\n")
	c.until("first-2")
	id := w.stackOf(s.ID)
	w.stop()
	if code := c.closed(); code != websocket.CloseGoingAway {
		t.Errorf("closed with %d", code)
	}
	w.fake = w.fake.Reopen(t)
	// The shell keeps running while labd does not.
	stack, err := w.fake.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	att, err := stack.Nodes()[0].Attach(t.Context(), "t1", -1, sandbox.Size{Cols: 80, Rows: 24})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := att.Write([]byte("echo missed-$((2+2))\n")); err != nil {
		t.Fatal(err)
	}
	readAttachment(t, att, "missed-4")
	_ = att.Close()
	_ = stack.Close()

	w.start()
	old := l.http
	l = w.learner() // the server of the tests has another port, so the cookie is handed over
	l.http.Jar.SetCookies(mustURL(t, w.http.URL), old.Jar.Cookies(mustURL(t, w.http.URL)))
	eventually(t, "the session is ready", func() bool {
		l.call("GET", "/api/v1/sessions/"+s.ID, "", http.StatusOK, &s)
		return s.State == "ready"
	})
	again := l.attach(s.ID, "t1", c.next)
	if again.start != c.next || again.end <= again.start {
		t.Errorf("resumed at %d (history until %d), wanted %d", again.start, again.end, c.next)
	}
	if out := again.until("missed-4"); strings.Contains(out, "first-2") {
		t.Errorf("got old output again: %q", out)
	}
	again.typeText("echo still-$marker\n")
	again.until("still-kept")
}

func TestTicketsAreForOneWebSocketOfOneLearner(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	other := w.learner()
	theirs := other.start()
	refused := func(what string, who *learner, session, terminal, ticket string) {
		t.Helper()
		ws, resp, err := who.dial(session, terminal, ticket, -1, nil)
		if err == nil {
			_ = ws.Close()
			t.Errorf("%s was let in", what)
			return
		}
		b, _ := io.ReadAll(resp.Body)
		expectProblem(t, resp, b, http.StatusForbidden, "forbidden")
	}
	used := l.ticket(s.ID, "t1")
	ws, _, err := l.dial(s.ID, "t1", used, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	refused("a used ticket", l, s.ID, "t1", used)
	refused("no ticket", l, s.ID, "t1", "")
	refused("a made-up ticket", l, s.ID, "t1", "AAAAAAAAAAAAAAAAAAAAAAAAAA")
	refused("another learner's ticket", other, s.ID, "t1", l.ticket(s.ID, "t1"))
	refused("a ticket of one's own for another's terminal", other, s.ID, "t1", other.ticket(theirs.ID, "t1"))
	refused("a ticket of another terminal", l, s.ID, "t1", l.ticket(s.ID, "t2"))
	misused := l.ticket(s.ID, "t1")
	refused("a ticket at the wrong terminal", l, s.ID, "t2", misused)
	refused("a ticket that was tried at the wrong one", l, s.ID, "t1", misused)

	stranger := w.learner()
	_, resp, err := stranger.dial(s.ID, "t1", l.ticket(s.ID, "t1"), -1, nil)
	if err == nil {
		t.Fatal("a stranger was let in")
	}
	b, _ := io.ReadAll(resp.Body)
	expectProblem(t, resp, b, http.StatusUnauthorized, "unauthorized")
}

// unclosable is a session manager whose terminals can't be closed cleanly, as when the agent has gone.
type unclosable struct{ *session.Manager }

type unclosableAttachment struct{ sandbox.Attachment }

func (a unclosableAttachment) Close() error {
	return errors.Join(errors.New("the agent has gone"), a.Attachment.Close())
}

func (u unclosable) Attach(ctx context.Context, learner int64, id, terminal string, from int64, size sandbox.Size) (*session.Terminal, error) {
	term, err := u.Manager.Attach(ctx, learner, id, terminal, from, size)
	if err == nil {
		term.Attachment = unclosableAttachment{term.Attachment}
	}
	return term, err
}

func TestFailedUpgradeIsAnsweredOnce(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.shells = func(m *session.Manager) unclosable { return unclosable{m} }
	})
	l := w.learner()
	s := l.start()
	path := "/api/v1/sessions/" + s.ID + "/terminals/t1/ws?from=-1&cols=80&rows=24&ticket=" + l.ticket(s.ID, "t1")
	// The subprotocol is offered, but nothing else makes this a WebSocket handshake.
	resp, b := l.try("GET", path, "", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Protocol", "labd.terminal.v1") })
	if resp.StatusCode != http.StatusBadRequest || strings.Contains(string(b), "error") {
		t.Errorf("answered %d %q", resp.StatusCode, b)
	}
	if !strings.Contains(w.log.String(), "the agent has gone") {
		t.Error("the failure to close is not in the log")
	}
}

func TestWebSocketOfAForeignPageIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	for _, origin := range []string{"https://evil.example", "null", "", "http://127.0.0.1:1"} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		ws, resp, err := l.dial(s.ID, "t1", l.ticket(s.ID, "t1"), -1, header)
		if err == nil {
			_ = ws.Close()
			t.Errorf("origin %q was let in", origin)
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		expectProblem(t, resp, b, http.StatusForbidden, "forbidden")
	}
}

func TestMessagesThatBreakTheProtocolCloseTheTerminal(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	for name, message := range map[string]string{
		"not JSON":           `hello`,
		"no type":            `{}`,
		"another JSON":       `[1]`,
		"resize to nothing":  `{"type": "resize", "cols": 0, "rows": 24}`,
		"resize to negative": `{"type": "resize", "cols": -1, "rows": 24}`,
		"resize to a planet": `{"type": "resize", "cols": 60000, "rows": 60000}`,
		"run without id":     `{"type": "run", "text": "x"}`,
		"run with a long id": fmt.Sprintf(`{"type": "run", "id": %q, "text": "x"}`, strings.Repeat("x", 200)),
		"run of a novel":     fmt.Sprintf(`{"type": "run", "id": "x", "text": %q}`, strings.Repeat("x", 40<<10)),
		"ack of the future":  `{"type": "ack", "seq": 99999999}`,
		"ack of before":      `{"type": "ack", "seq": -5}`,
	} {
		c := l.attach(s.ID, "t1", -1)
		if err := c.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if code := c.closed(); code != websocket.ClosePolicyViolation {
			t.Errorf("%s: closed with %d", name, code)
		}
	}
	c := l.attach(s.ID, "t1", -1)
	if err := c.WriteMessage(websocket.BinaryMessage, make([]byte, 70<<10)); err != nil {
		t.Fatal(err)
	}
	if code := c.closed(); code != websocket.CloseMessageTooBig {
		t.Errorf("a frame that is too large: closed with %d", code)
	}
	c = l.attach(s.ID, "t2", -1) // the shell of t1 is busy with what came before the limit
	if err := c.WriteMessage(websocket.TextMessage, []byte(`{"type": "of-the-future"}`)); err != nil {
		t.Fatal(err)
	}
	c.typeText("echo alive-$((5+5))\n")
	c.until("alive-10")
}

func TestEndAndNodeDownHaveTheirCloseCodes(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	w.fake.Kill(t, w.stackOf(s.ID), "node1", sandbox.DownMemory)
	if code := c.closed(); code != websocket.CloseInternalServerErr {
		t.Errorf("node down: closed with %d", code)
	}
	eventually(t, "the node is back", func() bool {
		l.call("GET", "/api/v1/sessions/"+s.ID, "", http.StatusOK, &s)
		return s.State == "ready" && s.Notice == "memory"
	})
	c = l.attach(s.ID, "t1", -1)
	l.call("DELETE", "/api/v1/sessions/"+s.ID, "", http.StatusNoContent, nil)
	if code := c.closed(); code != 4410 {
		t.Errorf("session ended: closed with %d", code)
	}
}

// The shell prints without end and the page does not read. labd must not buffer the output, and the shell must continue when
// the page reads again.
func TestOutputOfAHundredMegabytesDoesNotGrowLabd(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	const size = 100 << 20
	before := heap()
	c.typeText(fmt.Sprintf("stty -opost; head -c %d /dev/zero | tr '\\0' x; echo; echo end-$((6+7))\n", size))
	var got, count int
	most := uint64(0)
	last := ""
	for !strings.Contains(last, "end-13") {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		kind, b, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		if kind != websocket.BinaryMessage {
			continue
		}
		got += strings.Count(string(b), "x")
		last = tail(last + tail(string(b))) // a prompt may be longer than one would think
		if count++; count%500 == 0 {
			most = max(most, heap())
		}
	}
	if got < size || got > size+100 {
		t.Errorf("%d of %d bytes came", got, size)
	}
	if grown := int64(most) - int64(before); grown > 16<<20 {
		t.Errorf("labd grew by %d MiB", grown>>20)
	}
}

func TestPageThatDoesNotReadStopsTheShell(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	c.ack()
	before := heap()
	c.typeText("seq 1 100000000\n")
	// Another shell shows how far it got.
	watch := l.attach(s.ID, "t2", -1)
	written := func() string {
		watch.typeText("echo at-$(awk '/^wchar/{print $2}' /proc/$(pgrep -nx seq)/io)-en''d\n")
		out := watch.until("-end")
		return out[strings.LastIndex(out, "at-"):]
	}
	last := ""
	eventually(t, "seq stands still", func() bool {
		now := written()
		same := now == last
		last = now
		return same
	})
	if grown := int64(heap()) - int64(before); grown > 16<<20 {
		t.Errorf("labd grew by %d MiB", grown>>20)
	}
	// It continues when the page draws again, and Ctrl-C works.
	for c.next < c.start+(8<<20) {
		c.readOutput()
		c.ack()
	}
	c.typeText("\x03")
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all string
		for !strings.Contains(all, "back-3") {
			b, err := c.readOutput()
			if err != nil {
				t.Errorf("after Ctrl-C: %v", err)
				return
			}
			all = tail(all + string(b))
			c.ack()
		}
	}()
	c.typeText("echo back-$((1+2))\n")
	<-done
}

// readOutput returns the next piece of output.
func (c *term) readOutput() ([]byte, error) {
	for {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		kind, b, err := c.ReadMessage()
		if err != nil || kind == websocket.BinaryMessage {
			c.next += int64(len(b))
			return b, err
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

func TestPasteOfAMegabyteArrivesWholeAndInOrder(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	c.typeText("stty raw -echo; echo go-$((2+3)); head -c 1048576 | md5sum; stty sane\n")
	c.until("go-5")
	var all []byte
	for i := 0; len(all) < 1<<20; i++ {
		all = fmt.Appendf(all, "%07d\n", i)
	}
	go func() {
		for rest := all[:1<<20]; len(rest) > 0; {
			n := min(len(rest), 32<<10)
			if err := c.WriteMessage(websocket.BinaryMessage, rest[:n]); err != nil {
				t.Error(err)
				return
			}
			rest = rest[n:]
		}
	}()
	c.until(md5sum(all[:1<<20]))
}

// A page that stops acknowledging gets a close code, because its connection still accepts the close frame. The shell stays.
func TestPageThatAcknowledgesNothingIsDisconnected(t *testing.T) {
	w := newWorld(t, nil)
	w.web.SetStall(200 * time.Millisecond)
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	c.ack()
	c.typeText("seq 1 100000000\n")
	if code := c.closed(); code != websocket.CloseTryAgainLater {
		t.Errorf("closed with %d", code)
	}
	eventually(t, "nothing is left of it", func() bool { return w.web.Terminals() == 0 })
	w.web.SetStall(patience) // this page may be slow
	again := l.attach(s.ID, "t1", c.next)
	again.typeText("\x03")
	again.typeText("echo still-$((1+1))\n")
	again.until("still-2")
}

// A page that reads nothing at all can't get a close code. Its connection ends, and all its resources are freed.
func TestPageThatReadsNothingIsDisconnected(t *testing.T) {
	w := newWorld(t, nil)
	w.web.SetStall(200 * time.Millisecond)
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	c.typeText("seq 1 100000000\n")
	eventually(t, "it is given up", func() bool { return w.web.Terminals() == 0 })
	w.web.SetStall(patience) // this page may be slow
	again := l.attach(s.ID, "t1", -1)
	again.typeText("\x03")
	again.typeText("echo still-$((1+1))\n")
	again.until("still-2")
}
