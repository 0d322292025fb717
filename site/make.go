package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/page"
	"github.com/labd-dev/labd/site/internal/search"
)

// output is a file of the site other than a page.
type output struct {
	path  string
	data  func() ([]byte, error)
	whole bool // depends on the facts of all pages
}

// makePages makes every page into write and into the search indexes. If write is nil or nothing
// will come of the course, only the facts are found out.
func (b *builder) makePages(ctx context.Context, write func(name string, data []byte) error, indexes map[string]*search.Index) ([]*page.Facts, error) {
	html := write != nil && len(b.mistakes) == 0
	jobs := b.pages.Plan()
	pages := make([]*page.Facts, len(jobs))
	var done atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(b.opts.Workers)
	for i, j := range jobs {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			defer func() { b.opts.Progress("pages", int(done.Add(1)), len(jobs)) }()
			if pages[i] = (&page.Facts{File: j.File}); j.Copy && !html {
				return nil
			}
			p, err := b.pages.Look(ctx, j, nil)
			if err != nil {
				return err
			}
			pages[i] = p.Facts
			if !html {
				return nil
			}
			indexes[p.Facts.Lang].Set(j.File, i, p.Findable().Docs())
			data, err := p.HTML()
			if err != nil {
				return err
			}
			return write(j.File, data)
		})
	}
	return pages, g.Wait()
}

// makePictures makes the images that pages show, on all cores, and writes them. To know which these
// are, it looks at all pages first. That also finds most mistakes, before anybody waits for images.
// If all images were made before, there is nothing to wait for, and pages take them from the cache
// as they are made.
func (b *builder) makePictures(ctx context.Context, write func(name string, data []byte) error) (warnings source.List, err error) {
	if !b.gallery.Missing() {
		return nil, nil
	}
	b.gallery.Measure()
	pages, err := b.makePages(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	if warnings, err = b.judge(pages); err != nil {
		return warnings, err
	}
	return warnings, b.gallery.Prepare(ctx, b.opts.Workers, write, func(done, total int) { b.opts.Progress("pictures", done, total) })
}

// judge returns all warnings, and all mistakes as the error, including those that depend on several
// pages.
func (b *builder) judge(pages []*page.Facts) (warnings source.List, err error) {
	mistakes, warnings := b.verdict(pages)
	_, other := source.Mistakes(b.src.LabErr)
	return warnings, errors.Join(mistakes.Err(), other)
}

// verdict returns all mistakes and warnings without duplicates, sorted by file and line.
func (b *builder) verdict(pages []*page.Facts) (mistakes, warnings source.List) {
	labs, _ := source.Mistakes(b.src.LabErr)
	mistakes, warnings = append(labs, b.mistakes...), slices.Clone(b.warnings)
	for _, f := range pages {
		mistakes = append(mistakes, f.Mistakes...)
		warnings = append(warnings, f.Warnings...)
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

// otherFiles returns the files of the site that are neither pages nor of single pages; those of the
// search indexes come on top.
func (b *builder) otherFiles(pages []*page.Facts, searches savedSearches) []output {
	var out []output
	for _, f := range b.design.Files() {
		out = append(out, output{path: f.Path, data: func() ([]byte, error) { return f.Data, nil }})
	}
	out = append(out, b.extraFiles(pages)...)
	out = append(out, b.offlineFiles(pages, searches)...)
	out = append(out, b.aliasPages()...)
	return append(out, b.contentFiles()...)
}

// contentFiles returns the files beside the lessons, which are published unchanged.
func (b *builder) contentFiles() []output {
	var out []output
	for _, a := range b.model.Assets {
		if b.gallery.Name(b.design.Base()+a.Path) == "" {
			out = append(out, output{path: a.Path, data: func() ([]byte, error) {
				data, err := fs.ReadFile(b.src.Content, a.Name)
				if err != nil {
					return nil, fmt.Errorf("publishing %s: %w", b.src.called(a.Name), err)
				}
				return data, nil
			}})
		}
	}
	return out
}

// filesOf returns the files that pages need, such as images.
func (b *builder) filesOf(ctx context.Context, pages []*page.Facts) []output {
	var out []output
	done := map[string]bool{}
	for _, f := range pages {
		for _, file := range b.pages.Files(ctx, f) {
			if !done[file.Path] {
				done[file.Path] = true
				out = append(out, output{path: file.Path, data: file.Data})
			}
		}
	}
	return out
}

// writeAll makes and writes files concurrently.
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
