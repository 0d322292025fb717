package site

import (
	"fmt"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/page"
)

// Cards says which pages get a picture of their own, for other sites to show beside a link.
type Cards string

// A card takes 1.5 ms and 20 KB, which is little for a course of a usual size and much for a very large one.
const (
	CardsAuto Cards = ""    // if there are at most maxAutoCards of them
	CardsOn   Cards = "on"  // for each page
	CardsOff  Cards = "off" // for none

	maxAutoCards = 500
)

// wantCards says whether pages get cards. Only a site that knows its address has use for them.
func (b *builder) wantCards() bool {
	switch {
	case b.opts.BaseURL == "" || b.opts.Cards == CardsOff:
		return false
	case b.opts.Cards == CardsOn:
		return true
	}
	return (1+len(b.model.Lessons())+len(b.model.Labs))*len(b.model.Langs) <= maxAutoCards
}

// missingCards is one warning for all pages whose title has letters that no font has.
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
			"%d pages have no card for links to them, %s first: their titles have letters that no font has (`make assets` brings Chinese ones)", n, first)})
	}
}
