package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/config"
)

// servePatience is the timeout of every wait for labd in these tests.
const servePatience = 60 * time.Second

// daemon is `labd serve` in a process of its own. The process runs the test binary, which
// testscript lets act as labd.
type daemon struct {
	cmd *exec.Cmd
	url string

	mu  sync.Mutex
	log strings.Builder // guarded by mu
}

func (d *daemon) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

func (d *daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(p)
}

// startServe starts labd and waits until it prints its address. labd has no engine unless the test
// puts one into dir. If an earlier test built the site, labd finds it.
func startServe(t *testing.T, dir, config string) *daemon {
	t.Helper()
	shared, own := os.Getenv(siteEnv), filepath.Join(dir, "data", "site")
	_, err := os.Stat(shared)
	if _, ownErr := os.Stat(own); err == nil && errors.Is(ownErr, os.ErrNotExist) {
		copySite(t, own, shared)
	}
	d := startServeAsItIs(t, dir, config)
	if errors.Is(err, os.ErrNotExist) {
		copySite(t, shared, own)
	}
	return d
}

func copySite(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// startServeAsItIs starts labd without a site from an earlier test.
func startServeAsItIs(t *testing.T, dir, config string) *daemon {
	t.Helper()
	file := filepath.Join(dir, "lab.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &daemon{cmd: labdCommand(t, dir, "serve", "-config", file)}
	d.cmd.Stderr = d
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("labd printed nothing: %s", d)
	}
	d.url = regexp.MustCompile(`http://\S+`).FindString(lines.Text())
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return d
}

// labdCommand returns a command that runs the test binary as labd, without this machine's engine
// and seed.
func labdCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "labd") // testscript chooses the program by its name
	if err := os.Symlink(exe, link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(link, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+filepath.Join(dir, "docker.sock"), "LABD_SEED_DIR="+filepath.Join(dir, "seed"))
	return cmd
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// exit waits for the process and returns its exit code.
func (d *daemon) exit(t *testing.T) int {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- d.cmd.Wait() }()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return d.cmd.ProcessState.ExitCode()
	case <-time.After(servePatience):
		t.Fatalf("labd does not stop: %s", d)
		return 0
	}
}

const anyPort = "listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n"

func TestServeWithoutAnEngineServesTheSite(t *testing.T) {
	d := startServe(t, t.TempDir(), anyPort)
	if code, body := get(t, d.url+"healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("health is %d %q", code, body)
	}
	for _, path := range []string{"", "zh/", "labs/first-container/"} {
		if code, body := get(t, d.url+path); code != http.StatusOK || !strings.Contains(body, "<html") {
			t.Errorf("/%s is %d %.200q", path, code, body)
		}
	}
	resp, err := http.Get(d.url + "labs/first-container/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "script-src") || !strings.Contains(csp, "frame-ancestors") {
		t.Errorf("pages have the policy %q", csp)
	}
	if code, body := get(t, d.url+"api/v1/status"); code != http.StatusOK || !strings.Contains(body, `"labs":"off"`) || !strings.Contains(body, "Labs are off") && !strings.Contains(body, "still looking") {
		t.Errorf("status is %d %s", code, body)
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := d.exit(t); code != 0 {
		t.Errorf("exit code %d: %s", code, d)
	}
}

func TestServeReportsThatThePortIsInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dir := t.TempDir()
	cmd := labdCommand(t, dir, "serve", "-listen", ln.Addr().String())
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("got %v: %s", err, out)
	}
	want := fmt.Sprintf("labd serve: another program already listens on %s. Stop it", ln.Addr())
	if !strings.HasPrefix(string(out), want) || !strings.Contains(string(out), "labd serve -listen") {
		t.Errorf("said %q", out)
	}
}

func TestServeRefusesADataDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	startServe(t, dir, anyPort)
	out, err := labdCommand(t, dir, "serve", "-config", "lab.toml").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another labd already uses the data directory") {
		t.Errorf("got %v: %s", err, out)
	}
}

func TestServeBuildsTheSiteOnlyWhenSomethingChanged(t *testing.T) {
	dir := t.TempDir()
	stop := func(d *daemon) string {
		t.Helper()
		if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		d.exit(t)
		return d.String()
	}
	if log := stop(startServeAsItIs(t, dir, anyPort)); !strings.Contains(log, "the site is built") {
		t.Errorf("first start: %s", log)
	}
	if log := stop(startServeAsItIs(t, dir, anyPort)); strings.Contains(log, "the site is built") {
		t.Errorf("second start: %s", log)
	}
	if err := os.Remove(filepath.Join(dir, "data", "site", "index.html")); err != nil {
		t.Fatal(err)
	}
	if log := stop(startServeAsItIs(t, dir, anyPort)); !strings.Contains(log, "the site is built") {
		t.Errorf("after the site was damaged: %s", log)
	}
}

func TestServeKeepsLearnersAfterAKill(t *testing.T) {
	dir := t.TempDir()
	d := startServe(t, dir, anyPort)
	resp, err := http.Get(d.url + "api/v1/progress")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cookies := resp.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies are %v", cookies)
	}
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.exit(t)
	d = startServe(t, dir, anyPort)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, d.url+"api/v1/sessions", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(cookies[0])
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the learner is unknown: %s", resp.Status)
	}
}

func TestAddressIsAURLForBrowsers(t *testing.T) {
	cfg := config.Default()
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080/",
		"0.0.0.0:80":     "http://127.0.0.1:80/",
		"[::]:8080":      "http://127.0.0.1:8080/",
		"[::1]:8080":     "http://[::1]:8080/",
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := address(cfg, tcp); got != want {
			t.Errorf("%s is shown as %s", addr, got)
		}
	}
	cfg.BaseURL = "https://labs.example.org"
	if got := address(cfg, &net.TCPAddr{}); got != "https://labs.example.org/" {
		t.Errorf("the base URL is shown as %s", got)
	}
}
