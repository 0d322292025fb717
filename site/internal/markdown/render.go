package markdown

import (
	"html"
	"regexp"
	"slices"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

var (
	kindFinished       = ast.NewNodeKind("Finished")
	kindInlineFinished = ast.NewNodeKind("InlineFinished")
	kindCallout        = ast.NewNodeKind("Callout")
	kindTableBox       = ast.NewNodeKind("TableBox")
)

// finished is a block that is rendered already.
type finished struct {
	ast.BaseBlock
	html []byte
}

func (n *finished) Kind() ast.NodeKind     { return kindFinished }
func (n *finished) Dump(src []byte, l int) { ast.DumpHelper(n, src, l, nil, nil) }

// inlineFinished is an inline node that is rendered already.
type inlineFinished struct {
	ast.BaseInline
	html  string
	plain string
	tex   string // source of a formula
}

func (n *inlineFinished) Kind() ast.NodeKind     { return kindInlineFinished }
func (n *inlineFinished) Dump(src []byte, l int) { ast.DumpHelper(n, src, l, nil, nil) }

type callout struct {
	ast.BaseBlock
	kind, title string
}

func (n *callout) Kind() ast.NodeKind     { return kindCallout }
func (n *callout) Dump(src []byte, l int) { ast.DumpHelper(n, src, l, nil, nil) }

// tableBox wraps a table, so that a wide table scrolls instead of the page.
type tableBox struct {
	ast.BaseBlock
	label string
}

func (n *tableBox) Kind() ast.NodeKind     { return kindTableBox }
func (n *tableBox) Dump(src []byte, l int) { ast.DumpHelper(n, src, l, nil, nil) }

type nodeRenderer struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (nodeRenderer) RegisterFuncs(reg renderer.NodeRendererFuncRegisterer) {
	reg.Register(kindFinished, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			_, _ = w.Write(n.(*finished).html)
		}
		return ast.WalkContinue, nil
	})
	reg.Register(kindInlineFinished, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			_, _ = w.WriteString(n.(*inlineFinished).html)
		}
		return ast.WalkContinue, nil
	})
	reg.Register(kindCallout, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		c := n.(*callout)
		if entering {
			_, _ = w.WriteString(`<div class="callout ` + c.kind + `" role="note"><p class="callout-title">` + escape(c.title) + "</p>\n")
		} else {
			_, _ = w.WriteString("</div>\n")
		}
		return ast.WalkContinue, nil
	})
	reg.Register(kindDirective, renderDirective)
	reg.Register(kindFigure, renderFigure)
	reg.Register(kindQuizPart, renderQuizPart)
	reg.Register(kindTableBox, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			_, _ = w.WriteString(`<div class="table" role="region" tabindex="0" aria-label="` + escape(n.(*tableBox).label) + `">` + "\n")
		} else {
			_, _ = w.WriteString("</div>\n")
		}
		return ast.WalkContinue, nil
	})
	// Only the id is written. Other attributes of a heading could contain scripts or styles.
	reg.Register(ast.KindHeading, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		h := n.(*ast.Heading)
		tag := "h" + string("0123456"[h.Level])
		if !entering {
			_, _ = w.WriteString("</" + tag + ">\n")
			return ast.WalkContinue, nil
		}
		id, _ := h.AttributeString("id")
		b, _ := id.([]byte)
		_, _ = w.WriteString("<" + tag + ` id="` + escape(string(b)) + `">`)
		return ast.WalkContinue, nil
	})
}

func escape(s string) string { return html.EscapeString(s) }

func checkbox(checked bool, l Labels) string {
	if checked {
		return `<input type="checkbox" checked disabled aria-label="` + escape(l.Done) + `"> `
	}
	return `<input type="checkbox" disabled aria-label="` + escape(l.NotDone) + `"> `
}

var (
	variable = regexp.MustCompile(`\{\{([a-z][a-z0-9_]{0,31})\}\}`)
	// variableHere is anchored because it runs at every brace. Searching the rest of the line each
	// time would take quadratic time.
	variableHere = regexp.MustCompile(`^\{\{([a-z][a-z0-9_]{0,31})\}\}`)
)

func variableSpan(name string) string {
	return `<span data-var="` + name + `">` + name + `</span>`
}

// withVariables replaces {{name}} in escaped text.
func withVariables(escaped string, names []string) string {
	return variable.ReplaceAllStringFunc(escaped, func(m string) string {
		if name := m[2 : len(m)-2]; slices.Contains(names, name) {
			return variableSpan(name)
		}
		return m
	})
}

// variableParser parses {{name}} within a line.
type variableParser struct{}

// Trigger implements parser.InlineParser.
func (variableParser) Trigger() []byte { return []byte{'{'} }

// Parse implements parser.InlineParser.
func (variableParser) Parse(_ ast.Node, block text.Reader, pc parser.Context) ast.Node {
	st, ok := pc.Get(stateKey).(*state)
	if !ok || len(st.req.Variables) == 0 {
		return nil
	}
	line, _ := block.PeekLine()
	m := variableHere.FindSubmatchIndex(line)
	if m == nil {
		return nil
	}
	name := string(line[m[2]:m[3]])
	if !slices.Contains(st.req.Variables, name) {
		return nil
	}
	block.Advance(m[1])
	return &inlineFinished{html: variableSpan(name), plain: name}
}
