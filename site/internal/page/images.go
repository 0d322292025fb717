package page

import (
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// imagesOf returns the function that publishes the images of a page's texts.
func (m *Maker) imagesOf(p *draft, errs *source.List) func(url string) (markdown.Image, error) {
	return func(url string) (markdown.Image, error) {
		name := m.src.Gallery.Name(url)
		if name == "" {
			return markdown.Image{}, nil
		}
		p.shown, p.includes = append(p.shown, url), append(p.includes, name)
		img, files, err := m.src.Gallery.Show(m.ctx, url, errs)
		p.pictures = append(p.pictures, files...)
		return img, err
	}
}

// linkFile records an image file that a link of a page leads to, so that the original is published.
func (m *Maker) linkFile(p *draft, l markdown.Link, errs *source.List) {
	url, _, _ := strings.Cut(l.URL, "#")
	url, _, _ = strings.Cut(url, "?")
	name := m.src.Gallery.Name(url)
	if name == "" || l.Image && slices.Contains(p.shown, url) {
		return
	}
	if unfit := m.src.Gallery.Unfit(url); len(unfit) > 0 {
		*errs = append(*errs, unfit...)
		errs.Add(source.Placed(l.At, "%s can't be published: %s", m.src.Called(name), unfit[0].Msg))
		return
	}
	p.linked = append(p.linked, url)
}
