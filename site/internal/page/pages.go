package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
)

// Job is one page to make.
type Job struct {
	File string       // in the site
	Kind string       // of the page, if files of one name can be of several kinds
	Text *course.Text // its body, and all that is known of it; nil if it has none
	Lab  *lab.Lab     // that it shows
	Copy bool         // it shows only what other pages show: there is nothing to find out about it
	view func(m *Maker, errs *source.List) *view
}

// Plan lists every page of the site, in a fixed order.
func (m *Maker) Plan() []Job {
	n := 0
	for _, c := range m.model.Courses {
		n += 1 + 2*len(c.Modules) + len(c.Lessons)
	}
	jobs := make([]Job, 0, len(m.model.Langs)*(n+len(m.model.Labs)+8))
	add := func(file string, view func(m *Maker, errs *source.List) *view) {
		jobs = append(jobs, Job{File: file, view: view})
	}
	show := func(file string, t *course.Text, view func(m *Maker, errs *source.List) *view) {
		jobs = append(jobs, Job{File: file, Text: t, view: view})
	}
	for _, lang := range m.model.Langs {
		pre := course.LangPrefix(lang, m.opts.DefaultLang)
		show(pre+"index.html", m.model.Pick(m.model.Main().Texts, lang), func(m *Maker, errs *source.List) *view { return m.homePage(lang, errs) })
		add(pre+"search/index.html", func(m *Maker, _ *source.List) *view { return m.searchPage(lang) })
		add(pre+OfflineFolder+"index.html", func(m *Maker, _ *source.List) *view { return m.offlinePage(lang) })
		add(pre+"404.html", func(m *Maker, _ *source.List) *view { return m.notFoundPage(lang) })
		for _, c := range m.model.Courses {
			if c != m.model.Main() {
				jobs = append(jobs, Job{File: pre + c.Path() + "index.html", Kind: "course", Text: m.model.Pick(c.Texts, lang),
					view: func(m *Maker, errs *source.List) *view { return m.coursePage(lang, c, errs) }})
			}
			for _, sec := range c.Modules {
				jobs = append(jobs, m.moduleJob(lang, sec))
			}
			for i := range c.Lessons {
				jobs = append(jobs, m.lessonJob(lang, c.Lessons, i))
			}
			jobs = append(jobs, m.printPlan(lang, c)...)
		}
		if len(m.model.Labs) > 0 {
			add(pre+"labs/index.html", func(m *Maker, _ *source.List) *view { return m.labsPage(lang) })
		}
		// A page of tags exists in every language if it does in one, so that the language can be switched on it.
		if m.model.Tagged() {
			add(pre+"tags/index.html", func(m *Maker, _ *source.List) *view { return m.tagsPage(lang) })
		}
		for _, t := range m.tags()[lang] {
			add(pre+"tags/"+t.slug+"/index.html", func(m *Maker, _ *source.List) *view { return m.tagPage(lang, t) })
		}
		if len(m.model.Glossary) > 0 {
			show(pre+"glossary/index.html", m.model.Pick(m.model.Glossary, lang), func(m *Maker, errs *source.List) *view { return m.glossaryPage(lang, errs) })
		}
		for i, l := range m.model.Labs {
			jobs = append(jobs, Job{File: pre + "labs/" + l.ID + "/index.html", Lab: l,
				view: func(m *Maker, errs *source.List) *view { return m.labPage(lang, l, i, errs) }})
		}
	}
	return jobs
}

func (m *Maker) moduleJob(lang string, s *course.Module) Job {
	return Job{File: course.LangPrefix(lang, m.opts.DefaultLang) + s.Path() + "index.html", Kind: "module", Text: m.model.Pick(s.Texts, lang),
		view: func(m *Maker, errs *source.List) *view { return m.modulePage(lang, s, errs) }}
}

func (m *Maker) lessonJob(lang string, order []*course.Lesson, i int) Job {
	return Job{File: course.LangPrefix(lang, m.opts.DefaultLang) + order[i].Path() + "index.html", Kind: "lesson", Text: m.model.Pick(order[i].Texts, lang),
		view: func(m *Maker, errs *source.List) *view { return m.lessonPage(lang, order, i, errs) }}
}

