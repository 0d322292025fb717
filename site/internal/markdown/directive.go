package markdown

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/labd-dev/labd/internal/source"
)

const (
	maxTabs       = 8  // the style sheet has rules for so many tabs
	maxDirectives = 16 // nesting depth; every open block inspects every line
)

var (
	kindDirective = ast.NewNodeKind("Directive")
	kindFigure    = ast.NewNodeKind("Figure")
	directives    = []string{"tabs", "tab", "details", "quiz", "include"}
)

// directive is a block between ::: lines.
type directive struct {
	ast.BaseBlock
	name, title string
	colons      int
	at          int // offset of the first line
	closed      bool
	id          string // for tabs and quizzes
	quiz        quizFacts
}

func (n *directive) Kind() ast.NodeKind     { return kindDirective }
func (n *directive) Dump(src []byte, l int) { ast.DumpHelper(n, src, l, nil, nil) }

// tabs returns the :::tab blocks of a :::tabs block.
func (n *directive) tabs() []*directive {
	var out []*directive
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*directive); ok && t.name == "tab" {
			out = append(out, t)
		}
	}
	return out
}

// figure is an image with a caption.
type figure struct {
	ast.BaseBlock
	caption string
}

func (n *figure) Kind() ast.NodeKind     { return kindFigure }
func (n *figure) Dump(src []byte, l int) { ast.DumpHelper(n, src, l, nil, nil) }

// directiveParser parses blocks between ::: lines. A line with the same number of colons closes a
// block. A block with more colons can contain others.
type directiveParser struct{}

var directiveLine = regexp.MustCompile(`^(:{3,})[ \t]*([A-Za-z]+)[ \t]*(.*?)[ \t]*\n?$`)

// Trigger implements parser.BlockParser.
func (directiveParser) Trigger() []byte { return []byte{':'} }

// Open implements parser.BlockParser.
func (directiveParser) Open(parent ast.Node, reader text.Reader, pc parser.Context) (ast.Node, parser.State) {
	line, segment := reader.PeekLine()
	m := directiveLine.FindSubmatchIndex(line)
	if m == nil {
		return nil, parser.NoChildren
	}
	open := 0
	for p := parent; p != nil; p = p.Parent() {
		if p.Kind() == kindDirective {
			open++
		}
	}
	if open >= maxDirectives {
		if st, ok := pc.Get(stateKey).(*state); ok {
			st.errorAt(segment.Start, "at most %d nested ::: blocks", maxDirectives)
		}
		return nil, parser.NoChildren
	}
	reader.AdvanceToEOL()
	n := &directive{name: string(line[m[4]:m[5]]), title: string(line[m[6]:m[7]]), colons: m[3] - m[2], at: segment.Start}
	switch n.name {
	case "include":
		n.closed = true
		return n, parser.NoChildren
	case "quiz":
		// The question is Markdown: as a block of its own, goldmark parses its inline text later.
		q := &quizPart{what: quizQuestion}
		q.Lines().Append(text.NewSegment(segment.Start+m[6], segment.Start+m[7]))
		n.AppendChild(n, q)
	}
	return n, parser.HasChildren
}

// Continue implements parser.BlockParser.
func (directiveParser) Continue(node ast.Node, reader text.Reader, pc parser.Context) parser.State {
	n := node.(*directive)
	if n.name == "include" {
		return parser.Close
	}
	line, _ := reader.PeekLine()
	trimmed := bytes.TrimRight(line, " \t\n")
	if len(trimmed) != n.colons || bytes.Count(trimmed, []byte(":")) != n.colons {
		return parser.Continue | parser.HasChildren
	}
	// A line of colons in a code block is code.
	if open := pc.OpenedBlocks(); len(open) > 0 && open[len(open)-1].Node.Kind() == ast.KindFencedCodeBlock {
		return parser.Continue | parser.HasChildren
	}
	n.closed = true
	reader.AdvanceToEOL()
	return parser.Close
}

// Close implements parser.BlockParser.
func (directiveParser) Close(ast.Node, text.Reader, parser.Context) {}

// CanInterruptParagraph implements parser.BlockParser.
func (directiveParser) CanInterruptParagraph() bool { return true }

// CanAcceptIndentedLine implements parser.BlockParser.
func (directiveParser) CanAcceptIndentedLine() bool { return false }

