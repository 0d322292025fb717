package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"labd/internal/course"
	"labd/internal/gallery"
	"labd/internal/linkcheck"
	"labd/internal/markdown"
	"labd/internal/search"
	"labd/internal/source"
)

// facts are what the rest of a site needs to know of a page: little, because they are kept of every page of a large course.
type facts struct {
	file, url, lang string
	listed          bool          // in the site map
	alternates      []sitemapLink // of a listed page
	source          *course.Text  // what its body is made of
	headings        []markdown.Heading
	blocks, images  int      // in the text
	used            []string // images and parts of the content tree
	ids             []string
	anchors         []placedLink // links that name a place on a page
	outside         []linkcheck.Link
	updated         string // when its text was last changed
	save            string // the list of files to save that it is on
	size            int    // bytes, once it is made
	pictures        []gallery.File
	card            *pageCard
	noCard          bool     // it would have one if there were letters for it
	linked          []string // addresses of files
	mistakes        source.List
	warnings        source.List
}

// output is a file of the site that is not a page.
type output struct {
	path  string
	data  func() ([]byte, error)
	whole bool // made of what is known of all pages
}

// look finds out what there is to know of a page, without writing it.
func (b *builder) look(j job) (*page, *facts, error) {
	f := &facts{file: j.file}
	p := j.view(b, &f.mistakes)
	if err := b.describe(p); err != nil {
		return nil, nil, err
	}
	f.url, f.lang, f.source, f.headings, f.ids, f.anchors, f.warnings = p.URL, p.Lang, p.source, p.headings, p.ids, p.anchors, p.warnings
	f.save = p.Save
	f.blocks, f.images, f.used = p.blocks, p.images, b.usedBy(p)
	f.outside = p.outside
	if p.Updated != nil {
		f.updated = p.Updated.Day
	}
	f.pictures, f.linked, f.card, f.noCard = p.pictures, p.linked, p.card, p.noCard
	if f.listed = !p.NoIndex && p.Canonical == b.absolute(p.URL); f.listed && p.Default != "" {
		for _, a := range p.Alternates {
			f.alternates = append(f.alternates, sitemapLink{Rel: "alternate", Lang: a.Lang, Href: a.Absolute})
		}
	}
	return p, f, nil
}

// html is a page as it is published.
func (b *builder) html(p *page) ([]byte, error) {
	var buf bytes.Buffer
	if err := b.tmpl.execute(&buf, p); err != nil {
		return nil, fmt.Errorf("page %s: %w", p.URL, err)
	}
	return buf.Bytes(), nil
}

// makePages makes every page into write and into the search indexes. If write is nil or nothing will come of the course,
// only the facts are found out.
func (b *builder) makePages(ctx context.Context, write func(name string, data []byte) error, indexes map[string]*search.Index) ([]*facts, error) {
	html := write != nil && len(b.mistakes) == 0
	jobs := b.plan()
	pages := make([]*facts, len(jobs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(b.opts.Workers)
	for i, j := range jobs {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if pages[i] = (&facts{file: j.file}); j.copy && !html {
				return nil
			}
			p, f, err := b.look(j)
			if err != nil {
				return err
			}
			pages[i] = f
			if !html {
				return nil
			}
			if p.indexed() {
				indexes[p.Lang].Set(j.file, i, searchDocs(p))
			}
			data, err := b.html(p)
			if err != nil {
				return err
			}
			f.size = len(data)
			return write(j.file, data)
		})
	}
	return pages, g.Wait()
}

// judge gathers all mistakes, those that only show when all pages are there among them. They are the error.
func (b *builder) judge(pages []*facts) (warnings source.List, err error) {
	mistakes, warnings := b.verdict(pages)
	_, other := source.Mistakes(b.src.LabErr)
	return warnings, errors.Join(mistakes.Err(), other)
}

// verdict lists all mistakes and warnings once, by file and line.
func (b *builder) verdict(pages []*facts) (mistakes, warnings source.List) {
	labs, _ := source.Mistakes(b.src.LabErr)
	mistakes, warnings = append(labs, b.mistakes...), slices.Clone(b.warnings)
	for _, f := range pages {
		mistakes = append(mistakes, f.mistakes...)
		warnings = append(warnings, f.warnings...)
	}
	checkAnchors(pages, &mistakes)
	checkTranslations(pages, &mistakes, &warnings)
	b.checkUnused(pages, &warnings)
	missingCards(pages, &warnings)
	warnings = dedupe(warnings)
	if b.strict() {
		mistakes = append(mistakes, warnings...)
	}
	return dedupe(mistakes), warnings
}

// otherFiles are the files of the site that are not pages; the search index comes on top.
func (b *builder) otherFiles(pages []*facts) []output {
	var out []output
	for _, f := range b.assets.files {
		out = append(out, output{path: f.Path, data: func() ([]byte, error) { return f.Data, nil }})
	}
	out = append(out, b.extraFiles(pages)...)
	out = append(out, b.offlineFiles(pages)...)
	out = append(out, b.aliasPages()...)
	out = append(out, b.contentFiles()...)
	out = append(out, b.cardFiles(pages)...)
	return append(out, b.pictureFiles(pages)...)
}

// writeAll makes and writes files, several at a time.
func writeAll(ctx context.Context, files []output, workers int, write func(name string, data []byte) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, f := range files {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			data, err := f.data()
			if err != nil {
				return err
			}
			return write(f.path, data)
		})
	}
	return g.Wait()
}
