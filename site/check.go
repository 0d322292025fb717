package site

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"labd/internal/source"
)

// What can be seen only when all pages are there is checked here; the rest is checked while reading and rendering.

// checkAnchors finds links to anchors that the page they lead to does not have.
func (b *builder) checkAnchors(pages []*outputPage, errs *source.List) {
	byURL := map[string]*page{}
	for _, p := range pages {
		byURL[p.view.URL] = p.view
	}
	for _, p := range pages {
		for _, l := range p.view.links {
			target, fragment, ok := strings.Cut(l.URL, "#")
			if !ok || fragment == "" {
				continue
			}
			to := p.view
			if target != "" {
				if to = byURL[target]; to == nil {
					continue
				}
			}
			if id, err := url.PathUnescape(fragment); err == nil {
				fragment = id
			}
			if !slices.Contains(to.ids, fragment) && !strings.HasPrefix(fragment, "fn") {
				e := *l.at
				e.Msg = fmt.Sprintf("%s has no heading #%s%s", cmpOr(target, "this page"), fragment, suggestion(fragment, to.ids))
				errs.Add(&e)
			}
		}
	}
}

// checkTranslations compares the sections of translations with those of the text that they translate: the same number, in
// the same depths. Readers switch languages within a page, and a section that is missing is one that somebody forgot.
func (b *builder) checkTranslations(pages []*outputPage, errs *source.List) {
	originals := map[*text]*page{}
	for _, p := range pages {
		if p.view.source != nil && p.view.Lang == p.view.source.lang {
			originals[p.view.source] = p.view
		}
	}
	for _, p := range pages {
		t := p.view.source
		if t == nil || t.lang != p.view.Lang || t.of == nil || originals[t.of] == nil {
			continue
		}
		compareSections(t, p.view, originals[t.of], errs)
	}
}

func compareSections(t *text, translation, original *page, errs *source.List) {
	for i, want := range original.headings {
		if i == len(translation.headings) {
			errs.Add(source.At(t.doc.File, t.doc.Content, 1, 0, "this translation ends before the section %q of %s:%d",
				want.Text, original.source.doc.File, want.Line))
			return
		}
		if got := translation.headings[i]; got.Level != want.Level {
			errs.Add(source.At(t.doc.File, t.doc.Content, got.Line, 0, "this section is of level %d, but of level %d in %s:%d, %q; is one missing before it?",
				got.Level, want.Level, original.source.doc.File, want.Line, want.Text))
			return
		}
	}
	if n := len(original.headings); n < len(translation.headings) {
		got := translation.headings[n]
		errs.Add(source.At(t.doc.File, t.doc.Content, got.Line, 0, "this section has no counterpart in %s", original.source.doc.File))
	}
}
