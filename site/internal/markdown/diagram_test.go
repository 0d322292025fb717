package markdown_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

func TestADiagramIsAPictureWithACaptionAndWordsToSearch(t *testing.T) {
	var errs source.List
	text := "# T\n\n- item\n\n  ```diagram {title=\"Who & whom\" alt=\"The browser asks web.\"}\n  browser -> web: asks\n  ```\n\n```diagram {title=\"B\" alt=\"C\"}\nx\n```\n"
	p := markdown.New().Render(markdown.Request{File: "a.md", Line: 1, Text: []byte(text), IDPrefix: "p-"}, &errs)
	if err := errs.Err(); err != nil {
		t.Fatal(err)
	}
	html := string(p.HTML)
	for _, want := range []string{
		`<figure class="diagram"><div class="diagram-view" tabindex="0"><svg class="diagram-svg" role="img" aria-labelledby="p-diagram-1-title"`,
		`<figcaption>Who &amp; whom</figcaption></figure>`, `<desc id="p-diagram-1-text">The browser asks web.</desc>`, `id="p-diagram-2-title"`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s in\n%s", want, html)
		}
	}
	for _, want := range []string{"Who & whom", "The browser asks web.", "asks", "browser"} {
		if !strings.Contains(p.Sections[1].Text, want) {
			t.Errorf("search does not find %q in %q", want, p.Sections[1].Text)
		}
	}
	if strings.Contains(html, "style=") || strings.Contains(html, "<style") {
		t.Error("a style that the page's policy forbids")
	}
}

func TestMistakesInADiagramHaveTheirPlaceInTheFile(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"one\n\n```diagram\na -> b\n```\n", "a.md:13:4: a diagram needs a title"},
		{"```diagram {title=\"x\"}\na -> b\n```\n", "a.md:11:4: a diagram needs alt text"},
		{"> ```diagram {title=\"x\" alt=\"y\"}\n> a -> b\n> 甲.link: javascript:x\n> ```\n", `a.md:13:5: "link" can't be used here`},
		{"```diagram {title=\"x\" alt=\"y\"}\na.shape: cilinder\n```\n", `a.md:12:10: unknown shape "cilinder" (did you mean "cylinder"?)`},
		{"```diagram {title=\"x\" alt=\"y\"}\na -> {\n```\n", "a.md:12:"},
		{"```diagram {title=\"x\" alt=\"y\" run}\na\n```\n", "a diagram has only title, alt"},
		{"```sh {alt=\"y\"}\na\n```\n", "alt is only for diagrams"},
	} {
		var errs source.List
		markdown.New().Render(markdown.Request{File: "a.md", Line: 11, Text: []byte(tt.text)}, &errs)
		if err := errs.Err(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.text, err, tt.want)
		}
	}
}
