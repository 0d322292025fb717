package site_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/site"
)

// checked returns the mistakes and warnings of the small course with changes.
func checked(t *testing.T, changes map[string]string, opts site.Options) (said, warned string) {
	t.Helper()
	m := course()
	for name, text := range changes {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	report, err := site.Check(t.Context(), site.Source{Content: m, Labs: []*lab.Lab{demo()}}, opts)
	if err != nil {
		said = err.Error()
	}
	if err := report.Warnings.Err(); err != nil {
		warned = err.Error()
	}
	return said, warned
}

func TestUnusedFilesAreWarnings(t *testing.T) {
	const front = "+++\ntitle = \"T\"\n"
	changes := map[string]string{
		"en/one/_lost.md":     "part\n",
		"en/one/_found.md":    "![f](found.png)\n",
		"en/one/found.png":    onePixel(2, 2),
		"en/one/lost.png":     onePixel(2, 2),
		"en/one/lost.svg":     "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
		"en/one/linked.svg":   "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
		"en/one/of-draft.png": onePixel(2, 2),
		"en/one/data.csv":     "a\n",
		"en/one/a.md":         front + "+++\n:::include _found.md\n\n[l](linked.svg)\n",
		"en/one/d.md":         front + "draft = true\n+++\n![x](of-draft.png)\n",
	}
	said, warned := checked(t, changes, options())
	if said != "" {
		t.Fatal(said)
	}
	wantIn(t, warned, "content/en/one/_lost.md: no text includes this file", "content/en/one/lost.png: no page shows this image", "content/en/one/lost.svg: no page shows")
	wantNotIn(t, warned, "_found.md", "found.png", "linked.svg", "of-draft.png", "data.csv", "box.svg", "pic.png")

	changes["course.toml"] = "html = true\n"
	changes["en/one/h.md"] = front + "+++\n<img src=\"lost.svg\" alt=\"x\">\n"
	_, warned = checked(t, changes, options())
	wantIn(t, warned, "lost.png: no page shows")
	wantNotIn(t, warned, "lost.svg: no page")
}

func TestTranslationsAreComparedWithOriginals(t *testing.T) {
	said, warned := checked(t, map[string]string{
		"en/two/s.md": "+++\ntitle = \"S\"\n+++\nFirst.\n\n```sh\na\n```\n\n## A\n\n```sh\nb\n```\n\n## B\n\n![x](bundle/pic.png)\n",
		"zh/two/s.md": "+++\ntitle = \"S\"\n+++\n首先。\n\n## A\n\n```sh\nb\n```\n\n```sh\nc\n```\n\n## B\n",
	}, options())
	if said != "" {
		t.Fatal(said)
	}
	wantIn(t, warned,
		"content/zh/two/s.md:4: 0 code blocks here, but 1 in content/en/two/s.md:4; is the translation out of date?\n    4 | 首先。",
		"content/zh/two/s.md:6: 2 code blocks here, but 1 in content/en/two/s.md:10", "\n    6 | ## A",
		"content/zh/two/s.md:16: 0 images here, but 1 in content/en/two/s.md:16")
}

func TestSettingsMakeWarningsMistakes(t *testing.T) {
	text := "+++\ntitle = \"Last\"\n+++\na <b>c</b>\n"
	if said, _ := checked(t, map[string]string{"en/two/last.md": text}, options()); said != "" {
		t.Fatal(said)
	}
	said, _ := checked(t, map[string]string{"en/two/last.md": text, "course.toml": "strict = true\n"}, options())
	wantIn(t, said, "content/en/two/last.md:4", "HTML is shown as text")
	said, _ = checked(t, map[string]string{"en/two/last.md": "+++\ntitle = \"Last\"\n+++\n![](../one/box.svg)\n", "course.toml": "strct = true\n"}, options())
	wantIn(t, said, `content/course.toml:1:1: unknown key "strct" (did you mean "strict"?)`, "content/en/two/last.md:4:1: the image has no alt text")
}

func TestSettingsReachThePages(t *testing.T) {
	m := course()
	m["course.toml"] = &fstest.MapFile{Data: []byte("html = true\nedit = \"https://example.org/edit/{file}\"\n")}
	m["en/two/last.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"Last\"\n+++\na <b>c</b>\n")}
	src := source()
	src.Content = m
	wantIn(t, build(t, src, options())["two/last/index.html"], "a <b>c</b>", `href="https://example.org/edit/en/two/last.md"`)
}

// TestIDsOfPagesStayUnique has headings with the ids that templates use.
func TestIDsOfPagesStayUnique(t *testing.T) {
	ids := regexp.MustCompile(` id="([^"]*)"`)
	var text strings.Builder
	text.WriteString("+++\ntitle = \"T\"\n+++\n[^1]\n\n:::quiz Q?\n- [ ] a\n- [x] b\n:::\n\n::::tabs\n:::tab A\na\n:::\n:::tab B\nb\n:::\n::::\n\n## Quiz 1\n\n## Tabs 1\n\n## Tabs 1 1\n\n## fn 1\n\n")
	templates, err := fs.Glob(os.DirFS("internal/page/templates"), "*.html")
	if err != nil || len(templates) < 10 {
		t.Fatal(templates, err)
	}
	for _, name := range templates {
		data, err := os.ReadFile("internal/page/templates/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids.FindAllStringSubmatch(string(data), -1) {
			if !strings.Contains(id[1], "{{") {
				text.WriteString("## " + id[1] + "\n\n")
			}
		}
	}
	text.WriteString("[^1]: note\n")
	m := course()
	m["en/two/last.md"] = &fstest.MapFile{Data: []byte(text.String())}
	src := source()
	src.Content = m
	for name, p := range build(t, src, options()) {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		seen := map[string]bool{}
		for _, id := range ids.FindAllStringSubmatch(p, -1) {
			if seen[id[1]] {
				t.Errorf("%s has the id %q twice", name, id[1])
			}
			seen[id[1]] = true
		}
	}
	said, _ := checked(t, map[string]string{"en/two/last.md": "+++\ntitle = \"T\"\n+++\n## A {#content}\n"}, options())
	wantIn(t, said, `content/en/two/last.md:4:1: the id "content" is used twice on this page`)
}
