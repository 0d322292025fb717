package site

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

	"labd/internal/course"
	"labd/internal/markdown"
	"labd/internal/picture"
	"labd/internal/source"
)

// columnWidth is how wide the text of a page is at most, in CSS pixels: --measure of the style sheet. Where the window is
// narrower, the text has 20 pixels beside it on both sides.
const columnWidth = 712

// maxImageName bounds how much of an image's name its published files repeat.
const maxImageName = 40

// shownPicture is an image of the course, prepared when the first page shows it.
type shownPicture struct {
	asset course.Asset

	once     sync.Once
	files    []pictureFile // from narrow to wide, like those of a picture.Image
	width    int
	height   int
	mistakes source.List
	err      error

	check sync.Once
	unfit source.List // why the file itself can't be published
}

// pictureFile is one size of an image, as it is published.
type pictureFile struct {
	path  string       // in the site
	asset course.Asset // what it is made from
	n     int          // which of the picture's files it is
	width int
}

// prepare makes the image once, for all pages. Only what pages need to know of it is kept.
func (s *shownPicture) prepare(b *builder) {
	s.once.Do(func() {
		img, err := b.makePicture(s.asset, &s.mistakes)
		if err != nil || img == nil {
			s.err = err
			return
		}
		s.width, s.height = img.Width, img.Height
		for n, f := range img.Files {
			sum := sha256.Sum256(f.Data)
			name := imageName(s.asset.Name) + "-" + base32.StdEncoding.EncodeToString(sum[:])[:8] + f.Ext
			s.files = append(s.files, pictureFile{path: "assets/" + name, asset: s.asset, n: n, width: f.Width})
		}
	})
}

// imageName is what the published files of an image are called, in letters that need no escaping anywhere.
func imageName(name string) string {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	clean := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, base[:min(len(base), maxImageName)]), "-")
	return cmp.Or(clean, "image")
}

func (b *builder) makePicture(a course.Asset, errs *source.List) (*picture.Image, error) {
	data, err := b.readPicture(a, errs)
	if data == nil {
		return nil, err
	}
	// What is waited for is only that other images are done, which needs no end from outside.
	img, err := b.opts.Pictures.Make(context.Background(), b.src.name(a.Name), data, errs)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", b.src.name(a.Name), err)
	}
	return img, nil
}

// readPicture reads an image's file, if it is not so large that reading it is a mistake already.
func (b *builder) readPicture(a course.Asset, errs *source.List) ([]byte, error) {
	complain := func(format string, args ...any) {
		errs.Add(&source.Error{File: b.src.name(a.Name), Msg: fmt.Sprintf(format, args...)})
	}
	info, err := fs.Stat(b.src.Content, a.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		complain("this file went away while the site was built; build it again")
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", b.src.name(a.Name), err)
	case info.Size() > picture.MaxFile:
		complain("an image may have at most %d MiB; this one has %d", picture.MaxFile>>20, info.Size()>>20)
		return nil, nil
	}
	data, err := fs.ReadFile(b.src.Content, a.Name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", b.src.name(a.Name), err)
	}
	return data, nil
}

// imagesOf is how the texts of a page show images.
func (b *builder) imagesOf(p *page, errs *source.List) func(url string) (markdown.Image, error) {
	return func(url string) (markdown.Image, error) { return b.picture(p, url, errs) }
}

