package page

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/internal/static"
	"github.com/labd-dev/labd/site/internal/course"
)

func (m *Maker) homePage(lang string, errs *source.List) *draft {
	p := m.begin("home", lang, "")
	v := &homeView{frame: &p.frame, lead: &p.lead, body: &p.body, Save: p.save, Preview: m.preview(lang)}
	p.view = v
	p.Title = p.SiteTitle
	if t := m.model.Pick(m.model.Main().Texts, lang); t != nil {
		p.Summary = t.Summary
		m.setBody(p, t, errs)
	}
	v.Modules = m.listModules(p, m.model.Main())
	for _, c := range m.model.Courses[1:] {
		card := courseCard{link: link{URL: m.URL(lang, c.Path()), Title: m.model.Title(c.Texts, lang, c.Slug)}}
		if t := m.model.Pick(c.Texts, lang); t != nil {
			card.Summary = t.Summary
		}
		card.Lessons = counted(len(c.Lessons), p.T.OneLesson, p.T.LessonsCount)
		v.Courses = append(v.Courses, card)
	}
	for _, l := range m.model.Labs {
		v.Labs = append(v.Labs, m.labCard(l, lang))
	}
	p.below = counted(len(m.model.Lessons()), p.T.OneLesson, p.T.LessonsCount)
	return p
}

// listModules lists the modules of a course for the course's page, and describes the course to
// search engines.
func (m *Maker) listModules(p *draft, c *course.Course) []moduleGroup {
	p.learning = &learning{kind: "Course"}
	n := 0
	var groups []moduleGroup
	parts := m.moduleParts(c, p.Lang)
	for i, s := range c.Modules {
		if i == 0 || parts[i] != "" {
			group := moduleGroup{ID: "modules-title", Title: cmp.Or(parts[i], p.T.AllLessons)}
			if i > 0 {
				group.ID = fmt.Sprintf("modules-title-%d", len(groups)+1)
			}
			groups = append(groups, group)
		}
		card := moduleCard{link: link{URL: m.URL(p.Lang, s.Path()), Title: m.moduleTitle(s, p.Lang)}, Number: i + 1}
		if t := m.model.Pick(s.Texts, p.Lang); t != nil {
			card.Summary = t.Summary
		}
		for _, e := range s.Lessons {
			n++
			card.Lessons = append(card.Lessons, m.lessonCard(e, p.Lang, n))
		}
		group := &groups[len(groups)-1]
		group.Modules = append(group.Modules, card)
		p.learning.parts = append(p.learning.parts, card.link)
	}
	return groups
}

// moduleParts are the headings over the modules of a course, lessonParts those over the lessons of
// a module.
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
func (m *Maker) coursePage(lang string, c *course.Course, errs *source.List) *draft {
	p := m.begin("course", lang, c.Path())
	m.setCourse(p, c)
	v := &courseView{frame: &p.frame, lead: &p.lead, body: &p.body, navigation: &p.navigation, origin: &p.origin, Save: p.save}
	p.view = v
	p.Title = m.model.Title(c.Texts, lang, c.Slug)
	if t := m.model.Pick(c.Texts, lang); t != nil {
		p.Summary = t.Summary
		m.setBody(p, t, errs)
		m.setOrigin(p, t)
	}
	p.Crumbs = []link{p.home(), {Title: p.Title}}
	m.setSidebar(p, "")
	p.below = counted(len(c.Lessons), p.T.OneLesson, p.T.LessonsCount)
	v.Meta = []string{p.below}
	v.Modules = m.listModules(p, c)
	return p
}

// searchPage is the page with the search field.
func (m *Maker) searchPage(lang string) *draft {
	p := m.begin("search", lang, SearchFolder)
	p.view = &searchView{frame: &p.frame, navigation: &p.navigation}
	p.Title = p.T.Search
	p.Description = p.T.SearchHint
	p.Crumbs = []link{p.home(), {Title: p.T.Search}}
	m.setSidebar(p, "")
	p.ExtraBundle = m.assets.Search
	return p
}

func (m *Maker) notFoundPage(lang string) *draft {
	p := m.begin("notfound", lang, "")
	p.view = &notFoundView{frame: &p.frame, Nav: m.nav(lang, p.course, "")}
	p.Title = p.T.NotFound
	p.NoIndex = true
	return p
}

