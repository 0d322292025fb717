// Package page makes the pages of a course: their HTML, and the facts about each that the rest of
// the site needs.
//
// # URLs and languages
//
// The main course is at the root, a further course in a folder of its own:
// /<course>/<module>/<lesson>/. The sidebar and the links to the previous and next lesson stay
// within a course. Pages in the default language have no prefix (/containers/running-containers/),
// pages in other languages do (/zh/…). A page without a translation shows the text in the default
// language, with a notice, so every page exists in every language.
//
// Links name Markdown files relative to their own file (../compose/compose-model.md#anchor), or
// addresses without language prefix (/labs/first-container/). Both lead to the page in the reader's
// language. Broken links are mistakes.
//
// # Pages
//
// Pages are rendered by html/template from the folder templates, with the words of package i18n.
// They have no inline scripts and styles. Each page has a Content-Security-Policy in a meta
// element, loads the smallest style sheet that has all it needs, and names the digests of its
// scripts.
//
// A module with at most 100 lessons has a print page, print/, with all lessons. On it, every id
// begins with its lesson's name and two hyphens, links between lessons stay on the page, and
// quizzes show their answers. Search engines, sitemap, feeds and the search leave print pages out.
//
// If the site's base URL is known, pages of the course can have a social card: a PNG of 1200 x 630
// pixels that other sites show beside a link.
//
// # Checking without writing
//
// Maker.Look prepares everything that the template of a page needs and collects the page's facts;
// only Page.HTML runs the template. So a course can be checked without writing it. A Design is
// everything that does not depend on the course. It can be replaced, as when an author edits a
// style sheet.
package page

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/assets"
	"github.com/labd-dev/labd/site/internal/bundle"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/gallery"
	"github.com/labd-dev/labd/site/internal/i18n"
	"github.com/labd-dev/labd/site/internal/linkcheck"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/memo"
)

// Files that pages link to and package site makes. All but the service worker exist once per
// language.
const (
	WorkerFile    = "sw.js"                // the service worker; browsers keep its URL, which also sets its scope, so it must never change
	OfflineFolder = "offline/"             // has the lists of files to save, and the page that is shown without a network
	SearchFolder  = "search/"              // has the search index, and the page with the search field
	FeedFile      = "feed.xml"             // only of a site with a base URL
	ManifestFile  = "manifest.webmanifest" // for browsers that install the site as an app
)

// Options are what a Design depends on.
type Options struct {
	BaseURL     string // the site's URL with scheme and host; empty for the root of any host
	DefaultLang string
	Assets      fs.FS // scripts and styles
	LiveScript  string
	Labs        bool // labs can be run, because labd's API is at static.API
	Renderer    *markdown.Renderer
}

// Design is everything about pages that does not depend on the course: URLs, templates, scripts and
// styles. It is immutable and safe for concurrent use.
type Design struct {
	opts   Options
	base   string // path of BaseURL, with a slash at both ends
	langs  *i18n.Languages
	tmpl   *templates
	assets *assets.Assets
	cards  func() (*assets.Painter, error)
}

// NewDesign parses the templates and bundles scripts and styles.
func NewDesign(opts Options) (*Design, error) {
	d := &Design{opts: opts, base: "/", langs: i18n.New()}
	if opts.BaseURL != "" {
		u, err := url.Parse(opts.BaseURL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("the base URL %q must be absolute, like https://example.org/course/", opts.BaseURL)
		}
		d.base = strings.TrimSuffix(u.Path, "/") + "/"
	}
	d.cards = sync.OnceValues(func() (*assets.Painter, error) { return assets.NewPainter(opts.Assets) })
	var err error
	if d.tmpl, err = parseTemplates(); err != nil {
		return nil, err
	}
	d.assets, err = assets.Build(opts.Assets)
	return d, err
}

func (d *Design) words(lang string) *i18n.Words { return d.langs.For(lang) }

// Base returns the path of the site, with a slash at both ends.
func (d *Design) Base() string { return d.base }

