package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

const config = `listen = "127.0.0.1:0"
data_dir = %q
[sandbox]
subnets = "10.232.0.0/16"
[limits]
shells_per_session = 32
`

// labd is a labd process and a learner who talks to it.
type labd struct {
	cmd     *exec.Cmd
	bin     string
	seedDir string
	dir     string
	url     string
	client  *http.Client
	log     *outputLog
}

// outputLog is what labd has printed.
type outputLog struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

// other is another learner at the same labd.
func (l *labd) other() (*labd, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	o := *l
	o.client = &http.Client{Jar: jar}
	return &o, nil
}

var urlLine = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)

// startLabd starts a labd with a fresh data directory and returns once its labs are ready.
func startLabd(ctx context.Context, bin, seedDir string, env ...string) (*labd, error) {
	dir, err := os.MkdirTemp("", "labd-bench-")
	if err != nil {
		return nil, err
	}
	l := &labd{dir: dir, log: &outputLog{}, bin: bin, seedDir: seedDir}
	file := filepath.Join(dir, "lab.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, filepath.Join(dir, "data")), 0o600); err != nil {
		return nil, err
	}
	if l, err = l.other(); err != nil {
		return nil, err
	}

	l.cmd = exec.CommandContext(ctx, bin, "serve", "-config", file)
	l.cmd.Env = append(append(os.Environ(), "LABD_SEED_DIR="+seedDir), env...)
	l.cmd.Cancel = func() error { return l.cmd.Process.Signal(syscall.SIGTERM) }
	l.cmd.WaitDelay = 30 * time.Second
	out, in := io.Pipe()
	l.cmd.Stdout, l.cmd.Stderr = in, in
	if err := l.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s (build it with `make build`): %w", bin, err)
	}
	found := make(chan string, 1)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			l.log.mu.Lock()
			fmt.Fprintln(&l.log.buf, s.Text())
			l.log.mu.Unlock()
			if m := urlLine.FindString(s.Text()); m != "" {
				select {
				case found <- m:
				default:
				}
			}
		}
	}()
	select {
	case l.url = <-found:
	case <-time.After(time.Minute):
		l.close()
		return nil, fmt.Errorf("labd printed no URL:\n%s", l.logTail())
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		var status struct{ Labs, Reason string }
		if err := l.call(ctx, http.MethodGet, "/api/v1/status", nil, &status); err == nil && status.Labs == "ready" {
			return l, nil
		}
		if time.Now().After(deadline) {
			l.close()
			return nil, fmt.Errorf("labs are off: %s", status.Reason)
		}
	}
}

// close stops labd and removes what a figure that failed has left.
func (l *labd) close() {
	_ = l.cmd.Process.Signal(syscall.SIGTERM)
	_ = l.cmd.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		id, err := nodeOf(ctx, l.dir)
		if err != nil || removeNode(id) != nil {
			break
		}
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], l.dir+"/") {
			_ = syscall.Unmount(f[1], 0)
		}
	}
	_ = os.RemoveAll(l.dir)
}

func (l *labd) logTail() string {
	l.log.mu.Lock()
	defer l.log.mu.Unlock()
	lines := strings.Split(l.log.buf.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// call sends one API request. in and out may be nil.
func (l *labd) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, l.url+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Origin", l.url)
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	if out != nil {
		return json.Unmarshal(b, out)
	}
	return nil
}

type session struct {
	ID     string
	State  string
	Engine string
	Error  *struct{ Message string }
}

// start clicks Start and returns once the session is ready, told by the event stream as a browser is.
func (l *labd) start(ctx context.Context, lab string) (session, error) {
	var s session
	if err := l.call(ctx, http.MethodPost, "/api/v1/sessions", map[string]string{"lab": lab, "lang": "en"}, &s); err != nil {
		return s, err
	}
	return l.await(ctx, s.ID, func(s session) bool { return s.State == "ready" })
}

func (l *labd) await(ctx context.Context, id string, done func(session) bool) (session, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+"/api/v1/sessions/"+id+"/events", nil)
	if err != nil {
		return session{}, err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return session{}, err
	}
	defer resp.Body.Close()
	events := bufio.NewScanner(resp.Body)
	events.Buffer(nil, 1<<20)
	for events.Scan() {
		data, ok := strings.CutPrefix(events.Text(), "data:")
		if !ok {
			continue
		}
		var s session
		if err := json.Unmarshal([]byte(data), &s); err != nil {
			return s, err
		}
		if s.State == "failed" || s.State == "ended" {
			return s, fmt.Errorf("session %s: %+v", s.State, s.Error)
		}
		if done(s) {
			return s, nil
		}
	}
	return session{}, errors.Join(errors.New("the event stream ended"), events.Err())
}

func (l *labd) end(ctx context.Context, id string) error {
	return l.call(ctx, http.MethodDelete, "/api/v1/sessions/"+id, nil, nil)
}

// terminal is one WebSocket to a shell.
type terminal struct {
	ws   *websocket.Conn
	seen int64 // bytes received
	ack  int64 // bytes acknowledged
	buf  []byte
}

// open starts a shell and joins it.
func (l *labd) open(ctx context.Context, sessionID, id string) (*terminal, error) {
	var t struct{ Ticket string }
	path := "/api/v1/sessions/" + sessionID + "/terminals"
	if err := l.call(ctx, http.MethodPost, path, map[string]any{"id": id, "node": "node1", "cols": 80, "rows": 24}, &t); err != nil {
		return nil, err
	}
	dialer := websocket.Dialer{Jar: l.client.Jar, Subprotocols: []string{"labd.terminal.v1"}}
	url := "ws" + strings.TrimPrefix(l.url, "http") + path + "/" + id + "/ws?cols=80&rows=24&from=-1&ticket=" + t.Ticket
	ws, resp, err := dialer.DialContext(ctx, url, http.Header{"Origin": {l.url}})
	if err != nil {
		if resp != nil {
			b, _ := io.ReadAll(resp.Body)
			return nil, fmt.Errorf("%w: %s", err, b)
		}
		return nil, err
	}
	return &terminal{ws: ws}, nil
}

// Read gives output bytes and acknowledges them as the browser's terminal does.
func (t *terminal) Read(p []byte) (int, error) {
	for len(t.buf) == 0 {
		kind, b, err := t.ws.ReadMessage()
		if err != nil {
			return 0, err
		}
		if kind != websocket.BinaryMessage {
			var m struct {
				Type  string
				Start int64
			}
			if json.Unmarshal(b, &m) == nil && m.Type == "hello" {
				t.seen, t.ack = m.Start, m.Start
			}
			continue
		}
		t.buf = b
		t.seen += int64(len(b))
		if t.seen-t.ack >= 256<<10 {
			t.ack = t.seen
			if err := t.ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":"ack","seq":%d}`, t.ack)); err != nil {
				return 0, err
			}
		}
	}
	n := copy(p, t.buf)
	t.buf = t.buf[n:]
	return n, nil
}

func (t *terminal) Write(p []byte) (int, error) {
	return len(p), t.ws.WriteMessage(websocket.BinaryMessage, p)
}

func (t *terminal) Close() error { return t.ws.Close() }

// readUntil reads r until text has come by.
func readUntil(r io.Reader, text string) error {
	var tail []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		tail = append(tail, buf[:n]...)
		if bytes.Contains(tail, []byte(text)) {
			return nil
		}
		if keep := len(text) + 4096; len(tail) > keep {
			tail = append(tail[:0], tail[len(tail)-keep:]...)
		}
		if err != nil {
			return fmt.Errorf("waiting for %q, got %q: %w", text, tail, err)
		}
	}
}
