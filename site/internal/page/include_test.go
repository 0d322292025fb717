package page_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/internal/page"
)

// TestNothingOutsideTheContentIsIncluded lets a lesson try every way to the file beside the content
// folder.
func TestNothingOutsideTheContentIsIncluded(t *testing.T) {
	dir := t.TempDir()
	content := filepath.Join(dir, "content")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("secret.md", "top secret\n")
	write("content/en/_index.md", "+++\ntitle = \"C\"\n+++\n")
	write("content/en/one/_index.md", "+++\ntitle = \"M\"\n+++\n")
	if err := os.Symlink("../../../secret.md", filepath.Join(content, "en/one/_link.md")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("../../..", filepath.Join(content, "en/one/_up")); err != nil {
		t.Fatal(err)
	}
	d := design(t, page.Options{}, "a{}")
	for try, want := range map[string]string{
		":::include ../../../secret.md":                  "is not in the content folder",
		":::include /../../secret.md":                    "there is no file",
		":::include /../../../../../../etc/hosts.md":     "there is no file",
		":::include " + dir + "/secret.md":               "there is no file",
		":::include _link.md":                            "it is not a plain file",
		":::include _up/secret.md":                       "is not a plain folder",
		"```{file=../../../secret.md}\n```":              "is not in the content folder",
		"```{file=_link.md}\n```":                        "it is not a plain file",
		"```{file=_up/secret.md}\n```":                   "is not a plain folder",
		"```{file=\"..\\\\..\\\\..\\\\secret.md\"}\n```": "is not in the content folder",
		"```{file=..}\n```":                              "it is not a plain file",
		"```{file=_lnik.md}\n```":                        `(did you mean "_link.md"?)`,
		"```{file=nowhere/a.yml}\n```":                   "there is no folder content/en/one/nowhere",
	} {
		write("content/en/one/a.md", "+++\ntitle = \"A\"\n+++\n"+try+"\n")
		mistakes := look(t, maker(t, d, os.DirFS(content)), "one/a/index.html", nil).Facts.Mistakes.Err()
		if mistakes == nil || !strings.Contains(mistakes.Error(), "content/en/one/a.md:4:") || !strings.Contains(mistakes.Error(), want) || strings.Contains(mistakes.Error(), "top secret") {
			t.Errorf("%s: %v", try, mistakes)
		}
	}
}
