package page

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"
	"sync"

	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/i18n"
)

// maxNavLessons is how many lessons a course may have for its sidebar to list all of them. In a
// larger course, only the current module is open.
const maxNavLessons = 120

// mark is the placeholder in each link of the sidebar for aria-current="page".
const mark = ` data-mark=""`

type navModule struct {
	link
	Part    string // heading above it
	Open    bool
	Lessons []navLesson
}

type navLesson struct {
	link
	Part string // heading above it
}

// sidebarView is what the template of the sidebar sees.
type sidebarView struct {
	T      *i18n.Words
	Nav    []navModule
	Others []link // pages that are in no module
}

// sidebar is the rendered sidebar of a module. The pages of a module differ only in which link is
// the current page, so it is rendered once and split at the placeholders. In a large course, the
// sidebar is most of a page's size.
type sidebar struct {
	parts []string
	at    map[string]int // by URL: the part that ends at its placeholder
}

// nav returns the modules of a course, with the lessons of those that are open.
func (m *Maker) nav(lang string, c *course.Course, module string) []navModule {
	full := len(c.Lessons) <= maxNavLessons
	var nav []navModule
	parts := m.moduleParts(c, lang)
	for i, s := range c.Modules {
		n := navModule{link: link{URL: m.URL(lang, s.Path()), Title: m.moduleTitle(s, lang)}, Part: parts[i], Open: s.Slug == module}
		if full || n.Open {
			parts := m.lessonParts(s, lang)
			for i, e := range s.Lessons {
				n.Lessons = append(n.Lessons, navLesson{Part: parts[i], link: link{URL: m.URL(lang, e.Path()), Title: m.model.Pick(e.Texts, lang).Title, Note: m.model.Pick(e.Texts, lang).Lab}})
			}
		}
		nav = append(nav, n)
	}
	return nav
}

// sidebars caches sidebars by language, course and module. The module is "" for pages in none.
type sidebars struct {
	mu   sync.Mutex
	made map[[3]string]*sidebar // guarded by mu
}

func newSidebars() *sidebars { return &sidebars{made: map[[3]string]*sidebar{}} }

func (m *Maker) renderSidebar(lang string, c *course.Course, module string) (*sidebar, error) {
	data := sidebarView{T: m.words(lang), Nav: m.nav(lang, c, module)}
	if len(m.model.Labs) > 0 {
		data.Others = append(data.Others, link{URL: m.URL(lang, "labs/"), Title: data.T.AllLabs})
	}
	if len(m.model.Glossary) > 0 {
		data.Others = append(data.Others, link{URL: m.URL(lang, "glossary/"), Title: data.T.Glossary})
	}
	var buf bytes.Buffer
	if err := m.tmpl.sidebar(&buf, data); err != nil {
		return nil, fmt.Errorf("rendering the sidebar: %w", err)
	}
	s := &sidebar{parts: strings.Split(buf.String(), mark), at: map[string]int{}}
	n := 0
	for _, part := range data.Nav {
		s.at[part.URL] = n
		n++
		for _, l := range part.Lessons {
			s.at[l.URL] = n
			n++
		}
	}
	for _, l := range data.Others {
		s.at[l.URL] = n
		n++
	}
	if len(s.parts) != n+1 {
		return nil, fmt.Errorf("the sidebar has %d links but %d placeholders", n, len(s.parts)-1)
	}
	return s, nil
}

// setSidebar gives a page the sidebar of a module of its course.
func (m *Maker) setSidebar(p *draft, module string) {
	p.HasSidebar = true
	p.sidebar = func() (template.HTML, error) {
		s, err := m.sidebarOf(p.Lang, p.course, module)
		if err != nil {
			return "", err
		}
		return s.markedAt(p.URL), nil
	}
}

// sidebarOf returns a sidebar from the cache, or renders it.
func (m *Maker) sidebarOf(lang string, c *course.Course, module string) (*sidebar, error) {
	m.sidebars.mu.Lock()
	defer m.sidebars.mu.Unlock()
	key := [3]string{lang, c.Slug, module}
	s := m.sidebars.made[key]
	if s == nil {
		var err error
		if s, err = m.renderSidebar(lang, c, module); err != nil {
			return nil, err
		}
		m.sidebars.made[key] = s
	}
	return s, nil
}

// markedAt returns the HTML of the sidebar on the page with this URL.
func (s *sidebar) markedAt(url string) template.HTML {
	current, ok := s.at[url]
	if !ok {
		current = len(s.parts)
	}
	var out strings.Builder
	for i, part := range s.parts {
		out.WriteString(part)
		if i == current {
			out.WriteString(` aria-current="page"`)
		}
	}
	return template.HTML(out.String()) // made by a template
}
