package corpus

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Vault generates a course whose notes show pictures, as people keep them in Obsidian: many screenshots, some photos, some
// diagrams, 250 KB on average. Its files are made one at a time, because a thousand pictures do not fit in memory twice.
type Vault struct {
	Notes, Pictures int
	english         *vocabulary
	face            *opentype.Font
}

// NewVault prepares a vault. The same arguments give the same bytes everywhere.
func NewVault(notes, pictures int) (*Vault, error) {
	face, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("reading the built-in font: %w", err)
	}
	return &Vault{notes, pictures, newEnglish(rand.New(rand.NewPCG(1, 2))), face}, nil
}

// Files returns the names of all files of the content tree.
func (v *Vault) Files() []string {
	out := []string{"en/_index.md"}
	for m := 0; m*perModule < v.Notes; m++ {
		out = append(out, fmt.Sprintf("en/module-%03d/_index.md", m))
	}
	for i := range v.Notes {
		out = append(out, fmt.Sprintf("en/module-%03d/note-%05d.md", i/perModule, i))
	}
	for i := range v.Pictures {
		out = append(out, "en/"+v.pictureName(i))
	}
	return out
}

// pictureName is the name of a picture below en/. It lies beside the note that shows it.
func (v *Vault) pictureName(i int) string {
	return fmt.Sprintf("module-%03d/picture-%05d%s", v.noteOf(i)/perModule, i, map[bool]string{true: ".jpg", false: ".png"}[kindOf(i) == photo])
}

// noteOf is the note that shows a picture.
func (v *Vault) noteOf(picture int) int { return picture * v.Notes / v.Pictures }

// File makes a file that Files names.
func (v *Vault) File(name string) ([]byte, error) {
	var n int
	base := name[strings.LastIndexByte(name, '/')+1:]
	if _, err := fmt.Sscanf(base, "picture-%05d", &n); err == nil {
		return v.picture(n)
	}
	if base == "_index.md" {
		return fmt.Appendf(nil, "+++\ntitle = %q\n+++\n", strings.TrimSuffix(name, "/_index.md")), nil
	}
	if _, err := fmt.Sscanf(base, "note-%05d.md", &n); err != nil {
		return nil, fmt.Errorf("the vault has no file %s", name)
	}
	g := &generator{rnd: rand.New(rand.NewPCG(3, uint64(n))), english: v.english}
	g.inventNames()
	var b strings.Builder
	fmt.Fprintf(&b, "+++\ntitle = \"Note %d: %s\"\nweight = %d\n+++\n", n, g.title(), n+1)
	for i := n * v.Pictures / v.Notes; i < v.Pictures && v.noteOf(i) <= n; i++ {
		if v.noteOf(i) == n {
			name := v.pictureName(i)
			fmt.Fprintf(&b, "%s%s\n\n![%s](%s)\n\n", g.sentence(), g.sentence(), g.title(), name[strings.IndexByte(name, '/')+1:])
		}
	}
	for range 4 {
		fmt.Fprintf(&b, "## %s\n\n%s%s%s\n\n", g.title(), g.sentence(), g.sentence(), g.sentence())
	}
	return []byte(b.String()), nil
}

// The kinds of pictures, and how often each comes in twenty.
const (
	screenshot = iota // text on plain ground: 12
	photo             // 5
	diagram           // 3
)

func kindOf(i int) int {
	switch n := i * 7 % 20; {
	case n < 12:
		return screenshot
	case n < 17:
		return photo
	}
	return diagram
}

func (v *Vault) picture(i int) ([]byte, error) {
	rnd := rand.New(rand.NewPCG(4, uint64(i)))
	var buf bytes.Buffer
	var err error
	switch kindOf(i) {
	case screenshot:
		var img image.Image
		if img, err = v.drawScreenshot(rnd); err == nil {
			err = png.Encode(&buf, img)
		}
	case photo:
		err = jpeg.Encode(&buf, drawPhoto(rnd), &jpeg.Options{Quality: 85})
	default:
		err = png.Encode(&buf, drawDiagram(rnd))
	}
	if err != nil {
		return nil, fmt.Errorf("drawing picture %d: %w", i, err)
	}
	return buf.Bytes(), nil
}

