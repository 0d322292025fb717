package page_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// Package lab finds the steps and blocks of a lab, and package markdown renders what is left. Both
// must see the same blocks: a click must never run what no check knows of, and a solution must
// never reach a page.
func TestLabsAreSplitAsTheyAreRendered(t *testing.T) {
	const secret = "```solution\nSECRET\n```\n"
	for name, text := range map[string]string{
		"plain":                   "```bash {run}\nls\n```\n" + secret,
		"longer fence":            "````md {run}\n```bash {run}\nx\n```\n## Not a step {#b}\n````\n" + secret,
		"tildes":                  "~~~bash {run}\n```\n~~~\n" + secret,
		"in a list":               "1. a\n\n   ```bash {run}\n   ls\n   ```\n2. b\n" + secret,
		"in a quote":              "> ```bash {run}\n> ls\n> ```\n\n" + secret,
		"in a callout":            "> [!NOTE]\n> ```bash {run}\n> ls\n> ```\n\n" + secret,
		"in details":              ":::details More\n```bash {run}\nls\n```\n:::\n" + secret,
		"in tabs":                 "::::tabs\n:::tab A\n```bash {run}\nls\n```\n:::\n:::tab B\n```bash {run}\nid\n```\n:::\n::::\n" + secret,
		"in a footnote":           "a[^1]\n\n[^1]: b\n\n    ```bash {run}\n    ls\n    ```\n\n" + secret,
		"in a definition":         "term\n:   b\n\n    ```bash {run}\n    ls\n    ```\n\n" + secret,
		"indented by four":        "a\n\n    ```bash {run}\n    ls\n    ```\n\n" + secret,
		"in a comment":            "<!--\n```bash {run}\nls\n```\n-->\n" + secret,
		"in HTML":                 "<div>\n```bash {run}\nls\n```\n</div>\n\n" + secret,
		"list around a solution":  "- a\n" + secret + "- b\n",
		"text around a solution":  "a\n" + secret + "b\n",
		"quote above a solution":  "> a\n" + secret + "b\n",
		"table above a solution":  "| a |\n| - |\n| b |\n" + secret,
		"indented below solution": "- a\n\n" + secret + "\n  b\n\n      c\n",
		"back-tick in the info":   "```bash` {run}\n\n" + secret,
		"formula":                 "$$\n## x\n$$\n" + secret,
		"solution in a solution":  "````solution\n```solution\nSECRET\n```\n````\n",
	} {
		t.Run(name, func(t *testing.T) {
			file := "+++\ntitle = \"T\"\nsummary = \"S\"\nlevel = \"beginner\"\nminutes = 5\n[stack]\nimages = [\"redis:8\"]\n+++\n" +
				"## One {#one}\n```check\n[[image]]\nname = \"SECRET\"\n```\n" + text
			l, err := lab.LoadOne(fstest.MapFS{"a/lab.md": {Data: []byte(file)}}, "labs", "a")
			if err != nil {
				if name == "formula" { // the heading in it begins a step, which is said
					return
				}
				t.Fatal(err)
			}
			var errs source.List
			step := l.Steps[0]
			body := step.Body[lab.DefaultLang]
			page := markdown.New().Render(markdown.Request{File: body.File, Line: body.Line, Text: body.Source, Labels: markdown.English()}, &errs)
			if err := errs.Err(); err != nil {
				t.Fatalf("the lab is valid, and its page is not: %v", err)
			}
			if bytes.Contains(page.HTML, []byte("SECRET")) {
				t.Errorf("a page holds a check or a solution:\n%s", page.HTML)
			}
			if got, want := strings.Count(string(page.HTML), " data-run "), len(step.RunLines()); got != want {
				t.Errorf("the page has %d blocks to run, the lab %d:\n%s", got, want, page.HTML)
			}
			if strings.Contains(string(page.HTML), "!--") {
				t.Errorf("what replaces a block is shown:\n%s", page.HTML)
			}
			for _, w := range page.Warnings {
				if strings.Contains(w.Msg, "<!--") || w.Line == body.Line {
					t.Errorf("a warning of what replaces a block: %v", w)
				}
			}
		})
	}
}
