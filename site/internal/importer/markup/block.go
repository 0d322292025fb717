package markup

import (
	"fmt"
	"html"
	"strings"

	xhtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Limits on one block of HTML. The caller bounds its size.
const (
	maxDepth   = 60     // nesting depth of elements
	maxColumns = 40     // of a table
	maxRows    = 2000   // of a table
	maxMerged  = 20_000 // cells covered by merged cells of a table
)

// Block is a block of HTML, converted to Markdown. Inline HTML stays in it; the caller converts it.
type Block struct {
	Lines   []string
	Spans   bool // a table has merged cells, which are written once
	Blocks  bool // a cell has lists, code or paragraphs, which are written on one line
	TooDeep bool // elements are nested too deep; their text was kept
}

// Convert converts a block of HTML to Markdown.
func Convert(src string) (Block, error) {
	nodes, err := xhtml.ParseFragment(strings.NewReader(src), &xhtml.Node{Type: xhtml.ElementNode, Data: "body", DataAtom: atom.Body})
	if err != nil {
		return Block{}, fmt.Errorf("reading HTML: %w", err)
	}
	w := &writer{}
	for _, n := range nodes {
		w.block(n, 0)
	}
	w.endParagraph()
	for len(w.out) > 0 && w.out[len(w.out)-1] == "" {
		w.out = w.out[:len(w.out)-1]
	}
	w.Lines = w.out
	return w.Block, nil
}

// writer writes blocks.
type writer struct {
	Block
	out  []string
	para strings.Builder // inline text that is not written yet
}

func (w *writer) endParagraph() {
	text := strings.TrimSpace(w.para.String())
	w.para.Reset()
	if text == "" {
		return
	}
	w.out = append(w.out, strings.Split(text, "\n")...)
	w.out = append(w.out, "")
}

// nested converts the children of an element to blocks and returns their lines.
func (w *writer) nested(n *xhtml.Node, depth int) []string {
	inner := &writer{}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		inner.block(c, depth+1)
	}
	inner.endParagraph()
	w.Spans, w.Blocks, w.TooDeep = w.Spans || inner.Spans, w.Blocks || inner.Blocks, w.TooDeep || inner.TooDeep
	for len(inner.out) > 0 && inner.out[len(inner.out)-1] == "" {
		inner.out = inner.out[:len(inner.out)-1]
	}
	return inner.out
}

func (w *writer) block(n *xhtml.Node, depth int) {
	if depth > maxDepth {
		w.TooDeep = true
		w.para.WriteString(html.EscapeString(text(n)))
		return
	}
	if n.Type != xhtml.ElementNode {
		w.para.WriteString(inline(n, depth))
		return
	}
	switch n.DataAtom {
	case atom.Table:
		w.endParagraph()
		w.table(n)
	case atom.Ul, atom.Ol, atom.Menu:
		w.endParagraph()
		w.list(n, depth)
	case atom.Dl:
		w.endParagraph()
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			switch c.DataAtom {
			case atom.Dt:
				if len(w.out) > 0 {
					w.out = append(w.out, "")
				}
				w.out = append(w.out, oneLine(inlines(c, depth)))
			case atom.Dd:
				for i, l := range w.nested(c, depth) {
					w.out = append(w.out, strings.TrimRight(map[bool]string{true: ": ", false: "  "}[i == 0]+l, " "))
				}
			}
		}
		w.out = append(w.out, "")
	case atom.Pre:
		w.endParagraph()
		w.pre(n)
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		w.endParagraph()
		w.out = append(w.out, strings.Repeat("#", int(n.Data[1]-'0'))+" "+oneLine(inlines(n, depth)), "")
	case atom.Blockquote:
		w.endParagraph()
		for _, l := range w.nested(n, depth) {
			w.out = append(w.out, strings.TrimRight("> "+l, " "))
		}
		w.out = append(w.out, "")
	case atom.Hr:
		w.endParagraph()
		w.out = append(w.out, "---", "")
	case atom.Figure:
		w.endParagraph()
		w.figure(n, depth)
	case atom.P, atom.Div, atom.Center, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Main, atom.Aside, atom.Nav, atom.Address, atom.Figcaption, atom.Li, atom.Dt, atom.Dd:
		w.endParagraph()
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			w.block(c, depth+1)
		}
		w.endParagraph()
	default:
		w.para.WriteString(inline(n, depth))
	}
}

