// Package page makes the pages of a course: what stands on each, its HTML, and what the rest of a site needs to know of it.
//
// # Addresses and languages
//
// The main course is at the root, a further one in a folder of its own: /<course>/<module>/<lesson>/. Side bar, next and
// previous lesson stay within a course. Pages of the default language have no prefix (/containers/running-containers/),
// others have theirs (/zh/…). A page that is missing in a language is shown in the default one with a notice, so that every
// page has the same address everywhere.
// Links name Markdown files relative to the file they are in (../compose/compose-model.md#anchor), or addresses without
// language prefix (/labs/first-container/); both lead to the page in the reader's language, and broken ones are mistakes.
//
// # Pages
//
// Pages are made by html/template from the folder templates, in words of the table in i18n.go, and carry no inline script or
// style. Each names its policy, its style sheet, which is the smallest that has all it shows, and scripts with their digests.
//
// Below a module of at most 100 lessons, print/ has all of them on one page for paper: every id begins with its lesson's
// name and two hyphens, links between the lessons stay on the page, and quizzes show their answers. Search engines, the site
// map, feeds and the search leave it out.
//
// If the site knows its address, a page of the course can have a card: a PNG of 1200 x 630 pixels, for other sites to show
// beside a link.
//
// # What pages tell
//
// A Maker finds out about a page by making what its template sees, and only HTML runs the template. So a course can be checked,
// and a page looked at again, without writing it. A Design is what does not depend on the course; it can be exchanged.
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
	"github.com/labd-dev/labd/site/internal/bundle"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/gallery"
	"github.com/labd-dev/labd/site/internal/i18n"
	"github.com/labd-dev/labd/site/internal/linkcheck"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/memo"
)

// What pages lead to and others make. All but the worker are there for each language.
const (
	WorkerFile    = "sw.js"                // the service worker; its address must never change, and its place says which pages it serves
	OfflineFolder = "offline/"             // where the lists of what to save are, beside the page that stands in without a network
	SearchFolder  = "search/"              // where the search index is, beside the page with the search field
	FeedFile      = "feed.xml"             // of a site that knows its address
	ManifestFile  = "manifest.webmanifest" // for browsers that keep the site like a program
)

// Options are what a Design depends on.
type Options struct {
	BaseURL     string // where the site will be, with scheme and host; empty for the root of any host
	DefaultLang string
	Assets      fs.FS // scripts and styles
	LiveScript  string
	Labs        bool // can be run: labd answers at static.API
	Renderer    *markdown.Renderer
}

// Design is what pages have in common whatever the course: where they are, what they look like and what they load.
// It does not change once it is made, and is safe for concurrent use.
type Design struct {
	opts   Options
	base   string // path of BaseURL, with a slash at both ends
	langs  *i18n.Languages
	tmpl   *templates
	assets *assets
	cards  func() (*cardPainter, error)
}

// NewDesign makes a Design: it reads templates, and bundles scripts and styles.
func NewDesign(opts Options) (*Design, error) {
	d := &Design{opts: opts, base: "/", langs: i18n.New()}
	if opts.BaseURL != "" {
		u, err := url.Parse(opts.BaseURL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("the base URL %q must be absolute, like https://example.org/course/", opts.BaseURL)
		}
		d.base = strings.TrimSuffix(u.Path, "/") + "/"
	}
	d.cards = sync.OnceValues(func() (*cardPainter, error) { return newCardPainter(opts.Assets) })
	var err error
	if d.tmpl, err = parseTemplates(); err != nil {
		return nil, err
	}
	d.assets, err = buildAssets(opts.Assets)
	return d, err
}

func (d *Design) words(lang string) *i18n.Words { return d.langs.For(lang) }

// Base is the path of the site, with a slash at both ends.
func (d *Design) Base() string { return d.base }

// URL is the address of a page in a language. rel is without language prefix, "" for the home page.
func (d *Design) URL(lang, rel string) string {
	return d.base + course.LangPrefix(lang, d.opts.DefaultLang) + rel
}

// Absolute is an address with scheme and host, or "" if the site doesn't know where it will be.
func (d *Design) Absolute(url string) string {
	if d.opts.BaseURL == "" {
		return ""
	}
	return strings.TrimSuffix(d.opts.BaseURL, "/") + "/" + strings.TrimPrefix(url, d.base)
}

