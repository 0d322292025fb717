package page

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"

	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/picture"
)

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
	sum := sha256.Sum256(fmt.Appendf(nil, "%x %q", painter.Digest, c))
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
