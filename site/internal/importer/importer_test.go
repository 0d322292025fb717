//go:build !race

package importer_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/labd-dev/labd/site"
	"github.com/labd-dev/labd/site/internal/importer"
)

var update = flag.Bool("update", false, "write what comes out into the golden files")

// convert imports src and returns the course.
func convert(t testing.TB, src fs.FS, opts importer.Options) (fstest.MapFS, importer.Report) {
	t.Helper()
	out := fstest.MapFS{}
	rep, err := importer.Convert(t.Context(), src, func(name string, content io.Reader) error {
		if !fs.ValidPath(name) {
			t.Errorf("the name %q is no path", name)
		}
		if out[name] != nil {
			t.Errorf("%s is given twice", name)
		}
		data, err := io.ReadAll(content)
		out[name] = &fstest.MapFile{Data: data}
		return err
	}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return out, rep
}

// build checks the course with the site generator. Its scripts and styles are almost empty:
// bundling the real ones takes longer than everything else, and no course changes them.
func build(t testing.TB, course fs.FS, lang string) {
	t.Helper()
	assets := fstest.MapFS{}
	for _, name := range []string{"ts/theme.ts", "ts/site.ts", "ts/search.ts", "css/site.css"} {
		assets[name] = &fstest.MapFile{}
	}
	if _, err := site.Check(context.Background(), site.Source{Content: course}, site.Options{DefaultLang: lang, Workers: 1, Assets: assets}); err != nil {
		t.Errorf("the course does not build: %v", err)
	}
}

func files(a *txtar.Archive) fstest.MapFS {
	src := fstest.MapFS{}
	for _, f := range a.Files {
		if !strings.HasPrefix(f.Name, "want") {
			src[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	return src
}

func changes(rep importer.Report) string {
	var b strings.Builder
	for _, c := range rep.Log.Entries() {
		fmt.Fprintln(&b, c)
	}
	return b.String()
}

// TestGolden converts and builds each archive of testdata, and compares pages and report with those
// in the archive.
func TestGolden(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			course, rep := convert(t, files(a), importer.Options{})
			build(t, course, rep.Lang)
			got := map[string]string{"want.report": changes(rep)}
			for name, f := range course {
				got["want/"+name] = string(f.Data)
			}
			if *update {
				a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "want") })
				names := make([]string, 0, len(got))
				for name := range got {
					names = append(names, name)
				}
				slices.Sort(names)
				for _, name := range names {
					a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(got[name])})
				}
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, f := range a.Files {
				if !strings.HasPrefix(f.Name, "want") {
					continue
				}
				if g, ok := got[f.Name]; !ok || g != string(f.Data) {
					t.Errorf("%s: got\n%s\nwant\n%s", f.Name, g, f.Data)
				}
				delete(got, f.Name)
			}
			for name := range got {
				t.Errorf("%s is not wanted", name)
			}
		})
	}
}

