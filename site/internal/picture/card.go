package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"io"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Size of a card, which other sites show beside a link to a page.
const (
	CardWidth  = 1200
	CardHeight = 630
)

// maxGlyphs bounds the drawn letters that are kept, in bytes.
const maxGlyphs = 32 << 20

// maxCardText bounds, in runes, what is read of each text of a card.
const maxCardText = 300

// Card is what a card says.
type Card struct {
	Course string
	Above  string // over the title: the module
	Title  string
	Below  string // under it: minutes and level
}

// The colours of a card are few, so that a card is a small file: paper, and shades of three inks.
const (
	paper   = 0
	ink     = 1  // the first of inks shades
	accent  = 7  // the first of accents
	muted   = 11 // the first of muteds
	inks    = 6
	accents = 4
	muteds  = 5
)

func cardPalette() color.Palette {
	bg := color.RGBA{255, 255, 255, 255}
	p := color.Palette{bg}
	for _, c := range []struct {
		full   color.RGBA
		shades int
	}{{color.RGBA{10, 18, 32, 255}, inks}, {color.RGBA{21, 88, 214, 255}, accents}, {color.RGBA{85, 98, 122, 255}, muteds}} {
		for i := 1; i <= c.shades; i++ {
			mix := func(a, b uint8) uint8 { return uint8((int(a)*(c.shades-i) + int(b)*i) / c.shades) }
			p = append(p, color.RGBA{mix(bg.R, c.full.R), mix(bg.G, c.full.G), mix(bg.B, c.full.B), 255})
		}
	}
	return p
}

// Painter draws cards. It is safe for concurrent use.
type Painter struct {
	fonts    []*sfnt.Font
	palette  color.Palette
	canvas   sync.Pool // of *image.Paletted
	encoders sync.Pool // of *cardEncoder

	mu     sync.RWMutex
	glyphs map[glyphKey]*glyph // guarded by mu, like those below
	faces  map[faceKey]font.Face
	kept   int
}

type glyphKey struct {
	r    rune
	size int
}

type faceKey struct{ font, size int }

// glyph is a letter that is drawn: its mask, where that lies from the pen, and how far the pen goes on.
type glyph struct {
	mask    *image.Alpha // nil for a space
	at      image.Point
	advance fixed.Int26_6
	missing bool
}

// NewPainter returns a Painter with the letters of fonts, OpenType or WOFF: each letter is taken from the first that has it.
func NewPainter(fonts ...[]byte) (*Painter, error) {
	p := &Painter{palette: cardPalette(), glyphs: map[glyphKey]*glyph{}, faces: map[faceKey]font.Face{}}
	p.canvas.New = func() any { return image.NewPaletted(image.Rect(0, 0, CardWidth, CardHeight), p.palette) }
	p.encoders.New = func() any {
		zip, err := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed)
		if err != nil {
			return nil // there is such a level
		}
		return &cardEncoder{rows: make([]byte, CardHeight*(1+CardWidth/2)), zip: zip}
	}
	for _, data := range fonts {
		unpacked, err := unpackWOFF(data)
		if err != nil {
			return nil, err
		}
		f, err := opentype.Parse(unpacked)
		if err != nil {
			return nil, fmt.Errorf("reading a font: %w", err)
		}
		p.fonts = append(p.fonts, f)
	}
	return p, nil
}

// Can says whether the painter has all letters of a card. Pictographs are no letters: what it doesn't have of them is left
// out.
func (p *Painter) Can(c Card) bool {
	for _, text := range []string{c.Course, c.Above, c.Title, c.Below} {
		for _, r := range clip(text) {
			if p.fontOf(r) < 0 && !skipped(r) {
				return false
			}
		}
	}
	return true
}

func (p *Painter) fontOf(r rune) int {
	var buf sfnt.Buffer
	for i, f := range p.fonts {
		if x, err := f.GlyphIndex(&buf, r); err == nil && x != 0 {
			return i
		}
	}
	return -1
}

func skipped(r rune) bool {
	return unicode.In(r, unicode.So, unicode.Sk, unicode.Cf, unicode.Cc, unicode.Co, unicode.Mn)
}

