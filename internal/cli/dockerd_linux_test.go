package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/config"
	"github.com/labd-dev/labd/sandbox/docker"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

// ownEngine is a dockerd that this test starts. It shares only the programs with the machine's
// engine.
type ownEngine struct {
	program     string
	dir, socket string
	cmd         *exec.Cmd
}

// dockerd is the path of the installed program. PATH cannot be used, because testscript puts a fake
// dockerd there.
func dockerd(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/sbin/dockerd", "/usr/bin/dockerd"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("CI has a dockerd to start")
	}
	t.Skip("this machine's engine is of another make")
	return ""
}

// newOwnEngine starts a dockerd that listens on the socket, and loads the node image into it.
func newOwnEngine(t *testing.T, socket, image string) *ownEngine {
	t.Helper()
	dir, err := os.MkdirTemp("", "labd-engine")
	if err != nil {
		t.Fatal(err)
	}
	e := &ownEngine{program: dockerd(t), dir: dir, socket: socket}
	runtimes := `{"runtimes": {"runsc": {"path": "/usr/local/bin/runsc", "runtimeArgs": ["--net-raw", "--overlay2=none"]}}}`
	if err := os.WriteFile(filepath.Join(dir, "daemon.json"), []byte(runtimes), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.remove(t) })
	e.start(t)
	from, to := unixClient(strings.TrimPrefix(docker.DefaultHost, "unix://")), unixClient(socket)
	defer from.CloseIdleConnections()
	defer to.CloseIdleConnections()
	resp, err := from.Get("http://docker/images/get?names=" + url.QueryEscape(image))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("take the node image from the machine's engine: %v", err)
	}
	defer resp.Body.Close()
	loaded, err := to.Post("http://docker/images/load?quiet=1", "application/x-tar", resp.Body)
	if err != nil {
		t.Fatalf("load the node image: %v", err)
	}
	defer loaded.Body.Close()
	if body, err := io.ReadAll(loaded.Body); err != nil || !strings.Contains(string(body), image) {
		t.Fatalf("load the node image: %s %v", body, err)
	}
	return e
}

func unixClient(socket string) *http.Client {
	return &http.Client{Timeout: nodePatience, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
}

func (e *ownEngine) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(e.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	at := func(name string) string { return filepath.Join(e.dir, name) }
	e.cmd = exec.Command(e.program, "--config-file", at("daemon.json"), "--data-root", at("data"), "--exec-root", at("run"),
		"--pidfile", at("pid"), "-H", "unix://"+e.socket, "--bridge", "none", "--iptables=false", "--ip6tables=false",
		"--ip-forward=false", "--ip-masq=false")
	e.cmd.Stdout, e.cmd.Stderr = log, log
	// dockerd with --bridge none deletes docker0, which belongs to the machine's own engine.
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := unixClient(e.socket)
	defer c.CloseIdleConnections()
	within(t, "the test's own engine answers", func() bool {
		resp, err := c.Get("http://docker/_ping")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// kill kills the engine. Its containerd and its containers keep running.
func (e *ownEngine) kill(t *testing.T) {
	t.Helper()
	if err := e.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = e.cmd.Wait()
	// Kill its containerd too. If process 1 does not reap it, the next dockerd would believe that
	// it still runs.
	if err := os.Remove(filepath.Join(e.dir, "run", "containerd", "containerd.pid")); err != nil {
		t.Fatal(err)
	}
}

// remove stops the engine and everything that it started, and deletes its files.
func (e *ownEngine) remove(t *testing.T) {
	if t.Failed() {
		if log, err := os.ReadFile(filepath.Join(e.dir, "log")); err == nil {
			t.Logf("the engine's log ends:\n%s", log[max(0, len(log)-6000):])
		}
	}
	if e.cmd != nil && e.cmd.Process != nil && e.cmd.ProcessState == nil {
		_ = e.cmd.Process.Signal(syscall.SIGTERM) // also stops its containers and its containerd
		_ = e.cmd.Wait()
	}
	// Kill processes of an engine that did not restart. The directory is in all their command
	// lines.
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Error(err)
	}
	for _, line := range lines {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(line)))
		words, readErr := os.ReadFile(line)
		if err == nil && readErr == nil && pid != os.Getpid() && strings.Contains(string(words), e.dir+"/") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	// Unmount what such containers left, because mounts prevent deleting the directory.
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if words := strings.Fields(line); strings.HasPrefix(words[4], e.dir+"/") {
			_ = syscall.Unmount(words[4], syscall.MNT_DETACH)
		}
	}
	if err := os.RemoveAll(e.dir); err != nil {
		t.Errorf("remove the test's own engine: %v", err)
	}
}

// This test kills a real engine with SIGKILL during a session and starts it again.
func TestRealEngineIsKilledAndComesBack(t *testing.T) {
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
	sd, err := seed.Open(seedDir)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(seedDir, filepath.Join(dir, "seed")); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	e := newOwnEngine(t, filepath.Join(dir, "docker.sock"), sd.NodeImage)
	t.Logf("the engine is there after %s", time.Since(start).Round(time.Millisecond))
	d := startServe(t, dir, anyPort)
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
	ended := false
	t.Cleanup(func() { // before labd and the engine stop
		if !ended {
			ada.ask("DELETE", "sessions/"+s.ID, "")
		}
	})
	ada.await(s.ID, "ready")
	for round := range 2 {
		note := fmt.Sprintf("note-%d", round)
		ws := ada.terminal(s.ID, "t1")
		typeInto(t, ws, "echo "+note+" > ~/note; sync; echo wrote-$?\n")
		shows(t, ws, "wrote-0")
		e.kill(t)
		ada.await(s.ID, "recovering")
		within(t, "labs are off", func() bool { return strings.Contains(labs(), `"labs":"off"`) })
		e.start(t)
		s := ada.await(s.ID, "ready")
		t.Logf("round %d: back with notice %q", round, s.Notice)
		ws = ada.terminal(s.ID, "t2")
		typeInto(t, ws, "echo read-$(cat ~/note)\n")
		shows(t, ws, "read-"+note)
		within(t, "the node's own engine works again", func() bool { return ada.session(s.ID).Engine == "ready" })
	}
	if code, body := ada.ask("DELETE", "sessions/"+s.ID, ""); code != http.StatusNoContent {
		t.Errorf("the end gives %d %s", code, body)
	}
	ended = true
	if left, err := filepath.Glob(filepath.Join(dir, "data", "nodes", "*", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
