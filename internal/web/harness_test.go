package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/internal/store/sqlite"
	"github.com/labd-dev/labd/internal/web"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

// patience bounds every wait for something that must come.
const patience = time.Minute

// world is labd in this process: web on the real session manager, a real database and the fake driver.
type world struct {
	t       testing.TB
	fake    *sandboxtest.Fake
	db      *sqlite.DB
	dbPath  string
	limits  session.Limits
	shells  func(*session.Manager) unclosable // nil for the manager itself
	baseURL string
	manager *session.Manager
	web     *web.Server
	http    *httptest.Server
	log     *logBuffer
}

func newWorld(t testing.TB, change func(*world)) *world {
	t.Helper()
	noGoroutinesLeft(t)
	w := &world{t: t, log: &logBuffer{}, dbPath: filepath.Join(t.TempDir(), "labd.db"),
		fake: sandboxtest.NewFake(t, sandboxtest.FakeOptions{}),
		limits: session.Limits{Sessions: 100, PerLearner: 2, Starting: 8, ShellsPerSession: 300,
			TTL: time.Hour, Max: 3 * time.Hour, WarnBefore: time.Minute},
	}
	if change != nil {
		change(w)
	}
	w.start()
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Logf("log:\n%s", w.log)
		}
	})
	return w
}

func (w *world) start() {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	db, err := sqlite.Open(context.Background(), w.dbPath)
	if err != nil {
		w.t.Fatal(err)
	}
	w.db = db
	exists := true
	l := &lab.Lab{ID: "first", Langs: []string{"en"}, Stack: lab.Stack{Nodes: []string{"node1"}},
		Variables: []lab.Variable{{Name: "code", Length: 6}},
		Steps: []*lab.Step{
			{Anchor: "one", Solution: []lab.Script{{Source: "touch one"}}, Check: lab.Check{Probes: []lab.Probe{{Look: &lab.FileProbe{Path: "/root/one", Exists: &exists}, Hint: lab.Text{"en": "touch one"}}}}},
			{Anchor: "two", Check: lab.Check{Probes: []lab.Probe{{Look: &lab.FileProbe{Path: "/root/two", Exists: &exists}}}}},
		}}
	fake := w.fake
	w.manager = session.New(session.Config{
		Store: db, Owner: "test", Labs: map[string]*lab.Lab{"first": l}, Check: &check.Runner{ProbeTimeout: check.MaxProbeTimeout, Timeout: patience}, Limits: w.limits, Log: log,
		Connect: func(context.Context) (sandbox.Driver, error) { return fake, nil },
	})
	if err := w.manager.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	config := web.Config{
		Rates: web.Rates{
			Newcomers: web.Rate{Burst: 400, Every: 200 * time.Millisecond},
			Starts:    web.Rate{Burst: 30, Every: 2 * time.Second},
			Terminals: web.Rate{Burst: 300, Every: 100 * time.Millisecond},
			Checks:    web.Rate{Burst: 20, Every: 500 * time.Millisecond},
		},
		Labs: w.manager, Shells: w.manager, Learners: db, BaseURL: w.baseURL, Version: "test", Log: log,
		Site: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/panic" {
				panic("boom in a handler")
			}
			_, _ = io.WriteString(rw, "the site")
			if r.URL.Path == "/late-panic" {
				panic("boom after the answer began")
			}
		}),
	}
	if w.shells != nil {
		config.Shells = w.shells(w.manager)
	}
	w.web, err = web.New(config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.http = httptest.NewServer(w.web)
	eventually(w.t, "labs are ready", func() bool { return w.manager.Status().Ready })
}

// stackOf returns the ID of a session's stack.
func (w *world) stackOf(id string) string {
	w.t.Helper()
	row, err := w.db.Session(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return row.Stack
}

// stop ends labd as a signal does.
func (w *world) stop() {
	if w.manager == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := w.web.Close(ctx)
	w.http.CloseClientConnections()
	w.http.Close()
	if err := errors.Join(err, w.manager.Close(ctx), w.db.Close()); err != nil {
		w.t.Errorf("stop: %v", err)
	}
	w.manager = nil
}

// learner is a browser.
type learner struct {
	w    *world
	t    testing.TB
	http *http.Client
}

func (w *world) learner() *learner {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	tr := &http.Transport{}
	w.t.Cleanup(tr.CloseIdleConnections)
	return &learner{w: w, t: w.t, http: &http.Client{Jar: jar, Transport: tr}}
}

// problem is the body of an error.
type problem struct {
	Error struct{ Code, Message, ID string }
}

// try sends a request and returns its status and body.
func (l *learner) try(method, path, body string, change func(*http.Request)) (*http.Response, []byte) {
	l.t.Helper()
	req, err := http.NewRequest(method, l.w.http.URL+path, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", l.w.http.URL)
	if change != nil {
		change(req)
	}
	resp, err := l.http.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return resp, b
}

// call sends a request that must succeed with the status.
func (l *learner) call(method, path, body string, status int, into any) {
	l.t.Helper()
	resp, b := l.try(method, path, body, nil)
	if resp.StatusCode != status {
		l.t.Fatalf("%s %s answered %d, want %d: %s", method, path, resp.StatusCode, status, b)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			l.t.Fatalf("%s %s answered %s: %v", method, path, b, err)
		}
	}
}

// refused sends a request that must fail with the status and code.
func (l *learner) refused(method, path, body string, status int, code string) problem {
	l.t.Helper()
	resp, b := l.try(method, path, body, nil)
	return expectProblem(l.t, resp, b, status, code)
}

func expectProblem(t testing.TB, resp *http.Response, b []byte, status int, code string) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatalf("answered %d %q: %v", resp.StatusCode, b, err)
	}
	if resp.StatusCode != status || p.Error.Code != code || p.Error.Message == "" || !strings.HasPrefix(p.Error.ID, "r-") {
		t.Errorf("answered %d %s, want %d %s", resp.StatusCode, b, status, code)
	}
	return p
}

