package assets

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/image/font/gofont/gobold"

	"github.com/labd-dev/labd/site/internal/bundle"
	"github.com/labd-dev/labd/site/internal/picture"
)

// cardFonts are the fonts for social cards that `make assets` downloads. For letters that none of
// them has, there is a built-in font with Latin, Greek and Cyrillic.
var cardFonts = []string{"inter-latin-600-normal.woff", "inter-latin-ext-600-normal.woff", "noto-sans-sc-chinese-simplified-600-normal.woff"}

// Painter draws social cards.
type Painter struct {
	*picture.Painter
	Digest [sha256.Size]byte // of the fonts
}

// NewPainter reads the fonts of the assets folder.
func NewPainter(fsys fs.FS) (*Painter, error) {
	var fonts [][]byte
	h := sha256.New()
	for _, name := range cardFonts {
		data, err := fs.ReadFile(fsys, bundle.Vendor+"/"+name)
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
	c := &Painter{Painter: p}
	h.Sum(c.Digest[:0])
	return c, nil
}
