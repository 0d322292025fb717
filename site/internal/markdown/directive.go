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
	maxTabs       = 8  // that the style sheet can switch between without a script
	maxDirectives = 16 // within each other: every line is shown to all that are open
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
	at          int // offset of its first line
	closed      bool
	id          string // of a set of tabs, or a quiz
	quiz        quizFacts
}

func (n *directive) Kind() ast.NodeKind     { return kindDirective }
func (n *directive) Dump(src []byte, l int) { ast.DumpHelper(n, src, l, nil, nil) }

// tabs returns the tabs of a set.
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

// directiveParser parses blocks between ::: lines. A block is closed by a line of as many colons as opened it, so that one
// with more colons can hold others.
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
			st.errorAt(segment.Start, "at most %d blocks of ::: within each other", maxDirectives)
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
		// The question is Markdown, so it is a block of its own, whose text the parser reads later.
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
	// Within code a line of colons is code.
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

// directive checks a block between ::: lines and names a set of tabs.
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
			st.errorAt(n.at, "tab belongs into tabs: ::::tabs around :::tab, with one colon more")
		}
	case "tabs":
		st.tabs++
		n.id = st.ids.unique(fmt.Sprintf("%stabs-%d", st.req.IDPrefix, st.tabs))
		tabs := n.tabs()
		if len(tabs) == 0 || len(tabs) != n.ChildCount() {
			st.errorAt(n.at, "tabs holds nothing but :::tab Title … ::: blocks, at least one")
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
		// Radio buttons switch without a script, and a keyboard moves between them.
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

// asFigure turns a paragraph that is nothing but an image with a title into a figure.
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
	// C++ and i++ are not the begin of keys.
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
