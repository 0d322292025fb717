package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// repo is a git repository of a test.
type repo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T) *repo {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	r := &repo{t, t.TempDir()}
	r.git("2026-01-01", "init", "-q")
	return r
}

func (r *repo) git(day string, args ...string) {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.dir, "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE="+day+"T12:00:00Z", "GIT_AUTHOR_DATE=2001-01-01T00:00:00Z")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (r *repo) commit(day string, files ...string) {
	r.t.Helper()
	for _, name := range files {
		path := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(day), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	r.git(day, "add", "-A")
	r.git(day, "commit", "-q", "-m", day)
}

func TestLastUpdatedIsTheNewestCommitOfEachFile(t *testing.T) {
	r := newRepo(t)
	r.commit("2026-01-01", "content/en/a.md", "content/en/b.md", "README.md")
	r.commit("2026-02-02", "content/en/b.md")
	r.commit("2026-03-03", "README.md")
	dates := lastUpdated(t.Context(), filepath.Join(r.dir, "content"))
	for name, want := range map[string]string{"en/a.md": "2026-01-01", "en/b.md": "2026-02-02"} {
		if got := dates[name].Format(time.DateOnly); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if len(dates) != 2 {
		t.Errorf("dates of %d files: %v", len(dates), dates)
	}
}

// A file's name can hold whatever git's answer is made of.
func TestLastUpdatedSurvivesHostileNames(t *testing.T) {
	r := newRepo(t)
	names := []string{"a b.md", "\"q\".md", "\n1.md", "\n", "\x011999999999", "\x01x", "-n", "*.md", "课.md", "tab\t.md", "\xff.md"}
	r.commit("2026-01-01", append([]string{"\x011888888888"}, names...)...)
	r.git("2026-01-02", "rm", "-q", "\x011888888888")
	r.git("2026-01-02", "commit", "-q", "-m", "x")
	r.commit("2026-02-02", "a b.md")
	dates := lastUpdated(t.Context(), r.dir)
	for _, name := range names {
		want := "2026-01-01"
		if name == "a b.md" {
			want = "2026-02-02"
		}
		if got := dates[name].Format(time.DateOnly); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestLastUpdatedNeedsTheFullHistory(t *testing.T) {
	if dates := lastUpdated(t.Context(), t.TempDir()); dates != nil {
		t.Errorf("without a repository: %v", dates)
	}
	r := newRepo(t)
	if dates := lastUpdated(t.Context(), r.dir); len(dates) != 0 {
		t.Errorf("without a commit: %v", dates)
	}
	r.commit("2026-01-01", "a.md")
	r.commit("2026-02-02", "b.md")
	shallow := filepath.Join(t.TempDir(), "shallow")
	r.git("2026-02-02", "clone", "-q", "--depth", "1", "file://"+r.dir, shallow)
	if dates := lastUpdated(t.Context(), shallow); dates != nil {
		t.Errorf("in a shallow clone: %v", dates)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if dates := lastUpdated(ctx, r.dir); dates != nil {
		t.Errorf("after it was cancelled: %v", dates)
	}
}

// Settings of a repository can name programs to run; building a course that somebody sent must not
// run them.
func TestLastUpdatedRunsNoProgramsOfTheRepository(t *testing.T) {
	r := newRepo(t)
	r.commit("2026-01-01", "a.md")
	mark := filepath.Join(t.TempDir(), "ran")
	script := filepath.Join(t.TempDir(), "evil")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntouch "+mark+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"core.fsmonitor", "core.pager", "gpg.program", "diff.external", "core.sshCommand", "core.editor", "alias.log"} {
		value := script
		if key == "alias.log" {
			value = "!" + script
		}
		r.git("2026-01-01", "config", key, value)
	}
	r.git("2026-01-01", "config", "log.showSignature", "true")
	if dates := lastUpdated(t.Context(), r.dir); len(dates) != 1 {
		t.Errorf("dates are %v", dates)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a program of the repository's settings ran")
	}
}
