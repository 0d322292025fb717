package page

import (
	"fmt"
	"html/template"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/internal/static"
	"github.com/labd-dev/labd/site/internal/bundle"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/gallery"
	"github.com/labd-dev/labd/site/internal/i18n"
	"github.com/labd-dev/labd/site/internal/linkcheck"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// Each kind of page has a template of its own, and a type whose exported fields that template
// shows: homeView, courseView and so on, in kinds.go. The types share the parts below by embedding
// pointers to those of a draft, which are filled first. TestTemplatesNameOnlyFieldsThatExist
// compares all of them with the templates.

// draft is a page that is being made.
type draft struct {
	frame
	lead
	body
	navigation
	origin
	notes
	view any // what the template of this kind of page sees
}

// frame is what base.html shows on every page: the head, the header and the footer.
type frame struct {
	Kind        string // of page; it names the template
	Lang        string // of the page's address and interface; a BCP 47 tag
	T           *i18n.Words
	URL         string
	Title       string
	Description string // for search engines
	SiteTitle   string
	Footer      string // a line at the foot, in the author's words
	HomeURL     string
	LabsURL     string
	FirstURL    string // of the course's first lesson
	SearchURL   string
	Alternates  []alternate
	HasSidebar  bool
	Theme       bundle.Bundle
	Site        bundle.Bundle
	LabBundle   bundle.Bundle // the terminal, on pages that load it at once
	ExtraBundle bundle.Bundle // of this kind of page
	Policy      string        // the Content-Security-Policy
	Base        string
	Icon        string
	Manifest    string
	Feed        string // absolute, like Canonical and Default; empty without a base URL
	Canonical   string
	Card        string // absolute; the social card
	Default     string // the page in the default language
	NoIndex     bool
	LiveScript  string
	JSONLD      template.HTML
	PageID      string // the address within its language, by which a reader's progress is kept; lessons and labs only
	Course      string // name of the further course that the page is in
	API         string // of labd, if labs are offered
	Worker      string // address of the service worker
}

// lead is the text below the title.
type lead struct {
	ContentLang string // of the text; differs from Lang on a page that has no translation
	Summary     string
}

// body is a text of the content tree.
type body struct {
	Body   template.HTML
	Notice string // that the text is in another language
	TOC    []markdown.Heading
}

// navigation is where a page is in the site.
type navigation struct {
	Crumbs  []link
	sidebar func() (template.HTML, error)
}

// Sidebar is the side bar with a mark at this page.
func (n *navigation) Sidebar() (template.HTML, error) { return n.sidebar() }

// origin is where a text comes from.
type origin struct {
	Updated *day
	EditURL string
}

// notes are what the rest of the site needs to know of a page, and its template doesn't.
type notes struct {
	course   *course.Course
	save     string // address of the list of the course's files that the page is on; see saveURL
	learning *learning
	below    string       // the last line of the social card
	source   *course.Text // the text of the content tree that is its body
	headings []markdown.Heading
	anchors  []Anchor // links to a place on a page
	outside  []linkcheck.Link
	blocks   int // of code
	images   int
	used     []string // files of the content tree that are shown or linked to
	ids      []string
	hasID    map[string]bool
	warnings source.List
	includes []string // files of the content tree that the text includes, or whose images it shows
	sections []markdown.Section
	pictures []gallery.File // that the page shows
	card     *pageCard
	noCard   bool     // it has no card because no font has the letters of its title
	shown    []string // addresses of the images that it shows
	linked   []string // addresses of the files that it links to
}

type link struct {
	URL, Title, Note string
}

type alternate struct {
	Lang, Name, Label, URL, Absolute string
	Current                          bool
}

// begin starts a page of a kind, of lang at rel.
func (m *Maker) begin(kind, lang, rel string) *draft {
	p := &draft{
		frame: frame{
			Kind: kind, Lang: lang, T: m.words(lang), URL: m.URL(lang, rel),
			HomeURL: m.URL(lang, ""), Base: m.base, LiveScript: m.opts.LiveScript, SearchURL: m.URL(lang, SearchFolder),
			SiteTitle: m.Title(lang), Footer: m.footer(lang),
			Theme: m.assets.Theme, Site: m.assets.Site, Policy: static.PagePolicy,
		},
		lead: lead{ContentLang: lang},
	}
	switch kind {
	case "home", "course", "labs", "lab", "print", "offline", "notfound":
		p.Site = m.assets.Wide
	}
	if len(m.model.Labs) > 0 {
		p.LabsURL = m.URL(lang, "labs/")
	}
	if m.opts.Labs {
		p.API = static.API
	}
	if m.keepsPages() {
		p.Worker = m.base + WorkerFile
	}
	for _, other := range m.model.Langs {
		name := m.words(other).Name
		p.Alternates = append(p.Alternates, alternate{
			Lang: other, Name: name, Label: fmt.Sprintf(m.words(other).OtherLanguage, name), URL: m.URL(other, rel), Current: other == lang,
		})
	}
	m.setCourse(p, m.model.Main())
	return p
}

// setCourse sets the course that a page belongs to. Pages that belong to none count as the main
// course's.
func (m *Maker) setCourse(p *draft, c *course.Course) {
	p.course, p.Course = c, c.Slug
	p.FirstURL, p.save = "", ""
	if len(c.Lessons) > 0 {
		p.FirstURL = m.URL(p.Lang, c.Lessons[0].Path())
	}
	if p.Kind != "offline" && p.Kind != "notfound" && p.Kind != "print" {
		p.save = m.saveURL(p.Lang, c.Slug, len(c.Lessons))
	}
}

// home is the first of the links that lead to a page.
func (p *draft) home() link { return link{URL: p.HomeURL, Title: p.SiteTitle} }

// crumbs are the links that lead to a page of a course, without the page itself.
func (m *Maker) crumbs(p *draft) []link {
	crumbs := []link{p.home()}
	if c := p.course; c != m.model.Main() {
		crumbs = append(crumbs, link{URL: m.URL(p.Lang, c.Path()), Title: m.model.Title(c.Texts, p.Lang, c.Slug)})
	}
	return crumbs
}

// counted is "1 step" or "6 steps".
func counted(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}
