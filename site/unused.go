package site

import (
	"bytes"
	"path"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/page"
)

func looksLikeImage(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".avif":
		return true
	}
	return false
}

// checkUnused warns about images that no page shows, and partials that no text includes. Files that
// are named in a draft that is left out, or in a text with HTML, count as used.
func (b *builder) checkUnused(pages []*page.Facts, warnings *source.List) {
	used := map[string]bool{}
	for _, p := range pages {
		for _, name := range p.Used {
			used[name] = true
		}
	}
	named := func(name string) bool {
		base, found := []byte(path.Base(name)), false
		for _, doc := range b.model.Drafts {
			found = found || bytes.Contains(doc.Body, base)
		}
		if b.model.Config.HTML && !found {
			b.model.EachText(func(t *course.Text) { found = found || bytes.Contains(t.Doc.Body, base) })
		}
		return found
	}
	for _, a := range b.model.Assets {
		if looksLikeImage(a.Name) && !used[a.Path] && !named(a.Name) {
			warnings.Add(&source.Error{File: b.src.called(a.Name), Msg: "no page shows this image; show it with ![alt text](" + path.Base(a.Name) + "), or delete it"})
		}
	}
	for _, name := range b.model.Partials {
		if !used[name] && !named(name) {
			warnings.Add(&source.Error{File: b.src.called(name), Msg: "no text includes this file, and it is not a page, because its name or that of its folder begins with _; include it or delete it"})
		}
	}
}