func clip(text string) string {
	n := 0
	for i := range text {
		if n++; n > maxCardText {
			return text[:i]
		}
	}
	return text
}

// Layout of a card, in pixels.
const (
	left       = 96
	right      = 96
	textWidth  = CardWidth - left - right
	barWidth   = 20
	markSize   = 56
	courseBase = 126
	courseSize = 36
	smallSize  = 36
	belowBase  = 556
	top        = 190 // the title and what is above it stand between top and bottom
	bottom     = 500
)

// titleSizes are tried from large to small, until a title needs no more than so many lines.
var titleSizes = [...]struct{ size, lines int }{{84, 2}, {66, 3}, {56, 3}, {50, 4}}

// Paint draws a card as PNG.
func (p *Painter) Paint(c Card) ([]byte, error) {
	img, ok := p.canvas.Get().(*image.Paletted)
	if !ok {
		return nil, fmt.Errorf("no canvas to draw on")
	}
	defer p.canvas.Put(img)
	clear(img.Pix)
	fill(img, image.Rect(0, 0, barWidth, CardHeight), accent+accents-1)
	p.mark(img, left, courseBase-44)
	course := shorten(wrap(clip(c.Course), textWidth-markSize-24, p.measure(courseSize)), 1, textWidth-markSize-24, p.measure(courseSize))
	p.text(img, course[0], courseSize, left+markSize+24, courseBase, muted, muteds)

	size, lines := 0, []string(nil)
	for _, try := range titleSizes {
		size, lines = try.size, balance(clip(c.Title), textWidth, p.measure(try.size))
		if len(lines) <= try.lines {
			break
		}
	}
	lines = shorten(lines, titleSizes[len(titleSizes)-1].lines, textWidth, p.measure(size))
	lineHeight := size * 5 / 4
	height := len(lines) * lineHeight
	if c.Above != "" {
		height += smallSize * 3 / 2
	}
	y := max(top, top+(bottom-top-height)/2)
	if c.Above != "" {
		above := shorten(wrap(clip(c.Above), textWidth, p.measure(smallSize)), 1, textWidth, p.measure(smallSize))
		p.text(img, above[0], smallSize, left, y+smallSize, accent, accents)
		y += smallSize * 3 / 2
	}
	for i, line := range lines {
		p.text(img, line, size, left-size/24, y+i*lineHeight+size, ink, inks)
	}
	if c.Below != "" {
		below := shorten(wrap(clip(c.Below), textWidth, p.measure(smallSize)), 1, textWidth, p.measure(smallSize))
		p.text(img, below[0], smallSize, left, belowBase, muted, muteds)
	}
	return p.encode(img)
}

// encode writes a card with four bits for a pixel. The library's encoder asks for each pixel by itself, which took four
// times as long as all else.
func (p *Painter) encode(img *image.Paletted) ([]byte, error) {
	e, ok := p.encoders.Get().(*cardEncoder)
	if !ok {
		return nil, fmt.Errorf("no encoder for a card")
	}
	defer p.encoders.Put(e)
	e.packed.Reset()
	e.zip.Reset(&e.packed)
	const row = 1 + CardWidth/2 // a byte that says how the row is coded, and its pixels
	for y := range CardHeight {
		out, in := e.rows[y*row+1:][:CardWidth/2], img.Pix[y*img.Stride:][:CardWidth]
		for x := range out {
			out[x] = in[2*x]<<4 | in[2*x+1]
		}
	}
	if _, err := e.zip.Write(e.rows); err != nil {
		return nil, fmt.Errorf("writing a card: %w", err)
	}
	if err := e.zip.Close(); err != nil {
		return nil, fmt.Errorf("writing a card: %w", err)
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, CardWidth), CardHeight)
	header = append(header, 4, 3, 0, 0, 0) // bits for a pixel, colours from a palette
	var colours []byte
	for _, c := range p.palette {
		r, g, b, _ := c.RGBA()
		colours = append(colours, byte(r>>8), byte(g>>8), byte(b>>8))
	}
	out := append(make([]byte, 0, e.packed.Len()+256), "\x89PNG\r\n\x1a\n"...)
	out = appendChunk(out, "IHDR", header)
	out = appendChunk(out, "PLTE", colours)
	out = appendChunk(out, "IDAT", e.packed.Bytes())
	return appendChunk(out, "IEND", nil), nil
}

