package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/command"
)

// TestExternalLinksAreChecked runs the command on a course that links to servers of the test.
func TestExternalLinksAreChecked(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/login", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	server := httptest.NewServer(mux)
	defer server.Close()
	content := filepath.Join(t.TempDir(), "content")
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(content, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(strings.ReplaceAll(text, "SERVER", server.URL)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := Program().Run(t.Context(), &command.Env{Stdout: &out, Stderr: &out}, append([]string{"check", "-content", content}, args...))
		return code, out.String()
	}
	write("en/_index.md", "+++\ntitle = \"Course\"\n+++\n")
	write("zh/_index.md", "+++\ntitle = \"课程\"\n+++\n")
	write("en/m/_index.md", "+++\ntitle = \"Module\"\n+++\n")
	write("en/m/l.md", "+++\ntitle = \"Lesson\"\n+++\n\n[good](SERVER/good), [closed](SERVER/login),\nand [dead](SERVER/dead).\n")

	if code, out := check(); code != 0 {
		t.Errorf("other servers are asked without -external: %d\n%s", code, out)
	}
	if code, out := check("-external"); code != 0 || strings.Count(out, "is in a private network") != 3 {
		t.Errorf("private addresses: %d\n%s", code, out)
	}
	code, out := check("-external", "-external-private")
	if code != 1 || !strings.Contains(out, "m/l.md:6:") || !strings.Contains(out, "/dead does not exist (404 Not Found)") || !strings.Contains(out, "1 mistake\n") ||
		!strings.Contains(out, "warning: ") || strings.Contains(out, "/good") && !strings.Contains(out, "[good]") {
		t.Errorf("%d\n%s", code, out)
	}
	if code, out = check("-external", "-external-private", "-strict"); code != 1 || !strings.Contains(out, "2 mistakes\n") {
		t.Errorf("-strict: %d\n%s", code, out)
	}
	write("course.toml", "[external]\nskip = [\"SERVER/dead\", \"SERVER/login\"]\n")
	if code, out = check("-external", "-external-private", "-strict"); code != 0 || !strings.Contains(out, "and their links to other sites") {
		t.Errorf("skipped: %d\n%s", code, out)
	}
}
