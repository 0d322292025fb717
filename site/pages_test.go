package site_test

import (
	"encoding/xml"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/static"
	"github.com/labd-dev/labd/site"
)

func TestEveryPageIsThere(t *testing.T) {
	got := build(t, source(), options())
	for _, name := range []string{
		"index.html", "404.html", "one/index.html", "one/start/index.html", "one/more/index.html", "two/last/index.html",
		"two/bundle/index.html", "labs/index.html", "labs/demo/index.html",
		"zh/index.html", "zh/404.html", "zh/one/start/index.html", "zh/one/more/index.html", "zh/labs/demo/index.html",
	} {
		if got[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestLessonPage(t *testing.T) {
	p := build(t, source(), options())["one/start/index.html"]
	wantIn(t, p,
		`<html lang="en" dir="ltr">`, `<body data-lang="en"`, "<title>Start · Course</title>",
		`<a href="/one/more/#part-two">next</a>`, `<a href="/two/last/">two</a>`, `src="/assets/box-`,
		`<a href="#first-part">First part</a>`, // table of contents
		`<a href="/one/">Module one</a>`,       // breadcrumb
		`rel="next" href="/one/more/"`,
		`href="/zh/one/start/" lang="zh" hreflang="zh"`, // the same page in the other language
		`<aside class="lab-start" lang="en" data-lab="demo"`, `href="/labs/demo/#hello"`,
		`aria-current="page">Start</a>`,
		`<li>5 min</li>`,
	)
}

func TestModuleOrderAndNumbering(t *testing.T) {
	got := build(t, source(), options())
	home := got["index.html"]
	order := []string{"Module one", "Start", "More", "Module two", "Bundle", "Last"}
	last := strings.Index(home, "modules-title")
	for _, s := range order {
		i := strings.Index(home[last:], s)
		if i < 0 {
			t.Fatalf("%q does not follow in order on the home page", s)
		}
		last += i
	}
	wantIn(t, got["zh/one/index.html"], "第一模块", "开始", "2 课")
}

func TestFallbackSaysWhichLanguageIsShown(t *testing.T) {
	got := build(t, source(), options())
	p := got["zh/one/more/index.html"]
	wantIn(t, p, `<html lang="zh"`, `<article lang="en">`, `<p class="notice" role="note" lang="zh">本课尚无中文翻译`, "English",
		`<a href="/zh/labs/demo/#hello">lab</a>`, `<a href="/zh/">home</a>`)
	wantNotIn(t, got["zh/one/start/index.html"], `class="notice" role="note"`)
	wantIn(t, got["zh/one/start/index.html"], `<article lang="zh">`, `data-lab="demo"`, "5 分钟")
	lab := got["zh/labs/demo/index.html"]
	wantIn(t, lab, "本实验尚无中文翻译", "Say hello", "演示")
}

func TestLabPage(t *testing.T) {
	p := build(t, source(), options())["labs/demo/index.html"]
	wantIn(t, p,
		`data-lab="demo" data-lab-title="Demo lab"`,
		`<section class="step" id="hello" data-step="hello"`,
		`<div class="code" data-run data-node="node1" data-block="hello-block-1">`,
		`docker</span> run <span data-var="code">code</span>`,
		`<details class="hint" data-hint><summary>Hint 1</summary>`,
		`<div class="step-status" data-step-status aria-live="polite"></div>`,
		`<div id="lab-pane" class="lab-pane" hidden></div>`, `data-lab-launch`, `<noscript>`,
		`<h3 id="hello-detail">`, `<h3 id="bye-detail">`,
		`<script type="module" src="/assets/lab-`,
	)
	wantNotIn(t, p, "SECRET-SOLUTION", "No lab server here")
}

func TestLabScriptsAreOnlyOnPagesWithALab(t *testing.T) {
	got := build(t, source(), options())
	for name, p := range got {
		if has := strings.Contains(p, `src="/assets/lab-`); has != strings.HasSuffix(name, "labs/demo/index.html") && strings.HasSuffix(name, ".html") {
			t.Errorf("%s loads the lab's script: %v", name, has)
		}
	}
}

func TestLabsWithoutALabServer(t *testing.T) {
	opts := options()
	opts.Labs = false
	got := build(t, source(), opts)
	wantIn(t, got["labs/demo/index.html"], `<div class="notice"><strong>No lab server here`, `id="hello" data-step="hello"`)
	for name, p := range got {
		if strings.HasSuffix(name, ".html") {
			wantNotIn(t, p, "/assets/lab-", "data-lab-launch", "data-api")
		}
	}
}

func TestLabsWithoutXterm(t *testing.T) {
	opts := options()
	a := assetsFS()
	delete(a, "vendor/xterm.mjs")
	opts.Assets = a
	out := filepath.Join(t.TempDir(), "site")
	report, err := site.Build(t.Context(), source(), out, opts)
	if err != nil {
		t.Fatal(err)
	}
	wantIn(t, fmt.Sprint(report.Warnings.Err()), "vendor/xterm.mjs is missing", "make assets")
	p := read(t, out)["labs/demo/index.html"]
	wantIn(t, p, `<div class="notice"><strong>No lab server here`)
	wantNotIn(t, p, `src="/assets/lab-`, "data-lab-launch")
}

func TestTagsAndGlossary(t *testing.T) {
	got := build(t, source(), options())
	wantIn(t, got["one/start/index.html"], `<a href="/tags/docker-run/">docker run</a>`)
	wantIn(t, got["tags/index.html"], `<a href="/tags/ports/">Ports<small>1</small></a>`)
	wantIn(t, got["tags/ports/index.html"], "1 lesson<", `href="/one/start/"`, `href="/zh/tags/" lang="zh"`)
	wantIn(t, got["zh/tags/端口/index.html"], "开始")
	wantIn(t, got["glossary/index.html"], `<dt id="named-volume">Named volume</dt>`)
	wantIn(t, got["zh/glossary/index.html"], "本课尚无中文翻译", `<dt id="named-volume">`)
	wantIn(t, got["zh/one/more/index.html"], `href="/zh/glossary/#named-volume"`)
}

func TestSitemapFeedAndManifest(t *testing.T) {
	opts := options()
	opts.BaseURL = "https://example.org/course"
	got := build(t, source(), opts)
	wantIn(t, got["one/start/index.html"],
		`<link rel="canonical" href="https://example.org/course/one/start/">`,
		`<link rel="alternate" hreflang="zh" href="https://example.org/course/zh/one/start/">`,
		`<link rel="alternate" hreflang="x-default" href="https://example.org/course/one/start/">`,
		`<script type="application/ld+json">{"@context":"https://schema.org","@type":"LearningResource"`, `"name":"Start"`)
	wantIn(t, got["zh/one/start/index.html"], `<link rel="canonical" href="https://example.org/course/zh/one/start/">`,
		`hreflang="x-default" href="https://example.org/course/one/start/"`)
	// What stands in for a translation points to its original.
	wantIn(t, got["zh/one/more/index.html"], `<link rel="canonical" href="https://example.org/course/one/more/">`)
	wantIn(t, got["404.html"], `<meta name="robots" content="noindex">`)
	sitemap := got["sitemap.xml"]
	wantIn(t, sitemap, "<loc>https://example.org/course/</loc>", "<loc>https://example.org/course/zh/one/start/</loc>",
		`<xhtml:link rel="alternate" hreflang="zh" href="https://example.org/course/zh/one/start/"></xhtml:link>`)
	wantNotIn(t, sitemap, "404", "<loc>https://example.org/course/zh/one/more/</loc>")
	wantIn(t, got["feed.xml"], "<title>Start</title>", "<updated>2026-02-01T00:00:00Z</updated>", "<name>Ada</name>",
		`<id>https://example.org/course/one/start/</id>`)
	wantIn(t, got["zh/feed.xml"], "<title>开始</title>", `xml:lang="zh"`)
	wantIn(t, got["robots.txt"], "Sitemap: https://example.org/course/sitemap.xml")
	wantIn(t, got["manifest.webmanifest"], `"start_url": "/course/"`, `"name": "Course"`)
	wantIn(t, got["old/start/index.html"], `content="0; url=/course/one/start/"`)
	for _, name := range []string{"sitemap.xml", "feed.xml", "zh/feed.xml"} {
		if err := xml.Unmarshal([]byte(got[name]), new(struct {
			XMLName xml.Name
		})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithoutBaseURLNoAbsoluteURLs(t *testing.T) {
	got := build(t, source(), options())
	if got["sitemap.xml"]+got["feed.xml"] != "" {
		t.Error("files that need absolute addresses were written")
	}
	wantNotIn(t, got["one/start/index.html"], "canonical", "og:url", "hreflang=\"x-default\"", "ld+json")
}

func TestNamesInOtherScripts(t *testing.T) {
	m := course()
	m["en/one/网络.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"Network\"\ntags = [\"C++\", \"网络\"]\n+++\n## 端口\n\n![x](图.svg)\n")}
	m["en/one/图.svg"] = &fstest.MapFile{Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)}
	m["en/two/last.md"].Data = []byte("+++\ntitle = \"Last\"\n+++\n[a](../one/网络.md#端口) [b](../one/%E7%BD%91%E7%BB%9C.md#%E7%AB%AF%E5%8F%A3) [c](<../one/网络.md>) [d](/one/网络/)\n")
	src := source()
	src.Content = m
	got := build(t, src, options())
	checkLinks(t, got, "/")
	if n := strings.Count(got["two/last/index.html"], `href="/one/%E7%BD%91%E7%BB%9C/`); n < 4 {
		t.Errorf("%d links to the lesson:\n%s", n, got["two/last/index.html"])
	}
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), src, out, options()); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	static.Handler(out).ServeHTTP(w, httptest.NewRequest("GET", "/one/%E7%BD%91%E7%BB%9C/", nil))
	if w.Code != 200 {
		t.Errorf("status %d", w.Code)
	}
}

func TestTenThousandTags(t *testing.T) {
	m := files(map[string]string{"en/m/_index.md": "+++\ntitle = \"M\"\n+++\n"})
	for i := range 100 {
		var tags []string
		for j := range 100 {
			tags = append(tags, fmt.Sprintf("\"tag %d\"", i*100+j))
		}
		m[fmt.Sprintf("en/m/l%03d.md", i)] = &fstest.MapFile{Data: []byte("+++\ntitle = \"L\"\ntags = [" + strings.Join(tags, ",") + "]\n+++\n")}
	}
	report, err := site.Check(t.Context(), site.Source{Content: m}, options())
	if err != nil || report.Pages < 10_000 {
		t.Errorf("%d pages, %v", report.Pages, err)
	}
}

func TestDraftsAreLeftOut(t *testing.T) {
	m := course()
	m["en/two/last.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"Last\"\ndraft = true\n+++\n")}
	m["en/one/start.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"Start\"\nlab = \"demo\"\n+++\n## First part\n\n## Second part\n")}
	src := source()
	src.Content = m
	if _, ok := build(t, src, options())["two/last/index.html"]; ok {
		t.Error("a draft was published")
	}
	opts := options()
	opts.Drafts = true
	if _, ok := build(t, src, opts)["two/last/index.html"]; !ok {
		t.Error("a draft was not published though asked for")
	}
}

