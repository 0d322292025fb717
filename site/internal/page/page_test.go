package page_test

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/gallery"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/memo"
	"github.com/labd-dev/labd/site/internal/page"
	"github.com/labd-dev/labd/site/internal/picture"
)

func files(m map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range m {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func design(t *testing.T, opts page.Options, style string) *page.Design {
	t.Helper()
	opts.DefaultLang, opts.Renderer = "en", markdown.New()
	opts.Assets = files(map[string]string{"ts/theme.ts": "1", "ts/site.ts": "2", "ts/search.ts": "3", "ts/readable.ts": "4", "css/site.css": style})
	d, err := page.NewDesign(opts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// lesson is a course with one lesson, which includes a file, and shows and links to an image.
func lesson() fstest.MapFS {
	return files(map[string]string{
		"en/_index.md": "+++\ntitle = \"The `course`\"\n+++\n", "zh/_index.md": "+++\ntitle = \"课程\"\n+++\n", "en/one/_index.md": "+++\ntitle = \"One\"\n+++\n",
		"en/one/a.md": "+++\ntitle = \"A\"\nsummary = \"What `a` is.\"\n+++\nBefore.\n\n## Part\n\n[home](/#top) [out](https://example.org/) ![box](box.svg) [box](box.svg)\n\n" +
			":::include _part.md\n",
		"en/one/_part.md": "Included.\n", "en/one/box.svg": `<svg xmlns="http://www.w3.org/2000/svg" width="10" height="5"/>`,
	})
}

func maker(t *testing.T, d *page.Design, content fs.FS) *page.Maker {
	t.Helper()
	tree, err := course.Load(t.Context(), course.Source{Content: content, DefaultLang: "en"})
	if err != nil {
		t.Fatal(err)
	}
	var ofTheTree source.List // tested in package course
	model := tree.Model(course.Options{}, &ofTheTree, &ofTheTree)
	images := map[string]string{}
	for _, a := range model.Assets {
		images[a.Path] = a.Name
	}
	called := func(name string) string { return path.Join("content", name) }
	g := gallery.New(content, called, d.Base(), picture.New(nil), images)
	return page.New(d, page.Course{Model: model, Content: content, Called: called, Gallery: g, Cards: true})
}

func look(t *testing.T, m *page.Maker, file string, mem *memo.Memo) *page.Page {
	t.Helper()
	jobs := m.Plan()
	i := slices.IndexFunc(jobs, func(j page.Job) bool { return j.File == file })
	if i < 0 {
		t.Fatalf("there is no %s among %v", file, jobs)
	}
	p, err := m.Look(t.Context(), jobs[i], mem)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFactsOfAPage(t *testing.T) {
	m := maker(t, design(t, page.Options{BaseURL: "https://example.org/c/"}, "a{color:red}"), lesson())
	p := look(t, m, "one/a/index.html", nil)
	f := p.Facts
	if len(f.Mistakes) > 0 {
		t.Fatal(f.Mistakes)
	}
	if f.URL != "/c/one/a/" || f.Lang != "en" || !f.Listed || f.Source.Name != "en/one/a.md" || f.Images != 1 || len(f.Headings) != 1 {
		t.Errorf("facts %+v", f)
	}
	if want := []string{"one/box.svg", "one/box.svg", "en/one/_part.md"}; !slices.Equal(f.Used, want) {
		t.Errorf("used %q, want %q", f.Used, want)
	}
	if len(f.Anchors) != 1 || f.Anchors[0].URL != "/c/#top" || f.Anchors[0].At.Line != 9 || len(f.Outside) != 1 {
		t.Errorf("links %+v, outside %+v", f.Anchors, f.Outside)
	}
	if want := (page.Alternate{Lang: "zh", URL: "https://example.org/c/zh/one/a/"}); len(f.Alternates) != 2 || f.Alternates[1] != want {
		t.Errorf("alternates %+v", f.Alternates)
	}
	var kinds []string
	for _, file := range m.Files(t.Context(), f) {
		data, err := file.Data()
		if err != nil || len(data) == 0 {
			t.Errorf("%s has %d bytes: %v", file.Path, len(data), err)
		}
		name, _, _ := strings.Cut(path.Base(file.Path), "-")
		kinds = append(kinds, name)
	}
	if !slices.Equal(kinds, []string{"card", "box", "box.svg"}) {
		t.Errorf("needs %q", kinds)
	}
	html, err := p.HTML()
	if err != nil || f.Size != len(html) || !strings.Contains(string(html), "Included.") {
		t.Errorf("%d bytes, said to be %d: %v\n%s", len(html), f.Size, err, html)
	}
	if zh := look(t, m, "zh/one/a/index.html", nil).Facts; zh.Listed {
		t.Error("a page without a translation is in the sitemap")
	}
}

func TestSearchableTextOfAPage(t *testing.T) {
	m := maker(t, design(t, page.Options{}, "a{color:red}"), lesson())
	p := look(t, m, "one/a/index.html", nil)
	docs := p.Findable().Docs()
	if len(docs) != 2 {
		t.Errorf("%d sections", len(docs))
	}
	mem := memo.After(nil)
	if docs := look(t, m, "one/a/index.html", mem).Findable().Docs(); len(docs) != 2 {
		t.Errorf("%d sections at the first look", len(docs))
	}
	if docs := look(t, m, "one/a/index.html", memo.After(mem)).Findable().Docs(); len(docs) != 0 {
		t.Errorf("%d sections are remembered", len(docs))
	}
	if docs := look(t, m, "search/index.html", nil).Findable().Docs(); docs != nil {
		t.Error("the search page is in the search index")
	}
}

func TestADesignCanBeReplaced(t *testing.T) {
	before := design(t, page.Options{}, "a{color:red}")
	m := maker(t, before, lesson())
	after := design(t, page.Options{}, "a{color:blue}")
	html := func(m *page.Maker) string {
		data, err := look(t, m, "one/a/index.html", nil).HTML()
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	sheet := regexp.MustCompile(`<link rel="stylesheet" href="/assets/site-[A-Z0-9]{8}\.css" integrity="[^"]*">`)
	red, blue := html(m), html(m.With(after))
	if was, is := sheet.FindString(red), sheet.FindString(blue); was == is || is == "" || sheet.ReplaceAllString(red, "") != sheet.ReplaceAllString(blue, "") {
		t.Errorf("it was\n%s\nand is\n%s", red, blue)
	}
}

func TestFilesForOfflineReading(t *testing.T) {
	if shell := design(t, page.Options{}, "a{}").Shell(); len(shell) < 4 {
		t.Errorf("pages need only %q", shell)
	}
	if shell := design(t, page.Options{LiveScript: "/live.js"}, "a{}").Shell(); shell != nil {
		t.Errorf("a preview keeps %q", shell)
	}
}

func TestTitlesAndAddresses(t *testing.T) {
	m := maker(t, design(t, page.Options{BaseURL: "https://example.org/c/"}, "a{}"), lesson())
	if en, zh := m.Title("en"), m.Title("zh"); en != "The `course`" || zh != "课程" {
		t.Errorf("titles %q, %q", en, zh)
	}
	if url := m.URL("zh", "labs/"); url != "/c/zh/labs/" || m.Absolute(url) != "https://example.org/c/zh/labs/" {
		t.Errorf("%s, %s", url, m.Absolute(url))
	}
	if _, err := page.NewDesign(page.Options{BaseURL: "example.org"}); err == nil {
		t.Error("an address without scheme was taken")
	}
}
