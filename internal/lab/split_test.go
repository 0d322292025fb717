package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"

	"github.com/labd-dev/labd/internal/source"
)

// splitText splits a text without front matter.
func splitText(content string) (*document, source.List) {
	var errs source.List
	d, ok := read("a", []byte(content), &errs)
	if ok {
		d.split(0)
	}
	_ = errs.Err() // sorts
	return d, errs
}

// summary lists the steps, their special blocks, their {run} and {save} blocks, and the mistakes.
func summary(d *document, errs source.List) string {
	var b strings.Builder
	for _, c := range d.loose {
		fmt.Fprintf(&b, "%d %s%q; ", c.line, c.info.Lang, c.body)
	}
	for _, s := range d.sections {
		fmt.Fprintf(&b, "%d #%s; ", s.line, s.anchor)
		for _, c := range slices.Concat(s.blocks, s.code) {
			fmt.Fprintf(&b, "%d %s%q; ", c.line, c.info.Lang, c.body)
		}
	}
	for _, e := range errs {
		fmt.Fprintf(&b, "%d: %s; ", e.Line, e.Msg)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

// hostile are texts that a line scanner would read differently from a Markdown parser.
var hostile = []struct{ name, text, want string }{
	{"fence in a longer fence", "## A {#a}\n````md {run}\n```check\nx\n```\n## B {#b}\n````\n", "1 #a; 2 md\"```check\\nx\\n```\\n## B {#b}\""},
	{"tildes in back-ticks", "## A {#a}\n```md {run}\n~~~check\n```\nb\n", `1 #a; 2 md"~~~check"`},
	{"back-tick in the info", "## A {#a}\n```check`\n## B {#b}\n", "1 #a; 3 #b"},
	{"four spaces make code", "## A {#a}\n\n    ```check\n    x\n    ```\n", "1 #a"},
	{"tab makes code", "## A {#a}\n\n\t## B {#b}\n", "1 #a"},
	{"three spaces do not", "## A {#a}\n   ```check\n   x\n     y\n  ```\n", `1 #a; 2 check"x\n  y"`},
	{"heading in a comment", "## A {#a}\n<!--\n## B {#b}\n```check\nx\n```\n-->\n", "1 #a"},
	{"comment ends in the middle of a line", "## A {#a}\n<!-- a\n--> ## B {#b}\n## C {#c}\n", "1 #a; 4 #c"},
	{"comment in a paragraph", "## A {#a}\ntext <!--\n## B {#b}\n", "1 #a; 3 #b"},
	{"comment on one line", "## A {#a}\n<!-- x -->\n## B {#b}\n", "1 #a; 3 #b"},
	{"HTML block", "## A {#a}\n<div>\n## B {#b}\n```check\nx\n```\n</div>\n\n## C {#c}\n", "1 #a; 9 #c"},
	{"pre with an empty line", "## A {#a}\n<pre>\n\n## B {#b}\n</pre>\n## C {#c}\n", "1 #a; 6 #c"},
	{"processing instruction", "## A {#a}\n<?x\n## B {#b}\n?>\n## C {#c}\n", "1 #a; 5 #c"},
	{"check in a list", "## A {#a}\n- x\n\n  ```check\n  x\n  ```\n", "1 #a; 4: a check block must not be in a list or a quote: begin it at the left margin"},
	{"check in a quote", "## A {#a}\n> ```solution\n> x\n> ```\n", "1 #a; 2: a solution block must not be in a list or a quote: begin it at the left margin"},
	{"check in a footnote", "## A {#a}\na[^1]\n\n[^1]: x\n\n    ```check\n    x\n    ```\n", "1 #a; 6: a check block must not be in a list or a quote: begin it at the left margin"},
	{"check in a definition", "## A {#a}\nterm\n:   x\n\n    ```check\n    x\n    ```\n", "1 #a; 5: a check block must not be in a list or a quote: begin it at the left margin"},
	{"run in a list", "## A {#a}\n1. x\n\n   ```bash {run}\n   ls\n     -l\n   ```\n2. y\n", `1 #a; 4 bash"ls\n  -l"`},
	{"run in a quote in a list", "## A {#a}\n- > ```bash {run}\n  > ls\n  > ```\n", `1 #a; 2 bash"ls"`},
	{"heading in a quote", "## A {#a}\n> ## B {#b}\n", "1 #a"},
	{"heading in a list", "## A {#a}\n- ## B {#b}\n", "1 #a"},
	{"heading right below a list", "## A {#a}\n- x\n## B {#b}\n", "1 #a; 3 #b"},
	{"heading right below text", "## A {#a}\nx\n## B {#b} ##\n", "1 #a; 3 #b"},
	{"no space after ##", "## A {#a}\n##B {#b}\n", "1 #a"},
	{"escaped heading", "## A {#a}\n\\## B {#b}\n", "1 #a"},
	{"text and ---", "## A {#a}\ntext\n---\n", "1 #a; 2: the line of - or = below turns this text into a heading: add an empty line between them, or write ## Title {#id} to begin a step"},
	{"heading underlined", "## A {#a}\nB {#b}\n-\n", "1 #a; 2: the line of - or = below turns this text into a heading: add an empty line between them, or write ## Title {#id} to begin a step"},
	{"hashes underlined", "## A {#a}\n##B\n-\n", "1 #a; 2: the line of - or = below turns this text into a heading: add an empty line between them, or write ## Title {#id} to begin a step"},
	{"heading of two lines underlined", "## A {#a}\n\nx\ny\n===\n", "1 #a; 3: the line of - or = below turns this text into a heading: add an empty line between them, or write ## Title {#id} to begin a step"},
	{"--- below a list", "## A {#a}\n- x\n---\n", "1 #a"},
	{"empty heading", "##\nx\n", "1 #; 1: the heading of a step ends with an anchor, for example {#step-1}; 1: this step has no title"},
	{"fence without end", "## A {#a}\n```bash\nx\n## B {#b}\n", "1 #a; 2: this code block is not closed: add a line with ``` after it"},
	{"fence closed by a shorter one", "## A {#a}\n````bash\nx\n```\n", "1 #a; 2: this code block is not closed: add a line with ```` after it"},
	{"fence in a list without end", "## A {#a}\n- ```bash\n  x\n\ny\n", "1 #a; 2: this code block is not closed: add a line with ``` after it"},
	{"fence at the end of the file", "## A {#a}\n```", "1 #a; 2: this code block is not closed: add a line with ``` after it"},
	{"fence with attributes on a closing line", "## A {#a}\n```check\nx\n``` {run}\n```\n", "1 #a; 2 check\"x\\n``` {run}\""},
	{"block interrupts text", "## A {#a}\ntext\n```check\nx\n```\nmore\n", `1 #a; 3 check"x"`},
	{"check first", "```bash {run}\nls\n```\n## A {#a}\n", `1 bash"ls"; 4 #a`},
	{"CRLF", "## A {#a}\r\n```check\r\nx\r\n```\r\n", `1 #a; 2 check"x"`},
	{"a list goes on below a check", "## A {#a}\n- x\n```hint\nh\n```\n- y\n", `1 #a; 3 hint"h"`},
	{"indented text below a check", "## A {#a}\n- x\n\n```hint\nh\n```\n\n  y\n\n      z\n", `1 #a; 4 hint"h"`},
	{"reference below a check", "## A {#a}\n```hint\nh\n```\n[a]: b\n", `1 #a; 2 hint"h"`},
}

func TestSplitReadsMarkdownAsItIsRendered(t *testing.T) {
	for _, tt := range hostile {
		t.Run(tt.name, func(t *testing.T) {
			d, errs := splitText(tt.text)
			if got := summary(d, errs); got != tt.want {
				t.Errorf("%q\nis read as %s\nwant       %s", tt.text, got, tt.want)
			}
			if wrong := differences(d); wrong != "" {
				t.Errorf("%q\n%s", tt.text, wrong)
			}
		})
	}
}

func TestTextsThatAreSlowToParseAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"a\n" + strings.Repeat(">", maxNesting+1):                          "2: more than 100 nested quotes and lists",
		"a\n" + strings.Repeat("1. > - ", 34):                              "2: more than 100 nested quotes and lists",
		strings.Repeat("[a]: b\n", maxReferences+1):                        "1001: a lab has at most 1000 link reference definitions",
		strings.Repeat("-", 200) + "\n" + strings.Repeat("* ", maxNesting): "",
	} {
		d, errs := splitText(text)
		if got := summary(d, errs); got != want {
			t.Errorf("%.20q… is read as %.100s, want %s", text, got, want)
		}
	}
}

