package importer

import (
	"path"
	"slices"
	"strings"

	"github.com/labd-dev/labd/site/internal/importer/dialect"
	"github.com/labd-dev/labd/site/internal/importer/frontmatter"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/settings"
	"github.com/labd-dev/labd/site/internal/importer/tree"
)

// translated returns the translation that a file belongs to, or nil.
func (r *run) translated(name string) *settings.Translation {
	for i, t := range r.Translations {
		if strings.HasPrefix(name, t.Root+"/") {
			return &r.Translations[i]
		}
	}
	return nil
}

// planTranslations gives the pages of other languages the addresses of the pages that they
// translate.
func (r *run) planTranslations() {
	type key struct{ root, stem string }
	originals, modules := map[key]*page{}, map[string]string{}
	for _, p := range r.pages {
		if p.src == "" {
			continue
		}
		stem, _ := tree.PageStem(strings.TrimPrefix(p.src, r.Root+"/"))
		originals[key{"", strings.ToLower(stem)}] = p
		if parts := strings.Split(p.out, "/"); len(parts) == 3 {
			modules[path.Dir(stem)] = parts[1]
		}
	}
	r.originals = map[*page]*page{}
	for _, t := range r.Translations {
		var names []string
		for name := range r.Files {
			if tree.IsPage(name) && strings.HasPrefix(name, t.Root+"/") {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		home := false
		for _, name := range names {
			stem, _ := tree.PageStem(strings.TrimPrefix(name, t.Root+"/"))
			if strings.HasPrefix(path.Base(stem), "_") {
				continue
			}
			p := r.load(name)
			if p == nil {
				continue
			}
			p.lang = t.Tag
			original := originals[key{"", strings.ToLower(stem)}]
			r.title(p, path.Base(stem))
			rest := ""
			if original != nil {
				p.section, r.originals[p] = original.section, original
				_, rest, _ = strings.Cut(original.out, "/")
			} else {
				module := modules[path.Dir(stem)]
				if module == "" {
					delete(r.bySrc, name)
					r.reportFile(report.PageLeftOut, name, "is left out: the %s pages have no module for its folder", r.Lang)
					continue
				}
				rest = module + "/" + r.address(module, slug(path.Base(stem)), name, reservedLessons) + ".md"
			}
			p.out = t.Tag + "/" + rest
			if r.outs[p.out] {
				delete(r.bySrc, name)
				r.reportFile(report.PageLeftOut, name, "is left out: another page has its address")
				continue
			}
			home = home || rest == "_index.md"
			p.front.Weight = 0
			r.add1(p)
		}
		if !home {
			p := &page{section: true, lang: t.Tag, out: t.Tag + "/_index.md", front: frontmatter.Front{Title: r.home().front.Title}}
			r.originals[p] = r.home()
			r.add1(p)
		}
	}
}

// compareTranslations compares the headings of translations with those of their originals. If they
// are the same, the translation takes over the ids, so that a link leads to the same section in
// every language. If they differ, the translation is marked as outdated; otherwise the site would
// report a mistake. It returns whether anything changed since the last call.
func (r *run) compareTranslations() bool {
	levels := func(p *page) (out []int, whole bool) {
		for _, h := range dialect.Headings(strings.Split(p.body, "\n")) {
			out = append(out, h.Level)
		}
		return out, !strings.Contains(p.body, ":::include ")
	}
	changed := false
	for _, p := range r.pages {
		original := r.originals[p]
		if original == nil {
			continue
		}
		a, whole := levels(p)
		b, wholeToo := levels(original)
		outdated := !whole || !wholeToo || !slices.Equal(a, b)
		var ids []string
		if !outdated && len(original.ids) == len(p.ids) {
			ids = original.ids
		}
		changed = changed || outdated != p.front.Outdated || !slices.Equal(ids, p.shared)
		p.front.Outdated, p.shared = outdated, ids
	}
	return changed
}

// reportOutdated reports the translations that are marked as outdated.
func (r *run) reportOutdated() {
	for _, p := range r.pages {
		if p.front.Outdated && p.src != "" {
			r.reportFile(report.TranslationOutdated, p.src, "the headings differ from those of %s, so the translation is marked as outdated", r.originals[p].src)
		}
	}
}

// finalID returns the id that a heading of p has in the course, or "" if a link from another page
// must not use it.
func (r *run) finalID(from, p *page, id string) string {
	if i := slices.Index(p.ids, id); i >= 0 && i < len(p.shared) {
		return p.shared[i]
	}
	if p.lang != r.Lang {
		return id
	}
	// Where a translation of the linking page is missing, the site shows the original there. Its
	// link then leads to the translation of p, which may not have this heading.
	for t, original := range r.originals {
		if original == p && t.front.Outdated && !r.isTranslated(from, t.lang) {
			return ""
		}
	}
	return id
}

// isTranslated reports whether a page has its own text in a language.
func (r *run) isTranslated(p *page, lang string) bool {
	_, rest, _ := strings.Cut(p.out, "/")
	return p.lang == lang || r.outs[lang+"/"+rest]
}

// withIDs returns the text of a translation whose headings have the ids of the original.
func withIDs(p *page) string {
	if len(p.shared) == 0 {
		return p.body
	}
	lines := strings.Split(p.body, "\n")
	for i, h := range dialect.Headings(lines) {
		if i >= len(p.shared) || p.ids[i] == p.shared[i] {
			continue
		}
		text := lines[h.Line]
		if ownID(text) {
			text = strings.TrimRight(text[:strings.LastIndexByte(text, '{')], " ")
		}
		lines[h.Line] = text + " {#" + p.shared[i] + "}"
	}
	return strings.Join(lines, "\n")
}

// home returns the home page of the course in the default language. It always exists.
func (r *run) home() *page {
	return r.pages[slices.IndexFunc(r.pages, func(p *page) bool { return p.out == r.Lang+"/_index.md" })]
}
