package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/labd-dev/labd/internal/config"
	"github.com/labd-dev/labd/sandbox/docker"
	"github.com/labd-dev/labd/sandbox/docker/seed"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

// These tests check what a class sees when the engine dies during a lesson. They use a real labd, a
// real node, and a proxy in front of the machine's engine, which itself keeps running. Closing the
// proxy looks to labd like an engine that died: every stream into a node breaks, and no call is
// answered.

// nodePatience is the timeout for the start of a real node on a busy machine.
const nodePatience = 3 * time.Minute

// engineSocket is the socket of the machine's engine.
func engineSocket() string { return strings.TrimPrefix(docker.DefaultHost, "unix://") }

// engineCall calls the machine's engine directly, not through the proxy.
func engineCall(t *testing.T, method, path string, into any) {
	t.Helper()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", engineSocket())
	}}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequest(method, "http://docker"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Do(req)
	if err != nil {
		t.Fatalf("the engine does not answer: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, body, err)
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil {
			t.Fatal(err)
		}
	}
}

// nodesOf lists the containers of an instance.
func nodesOf(t *testing.T, instance string) (ids []string) {
	t.Helper()
	var list []struct{ ID string }
	engineCall(t, "GET", "/containers/json?all=1&filters="+url.QueryEscape(`{"label":["labd.instance=`+instance+`"]}`), &list)
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return ids
}

// browser is a learner's browser.
type browser struct {
	t    *testing.T
	url  string // with a trailing slash
	http *http.Client
}

func newBrowser(t *testing.T, url string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, url: url, http: &http.Client{Jar: jar, Timeout: nodePatience}}
}