// URL returns the path of a page in a language. rel is without language prefix, "" for the home
// page.
func (d *Design) URL(lang, rel string) string {
	return d.base + course.LangPrefix(lang, d.opts.DefaultLang) + rel
}

// Absolute returns a URL with scheme and host, or "" if the site has no base URL.
func (d *Design) Absolute(url string) string {
	if d.opts.BaseURL == "" {
		return ""
	}
	return strings.TrimSuffix(d.opts.BaseURL, "/") + "/" + strings.TrimPrefix(url, d.base)
}

// Files returns the scripts, styles and icons that pages load.
func (d *Design) Files() []bundle.File { return d.assets.Files }

// Icon returns the path of the favicon, "" if there is none.
func (d *Design) Icon() string { return d.assets.Icon }

// LabMissing returns why labs have no terminal, "" if they have one.
func (d *Design) LabMissing() string { return d.assets.LabMissing }

// Shell returns the paths of the files that pages need for offline reading, nil if pages are not
// kept for that. A preview keeps none, because it would show outdated texts.
func (d *Design) Shell() []string {
	if !d.keepsPages() {
		return nil
	}
	return d.assets.Shell()
}

// SearchScripts returns the scripts of the page with the search field.
func (d *Design) SearchScripts() []bundle.File {
	return slices.Concat(d.assets.Search.JS, d.assets.Search.Parts)
}

func (d *Design) keepsPages() bool { return d.assets.Readable.JS != nil && d.opts.LiveScript == "" }

// Course is what the pages are made of.
type Course struct {
	Model   *course.Model
	Content fs.FS                    // for includes
	Called  func(name string) string // returns the name of a file of Content in messages
	Updated map[string]time.Time     // when files of Content last changed, where that is known
	Gallery *gallery.Gallery
	Cards   bool // pages get social cards
}

// Maker makes the pages of a course. It is immutable and safe for concurrent use.
type Maker struct {
	*Design
	src      Course
	model    *course.Model
	files    map[string]bool          // addresses of published files, with language prefix
	tags     func() map[string][]*tag // by language; computed when a page first needs them
	sidebars *sidebars
	families []family
	memo     *memo.Memo      // nil if nothing is cached
	ctx      context.Context // of the Look that this copy was made for: rendering may make images
}

// New returns a Maker of the pages of a course.
func New(d *Design, src Course) *Maker {
	m := &Maker{Design: d, src: src, model: src.Model, files: make(map[string]bool, len(src.Model.Assets)), sidebars: newSidebars(), families: families()}
	m.tags = sync.OnceValue(func() map[string][]*tag { return collectTags(m.model) })
	for _, a := range m.model.Assets {
		m.files[a.Path] = true
	}
	return m
}

// With returns a Maker of the same pages in another design, which must have the same URLs.
func (m *Maker) With(d *Design) *Maker {
	n := *m
	n.Design = d
	return &n
}

// Reworded returns a Maker of the same course after titles changed: it renders sidebars again.
func (m *Maker) Reworded() *Maker {
	n := *m
	n.sidebars = newSidebars()
	return &n
}

// Title returns the site's title in a language.
func (m *Maker) Title(lang string) string {
	if home := m.model.Pick(m.model.Main().Texts, lang); home != nil {
		return home.Title
	}
	return m.words(lang).Course
}

// footer returns the author's line at the foot of every page in a language.
func (m *Maker) footer(lang string) string {
	if home := m.model.Pick(m.model.Main().Texts, lang); home != nil {
		return home.Footer
	}
	return ""
}

// Page is a page that is ready to be rendered.
type Page struct {
	Facts *Facts
	draft *draft
	tmpl  *templates
}

