package site_test

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	content "github.com/labd-dev/labd"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/site"
)

// builtIn is options with the real scripts and styles, which have a service worker.
func builtIn() site.Options { return site.Options{} }

func TestLessonSaysWhenItWasLastUpdated(t *testing.T) {
	src := source()
	src.Updated = map[string]time.Time{
		"en/one/start.md": time.Date(2026, 3, 4, 23, 30, 0, 0, time.FixedZone("", -3600)),
		"zh/one/start.md": time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC),
	}
	opts := options()
	opts.BaseURL = "https://example.org/c/"
	got := build(t, src, opts)
	wantIn(t, got["one/start/index.html"], `<time datetime="2026-03-05">5 March 2026</time>`, `"dateModified":"2026-03-05T00:30:00Z"`, `"datePublished":"2026-02-01"`)
	wantIn(t, got["zh/one/start/index.html"], `<time datetime="2026-05-06">2026年5月6日</time>`)
	wantNotIn(t, got["one/more/index.html"], "<time", "dateModified")
	wantIn(t, got["sitemap.xml"], "<lastmod>2026-03-05</lastmod>")
	wantIn(t, got["feed.xml"], "<updated>2026-03-05T00:30:00Z</updated>", "<published>2026-02-01T00:00:00Z</published>")
}