// Find is the job of Plan that makes a file, if that is the page of a lesson or a module: so it can be had before there is a plan of
// the whole site.
func (m *Maker) Find(file string) (Job, bool) {
	rel, ok := strings.CutSuffix(file, "index.html")
	if !ok {
		return Job{}, false
	}
	lang := m.opts.DefaultLang
	if l, rest, ok := strings.Cut(rel, "/"); ok && l != lang && slices.Contains(m.model.Langs, l) {
		lang, rel = l, rest
	}
	if s := m.model.Module(rel); s != nil {
		return m.moduleJob(lang, s), true
	}
	if e := m.model.Lesson(rel); e != nil {
		order := m.model.CourseOf(e.Module).Lessons
		return m.lessonJob(lang, order, slices.Index(order, e)), true
	}
	return Job{}, false
}

func (m *Maker) homePage(lang string, errs *source.List) *view {
	p := m.view("home", lang, "")
	p.Title = p.SiteTitle
	if t := m.model.Pick(m.model.Main().Texts, lang); t != nil {
		p.Summary = t.Summary
		m.setBody(p, t, errs)
	}
	m.listModules(p, m.model.Main())
	for _, c := range m.model.Courses[1:] {
		card := courseCard{link: link{URL: m.URL(lang, c.Path()), Title: m.model.Title(c.Texts, lang, c.Slug)}}
		if t := m.model.Pick(c.Texts, lang); t != nil {
			card.Summary = t.Summary
		}
		card.Lessons = counted(len(c.Lessons), p.T.OneLesson, p.T.LessonsCount)
		p.Courses = append(p.Courses, card)
	}
	for _, l := range m.model.Labs {
		p.Labs = append(p.Labs, m.labCard(l, lang))
	}
	p.Preview = m.preview(lang)
	return p
}

// listModules lists the modules of a course on its page.
func (m *Maker) listModules(p *view, c *course.Course) {
	p.learning = &learning{kind: "Course"}
	n := 0
	parts := m.moduleParts(c, p.Lang)
	for i, s := range c.Modules {
		if i == 0 || parts[i] != "" {
			group := moduleGroup{ID: "modules-title", Title: cmp.Or(parts[i], p.T.AllLessons)}
			if i > 0 {
				group.ID = fmt.Sprintf("modules-title-%d", len(p.Modules)+1)
			}
			p.Modules = append(p.Modules, group)
		}
		card := moduleCard{link: link{URL: m.URL(p.Lang, s.Path()), Title: m.moduleTitle(s, p.Lang)}, Number: i + 1}
		if t := m.model.Pick(s.Texts, p.Lang); t != nil {
			card.Summary = t.Summary
		}
		for _, e := range s.Lessons {
			n++
			card.Lessons = append(card.Lessons, m.lessonCard(e, p.Lang, n))
		}
		group := &p.Modules[len(p.Modules)-1]
		group.Modules = append(group.Modules, card)
		p.learning.parts = append(p.learning.parts, card.link)
	}
}

// moduleParts are the headings over the modules of a course, lessonParts those over the lessons of a module.
func (m *Maker) moduleParts(c *course.Course, lang string) []string {
	texts := make([]course.Texts, len(c.Modules))
	for i, s := range c.Modules {
		texts[i] = s.Texts
	}
	return m.model.PartHeadings(texts, lang)
}

func (m *Maker) lessonParts(s *course.Module, lang string) []string {
	texts := make([]course.Texts, len(s.Lessons))
	for i, e := range s.Lessons {
		texts[i] = e.Texts
	}
	return m.model.PartHeadings(texts, lang)
}

// coursePage is the page of a further course.
func (m *Maker) coursePage(lang string, c *course.Course, errs *source.List) *view {
	p := m.view("course", lang, c.Path())
	m.setCourse(p, c)
	p.Title = m.model.Title(c.Texts, lang, c.Slug)
	if t := m.model.Pick(c.Texts, lang); t != nil {
		p.Summary = t.Summary
		m.setBody(p, t, errs)
		m.setOrigin(p, t)
	}
	p.Crumbs = []link{{URL: p.HomeURL, Title: p.SiteTitle}, {Title: p.Title, Current: true}}
	m.setSidebar(p, "")
	p.Meta = []string{counted(len(c.Lessons), p.T.OneLesson, p.T.LessonsCount)}
	m.listModules(p, c)
	return p
}

