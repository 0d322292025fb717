package web_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// answer reads until a control message of the type comes.
func (c *term) answer(kind string) (m struct {
	Type, ID    string
	Fresh, Late bool
}) {
	c.t.Helper()
	for {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		k, b, err := c.ReadMessage()
		if err != nil {
			c.t.Fatal(err)
		}
		if k == websocket.TextMessage && json.Unmarshal(b, &m) == nil && m.Type == kind {
			return m
		}
	}
}

func TestPageCanAskWhetherTheConnectionIsAlive(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	c := l.attach(l.start().ID, "t1", -1)
	c.send(websocket.TextMessage, []byte(`{"type": "ping"}`))
	c.answer("pong")
}

func TestRunThatComesTooLateIsNotTyped(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	c := l.attach(l.start().ID, "t1", -1)
	run := func(id string, before time.Time) (fresh, late bool) {
		c.send(websocket.TextMessage, fmt.Appendf(nil, `{"type": "run", "id": %q, "text": "echo %s >> runs\n", "before": %d}`, id, id, before.UnixMilli()))
		m := c.answer("ran")
		return m.Fresh, m.Late
	}
	if fresh, late := run("old", time.Now().Add(-time.Second)); fresh || !late {
		t.Errorf("a late run is answered with fresh %v, late %v", fresh, late)
	}
	if fresh, late := run("new", time.Now().Add(time.Hour)); !fresh || late {
		t.Errorf("a run in time is answered with fresh %v, late %v", fresh, late)
	}
	if fresh, late := run("old", time.Now().Add(time.Hour)); !fresh || late {
		t.Errorf("a late run that is offered again is answered with fresh %v, late %v", fresh, late)
	}
	c.typeText("cat runs | tr '\\n' +; echo end-$((3+4))\n")
	if out := c.until("end-7"); !strings.Contains(out, "new+old+") {
		t.Errorf("typed: %q", out)
	}
}

func TestPageInTheBackgroundLeavesTheSizeAlone(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	c.send(websocket.TextMessage, []byte(`{"type": "resize", "cols": 101, "rows": 33}`))
	u := fmt.Sprintf("ws%s/api/v1/sessions/%s/terminals/t1/ws?ticket=%s&from=-1&cols=0&rows=0", strings.TrimPrefix(l.w.http.URL, "http"), s.ID, l.ticket(s.ID, "t1"))
	d := websocket.Dialer{Jar: l.http.Jar, Subprotocols: []string{"labd.terminal.v1"}, HandshakeTimeout: patience}
	ws, _, err := d.Dial(u, map[string][]string{"Origin": {l.w.http.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	c.typeText("echo size-$(stty size)-\n")
	c.until("size-33 101-")
}