func (m *Maker) modulePage(lang string, s *course.Module, errs *source.List) *draft {
	p := m.begin("module", lang, s.Path())
	m.setCourse(p, m.model.CourseOf(s))
	v := &moduleView{frame: &p.frame, lead: &p.lead, body: &p.body, navigation: &p.navigation, origin: &p.origin}
	p.view = v
	p.Title = m.moduleTitle(s, lang)
	if t := m.model.Pick(s.Texts, lang); t != nil {
		p.Summary = t.Summary
		m.setBody(p, t, errs)
		m.setOrigin(p, t)
	}
	crumbs := m.crumbs(p)
	p.learning = &learning{kind: "Module", partOf: crumbs[len(crumbs)-1:], updated: m.updated(m.model.Pick(s.Texts, lang))}
	if printed(s) {
		v.PrintURL = p.URL + printFolder
	}
	p.Crumbs = append(crumbs, link{Title: p.Title})
	m.setSidebar(p, s.Slug)
	p.below = counted(len(s.Lessons), p.T.OneLesson, p.T.LessonsCount)
	v.Meta = []string{p.below}
	parts := m.lessonParts(s, lang)
	for i, e := range s.Lessons {
		if i == 0 || parts[i] != "" {
			v.Groups = append(v.Groups, lessonGroup{Title: parts[i]})
		}
		card, group := m.lessonCard(e, lang, i+1), &v.Groups[len(v.Groups)-1]
		group.Lessons = append(group.Lessons, card)
		p.learning.parts = append(p.learning.parts, card.link)
	}
	return p
}

func (m *Maker) moduleTitle(s *course.Module, lang string) string {
	return m.model.Title(s.Texts, lang, s.Slug)
}

func (m *Maker) lessonCard(e *course.Lesson, lang string, number int) lessonCard {
	t := m.model.Pick(e.Texts, lang)
	c := lessonCard{
		link:    link{URL: m.URL(lang, e.Path()), Title: t.Title},
		Summary: t.Summary, Lab: t.Lab, Number: number,
	}
	if t.Minutes > 0 {
		c.Minutes = fmt.Sprintf(m.words(lang).Minutes, t.Minutes)
	}
	return c
}

// lessonLink is a link to a lesson with its title.
func (m *Maker) lessonLink(e *course.Lesson, lang string) link {
	return link{URL: m.URL(lang, e.Path()), Title: m.model.Pick(e.Texts, lang).Title}
}

// lessonPage is the page of the i-th lesson of a course.
func (m *Maker) lessonPage(lang string, order []*course.Lesson, i int, errs *source.List) *draft {
	e := order[i]
	t := m.model.Pick(e.Texts, lang)
	p := m.begin("lesson", lang, e.Path())
	m.setCourse(p, m.model.CourseOf(e.Module))
	v := &lessonView{
		frame: &p.frame, lead: &p.lead, body: &p.body, navigation: &p.navigation, origin: &p.origin,
		Draft: t.Draft, Tags: m.tagLinks(lang, t.Tags),
	}
	p.view = v
	p.Title, p.Summary = t.Title, t.Summary
	m.setBody(p, t, errs)
	p.Site = m.assets.Lesson(string(p.Body))
	m.setOrigin(p, t)
	p.PageID = e.Path()
	crumbs := append(m.crumbs(p), link{URL: m.URL(lang, e.Module.Path()), Title: m.moduleTitle(e.Module, lang)})
	p.Crumbs = append(crumbs, link{Title: p.Title})
	m.setSidebar(p, e.Module.Slug)
	minutes := t.ReadingMinutes()
	p.learning = &learning{
		kind: "Lesson", minutes: minutes, level: m.words("en").LevelName(t.Level), authors: t.Authors, date: t.Date,
		updated: m.updated(t), partOf: crumbs[len(crumbs)-2:],
	}
	v.Meta = append(v.Meta, fmt.Sprintf(p.T.Minutes, minutes))
	if level := p.T.LevelName(t.Level); level != "" {
		v.Meta = append(v.Meta, level)
	}
	p.below = strings.Join(v.Meta, " · ")
	for _, other := range m.model.Before(e, t) {
		v.Before = append(v.Before, m.lessonLink(other, lang))
	}
	if i > 0 {
		prev := m.lessonLink(order[i-1], lang)
		v.Prev = &prev
	}
	if i+1 < len(order) {
		next := m.lessonLink(order[i+1], lang)
		v.Next = &next
	}
	if l := m.model.LabByID[t.Lab]; l != nil {
		v.Lab = m.labStart(l, lang)
		v.Terminal = m.labBundle()
		if len(v.Terminal.JS) > 0 {
			p.Policy = static.LabPolicy
		}
	}
	return p
}
