package markdown

import (
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"

	"github.com/labd-dev/labd/site/internal/rawhtml"
)

// rawHTML returns what becomes of HTML that the author wrote: text to be seen, or, if the course allows it, HTML. Comments
// are left out.
func (st *state) rawHTML(parts []text.Segment, at int) string {
	raw := rawhtml.WithoutComments(string(join(parts, st.req.Text)))
	if strings.TrimSpace(raw) == "" {
		return ""
	}
	if !st.req.HTML {
		st.warnAt(at, "HTML is shown as text; put it in back-ticks if that is meant, or use Markdown")
		return escape(raw)
	}
	// Comments move what follows them, so tags are looked for in what was written.
	for _, t := range rawhtml.Tags(string(join(parts, st.req.Text))) {
		for _, problem := range t.Problems() {
			st.warnAt(locate(parts, t.At, at), "%s", problem)
		}
	}
	return raw
}

// blockHTML is rawHTML for lines of HTML.
func (st *state) blockHTML(n *ast.HTMLBlock) []byte {
	parts := slices.Clone(n.Lines().Sliced(0, n.Lines().Len()))
	if n.HasClosure() {
		parts = append(parts, n.ClosureLine)
	}
	out := st.rawHTML(parts, offsetOf(n))
	if st.req.HTML {
		st.words.WriteString(rawhtml.Words(out))
		return []byte(out)
	}
	if out != "" {
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
