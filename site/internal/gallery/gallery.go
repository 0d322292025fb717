// Package gallery publishes the images of a course.
//
// An image that a page shows is published in up to three widths, as package picture makes them, and pages name them in srcset.
// The files are called assets/<name>-<hash>.<ext>; the hash follows from what is in them. The image itself is published, without
// metadata and where it lies in the content tree, only if a link leads to it.
//
// # When images are made
//
// Encoding takes long, so there are three ways to use a Gallery:
//
//   - Without preparation, Show makes an image when the first page shows it. A preview does this.
//   - After Measure, Show only reads the sizes of images from their headers. A check does this.
//   - A build measures first, which finds the mistakes of all pages and which images they show. Prepare then makes these images
//     on all cores and writes them. After that, Show has everything.
package gallery

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/picture"
)

// columnWidth is how wide the text of a page is at most, in CSS pixels: --measure of the style sheet. Where the window is
// narrower, the text has 20 pixels beside it on both sides.
const columnWidth = 712

// maxName bounds how much of an image's name its published files repeat.
const maxName = 40

// Gallery has the images of a course. It is safe for concurrent use.
type Gallery struct {
	content fs.FS
	called  func(name string) string
	base    string
	maker   *picture.Maker
	images  map[string]*shown // by address; not changed once New is done

	measuring atomic.Bool
	mu        sync.Mutex
	written   map[string]bool // paths of files that Prepare has written; guarded by mu
}

// shown is an image, made when the first page shows it.
type shown struct {
	name string // in the content tree

	measured sync.Once
	size     measured
	wanted   atomic.Bool // a page shows it

	mu   sync.Mutex // held while the image is made
	made *made      // guarded by mu; nil until then

	check sync.Once
	unfit source.List
}

// measured is what the header of an image says.
type measured struct {
	width, height int
	mistakes      source.List
	err           error
}

// made is an image with all its sizes. Only what pages need to know of it is kept.
type made struct {
	files         []File // from narrow to wide, like those of a picture.Image
	width, height int
	mistakes      source.List
	err           error
}

// File is one size of an image, as it is published.
type File struct {
	Path  string // in the site
	name  string // of the image it is made from
	n     int    // which of the picture's files it is
	width int
}

// New returns the gallery of a site whose path is base. images are those files of content that picture.IsImage, by their paths in
// the site; called is how messages call a file of content.
func New(content fs.FS, called func(name string) string, base string, maker *picture.Maker, images map[string]string) *Gallery {
	g := &Gallery{content: content, called: called, base: base, maker: maker, images: make(map[string]*shown, len(images)), written: map[string]bool{}}
	for p, name := range images {
		g.images[base+p] = &shown{name: name}
	}
	return g
}

// Name is the file of the content tree that is the image at an address, "" if there is none.
func (g *Gallery) Name(url string) string {
	if s := g.images[url]; s != nil {
		return s.name
	}
	return ""
}

// Measure makes Show read headers only, until Prepare is called.
func (g *Gallery) Measure() { g.measuring.Store(true) }

// Show says how a page shows the image at an address, and which files it needs then. Mistakes of the file itself go to errs;
// with the error they say why it can't be shown. An address without image is shown as it is.
func (g *Gallery) Show(ctx context.Context, url string, errs *source.List) (markdown.Image, []File, error) {
	shown := g.images[url]
	if shown == nil {
		return markdown.Image{}, nil, nil
	}
	if g.measuring.Load() {
		return g.measure(shown, url, errs)
	}
	s, err := g.makeOnce(ctx, shown)
	if err != nil {
		return markdown.Image{}, nil, err
	}
	*errs = append(*errs, s.mistakes...)
	switch {
	case s.err != nil:
		return markdown.Image{}, nil, s.err
	case len(s.files) == 0:
		return markdown.Image{}, nil, g.unshown(shown, s.mistakes)
	}
	// A browser that knows no srcset gets the one that fits the column on most screens.
	one := s.files[0]
	for _, f := range s.files {
		if f.width <= 2*columnWidth {
			one = f
		}
	}
	out := markdown.Image{URL: g.base + one.Path, Width: s.width, Height: s.height}
	if len(s.files) > 1 {
		var set []string
		for _, f := range s.files {
			set = append(set, g.base+f.Path+" "+strconv.Itoa(f.width)+"w")
		}
		column := min(columnWidth, s.width)
		out.SrcSet = strings.Join(set, ", ")
		out.Sizes = fmt.Sprintf("(min-width: %dpx) %dpx, calc(100vw - 40px)", column+40, column)
	}
	return out, s.files, nil
}

// unshown is the error of an image that has mistakes.
func (g *Gallery) unshown(s *shown, mistakes source.List) error {
	why := "it is no image"
	if len(mistakes) > 0 {
		why = mistakes[0].Msg
	}
	return fmt.Errorf("%s can't be shown: %s", g.called(s.name), why)
}

// measure is Show for an image of which only the size is wanted.
func (g *Gallery) measure(s *shown, url string, errs *source.List) (markdown.Image, []File, error) {
	s.wanted.Store(true)
	s.measured.Do(func() {
		var data []byte
		if data, s.size.err = g.read(s.name, &s.size.mistakes); data != nil {
			s.size.width, s.size.height = picture.Measure(g.called(s.name), data, &s.size.mistakes)
		}
	})
	*errs = append(*errs, s.size.mistakes...)
	switch {
	case s.size.err != nil:
		return markdown.Image{}, nil, s.size.err
	case len(s.size.mistakes) > 0:
		return markdown.Image{}, nil, g.unshown(s, s.size.mistakes)
	}
	return markdown.Image{URL: url, Width: s.size.width, Height: s.size.height}, nil, nil
}

