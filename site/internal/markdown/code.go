package markdown

import (
	"cmp"
	"strconv"

	"github.com/labd-dev/labd/internal/fence"
	"github.com/labd-dev/labd/site/internal/highlight"
)

// codeBlock returns the HTML of a code block.
func (r *Renderer) codeBlock(st *state, in fence.Info, code []byte) []byte {
	b := make([]byte, 0, 300+4*len(code))
	add := func(parts ...string) {
		for _, p := range parts {
			b = append(b, p...)
		}
	}
	add(`<div class="code`)
	if in.Lang == "console" {
		add(` console`)
	}
	add(`"`)
	if in.Run {
		add(` data-run data-node="`, escape(cmp.Or(in.Node, st.req.Node)), `"`)
	}
	if in.Save != "" {
		add(` data-save="`, escape(in.Save), `"`)
	}
	if in.Run || in.Save != "" {
		add(` data-block="`, escape(st.req.IDPrefix), "block-", strconv.Itoa(st.page.Blocks), `"`)
	}
	add(">")
	if title := cmp.Or(in.Title, in.Save); title != "" {
		add(`<div class="code-title">`, escape(title), "</div>")
	}
	add(`<pre tabindex="0"><code`)
	if in.Lang != "" {
		add(` class="language-`, escape(in.Lang), `"`)
	}
	add(">")
	marked := make([]highlight.Range, len(in.Marked))
	for i, r := range in.Marked {
		marked[i] = highlight.Range(r)
	}
	variables := st.req.Variables
	if in.File != "" { // files are shown unchanged
		variables = nil
	}
	b = r.code.Append(b, highlight.Block{
		Lang: in.Lang, Code: code, Numbers: in.Numbers, Marked: marked, Variables: variables, Variable: variableSpan,
	})
	add("</code></pre>")
	if copies(in) {
		add(`<button type="button" class="copy" data-copy hidden>`, escape(st.req.Labels.Copy), "</button>")
	}
	add("</div>\n")
	return b
}

// copies reports whether a block has a copy button. Plain text is often ASCII art, so it has one
// only on request.
func copies(in fence.Info) bool {
	if in.Copy || in.Run || in.Save != "" {
		return true
	}
	return !in.NoCopy && !highlight.Plain(in.Lang)
}
