package page

import (
	"bytes"
	"html/template"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/markdown"
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
	return template.HTML(forPaper(prefixIDs(out.HTML, prefix))) // made by package markdown
}

// idRefs are the attributes of HTML whose value is an id on the same page, or several with spaces
// between.
var idRefs = map[string]bool{
	"for": true, "headers": true, "list": true, "form": true, "popovertarget": true,
	"aria-labelledby": true, "aria-describedby": true, "aria-controls": true, "aria-owns": true, "aria-details": true,
}

// prefixIDs gives the prefix to ids that lack it, and to what refers to them within the text.
// Package markdown prefixes the ids that it makes. Those that an author wrote, as {#id} or in HTML,
// are prefixed here: other lessons on the page may have them too.
func prefixIDs(text []byte, prefix string) []byte {
	// Most texts have no such id. Two counts tell them without parsing.
	if bytes.Count(text, []byte(" id=")) == bytes.Count(text, []byte(` id="`+prefix)) {
		return text
	}
	lack := map[string]bool{}
	eachTag(text, func(tag html.Token, _ []byte) {
		for _, a := range tag.Attr {
			if a.Key == "id" && !strings.HasPrefix(a.Val, prefix) {
				lack[a.Val] = true
			}
		}
	}, nil)
	var out bytes.Buffer
	out.Grow(len(text) + 1<<10)
	eachTag(text, func(tag html.Token, raw []byte) {
		changed := false
		for i, a := range tag.Attr {
			val := a.Val
			switch {
			case a.Key == "id" && lack[val]:
				val = prefix + val
			case a.Key == "href" && strings.HasPrefix(val, "#") && lack[val[1:]]:
				val = "#" + prefix + val[1:]
			case idRefs[a.Key]:
				ids := strings.Fields(val)
				for i, id := range ids {
					if lack[id] {
						ids[i] = prefix + id
					}
				}
				val = strings.Join(ids, " ")
			}
			changed = changed || val != a.Val
			tag.Attr[i].Val = val
		}
		if changed {
			out.WriteString(tag.String())
		} else {
			out.Write(raw)
		}
	}, func(raw []byte) { out.Write(raw) })
	return out.Bytes()
}

// eachTag calls tag for every start tag of a text, and other, if it is not nil, for everything
// between.
func eachTag(text []byte, tag func(t html.Token, raw []byte), other func(raw []byte)) {
	z := html.NewTokenizer(bytes.NewReader(text))
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			if other != nil {
				other(z.Raw())
			}
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			raw := slices.Clone(z.Raw()) // reading the token changes it
			tag(z.Token(), raw)
		default:
			if other != nil {
				other(z.Raw())
			}
		}
	}
}

// forPaper moves headings one level down, below the title of the lesson, and opens what is folded.
func forPaper(text []byte) string {
	var b strings.Builder
	b.Grow(len(text) + 64)
	rest := text
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
		case bytes.HasPrefix(rest, []byte("details")) && text[len(text)-len(rest)-1] == '<':
			b.WriteString("details open")
			rest = rest[len("details"):]
		}
	}
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
