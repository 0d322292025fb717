//go:build !race

package markdown_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// TestTheTimeOfHostileTextIsBounded renders a lot of what takes a parser of Markdown time square to
// its length, or more. It fails by the test's own time limit: without the bounds these take
// minutes.
func TestTheTimeOfHostileTextIsBounded(t *testing.T) {
	const size = 200_000
	repeat := func(s string) string { return strings.Repeat(s, size/len(s)) }
	number := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, strings.ReplaceAll(format, "#", "%[1]d"), i)
		}
		return b.String()
	}
	deeper := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			b.WriteString(strings.ReplaceAll(format, "#", strings.Repeat("  ", i)))
		}
		return b.String()
	}
	for text, want := range map[string]string{
		strings.Repeat("x", size):                    "",
		"```go\n" + repeat("x ") + "\n```\n":         "",
		repeat("{{"):                                 "",
		repeat("*a "):                                "",
		repeat("*a **b "):                            "",
		repeat("$a"):                                 "",
		repeat("$$ a\n"):                             "",
		repeat("<a "):                                "",
		repeat("<!--"):                               "",
		repeat("++a"):                                "",
		repeat("字\n`a`\n"):                           "",
		number("``` {a}`#"):                          "",
		repeat("# a\n"):                              "",
		repeat("[a](b)\n\n"):                         "",
		repeat("```x\n```\n"):                        "",
		repeat("["):                                  "1:301: more than 300 [ in a paragraph",
		repeat("![a]("):                              "more than 300 [ in a paragraph",
		repeat("[") + repeat("]"):                    "1:301: more than 300 [ in a paragraph",
		repeat("[a](javascript:x) "):                 "more than 300 [ in a paragraph",
		repeat("[a](javascript:x)\n\n"):              "a.md:1999:1: links may be relative, http, https, mailto or tel, not \"javascript:x\" (the 1000th mistake",
		repeat(">"):                                  "1:1: more than 100 nested quotes or lists",
		"x\n" + repeat("- "):                         "2:1: more than 100 nested quotes or lists",
		repeat("1. "):                                "1:1: more than 100 nested quotes or lists",
		deeper("#- a\n"):                             "101:1: more than 100 nested quotes or lists",
		number("[^#]\n\n[^#]: x\n\n"):                "4003:1: a text has at most 1000 footnotes",
		number("[r#]: /x\n"):                         "5001:1: a text has at most 5000 link references",
		repeat(":::details x\n"):                     "17:1: at most 16 nested ::: blocks",
		repeat("|a") + "\n" + repeat("|-") + "|\n|x": "2:1: a table has at most 100 columns",
		strings.Repeat("|a", 100) + "|\n" + strings.Repeat("|-", 100) + "|\n" + strings.Repeat("|\n", 1000): "",
	} {
		t.Run(fmt.Sprintf("%.12q", text), func(t *testing.T) {
			var errs source.List
			p := markdown.New().Render(markdown.Request{File: "a.md", Line: 1, Text: []byte(text), Variables: []string{"code"}}, &errs)
			if want == "" && (errs.Err() != nil || len(p.HTML) < len(text)/20) {
				t.Errorf("%d bytes of HTML for %d of text; %.300v", len(p.HTML), len(text), errs.Err())
			}
			if want != "" && (errs.Err() == nil || !strings.Contains(errs.Err().Error(), want)) {
				t.Errorf("want %s, got %.300v", want, errs.Err())
			}
			if len(errs) > 1000 || len(p.Warnings) > 1000 {
				t.Errorf("%d mistakes, %d warnings", len(errs), len(p.Warnings))
			}
		})
	}
}

func TestIncludesThatDoNotEnd(t *testing.T) {
	files := folder{
		"a.md": ":::include b.md\n", "b.md": "x\n\n:::include c.md\n", "c.md": ":::include a.md\n",
		"self.md": ":::include self.md\n",
		"two.md":  strings.Repeat(":::include three.md\n", 20), "three.md": strings.Repeat(":::include four.md\n", 20), "four.md": "x\n",
		"big.md": strings.Repeat(":::include mb.md\n", 9), "mb.md": strings.Repeat("x\n", 500_000),
	}
	for i := range 20 {
		files[fmt.Sprintf("d%d.md", i)] = fmt.Sprintf(":::include d%d.md\n", i+1)
	}
	for name, want := range map[string]string{
		"a.md":    "c.md:1:1: this includes itself: a.md includes b.md includes c.md includes a.md\n",
		"self.md": "self.md:1:1: this includes itself: self.md includes self.md\n",
		"d0.md":   "d7.md:1:1: texts include each other more than 8 deep: d0.md includes d1.md includes",
		"two.md":  "three.md:11:1: a page includes at most 200 files\n",
		"big.md":  "big.md:5:1: a page includes at most 4 MiB from other files",
	} {
		_, errs := files.render(name)
		if errs.Err() == nil || !strings.HasPrefix(errs.Err().Error(), want) {
			t.Errorf("%s: got %.300v", name, errs.Err())
		}
	}
}