// Files are the scripts, styles and pictures that pages load.
func (d *Design) Files() []bundle.File { return d.assets.files }

// Icon is the path of the picture that browsers show beside a page's title, "" if there is none.
func (d *Design) Icon() string { return d.assets.icon }

// LabMissing says why labs have no terminal, "" if they have one.
func (d *Design) LabMissing() string { return d.assets.labMissing }

// Shell are the paths of the files that pages need to be read without a network; nil if no page is kept for that. A preview
// that is served while it is written keeps none: it would show yesterday's text.
func (d *Design) Shell() []string {
	if !d.keepsPages() {
		return nil
	}
	return d.assets.shell()
}

// SearchScripts are the scripts of the page with the search field.
func (d *Design) SearchScripts() []bundle.File {
	return slices.Concat(d.assets.search.JS, d.assets.search.Parts)
}

func (d *Design) keepsPages() bool { return d.assets.readable.JS != nil && d.opts.LiveScript == "" }

// Course is what pages are made of.
type Course struct {
	Model   *course.Model
	Content fs.FS                    // for what texts include
	Called  func(name string) string // how messages call a file of Content
	Updated map[string]time.Time     // when files of Content were last changed, as far as that is known
	Gallery *gallery.Gallery
	Cards   bool // pages get cards
}

// Maker makes the pages of a course. It does not change once it is made, and is safe for concurrent use.
type Maker struct {
	*Design
	src      Course
	model    *course.Model
	files    map[string]bool          // addresses of published files, with prefix
	tags     func() map[string][]*tag // by language; found out when a page first needs them
	sidebars *sidebars
	families []family
	memo     *memo.Memo      // nil if nothing is to be remembered
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

// With makes the same pages in another design. Their addresses must be the same.
func (m *Maker) With(d *Design) *Maker {
	n := *m
	n.Design = d
	return &n
}

// Reworded makes pages of the same course after titles in its texts have changed, which side bars show.
func (m *Maker) Reworded() *Maker {
	n := *m
	n.sidebars = newSidebars()
	return &n
}

// Title is the site's title in a language.
func (m *Maker) Title(lang string) string {
	if home := m.model.Pick(m.model.Main().Texts, lang); home != nil {
		return home.Title
	}
	return m.words(lang).Course
}

// footer is what the author writes at the foot of every page of a language.
func (m *Maker) footer(lang string) string {
	if home := m.model.Pick(m.model.Main().Texts, lang); home != nil {
		return home.Footer
	}
	return ""
}

// Page is a page that was looked at.
type Page struct {
	Facts *Facts
	draft *draft
	tmpl  *templates
}

// Look finds out what there is to know of a page. If mem is not nil, only those texts are rendered of which it does not know what
// comes; the page lacks the HTML and the words of the others.
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

// HTML is the page as it is published.
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

// Findable is what the page can be found by.
func (p *Page) Findable() Findable { return p.draft.findable() }

// Facts are what the rest of a site needs to know of a page: little, because they are kept of every page of a large course.
type Facts struct {
	File, URL, Lang string
	Listed          bool         // in the site map
	Alternates      []Alternate  // of a listed page
	Source          *course.Text // what its body is made of
	Headings        []markdown.Heading
	Blocks, Images  int      // in the text
	Used            []string // files of the content tree
	IDs             []string
	Anchors         []Anchor // links that name a place on a page
	Outside         []linkcheck.Link
	Updated         string // when its text was last changed
	Save            string // the list of files to save that it is on
	Size            int    // of its HTML in bytes, once that is made
	NoCard          bool   // it would have a card if there were letters for it
	Mistakes        source.List
	Warnings        source.List

	pictures []gallery.File
	linked   []string // addresses of images
	card     *pageCard
}

// Alternate is a page in another language.
type Alternate struct{ Lang, URL string }

// Anchor is a link of a text to a place on a page.
type Anchor struct {
	URL string
	At  source.Error
}

// File is a file that pages need.
type File struct {
	Path string // in the site
	Data func() ([]byte, error)
}

// Files are those that a page needs for itself and that are not written yet: pictures in the sizes that it shows, those that it
// leads to, and its card.
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
