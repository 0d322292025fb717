package tree_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/tree"
)

func TestHiddenFilesAndSymbolicLinksAreNotListed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.md", ".git/config", "node_modules/x/readme.md", "m/B.MDX", ".hidden.md"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a.md", filepath.Join(dir, "link.md")); err != nil {
		t.Fatal(err)
	}
	var log report.Log
	got, err := tree.List(t.Context(), os.DirFS(dir), &log)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Files) != 2 || got.Files["a.md"] != 1 || got.Files["m/B.MDX"] != 1 {
		t.Errorf("listed %v", got.Files)
	}
	if got.Folded["m/b.mdx"] != "m/B.MDX" || !slices.Equal(got.Names["b"], []string{"m/B.MDX"}) {
		t.Errorf("the page is not found by its lower-case name: %v, %v", got.Folded, got.Names)
	}
	if _, refused := got.Read("link.md"); refused == "" {
		t.Error("the symbolic link was read")
	}
	if log.Count(report.FileUnused) != 1 || log.Entries()[0].File != "link.md" {
		t.Errorf("reported %v", log.Entries())
	}
}

func TestTextIsReadAsLinesOfUTF8(t *testing.T) {
	var log report.Log
	got, err := tree.List(t.Context(), fstest.MapFS{
		"a.md": {Data: []byte("\ufeffone\r\ncaf\xe9\rthree\n")}, "nul.md": {Data: []byte("a\x00b")},
		"big.md": {Data: []byte(strings.Repeat("x", tree.MaxText+1))},
	}, &log)
	if err != nil {
		t.Fatal(err)
	}
	lines, refused := got.Lines("a.md")
	if refused != "" || len(lines) != 3 || lines[0].Text != "one" || lines[1].Text != "caf\uFFFD" || lines[2].N != 3 {
		t.Errorf("read %+v, refused %q", lines, refused)
	}
	if log.Count(report.UndecodableText) != 1 || log.Entries()[0].Line != 2 {
		t.Errorf("reported %v", log.Entries())
	}
	for name, want := range map[string]string{"nul.md": "NUL bytes", "big.md": "larger than 2 MiB", "gone.md": "does not exist"} {
		if _, refused := got.Read(name); !strings.Contains(refused, want) {
			t.Errorf("%s: refused with %q, want %q", name, refused, want)
		}
	}
}

func TestPathsDoNotLeaveTheSource(t *testing.T) {
	for name, want := range map[string]string{"b.md": "m/b.md", "../b.md": "b.md", "x/../../b.md": "b.md", "../../b.md": "", "/etc/passwd": "", `..\b.md`: "", "": "", "a\x00": ""} {
		if got, refused := tree.Join("m", name); got != want || (refused == "") != (want != "") {
			t.Errorf("%q: %q, refused %q; want %q", name, got, refused, want)
		}
	}
}
