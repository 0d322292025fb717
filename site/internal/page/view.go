package page

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/internal/static"
	"github.com/labd-dev/labd/site/internal/bundle"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/gallery"
	"github.com/labd-dev/labd/site/internal/linkcheck"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// view is what templates see.
type view struct {
	Kind        string // home, module, lesson, labs, lab, notfound
	Lang        string
	ContentLang string // of the text; differs from Lang on a page that stands in for a translation
	T           words
	URL         string
	Title       string
	Summary     string
	Description string // for search engines; Summary if empty
	SiteTitle   string
	Footer      string // a line at the foot; the author's
	HomeURL     string
	LabsURL     string
	FirstURL    string
	GlossaryURL string
	Alternates  []alternate
	Crumbs      []link
	Nav         []navModule // of the page that was not found
	HasSidebar  bool
	TOC         []markdown.Heading
	Body        template.HTML
	Notice      string
	Meta        []string
	Level       string
	Tags        []link
	Draft       bool
	Prev, Next  *link
	Before      []link // prerequisites
	Lab         *labView
	Labs        []labCard
	Modules     []moduleGroup
	Courses     []courseCard // the further ones
	Groups      []lessonGroup
	Preview     *preview
	Theme       bundle.Bundle
	Site        bundle.Bundle
	LabBundle   bundle.Bundle
	ExtraBundle bundle.Bundle // of this kind of page
	SearchURL   string
	LabScripts  bool
	Policy      string
	Base        string
	Icon        string
	Manifest    string
	Feed        string // absolute, like Canonical and Default; empty without a base URL
	Canonical   string
	Card        string // absolute; the picture for links to this page
	Default     string // the page in the default language
	NoIndex     bool
	LiveScript  string
	JSONLD      template.HTML

	extras
	course   *course.Course
	sidebar  func() (*sidebar, error)
	source   *course.Text // the text of the content tree that is its body
	headings []markdown.Heading
	anchors  []Anchor // links that name a place on a page
	outside  []linkcheck.Link
	blocks   int // of code
	images   int
	used     []string // files of the content tree that are shown or linked to
	ids      []string
	hasID    map[string]bool
	warnings source.List
	includes []string // files of the content tree that its text was made from too
	sections []markdown.Section
	pictures []gallery.File // that the page shows
	card     *pageCard
	noCard   bool     // it has no card because there are no letters for it
	shown    []string // addresses of the images that it shows
	linked   []string // addresses of files that it leads to
}

type link struct {
	URL, Title, Note string
	Current          bool
}

type alternate struct {
	Lang, Name, Label, URL, Absolute string
	Current                          bool
}

type moduleCard struct {
	link
	Summary string
	Number  int
	Lessons []lessonCard
}

// moduleGroup is the modules of one part of a course, or those in no part.
type moduleGroup struct {
	ID, Title string // of the heading
	Modules   []moduleCard
}

// lessonGroup is the lessons of one part of a module, or those in no part.
type lessonGroup struct {
	Title   string // "" for no heading
	Lessons []lessonCard
}

type courseCard struct {
	link
	Summary string
	Lessons string // how many
}

type lessonCard struct {
	link
	Summary string
	Minutes string
	Lab     string
	Number  int
}

// words returns the interface in lang, in English where there is none.
func (d *Design) words(lang string) words {
	if s, ok := d.langs[lang]; ok {
		return s
	}
	s := d.langs["en"]
	s.Name, s.Locale = lang, strings.ReplaceAll(lang, "-", "_")
	return s
}

// view starts a page of lang at rel.
func (m *Maker) view(kind, lang, rel string) *view {
	p := &view{
		Kind: kind, Lang: lang, ContentLang: lang, T: m.words(lang), URL: m.URL(lang, rel),
		HomeURL: m.URL(lang, ""), Base: m.base, LiveScript: m.opts.LiveScript, SearchURL: m.URL(lang, SearchFolder), SiteTitle: m.Title(lang), Footer: m.footer(lang),
		Theme: m.assets.theme, Site: m.assets.site,
	}
	switch kind {
	case "home", "course", "labs", "lab", "print", "offline", "notfound":
		p.Site = m.assets.wide
	}
	if len(m.model.Labs) > 0 {
		p.LabsURL = m.URL(lang, "labs/")
	}
	if len(m.model.Glossary) > 0 {
		p.GlossaryURL = m.URL(lang, "glossary/")
	}
	if m.opts.Labs {
		p.API = static.API
	}
	if m.keepsPages() {
		p.Worker = m.base + WorkerFile
	}
	for _, other := range m.model.Langs {
		w := m.words(other)
		p.Alternates = append(p.Alternates, alternate{
			Lang: other, Name: w.Name, Label: fmt.Sprintf(w.OtherLanguage, w.Name), URL: m.URL(other, rel), Current: other == lang,
		})
	}
	m.setCourse(p, m.model.Main())
	return p
}

// setCourse says which course a page belongs to. Pages that belong to none count as the main course's.
func (m *Maker) setCourse(p *view, c *course.Course) {
	p.course, p.Course = c, c.Slug
	p.FirstURL, p.Save = "", ""
	if len(c.Lessons) > 0 {
		p.FirstURL = m.URL(p.Lang, c.Lessons[0].Path())
	}
	if p.Kind != "offline" && p.Kind != "notfound" && p.Kind != "print" {
		p.Save = m.saveURL(p.Lang, c.Slug, len(c.Lessons))
	}
}

// crumbs are the way to a page of a course, without the page itself.
func (m *Maker) crumbs(p *view) []link {
	crumbs := []link{{URL: p.HomeURL, Title: p.SiteTitle}}
	if c := p.course; c != m.model.Main() {
		crumbs = append(crumbs, link{URL: m.URL(p.Lang, c.Path()), Title: m.model.Title(c.Texts, p.Lang, c.Slug)})
	}
	return crumbs
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

// counted is "1 step" or "6 steps".
func counted(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}

func (s words) level(l string) string {
	switch l {
	case "beginner":
		return s.Beginner
	case "intermediate":
		return s.Intermediate
	case "advanced":
		return s.Advanced
	}
	return ""
}
