package markdown

import (
	"bytes"
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/labd-dev/labd/internal/fence"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/highlight"
	"github.com/labd-dev/labd/site/internal/rawhtml"
)

// transformer walks the parsed tree once. It reports mistakes, collects headings and links, and
// renders the nodes that depend on the Request, because goldmark's renderers have no access to it.
type transformer struct{ r *Renderer }

// Transform implements parser.ASTTransformer.
func (t transformer) Transform(doc *ast.Document, reader text.Reader, pc parser.Context) {
	st, ok := pc.Get(stateKey).(*state)
	if !ok {
		return
	}
	src := reader.Source()
	if st.notes != "" {
		doc.AddMeta(prefixMeta, st.notes)
	}
	st.nameHeadings(doc, src)
	words := &st.words
	replace := map[ast.Node]ast.Node{}
	var unlink []ast.Node // links and images that are replaced by their text
	inCell := false       // of a table
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if n.Kind() == east.KindTableCell {
			inCell = entering
		}
		if !entering {
			if n.Type() == ast.TypeBlock {
				words.WriteByte('\n')
			}
			if n.Kind() == ast.KindHeading {
				st.begin = words.Len() // the heading itself is not part of the section's text
			}
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			st.endSection()
			h := t.heading(st, n, src)
			st.section = Section{ID: h.ID, Title: h.Text}
		case *ast.Blockquote:
			if c := t.callout(st, n, src); c != nil {
				replace[n] = c
			}
		case *east.DefinitionTerm:
			if st.req.TermIDs {
				st.term(n, src)
			}
		case *directive:
			st.directive(n)
			if n.name == "include" {
				replace[n] = t.include(st, n)
			}
		case *ast.Paragraph:
			if f := asFigure(n); f != nil {
				replace[n] = f
			}
		case *ast.FencedCodeBlock:
			replace[n] = t.fenced(st, n, src)
		case *ast.CodeBlock:
			replace[n] = &finished{html: t.r.codeBlock(st, fence.Info{}, linesOf(n, src))}
		case *formula:
			if !n.closed {
				st.errorAt(n.at, "the formula is not closed by $$")
			}
			html, text := t.r.formula(st, n.parts, true, n.at)
			words.WriteString(text)
			replace[n] = &finished{html: []byte(`<div class="formula">` + html + "</div>\n")}
		case *inlineFinished:
			words.WriteString(n.plain)
		case *ast.CodeSpan:
			if inCell {
				unescapePipesInCode(n, src)
			}
			plain(n, src, words)
			if len(st.req.Variables) > 0 {
				var code bytes.Buffer
				plain(n, src, &code)
				replace[n] = &inlineFinished{html: "<code>" + withVariables(escape(code.String()), st.req.Variables) + "</code>"}
			}
			return ast.WalkSkipChildren, nil
		case *ast.Text:
			if n.HardLineBreak() {
				trimBeforeBreak(n, src)
			}
			words.Write(n.Value(src))
			if n.SoftLineBreak() || n.HardLineBreak() {
				words.WriteByte('\n')
			}
			if n.SoftLineBreak() && joins(n, src) {
				n.SetSoftLineBreak(false)
			}
		case *ast.Link:
			url := t.link(st, n, src, n.Destination, false)
			if n.Destination = verbatim(url); url == "" {
				unlink = append(unlink, n)
			}
		case *ast.Image:
			url := t.link(st, n, src, n.Destination, true)
			if n.Destination = verbatim(url); url == "" {
				unlink = append(unlink, n)
			} else {
				st.image(n, url)
			}
		case *ast.AutoLink:
			words.Write(n.Label(src))
			if n.AutoLinkType == ast.AutoLinkURL && !rawhtml.AllowedScheme(string(n.URL(src))) {
				st.errorAt(offsetOf(n), "links may be relative, http, https, mailto or tel, not %q", n.URL(src))
				replace[n] = &inlineFinished{html: escape(string(n.Label(src)))}
			} else if inCell && bytes.Contains(n.Label(src), escapedPipe) {
				replace[n] = linkWithoutPipeEscapes(n, src)
			}
		case *ast.RawHTML:
			parts := n.Segments.Sliced(0, n.Segments.Len())
			if inCell {
				parts = withoutPipeEscapes(parts, src)
			}
			html, _ := st.rawHTML(parts, offsetOf(n))
			replace[n] = &inlineFinished{html: html}
		case *ast.HTMLBlock:
			replace[n] = &finished{html: st.blockHTML(n)}
		case *east.TaskCheckBox:
			replace[n] = &inlineFinished{html: checkbox(n.IsChecked, st.req.Labels)}
		case *east.Table:
			w := &tableBox{label: st.req.Labels.Table}
			replace[n] = w
		}
		return ast.WalkContinue, nil
	})
	for old, node := range replace {
		parent := old.Parent()
		if parent == nil {
			continue
		}
		if box, ok := node.(*tableBox); ok {
			parent.ReplaceChild(parent, old, box)
			box.AppendChild(box, old)
			continue
		}
		switch node.(type) {
		case *callout, *figure:
			for child := old.FirstChild(); child != nil; child = old.FirstChild() {
				node.AppendChild(node, child)
			}
		}
		parent.ReplaceChild(parent, old, node)
	}
	for _, n := range unlink {
		parent := n.Parent()
		for child := n.FirstChild(); child != nil; child = n.FirstChild() {
			parent.InsertBefore(parent, n, child)
		}
		parent.RemoveChild(parent, n)
	}
}