func (w *writer) list(n *xhtml.Node, depth int) {
	number := 0
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type != xhtml.ElementNode {
			continue
		}
		mark := "- "
		if n.DataAtom == atom.Ol {
			number++
			mark = fmt.Sprintf("%d. ", number)
		}
		lines := w.nested(c, depth)
		if len(lines) == 0 {
			continue
		}
		for i, l := range lines {
			lead := strings.Repeat(" ", len(mark))
			if i == 0 {
				lead = mark
			}
			w.out = append(w.out, strings.TrimRight(lead+l, " "))
		}
	}
	w.out = append(w.out, "")
}

// pre converts preformatted text to a code block. The language comes from a class such as
// language-go.
func (w *writer) pre(n *xhtml.Node) {
	lang := ""
	for c := n; c != nil; c = c.FirstChild {
		for _, word := range strings.Fields(attr(c, "class")) {
			if l, ok := strings.CutPrefix(word, "language-"); ok {
				lang = l
			}
		}
	}
	code := strings.TrimRight(text(n), "\n \t")
	fence := "```"
	for strings.Contains(code, fence) {
		fence += "`"
	}
	if strings.TrimSpace(code) != "" {
		w.out = append(w.out, fence+lang)
		w.out = append(w.out, strings.Split(code, "\n")...)
		w.out = append(w.out, fence, "")
	}
}

// figure converts a picture with its caption.
func (w *writer) figure(n *xhtml.Node, depth int) {
	img, caption := find(n, atom.Img), find(n, atom.Figcaption)
	if img == nil || find(n, atom.Table) != nil || find(n, atom.Pre) != nil {
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			w.block(c, depth+1)
		}
		w.endParagraph()
		return
	}
	words := ""
	if caption != nil {
		words = oneLine(text(caption))
	}
	clean := strings.NewReplacer(`"`, "'", "\\", "", "[", "(", "]", ")", "\n", " ")
	title := ""
	if words != "" {
		title = ` "` + clean.Replace(words) + `"`
	}
	alt := attr(img, "alt")
	if alt == "" {
		alt = words
	}
	w.out = append(w.out, "!["+clean.Replace(alt)+"](<"+strings.NewReplacer("<", "%3C", ">", "%3E", "\n", "").Replace(attr(img, "src"))+">"+title+")", "")
}

// table converts a table to a pipe table.
func (w *writer) table(n *xhtml.Node) {
	var rows [][]string
	head, columns := false, 0
	taken := map[[2]int]bool{} // cells that a merged cell above or to the left covers
	var walk func(n *xhtml.Node)
	walk = func(n *xhtml.Node) {
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			switch c.DataAtom {
			case atom.Caption:
				w.para.WriteString(inlines(c, 0))
				w.endParagraph()
			case atom.Thead, atom.Tbody, atom.Tfoot:
				walk(c)
			case atom.Tr:
				if len(rows) >= maxRows {
					w.TooDeep = true
					continue
				}
				var row []string
				onlyHead := true
				for d := c.FirstChild; d != nil; d = d.NextSibling {
					if d.DataAtom != atom.Td && d.DataAtom != atom.Th {
						continue
					}
					for taken[[2]int{len(rows), len(row)}] {
						row = append(row, "")
					}
					onlyHead = onlyHead && d.DataAtom == atom.Th
					across, down := span(d, "colspan", maxColumns), span(d, "rowspan", 200)
					w.Spans = w.Spans || across > 1 || down > 1
					if len(taken) > maxMerged {
						across, down = 1, 1
					}
					for y := range down {
						if down == 1 && across == 1 {
							break // no other cell is there
						}
						for x := range across {
							taken[[2]int{len(rows) + y, len(row) + x}] = true
						}
					}
					row = append(row, w.cell(d))
					for range across - 1 {
						row = append(row, "")
					}
				}
				if len(row) == 0 {
					continue
				}
				if len(rows) == 0 {
					head = onlyHead || c.Parent.DataAtom == atom.Thead
				}
				if len(row) > maxColumns {
					row = append(row[:maxColumns-1:maxColumns-1], strings.Join(row[maxColumns-1:], " "))
				}
				columns = max(columns, len(row))
				rows = append(rows, row)
			}
		}
	}
	walk(n)
	if len(rows) == 0 {
		return
	}
	if !head {
		rows = append([][]string{make([]string, columns)}, rows...)
	}
	for i, row := range rows {
		for len(row) < columns {
			row = append(row, "")
		}
		w.out = append(w.out, "| "+strings.Join(row, " | ")+" |")
		if i == 0 {
			w.out = append(w.out, "|"+strings.Repeat(" --- |", columns))
		}
	}
	w.out = append(w.out, "")
}