func appendChunk(out []byte, name string, body []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
	start := len(out)
	out = append(append(out, name...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[start:]))
}

// cardEncoder is the memory that encoding a card needs.
type cardEncoder struct {
	rows   []byte
	packed bytes.Buffer
	zip    *zlib.Writer
}

// mark draws the sign of the site: a prompt in a box.
func (p *Painter) mark(img *image.Paletted, x, y int) {
	fill(img, image.Rect(x, y, x+markSize, y+markSize), accent+accents-1)
	for i := range 12 { // the angle of the prompt, and the line behind it
		fill(img, image.Rect(x+14+i, y+14+i, x+20+i, y+15+i), paper)
		fill(img, image.Rect(x+14+i, y+37-i, x+20+i, y+38-i), paper)
	}
	fill(img, image.Rect(x+30, y+36, x+44, y+41), paper)
}

func fill(img *image.Paletted, r image.Rectangle, index uint8) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := img.Pix[img.PixOffset(r.Min.X, y):][:r.Dx()]
		for i := range row {
			row[i] = index
		}
	}
}

func (p *Painter) measure(size int) func(string) int {
	return func(text string) int {
		var w fixed.Int26_6
		for _, r := range text {
			w += p.glyph(r, size).advance
		}
		return w.Ceil()
	}
}

// text draws a line whose letters stand on y, in shades of one ink.
func (p *Painter) text(img *image.Paletted, text string, size, x, y int, first uint8, shades int) {
	pen := fixed.I(x)
	for _, r := range text {
		g := p.glyph(r, size)
		if g.mask != nil {
			at := image.Pt(pen.Round(), y).Add(g.at)
			b := g.mask.Rect
			for my := range b.Dy() {
				if at.Y+my < 0 || at.Y+my >= CardHeight {
					continue
				}
				row := g.mask.Pix[my*g.mask.Stride:][:b.Dx()]
				for mx, a := range row {
					if shade := (int(a)*shades + 127) / 255; shade > 0 && at.X+mx >= 0 && at.X+mx < CardWidth {
						i := img.PixOffset(at.X+mx, at.Y+my)
						img.Pix[i] = max(img.Pix[i], first+uint8(shade-1))
					}
				}
			}
		}
		pen += g.advance
	}
}

// glyph returns a drawn letter. Letters are drawn at whole pixels, so that each is drawn once.
func (p *Painter) glyph(r rune, size int) *glyph {
	key := glyphKey{r, size}
	p.mu.RLock()
	g := p.glyphs[key]
	p.mu.RUnlock()
	if g != nil {
		return g
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.glyphs[key]; g != nil {
		return g
	}
	g = p.draw(r, size)
	if g.mask != nil {
		p.kept += len(g.mask.Pix)
	}
	if p.kept > maxGlyphs {
		p.glyphs, p.kept = map[glyphKey]*glyph{}, 0
	}
	p.glyphs[key] = g
	return g
}

// draw needs p.mu: a face is for one at a time.
func (p *Painter) draw(r rune, size int) *glyph {
	n := p.fontOf(r)
	if n < 0 {
		return &glyph{missing: true}
	}
	face := p.faces[faceKey{n, size}]
	if face == nil {
		var err error
		if face, err = opentype.NewFace(p.fonts[n], &opentype.FaceOptions{Size: float64(size), DPI: 72, Hinting: font.HintingNone}); err != nil {
			return &glyph{missing: true}
		}
		p.faces[faceKey{n, size}] = face
	}
	dr, mask, maskp, advance, ok := face.Glyph(fixed.Point26_6{}, r)
	if !ok {
		return &glyph{missing: true}
	}
	g := &glyph{at: dr.Min, advance: advance}
	if !dr.Empty() {
		g.mask = image.NewAlpha(image.Rect(0, 0, dr.Dx(), dr.Dy()))
		for y := range dr.Dy() {
			for x := range dr.Dx() {
				_, _, _, a := mask.At(maskp.X+x, maskp.Y+y).RGBA()
				g.mask.Pix[y*g.mask.Stride+x] = uint8(a >> 8)
			}
		}
	}
	return g
}