// picture says how a page shows the image at an address.
func (b *builder) picture(p *page, url string, errs *source.List) (markdown.Image, error) {
	s := b.pictures[url]
	if s == nil {
		return markdown.Image{}, nil
	}
	p.shown, p.includes = append(p.shown, url), append(p.includes, s.asset.Name)
	s.prepare(b)
	*errs = append(*errs, s.mistakes...)
	switch {
	case s.err != nil:
		return markdown.Image{}, s.err
	case len(s.files) == 0:
		why := "it is no image"
		if len(s.mistakes) > 0 {
			why = s.mistakes[0].Msg
		}
		return markdown.Image{}, fmt.Errorf("%s can't be shown: %s", b.src.name(s.asset.Name), why)
	}
	p.pictures = append(p.pictures, s.files...)
	// A browser that knows no srcset gets the one that fits the column on most screens.
	shown := s.files[0]
	for _, f := range s.files {
		if f.width <= 2*columnWidth {
			shown = f
		}
	}
	out := markdown.Image{URL: b.base + shown.path, Width: s.width, Height: s.height}
	if len(s.files) > 1 {
		var set []string
		for _, f := range s.files {
			set = append(set, b.base+f.path+" "+strconv.Itoa(f.width)+"w")
		}
		column := min(columnWidth, s.width)
		out.SrcSet = strings.Join(set, ", ")
		out.Sizes = fmt.Sprintf("(min-width: %dpx) %dpx, calc(100vw - 40px)", column+40, column)
	}
	return out, nil
}

// linkFile notes a file of the course that a link leads to, or that is shown in a way that knows no sizes.
func (b *builder) linkFile(p *page, l markdown.Link, errs *source.List) {
	url, _, _ := strings.Cut(l.URL, "#")
	url, _, _ = strings.Cut(url, "?")
	s := b.pictures[url]
	if s == nil || l.Image && slices.Contains(p.shown, url) {
		return
	}
	s.check.Do(func() {
		if _, err := b.original(s.asset, &s.unfit); err != nil {
			s.unfit.Add(&source.Error{File: b.src.name(s.asset.Name), Msg: err.Error()})
		}
	})
	*errs = append(*errs, s.unfit...)
	if len(s.unfit) > 0 {
		errs.Add(placed(l.At, "%s can't be published: %s", b.src.name(s.asset.Name), s.unfit[0].Msg))
		return
	}
	p.linked = append(p.linked, url)
}

// contentFiles are the files that lie beside the lessons and are published as they are.
func (b *builder) contentFiles() []output {
	var out []output
	for _, a := range b.model.Assets {
		if b.pictures[b.base+a.Path] == nil {
			out = append(out, output{path: a.Path, data: func() ([]byte, error) {
				data, err := fs.ReadFile(b.src.Content, a.Name)
				if err != nil {
					return nil, fmt.Errorf("publishing %s: %w", b.src.name(a.Name), err)
				}
				return data, nil
			}})
		}
	}
	return out
}

// pictureFiles are images in the sizes that pages show, and as they are if a page leads to them.
func (b *builder) pictureFiles(pages []*facts) []output {
	var out []output
	done := map[string]bool{}
	add := func(path string, data func() ([]byte, error)) {
		if !done[path] {
			done[path] = true
			out = append(out, output{path: path, data: data})
		}
	}
	for _, f := range pages {
		for _, file := range f.pictures {
			add(file.path, func() ([]byte, error) { return b.pictureData(file) })
		}
		for _, url := range f.linked {
			if s := b.pictures[url]; s != nil {
				add(s.asset.Path, func() ([]byte, error) {
					var errs source.List
					data, err := b.original(s.asset, &errs)
					return data, errors.Join(err, errs.Err())
				})
			}
		}
	}
	return out
}

func (b *builder) pictureData(f pictureFile) ([]byte, error) {
	var errs source.List
	img, err := b.makePicture(f.asset, &errs)
	if err := errors.Join(err, errs.Err()); err != nil {
		return nil, err
	}
	if f.n >= len(img.Files) {
		return nil, fmt.Errorf("%s changed while the site was built; build it again", b.src.name(f.asset.Name))
	}
	return img.Files[f.n].Data, nil
}

// original is an image that somebody links to, without its metadata.
func (b *builder) original(a course.Asset, errs *source.List) ([]byte, error) {
	data, err := b.readPicture(a, errs)
	if data == nil {
		return nil, err
	}
	return picture.Original(b.src.name(a.Name), data, errs), nil
}
