package markdown

import (
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"

	"github.com/labd-dev/labd/site/internal/rawhtml"
)

// rawHTML returns what becomes of HTML that the author wrote, and its words. It is shown as text, or
// passed on if the course allows it. Comments are left out.
func (st *state) rawHTML(parts []text.Segment, at int) (out, words string) {
	written := join(parts, st.req.Text)
	if !st.req.HTML {
		shown := rawhtml.WithoutComments(string(written))
		if strings.TrimSpace(shown) == "" {
			return "", ""
		}
		st.warnAt(at, "HTML is shown as text; put it in back-ticks if that is meant, or use Markdown")
		return escape(shown), ""
	}
	r := rawhtml.Read(written)
	for _, p := range r.Problems {
		st.warnAt(locate(parts, p.At, at), "%s", p.Text)
	}
	if strings.TrimSpace(r.HTML) == "" {
		return "", ""
	}
	return r.HTML, r.Words
}

// blockHTML is rawHTML for lines of HTML.
func (st *state) blockHTML(n *ast.HTMLBlock) []byte {
	parts := slices.Clone(n.Lines().Sliced(0, n.Lines().Len()))
	if n.HasClosure() {
		parts = append(parts, n.ClosureLine)
	}
	out, words := st.rawHTML(parts, offsetOf(n))
	st.words.WriteString(words)
	if out != "" && !st.req.HTML {
		out = "<p>" + out + "</p>\n"
	}
	return []byte(out)
}

// join returns what the parts of src are together.
func join(parts []text.Segment, src []byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, src[p.Start:max(p.Start, p.Stop)]...)
	}
	return b
}

// locate returns where in the source an offset of the joined parts is; or at, if there are none.
func locate(parts []text.Segment, offset, at int) int {
	for _, p := range parts {
		if n := max(0, p.Stop-p.Start); offset > n {
			offset -= n
			continue
		}
		return p.Start + offset
	}
	return at
}
