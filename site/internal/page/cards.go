package page

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/image/font/gofont/gobold"

	"github.com/labd-dev/labd/site/internal/bundle"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/picture"
)

// cardFonts are the fonts for social cards that `make assets` downloads. For letters that none of
// them has, there is a built-in font with Latin, Greek and Cyrillic.
var cardFonts = []string{"inter-latin-600-normal.woff", "inter-latin-ext-600-normal.woff", "noto-sans-sc-chinese-simplified-600-normal.woff"}

// cardPainter draws social cards.
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

// pageCard is the social card of a page.
type pageCard struct {
	path string // in the site
	says picture.Card
}

// addCard gives a page its social card. The file name has a hash of what the card shows.
func (m *Maker) addCard(p *draft) error {
	if !m.src.Cards {
		return nil
	}
	painter, err := m.cards()
	if err != nil {
		return err
	}
	c := picture.Card{Course: course.Plain(p.SiteTitle), Title: course.Plain(p.Title), Below: p.below}
	switch p.Kind {
	case "home":
		c.Course = p.T.Course
	case "course", "module", "lesson", "lab":
	default:
		return nil
	}
	if n := len(p.Crumbs); n > 2 {
		c.Above = course.Plain(p.Crumbs[n-2].Title)
	}
	if !painter.Can(c) {
		p.noCard = true
		return nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%x %q", painter.digest, c))
	p.card = &pageCard{path: "assets/card-" + base32.StdEncoding.EncodeToString(sum[:])[:8] + ".png", says: c}
	p.Card = m.Absolute(m.base + p.card.path)
	return nil
}

func (m *Maker) paint(c *pageCard) ([]byte, error) {
	painter, err := m.cards()
	if err != nil {
		return nil, err
	}
	return painter.Paint(c.says)
}
