package site

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"labd/internal/bundle"
	"labd/internal/course"
	"labd/internal/gallery"
	"labd/internal/lab"
	"labd/internal/linkcheck"
	"labd/internal/markdown"
	"labd/internal/source"
)

// page is what templates see.
type page struct {
	Kind        string // home, module, lesson, labs, lab, notfound
	Lang        string
	ContentLang string // of the text; differs from Lang on a page that stands in for a translation
	T           Strings
	URL         string
	Title       string
	Summary     string
	Description string // for search engines; Summary if empty
	SiteTitle   string
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
	Modules     []moduleCard
	Courses     []courseCard // the further ones
	Lessons     []lessonCard
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
	anchors  []placedLink // links that name a place on a page
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

// placedLink is a link of the text that goes to a page of the site.
type placedLink struct {
	URL string
	at  source.Error
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

// job is one page to make. view makes what its template sees.
type job struct {
	file string
	view func(b *builder, errs *source.List) *page
	text *course.Text // its body, and all that is known of it; nil if it has none
	lab  *lab.Lab     // that it shows
	copy bool         // shows only what other pages show: there is nothing to find out about it
}

// plan lists every page of the site, in a fixed order.
func (b *builder) plan() []job {
	var jobs []job
	add := func(file string, view func(b *builder, errs *source.List) *page) {
		jobs = append(jobs, job{file: file, view: view})
	}
	show := func(file string, t *course.Text, view func(b *builder, errs *source.List) *page) {
		jobs = append(jobs, job{file: file, view: view, text: t})
	}
	for _, lang := range b.model.Langs {
		pre := course.LangPrefix(lang, b.opts.DefaultLang)
		show(pre+"index.html", b.model.Pick(b.model.Main().Texts, lang), func(b *builder, errs *source.List) *page { return b.homePage(lang, errs) })
		add(pre+"search/index.html", func(b *builder, _ *source.List) *page { return b.searchPage(lang) })
		add(pre+offlineFolder+"index.html", func(b *builder, _ *source.List) *page { return b.offlinePage(lang) })
		add(pre+"404.html", func(b *builder, _ *source.List) *page { return b.notFoundPage(lang) })
		for _, c := range b.model.Courses {
			if c != b.model.Main() {
				show(pre+c.Path()+"index.html", b.model.Pick(c.Texts, lang), func(b *builder, errs *source.List) *page { return b.coursePage(lang, c, errs) })
			}
			for _, sec := range c.Modules {
				show(pre+sec.Path()+"index.html", b.model.Pick(sec.Texts, lang), func(b *builder, errs *source.List) *page { return b.modulePage(lang, sec, errs) })
			}
			for i, e := range c.Lessons {
				show(pre+e.Path()+"index.html", b.model.Pick(e.Texts, lang), func(b *builder, errs *source.List) *page { return b.lessonPage(lang, c.Lessons, i, errs) })
			}
			jobs = append(jobs, b.printPlan(lang, c)...)
		}
		if len(b.model.Labs) > 0 {
			add(pre+"labs/index.html", func(b *builder, _ *source.List) *page { return b.labsPage(lang) })
		}
		// A page of tags exists in every language if it does in one, so that the language can be switched on it.
		if b.anyTags() {
			add(pre+"tags/index.html", func(b *builder, _ *source.List) *page { return b.tagsPage(lang) })
		}
		for _, t := range b.tags[lang] {
			add(pre+"tags/"+t.slug+"/index.html", func(b *builder, _ *source.List) *page { return b.tagPage(lang, t) })
		}
		if len(b.model.Glossary) > 0 {
			show(pre+"glossary/index.html", b.model.Pick(b.model.Glossary, lang), func(b *builder, errs *source.List) *page { return b.glossaryPage(lang, errs) })
		}
		for i, l := range b.model.Labs {
			jobs = append(jobs, job{file: pre + "labs/" + l.ID + "/index.html", lab: l,
				view: func(b *builder, errs *source.List) *page { return b.labPage(lang, l, i, errs) }})
		}
	}
	return jobs
}

// words returns the interface in lang, in English where there is none.
func (b *builder) words(lang string) Strings {
	if s, ok := b.strings[lang]; ok {
		return s
	}
	s := b.strings["en"]
	s.Name, s.Locale = lang, strings.ReplaceAll(lang, "-", "_")
	return s
}

// url is the address of a page in a language. rel is without language prefix, "" for the home page.
func (b *builder) url(lang, rel string) string {
	return b.base + course.LangPrefix(lang, b.opts.DefaultLang) + rel
}

// page starts a page of lang at rel.
func (b *builder) page(kind, lang, rel string) *page {
	p := &page{
		Kind: kind, Lang: lang, ContentLang: lang, T: b.words(lang), URL: b.url(lang, rel),
		HomeURL: b.url(lang, ""), Base: b.base, LiveScript: b.opts.LiveScript, SearchURL: b.url(lang, searchFolder), Theme: b.assets.theme, Site: b.assets.site,
	}
	switch kind {
	case "home", "course", "labs", "lab", "print", "offline", "notfound":
		p.Site = b.assets.wide
	}
	if home := b.model.Pick(b.model.Main().Texts, lang); home != nil {
		p.SiteTitle = home.Title
	} else {
		p.SiteTitle = p.T.Course
	}
	if len(b.model.Labs) > 0 {
		p.LabsURL = b.url(lang, "labs/")
	}
	if len(b.model.Glossary) > 0 {
		p.GlossaryURL = b.url(lang, "glossary/")
	}
	p.API = b.opts.API
	if b.hasWorker() {
		p.Worker = b.base + workerFile
	}
	for _, other := range b.model.Langs {
		w := b.words(other)
		p.Alternates = append(p.Alternates, alternate{
			Lang: other, Name: w.Name, Label: fmt.Sprintf(w.OtherLanguage, w.Name), URL: b.url(other, rel), Current: other == lang,
		})
	}
	b.setCourse(p, b.model.Main())
	return p
}

// setCourse says which course a page belongs to. Pages that belong to none count as the main course's.
func (b *builder) setCourse(p *page, c *course.Course) {
	p.course, p.Course = c, c.Slug
	p.FirstURL, p.Save = "", ""
	if len(c.Lessons) > 0 {
		p.FirstURL = b.url(p.Lang, c.Lessons[0].Path())
	}
	if p.Kind != "offline" && p.Kind != "notfound" && p.Kind != "print" {
		p.Save = b.saveURL(p.Lang, c.Slug, len(c.Lessons))
	}
}

// crumbs are the way to a page of a course, without the page itself.
func (b *builder) crumbs(p *page) []link {
	crumbs := []link{{URL: p.HomeURL, Title: p.SiteTitle}}
	if c := p.course; c != b.model.Main() {
		crumbs = append(crumbs, link{URL: b.url(p.Lang, c.Path()), Title: b.model.Title(c.Texts, p.Lang, c.Slug)})
	}
	return crumbs
}

func (b *builder) moduleTitle(s *course.Module, lang string) string {
	return b.model.Title(s.Texts, lang, s.Slug)
}

func (b *builder) lessonCard(e *course.Lesson, lang string, number int) lessonCard {
	t := b.model.Pick(e.Texts, lang)
	c := lessonCard{
		link:    link{URL: b.url(lang, e.Path()), Title: t.Title},
		Summary: t.Summary, Lab: t.Lab, Number: number,
	}
	if t.Minutes > 0 {
		c.Minutes = fmt.Sprintf(b.words(lang).Minutes, t.Minutes)
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

func (s Strings) level(l string) string {
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

func (b *builder) homePage(lang string, errs *source.List) *page {
	p := b.page("home", lang, "")
	p.Title = p.SiteTitle
	if t := b.model.Pick(b.model.Main().Texts, lang); t != nil {
		p.Summary = t.Summary
		b.setBody(p, t, errs)
	}
	b.listModules(p, b.model.Main())
	for _, c := range b.model.Courses[1:] {
		card := courseCard{link: link{URL: b.url(lang, c.Path()), Title: b.model.Title(c.Texts, lang, c.Slug)}}
		if t := b.model.Pick(c.Texts, lang); t != nil {
			card.Summary = t.Summary
		}
		card.Lessons = counted(len(c.Lessons), p.T.OneLesson, p.T.LessonsCount)
		p.Courses = append(p.Courses, card)
	}
	for _, l := range b.model.Labs {
		p.Labs = append(p.Labs, b.labCard(l, lang))
	}
	p.Preview = b.preview(lang)
	return p
}

// listModules lists the modules of a course on its page.
func (b *builder) listModules(p *page, c *course.Course) {
	p.learning = &learning{kind: "Course"}
	n := 0
	for i, s := range c.Modules {
		card := moduleCard{link: link{URL: b.url(p.Lang, s.Path()), Title: b.moduleTitle(s, p.Lang)}, Number: i + 1}
		if t := b.model.Pick(s.Texts, p.Lang); t != nil {
			card.Summary = t.Summary
		}
		for _, e := range s.Lessons {
			n++
			card.Lessons = append(card.Lessons, b.lessonCard(e, p.Lang, n))
		}
		p.Modules = append(p.Modules, card)
		p.learning.parts = append(p.learning.parts, card.link)
	}
}

// coursePage is the page of a further course.
func (b *builder) coursePage(lang string, c *course.Course, errs *source.List) *page {
	p := b.page("course", lang, c.Path())
	b.setCourse(p, c)
	p.Title = b.model.Title(c.Texts, lang, c.Slug)
	if t := b.model.Pick(c.Texts, lang); t != nil {
		p.Summary = t.Summary
		b.setBody(p, t, errs)
		b.setOrigin(p, t)
	}
	p.Crumbs = []link{{URL: p.HomeURL, Title: p.SiteTitle}, {Title: p.Title, Current: true}}
	b.setSidebar(p, "")
	p.Meta = []string{counted(len(c.Lessons), p.T.OneLesson, p.T.LessonsCount)}
	b.listModules(p, c)
	return p
}

func (b *builder) notFoundPage(lang string) *page {
	p := b.page("notfound", lang, "")
	p.Title = p.T.NotFound
	p.Nav = b.nav(lang, p.course, "")
	return p
}

func (b *builder) modulePage(lang string, s *course.Module, errs *source.List) *page {
	p := b.page("module", lang, s.Path())
	b.setCourse(p, s.Course)
	p.Title = b.moduleTitle(s, lang)
	if t := b.model.Pick(s.Texts, lang); t != nil {
		p.Summary = t.Summary
		b.setBody(p, t, errs)
		b.setOrigin(p, t)
	}
	crumbs := b.crumbs(p)
	p.learning = &learning{kind: "Module", partOf: crumbs[len(crumbs)-1:], updated: b.updated(b.model.Pick(s.Texts, lang))}
	if printed(s) {
		p.PrintURL = p.URL + printFolder
	}
	p.Crumbs = append(crumbs, link{Title: p.Title, Current: true})
	b.setSidebar(p, s.Slug)
	p.Meta = []string{counted(len(s.Lessons), p.T.OneLesson, p.T.LessonsCount)}
	for i, e := range s.Lessons {
		p.Lessons = append(p.Lessons, b.lessonCard(e, lang, i+1))
		p.learning.parts = append(p.learning.parts, p.Lessons[i].link)
	}
	return p
}

func (b *builder) lessonPage(lang string, order []*course.Lesson, i int, errs *source.List) *page {
	e := order[i]
	t := b.model.Pick(e.Texts, lang)
	p := b.page("lesson", lang, e.Path())
	b.setCourse(p, e.Module.Course)
	p.Title, p.Summary, p.Draft = t.Title, t.Summary, t.Draft
	p.Tags = b.tagLinks(lang, t.Tags)
	b.setBody(p, t, errs)
	p.Site = b.assets.lesson(string(p.Body))
	b.setOrigin(p, t)
	p.PageID = e.Path()
	crumbs := append(b.crumbs(p), link{URL: b.url(lang, e.Module.Path()), Title: b.moduleTitle(e.Module, lang)})
	p.Crumbs = append(crumbs, link{Title: p.Title, Current: true})
	b.setSidebar(p, e.Module.Slug)
	minutes := t.ReadingMinutes()
	p.Meta = append(p.Meta, fmt.Sprintf(p.T.Minutes, minutes))
	p.learning = &learning{
		kind: "Lesson", minutes: minutes, level: b.words("en").level(t.Level), authors: t.Authors, date: t.Date,
		updated: b.updated(t), partOf: crumbs[len(crumbs)-2:],
	}
	if level := p.T.level(t.Level); level != "" {
		p.Meta = append(p.Meta, level)
	}
	for _, other := range t.Before {
		p.Before = append(p.Before, link{URL: b.url(lang, other.Path()), Title: b.model.Pick(other.Texts, lang).Title})
	}
	if i > 0 {
		p.Prev = &link{URL: b.url(lang, order[i-1].Path()), Title: b.model.Pick(order[i-1].Texts, lang).Title}
	}
	if i+1 < len(order) {
		p.Next = &link{URL: b.url(lang, order[i+1].Path()), Title: b.model.Pick(order[i+1].Texts, lang).Title}
	}
	if l := b.model.LabByID[t.Lab]; l != nil {
		v := &labView{labCard: b.labCard(l, lang)}
		for _, s := range l.Steps {
			v.Toc = append(v.Toc, link{URL: v.URL + "#" + s.Anchor, Title: s.Title.For(lang), Note: s.Anchor})
		}
		p.Lab = v
		p.LabBundle = b.assets.lab
	}
	return p
}

// setBody renders a text of the content tree as the page's body.
func (b *builder) setBody(p *page, t *course.Text, errs *source.List) {
	if t.Lang != p.Lang {
		p.ContentLang = t.Lang
		p.Notice = fmt.Sprintf(p.T.Fallback, b.words(t.Lang).Name)
	}
	before := len(p.TOC)
	p.source = t
	p.Body = b.renderText(p, b.request(p, t, errs), errs)
	p.headings = slices.Clone(p.TOC[before:])
	p.TOC = slices.DeleteFunc(p.TOC[before:], func(h markdown.Heading) bool { return h.Level < 2 || h.Level > 3 })
}

// request asks for a text of the content tree as it stands on a page.
func (b *builder) request(p *page, t *course.Text, errs *source.List) markdown.Request {
	return markdown.Request{
		File: t.Doc.File, Line: t.Doc.BodyLine, Text: t.Doc.Body, Labels: p.T.Markdown,
		Resolve: b.resolver(p.Lang, t.Name), TermIDs: p.Kind == "text", Image: b.imagesOf(p, errs),
		Include: b.includer(p.Lang, t.Name), Taken: templateIDs, HTML: b.model.Config.HTML,
	}
}

// renderText renders req and gathers its headings and links on the page.
func (b *builder) renderText(p *page, req markdown.Request, errs *source.List) template.HTML {
	out := b.memo.render(b.md, req, errs)
	p.warnings = append(p.warnings, out.Warnings...)
	p.sections = append(p.sections, out.Sections...)
	p.includes = append(p.includes, out.Includes...)
	for _, id := range out.IDs {
		if !p.addID(id.Name) {
			errs.Add(placed(id.At, "the id %q is used twice on this page; give this heading its own: {#other-id}", id.Name))
		}
	}
	p.blocks += out.Blocks
	for _, l := range out.Links {
		if l.Image {
			p.images++
		}
		b.use(p, l.URL)
		b.linkFile(p, l, errs)
		if strings.HasPrefix(l.URL, "https://") || strings.HasPrefix(l.URL, "http://") {
			p.outside = append(p.outside, linkcheck.Link{URL: l.URL, At: &l.At})
		} else if !l.Image && strings.Contains(l.URL, "#") {
			p.anchors = append(p.anchors, placedLink{URL: l.URL, at: l.At})
		}
	}
	if p.Kind != "lab" {
		p.TOC = append(p.TOC, out.Headings...)
	}
	return template.HTML(out.HTML) // made by package markdown, which escapes all that authors wrote
}

// addID notes an id of the page and says whether it is new.
func (p *page) addID(id string) bool {
	p.ids = append(p.ids, id)
	if p.hasID == nil {
		p.hasID = map[string]bool{}
	}
	known := p.hasID[id]
	p.hasID[id] = true
	return !known
}

// placed is a mistake at a place that rendering has noted.
func placed(at source.Error, format string, args ...any) *source.Error {
	at.Col, at.Msg = 0, fmt.Sprintf(format, args...)
	return &at
}