// sessionJSON is what the tests read of a Session.
type sessionJSON struct {
	ID, Lab, Lang, State, Engine, Notice string
	Error                                *struct{ Code, Message string }
	Expires                              time.Time `json:"expires_at"`
	Nodes                                []struct{ Name, State, Engine, Notice string }
	Replay                               *struct {
		Step, To    string
		Done, Total int
		Failed      bool
	}
	Terminals []struct{ ID, Node string }
	Variables map[string]string
	Steps     []struct {
		Anchor, State string
		Done          *time.Time `json:"done_at"`
		Report        *struct {
			Passed   bool
			Findings []struct{ Hint string }
		}
	}
}

// start starts the lab and waits until its first step is open.
func (l *learner) start() sessionJSON {
	l.t.Helper()
	var s sessionJSON
	l.call("POST", "/api/v1/sessions", `{"lab": "first", "lang": "en"}`, http.StatusCreated, &s)
	eventually(l.t, "the session is ready", func() bool {
		l.call("GET", "/api/v1/sessions/"+s.ID, "", http.StatusOK, &s)
		return s.State == "ready" && s.Steps[0].State == "open"
	})
	return s
}

// ticket opens a shell and returns the ticket for it.
func (l *learner) ticket(session, terminal string) string {
	l.t.Helper()
	var got struct{ ID, Node, Ticket string }
	l.call("POST", "/api/v1/sessions/"+session+"/terminals", fmt.Sprintf(`{"id": %q, "node": "node1", "cols": 80, "rows": 24}`, terminal), http.StatusOK, &got)
	if got.ID != terminal || got.Node != "node1" || len(got.Ticket) < 20 {
		l.t.Fatalf("got %+v", got)
	}
	return got.Ticket
}

// dial opens a terminal's WebSocket; on failure it returns the HTTP answer.
func (l *learner) dial(session, terminal, ticket string, from int64, header http.Header) (*websocket.Conn, *http.Response, error) {
	l.t.Helper()
	u := fmt.Sprintf("ws%s/api/v1/sessions/%s/terminals/%s/ws?ticket=%s&from=%d&cols=80&rows=24",
		strings.TrimPrefix(l.w.http.URL, "http"), session, terminal, url.QueryEscape(ticket), from)
	if header == nil {
		header = http.Header{"Origin": {l.w.http.URL}}
	}
	d := websocket.Dialer{Jar: l.http.Jar, Subprotocols: []string{"labd.terminal.v1"}, HandshakeTimeout: patience}
	return d.Dial(u, header)
}

// term is a terminal as the page has it.
type term struct {
	*websocket.Conn
	t          testing.TB
	start, end int64
	next       int64 // sequence number of the next byte

	sending sync.Mutex
}

func (l *learner) attach(session, terminal string, from int64) *term {
	l.t.Helper()
	ws, resp, err := l.dial(session, terminal, l.ticket(session, terminal), from, nil)
	if err != nil {
		l.t.Fatalf("dial: %v, %+v", err, resp)
	}
	l.t.Cleanup(func() { _ = ws.Close() })
	c := &term{Conn: ws, t: l.t}
	m := c.control()
	if m.Type != "hello" {
		l.t.Fatalf("first came %+v", m)
	}
	c.start, c.end, c.next = m.Start, m.End, m.Start
	return c
}

type controlJSON struct {
	Type       string
	Start, End int64
	ID         string
	Fresh      bool
}

// control reads the next message, which must be text.
func (c *term) control() controlJSON {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	kind, b, err := c.ReadMessage()
	var m controlJSON
	if err != nil || kind != websocket.TextMessage || json.Unmarshal(b, &m) != nil {
		c.t.Fatalf("got message %d %q, %v", kind, b, err)
	}
	return m
}

func (c *term) typeText(text string) {
	c.t.Helper()
	c.send(websocket.BinaryMessage, []byte(text))
}

// send sends a message; goroutines may share it.
func (c *term) send(kind int, b []byte) {
	c.t.Helper()
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.WriteMessage(kind, b); err != nil {
		c.t.Error(err)
	}
}

// ack tells that all output so far is drawn.
func (c *term) ack() {
	c.t.Helper()
	c.send(websocket.TextMessage, fmt.Appendf(nil, `{"type": "ack", "seq": %d}`, c.next))
}

// until reads output until it holds want, and returns all of it.
func (c *term) until(want string) string {
	c.t.Helper()
	var all bytes.Buffer
	for !bytes.Contains(all.Bytes(), []byte(want)) {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		kind, b, err := c.ReadMessage()
		if err != nil {
			c.t.Fatalf("read %q instead of %q: %v", tail(all.String()), want, err)
		}
		if kind == websocket.BinaryMessage {
			all.Write(b)
			c.next += int64(len(b))
		}
	}
	return all.String()
}

// closed reads until the connection ends and returns its close code.
func (c *term) closed() int {
	c.t.Helper()
	for {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		kind, b, err := c.ReadMessage()
		var ce *websocket.CloseError
		if errors.As(err, &ce) {
			return ce.Code
		}
		if err != nil {
			c.t.Fatalf("ended without a close frame: %v", err)
		}
		if kind == websocket.BinaryMessage {
			c.next += int64(len(b))
		}
	}
}

func tail(s string) string { return s[max(0, len(s)-500):] }

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// noGoroutinesLeft fails the test if there are more goroutines at its end than now.
func noGoroutinesLeft(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<20)
				t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
				return
			}
		}
	})
}

// logBuffer is a log that many goroutines write.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
