package site_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"labd/internal/lab"
	"labd/site"
)

// course is a small course: two modules, one lesson translated, one not.
func course() fstest.MapFS {
	return files(map[string]string{
		"en/_index.md":           "+++\ntitle = \"Course\"\nsummary = \"Learn `it`.\"\n+++\nWelcome.\n",
		"zh/_index.md":           "+++\ntitle = \"课程\"\n+++\n欢迎。\n",
		"en/one/_index.md":       "+++\ntitle = \"Module one\"\nweight = 10\n+++\n",
		"zh/one/_index.md":       "+++\ntitle = \"第一模块\"\n+++\n",
		"en/two/_index.md":       "+++\ntitle = \"Module two\"\nweight = 20\n+++\n",
		"en/one/start.md":        "+++\ntitle = \"Start\"\nweight = 10\nlab = \"demo\"\nminutes = 5\ntags = [\"Ports\", \"docker run\"]\ndate = 2026-02-01\nauthors = [\"Ada\"]\naliases = [\"/old/start\"]\n+++\n## First part\n\nSee [next](more.md#part-two) and [two](../two/last.md).\n\n![a box](box.svg)\n\n```bash\nls\n```\n\n## Second part\n",
		"zh/one/start.md":        "+++\ntitle = \"开始\"\ntags = [\"端口\"]\n+++\n## 第一部分\n\n见[下一课](more.md)。\n\n![盒子](box.svg)\n\n```bash\nls\n```\n\n## 第二部分\n",
		"en/one/more.md":         "+++\ntitle = \"More\"\nweight = 20\nprerequisites = [\"start\"]\n+++\n## Part two\n\n[home](/) [lab](/labs/demo/#hello) [volume](/glossary/#named-volume) [tags](/tags/)\n",
		"en/glossary.md":         "+++\ntitle = \"Glossary\"\n+++\nNamed volume\n: Storage.\n",
		"en/one/box.svg":         "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
		"en/two/last.md":         "+++\ntitle = \"Last\"\n+++\nEnd.\n",
		"en/two/bundle/index.md": "+++\ntitle = \"Bundle\"\n+++\n![x](pic.png)\n",
		"en/two/bundle/pic.png":  onePixel(3, 2),
	})
}

// onePixel is a PNG of one colour.
func onePixel(w, h int) string {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		panic(err)
	}
	return b.String()
}

func files(m map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range m {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// demo is a lab in English with one Chinese step text missing.
func demo() *lab.Lab {
	md := func(file string, line int, s string) lab.Markdown {
		return lab.Markdown{File: file, Line: line, Source: []byte(s)}
	}
	return &lab.Lab{
		ID: "demo", Title: lab.Text{"en": "Demo lab", "zh": "演示"}, Summary: lab.Text{"en": "Try it."}, Level: "beginner", Minutes: 10,
		Intro:     map[string]lab.Markdown{"en": md("labs/demo/lab.md", 8, "Intro {{code}}.\n")},
		Stack:     lab.Stack{Nodes: []string{"node1"}},
		Variables: []lab.Variable{{Name: "code", Length: 6}},
		Langs:     []string{"en"},
		Steps: []*lab.Step{
			{
				Anchor: "hello", Title: lab.Text{"en": "Say hello"},
				Body:     map[string]lab.Markdown{"en": md("labs/demo/lab.md", 12, "Do:\n\n```bash {run}\ndocker run {{code}}\n```\n\n### Detail\n")},
				Hints:    map[string][]lab.Markdown{"en": {md("labs/demo/lab.md", 20, "A hint.\n"), md("labs/demo/lab.md", 24, "Another.\n")}},
				Solution: []lab.Script{{Source: "SECRET-SOLUTION"}},
			},
			{Anchor: "bye", Title: lab.Text{"en": "Say bye"}, Body: map[string]lab.Markdown{"en": md("labs/demo/lab.md", 30, "### Detail\n")}},
		},
	}
}

// assetsFS is a stand-in for scripts and styles, so that tests don't need what npm brings.
func assetsFS() fstest.MapFS {
	return files(map[string]string{
		"ts/theme.ts": "document.title;", "ts/site.ts": "console.log(1);", "ts/search.ts": "console.log(2);", "css/site.css": "@import './a.css';", "css/a.css": "a{color:red}",
		"ts/lab.ts": "import {Terminal} from '@xterm/xterm'; import {x} from './lab/x.js'; new Terminal(x);", "ts/lab/x.ts": "export const x = 1;",
		"css/lab.css": "@import '../vendor/xterm.css';", "vendor/xterm.mjs": "export class Terminal {}", "vendor/xterm.css": ".xterm{}",
	})
}

func source() site.Source { return site.Source{Content: course(), Labs: []*lab.Lab{demo()}} }

func options() site.Options { return site.Options{Assets: assetsFS()} }

// build builds into a new folder and returns all files of the result by name.
func build(t *testing.T, src site.Source, opts site.Options) map[string]string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), src, out, opts); err != nil {
		t.Fatal(err)
	}
	return read(t, out)
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		got[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is missing in\n%s", p, text)
		}
	}
}

func wantNotIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(text, p) {
			t.Errorf("%q should not be in\n%s", p, text)
		}
	}
}

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
		`<div id="lab-pane" class="lab-pane" hidden></div>`, `data-lab-launch`, `data-lab-offline hidden`, `<noscript>`,
		`<h3 id="hello-detail">`, `<h3 id="bye-detail">`,
		`<script type="module" src="/assets/lab-`,
	)
	wantNotIn(t, p, "SECRET-SOLUTION")
}

func TestLabScriptsAreOnlyWhereALabIs(t *testing.T) {
	got := build(t, source(), options())
	for name, p := range got {
		if has := strings.Contains(p, `src="/assets/lab-`); has != strings.HasSuffix(name, "labs/demo/index.html") && strings.HasSuffix(name, ".html") {
			t.Errorf("%s loads the lab's script: %v", name, has)
		}
	}
}

func TestWithoutNpmLabsSayThatTheyHaveNoTerminal(t *testing.T) {
	opts := options()
	a := assetsFS()
	delete(a, "vendor/xterm.mjs")
	opts.Assets = a
	out := filepath.Join(t.TempDir(), "site")
	report, err := site.Build(t.Context(), source(), out, opts)
	if err != nil {
		t.Fatal(err)
	}
	wantIn(t, fmt.Sprint(report.Warnings.Err()), "vendor/xterm.mjs is not there", "make assets")
	p := read(t, out)["labs/demo/index.html"]
	wantIn(t, p, `data-lab-offline><strong>No lab server here`)
	wantNotIn(t, p, `src="/assets/lab-`, "data-lab-launch")
}

func TestABrokenScriptFailsTheBuildWithItsPlace(t *testing.T) {
	opts := options()
	a := assetsFS()
	a["ts/site.ts"] = &fstest.MapFile{Data: []byte("const x = ;\n")}
	opts.Assets = a
	_, err := site.Build(t.Context(), source(), filepath.Join(t.TempDir(), "site"), opts)
	if err == nil || !strings.Contains(err.Error(), "site/assets/ts/site.ts:1:11:") {
		t.Errorf("error %v", err)
	}
}

// inline matches what a strict Content-Security-Policy forbids.
var inline = regexp.MustCompile(`(?i)<script(?:\s(?:[^>t]|t[^y])*)?>[^<]|<script(?:\s+(?:type="(?:module|text/javascript)"|async|defer))*>|<style|\sstyle=|\son[a-z]+\s*=|javascript:`)

func TestNoInlineScriptOrStyle(t *testing.T) {
	for name, p := range build(t, source(), options()) {
		if m := inline.FindString(p); m != "" && strings.HasSuffix(name, ".html") {
			t.Errorf("%s has %q", name, m)
		}
	}
}

func TestHostileContentStaysText(t *testing.T) {
	src := source()
	evil := `<script>alert(1)</script><img src=x onerror=alert(1)>`
	m := course()
	m["en/one/evil.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = '''" + evil + "'''\nsummary = '''" + evil + "` " + evil + "`'''\ntags = ['''" + evil + "''']\n+++\n" + evil + "\n\n## " + evil + "\n\n```" + "bash {title=\"" + evil + "\"}\n" + evil + "\n```\n")}
	src.Content = m
	l := demo()
	l.Title["en"], l.Steps[0].Title["en"], l.Summary["en"] = evil, evil, evil
	src.Labs = []*lab.Lab{l}
	for name, p := range build(t, src, options()) {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		if strings.Contains(p, "<script>alert") || strings.Contains(p, "<img src=x") {
			t.Errorf("%s carries the author's HTML", name)
		}
	}
}

var href = regexp.MustCompile(`(?:href|src|data-lab-js|data-lab-css)="([^"]*)"`)

// TestNoBrokenLinks follows every internal link and anchor of the built site.
func TestNoBrokenLinks(t *testing.T) {
	checkLinks(t, build(t, source(), options()), "/")
}

func TestBaseURLWithAPath(t *testing.T) {
	opts := options()
	opts.BaseURL = "https://example.org/course/"
	got := build(t, source(), opts)
	checkLinks(t, got, "/course/")
	wantIn(t, got["one/start/index.html"], `href="/course/one/more/#part-two"`)
}

