// Package site builds a static site from a course's content and labs, or serves it while it is
// being written.
//
// Package course reads the content tree, package page makes the pages, package gallery publishes
// images. This package combines them: Build writes a whole site, Check only finds mistakes, and
// Live serves a site without building it. It also makes the files that belong to no single page:
// feeds, sitemap, search index and service worker.
//
// # Output
//
// Build writes a new folder and then replaces the output folder in one step, so nobody ever sees
// half a site. The same input gives the same bytes. On request, text files also get precompressed
// copies, .gz and .br. All mistakes, such as broken links, fail the build.
//
// # In the browser
//
// A reader's progress is stored in the browser only (format: assets/ts/progress.ts). A lesson
// counts as done when its end was in view after some time, or when the reader says so. If labs are
// offered (Options.Labs), labs that labd knows as done count too, with their lessons. Pages do not
// ask labd about readers who never started a lab.
//
// The service worker /sw.js (rules and limits: assets/ts/sw.ts) caches visited pages, and a whole
// course of at most 300 lessons if the reader asks for it. Without a network, offline/ is shown
// instead of pages that are not cached. In a preview (LiveScript), the service worker removes the
// caches of an earlier one, and itself.
package site

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/internal/static"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/gallery"
	"github.com/labd-dev/labd/site/internal/linkcheck"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/page"
	"github.com/labd-dev/labd/site/internal/picture"
	"github.com/labd-dev/labd/site/internal/publish"
)

// Source is the input of a site.
type Source struct {
	Content     fs.FS
	ContentName string // its name in messages; "content" if empty
	Labs        []*lab.Lab
	// LabErr has the mistakes in labs that are missing from Labs, as lab.Load returned them. They
	// are reported together with the mistakes in lessons.
	LabErr error
	// Updated is when files of Content last changed, by name, where that is known.
	Updated map[string]time.Time
}

// called returns the name of a content file in messages.
func (s Source) called(file string) string {
	return path.Join(cmp.Or(s.ContentName, "content"), file)
}

// Options configures a site. The zero value is what labd uses.
type Options struct {
	BaseURL     string // the site's URL, e.g. https://example.org/course/; empty for the root of any host
	DefaultLang string // "en" if empty
	Drafts      bool   // publish drafts too
	Workers     int    // pages rendered concurrently; the number of processors if 0
	Assets      fs.FS  // the folder of scripts and styles; the built-in one if nil
	Strict      bool   // warnings are mistakes
	Force       bool   // build even if nothing changed since the last build
	// LiveScript is the URL of a script that every page loads, for a preview.
	LiveScript string
	// Labs means that labd's API is at static.API on the site's host: either labd serves the site,
	// or a web server forwards those requests to labd. Readers can then run labs, and pages show
	// progress in them. Otherwise lab pages are plain text, and pages send no requests to labd.
	Labs bool
	// Renderer caches rendered parts of texts between builds in one process. May be nil.
	Renderer *markdown.Renderer
	Compress bool  // write precompressed copies of text files
	Cards    Cards // which pages get a social card
	// Pictures encodes images, and caches them. May be nil.
	Pictures *picture.Maker
	// Progress is called when a page, or a unit of other work, is done. Several goroutines call it,
	// so numbers may arrive out of order. May be nil.
	Progress func(what string, done, total int)
}

// Report is the result of Build or Check.
type Report struct {
	Pages    int
	Files    int
	Bytes    int64
	Duration time.Duration
	Warnings source.List `json:",omitempty"`
	// Unchanged means that the site in the output folder was built from the same input, so Build
	// did nothing.
	Unchanged bool `json:"-"`
	// Outside has the links to other sites that Check found, without those that course.toml
	// excludes.
	Outside []linkcheck.Link `json:"-"`
	// Strict means that warnings are mistakes, by Options or course.toml.
	Strict bool `json:"-"`
}

// builder makes the files of a site from its model. Apart from check, its methods do not change it
// and are safe for concurrent use.
type builder struct {
	opts     Options
	design   *page.Design
	src      Source // from here on, all fields belong to a course
	model    *course.Model
	gallery  *gallery.Gallery
	cards    bool // pages get social cards
	pages    *page.Maker
	mistakes source.List // outside the texts of pages
	warnings source.List
	unknown  func(mistakes, warnings *source.List) // completes these lists; nil once check has called it
}

// Build builds the site and replaces the folder out. If the course has mistakes, the error is a
// join of all of them, as *source.Error, and the folder stays as it was.
func Build(ctx context.Context, src Source, out string, opts Options) (Report, error) {
	start := time.Now()
	var report Report
	dir, err := publish.New(out)
	if err != nil {
		return report, err
	}
	digest, err := fingerprint(ctx, src, opts)
	if err != nil {
		return report, err
	}
	if digest != "" && !opts.Force {
		if dir.Unchanged(digest, &report) {
			report.Unchanged, report.Duration = true, time.Since(start)
			return report, nil
		}
		report = Report{}
	}
	if err := dir.Begin(); err != nil {
		return report, err
	}
	defer dir.Discard()
	b, err := readCourse(ctx, src, opts)
	if err != nil {
		return report, err
	}
	write := dir.Write
	if b.opts.Compress {
		write = static.NewCompressor(dir.Write).Write
	}
	if report.Warnings, err = b.makePictures(ctx, write); err != nil {
		return report, err
	}
	indexes := b.searchIndexes()
	pages, err := b.makePages(ctx, write, indexes)
	if err != nil {
		return report, err
	}
	if report.Warnings, err = b.judge(pages); err != nil {
		return report, err
	}
	searches := b.saveIndexes(ctx, pages, indexes, write)
	if err := writeAll(ctx, append(b.otherFiles(pages, searches), b.filesOf(ctx, pages)...), b.opts.Workers, write); err != nil {
		return report, err
	}
	for _, save := range searches {
		if _, err := save(); err != nil {
			return report, err
		}
	}
	report.Pages = len(pages)
	report.Files, report.Bytes = dir.Written()
	if err := dir.Commit(digest, report); err != nil {
		return report, err
	}
	report.Duration = time.Since(start)
	return report, nil
}

