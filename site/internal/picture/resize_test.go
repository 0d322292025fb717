//go:build !race

package picture

import (
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"golang.org/x/image/draw"
)

// TestResizesLikeTheLibrary compares with the library that works in floating point.
func TestResizesLikeTheLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	alpha := image.NewNRGBA(image.Rect(0, 0, 331, 207))
	for i := range alpha.Pix {
		alpha.Pix[i] = byte(r.IntN(256))
	}
	ycc := image.NewYCbCr(image.Rect(0, 0, 300, 200), image.YCbCrSubsampleRatio420)
	for i := range ycc.Y {
		ycc.Y[i] = byte(60 + r.IntN(130))
	}
	for i := range ycc.Cb { // colours that RGB has
		ycc.Cb[i], ycc.Cr[i] = byte(105+i%150/4), byte(110+i/150/4)
	}
	deep := image.NewNRGBA64(image.Rect(0, 0, 90, 90))
	for i := range deep.Pix {
		deep.Pix[i] = byte(r.IntN(256))
	}
	part, ok := alpha.SubImage(image.Rect(17, 11, 200, 150)).(*image.NRGBA)
	if !ok {
		t.Fatal("no part")
	}
	for name, src := range map[string]image.Image{"Alpha": alpha, "YCbCr": ycc, "Deep": deep, "Part": part} {
		for _, size := range []image.Point{{100, 70}, {33, 190}, {1, 1}, {150, 1}} {
			got := resize(src, size.X, size.Y)
			want := image.NewRGBA(image.Rect(0, 0, size.X, size.Y))
			draw.CatmullRom.Scale(want, want.Rect, src, src.Bounds(), draw.Src, nil)
			worst := 0
			for y := range size.Y {
				for x := range size.X {
					a, _ := color.RGBAModel.Convert(got.At(x, y)).(color.RGBA)
					b := want.RGBAAt(x, y)
					for _, d := range []int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B), int(a.A) - int(b.A)} {
						worst = max(worst, d, -d)
					}
				}
			}
			allowed := 3
			if name == "YCbCr" { // the library enlarges the colours first, without smoothing
				allowed = 6
			}
			if worst > allowed {
				t.Errorf("%s to %v: a colour is off by %d", name, size, worst)
			}
		}
	}
}
