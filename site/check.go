package site

import (
	"net/url"
	"slices"
	"strings"

	"labd/internal/course"
	"labd/internal/source"
)

// What can be seen only when all pages are there is checked here; the rest is checked while reading and rendering.

// manyIDs is from how many ids on a page it pays to look them up in a set.
const manyIDs = 32

// checkAnchors finds links to anchors that the page they lead to does not have.
func checkAnchors(pages []*facts, errs *source.List) {
	byURL := map[string]*facts{}
	for _, p := range pages {
		byURL[p.url] = p
	}
	sets := map[*facts]map[string]bool{}
	has := func(p *facts, id string) bool {
		if len(p.ids) < manyIDs {
			return slices.Contains(p.ids, id)
		}
		set := sets[p]
		if set == nil {
			set = map[string]bool{}
			for _, id := range p.ids {
				set[id] = true
			}
			sets[p] = set
		}
		return set[id]
	}
	for _, p := range pages {
		for _, l := range p.anchors {
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
				errs.Add(placed(l.at, "%s has no heading #%s%s", cmpOr(target, "this page"), fragment, source.DidYouMean(fragment, to.ids)))
			}
		}
	}
}

// checkTranslations compares the sections of translations with those of the text that they translate: the same number, in
// the same depths. Readers switch languages within a page, and a section that is missing is one that somebody forgot.
func checkTranslations(pages []*facts, errs *source.List) {
	originals := map[*course.Text]*facts{}
	for _, p := range pages {
		if p.source != nil && p.lang == p.source.Lang {
			originals[p.source] = p
		}
	}
	for _, p := range pages {
		t := p.source
		if t == nil || t.Lang != p.lang || t.Of == nil || originals[t.Of] == nil {
			continue
		}
		compareSections(t, p, originals[t.Of], errs)
	}
}

func compareSections(t *course.Text, translation, original *facts, errs *source.List) {
	for i, want := range original.headings {
		if i == len(translation.headings) {
			errs.Add(source.At(t.Doc.File, t.Doc.Content, 1, 0, "this translation ends before the section %q of %s:%d",
				want.Text, want.At.File, want.At.Line))
			return
		}
		if got := translation.headings[i]; got.Level != want.Level {
			errs.Add(placed(got.At, "this section is of level %d, but of level %d in %s:%d, %q; is one missing before it?",
				got.Level, want.Level, want.At.File, want.At.Line, want.Text))
			return
		}
	}
	if n := len(original.headings); n < len(translation.headings) {
		got := translation.headings[n]
		errs.Add(placed(got.At, "this section has no counterpart in %s", original.source.Doc.File))
	}
}
