// Package gallery publishes the images of a course.
//
// An image that a page shows is published in up to three widths, as package picture makes them, and pages name them in srcset.
// The files are called assets/<name>-<hash>.<ext>; the hash follows from what is in them. The image itself is published, without
// metadata and where it lies in the content tree, only if a link leads to it.
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
	"strconv"
	"strings"
	"sync"

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
}

// shown is an image, prepared when the first page shows it.
type shown struct {
	name string // in the content tree

	once     sync.Once
	files    []File // from narrow to wide, like those of a picture.Image
	width    int
	height   int
	mistakes source.List
	err      error

	check sync.Once
	unfit source.List
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
	g := &Gallery{content: content, called: called, base: base, maker: maker, images: make(map[string]*shown, len(images))}
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

// Show says how a page shows the image at an address, and which files it needs then. Mistakes of the file itself go to errs;
// with the error they say why it can't be shown. An address without image is shown as it is.
func (g *Gallery) Show(url string, errs *source.List) (markdown.Image, []File, error) {
	s := g.images[url]
	if s == nil {
		return markdown.Image{}, nil, nil
	}
	s.once.Do(func() { g.prepare(s) })
	*errs = append(*errs, s.mistakes...)
	switch {
	case s.err != nil:
		return markdown.Image{}, nil, s.err
	case len(s.files) == 0:
		why := "it is no image"
		if len(s.mistakes) > 0 {
			why = s.mistakes[0].Msg
		}
		return markdown.Image{}, nil, fmt.Errorf("%s can't be shown: %s", g.called(s.name), why)
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
func (g *Gallery) Data(f File) ([]byte, error) {
	var errs source.List
	img, err := g.make(f.name, &errs)
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

// prepare makes an image once, for all pages. Only what pages need to know of it is kept.
func (g *Gallery) prepare(s *shown) {
	img, err := g.make(s.name, &s.mistakes)
	if err != nil || img == nil {
		s.err = err
		return
	}
	s.width, s.height = img.Width, img.Height
	for n, f := range img.Files {
		sum := sha256.Sum256(f.Data)
		base := published(s.name) + "-" + base32.StdEncoding.EncodeToString(sum[:])[:8] + f.Ext
		s.files = append(s.files, File{Path: "assets/" + base, name: s.name, n: n, width: f.Width})
	}
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

func (g *Gallery) make(name string, errs *source.List) (*picture.Image, error) {
	data, err := g.read(name, errs)
	if data == nil {
		return nil, err
	}
	// What is waited for is only that other images are done, which needs no end from outside.
	img, err := g.maker.Make(context.Background(), g.called(name), data, errs)
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