// ask sends a request to the API and returns the status and the body.
func (b *browser) ask(method, path, body string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequest(method, b.url+"api/v1/"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", strings.TrimSuffix(b.url, "/"))
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// labSession has the fields of a Session that these tests read.
type labSession struct{ ID, State, Engine, Notice string }

func (b *browser) session(id string) labSession {
	b.t.Helper()
	var s labSession
	code, body := b.ask("GET", "sessions/"+id, "")
	if code != http.StatusOK || json.Unmarshal([]byte(body), &s) != nil {
		b.t.Fatalf("the session is %d %s", code, body)
	}
	return s
}

func (b *browser) await(id, state string) labSession {
	b.t.Helper()
	var s labSession
	within(b.t, "the session is "+state, func() bool {
		s = b.session(id)
		if s.State == "failed" {
			b.t.Fatalf("the session failed while it should become %s", state)
		}
		return s.State == state
	})
	return s
}

// terminal opens a shell, or attaches to a running one, with its whole history.
func (b *browser) terminal(session, id string) *websocket.Conn {
	b.t.Helper()
	code, body := b.ask("POST", "sessions/"+session+"/terminals", `{"id": "`+id+`", "node": "node1", "cols": 80, "rows": 24}`)
	var got struct{ Ticket string }
	if code != http.StatusOK || json.Unmarshal([]byte(body), &got) != nil {
		b.t.Fatalf("a terminal gives %d %s", code, body)
	}
	d := websocket.Dialer{Jar: b.http.Jar, Subprotocols: []string{"labd.terminal.v1"}, HandshakeTimeout: nodePatience}
	ws, _, err := d.Dial("ws"+strings.TrimPrefix(b.url, "http")+"api/v1/sessions/"+session+"/terminals/"+id+
		"/ws?from=-1&cols=80&rows=24&ticket="+url.QueryEscape(got.Ticket), http.Header{"Origin": {strings.TrimSuffix(b.url, "/")}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { ws.Close() })
	return ws
}

func typeInto(t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// shows reads from a terminal until want appears.
func shows(t *testing.T, ws *websocket.Conn, want string) {
	t.Helper()
	var all bytes.Buffer
	for !bytes.Contains(all.Bytes(), []byte(want)) {
		_ = ws.SetReadDeadline(time.Now().Add(nodePatience))
		kind, data, err := ws.ReadMessage()
		if err != nil {
			t.Fatalf("shown was %q instead of %q: %v", all.String(), want, err)
		}
		if kind == websocket.BinaryMessage {
			all.Write(data)
		}
	}
}

func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(nodePatience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestEngineDiesInTheMiddleOfASessionAndComesBack(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the engine")
	}
	if os.Geteuid() != 0 {
		t.Fatal("labd mounts nodes' disks: run as root, or with -short")
	}
	engineCall(t, "GET", "/_ping", nil)
	seedDir := os.Getenv(config.SeedDirEnv)
	if seedDir == "" {
		seedDir = seed.DefaultDir
	}
	dir := t.TempDir()
	// labdCommand uses the engine and the seed in this directory.
	if err := os.Symlink(seedDir, filepath.Join(dir, "seed")); err != nil {
		t.Fatal(err)
	}
	p := sandboxtest.NewEngineProxy(t, filepath.Join(dir, "docker.sock"), engineSocket())
	name := instance(filepath.Join(dir, "data"))
	t.Cleanup(func() { sweepInstance(t, seedDir, filepath.Join(dir, "data"), name) })
	d := startServe(t, dir, anyPort+"[sandbox]\nsubnets = \"10.212.0.0/16\"\n")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("labd's log:\n%s", d)
		}
	})
	labs := func() string {
		_, body := get(t, d.url+"api/v1/status")
		return body
	}
	within(t, "labs are ready", func() bool { return strings.Contains(labs(), `"labs":"ready"`) })

	ada := newBrowser(t, d.url)
	code, body := ada.ask("POST", "sessions", `{"lab": "first-container", "lang": "en"}`)
	var s labSession
	if code != http.StatusCreated || json.Unmarshal([]byte(body), &s) != nil {
		t.Fatalf("a start gives %d %s", code, body)
	}
	ada.await(s.ID, "ready")
	ws := ada.terminal(s.ID, "t1")
	typeInto(t, ws, "marker=kept; echo note > ~/note; sync; echo first-$marker\n")
	shows(t, ws, "first-kept")

	// The engine dies: the page must reconnect, labs are unavailable, and everything else works.
	p.Stop()
	var end *websocket.CloseError
	for err := error(nil); end == nil; {
		_ = ws.SetReadDeadline(time.Now().Add(nodePatience))
		if _, _, err = ws.ReadMessage(); err != nil && !errors.As(err, &end) {
			t.Fatalf("the terminal ends with %v", err)
		}
	}
	if end.Code != websocket.CloseInternalServerErr {
		t.Errorf("the terminal ends with %d", end.Code)
	}
	ada.await(s.ID, "recovering")
	within(t, "labs are off", func() bool {
		text := labs()
		return strings.Contains(text, `"labs":"off"`) && strings.Contains(text, "container engine of this server does not answer")
	})
	if code, body := get(t, d.url+"labs/first-container/"); code != http.StatusOK || !strings.Contains(body, "<html") {
		t.Errorf("the lab's page is %d", code)
	}
	if code, body := newBrowser(t, d.url).ask("POST", "sessions", `{"lab": "first-container", "lang": "en"}`); code != http.StatusServiceUnavailable || !strings.Contains(body, `"labs_off"`) {
		t.Errorf("a start without an engine gives %d %s", code, body)
	}
	if code, body := ada.ask("POST", "sessions/"+s.ID+"/terminals", `{"id": "t2", "cols": 80, "rows": 24}`); code != http.StatusServiceUnavailable || !strings.Contains(body, `"node_down"`) {
		t.Errorf("a terminal without an engine gives %d %s", code, body)
	}

	// The engine comes back with its containers: the same shell with its history.
	p.Start(t)
	if s := ada.await(s.ID, "ready"); s.Notice != "" {
		t.Errorf("the node was well, and yet the page says %q", s.Notice)
	}
	ws = ada.terminal(s.ID, "t1")
	shows(t, ws, "first-kept")
	typeInto(t, ws, "echo still-$marker\n")
	shows(t, ws, "still-kept")
	within(t, "labs are ready again", func() bool { return strings.Contains(labs(), `"labs":"ready"`) })

	// The engine comes back without its containers, as engines do without live restore.
	p.Stop()
	ada.await(s.ID, "recovering")
	nodes := nodesOf(t, name)
	if len(nodes) != 1 {
		t.Fatalf("the session has the nodes %v", nodes)
	}
	engineCall(t, "POST", "/containers/"+nodes[0]+"/kill", nil)
	p.Start(t)
	if s := ada.await(s.ID, "ready"); s.Notice != "ended" {
		t.Errorf("the page says %q of a node that was brought back", s.Notice)
	}
	ws = ada.terminal(s.ID, "t1")
	typeInto(t, ws, "echo file-$(cat ~/note)\n")
	shows(t, ws, "file-note")

	// The engine dies while the learner ends the session: the page says so, and labd removes the
	// stack once the engine is back.
	p.Stop()
	if code, body := ada.ask("DELETE", "sessions/"+s.ID, ""); code != http.StatusServiceUnavailable || !strings.Contains(body, `"labs_off"`) {
		t.Errorf("an end without an engine gives %d %s", code, body)
	}
	p.Start(t)
	within(t, "the session is gone", func() bool {
		code, _ := ada.ask("GET", "sessions/"+s.ID, "")
		return code == http.StatusGone
	})
	if left := nodesOf(t, name); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "data", "nodes", name, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := d.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if log := d.String(); strings.Contains(log, "panic") {
		t.Error("labd panicked")
	}
}

// sweepInstance removes what a failed test left on the machine.
func sweepInstance(t *testing.T, seedDir, dataDir, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), nodePatience)
	defer cancel()
	driver, err := docker.New(ctx, docker.Config{SeedDir: seedDir, StateDir: dataDir, Instance: name, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Error(err)
		return
	}
	defer driver.Close()
	list, err := driver.List(ctx)
	if err != nil {
		t.Error(err)
	}
	for _, info := range list {
		if err := driver.Destroy(ctx, info.ID); err != nil {
			t.Error(fmt.Errorf("sweep: %w", err))
		}
	}
}
