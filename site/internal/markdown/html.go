package markdown

import (
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"

	"github.com/labd-dev/labd/site/internal/rawhtml"
)

// rawHTML returns the output for HTML that the author wrote, and its plain text. The HTML is shown
// as text, or passed through if the course allows HTML. Comments are removed.
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

// blockHTML is rawHTML for an HTML block.
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

// join concatenates parts of src.
func join(parts []text.Segment, src []byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, src[p.Start:max(p.Start, p.Stop)]...)
	}
	return b
}

// locate converts an offset in the joined parts to an offset in the text. It returns at if there
// are no parts.
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
