package site

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/page"
)

// This file checks what depends on several pages. All other mistakes are found while files are read
// and rendered.

// manyIDs is how many ids a page must have for a set to be faster than a linear search.
const manyIDs = 32

// checkAnchors reports links with a fragment that their target page does not have.
func checkAnchors(pages []*page.Facts, errs *source.List) {
	byURL := map[string]*page.Facts{} // targets of such links
	for _, p := range pages {
		for _, l := range p.Anchors {
			target, _, _ := strings.Cut(l.URL, "#")
			byURL[target] = nil
		}
	}
	if len(byURL) == 0 {
		return
	}
	for _, p := range pages {
		if _, ok := byURL[p.URL]; ok {
			byURL[p.URL] = p
		}
	}
	sets := map[*page.Facts]map[string]bool{}
	has := func(p *page.Facts, id string) bool {
		if len(p.IDs) < manyIDs {
			return slices.Contains(p.IDs, id)
		}
		set := sets[p]
		if set == nil {
			set = map[string]bool{}
			for _, id := range p.IDs {
				set[id] = true
			}
			sets[p] = set
		}
		return set[id]
	}
	for _, p := range pages {
		for _, l := range p.Anchors {
			target, fragment, _ := strings.Cut(l.URL, "#")
			if fragment == "" {
				continue
			}
			to := p
			if target != "" {
				if to = byURL[target]; to == nil {
					continue
				}
			}
			if id, err := url.PathUnescape(fragment); err == nil {
				fragment = id
			}
			if !strings.HasPrefix(fragment, "fn") && !has(to, fragment) {
				errs.Add(source.Placed(l.At, "%s has no heading #%s%s", cmp.Or(target, "this page"), fragment, source.DidYouMean(fragment, to.IDs)))
			}
		}
	}
}

// checkTranslations compares the sections of translations with those of their originals: they must
// have the same number and levels of headings, and should have as many code blocks and images.
// Differences usually mean that somebody updated only one of the texts. A translation that says it
// is outdated is not compared.
func checkTranslations(pages []*page.Facts, errs, warnings *source.List) {
	originals := map[*course.Text]*page.Facts{}
	for _, p := range pages {
		if t := p.Source; t != nil && t.Lang == p.Lang && t.Of != nil {
			originals[t.Of] = nil
		}
	}
	if len(originals) == 0 {
		return
	}
	for _, p := range pages {
		if _, ok := originals[p.Source]; ok && p.Source.Lang == p.Lang {
			originals[p.Source] = p
		}
	}
	for _, p := range pages {
		t := p.Source
		if t == nil || t.Lang != p.Lang || t.Of == nil || t.Outdated || originals[t.Of] == nil {
			continue
		}
		if compareSections(t, p, originals[t.Of], errs) {
			compareBlocks(t, p, originals[t.Of], warnings)
		}
	}
}

// compareSections reports whether the headings correspond, and adds the first mistake.
func compareSections(t *course.Text, translation, original *page.Facts, errs *source.List) bool {
	for i, want := range original.Headings {
		if i == len(translation.Headings) {
			errs.Add(source.At(t.Doc.File, t.Doc.Content, 1, 0, "this translation ends before the section %q of %s:%d",
				want.Text, want.At.File, want.At.Line))
			return false
		}
		if got := translation.Headings[i]; got.Level != want.Level {
			errs.Add(source.Placed(got.At, "this section has level %d, but level %d in %s:%d, %q; is one missing before it?",
				got.Level, want.Level, want.At.File, want.At.Line, want.Text))
			return false
		}
	}
	if n := len(original.Headings); n < len(translation.Headings) {
		got := translation.Headings[n]
		errs.Add(source.Placed(got.At, "this section has no counterpart in %s", original.Source.Doc.File))
		return false
	}
	return true
}

// compareBlocks compares the numbers of code blocks and images in corresponding sections.
func compareBlocks(t *course.Text, translation, original *page.Facts, warnings *source.List) {
	differ := func(at, of source.Error, what string, got, want int) {
		if got != want {
			warnings.Add(source.Placed(at, "%d %s here, but %d in %s:%d; is the translation out of date?", got, what, want, of.File, of.Line))
		}
	}
	// The part before the first heading has whatever no section has.
	first := func(p *page.Facts) (at source.Error, blocks, images int) {
		d := p.Source.Doc
		blocks, images = p.Blocks, p.Images
		for _, h := range p.Headings {
			blocks, images = blocks-h.Blocks, images-h.Images
		}
		return source.Error{File: d.File, Line: d.BodyLine, Text: source.LineOf(d.Content, d.BodyLine)}, blocks, images
	}
	at, blocks, images := first(translation)
	of, wantBlocks, wantImages := first(original)
	differ(at, of, "code blocks", blocks, wantBlocks)
	differ(at, of, "images", images, wantImages)
	for i, want := range original.Headings {
		got := translation.Headings[i]
		differ(got.At, want.At, "code blocks", got.Blocks, want.Blocks)
		differ(got.At, want.At, "images", got.Images, want.Images)
	}
}
