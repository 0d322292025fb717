package site_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/site"
)

func TestIdenticalInputGivesIdenticalBytes(t *testing.T) {
	alone := options()
	alone.Workers = 1
	a, b := build(t, source(), options()), build(t, source(), alone)
	if len(a) != len(b) {
		t.Fatalf("%d and %d files", len(a), len(b))
	}
	for name := range a {
		if a[name] != b[name] {
			t.Errorf("%s differs", name)
		}
	}
}

func TestBuildReplacesTheOldSiteAsAWhole(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), source(), out, options()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, "stale.html"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, ok := read(t, out)["stale.html"]; !ok {
		t.Fatal("the stray file was not written")
	}
	if _, err := site.Build(t.Context(), source(), out, options()); err != nil {
		t.Fatal(err)
	}
	if _, ok := read(t, out)["stale.html"]; ok {
		t.Error("a file of the old site is still there")
	}
	entries, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(entries) != 1 {
		t.Errorf("left beside the site: %v, %v", entries, err)
	}
}

func TestBuildSkipsUnchangedInput(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	again := func(what string, src site.Source, opts site.Options, want bool) {
		t.Helper()
		report, err := site.Build(t.Context(), src, out, opts)
		if err != nil {
			t.Fatal(err)
		}
		if report.Unchanged != want {
			t.Errorf("%s: unchanged is %v", what, report.Unchanged)
		}
		if report.Pages == 0 || report.Files == 0 {
			t.Errorf("%s: the report is empty: %+v", what, report)
		}
	}
	again("first", source(), options(), false)
	before := read(t, out)
	again("the same", source(), options(), true)
	if fmt.Sprint(before) != fmt.Sprint(read(t, out)) {
		t.Error("the site has changed")
	}
	forced := options()
	forced.Force = true
	again("forced", source(), forced, false)
	again("the same after that", source(), options(), true)
	m := course()
	m["en/two/last.md"].Data = []byte("+++\ntitle = \"Last\"\n+++\nEND.\n")
	again("another text", site.Source{Content: m, Labs: []*lab.Lab{demo()}}, options(), false)
	l := demo()
	l.Title["en"] = "Other"
	again("another lab", site.Source{Content: course(), Labs: []*lab.Lab{l}}, options(), false)
	drafts := options()
	drafts.Drafts = true
	again("other options", source(), drafts, false)
	again("back", source(), options(), false)
	if err := os.Remove(filepath.Join(out, "two", "last", "index.html")); err != nil {
		t.Fatal(err)
	}
	again("a file was removed", source(), options(), false)
	if err := os.WriteFile(filepath.Join(out, "index.html"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	again("a file was cut", source(), options(), false)
}

func TestAFailedBuildKeepsTheOldSite(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), source(), out, options()); err != nil {
		t.Fatal(err)
	}
	before := read(t, out)
	m := course()
	m["en/one/more.md"] = &fstest.MapFile{Data: []byte("broken")}
	if _, err := site.Build(t.Context(), site.Source{Content: m, Labs: []*lab.Lab{demo()}}, out, options()); err == nil {
		t.Fatal("the build succeeded")
	}
	clash := course()
	clash["en/one/start/index.html"] = &fstest.MapFile{Data: []byte("x")}
	if _, err := site.Build(t.Context(), site.Source{Content: clash, Labs: []*lab.Lab{demo()}}, out, options()); err == nil || !strings.Contains(err.Error(), "content/en/one/start/index.html: has the same address as content/en/one/start.md, /one/start/; rename one of them") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := site.Build(ctx, source(), out, options()); err == nil {
		t.Error("a cancelled build succeeded")
	}
	after := read(t, out)
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Error("the old site changed")
	}
	entries, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(entries) != 1 {
		t.Errorf("left beside the site: %v, %v", entries, err)
	}
}

func TestBuildRefusesAFolderOfOtherFiles(t *testing.T) {
	out := t.TempDir()
	precious := filepath.Join(out, "thesis.txt")
	if err := os.WriteFile(precious, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := site.Build(t.Context(), source(), out, options())
	if err == nil || !strings.Contains(err.Error(), "was not made by sitegen") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error("the file is gone")
	}
}

func TestBuiltInAssetsBundle(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), source(), out, site.Options{}); err != nil {
		t.Fatal(err)
	}
	var sheets int
	for name, data := range read(t, out) {
		if strings.HasPrefix(name, "assets/site-") && strings.HasSuffix(name, ".css") {
			sheets++
			if bytes.Contains([]byte(data), []byte("@import")) {
				t.Error("the style sheet imports another one")
			}
		}
	}
	if sheets != 1 {
		t.Errorf("%d style sheets", sheets)
	}
}