// Missing reports whether there is an image that was not made before, in this process or in the cache on disk.
func (g *Gallery) Missing() bool {
	for _, s := range g.images {
		data, err := g.read(s.name, new(source.List))
		if err != nil || data == nil || !g.maker.Made(g.called(s.name), data) {
			return true
		}
	}
	return false
}

// Prepare makes all images that pages showed since Measure was called, with so many workers, and hands each of their files to
// write. It calls progress whenever an image is done. Mistakes in images are kept for Show. What is done when ctx ends stays
// in the cache on disk, so the next build continues there.
func (g *Gallery) Prepare(ctx context.Context, workers int, write func(name string, data []byte) error, progress func(done, total int)) error {
	g.measuring.Store(false)
	var wanted []*shown
	for _, s := range g.images {
		if s.wanted.Load() {
			wanted = append(wanted, s)
		}
	}
	slices.SortFunc(wanted, func(a, b *shown) int { return strings.Compare(a.name, b.name) })
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, s := range wanted {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			m, data, err := g.prepare(ctx, s.name)
			if err != nil {
				return err
			}
			s.made = m
			for i, f := range m.files {
				if g.claim(f.Path) {
					if err := write(f.Path, data[i]); err != nil {
						return err
					}
				}
			}
			progress(int(done.Add(1)), len(wanted))
			return nil
		})
	}
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("stopped after %d of %d pictures: %w", done.Load(), len(wanted), context.Canceled)
	}
	return err
}

// claim notes that a file is written, and reports whether that is new. Two equal images of one name share their files.
func (g *Gallery) claim(path string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.written[path]
	g.written[path] = true
	return !known
}

// Written reports whether Prepare has written a file.
func (g *Gallery) Written(f File) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.written[f.Path]
}

// Unfit is why the image at an address can't be published as it is; empty if it can.
func (g *Gallery) Unfit(url string) source.List {
	s := g.images[url]
	if s == nil {
		return nil
	}
	s.check.Do(func() {
		if _, err := g.original(s.name, &s.unfit); err != nil {
			s.unfit.Add(&source.Error{File: g.called(s.name), Msg: err.Error()})
		}
	})
	return s.unfit
}

// Data is what is in a file that Show has named.
func (g *Gallery) Data(ctx context.Context, f File) ([]byte, error) {
	var errs source.List
	img, err := g.make(ctx, f.name, &errs)
	if err := errors.Join(err, errs.Err()); err != nil {
		return nil, err
	}
	if f.n >= len(img.Files) {
		return nil, fmt.Errorf("%s changed while the site was built; build it again", g.called(f.name))
	}
	return img.Files[f.n].Data, nil
}

// Original is the image at an address without its metadata.
func (g *Gallery) Original(url string) ([]byte, error) {
	s := g.images[url]
	if s == nil {
		return nil, fs.ErrNotExist
	}
	var errs source.List
	data, err := g.original(s.name, &errs)
	return data, errors.Join(err, errs.Err())
}

// makeOnce makes an image once, for all pages. The error is that of a context that ended: the next caller tries again.
func (g *Gallery) makeOnce(ctx context.Context, s *shown) (*made, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil {
		m, _, err := g.prepare(ctx, s.name)
		if err != nil {
			return nil, err
		}
		s.made = m
	}
	return s.made, nil
}

// prepare makes an image and names its files. The error is that of a context that ended.
func (g *Gallery) prepare(ctx context.Context, name string) (*made, [][]byte, error) {
	m := &made{}
	img, err := g.make(ctx, name, &m.mistakes)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, nil, err
	case err != nil || img == nil:
		m.err = err
		return m, nil, nil
	}
	m.width, m.height = img.Width, img.Height
	var data [][]byte
	for n, f := range img.Files {
		sum := sha256.Sum256(f.Data)
		base := published(name) + "-" + base32.StdEncoding.EncodeToString(sum[:])[:8] + f.Ext
		m.files, data = append(m.files, File{Path: "assets/" + base, name: name, n: n, width: f.Width}), append(data, f.Data)
	}
	return m, data, nil
}

// published is what the files made of an image are called, in letters that need no escaping anywhere.
func published(name string) string {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	clean := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, base[:min(len(base), maxName)]), "-")
	return cmp.Or(clean, "image")
}

func (g *Gallery) make(ctx context.Context, name string, errs *source.List) (*picture.Image, error) {
	data, err := g.read(name, errs)
	if data == nil {
		return nil, err
	}
	img, err := g.maker.Make(ctx, g.called(name), data, errs)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", g.called(name), err)
	}
	return img, nil
}

func (g *Gallery) original(name string, errs *source.List) ([]byte, error) {
	data, err := g.read(name, errs)
	if data == nil {
		return nil, err
	}
	return picture.Original(g.called(name), data, errs), nil
}

// read reads an image's file, if it is not so large that reading it is a mistake already.
func (g *Gallery) read(name string, errs *source.List) ([]byte, error) {
	complain := func(format string, args ...any) {
		errs.Add(&source.Error{File: g.called(name), Msg: fmt.Sprintf(format, args...)})
	}
	info, err := fs.Stat(g.content, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		complain("this file went away while the site was built; build it again")
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", g.called(name), err)
	case info.Size() > picture.MaxFile:
		complain("an image may have at most %d MiB; this one has %d", picture.MaxFile>>20, info.Size()>>20)
		return nil, nil
	}
	data, err := fs.ReadFile(g.content, name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", g.called(name), err)
	}
	return data, nil
}