// directive validates a block between ::: lines and gives tabs and quizzes an id.
func (st *state) directive(n *directive) {
	colons := strings.Repeat(":", n.colons)
	if !n.closed {
		st.errorAt(n.at, "%s%s is not closed by a line of %s", colons, n.name, colons)
	}
	switch n.name {
	case "details":
		if n.title == "" {
			st.errorAt(n.at, "details needs a title: %sdetails What is hidden", colons)
		}
	case "tab":
		if n.title == "" {
			st.errorAt(n.at, "tab needs a title: %stab Linux", colons)
		}
		if p, ok := n.Parent().(*directive); !ok || p.name != "tabs" {
			st.errorAt(n.at, "a tab must be inside tabs: put ::::tabs, with one more colon, around :::tab")
		}
	case "tabs":
		st.tabs++
		n.id = st.ids.unique(fmt.Sprintf("%stabs-%d", st.req.IDPrefix, st.tabs))
		tabs := n.tabs()
		if len(tabs) == 0 || len(tabs) != n.ChildCount() {
			st.errorAt(n.at, "tabs may contain only :::tab Title … ::: blocks, and needs at least one")
		}
		if len(tabs) > maxTabs {
			st.errorAt(n.at, "at most %d tabs", maxTabs)
		}
	case "quiz":
		st.quiz(n)
	case "include":
		if n.title == "" {
			st.errorAt(n.at, "include needs a file: %sinclude _shared/part.md", colons)
		}
	default:
		st.errorAt(n.at, "unknown block %q%s", n.name, source.Suggest(n.name, directives))
	}
}

func renderDirective(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*directive)
	switch {
	case n.name == "quiz":
		renderQuiz(w, n, entering)
	case n.name == "details" && entering:
		_, _ = w.WriteString(`<details class="more"><summary>` + escape(n.title) + "</summary>\n")
	case n.name == "details":
		_, _ = w.WriteString("</details>\n")
	case n.name == "tabs" && entering:
		// Radio buttons work without JavaScript and with the keyboard.
		_, _ = w.WriteString(`<div class="tabs" data-tabs>`)
		for i, t := range n.tabs() {
			checked := ""
			if i == 0 {
				checked = " checked"
			}
			_, _ = fmt.Fprintf(w, `<input type="radio" name="%[1]s" id="%[1]s-%[2]d"%[3]s><label for="%[1]s-%[2]d">%[4]s</label>`,
				escape(n.id), i+1, checked, escape(t.title))
		}
		_ = w.WriteByte('\n')
	case n.name == "tab" && entering:
		_, _ = w.WriteString(`<div class="tab" data-title="` + escape(n.title) + `">` + "\n")
	case n.name == "tabs" || n.name == "tab":
		_, _ = w.WriteString("</div>\n")
	}
	return ast.WalkContinue, nil
}

func renderFigure(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = w.WriteString("<figure>")
	} else {
		_, _ = w.WriteString("<figcaption>" + escape(node.(*figure).caption) + "</figcaption></figure>\n")
	}
	return ast.WalkContinue, nil
}

// asFigure returns a figure for a paragraph that contains only an image with a title, otherwise
// nil.
func asFigure(p *ast.Paragraph) *figure {
	img, ok := p.FirstChild().(*ast.Image)
	if !ok || img.NextSibling() != nil || len(img.Title) == 0 {
		return nil
	}
	f := &figure{caption: string(util.UnescapePunctuations(img.Title))}
	img.Title = nil
	return f
}

// keysParser recognises ++Ctrl+C++.
type keysParser struct{}

var keysHere = regexp.MustCompile(`^\+\+([^\s+]+(?:\+[^\s+]+)*)\+\+`)

// Trigger implements parser.InlineParser.
func (keysParser) Trigger() []byte { return []byte{'+'} }

// Parse implements parser.InlineParser.
func (keysParser) Parse(_ ast.Node, block text.Reader, _ parser.Context) ast.Node {
	// The + signs of C++ and i++ do not start keys.
	if r := block.PrecendingCharacter(); r == '+' || r != '\n' && r < 0x3000 && !strings.ContainsRune(" \t\n(\"'*_>", r) {
		return nil
	}
	line, _ := block.PeekLine()
	m := keysHere.FindSubmatchIndex(line[:min(len(line), 200)])
	if m == nil {
		return nil
	}
	keys := string(line[m[2]:m[3]])
	var b strings.Builder
	for i, k := range strings.Split(keys, "+") {
		if i > 0 {
			b.WriteByte('+')
		}
		b.WriteString("<kbd>" + escape(k) + "</kbd>")
	}
	block.Advance(m[1])
	return &inlineFinished{html: b.String(), plain: keys}
}
