package site

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"labd/internal/markdown"
	"labd/internal/source"
)

// imagesOf is how the texts of a page show images.
func (b *builder) imagesOf(p *page, errs *source.List) func(url string) (markdown.Image, error) {
	return func(url string) (markdown.Image, error) {
		name := b.gallery.Name(url)
		if name == "" {
			return markdown.Image{}, nil
		}
		p.shown, p.includes = append(p.shown, url), append(p.includes, name)
		img, files, err := b.gallery.Show(url, errs)
		p.pictures = append(p.pictures, files...)
		return img, err
	}
}

// linkFile notes a file of the course that a link leads to, or that is shown in a way that knows no sizes.
func (b *builder) linkFile(p *page, l markdown.Link, errs *source.List) {
	url, _, _ := strings.Cut(l.URL, "#")
	url, _, _ = strings.Cut(url, "?")
	name := b.gallery.Name(url)
	if name == "" || l.Image && slices.Contains(p.shown, url) {
		return
	}
	if unfit := b.gallery.Unfit(url); len(unfit) > 0 {
		*errs = append(*errs, unfit...)
		errs.Add(placed(l.At, "%s can't be published: %s", b.src.name(name), unfit[0].Msg))
		return
	}
	p.linked = append(p.linked, url)
}

// contentFiles are the files that lie beside the lessons and are published as they are.
func (b *builder) contentFiles() []output {
	var out []output
	for _, a := range b.model.Assets {
		if b.gallery.Name(b.base+a.Path) == "" {
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
			add(file.Path, func() ([]byte, error) { return b.gallery.Data(file) })
		}
		for _, url := range f.linked {
			if b.gallery.Name(url) != "" {
				add(strings.TrimPrefix(url, b.base), func() ([]byte, error) { return b.gallery.Original(url) })
			}
		}
	}
	return out
}
