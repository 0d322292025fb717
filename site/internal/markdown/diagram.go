package markdown

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/yuin/goldmark/ast"

	"github.com/labd-dev/labd/internal/fence"
	"github.com/labd-dev/labd/internal/source"
)

// maxDiagramWidth is the width in pixels up to which text stays legible in a page's column.
const maxDiagramWidth = 1000

// diagram returns the HTML of a diagram, and adds its labels to the page's words.
func (r *Renderer) diagram(st *state, n *ast.FencedCodeBlock, at int, in fence.Info, text []byte) []byte {
	if in.Title == "" {
		st.errorAt(at, `a diagram needs a title: {title="What it shows" alt="The same in words"}`)
	}
	if in.Alt == "" {
		st.errorAt(at, `a diagram needs alt text: {alt="The client asks the engine, which …"}`)
	}
	if in.Run || in.Save != "" || in.Copy || in.NoCopy || in.Numbers > 0 || in.Marked != nil {
		st.errorAt(at, "a diagram has only title, alt, file, region and lines")
	}
	st.page.Blocks++
	picture, problems := r.draw.Make(string(text))
	for _, p := range problems {
		p.Msg += source.Suggest(p.Word, p.Known)
		if in.File == "" {
			st.errorAt(blockOffset(n, p.Offset), "%s", p.Msg)
			continue
		}
		line := 1 + bytes.Count(text[:min(p.Offset, len(text))], []byte("\n"))
		st.errorAt(at, "%s, line %d of what is shown: %s", in.File, line, p.Msg)
	}
	if picture == nil {
		return nil
	}
	if picture.Width > maxDiagramWidth {
		st.warnAt(at, "the diagram is %d pixels wide, so its words become small: leave out direction: right, or shorten labels", picture.Width)
	}
	for _, s := range append([]string{in.Title, in.Alt}, picture.Labels...) {
		st.words.WriteString(s)
		st.words.WriteByte('\n')
	}
	var b strings.Builder
	b.WriteString(`<figure class="diagram"><div class="diagram-view" tabindex="0">`)
	b.WriteString(picture.SVG(fmt.Sprintf("%sdiagram-%d", st.req.IDPrefix, st.page.Blocks), in.Title, in.Alt))
	b.WriteString(`</div><figcaption>` + escape(in.Title) + "</figcaption></figure>\n")
	return []byte(b.String())
}

// blockOffset converts an offset in a block's code to an offset in the text.
func blockOffset(n *ast.FencedCodeBlock, offset int) int {
	lines := n.Lines()
	for i := range lines.Len() {
		seg := lines.At(i)
		size := seg.Padding + seg.Stop - seg.Start
		if offset < size || i == lines.Len()-1 {
			return seg.Start + min(max(offset-seg.Padding, 0), seg.Stop-seg.Start)
		}
		offset -= size
	}
	return offsetOf(n)
}
