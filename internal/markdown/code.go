package markdown

import (
	"bytes"
	"fmt"

	"labd/internal/highlight"
)

// codeBlock returns a block's HTML.
func (r *Renderer) codeBlock(st *state, in Info, code []byte) []byte {
	var b bytes.Buffer
	labels := st.req.Labels
	id := fmt.Sprintf("%sblock-%d", st.req.IDPrefix, len(st.page.Blocks))
	b.WriteString(`<div class="code`)
	if in.Lang == "console" {
		b.WriteString(` console`)
	}
	b.WriteByte('"')
	if in.Run {
		node := in.Node
		if node == "" {
			node = st.req.Node
		}
		fmt.Fprintf(&b, ` data-run data-node="%s"`, escape(node))
	}
	if in.Save != "" {
		fmt.Fprintf(&b, ` data-save="%s"`, escape(in.Save))
	}
	if in.Run || in.Save != "" {
		fmt.Fprintf(&b, ` data-block="%s"`, escape(id))
	}
	b.WriteByte('>')
	title := in.Title
	if title == "" && in.Save != "" {
		title = in.Save
	}
	if title != "" {
		fmt.Fprintf(&b, `<div class="code-title">%s</div>`, escape(title))
	}
	b.WriteString(`<pre tabindex="0"><code`)
	if in.Lang != "" {
		fmt.Fprintf(&b, ` class="language-%s"`, escape(in.Lang))
	}
	b.WriteByte('>')
	b.WriteString(r.code.HTML(highlight.Block{
		Lang: in.Lang, Code: code, Numbers: in.Numbers, Marked: in.Marked, Variables: st.req.Variables, Variable: variableSpan,
	}))
	b.WriteString("</code></pre>")
	if in.copies() {
		fmt.Fprintf(&b, `<button type="button" class="copy" data-copy hidden>%s</button>`, escape(labels.Copy))
	}
	b.WriteString("</div>\n")
	return b.Bytes()
}

// copies says whether a block has a copy button: pictures made of text have none unless it is asked for.
func (in Info) copies() bool {
	if in.Copy || in.Run || in.Save != "" {
		return true
	}
	return !in.NoCopy && !highlight.Plain(in.Lang)
}
