package site_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/site"
)

// twoCourses is a main course of one module, and a further one of two.
func twoCourses() map[string]string {
	return map[string]string{
		"en/_index.md":                  "+++\ntitle = \"Main\"\n+++\n",
		"zh/_index.md":                  "+++\ntitle = \"主课\"\n+++\n",
		"en/one/_index.md":              "+++\ntitle = \"One\"\n+++\n",
		"en/one/start.md":               "+++\ntitle = \"Start\"\n+++\n[guide](../guide/_index.md) [write](../guide/authoring/write.md#how)\n",
		"en/guide/_index.md":            "+++\ntitle = \"Guide\"\nsummary = \"How to write.\"\n+++\nRead *this*.\n",
		"zh/guide/_index.md":            "+++\ntitle = \"指南\"\n+++\n",
		"en/guide/authoring/_index.md":  "+++\ntitle = \"Authoring\"\nweight = 1\n+++\n",
		"en/guide/authoring/write.md":   "+++\ntitle = \"Write\"\nweight = 1\n+++\n## How\n",
		"en/guide/authoring/b/index.md": "+++\ntitle = \"Bundle\"\nweight = 2\n+++\n![x](p.png)\n",
		"en/guide/authoring/b/p.png":    onePixel(3, 2),
		"en/guide/more/_index.md":       "+++\ntitle = \"More\"\nweight = 2\n+++\n",
		"en/guide/more/last.md":         "+++\ntitle = \"Last\"\nprerequisites = [\"authoring/write\", \"one/start\", \"guide/authoring/b\"]\n+++\n[up](../_index.md)\n",
	}
}

func TestALessonCantBeCalledPrint(t *testing.T) {
	content := twoCourses()
	content["en/one/print.md"] = "+++\ntitle = \"Print\"\n+++\n"
	_, err := site.Check(t.Context(), site.Source{Content: files(content)}, options())
	if err == nil || !strings.Contains(err.Error(), `en/one/print.md`) || !strings.Contains(err.Error(), `can't be called "print"`) {
		t.Errorf("the error is %v", err)
	}
}

func TestNavigationStaysWithinACourse(t *testing.T) {
	got := build(t, site.Source{Content: files(twoCourses())}, options())
	checkLinks(t, got, "/")
	wantIn(t, got["index.html"], `<a href="/guide/">Guide</a>`, "How to write.", `<a href="/one/">One</a>`)
	wantNotIn(t, got["index.html"], "/guide/authoring/")
	wantIn(t, got["zh/index.html"], `<a href="/zh/guide/">指南</a>`)
	course := got["guide/index.html"]
	wantIn(t, course, "<title>Guide · Main</title>", "Read <em>this</em>.", `href="/guide/authoring/"`, `href="/guide/more/last/"`, `href="/zh/guide/"`)
	wantNotIn(t, course, `href="/one/`)
	last := got["guide/more/last/index.html"]
	wantIn(t, last, `data-course="guide"`, `<li><a href="/">Main</a></li><li><a href="/guide/">Guide</a></li><li><a href="/guide/more/">More</a></li><li><span aria-current="page">Last</span></li>`, `rel="prev" href="/guide/authoring/b/"`,
		`<a href="/guide/authoring/write/">Write</a><a href="/one/start/">Start</a><a href="/guide/authoring/b/">Bundle</a>`)
	wantNotIn(t, last, `rel="next"`)
	wantIn(t, got["zh/guide/more/last/index.html"], `<a href="/zh/guide/">指南</a>`, `rel="prev" href="/zh/guide/authoring/b/"`)
	start := got["one/start/index.html"]
	wantIn(t, start, `<a href="/guide/">guide</a>`, `<a href="/guide/authoring/write/#how">write</a>`)
	wantNotIn(t, start, `rel="next"`, "Authoring")
	wantIn(t, got["guide/authoring/print/index.html"], "Bundle", "Write")
}
