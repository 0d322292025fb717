package site

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"labd/internal/course"
	"labd/internal/source"
)

// templateIDs are the ids of the templates, which no heading of a page may have.
var templateIDs = []string{
	"content", "courses-title", "lab-pane", "lab-start-title", "labs-title", "modules-title", "nav", "print-contents", "toc-title",
}

// strict says whether warnings are mistakes.
func (b *builder) strict() bool { return b.opts.Strict || b.model.Config.Strict }

// use notes that a page leads to a file of the content tree, or shows it.
func (b *builder) use(p *page, url string) {
	if i := strings.IndexAny(url, "?#"); i >= 0 {
		url = url[:i]
	}
	if rel, ok := strings.CutPrefix(url, b.base); ok && b.files[rel] {
		p.used = append(p.used, rel)
	}
}

// usedBy are the files that a page is made of, if somebody asks whether they are used at all: images by their address, parts
// by their name.
func (b *builder) usedBy(p *page) []string {
	var out []string
	for _, rel := range p.used {
		if looksLikeImage(rel) {
			out = append(out, rel)
		}
	}
	for _, name := range p.includes {
		if _, ok := slices.BinarySearch(b.model.Parts, name); ok {
			out = append(out, name)
		}
	}
	return slices.Clip(out)
}

func looksLikeImage(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".avif":
		return true
	}
	return false
}

// checkUnused finds images that no page shows and parts that no text includes. A draft that is left out may need them, and
// HTML may show images in ways of its own, so what is named there counts as used.
func (b *builder) checkUnused(pages []*facts, warnings *source.List) {
	used := map[string]bool{}
	for _, p := range pages {
		for _, name := range p.used {
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
			warnings.Add(&source.Error{File: b.src.name(a.Name), Msg: "no page shows this image; show it with ![what it shows](" + path.Base(a.Name) + "), or delete it"})
		}
	}
	for _, name := range b.model.Parts {
		if !used[name] && !named(name) {
			warnings.Add(&source.Error{File: b.src.name(name), Msg: "no text includes this one, and it is no page, because its name or that of its folder begins with _"})
		}
	}
}
