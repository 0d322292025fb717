package page

import (
	"bytes"
	"html/template"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// printFolder is where below a module its lessons are on one page, to be printed.
const printFolder = "print/"

// maxPrinted is how many lessons a module may have to be printed as a whole.
const maxPrinted = 100

// printPage is a module with all its lessons on one page. Every id on it begins with its lesson's name, and links between
// these lessons stay on the page.
func (m *Maker) printPage(lang string, s *course.Module) *draft {
	p := m.begin("print", lang, s.Path()+printFolder)
	m.setCourse(p, m.model.CourseOf(s))
	v := &printView{frame: &p.frame, lead: &p.lead, body: &p.body, PrintURL: m.URL(lang, s.Path())}
	p.view = v
	p.Title = m.moduleTitle(s, lang)
	p.NoIndex = true
	inside := map[string]string{} // the start of the ids of a lesson, by its address
	for _, e := range s.Lessons {
		inside[m.URL(lang, e.Path())] = e.Slug
	}
	// Mistakes are reported by the lessons' own pages.
	var ignored source.List
	if t := m.model.Pick(s.Texts, lang); t != nil {
		p.Summary = t.Summary
		p.ContentLang = t.Lang
		p.Body = m.printText(p, t, "intro", inside, &ignored)
	}
	for _, e := range s.Lessons {
		t := m.model.Pick(e.Texts, lang)
		part := printPart{ID: e.Slug, Title: t.Title, Summary: t.Summary, Lang: t.Lang}
		part.Body = m.printText(p, t, e.Slug, inside, &ignored)
		v.Parts = append(v.Parts, part)
	}
	return p
}

// printText renders a text for paper: headings go one level down, below the lesson's title, and what is folded away on a
// screen is open.
func (m *Maker) printText(p *draft, t *course.Text, slug string, inside map[string]string, errs *source.List) template.HTML {
	req := m.request(p, t, errs)
	req.IDPrefix = slug + "--"
	req.Resolve = onPage(req.Resolve, slug, inside)
	req.Include = including(req.Include, slug, inside)
	out := m.opts.Renderer.Render(req, errs)
	p.includes = append(p.includes, out.Includes...)
	return template.HTML(forPaper(out.HTML)) // made by package markdown
}

// forPaper moves headings one level down, below the title of the lesson, and opens what is folded.
func forPaper(html []byte) string {
	var b strings.Builder
	b.Grow(len(html) + 64)
	rest := html
	for {
		i := bytes.IndexByte(rest, '<')
		if i < 0 {
			b.Write(rest)
			return b.String()
		}
		tag := i + 1
		if tag < len(rest) && rest[tag] == '/' {
			tag++
		}
		b.Write(rest[:tag])
		rest = rest[tag:]
		switch {
		case len(rest) > 1 && rest[0] == 'h' && rest[1] >= '2' && rest[1] <= '5':
			b.WriteByte('h')
			b.WriteByte(rest[1] + 1)
			rest = rest[2:]
		case bytes.HasPrefix(rest, []byte("details")) && html[len(html)-len(rest)-1] == '<':
			b.WriteString("details open")
			rest = rest[len("details"):]
		}
	}
}

// onPage turns links to what is on the page as well into links within it.
func onPage(resolve func(string, bool) (string, error), slug string, inside map[string]string) func(string, bool) (string, error) {
	return func(target string, image bool) (string, error) {
		if anchor, ok := strings.CutPrefix(target, "#"); ok && anchor != "" {
			return "#" + slug + "--" + anchor, nil
		}
		url, err := resolve(target, image)
		if err != nil || image {
			return url, err
		}
		page, anchor, _ := strings.Cut(url, "#")
		to, ok := inside[page]
		switch {
		case !ok:
			return url, nil
		case anchor == "":
			return "#" + to, nil
		}
		return "#" + to + "--" + anchor, nil
	}
}

// including does the same for texts that a text takes in.
func including(include func(string) (markdown.Included, error), slug string, inside map[string]string) func(string) (markdown.Included, error) {
	return func(target string) (markdown.Included, error) {
		inc, err := include(target)
		if inc.Resolve != nil {
			inc.Resolve = onPage(inc.Resolve, slug, inside)
		}
		if inc.Include != nil {
			inc.Include = including(inc.Include, slug, inside)
		}
		return inc, err
	}
}

// printed says whether a module has a page to be printed.
func printed(s *course.Module) bool { return len(s.Lessons) > 0 && len(s.Lessons) <= maxPrinted }
