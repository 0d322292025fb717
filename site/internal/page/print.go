package page

import (
	"html/template"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/paper"
)

// printFolder is the address of a module's print page, below the module.
const printFolder = "print/"

// maxPrinted is how many lessons a module may have for a print page.
const maxPrinted = 100

// printPage has all lessons of a module. Every id on it begins with the prefix of its lesson, and
// links between these lessons stay on the page.
func (m *Maker) printPage(lang string, s *course.Module) *draft {
	p := m.begin("print", lang, s.Path()+printFolder)
	m.setCourse(p, m.model.CourseOf(s))
	v := &printView{frame: &p.frame, lead: &p.lead, body: &p.body, PrintURL: m.URL(lang, s.Path())}
	p.view = v
	p.Title = m.moduleTitle(s, lang)
	p.NoIndex = true
	inside := map[string]string{} // the prefix of a lesson's ids, by its address
	for _, e := range s.Lessons {
		inside[m.URL(lang, e.Path())] = printPrefix(e.Slug)
	}
	// The lessons' own pages report the mistakes.
	var ignored source.List
	if t := m.model.Pick(s.Texts, lang); t != nil {
		p.Summary = t.Summary
		p.ContentLang = t.Lang
		p.Body = m.printText(p, t, printPrefix(""), inside, &ignored)
	}
	for _, e := range s.Lessons {
		t := m.model.Pick(e.Texts, lang)
		part := printPart{ID: printPrefix(e.Slug), Title: t.Title, Summary: t.Summary, Lang: t.Lang}
		part.Body = m.printText(p, t, printPrefix(e.Slug), inside, &ignored)
		v.Parts = append(v.Parts, part)
	}
	return p
}

// printPrefix begins every id of a lesson on the page of its module, and is the id of the lesson
// itself. No id of a template ends in two hyphens. Without a slug it is the prefix of the module's
// own text.
func printPrefix(slug string) string { return slug + "--" }

// printText renders a text for paper: headings go one level down, below the lesson's title, and
// folded blocks are open.
func (m *Maker) printText(p *draft, t *course.Text, prefix string, inside map[string]string, errs *source.List) template.HTML {
	req := m.request(p, t, errs)
	req.IDPrefix = prefix
	req.Resolve = onPage(req.Resolve, prefix, inside)
	req.Include = including(req.Include, prefix, inside)
	out := m.opts.Renderer.Render(req, errs)
	p.includes = append(p.includes, out.Includes...)
	return template.HTML(paper.Prepare(out.HTML, prefix)) // made by package markdown
}

// onPage wraps a resolver: links to lessons on the print page become links within the page.
func onPage(resolve func(string, bool) (string, error), prefix string, inside map[string]string) func(string, bool) (string, error) {
	return func(target string, image bool) (string, error) {
		if anchor, ok := strings.CutPrefix(target, "#"); ok && anchor != "" {
			return "#" + prefix + anchor, nil
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
		return "#" + to + anchor, nil
	}
}

// including does the same for included texts.
func including(include func(string) (markdown.Included, error), prefix string, inside map[string]string) func(string) (markdown.Included, error) {
	return func(target string) (markdown.Included, error) {
		inc, err := include(target)
		if inc.Resolve != nil {
			inc.Resolve = onPage(inc.Resolve, prefix, inside)
		}
		if inc.Include != nil {
			inc.Include = including(inc.Include, prefix, inside)
		}
		return inc, err
	}
}

// printed reports whether a module has a print page.
func printed(s *course.Module) bool { return len(s.Lessons) > 0 && len(s.Lessons) <= maxPrinted }