// differences compares the top-level blocks of the whole text with those of its pieces, because pages render each piece
// separately. Every block must be on the same line in both.
func differences(d *document) string {
	whole := blocksOf([]byte(strings.Join(d.lines, "\n")), 1)
	heads := map[int]bool{} // lines of step headings, which are in no piece
	pieces := blocksOf(d.intro.Source, d.intro.Line)
	for _, s := range d.sections {
		heads[s.line] = true
		for _, b := range s.blocks {
			for i, block := range whole { // a comment replaces it in the pieces
				if block == (blockAt{ast.KindFencedCodeBlock, b.line}) {
					whole[i].kind = ast.KindHTMLBlock
				}
			}
		}
		pieces = append(pieces, blocksOf(s.body.Source, s.body.Line)...)
	}
	whole = slices.DeleteFunc(whole, func(b blockAt) bool { return heads[b.line] })
	if !slices.Equal(whole, pieces) {
		return fmt.Sprintf("the whole text has the blocks %v\nits pieces have               %v", whole, pieces)
	}
	return ""
}

type blockAt struct {
	kind ast.NodeKind
	line int
}

func blocksOf(src []byte, line int) (out []blockAt) {
	for n := markdownParser.Parse(text.NewReader(src)).FirstChild(); n != nil; n = n.NextSibling() {
		at := line + strings.Count(string(src[:min(max(n.Pos(), 0), len(src))]), "\n")
		if n.Kind().String() == "FootnoteList" {
			continue // the parser moves it to the end
		}
		out = append(out, blockAt{n.Kind(), at})
	}
	return out
}

func FuzzSplit(f *testing.F) {
	for _, tt := range hostile {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, content string) {
		d, errs := splitText("## A {#a}\n" + content)
		if len(errs) > 0 {
			return
		}
		if wrong := differences(d); wrong != "" {
			t.Errorf("%q\n%s", content, wrong)
		}
	})
}