// drawScreenshot draws a window with a bar and lines of coloured text, at the one or two pixels per point that screens have.
func (v *Vault) drawScreenshot(rnd *rand.Rand) (image.Image, error) {
	w, h := 700+rnd.IntN(800), 400+rnd.IntN(600)
	size := 13.0
	if rnd.IntN(2) == 0 {
		w, h, size = w*3/2, h*3/2, 24
	}
	face, err := opentype.NewFace(v.face, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, err
	}
	defer face.Close()
	dark := rnd.IntN(2) == 0
	ground, inks := color.RGBA{255, 255, 255, 255}, []color.RGBA{{30, 30, 30, 255}, {160, 20, 60, 255}, {20, 90, 160, 255}, {0, 120, 60, 255}}
	if dark {
		ground, inks = color.RGBA{30, 32, 40, 255}, []color.RGBA{{220, 220, 220, 255}, {240, 140, 90, 255}, {120, 190, 250, 255}, {150, 220, 140, 255}}
	}
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(img, img.Rect, image.NewUniform(ground), image.Point{}, draw.Src)
	bar := int(size * 2)
	for y := range bar { // a gradient, as title bars have
		shade := uint8(200 - y*40/bar)
		draw.Draw(img, image.Rect(0, y, w, y+1), image.NewUniform(color.RGBA{shade, shade, shade + 8, 255}), image.Point{}, draw.Src)
	}
	line := int(size * 1.4)
	for y := bar + line; y < h-line/2; y += line {
		d := font.Drawer{Dst: img, Face: face, Dot: fixed.P(10+rnd.IntN(4)*int(size)*2, y)}
		for end := rnd.IntN(w); d.Dot.X.Ceil() < end; {
			d.Src = image.NewUniform(inks[min(rnd.IntN(8), 3)])
			d.DrawString(v.english.word(rnd) + " ")
		}
	}
	if rnd.IntN(4) == 0 { // many screenshots contain a picture
		p := drawPhoto(rnd)
		at := image.Rect(w/3, h/3, min(w, w/3+p.Rect.Dx()/3), min(h, h/3+p.Rect.Dy()/3))
		draw.Draw(img, at, p, image.Point{}, draw.Src)
	}
	return img, nil
}

// drawPhoto draws soft shapes with grain.
func drawPhoto(rnd *rand.Rand) *image.RGBA {
	w, h := 1200+rnd.IntN(1400), 800+rnd.IntN(1000)
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	const octaves = 5
	var grids [octaves][]float64
	for o := range grids {
		n := 4 << o
		grids[o] = make([]float64, (n+1)*(n+1))
		for i := range grids[o] {
			grids[o][i] = rnd.Float64()
		}
	}
	at := func(o int, x, y float64) float64 {
		n := 4 << o
		x, y = x*float64(n), y*float64(n)
		i, j := int(x), int(y)
		fx, fy := x-float64(i), y-float64(j)
		g := grids[o]
		top := float64(g[j*(n+1)+i]*(1-fx)) + float64(g[j*(n+1)+i+1]*fx)
		bottom := float64(g[(j+1)*(n+1)+i]*(1-fx)) + float64(g[(j+1)*(n+1)+i+1]*fx)
		return float64(top*(1-fy)) + float64(bottom*fy)
	}
	tint := [3]float64{0.6 + 0.4*rnd.Float64(), 0.6 + 0.4*rnd.Float64(), 0.6 + 0.4*rnd.Float64()}
	for y := range h {
		for x := range w {
			v, share := 0.0, 0.5
			for o := range octaves {
				v += float64(share * at(o, float64(x)/float64(w), float64(y)/float64(h)))
				share /= 2
			}
			v = math.Round(float64(v*255)) + float64(rnd.IntN(17)-8)
			p := img.Pix[img.PixOffset(x, y):]
			for c := range tint {
				p[c] = uint8(max(0, min(255, v*tint[c])))
			}
			p[3] = 255
		}
	}
	return img
}

// drawDiagram draws boxes with arrows between them, with a transparent ground.
func drawDiagram(rnd *rand.Rand) image.Image {
	w, h := 600+rnd.IntN(900), 300+rnd.IntN(600)
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	fill := func(x0, y0, x1, y1 int, c color.NRGBA) {
		draw.Draw(img, image.Rect(x0, y0, x1, y1), image.NewUniform(c), image.Point{}, draw.Src)
	}
	line := color.NRGBA{60, 60, 60, 255}
	for range 6 + rnd.IntN(14) {
		x, y := rnd.IntN(w-100), rnd.IntN(h-60)
		fill(x, y, x+100, y+60, line)
		fill(x+2, y+2, x+98, y+58, color.NRGBA{uint8(180 + rnd.IntN(76)), uint8(180 + rnd.IntN(76)), uint8(180 + rnd.IntN(76)), 255})
		for k := range 60 { // a slanted line
			fill(x+100+k, y+30+k/2, x+102+k, y+32+k/2, line)
		}
		for k := range 3 { // text as short strokes
			for s := x + 10; s < x+80; s += 4 + rnd.IntN(5) {
				fill(s, y+12+k*14, s+2, y+20+k*14, line)
			}
		}
	}
	return img
}
