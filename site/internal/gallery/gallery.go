// Package gallery publishes the images of a course.
//
// An image that a page shows is published in up to three widths, which package picture makes. Pages list them in srcset. The
// files are named assets/<name>-<hash>.<ext>, and the hash depends on the content. The original file is published, without
// metadata and at its path in the content tree, only if a link points to it.
//
// # When images are made
//
// Encoding is slow, so there are three ways to use a Gallery:
//
//   - By default, Show encodes an image when the first page shows it. The preview server does this.
//   - After Measure, Show only reads image sizes from file headers. `sitegen check` does this.
//   - A build calls Measure first and renders all pages, to find mistakes and the images in use. Prepare then encodes these images
//     on all cores and writes them. After that, Show returns the results.
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

// columnWidth is the maximum width of a page's text column in CSS pixels (--measure in the style sheet). In narrower windows, the
// column has a margin of 20 pixels on both sides.
const columnWidth = 712

// maxName is how many bytes of an image's name appear in the names of its published files.
const maxName = 40

// Gallery holds the images of a course. It is safe for concurrent use.
type Gallery struct {
	content fs.FS
	called  func(name string) string
	base    string
	maker   *picture.Maker
	images  map[string]*shown // by URL path; read-only after New

	measuring atomic.Bool
	mu        sync.Mutex
	written   map[string]bool // paths of files that Prepare wrote; guarded by mu
}

// shown is an image of the course and what is known about it so far.
type shown struct {
	name string // in the content tree

	measured sync.Once
	size     measured
	wanted   atomic.Bool // whether a page shows it

	mu   sync.Mutex // held while the image is encoded
	made *made      // guarded by mu; nil until the image is encoded

	check sync.Once
	unfit source.List
}

// measured is the result of reading an image's header.
type measured struct {
	width, height int
	mistakes      source.List
	err           error
}

// made is the result of encoding an image. It keeps only what pages need, not the encoded bytes.
type made struct {
	files         []File // from narrow to wide, in the order of picture.Image.Files
	width, height int
	mistakes      source.List
	err           error
}

// File is one published size of an image.
type File struct {
	Path  string // in the site
	name  string // of the source image in the content tree
	n     int    // index in picture.Image.Files
	width int    // in pixels
}

// New returns the gallery of a site at the URL path base. images maps paths in the site to names of image files in content. called
// returns the name of a content file as error messages show it.
func New(content fs.FS, called func(name string) string, base string, maker *picture.Maker, images map[string]string) *Gallery {
	g := &Gallery{content: content, called: called, base: base, maker: maker, images: make(map[string]*shown, len(images)), written: map[string]bool{}}
	for p, name := range images {
		g.images[base+p] = &shown{name: name}
	}
	return g
}

// Name returns the content file of the image at a URL path, or "" if there is no image.
func (g *Gallery) Name(url string) string {
	if s := g.images[url]; s != nil {
		return s.name
	}
	return ""
}

// Measure switches to reading headers only, until Prepare is called.
func (g *Gallery) Measure() { g.measuring.Store(true) }

// Show returns how a page shows the image at a URL path, and the files it needs for that. Mistakes in the file are added to errs;
// the error then says that the image can't be shown. If there is no image at url, Show returns zero values.
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
	// Browsers without srcset support get the widest file that is useful in the column at two device pixels per CSS pixel.
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

// unshown returns the error for an image with mistakes.
func (g *Gallery) unshown(s *shown, mistakes source.List) error {
	why := "it is no image"
	if len(mistakes) > 0 {
		why = mistakes[0].Msg
	}
	return fmt.Errorf("%s can't be shown: %s", g.called(s.name), why)
}

// measure implements Show while only sizes are needed.
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

// Missing reports whether any image is neither in memory nor in the disk cache.
func (g *Gallery) Missing() bool {
	for _, s := range g.images {
		data, err := g.read(s.name, new(source.List))
		if err != nil || data == nil || !g.maker.Made(g.called(s.name), data) {
			return true
		}
	}
	return false
}

// Prepare encodes all images that were shown since Measure was called, in up to workers goroutines, and passes every file to write.
// It calls progress after each image. Show reports mistakes in images later. Encoded images are stored in the disk cache, so the
// next build continues where a cancelled one stopped.
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

// claim marks a file as written and reports whether it was not yet. Two images with equal names and content share their files.
func (g *Gallery) claim(path string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.written[path]
	g.written[path] = true
	return !known
}

// Written reports whether Prepare wrote a file.
func (g *Gallery) Written(f File) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.written[f.Path]
}

// Unfit returns the mistakes because of which the original file at a URL path can't be published.
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

// Data returns the content of a file that Show returned.
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

// Original returns the original file at a URL path without its metadata.
func (g *Gallery) Original(url string) ([]byte, error) {
	s := g.images[url]
	if s == nil {
		return nil, fs.ErrNotExist
	}
	var errs source.List
	data, err := g.original(s.name, &errs)
	return data, errors.Join(err, errs.Err())
}

// makeOnce encodes an image unless that was done before. It fails only if ctx ends, and then the next caller tries again.
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

// prepare encodes an image and names its files. It fails only if ctx ends; other errors are part of the result.
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

// published returns the base name of an image's published files. It consists of characters that need no escaping in URLs.
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

// read reads an image file. It adds a mistake to errs and returns nil if the file is missing or too large.
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