func checkLinks(t *testing.T, got map[string]string, base string) {
	t.Helper()
	count := 0
	for name, p := range got {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		for _, m := range href.FindAllStringSubmatch(p, -1) {
			u := strings.ReplaceAll(m[1], "&amp;", "&")
			if u2, err := url.PathUnescape(u); err == nil {
				u = u2
			}
			if strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://") {
				continue
			}
			target, anchor, _ := strings.Cut(u, "#")
			anchor, err := url.PathUnescape(anchor)
			if err != nil {
				t.Errorf("%s links to %s: %v", name, u, err)
			}
			file := name
			if target != "" {
				rel, ok := strings.CutPrefix(target, base)
				if !ok {
					t.Errorf("%s links to %s, outside of %s", name, u, base)
					continue
				}
				file = rel
				if rel == "" || strings.HasSuffix(rel, "/") {
					file = path.Join(rel, "index.html")
				}
			}
			if _, ok := got[file]; !ok {
				t.Errorf("%s links to %s, which does not exist", name, u)
				continue
			}
			if anchor != "" && !strings.Contains(got[file], `id="`+anchor+`"`) {
				t.Errorf("%s links to %s, which has no such anchor", name, u)
			}
			count++
		}
	}
	if count < 100 {
		t.Errorf("only %d links were looked at", count)
	}
}

func TestNoIDTwiceOnAPage(t *testing.T) {
	ids := regexp.MustCompile(` id="([^"]*)"`)
	for name, p := range build(t, source(), options()) {
		seen := map[string]bool{}
		for _, m := range ids.FindAllStringSubmatch(p, -1) {
			if seen[m[1]] {
				t.Errorf("%s has the id %q twice", name, m[1])
			}
			seen[m[1]] = true
		}
	}
}

func TestIdenticalInputGivesIdenticalBytes(t *testing.T) {
	a, b := build(t, source(), options()), build(t, source(), site.Options{Assets: assetsFS(), Workers: 1})
	if len(a) != len(b) {
		t.Fatalf("%d and %d files", len(a), len(b))
	}
	for name := range a {
		if a[name] != b[name] {
			t.Errorf("%s differs", name)
		}
	}
}

// TestMistakesAreReportedAllAtOnce breaks front matter, links, anchors, images and references in one course.
func TestMistakesAreReportedAllAtOnce(t *testing.T) {
	m := course()
	set := func(name, text string) { m[name] = &fstest.MapFile{Data: []byte(text)} }
	set("en/one/a.md", "+++\ntitle = \"A\"\nlab = \"dmo\"\nlevel = \"easy\"\nprerequisites = [\"strat\"]\n+++\nText\n")
	set("en/one/b.md", "+++\ntitel = \"B\"\nminutes = \"x\"\n+++\n[x](strt.md) ![p](bx.svg)\n")
	set("en/one/c.md", "+++\nweight = 1\n+++\n[x](../../../etc/passwd)\n")
	set("en/stray.md", "+++\ntitle = \"S\"\n+++\n")
	set("en/lost/d.md", "+++\ntitle = \"D\"\n+++\n")
	set("en/one/bad name?.md", "+++\ntitle = \"E\"\n+++\n")
	set("en/one/more/index.md", "+++\ntitle = \"Same\"\n+++\n")
	src := source()
	src.Content = m
	out := filepath.Join(t.TempDir(), "site")
	_, err := site.Build(t.Context(), src, out, options())
	if err == nil {
		t.Fatal("the build succeeded")
	}
	wantIn(t, err.Error(),
		`content/en/one/a.md:3:1: there is no lab "dmo" (did you mean "demo"?)`+"\n    3 | lab = \"dmo\"\n      | ^",
		`content/en/one/a.md:4:1: level must be beginner, intermediate or advanced, not "easy"`,
		`content/en/one/a.md:5:1: there is no lesson "strat" (did you mean "one/start"?)`,
		`content/en/one/b.md:2:1: unknown key "titel" (did you mean "title"?)`,
		`content/en/one/b.md:3:1: minutes must be a whole number, not a text`,
		`content/en/one/b.md:5:1: the link "strt.md" leads to no page (did you mean /one/start/?)`,
		`content/en/one/b.md:5:14: there is no image "bx.svg" (did you mean "one/box.svg"?)`,
		`content/en/one/c.md:1: the front matter needs a title`,
		`content/en/one/c.md:4:1: the link "../../../etc/passwd" leaves the content folder`,
		`content/en/stray.md: is part of no module; lessons are <lang>/<module>/<lesson>.md`,
		`content/en/lost/_index.md: this file is missing: it gives the module its title`,
		`content/en/one/bad name?.md: the name "bad name?" becomes an address, so it can't have ' '; call it "bad-name"`,
		`has the same address as`,
	)
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Error("a failed build left an output folder")
	}
}

