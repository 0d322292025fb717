package page

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/linkcheck"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// templateIDs are the ids that templates use, so headings can't have them.
var templateIDs = []string{
	"content", "courses-title", "lab-pane", "lab-start-title", "labs-title", "modules-title", "nav", "print-contents", "toc-title",
}

// TemplateIDs returns the ids that templates use, so headings can't have them.
func TemplateIDs() []string { return slices.Clone(templateIDs) }

// setBody renders a text of the content tree as the page's body.
func (m *Maker) setBody(p *draft, t *course.Text, errs *source.List) {
	if t.Lang != p.Lang {
		p.ContentLang = t.Lang
		p.Notice = fmt.Sprintf(p.T.Fallback, m.words(t.Lang).Name)
	}
	before := len(p.TOC)
	p.source = t
	p.Body = m.renderText(p, m.request(p, t, errs), errs)
	p.headings = slices.Clone(p.TOC[before:])
	p.TOC = slices.DeleteFunc(p.TOC[before:], func(h markdown.Heading) bool { return h.Level < 2 || h.Level > 3 })
}

// request returns the request for rendering a text of the content tree.
func (m *Maker) request(p *draft, t *course.Text, errs *source.List) markdown.Request {
	return markdown.Request{
		File: t.Doc.File, Line: t.Doc.BodyLine, Text: t.Doc.Body, Labels: p.T.Markdown,
		Resolve: m.resolver(p.Lang, t.Name), TermIDs: p.Kind == "text", Image: m.imagesOf(p, errs),
		Include: m.includer(p.Lang, t.Name), Taken: templateIDs, HTML: m.model.Config.HTML,
	}
}

// renderText renders req and collects its headings, links and warnings.
func (m *Maker) renderText(p *draft, req markdown.Request, errs *source.List) template.HTML {
	out := m.memo.Render(m.opts.Renderer, req, errs)
	p.warnings = append(p.warnings, out.Warnings...)
	p.sections = append(p.sections, out.Sections...)
	p.includes = append(p.includes, out.Includes...)
	for _, id := range out.IDs {
		if !p.addID(id.Name) {
			errs.Add(source.Placed(id.At, "the id %q is used twice on this page; give this heading its own: {#other-id}", id.Name))
		}
	}
	p.blocks += out.Blocks
	for _, l := range out.Links {
		if l.Image {
			p.images++
		}
		m.use(p, l.URL)
		m.linkFile(p, l, errs)
		if strings.HasPrefix(l.URL, "https://") || strings.HasPrefix(l.URL, "http://") {
			p.outside = append(p.outside, linkcheck.Link{URL: l.URL, At: &l.At})
		} else if !l.Image && strings.Contains(l.URL, "#") {
			p.anchors = append(p.anchors, Anchor{URL: l.URL, At: l.At})
		}
	}
	p.TOC = append(p.TOC, out.Headings...)
	return template.HTML(out.HTML) // safe: package markdown escapes what authors wrote
}

// addID records an id of the page and reports whether it is new.
func (p *draft) addID(id string) bool {
	p.ids = append(p.ids, id)
	if p.hasID == nil {
		p.hasID = map[string]bool{}
	}
	known := p.hasID[id]
	p.hasID[id] = true
	return !known
}

// use records that a page links to a file of the content tree, or shows it.
func (m *Maker) use(p *draft, url string) {
	if i := strings.IndexAny(url, "?#"); i >= 0 {
		url = url[:i]
	}
	if rel, ok := strings.CutPrefix(url, m.base); ok && m.files[rel] {
		p.used = append(p.used, rel)
	}
}

// usedBy returns the files that a page uses, to find unused ones: published files by their address,
// partials by their name.
func (m *Maker) usedBy(p *draft) []string {
	out := p.used
	for _, name := range p.includes {
		if _, ok := slices.BinarySearch(m.model.Partials, name); ok {
			out = append(out, name)
		}
	}
	return slices.Clip(out)
}