func span(n *xhtml.Node, name string, most int) int {
	v := 0
	if _, err := fmt.Sscan(attr(n, name), &v); err != nil || v < 1 {
		return 1
	}
	return min(v, most)
}

// cell returns the content of a table cell on one line.
func (w *writer) cell(n *xhtml.Node) string {
	for _, a := range []atom.Atom{atom.P, atom.Ul, atom.Ol, atom.Pre, atom.Table, atom.Div} {
		if find(n, a) != nil && (a != atom.P && a != atom.Div || find(n, a).NextSibling != nil) {
			w.Blocks = true
		}
	}
	return strings.ReplaceAll(oneLine(inlines(n, 0)), "|", `\|`)
}

// inlines returns the content of an element as text with inline HTML.
func inlines(n *xhtml.Node, depth int) string {
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(inline(c, depth+1))
	}
	return b.String()
}

// inline returns a node as text with inline HTML. Blocks in it become text.
func inline(n *xhtml.Node, depth int) string {
	if depth > maxDepth {
		return html.EscapeString(text(n))
	}
	switch n.Type {
	case xhtml.TextNode:
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(n.Data)
	case xhtml.ElementNode:
	default:
		return ""
	}
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Template, atom.Noscript:
		return "<" + n.Data + "></" + n.Data + ">" // reported by whoever reads the text
	case atom.Code, atom.Pre, atom.Tt, atom.Samp:
		return Code(oneLine(text(n)))
	case atom.P, atom.Div, atom.Tr, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Dt, atom.Dd, atom.Td, atom.Th, atom.Summary, atom.Details, atom.Blockquote:
		return " " + inlines(n, depth) + " "
	case atom.Li:
		return " • " + inlines(n, depth)
	case atom.Br, atom.Hr, atom.Wbr:
		return " "
	}
	var b strings.Builder
	b.WriteString("<" + n.Data)
	for _, a := range n.Attr {
		switch a.Key {
		case "href", "src", "alt", "title", "id", "name", "width", "height":
			b.WriteString(" " + a.Key + `="` + html.EscapeString(oneLine(a.Val)) + `"`)
		}
	}
	b.WriteString(">" + inlines(n, depth))
	switch n.DataAtom {
	case atom.Img, atom.Input, atom.Link, atom.Meta, atom.Source, atom.Col, atom.Area, atom.Base, atom.Embed, atom.Param, atom.Track:
	default:
		b.WriteString("</" + n.Data + ">")
	}
	return b.String()
}

// Code returns a text as a code span.
func Code(s string) string {
	if strings.TrimSpace(s) == "" {
		return s
	}
	n, longest := 0, 0
	for i := range len(s) {
		if n++; s[i] != '`' {
			n = 0
		}
		longest = max(longest, n)
	}
	ticks := strings.Repeat("`", longest+1)
	if longest > 0 {
		return ticks + " " + s + " " + ticks
	}
	return ticks + s + ticks
}

// text returns all text below a node.
func text(n *xhtml.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == xhtml.TextNode {
			b.WriteString(d.Data)
		} else if d.DataAtom == atom.Br {
			b.WriteString("\n")
		}
	}
	if n.Type == xhtml.TextNode {
		return n.Data
	}
	return b.String()
}

// Text returns the text of a piece of HTML, with entities decoded.
func Text(src string) string {
	nodes, err := xhtml.ParseFragment(strings.NewReader(src), &xhtml.Node{Type: xhtml.ElementNode, Data: "body", DataAtom: atom.Body})
	if err != nil {
		return src
	}
	var b strings.Builder
	for _, n := range nodes {
		b.WriteString(text(n))
	}
	return b.String()
}

func find(n *xhtml.Node, a atom.Atom) *xhtml.Node {
	for d := range n.Descendants() {
		if d.DataAtom == a {
			return d
		}
	}
	return nil
}

func attr(n *xhtml.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