func TestAnchorsOfOtherPagesAreChecked(t *testing.T) {
	m := course()
	m["en/one/more.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"More\"\n+++\n## Part two\n\n[x](start.md#frst-part) [y](#part-tow) [z](/labs/demo/#helo)\n")}
	src := source()
	src.Content = m
	_, err := site.Build(t.Context(), src, filepath.Join(t.TempDir(), "site"), options())
	if err == nil {
		t.Fatal("the build succeeded")
	}
	wantIn(t, err.Error(),
		`content/en/one/more.md:6: /one/start/ has no heading #frst-part (did you mean "first-part"?)`,
		`this page has no heading #part-tow (did you mean "part-two"?)`,
		`/labs/demo/ has no heading #helo (did you mean "hello"?)`)
}

func TestTranslationsHaveTheSameSections(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"too few", "## 一\n", `content/zh/one/start.md:1: this translation ends before the section "Second part" of content/en/one/start.md:21`},
		{"other depth", "## 一\n\n### 二\n", `content/zh/one/start.md:6: this section is of level 3, but of level 2 in content/en/one/start.md:21, "Second part"`},
		{"too many", "## 一\n\n## 二\n\n## 三\n", "content/zh/one/start.md:8: this section has no counterpart in content/en/one/start.md\n    8 | ## 三"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := course()
			m["zh/one/start.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"开始\"\n+++\n" + c.body)}
			src := source()
			src.Content = m
			_, err := site.Check(t.Context(), src, options())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
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

func TestWhatSearchEnginesAndFeedReadersRead(t *testing.T) {
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

func TestWithoutBaseURLNothingClaimsAnAddress(t *testing.T) {
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
	site.Handler(out).ServeHTTP(w, httptest.NewRequest("GET", "/one/%E7%BD%91%E7%BB%9C/", nil))
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

func TestMistakesInLabsNameTheirLine(t *testing.T) {
	l := demo()
	l.Steps[0].Body["en"] = lab.Markdown{File: "labs/demo/lab.md", Line: 12, Source: []byte("Text\n\n[x](/labs/dem/)\n")}
	_, err := site.Build(t.Context(), site.Source{Content: course(), Labs: []*lab.Lab{l}}, filepath.Join(t.TempDir(), "site"), options())
	if err == nil {
		t.Fatal("the build succeeded")
	}
	wantIn(t, err.Error(), "labs/demo/lab.md:14:1: the link \"/labs/dem/\" leads to no page (did you mean /labs/demo/?)\n   14 | [x](/labs/dem/)")
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

func TestNoContentSaysHowACourseBegins(t *testing.T) {
	_, err := site.Build(t.Context(), site.Source{Content: fstest.MapFS{}}, filepath.Join(t.TempDir(), "site"), options())
	if err == nil || !strings.Contains(err.Error(), "content: there is nothing to publish; a course begins with en/_index.md") {
		t.Errorf("error %v", err)
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

func TestNothingIsBuiltWhenNothingChanged(t *testing.T) {
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

func TestAFolderThatIsNotOursIsNotReplaced(t *testing.T) {
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

func TestStrictTurnsWarningsIntoErrors(t *testing.T) {
	m := course()
	m["en/two/last.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"Last\"\n+++\na <b>c</b>\n")}
	src := source()
	src.Content = m
	out := filepath.Join(t.TempDir(), "site")
	report, err := site.Build(t.Context(), src, out, options())
	if err != nil || len(report.Warnings) != 2 {
		t.Fatalf("%v, warnings %v", err, report.Warnings)
	}
	opts := options()
	opts.Strict = true
	if _, err := site.Build(t.Context(), src, out, opts); err == nil || !strings.Contains(err.Error(), "HTML is shown as text") {
		t.Errorf("error %v", err)
	}
}

func TestCheckWritesNothing(t *testing.T) {
	report, err := site.Check(t.Context(), source(), options())
	if err != nil || report.Pages == 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestSymbolicLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, course()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "en", "one", "p.txt")); err != nil {
		t.Fatal(err)
	}
	_, err := site.Build(t.Context(), site.Source{Content: os.DirFS(dir), Labs: []*lab.Lab{demo()}}, filepath.Join(t.TempDir(), "site"), options())
	if err == nil || !strings.Contains(err.Error(), "content/en/one/p.txt: only plain files are published") {
		t.Errorf("error %v", err)
	}
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

func TestALineOfAMillionCharactersBuilds(t *testing.T) {
	src := source()
	m := course()
	m["en/one/long.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"Long\"\n+++\n" + strings.Repeat("word *and* `code` ", 60_000) + "the-end\n")}
	src.Content = m
	got := build(t, src, options())
	wantIn(t, got["one/long/index.html"], "the-end")
}
