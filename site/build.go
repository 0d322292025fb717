// Package site turns a course's content and labs into a static site.
//
// Package course says what a content tree looks like, package page what its pages are and where, package gallery how images
// are published. This package makes a whole of them: it builds a site, or serves one while it is written; finds what is wrong
// when all pages are there; and makes what is not of one page.
//
// # Output
//
// The output folder is replaced as a whole once everything is written, so a reader or a failed build never sees half a
// site. Identical input gives identical bytes. On request text is written compressed too, with .gz and .br behind its name.
// Broken links fail the build, as all mistakes do.
//
// # In the browser
//
// What a reader has done is kept by the browser and nobody else (assets/ts/progress.ts has the form): a lesson is done when
// its end was in view after some time, or when the reader says so. Where labs are offered (Options.Labs), those that labd
// knows as done count too, with the lessons that they practise; it is not asked about readers who never began a lab.
//
// The service worker /sw.js (assets/ts/sw.ts has the rules and limits) keeps the pages that were visited, and all of a
// course of at most 300 lessons if a reader asks for it. Without a network, offline/ stands in for what is not kept. The
// worker of a site with a LiveScript takes away what an earlier one has left, and itself.
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

// Source is what a site is made of.
type Source struct {
	Content     fs.FS
	ContentName string // how messages call it; "content" if empty
	Labs        []*lab.Lab
	// LabErr is what was wrong with labs that are missing from Labs, as lab.Load returns it: it is reported together
	// with the mistakes of the lessons.
	LabErr error
	// Updated is when files of Content were last changed, by name, as far as that is known.
	Updated map[string]time.Time
}

// called is how messages call a file of the content.
func (s Source) called(file string) string {
	return path.Join(cmp.Or(s.ContentName, "content"), file)
}

// Options are the choices of whoever builds. The zero value is right for labd.
type Options struct {
	BaseURL     string // where the site will be, e.g. https://example.org/course/; empty for the root of any host
	DefaultLang string // "en" if empty
	Drafts      bool   // publish drafts too
	Workers     int    // pages rendered at a time; the number of processors if 0
	Assets      fs.FS  // the folder of scripts and styles; the built-in one if nil
	Strict      bool   // warnings are errors
	Force       bool   // build even if nothing has changed since the site was built
	// LiveScript is the address of a script that every page loads, for whoever serves a site while it is written.
	LiveScript string
	// Labs says that labd's API is at static.API of the site's host, whatever the site's path: labd serves the site, or a server
	// in front of both passes it on. Labs can then be run, and progress in them is shown beside that of lessons. Without it,
	// pages of labs are text, and nobody is asked.
	Labs bool
	// Renderer carries what was rendered before from one build to the next in the same process. May be nil.
	Renderer *markdown.Renderer
	Compress bool  // write text compressed too, beside itself
	Cards    Cards // which pages get a picture for links to them
	// Pictures makes images, and carries those that it made before. May be nil.
	Pictures *picture.Maker
	// Progress is told how many of the total pages, or of another kind of work, are done. It is called from several goroutines
	// at a time, so a call may report less than one before. May be nil.
	Progress func(what string, done, total int)
}

// Report is what a build did.
type Report struct {
	Pages    int
	Files    int
	Bytes    int64
	Duration time.Duration
	Warnings source.List `json:",omitempty"`
	// Unchanged says that the site was built from the same input before, and left as it was.
	Unchanged bool `json:"-"`
	// Outside are the links to other sites that Check found, without those that the course says not to try.
	Outside []linkcheck.Link `json:"-"`
	// Strict says that the author wants warnings to be errors.
	Strict bool `json:"-"`
}

// builder makes the files of a site from its model. It does not change once it is made, and is safe for concurrent use.
type builder struct {
	opts     Options
	design   *page.Design
	src      Source // this and what follows is of a course
	model    *course.Model
	gallery  *gallery.Gallery
	cards    bool // pages get cards
	pages    *page.Maker
	mistakes source.List // in what is not the text of a page
	warnings source.List
	unknown  func(mistakes, warnings *source.List) // finds what is missing in these; nil once that is done
}

// Build makes the site in the folder out, which it replaces. All of the authors' mistakes are in the one error, which is
// a join of *source.Error; nothing is written then.
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

// Check does all that Build does but write.
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

// newBuilder makes what does not depend on the course.
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

// readCourse makes a builder of the course in src. Authors' mistakes are kept in it; the error is for a course that can't be
// read at all.
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

// of is a builder of a course that was read from src. Its pages can be made; check finds the rest of what is wrong.
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

// with makes the same course in another design.
func (b *builder) with(d *page.Design) *builder {
	n := *b
	n.design, n.pages = d, b.pages.With(d)
	return &n
}

// strict says whether warnings are mistakes.
func (b *builder) strict() bool { return b.opts.Strict || b.model.Config.Strict }

// check finds the mistakes that no page shows.
func (b *builder) check() {
	if b.unknown != nil {
		b.unknown(&b.mistakes, &b.warnings)
		b.unknown = nil
	}
}

// dedupe drops repeated mistakes: a text that stands in for translations is rendered once per language.
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