// nameHeadings gives every heading of a text an id. It reserves ids that the author sets first.
// Included texts get theirs later. So adding a heading or an include does not break existing links.
func (st *state) nameHeadings(doc *ast.Document, src []byte) {
	var unnamed []*ast.Heading
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			if id := idOf(n); id != "" {
				st.ids.used[id] = true
			} else {
				unnamed = append(unnamed, n)
			}
			return ast.WalkSkipChildren, nil
		case *ast.Paragraph, *ast.TextBlock:
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
	for _, h := range unnamed {
		h.SetAttributeString("id", []byte(st.ids.generate(titleForID(h, src))))
	}
}

func idOf(n *ast.Heading) string {
	v, _ := n.AttributeString("id")
	id, _ := v.([]byte)
	return string(id)
}

func (t transformer) heading(st *state, n *ast.Heading, src []byte) Heading {
	var title bytes.Buffer
	plain(n, src, &title)
	id := idOf(n)
	if id != "" && st.seen[id] {
		st.errorAt(offsetOf(n), "the id %q is used twice on this page; choose another one: {#other-id}", id)
	}
	st.seen[id] = true
	at := st.at(offsetOf(n))
	st.page.IDs = append(st.page.IDs, ID{Name: id, At: at})
	h := Heading{Level: n.Level, ID: id, Text: strings.TrimSpace(title.String()), At: at}
	st.page.Headings = append(st.page.Headings, h)
	return h
}

// titleForID returns the text from which an id is generated: the visible text, with the TeX source
// of formulas.
func titleForID(n ast.Node, src []byte) string {
	var b bytes.Buffer
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if f, ok := c.(*inlineFinished); ok && f.tex != "" {
			b.WriteString(f.tex)
			continue
		}
		plain(c, src, &b)
	}
	return b.String()
}

// term gives a term of a glossary an id.
func (st *state) term(n *east.DefinitionTerm, src []byte) {
	id := st.ids.generate(titleForID(n, src))
	n.SetAttributeString("id", []byte(id))
	st.seen[id] = true
	st.page.IDs = append(st.page.IDs, ID{Name: id, At: st.at(offsetOf(n))})
}

var (
	calloutLine  = regexp.MustCompile(`^\s*\[!([A-Za-z]+)\][ \t]*(.*?)\s*$`)
	calloutKinds = []string{"NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION"}
)

// callout returns a callout for a quote that begins with [!NOTE], without that line, otherwise nil.
func (t transformer) callout(st *state, q *ast.Blockquote, src []byte) *callout {
	p, ok := q.FirstChild().(*ast.Paragraph)
	if !ok || p.Lines().Len() == 0 {
		return nil
	}
	seg := p.Lines().At(0)
	m := calloutLine.FindSubmatch(seg.Value(src))
	if m == nil {
		return nil
	}
	kind := strings.ToLower(string(m[1]))
	labels := map[string]string{
		"note": st.req.Labels.Note, "tip": st.req.Labels.Tip, "important": st.req.Labels.Important,
		"warning": st.req.Labels.Warning, "caution": st.req.Labels.Caution,
	}
	title, ok := labels[kind]
	if !ok {
		hint := cmp.Or(source.DidYouMeanAs("[!%s]", strings.ToUpper(kind), calloutKinds), "; known: "+strings.Join(calloutKinds, ", "))
		st.errorAt(seg.Start, "unknown callout [!%s]%s", m[1], hint)
		return nil
	}
	if len(m[2]) > 0 {
		title = string(m[2])
	}
	for child := p.FirstChild(); child != nil; {
		next := child.NextSibling()
		if offsetOf(child) < seg.Stop {
			p.RemoveChild(p, child)
		}
		child = next
	}
	if p.FirstChild() == nil {
		q.RemoveChild(q, p)
	}
	return &callout{kind: kind, title: title}
}

