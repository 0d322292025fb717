package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"

	"github.com/HugoSmits86/nativewebp"
	"golang.org/x/image/webp"
)

// encode writes an image as JPEG if it comes from a lossy format and is opaque, else as WebP or PNG.
func encode(img image.Image, h *header) (data []byte, ext string, err error) {
	if h.lossy && opaque(img) {
		data, err := encodeJPEG(img, h)
		return data, ".jpg", err
	}
	if b := img.Bounds(); b.Dx()*b.Dy() <= maxWebP {
		if data := encodeWebP(img); data != nil {
			return data, ".webp", nil
		}
	}
	var buf bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, img); err != nil {
		return nil, "", fmt.Errorf("writing a PNG: %w", err)
	}
	return buf.Bytes(), ".png", nil
}

func opaque(img image.Image) bool {
	o, ok := img.(interface{ Opaque() bool })
	return ok && o.Opaque()
}

func encodeJPEG(img image.Image, h *header) ([]byte, error) {
	var buf bytes.Buffer
	if gray(img) {
		g := image.NewGray(img.Bounds())
		draw.Draw(g, g.Rect, img, g.Rect.Min, draw.Src)
		img = g
	}
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("writing a JPEG: %w", err)
	}
	data := buf.Bytes()
	if p := h.keptProfile(); p != nil {
		data = bytes.Join([][]byte{data[:2], p, data[2:]}, nil)
	}
	return data, nil
}

// gray reports whether an image is greyscale. JPEG then needs no colour channels.
func gray(img image.Image) bool {
	switch img := img.(type) {
	case *image.Gray:
		return true
	case *image.RGBA:
		for i := 0; i < len(img.Pix); i += 4 {
			if img.Pix[i] != img.Pix[i+1] || img.Pix[i] != img.Pix[i+2] {
				return false
			}
		}
		return true
	}
	return false
}

// encodeWebP encodes an image as lossless WebP. It returns nil if that fails. The encoder is a young library, so its output is
// decoded by another library and compared pixel by pixel, and a panic in it counts as a failure.
func encodeWebP(img image.Image) (data []byte) {
	defer func() {
		if recover() != nil {
			data = nil
		}
	}()
	if _, ok := img.(*image.Paletted); !ok {
		n := image.NewNRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
		draw.Draw(n, n.Rect, img, img.Bounds().Min, draw.Src)
		img = n
		if p := paletted(n); p != nil {
			img = p
		}
	}
	var buf bytes.Buffer
	// Higher levels took longer and gave larger files for all screenshots we tried.
	if err := nativewebp.Encode(&buf, img, &nativewebp.Options{CompressionLevel: nativewebp.BestSpeed}); err != nil {
		return nil
	}
	back, err := webp.Decode(bytes.NewReader(buf.Bytes()))
	if err != nil || !samePixels(img, back) {
		return nil
	}
	return buf.Bytes()
}

// paletted converts an image to one with a palette. It returns nil if there are more than 256 colours. Encoding it as WebP takes a
// sixth of the time and gives files of the same size.
func paletted(img *image.NRGBA) *image.Paletted {
	out := image.NewPaletted(img.Rect, nil)
	known := map[[4]byte]uint8{}
	var last [4]byte
	var index uint8
	for i := range out.Pix {
		c := [4]byte(img.Pix[4*i:])
		if c != last || i == 0 {
			var ok bool
			if index, ok = known[c]; !ok {
				if len(known) == 256 {
					return nil
				}
				index = uint8(len(known))
				known[c] = index
				out.Palette = append(out.Palette, color.NRGBA{c[0], c[1], c[2], c[3]})
			}
			last = c
		}
		out.Pix[i] = index
	}
	return out
}

func samePixels(a, b image.Image) bool {
	ab, bb := a.Bounds(), b.Bounds()
	if ab.Size() != bb.Size() {
		return false
	}
	if a, ok := a.(*image.NRGBA); ok {
		if b, ok := b.(*image.NRGBA); ok {
			for i := 0; i < len(a.Pix); i += 4 {
				x, y := a.Pix[i:i+4], b.Pix[i:i+4]
				if x[3] != y[3] || x[3] != 0 && (x[0] != y[0] || x[1] != y[1] || x[2] != y[2]) {
					return false
				}
			}
			return true
		}
	}
	for y := range ab.Dy() {
		for x := range ab.Dx() {
			p, _ := color.NRGBAModel.Convert(a.At(ab.Min.X+x, ab.Min.Y+y)).(color.NRGBA)
			q, _ := color.NRGBAModel.Convert(b.At(bb.Min.X+x, bb.Min.Y+y)).(color.NRGBA)
			if p != q && (p.A != 0 || q.A != 0) {
				return false
			}
		}
	}
	return true
}
