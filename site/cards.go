package site

import (
	"fmt"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/page"
)

// Cards says which pages get a social card: an image that other sites show beside a link.
type Cards string

// A card takes 1.5 ms and 20 KB: little for most courses, much for very large ones.
const (
	CardsAuto Cards = ""    // all, if that is at most maxAutoCards
	CardsOn   Cards = "on"  // all
	CardsOff  Cards = "off" // none

	maxAutoCards = 500
)

// wantCards reports whether pages get cards. They need absolute URLs, so a site without base URL
// has none.
func (b *builder) wantCards() bool {
	switch {
	case b.opts.BaseURL == "" || b.opts.Cards == CardsOff:
		return false
	case b.opts.Cards == CardsOn:
		return true
	}
	return (1+len(b.model.Lessons())+len(b.model.Labs))*len(b.model.Langs) <= maxAutoCards
}

// missingCards adds one warning for all pages without a card because no font has the letters of
// their titles.
func missingCards(pages []*page.Facts, warnings *source.List) {
	n, first := 0, ""
	for _, f := range pages {
		if f.NoCard {
			if n++; n == 1 {
				first = f.URL
			}
		}
	}
	if n > 0 {
		warnings.Add(&source.Error{File: "site/assets", Msg: fmt.Sprintf(
			"%d pages have no social card, the first is %s: no font has the letters of their titles (`make assets` downloads a Chinese font)", n, first)})
	}
}