func vault(pages map[string]string) fstest.MapFS {
	src := fstest.MapFS{".obsidian/app.json": {Data: []byte("{}")}}
	for name, text := range pages {
		src[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return src
}

func picture(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPicturesAreCopiedNextToTheirPages(t *testing.T) {
	src := vault(map[string]string{
		"m/a.md": "![[Pic One.png|300]] ![](../att/Pic%20One.png)", "att/Pic One.png": picture(t),
		"m/b.md": "![[draw.svg|a drawing]]", "att/draw.svg": `<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>`,
	})
	course, rep := convert(t, src, importer.Options{Lang: "zh"})
	build(t, course, "zh")
	if got, want := string(course["zh/m/pic-one.png"].Data), picture(t); got != want {
		t.Error("the picture changed on its way")
	}
	if got := string(course["zh/m/a.md"].Data); !strings.Contains(got, "![Pic One](pic-one.png) ![pic-one](pic-one.png)") {
		t.Errorf("got %s", got)
	}
	if got := string(course["zh/m/b.md"].Data); !strings.Contains(got, "![a drawing](draw.svg)") {
		t.Errorf("got %s", got)
	}
	if got := changes(rep); !strings.Contains(got, "m/a.md:1: the size 300 of the picture is lost\n    1 | ![[Pic One.png|300]]") {
		t.Errorf("reported %s", got)
	}
}

func TestBrokenPagesAreReportedAndTheCourseBuilds(t *testing.T) {
	long := strings.Repeat("word ", 1_000_000/5)
	for _, tt := range []struct{ name, text, want string }{
		{"NUL", "a\x00b", "m/a.md: is left out: it has NUL bytes"},
		{"Latin1", "caf\xe9 au lait", "m/a.md:1: the line is not UTF-8"},
		{"TooBig", strings.Repeat("x", 2<<20+1), "m/a.md: is left out: it is larger than 2 MiB"},
		{"LongLine", long + "[[nope]]", "the link becomes text"},
		{"Brackets", strings.Repeat("[", 100_000) + strings.Repeat("](x)", 1000) + "[[nope]]", "m/a.md:1: "},
		{"Angles", strings.Repeat("<script>", 50_000), "<script> is lost"},
		{"Quotes", strings.Repeat("> ", 2000) + "[[nope]]", "the link becomes text"},
		{"FrontTooBig", "---\na: " + strings.Repeat("x", 65<<10) + "\n---\n", "m/a.md:1: the front matter is not closed within 64 KiB"},
		{"FrontTooDeep", "---\na: " + strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + "\n---\n", "the front matter is lost: it is nested deeper than 20 levels"},
		{"FrontAliases", "---\na: &a [x]\nb: [*a, *a]\n---\n", "the front matter is lost: line 2 uses the alias *a"},
		{"FrontTwice", "---\ntitle: A\ntitle: B\n---\n", "m/a.md:3: \"title\" is given twice"},
		{"CRLFAndBOM", "\ufeff---\r\ntitle: A\r\nodd: 1\r\n---\r\n[[nope]]\r\n", "m/a.md:3: the front matter key \"odd\" is lost"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			course, rep := convert(t, vault(map[string]string{"m/a.md": tt.text, "m/b.md": "fine"}), importer.Options{})
			build(t, course, "en")
			if got := changes(rep); !strings.Contains(got, tt.want) {
				t.Errorf("reported %.2000s", got)
			}
		})
	}
}

// A link can become a hundred times as long: the source has a short alias, the course a path.
func TestPagesThatGrowBeyondTheLimitOfALessonStillBuild(t *testing.T) {
	name := strings.Repeat("long-name-", 6)
	for _, tt := range []struct {
		links  int
		source bool // the page is shown as its source
	}{{10, false}, {15_000, false}, {40_000, true}} {
		course, rep := convert(t, vault(map[string]string{
			"m/a.md": strings.Repeat("[[b]]\n\n", tt.links), name + "/" + name + "b.md": "---\naliases: [b]\n---\nx",
			"m/c.md": "![[a]]\n\n![[d]]\n", "m/d.md": strings.Repeat("[[b]]\n\n", tt.links),
		}), importer.Options{})
		build(t, course, "en")
		if got := strings.Contains(string(course["en/m/a.md"].Data), "~~~text\n[[b]]\n"); got != tt.source {
			t.Errorf("%d links: shown as its source: %v", tt.links, got)
		}
		if got := strings.Contains(changes(rep), "m/a.md: the page would be larger than 3 MiB as a lesson"); got != tt.source {
			t.Errorf("%d links: reported: %v", tt.links, got)
		}
	}
}

func TestFoldersOfOneLanguageDoNotWriteTheSameFiles(t *testing.T) {
	course, rep := convert(t, fstest.MapFS{
		"a.md": {Data: []byte("# A\n")}, "zh-CN/a.md": {Data: []byte("# 一\n")}, "zh_cn/a.md": {Data: []byte("# 二\n")},
	}, importer.Options{})
	build(t, course, rep.Lang)
	for name, want := range map[string]string{"zh-CN/lessons/a.md": "一", "en/zh-cn-2/a.md": "二"} {
		if course[name] == nil || !strings.Contains(string(course[name].Data), want) {
			t.Errorf("%s does not have %s; the files are %v", name, want, slices.Sorted(maps.Keys(course)))
		}
	}
}

func TestTagsOfAPageAreLimited(t *testing.T) {
	var text strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&text, "#tag%d ", i)
	}
	course, rep := convert(t, vault(map[string]string{"m/a.md": text.String()}), importer.Options{})
	build(t, course, "en")
	if n := strings.Count(string(course["en/m/a.md"].Data), `"tag`); n != 50 {
		t.Errorf("%d tags", n)
	}
	if rep.Log.Len() != 9950 {
		t.Errorf("%d reports", rep.Log.Len())
	}
}

func TestNamesThatDifferOnlyInCaseStayDifferentPages(t *testing.T) {
	course, rep := convert(t, vault(map[string]string{
		"m/Note.md": "one", "m/note.md": "two", "m/NOTE .md": "three", "m/n?o#t e.md": "four", "m/###.md": "five", "M/note.md": "six",
	}), importer.Options{})
	build(t, course, "en")
	if n := len(course); n != 6+3 {
		t.Errorf("%d files: %v", n, course)
	}
	if got := changes(rep); strings.Count(got, "is taken already") != 3 {
		t.Errorf("reported %s", got)
	}
}

func TestSymbolicLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"out/secret.md": "SECRET", "book/book.toml": "", "book/src/SUMMARY.md": "- [A](a.md)\n- [S](s.md)\n", "book/src/a.md": "{{#include s.md}} {{#include ../../out/secret.md}}"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "out", "secret.md"), filepath.Join(dir, "book", "src", "s.md")); err != nil {
		t.Fatal(err)
	}
	course, rep := convert(t, os.DirFS(filepath.Join(dir, "book")), importer.Options{})
	build(t, course, "en")
	for name, f := range course {
		if bytes.Contains(f.Data, []byte("SECRET")) {
			t.Errorf("%s has what lies outside", name)
		}
	}
	for _, want := range []string{"src/s.md: is left out: it is a symbolic link", "src/SUMMARY.md:2: the chapter is left out", "s.md is not included", "it is outside the source"} {
		if got := changes(rep); !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

func TestImportStopsOnWriteErrorsAndCancellation(t *testing.T) {
	full := errors.New("disk full")
	src := vault(map[string]string{"a.md": "x"})
	if _, err := importer.Convert(t.Context(), src, func(string, io.Reader) error { return full }, importer.Options{}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := importer.Convert(ctx, src, func(string, io.Reader) error { return nil }, importer.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestInvalidSourcesAreRefused(t *testing.T) {
	for _, tt := range []struct {
		src  fstest.MapFS
		opts importer.Options
		want string
	}{
		{fstest.MapFS{"a.txt": {}}, importer.Options{}, "no Markdown files"},
		{fstest.MapFS{"a.txt": {}}, importer.Options{From: "obsidian"}, "no pages"},

		{fstest.MapFS{"a.md": {}}, importer.Options{From: "notion"}, "unknown format"},
		{fstest.MapFS{"a.md": {}}, importer.Options{From: "obsidian", Lang: "../x"}, "is not a language"},
	} {
		_, err := importer.Convert(t.Context(), tt.src, func(string, io.Reader) error { return nil }, tt.opts)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

// FuzzConvert converts arbitrary text in every format. The course must build.
func FuzzConvert(f *testing.F) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range archives {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			if strings.HasSuffix(file.Name, ".md") && !strings.HasPrefix(file.Name, "want") {
				f.Add(string(file.Data))
			}
		}
	}
	f.Add("- $a$b \\\\(\\\\frac{a}{b}\\\\)\n\n> $$\n> x\n\n> $$ $$\\foo$$ a$$\n$$\ny\n$$\n\\\\[ z\n\\\\] `$`x$")
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range importer.Formats() {
			src := fstest.MapFS{
				"docs/a.md": {Data: []byte(text)}, "docs/b/c.md": {Data: []byte(text)}, "docs/pic.txt": {Data: []byte("x")}, "docs/fine.md": {Data: []byte("x")},
				"docs/SUMMARY.md": {Data: []byte("- [F](fine.md)\n- [A](a.md)\n  - [B](b/c.md)\n")}, "book.toml": {Data: []byte("[book]\nsrc = \"docs\"\n[output.html]\nmathjax-support = true\n")},
			}
			course, _ := convert(t, src, importer.Options{From: format})
			build(t, course, "en")
		}
	})
}

// FuzzNames converts arbitrary file names and files that order pages.
func FuzzNames(f *testing.F) {
	f.Add("A b#c?", "- [A](a.md)\n", `{"label": "x"}`)
	f.Add("labs", "# Part\n- [A](../a.md)\n    - [B](b.md)\n", "label: [x")
	f.Add("第一课", "[x](<a b.md>)", "position: .nan")
	f.Fuzz(func(t *testing.T, name, summary, category string) {
		name = strings.ReplaceAll(name, "/", "")
		if name == "" || name == "." || name == ".." || !fs.ValidPath(name) || strings.Contains(summary, "\x00") { // a book without a readable summary has no pages
			return
		}
		for _, format := range importer.Formats() {
			src := fstest.MapFS{
				"src/a.md": {Data: []byte("one")}, "src/b.md": {Data: []byte("[x](a.md)")}, "src/SUMMARY.md": {Data: []byte("- [A](a.md)\n" + summary)},
				name + "/" + name + ".md": {Data: []byte("[[a]]")}, name + "/_category_.yml": {Data: []byte(category)}, name + "/x/" + name + ".md": {Data: []byte("x")},
			}
			course, _ := convert(t, src, importer.Options{From: format})
			build(t, course, "en")
		}
	})
}
