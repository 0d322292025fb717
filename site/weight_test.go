//go:build !race

package site_test

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/site"
)

// What a lesson may weigh with gzip: HTML, style sheet and scripts together, and of that the
// scripts.
const (
	maxLesson  = 20_000
	maxScripts = 6_000
)

var (
	sheetLink  = regexp.MustCompile(`<link rel="stylesheet" href="/([^"]+)"`)
	scriptLink = regexp.MustCompile(`<script[^>]* src="/([^"]+)"`)
	blocking   = regexp.MustCompile(`<script src="[^"]+"( integrity="[^"]+")?>`)
)

func TestLessonsAreSmall(t *testing.T) {
	labs, err := lab.Load(os.DirFS("../labs"), "")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), site.Source{Content: os.DirFS("../content"), Labs: labs}, out, site.Options{Cards: site.CardsOff, Labs: true}); err != nil {
		t.Fatal(err)
	}
	got := read(t, out)
	packed := func(name string) int {
		data, ok := got[name]
		if !ok {
			t.Fatalf("%s is not there", name)
		}
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return buf.Len()
	}
	// What a page loads for itself when it has some of it.
	later := map[string]string{"assets/quiz-*.js": `<fieldset class="quiz"`, "assets/terms-*.js": `/glossary/#`, "assets/tabs-*.js": `data-tabs`}
	lessons, heaviest, most := 0, 0, 0
	for name, page := range got {
		if !strings.HasSuffix(name, "index.html") || !strings.Contains(page, `class="kind-lesson"`) {
			continue
		}
		lessons++
		sheets := sheetLink.FindAllStringSubmatch(page, -1)
		if len(sheets) != 1 || blocking.MatchString(page) {
			t.Errorf("%s: %d style sheets, or a script that blocks", name, len(sheets))
		}
		scripts := 0
		for _, link := range scriptLink.FindAllStringSubmatch(page, -1) {
			scripts += packed(link[1])
		}
		for pattern, mark := range later {
			files, err := fs.Glob(os.DirFS(out), pattern)
			if err != nil || len(files) != 1 {
				t.Fatalf("%s: %v, %v", pattern, files, err)
			}
			if strings.Contains(page, mark) {
				scripts += packed(files[0])
			}
		}
		total := packed(name) + scripts
		for _, link := range sheets {
			total += packed(link[1])
		}
		if total > maxLesson || scripts > maxScripts {
			t.Errorf("%s weighs %d bytes, of which scripts are %d", name, total, scripts)
		}
		heaviest, most = max(heaviest, total), max(most, scripts)
	}
	t.Logf("%d lessons, at most %d bytes, %d of scripts", lessons, heaviest, most)
	if lessons == 0 {
		t.Error("no lessons")
	}
}

func TestLessonsLoadTheSmallestStyleSheet(t *testing.T) {
	const diagram, quiz = "```diagram {title=\"Two\" alt=\"One asks the other.\"}\na -> b\n```\n", ":::quiz Which?\n- [x] This.\n  Yes.\n- [ ] That.\n  No.\n:::\n"
	content := map[string]string{
		"en/_index.md":     "+++\ntitle = \"Course\"\n+++\n",
		"en/one/_index.md": "+++\ntitle = \"One\"\n+++\n",
	}
	for name, text := range map[string]string{"plain": "Text.\n", "drawn": diagram, "asked": quiz, "formula": "$$\nx^2\n$$\n", "both": diagram + "\n" + quiz} {
		content["en/one/"+name+".md"] = "+++\ntitle = \"" + name + "\"\n+++\n" + text
	}
	got := build(t, site.Source{Content: files(content)}, site.Options{})
	for name, want := range map[string][]string{ // what its style sheet has of diagrams, quizzes, lists
		"plain/": {}, "drawn/": {".diagram-view"}, "asked/": {".quiz-actions"}, "formula/": {".formula"},
		"both/": {".diagram-view", ".quiz-actions"}, "": {".diagram-view", ".quiz-actions", ".formula", ".lesson-list a"},
	} {
		page := got["one/"+name+"index.html"]
		link := sheetLink.FindStringSubmatch(page)
		if link == nil {
			t.Fatalf("one/%s has no style sheet", name)
		}
		sheet := got[link[1]]
		wantIn(t, sheet, append(want, ".prose", ".page-end")...)
		if name == "both/" {
			wantNotIn(t, sheet, ".lesson-list a", ".finder")
		}
		if name == "plain/" {
			wantNotIn(t, sheet, ".diagram-view", ".quiz-answers", ".formula", ".lesson-list a", ".finder")
		}
		wantIn(t, got["sw.js"], link[1])
	}
}
