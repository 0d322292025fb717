package cli

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/config"
	"github.com/labd-dev/labd/sandbox/docker"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

// gate passes bytes while it is open.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed while bytes can pass; guarded by mu
}

func (g *gate) wait() {
	g.mu.Lock()
	c := g.open
	g.mu.Unlock()
	<-c
}

func (g *gate) freeze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

func (g *gate) thaw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.open)
}

// gated is a connection whose incoming bytes pass through a gate.
type gated struct {
	net.Conn
	g *gate
}

func (c gated) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.g.wait()
	return n, err
}

// frozenProxy is a proxy in front of the engine. It accepts every connection and can stop passing
// on bytes. To labd it then looks like an engine that hangs: no connection breaks, and no call
// returns.
func frozenProxy(t *testing.T, path string) *gate {
	t.Helper()
	g := &gate{open: make(chan struct{})}
	g.thaw()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				e, err := net.Dial("unix", strings.TrimPrefix(docker.DefaultHost, "unix://"))
				if err != nil {
					return
				}
				defer e.Close()
				mu.Lock()
				conns = append(conns, c, e)
				mu.Unlock()
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, _ = io.Copy(e, gated{c, g})
					_ = e.(*net.UnixConn).CloseWrite()
				}()
				_, _ = io.Copy(c, gated{e, g})
				c.Close()
				<-done
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return g
}

// An engine that hangs is harder to handle than one that is gone, because a call without a timeout
// would never return.
func TestEngineHangsInTheMiddleOfASession(t *testing.T) {
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
	if err := os.Symlink(seedDir, filepath.Join(dir, "seed")); err != nil {
		t.Fatal(err)
	}
	g := frozenProxy(t, filepath.Join(dir, "docker.sock"))
	name := instance(filepath.Join(dir, "data"))
	t.Cleanup(func() { sweepInstance(t, seedDir, filepath.Join(dir, "data"), name) })
	d := startServe(t, dir, anyPort+"[sandbox]\nsubnets = \"10.211.0.0/16\"\n")
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
	typeInto(t, ws, "marker=kept; echo first-$marker\n")
	shows(t, ws, "first-kept")

	g.freeze()
	start := time.Now()
	thawed := false
	defer func() {
		if !thawed {
			g.thaw()
		}
	}()
	within(t, "labs are off", func() bool { return strings.Contains(labs(), `"labs":"off"`) })
	t.Logf("labs off after %s", time.Since(start))
	if code, body := newBrowser(t, d.url).ask("POST", "sessions", `{"lab": "first-container", "lang": "en"}`); code != http.StatusServiceUnavailable || !strings.Contains(body, `"labs_off"`) {
		t.Errorf("a start gives %d %s", code, body)
	}
	ada.await(s.ID, "recovering")
	t.Logf("recovering after %s", time.Since(start))
	if code, _ := get(t, d.url+"labs/first-container/"); code != http.StatusOK {
		t.Errorf("the lab's page is %d", code)
	}

	thawed = true
	g.thaw()
	start = time.Now()
	if s := ada.await(s.ID, "ready"); s.Notice != "" {
		t.Errorf("the node was well, and yet the page says %q", s.Notice)
	}
	t.Logf("ready after %s", time.Since(start))
	within(t, "labs are ready again", func() bool { return strings.Contains(labs(), `"labs":"ready"`) })
	ws = ada.terminal(s.ID, "t1")
	typeInto(t, ws, "echo still-$marker\n")
	shows(t, ws, "still-kept")
	if code, body := ada.ask("DELETE", "sessions/"+s.ID, ""); code != http.StatusNoContent {
		t.Errorf("the end gives %d %s", code, body)
	}
	if left := nodesOf(t, name); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