// searchPage is the page with the search field.
func (m *Maker) searchPage(lang string) *view {
	p := m.view("search", lang, SearchFolder)
	p.Title = p.T.Search
	p.Description = p.T.SearchHint
	p.Crumbs = []link{{URL: p.HomeURL, Title: p.SiteTitle}, {Title: p.T.Search, Current: true}}
	m.setSidebar(p, "")
	p.ExtraBundle = m.assets.search
	return p
}

func (m *Maker) notFoundPage(lang string) *view {
	p := m.view("notfound", lang, "")
	p.Title = p.T.NotFound
	p.Nav = m.nav(lang, p.course, "")
	return p
}

func (m *Maker) modulePage(lang string, s *course.Module, errs *source.List) *view {
	p := m.view("module", lang, s.Path())
	m.setCourse(p, m.model.CourseOf(s))
	p.Title = m.moduleTitle(s, lang)
	if t := m.model.Pick(s.Texts, lang); t != nil {
		p.Summary = t.Summary
		m.setBody(p, t, errs)
		m.setOrigin(p, t)
	}
	crumbs := m.crumbs(p)
	p.learning = &learning{kind: "Module", partOf: crumbs[len(crumbs)-1:], updated: m.updated(m.model.Pick(s.Texts, lang))}
	if printed(s) {
		p.PrintURL = p.URL + printFolder
	}
	p.Crumbs = append(crumbs, link{Title: p.Title, Current: true})
	m.setSidebar(p, s.Slug)
	p.Meta = []string{counted(len(s.Lessons), p.T.OneLesson, p.T.LessonsCount)}
	parts := m.lessonParts(s, lang)
	for i, e := range s.Lessons {
		if i == 0 || parts[i] != "" {
			p.Groups = append(p.Groups, lessonGroup{Title: parts[i]})
		}
		card, group := m.lessonCard(e, lang, i+1), &p.Groups[len(p.Groups)-1]
		group.Lessons = append(group.Lessons, card)
		p.learning.parts = append(p.learning.parts, card.link)
	}
	return p
}

func (m *Maker) lessonPage(lang string, order []*course.Lesson, i int, errs *source.List) *view {
	e := order[i]
	t := m.model.Pick(e.Texts, lang)
	p := m.view("lesson", lang, e.Path())
	m.setCourse(p, m.model.CourseOf(e.Module))
	p.Title, p.Summary, p.Draft = t.Title, t.Summary, t.Draft
	p.Tags = m.tagLinks(lang, t.Tags)
	m.setBody(p, t, errs)
	p.Site = m.assets.lesson(string(p.Body))
	m.setOrigin(p, t)
	p.PageID = e.Path()
	crumbs := append(m.crumbs(p), link{URL: m.URL(lang, e.Module.Path()), Title: m.moduleTitle(e.Module, lang)})
	p.Crumbs = append(crumbs, link{Title: p.Title, Current: true})
	m.setSidebar(p, e.Module.Slug)
	minutes := t.ReadingMinutes()
	p.Meta = append(p.Meta, fmt.Sprintf(p.T.Minutes, minutes))
	p.learning = &learning{
		kind: "Lesson", minutes: minutes, level: m.words("en").level(t.Level), authors: t.Authors, date: t.Date,
		updated: m.updated(t), partOf: crumbs[len(crumbs)-2:],
	}
	if level := p.T.level(t.Level); level != "" {
		p.Meta = append(p.Meta, level)
	}
	for _, other := range m.model.Before(e, t) {
		p.Before = append(p.Before, link{URL: m.URL(lang, other.Path()), Title: m.model.Pick(other.Texts, lang).Title})
	}
	if i > 0 {
		p.Prev = &link{URL: m.URL(lang, order[i-1].Path()), Title: m.model.Pick(order[i-1].Texts, lang).Title}
	}
	if i+1 < len(order) {
		p.Next = &link{URL: m.URL(lang, order[i+1].Path()), Title: m.model.Pick(order[i+1].Texts, lang).Title}
	}
	if l := m.model.LabByID[t.Lab]; l != nil {
		v := &labView{labCard: m.labCard(l, lang)}
		for _, s := range l.Steps {
			v.Toc = append(v.Toc, link{URL: v.URL + "#" + s.Anchor, Title: s.Title.For(lang), Note: s.Anchor})
		}
		p.Lab = v
		p.LabBundle = m.labBundle()
	}
	return p
}
