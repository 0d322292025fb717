package site

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/image/font/gofont/gobold"

	"labd/internal/bundle"
	"labd/internal/picture"
	"labd/internal/source"
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

// cardFonts are what `make assets` brings for cards. Letters that none has may be in the one that is built in, which knows
// Latin, Greek and Cyrillic.
var cardFonts = []string{"inter-latin-600-normal.woff", "inter-latin-ext-600-normal.woff", "noto-sans-sc-chinese-simplified-600-normal.woff"}

// cardPainter draws the cards of a site.
type cardPainter struct {
	*picture.Painter
	digest [sha256.Size]byte // of the fonts
}

func newCardPainter(assets fs.FS) (*cardPainter, error) {
	var fonts [][]byte
	h := sha256.New()
	for _, name := range cardFonts {
		data, err := fs.ReadFile(assets, bundle.Vendor+"/"+name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading a font: %w", err)
		}
		fonts = append(fonts, data)
		_, _ = h.Write(data) // a hash never fails
	}
	p, err := picture.NewPainter(append(fonts, gobold.TTF)...)
	if err != nil {
		return nil, err
	}
	c := &cardPainter{Painter: p}
	h.Sum(c.digest[:0])
	return c, nil
}

// wantCards says whether pages get cards. Only a site that knows its address has use for them.
func (b *builder) wantCards() bool {
	switch {
	case b.opts.BaseURL == "" || b.opts.Cards == CardsOff:
		return false
	case b.opts.Cards == CardsOn:
		return true
	}
	return (1+len(b.order)+len(b.model.Labs))*len(b.model.Langs) <= maxAutoCards
}

// pageCard is the card of a page.
type pageCard struct {
	path string // in the site
	says picture.Card
}

// addCard gives a page its card, whose address follows from what it says.
func (b *builder) addCard(p *page) {
	if b.cards == nil {
		return
	}
	c := picture.Card{Course: withoutTicks(p.SiteTitle), Title: withoutTicks(p.Title), Below: strings.Join(p.Meta, " · ")}
	switch p.Kind {
	case "home":
		c.Course = p.T.Course
		c.Below = counted(len(b.order), p.T.OneLesson, p.T.LessonsCount)
	case "course", "module", "lesson":
	case "lab":
		c.Below = strings.Join(p.Lab.Facts, " · ")
	default:
		return
	}
	if n := len(p.Crumbs); n > 2 {
		c.Above = withoutTicks(p.Crumbs[n-2].Title)
	}
	if !b.cards.Can(c) {
		p.noCard = true
		return
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%x %q", b.cards.digest, c))
	p.card = &pageCard{path: "assets/card-" + base32.StdEncoding.EncodeToString(sum[:])[:8] + ".png", says: c}
	p.Card = b.absolute(b.base + p.card.path)
}

// cardFiles are the cards of all pages.
func (b *builder) cardFiles(pages []*facts) []output {
	var out []output
	done := map[string]bool{}
	for _, f := range pages {
		if c := f.card; c != nil && !done[c.path] {
			done[c.path] = true
			out = append(out, output{path: c.path, data: func() ([]byte, error) { return b.cards.Paint(c.says) }})
		}
	}
	return out
}

// missingCards is one warning for all pages whose title has letters that no font has.
func missingCards(pages []*facts, warnings *source.List) {
	without := slices.Clone(pages)
	without = slices.DeleteFunc(without, func(f *facts) bool { return !f.noCard })
	if len(without) == 0 {
		return
	}
	warnings.Add(&source.Error{File: "site/assets", Msg: fmt.Sprintf(
		"%d pages have no card for links to them, %s first: their titles have letters that no font has (`make assets` brings Chinese ones)", len(without), without[0].url)})
}