// Look prepares a page and collects its facts. If mem is not nil, texts with a valid result in mem
// are not rendered; the page then lacks their HTML and words.
func (m *Maker) Look(ctx context.Context, j Job, mem *memo.Memo) (*Page, error) {
	with := *m
	with.memo, with.ctx = mem, ctx
	f := &Facts{File: j.File}
	p := j.make(&with, &f.Mistakes)
	if err := m.describe(p); err != nil {
		return nil, err
	}
	f.URL, f.Lang, f.Source, f.Headings, f.IDs, f.Anchors, f.Warnings = p.URL, p.Lang, p.source, p.headings, p.ids, p.anchors, p.warnings
	f.Save = p.save
	f.Blocks, f.Images, f.Used = p.blocks, p.images, m.usedBy(p)
	f.Outside = p.outside
	if p.Updated != nil {
		f.Updated = p.Updated.Day
	}
	f.pictures, f.linked, f.card, f.NoCard = p.pictures, p.linked, p.card, p.noCard
	if f.Listed = !p.NoIndex && p.Canonical == m.Absolute(p.URL); f.Listed && p.Default != "" {
		for _, a := range p.Alternates {
			f.Alternates = append(f.Alternates, Alternate{a.Lang, a.Absolute})
		}
	}
	return &Page{Facts: f, draft: p, tmpl: m.tmpl}, nil
}

// HTML renders the page.
func (p *Page) HTML() ([]byte, error) {
	size := len(p.draft.Body) + 24<<10 // about what a side bar and a head take
	if v, ok := p.draft.view.(*printView); ok {
		for _, part := range v.Parts {
			size += len(part.Body) + 1<<10
		}
	}
	var buf bytes.Buffer
	buf.Grow(size) // growing step by step would copy a page of a whole module ten times
	if err := p.tmpl.execute(&buf, p.draft); err != nil {
		return nil, fmt.Errorf("page %s: %w", p.Facts.URL, err)
	}
	p.Facts.Size = buf.Len()
	return buf.Bytes(), nil
}

// Findable returns the page's searchable text.
func (p *Page) Findable() Findable { return p.draft.findable() }

// Facts is what the rest of the site needs to know about a page. It is small, because the facts of
// all pages of a large course are in memory at once.
type Facts struct {
	File, URL, Lang string
	Listed          bool         // in the sitemap
	Alternates      []Alternate  // of a listed page
	Source          *course.Text // the text of its body
	Headings        []markdown.Heading
	Blocks, Images  int      // numbers of code blocks and images in the text
	Used            []string // files of the content tree
	IDs             []string
	Anchors         []Anchor         // links with a fragment
	Outside         []linkcheck.Link // links to other sites
	Updated         string           // when its text last changed
	Save            string           // URL of the list of files to save that the page is on
	Size            int              // of its HTML in bytes, once it is rendered
	NoCard          bool             // it has no social card because no font has the letters of its title
	Mistakes        source.List
	Warnings        source.List

	pictures []gallery.File
	linked   []string // URLs of images
	card     *pageCard
}

// Alternate is a page in another language.
type Alternate struct{ Lang, URL string }

// Anchor is a link with a fragment.
type Anchor struct {
	URL string
	At  source.Error
}

// File is a file that a page needs.
type File struct {
	Path string // in the site
	Data func() ([]byte, error)
}

// Files returns the files that a page needs and that are not written yet: its images in the sizes
// that it shows, images that it links to, and its social card.
func (m *Maker) Files(ctx context.Context, f *Facts) []File {
	var out []File
	if c := f.card; c != nil {
		out = append(out, File{c.path, func() ([]byte, error) { return m.paint(c) }})
	}
	for _, p := range f.pictures {
		if m.src.Gallery.Written(p) {
			continue
		}
		out = append(out, File{p.Path, func() ([]byte, error) { return m.src.Gallery.Data(ctx, p) }})
	}
	for _, url := range f.linked {
		if m.src.Gallery.Name(url) != "" {
			out = append(out, File{strings.TrimPrefix(url, m.base), func() ([]byte, error) { return m.src.Gallery.Original(url) }})
		}
	}
	return out
}