func TestACourseInOneLanguageWithoutLabs(t *testing.T) {
	got := build(t, site.Source{Content: files(map[string]string{"en/_index.md": "+++\ntitle = \"C\"\n+++\n", "en/m/_index.md": "+++\ntitle = \"M\"\n+++\n", "en/m/l.md": "+++\ntitle = \"L\"\n+++\nText\n"})}, options())
	wantNotIn(t, got["m/l/index.html"], "hreflang=\"zh\"", "/labs/")
	if _, ok := got["labs/index.html"]; ok {
		t.Error("a page of labs without labs")
	}
}

func TestLabsAloneAreASite(t *testing.T) {
	got := build(t, site.Source{Content: fstest.MapFS{}, Labs: []*lab.Lab{demo()}}, options())
	if got["index.html"] == "" || got["404.html"] == "" || got["labs/demo/index.html"] == "" {
		t.Errorf("files: %d", len(got))
	}
}

func TestAnUnknownLanguageUsesEnglishWords(t *testing.T) {
	m := course()
	m["fr/_index.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"Cours\"\n+++\n")}
	src := source()
	src.Content = m
	wantIn(t, build(t, src, options())["fr/index.html"], `<html lang="fr"`, "Cours", "Start learning")
}

func TestManyLessonsKeepPagesSmall(t *testing.T) {
	m := course()
	for i := range 400 {
		m[fmt.Sprintf("en/two/l%03d.md", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "+++\ntitle = \"Lesson %d\"\n+++\nText\n", i)}
	}
	src := source()
	src.Content = m
	p := build(t, src, options())["one/start/index.html"]
	if len(p) > 20_000 || strings.Contains(p, "Lesson 77<") {
		t.Errorf("a page of a large course has %d bytes and lists other modules' lessons", len(p))
	}
}

