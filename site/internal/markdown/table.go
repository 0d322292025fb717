package markdown

import (
	"bytes"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// tableParser limits the columns of tables. Goldmark fills short rows with empty cells, so a wide
// header makes every row large.
type tableParser struct{ parser.ParagraphTransformer }

// Transform implements parser.ParagraphTransformer.
func (t tableParser) Transform(node *ast.Paragraph, reader text.Reader, pc parser.Context) {
	if node.Lines().Len() > 1 {
		line := node.Lines().At(1)
		if value := line.Value(reader.Source()); isDelimiter(value) && bytes.Count(value, []byte("|")) > maxColumns+1 {
			if st, ok := pc.Get(stateKey).(*state); ok {
				st.errorAt(line.Start, "a table has at most %d columns", maxColumns)
			}
			return
		}
	}
	t.ParagraphTransformer.Transform(node, reader, pc)
}

// isDelimiter reports whether a line can be the delimiter row below a table's header.
func isDelimiter(line []byte) bool { return len(bytes.Trim(line, "|-: \t\n")) == 0 }

// escapedPipe is the escape for | in a table cell. GFM removes the backslash before it parses the
// cell, also in code, HTML and bare links, which have no other escapes. Goldmark removes it in text
// only.
var escapedPipe = []byte(`\|`)

// withoutPipeEscapes removes the backslashes before | from parts of a cell.
func withoutPipeEscapes(parts []text.Segment, src []byte) []text.Segment {
	var out []text.Segment
	for _, p := range parts {
		for i := bytes.Index(src[p.Start:p.Stop], escapedPipe); i >= 0; i = bytes.Index(src[p.Start:p.Stop], escapedPipe) {
			out = append(out, p.WithStop(p.Start+i))
			p = text.NewSegment(p.Start+i+1, p.Stop)
		}
		out = append(out, p)
	}
	return out
}

// unescapePipesInCode is withoutPipeEscapes for a code span.
func unescapePipesInCode(code *ast.CodeSpan, src []byte) {
	for c := code.FirstChild(); c != nil; {
		next := c.NextSibling()
		t, ok := c.(*ast.Text)
		if ok && bytes.Contains(t.Value(src), escapedPipe) {
			for _, part := range withoutPipeEscapes([]text.Segment{t.Segment}, src) {
				code.InsertBefore(code, c, ast.NewRawTextSegment(part))
			}
			code.RemoveChild(code, c)
		}
		c = next
	}
}

// linkWithoutPipeEscapes is withoutPipeEscapes for a bare link.
func linkWithoutPipeEscapes(n *ast.AutoLink, src []byte) *inlineFinished {
	clean := func(b []byte) []byte { return bytes.ReplaceAll(b, escapedPipe, escapedPipe[1:]) }
	url, label := clean(n.URL(src)), string(clean(n.Label(src)))
	href := util.EscapeHTML(util.URLEscape(url, false))
	return &inlineFinished{html: `<a href="` + string(href) + `">` + escape(label) + "</a>", plain: label}
}