func TestPagesHaveJSONLD(t *testing.T) {
	opts := options()
	opts.BaseURL = "https://example.org/c/"
	got := build(t, source(), opts)
	describe := func(file string) map[string]any {
		m := regexp.MustCompile(`<script type="application/ld\+json">(.*?)</script>`).FindStringSubmatch(got[file])
		if m == nil {
			t.Fatalf("%s has no description", file)
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(m[1]), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	lesson := describe("one/start/index.html")
	if lesson["@type"] != "LearningResource" || lesson["timeRequired"] != "PT5M" {
		t.Errorf("the lesson is %v", lesson)
	}
	of := lesson["isPartOf"].([]any)
	if c := of[0].(map[string]any); c["@type"] != "Course" || c["url"] != "https://example.org/c/" || len(of) != 2 {
		t.Errorf("it is part of %v", of)
	}
	course := describe("index.html")
	if parts := course["hasPart"].([]any); course["@type"] != "Course" || len(parts) != 2 {
		t.Errorf("the course is %v", course)
	}
	if lab := describe("labs/demo/index.html"); lab["educationalLevel"] != "Beginner" || lab["timeRequired"] != "PT10M" {
		t.Errorf("the lab is %v", lab)
	}
}

func TestPrintPage(t *testing.T) {
	content := course()
	content["en/one/more.md"].Data = []byte("+++\ntitle = \"More\"\nweight = 20\n+++\n## First part\n\n## Part two\n\n[b](start.md) [c](#first-part) [d](../two/last.md) note[^1]\n\n[^1]: Foot.\n\n:::details Fold\nHidden.\n:::\n")
	src := source()
	src.Content = content
	opts := options()
	opts.BaseURL = "https://example.org/"
	got := build(t, src, opts)
	page := got["one/print/index.html"]
	wantIn(t, page, `id="start--first-part"`, `id="more--first-part"`, `href="#more--part-two"`, `href="#start--"`, `href="#more--first-part"`, `href="/two/last/"`,
		`<article class="print-lesson" id="more--"`, "<details open", `<h3 id="start--first-part"`, `content="noindex"`)
	checkIDs(t, "one/print/index.html", page)
	wantIn(t, got["one/index.html"], `href="/one/print/"`)
	wantIn(t, got["zh/one/print/index.html"], "第一部分", `lang="en"`)
	wantNotIn(t, got["sitemap.xml"], "print")
	for name, text := range got {
		if strings.HasPrefix(name, "search/") {
			wantNotIn(t, text, "/print/")
		}
	}
}

func TestSiteIsReadableOffline(t *testing.T) {
	opts := builtIn()
	opts.BaseURL = "https://example.org/c/"
	got := build(t, source(), opts)
	wantIn(t, got["one/start/index.html"], `data-sw="/c/sw.js"`)
	wantIn(t, got["index.html"], `data-save="/c/offline/course.json"`)
	wantIn(t, got["sw.js"], `"/c/offline/"`, `"/c/zh/offline/"`, `/c/assets/site-`)
	var list struct {
		Bytes int
		Files []string
	}
	if err := json.Unmarshal([]byte(got["offline/course.json"]), &list); err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, url := range list.Files {
		file := strings.TrimPrefix(url, "/c/")
		if strings.HasSuffix(file, "/") || file == "" {
			file += "index.html"
		}
		if got[file] == "" {
			t.Errorf("%s is on the list but not in the site", url)
		}
		size += len(got[file])
	}
	for _, url := range []string{"/c/search/", "/c/search/index.json", "/c/search/d-0.json"} {
		if !slices.Contains(list.Files, url) {
			t.Errorf("%s is not on the list: %v", url, list.Files)
		}
	}
	if list.Bytes != size || len(list.Files) < 8 {
		t.Errorf("%d files of %d bytes are listed as %d", len(list.Files), size, list.Bytes)
	}
}

// A preview shows the text as it is, so its worker takes away what an earlier one has kept under
// the same address.
func TestPreviewRemovesTheServiceWorker(t *testing.T) {
	opts := builtIn()
	opts.LiveScript = "/-/live.js"
	got := build(t, source(), opts)
	wantNotIn(t, got["one/start/index.html"], "data-sw", "data-save")
	wantIn(t, got["sw.js"], "unregister")
}

func TestPagesNameTheAPIOfLabd(t *testing.T) {
	wantIn(t, build(t, source(), options())["index.html"], `data-api="/api/v1"`)
}

func TestEditLinks(t *testing.T) {
	content := course()
	for name, text := range map[string]string{
		"course.toml":     "edit = \"https://git.example.org/edit/main/{file}?x=1\"\n",
		"en/one/课+a;b.md": "+++\ntitle = \"Odd\"\n+++\n",
	} {
		f := *content["en/_index.md"]
		f.Data = []byte(text)
		content[name] = &f
	}
	src := source()
	src.Content = content
	got := build(t, src, options())
	wantIn(t, got["one/start/index.html"], `<a href="https://git.example.org/edit/main/en/one/start.md?x=1">Edit this page</a>`)
	wantIn(t, got["zh/one/start/index.html"], `href="https://git.example.org/edit/main/zh/one/start.md?x=1"`)
	// A page that stands in for a translation is edited where its text is.
	wantIn(t, got["zh/one/more/index.html"], `href="https://git.example.org/edit/main/en/one/more.md?x=1"`)
	wantIn(t, got["one/课+a;b/index.html"], `href="https://git.example.org/edit/main/en/one/%E8%AF%BE&#43;a%3Bb.md?x=1"`)
	wantNotIn(t, build(t, source(), options())["one/start/index.html"], "Edit this page")
}

// TestPrintedLessonsKeepTheirIDsApart has ids that the authors wrote, the same in two lessons and
// in the module's text.
func TestPrintedLessonsKeepTheirIDsApart(t *testing.T) {
	lesson := "+++\ntitle = \"L\"\n+++\n## Setup {#setup}\n\n[s](#setup) [other](b.md#setup) [page](content.md)\n\n" +
		"<h3 id='raw'>Raw</h3>\n\n<p><a href=\"#raw\">r</a> <label for=\"raw field\" aria-labelledby=\"setup raw\">l</label></p>\n"
	got := build(t, site.Source{Content: files(map[string]string{
		"course.toml":     "html = true\n",
		"en/_index.md":    "+++\ntitle = \"C\"\n+++\n",
		"en/m/_index.md":  "+++\ntitle = \"M\"\n+++\n## Setup {#setup}\n\n[s](#setup) [a](a.md#setup)\n",
		"en/m/a.md":       lesson,
		"en/m/b.md":       lesson,
		"en/m/content.md": "+++\ntitle = \"Content\"\n+++\n[a](a.md#setup)\n",
	})}, options())
	page := got["m/print/index.html"]
	wantIn(t, page, `<h3 id="a--setup">`, `<h3 id="b--setup">`, `<h3 id="--setup">`, `<a href="#a--setup">s</a>`, `<a href="#b--setup">other</a>`, `<a href="#--setup">s</a>`,
		`<h4 id="a--raw">`, `<a href="#a--raw">r</a>`, `aria-labelledby="b--setup b--raw"`, `<a href="#content--">page</a>`)
	checkIDs(t, "m/print/index.html", page)
	// The lessons' own pages keep the ids.
	wantIn(t, got["m/a/index.html"], `id="setup"`, `href="#setup"`, `id='raw'`)
}

// TestThePrintedGuideHasNoBrokenLinks checks the built-in course.
func TestThePrintedGuideHasNoBrokenLinks(t *testing.T) {
	labs, err := lab.Load(content.Labs(), "labs")
	if err != nil {
		t.Fatal(err)
	}
	got := build(t, site.Source{Content: content.Content(), Labs: labs}, site.Options{})
	printed := 0
	for name, page := range got {
		if strings.HasSuffix(name, "/print/index.html") {
			printed++
			checkIDs(t, name, page)
		}
	}
	if printed < 4 {
		t.Errorf("only %d modules are printed", printed)
	}
	checkLinks(t, got, "/")
}

// checkIDs finds ids that a page has twice, and links within the page that lead nowhere.
func checkIDs(t *testing.T, name, page string) {
	t.Helper()
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id=["']([^"']*)["']`).FindAllStringSubmatch(page, -1) {
		if ids[m[1]] {
			t.Errorf("%s: the id %q is used twice", name, m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(` href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		anchor, err := url.PathUnescape(html.UnescapeString(m[1]))
		if err != nil || !ids[anchor] {
			t.Errorf("%s: #%s leads nowhere", name, m[1])
		}
	}
}