// Check finds all mistakes that Build would find. It writes nothing and encodes no images.
func Check(ctx context.Context, src Source, opts Options) (Report, error) {
	start := time.Now()
	var report Report
	b, err := readCourse(ctx, src, opts)
	if err != nil {
		return report, err
	}
	b.gallery.Measure()
	pages, err := b.makePages(ctx, nil, nil)
	if err != nil {
		return report, err
	}
	for _, p := range pages {
		for _, l := range p.Outside {
			if !slices.ContainsFunc(b.model.Config.External.Skip, func(prefix string) bool { return strings.HasPrefix(l.URL, prefix) }) {
				report.Outside = append(report.Outside, l)
			}
		}
	}
	report.Strict = b.strict()
	report.Warnings, err = b.judge(pages)
	report.Pages, report.Duration = len(pages), time.Since(start)
	return report, err
}

// newBuilder returns a builder without a course.
func newBuilder(opts Options) (*builder, error) {
	if opts.DefaultLang == "" {
		opts.DefaultLang = "en"
	}
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.Assets == nil {
		sub, err := fs.Sub(embeddedAssets, "assets")
		if err != nil {
			return nil, err
		}
		opts.Assets = sub
	}
	if opts.Renderer == nil {
		opts.Renderer = markdown.New()
	}
	if opts.Pictures == nil {
		opts.Pictures = picture.New(nil)
	}
	if opts.Progress == nil {
		opts.Progress = func(string, int, int) {}
	}
	design, err := page.NewDesign(page.Options{
		BaseURL: opts.BaseURL, DefaultLang: opts.DefaultLang, Assets: opts.Assets, LiveScript: opts.LiveScript, Labs: opts.Labs, Renderer: opts.Renderer,
	})
	return &builder{opts: opts, design: design}, err
}

// readCourse returns a builder of the course in src, which has the mistakes that were found so far.
// The error means that the course can't be read at all.
func readCourse(ctx context.Context, src Source, opts Options) (*builder, error) {
	b, err := newBuilder(opts)
	if err != nil {
		return nil, errors.Join(src.LabErr, err)
	}
	tree, err := course.Load(ctx, b.treeSource(src))
	if err != nil {
		return nil, errors.Join(src.LabErr, err)
	}
	b = b.of(tree, src)
	b.check()
	return b, nil
}

func (b *builder) treeSource(src Source) course.Source {
	return course.Source{Content: src.Content, Name: src.ContentName, DefaultLang: b.opts.DefaultLang, Workers: b.opts.Workers}
}

// of returns a builder of a course that was read from src. It can make pages; check completes the
// list of mistakes.
func (b *builder) of(tree *course.Tree, src Source) *builder {
	n := &builder{src: src, opts: b.opts, design: b.design}
	if missing := n.design.LabMissing(); missing != "" && len(src.Labs) > 0 {
		n.warnings.Add(&source.Error{File: "site/assets", Msg: "labs have no terminal in this build: " + missing + " (`make assets` brings it)"})
	}
	n.model, n.unknown = tree.Assemble(course.Options{Labs: src.Labs, SomeLab: src.LabErr != nil, Drafts: n.opts.Drafts}, &n.mistakes, &n.warnings)
	images := map[string]string{}
	for _, a := range n.model.Assets {
		if picture.IsImage(a.Name) {
			images[a.Path] = a.Name
		}
	}
	n.gallery, n.cards = gallery.New(src.Content, src.called, n.design.Base(), n.opts.Pictures, images), n.wantCards()
	n.pages = page.New(n.design, page.Course{
		Model: n.model, Content: src.Content, Called: src.called, Updated: src.Updated, Gallery: n.gallery, Cards: n.cards,
	})
	return n
}

// with returns a builder of the same course in another design.
func (b *builder) with(d *page.Design) *builder {
	n := *b
	n.design, n.pages = d, b.pages.With(d)
	return &n
}

// strict reports whether warnings are mistakes.
func (b *builder) strict() bool { return b.opts.Strict || b.model.Config.Strict }

// check finds the mistakes that no page depends on.
func (b *builder) check() {
	if b.unknown != nil {
		b.unknown(&b.mistakes, &b.warnings)
		b.unknown = nil
	}
}

// dedupe drops repeated mistakes: a text without a translation is rendered once per language.
func dedupe(l source.List) source.List {
	seen := map[string]bool{}
	var out source.List
	for _, e := range l {
		if s := e.Error(); !seen[s] {
			seen[s] = true
			out = append(out, e)
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].File != out[j].File {
			return out[i].File < out[j].File
		}
		return out[i].Line < out[j].Line
	})
	return out
}
