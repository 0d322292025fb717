package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/command"
)

// output is a command's standard output that a test can wait on.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// until waits for a condition that the command brings about.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

var address = regexp.MustCompile(`serving (http://[^/]+/)`)

// TestServeShowsEditsAndMistakes follows an author who edits a text, makes a mistake and corrects
// it.
func TestServeShowsEditsAndMistakes(t *testing.T) {
	dir := t.TempDir()
	lesson := filepath.Join(dir, "en", "m", "l.md")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "en", "_index.md"), "+++\ntitle = \"C\"\n+++\n")
	write(filepath.Join(dir, "en", "m", "_index.md"), "+++\ntitle = \"M\"\n+++\n")
	write(lesson, "+++\ntitle = \"L\"\n+++\nFirst text\n")

	ctx, stop := context.WithCancel(t.Context())
	var out, errOut output
	done := make(chan int, 1)
	go func() {
		done <- Program().Run(ctx, &command.Env{Stdout: &out, Stderr: &errOut}, []string{"serve", "-content", dir, "-addr", "127.0.0.1:0"})
	}()
	defer func() {
		stop()
		if code := <-done; code != 0 {
			t.Errorf("exit code %d: %s", code, errOut.String())
		}
	}()
	until(t, "serving", func() bool { return address.MatchString(out.String()) })
	base := address.FindStringSubmatch(out.String())[1]
	get := func(path string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	if code, body := get("m/l/"); code != 200 || !strings.Contains(body, "First text") {
		t.Fatalf("status %d", code)
	}
	write(lesson, "+++\ntitle = \"L\"\n+++\nSecond text\n")
	until(t, "the second text", func() bool { _, body := get("m/l/"); return strings.Contains(body, "Second text") })
	write(lesson, "+++\ntitel = \"L\"\n+++\nSecond text\n")
	until(t, "the mistake", func() bool { return strings.Contains(errOut.String(), "l.md:2:1: unknown key \"titel\"") })
	if _, body := get("-/state"); !strings.Contains(body, `"line":2,"col":1,"text":"titel = \"L\"","msg":"unknown key \"titel\"`) {
		t.Errorf("the state does not tell the mistake: %s", body)
	}
	write(lesson, "+++\ntitle = \"L\"\n+++\nThird text\n")
	until(t, "the third text", func() bool {
		code, body := get("m/l/")
		return code == 200 && strings.Contains(body, "Third text")
	})
	// An open page hears of the next build.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"-/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewScanner(res.Body)
	next := func() string {
		t.Helper()
		for events.Scan() {
			if v, ok := strings.CutPrefix(events.Text(), "data: "); ok {
				return v
			}
		}
		t.Fatal("the events ended")
		return ""
	}
	now := next()
	write(lesson, "+++\ntitle = \"L\"\n+++\nFourth text\n")
	if later := next(); later == now {
		t.Errorf("build %s follows build %s", later, now)
	}
	if code, body := get("m/l/"); code != 200 || !strings.Contains(body, "Fourth text") || !strings.Contains(body, `src="/-/live.js"`) {
		t.Errorf("status %d after the event", code)
	}
	if code, body := get("-/live.js"); code != 200 || !strings.Contains(body, "EventSource") {
		t.Errorf("the live script answers %d", code)
	}
	if err := os.Rename(lesson, filepath.Join(dir, "en", "m", "other.md")); err != nil {
		t.Fatal(err)
	}
	until(t, "the new address", func() bool { code, _ := get("m/other/"); return code == 200 })
	if code, _ := get("m/l/"); code != 404 {
		t.Errorf("the old address answers %d", code)
	}
	if err := os.RemoveAll(filepath.Join(dir, "en", "m", "other.md")); err != nil {
		t.Fatal(err)
	}
	until(t, "the lesson's end", func() bool { code, _ := get("m/other/"); return code == 404 })
}

func TestServeReportsAPortInUse(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out output
	done := make(chan int, 1)
	dir := t.TempDir()
	go func() {
		done <- Program().Run(ctx, &command.Env{Stdout: &out, Stderr: io.Discard}, []string{"serve", "-content", dir, "-addr", "127.0.0.1:0"})
	}()
	until(t, "serving", func() bool { return address.MatchString(out.String()) })
	addr := strings.TrimSuffix(strings.TrimPrefix(address.FindStringSubmatch(out.String())[1], "http://"), "/")
	var errOut output
	if code := Program().Run(ctx, &command.Env{Stdout: io.Discard, Stderr: &errOut}, []string{"serve", "-content", dir, "-addr", addr}); code != 1 || !strings.Contains(errOut.String(), "address already in use") {
		t.Errorf("exit code %d: %s", code, errOut.String())
	}
	stop()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d", code)
	}
}