func (t transformer) fenced(st *state, n *ast.FencedCodeBlock, src []byte) ast.Node {
	var in fence.Info
	at := offsetOf(n)
	if n.Info != nil {
		at = n.Info.Segment.Start
		var err error
		in, err = fence.Parse(string(n.Info.Segment.Value(src)))
		var unknown *fence.Error
		if errors.As(err, &unknown) {
			st.errorAt(at, "%v%s", err, source.Suggest(unknown.Key, unknown.Known))
		} else if err != nil {
			st.errorAt(at, "%v", err)
		}
	}
	if in.Node != "" && st.req.Nodes != nil && !slices.Contains(st.req.Nodes, in.Node) {
		st.errorAt(at, "no node %q here; there are: %s", in.Node, strings.Join(st.req.Nodes, ", "))
	}
	code := linesOf(n, src)
	if in.File != "" || in.Region != "" || in.Lines != nil {
		code = st.fileCode(at, &in, code)
	}
	written := unescape([]byte(in.Lang))
	in.Lang = highlight.Language(written, code)
	if in.Lang == "diagram" {
		return &finished{html: t.r.diagram(st, n, at, in, code)}
	}
	if in.Alt != "" {
		st.errorAt(at, "alt is only for diagrams")
	}
	st.code.Write(code)
	if st.reported > maxMistakes {
		in.Lang = "" // looking up an unknown language takes milliseconds
	} else if in.Lang != "" && !t.r.code.Known(in.Lang) {
		hint := "the block stays uncoloured"
		if near := source.Nearest(in.Lang, highlight.Common()); near != "" {
			hint = "did you mean " + near + "?"
		}
		st.warnAt(at, "unknown language %q: %s", written, hint)
	}
	st.page.Blocks++
	if n := len(st.page.Headings); n > 0 {
		st.page.Headings[n-1].Blocks++
	}
	return &finished{html: t.r.codeBlock(st, in, code)}
}

// link validates and resolves the target of a link or image. It returns "" if the target is not
// allowed.
func (t transformer) link(st *state, n ast.Node, src, dest []byte, image bool) string {
	target := unescape(dest)
	var alt bytes.Buffer
	plain(n, src, &alt)
	at := offsetOf(n)
	l := Link{Target: target, URL: target, Image: image, Alt: strings.TrimSpace(alt.String()), At: st.at(at)}
	if target == "" {
		st.errorAt(at, "the link has no target: [text](address)")
	} else if !rawhtml.AllowedScheme(target) {
		st.errorAt(at, "links may be relative, http, https, mailto or tel, not %q", target)
		l.URL = ""
	} else if st.req.Resolve != nil {
		resolved, err := st.req.Resolve(target, image)
		if err != nil {
			st.errorAt(at, "%v", err)
		} else {
			l.URL = resolved
		}
	}
	if n := len(st.page.Headings); n > 0 && image {
		st.page.Headings[n-1].Images++
	}
	if image && l.Alt == "" {
		st.errorAt(at, "the image has no alt text: ![alt text](%s)", target)
	}
	st.page.Links = append(st.page.Links, l)
	return l.URL
}

// unescape resolves backslash escapes, numeric references and entities.
func unescape(b []byte) string {
	return string(util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(b))))
}