// TestTheInterfaceFollowsTheNearestLanguage has a course in zh-CN, with a translation for zh-Hant
// and a lab that is written in zh.
func TestTheInterfaceFollowsTheNearestLanguage(t *testing.T) {
	l := demo()
	l.Langs = append(l.Langs, "zh")
	l.Intro["zh"] = lab.Markdown{File: "labs/demo/lab.zh.md", Line: 1, Source: []byte("开场白\n")}
	got := build(t, site.Source{Labs: []*lab.Lab{l}, Content: files(map[string]string{
		"zh-CN/_index.md":     "+++\ntitle = \"课程\"\n+++\n",
		"zh-CN/one/_index.md": "+++\ntitle = \"一\"\n+++\n",
		"zh-CN/one/a.md":      "+++\ntitle = \"甲\"\nlab = \"demo\"\ntags = [\"网络\"]\n+++\n正文\n",
		"zh-Hant/one/a.md":    "+++\ntitle = \"甲\"\n+++\n正文\n",
		"fr/one/a.md":         "+++\ntitle = \"A\"\n+++\nTexte\n",
	})}, site.Options{Assets: assetsFS(), Labs: true, DefaultLang: "zh-CN"})
	wantIn(t, got["one/a/index.html"], `<html lang="zh-CN"`, `<body data-lang="zh"`, "跳到正文", `<article lang="zh-CN">`, `data-lab-title="演示"`,
		`href="/zh-Hant/one/a/" lang="zh-Hant" hreflang="zh-Hant" aria-label="阅读繁體中文版">繁體中文</a>`, `<a href="/tags/%e7%bd%91%e7%bb%9c/">网络</a>`)
	wantNotIn(t, got["one/a/index.html"], `role="note"`)
	wantIn(t, got["zh-Hant/one/a/index.html"], `<html lang="zh-Hant"`, "跳到正文", `<article lang="zh-Hant">`)
	wantIn(t, got["labs/demo/index.html"], "开场白", "演示")
	wantNotIn(t, got["labs/demo/index.html"], `role="note"`)
	wantIn(t, got["fr/one/a/index.html"], `<html lang="fr"`, `<body data-lang="en"`, "Skip to content")
	wantIn(t, got["fr/labs/demo/index.html"], "Demo lab")
}