var escapeAgain = strings.NewReplacer(`\`, `\\`, "&", "&amp;")

// verbatim encodes a URL as a link's destination. Goldmark's renderer resolves escapes and entities
// in destinations. Without encoding, "&#106;avascript:" would become a scheme after the check.
func verbatim(url string) []byte { return []byte(escapeAgain.Replace(url)) }

// image sets the attributes of an image: width and height prevent layout shifts, and all images but
// the first of the page load lazily.
func (st *state) image(n *ast.Image, url string) {
	if st.page.hasImage {
		n.SetAttributeString("loading", []byte("lazy"))
	}
	st.page.hasImage = true
	n.SetAttributeString("decoding", []byte("async"))
	if st.req.Image == nil {
		return
	}
	img, err := st.req.Image(url)
	if err != nil {
		st.errorAt(offsetOf(n), "%v", err)
		return
	}
	if img.URL != "" {
		n.Destination = verbatim(img.URL)
	}
	if img.Width > 0 && img.Height > 0 {
		n.SetAttributeString("width", []byte(strconv.Itoa(img.Width)))
		n.SetAttributeString("height", []byte(strconv.Itoa(img.Height)))
	}
	if img.SrcSet != "" {
		n.SetAttributeString("srcset", []byte(img.SrcSet))
		n.SetAttributeString("sizes", []byte(img.Sizes))
	}
}

// joins reports whether a line break is between two characters of a script without spaces. We do
// not use goldmark's extension, because it also removes breaks before code and links, even after
// Latin words.
func joins(n *ast.Text, src []byte) bool {
	last, _ := utf8.DecodeLastRune(textBeside(n, src, ast.Node.PreviousSibling))
	first, _ := utf8.DecodeRune(textBeside(n.NextSibling(), src, ast.Node.NextSibling))
	return unspaced(last) && unspaced(first)
}

// textBeside returns the text of the first non-empty node, starting at n. For code it returns
// nothing.
func textBeside(n ast.Node, src []byte, next func(ast.Node) ast.Node) []byte {
	var b bytes.Buffer
	for ; n != nil && b.Len() == 0; n = next(n) {
		if n.Kind() == ast.KindCodeSpan {
			return nil
		}
		if t, ok := n.(*ast.Text); ok {
			b.Write(bytes.TrimRight(t.Value(src), " "))
			continue
		}
		plain(n, src, &b)
	}
	return b.Bytes()
}

// trimBeforeBreak removes trailing spaces before a hard line break. Goldmark keeps them in the
// preceding node if an extension is triggered by spaces, as the one for bare links is. Spaces
// before a backslash are text.
func trimBeforeBreak(n *ast.Text, src []byte) {
	if stop := n.Segment.Stop; stop < len(src) && src[stop] == '\\' {
		return
	}
	n.Segment = n.Segment.TrimRightSpace(src)
	if p, ok := n.PreviousSibling().(*ast.Text); ok && n.Segment.IsEmpty() && !p.SoftLineBreak() && !p.HardLineBreak() {
		p.Segment = p.Segment.TrimRightSpace(src)
	}
}

func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r >= 0x3000 && r <= 0x303f || r >= 0xff00 && r <= 0xffef
}

// offsetOf returns the offset of a node in the text, as exactly as goldmark records it.
func offsetOf(n ast.Node) int {
	for m := n; m != nil; m = m.Parent() {
		switch m := m.(type) {
		case *ast.Text:
			return m.Segment.Start
		case *ast.RawHTML:
			if m.Segments.Len() > 0 {
				return m.Segments.At(0).Start
			}
		case *ast.FencedCodeBlock:
			if m.Info != nil {
				return m.Info.Segment.Start
			}
		}
		if pos := m.Pos(); pos >= 0 && m.Kind() != ast.KindDocument {
			return pos
		}
		if m.Type() == ast.TypeBlock && m.Lines() != nil && m.Lines().Len() > 0 {
			return m.Lines().At(0).Start
		}
		if c := m.FirstChild(); c != nil && m == n {
			if t, ok := c.(*ast.Text); ok {
				return t.Segment.Start
			}
		}
	}
	return 0
}

func linesOf(n ast.Node, src []byte) []byte {
	if lines := n.Lines(); lines.Len() > 0 && together(lines, src) {
		return src[lines.At(0).Start:lines.At(lines.Len()-1).Stop:lines.At(lines.Len()-1).Stop]
	}
	var b bytes.Buffer
	for i := range n.Lines().Len() {
		seg := n.Lines().At(i)
		b.Write(seg.Value(src))
	}
	return b.Bytes()
}

// together reports whether lines are contiguous in the text and unmodified.
func together(lines *text.Segments, src []byte) bool {
	for i := range lines.Len() {
		seg := lines.At(i)
		if seg.Padding > 0 || seg.Stop == seg.Start || src[seg.Stop-1] != '\n' || i > 0 && lines.At(i-1).Stop != seg.Start {
			return false
		}
	}
	return true
}

// plain writes the plain text of a node.
func plain(n ast.Node, src []byte, b *bytes.Buffer) {
	_ = ast.Walk(n, func(c ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch c := c.(type) {
		case *ast.Text:
			v := c.Value(src)
			if !c.IsRaw() {
				b.WriteString(unescape(v))
			} else {
				b.Write(v)
			}
			if c.SoftLineBreak() || c.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(c.Value)
		case *ast.AutoLink:
			b.Write(c.Label(src))
		case *inlineFinished:
			b.WriteString(c.plain)
		}
		return ast.WalkContinue, nil
	})
}
