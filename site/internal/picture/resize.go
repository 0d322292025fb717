package picture

import (
	"image"
	"image/color"
	"image/draw"
	"math"
)

// weightBits is the number of fractional bits of a weight.
const weightBits = 14

// kernel lists the source pixels that contribute to a target pixel.
type kernel struct {
	from    int
	weights []int32 // their sum is 1<<weightBits
}

// kernels returns Catmull-Rom weights for one direction, stretched for downscaling. The float64 conversions prevent fused
// multiply-add, whose results differ between architectures.
func kernels(from, to int) []kernel {
	scale := float64(from) / float64(to)
	stretch := max(scale, 1)
	out := make([]kernel, to)
	for i := range out {
		center := float64((float64(i)+0.5)*scale) - 0.5
		lo := max(0, int(math.Ceil(center-float64(2*stretch))))
		hi := min(from-1, int(math.Floor(center+float64(2*stretch))))
		w := make([]float64, hi-lo+1)
		sum := 0.0
		for k := range w {
			w[k] = catmullRom((float64(lo+k) - center) / stretch)
			sum += w[k]
		}
		ints := make([]int32, len(w))
		total, biggest := int32(0), 0
		for k := range w {
			ints[k] = int32(math.Round(float64(w[k] / sum * (1 << weightBits))))
			total += ints[k]
			if ints[k] > ints[biggest] {
				biggest = k
			}
		}
		ints[biggest] += 1<<weightBits - total
		out[i] = kernel{lo, ints}
	}
	return out
}

func catmullRom(x float64) float64 {
	x = math.Abs(x)
	switch {
	case x < 1:
		return float64(float64(1.5*x)-2.5)*float64(x*x) + 1
	case x < 2:
		return float64(float64(float64(float64(float64(2.5-float64(0.5*x))*x)-4)*x) + 2)
	}
	return 0
}

// resize scales an image to w x h pixels. It buffers only the source rows for one target row. golang.org/x/image/draw would need
// 32 bytes for each pixel of an image with the target's width and the source's height.
func resize(src image.Image, w, h int) image.Image {
	if src, ok := src.(*image.YCbCr); ok && src.Rect.Min == (image.Point{}) {
		return resizeYCbCr(src, w, h)
	}
	b := src.Bounds()
	across, down := kernels(b.Dx(), w), kernels(b.Dy(), h)
	most := 0
	for _, k := range down {
		most = max(most, len(k.weights))
	}
	rows := make([][]int32, most) // ring buffer of horizontally scaled source rows; row y is at y modulo most
	for i := range rows {
		rows[i] = make([]int32, 4*w)
	}
	line := make([]byte, 4*b.Dx())
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	sums := make([]int32, 4*w)
	next := 0
	for y, k := range down {
		for ; next < k.from+len(k.weights); next++ {
			if next < k.from {
				continue
			}
			readRow(src, b.Min.Y+next, line)
			shrinkRow(rows[next%most], line, across)
		}
		clear(sums)
		for i, weight := range k.weights {
			for x, v := range rows[(k.from+i)%most] {
				sums[x] += v * weight
			}
		}
		row := out.Pix[y*out.Stride:][:4*w]
		for x := 0; x < len(sums); x += 4 {
			alpha := clamp(sums[x+3])
			row[x+3] = alpha
			// Catmull-Rom overshoots at edges. Premultiplied colours must not exceed alpha.
			row[x], row[x+1], row[x+2] = min(alpha, clamp(sums[x])), min(alpha, clamp(sums[x+1])), min(alpha, clamp(sums[x+2]))
		}
	}
	return out
}

// resizeYCbCr scales the planes of a photo one by one. That is faster than scaling RGB: most JPEGs have one chroma sample for four
// pixels, and the result needs no conversion back for encoding.
func resizeYCbCr(src *image.YCbCr, w, h int) image.Image {
	out := image.NewYCbCr(image.Rect(0, 0, w, h), src.SubsampleRatio)
	// chroma returns the size of the chroma planes.
	chroma := func(img *image.YCbCr) (w, h int) {
		if img.CStride == 0 {
			return 0, 0
		}
		return img.COffset(img.Rect.Max.X-1, 0) - img.COffset(0, 0) + 1, img.COffset(0, img.Rect.Max.Y-1)/img.CStride + 1
	}
	cw, ch := chroma(src)
	ow, oh := chroma(out)
	resizePlane(out.Y, out.YStride, w, h, src.Y, src.YStride, src.Rect.Dx(), src.Rect.Dy())
	resizePlane(out.Cb, out.CStride, ow, oh, src.Cb, src.CStride, cw, ch)
	resizePlane(out.Cr, out.CStride, ow, oh, src.Cr, src.CStride, cw, ch)
	return out
}

// resizePlane scales one channel.
func resizePlane(out []byte, outStride, w, h int, src []byte, stride, sw, sh int) {
	across, down := kernels(sw, w), kernels(sh, h)
	most := 0
	for _, k := range down {
		most = max(most, len(k.weights))
	}
	rows := make([][]int32, most) // ring buffer of horizontally scaled source rows; row y is at y modulo most
	for i := range rows {
		rows[i] = make([]int32, w)
	}
	sums := make([]int32, w)
	next := 0
	for y, k := range down {
		for ; next < k.from+len(k.weights); next++ {
			if next < k.from {
				continue
			}
			line, row := src[next*stride:][:sw], rows[next%most]
			for x, a := range across {
				sum := int32(0)
				pixels := line[a.from:][:len(a.weights)]
				for i, weight := range a.weights {
					sum += int32(pixels[i]) * weight
				}
				row[x] = sum >> (weightBits - rowBits)
			}
		}
		clear(sums)
		for i, weight := range k.weights {
			row := rows[(k.from+i)%most][:len(sums)]
			for x, v := range row {
				sums[x] += v * weight
			}
		}
		for x, v := range sums {
			out[y*outStride+x] = clamp(v)
		}
	}
}

// rowBits is the number of fractional bits in a horizontally scaled row.
const rowBits = 6

func shrinkRow(out []int32, line []byte, across []kernel) {
	for x, k := range across {
		var r, g, b, a int32
		for i, weight := range k.weights {
			p := line[4*(k.from+i):][:4]
			r += int32(p[0]) * weight
			g += int32(p[1]) * weight
			b += int32(p[2]) * weight
			a += int32(p[3]) * weight
		}
		o := out[4*x:][:4]
		o[0], o[1], o[2], o[3] = r>>(weightBits-rowBits), g>>(weightBits-rowBits), b>>(weightBits-rowBits), a>>(weightBits-rowBits)
	}
}

func clamp(v int32) byte {
	return byte(min(255, max(0, (v+1<<(weightBits+rowBits-1))>>(weightBits+rowBits))))
}

// readRow reads row y as premultiplied RGBA.
func readRow(src image.Image, y int, line []byte) {
	b := src.Bounds()
	switch src := src.(type) {
	case *image.RGBA:
		copy(line, src.Pix[src.PixOffset(b.Min.X, y):][:len(line)])
	case *image.YCbCr:
		for x := range b.Dx() {
			yi, ci := src.YOffset(b.Min.X+x, y), src.COffset(b.Min.X+x, y)
			p := line[4*x:][:4]
			p[0], p[1], p[2] = color.YCbCrToRGB(src.Y[yi], src.Cb[ci], src.Cr[ci])
			p[3] = 255
		}
	case *image.NRGBA:
		pix := src.Pix[src.PixOffset(b.Min.X, y):][:len(line)]
		for i := 0; i < len(line); i += 4 {
			a := uint32(pix[i+3])
			line[i], line[i+1], line[i+2] = byte(uint32(pix[i])*a/255), byte(uint32(pix[i+1])*a/255), byte(uint32(pix[i+2])*a/255)
			line[i+3] = byte(a)
		}
	default:
		row := &image.RGBA{Pix: line, Stride: len(line), Rect: image.Rect(0, 0, b.Dx(), 1)}
		draw.Draw(row, row.Rect, src, image.Pt(b.Min.X, y), draw.Src)
	}
}

// upright applies an EXIF orientation.
func upright(src image.Image, orientation int) image.Image {
	if orientation <= 1 {
		return src
	}
	b := src.Bounds()
	w, h := b.Dx(), b.Dy()
	if orientation >= 5 {
		w, h = h, w
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	line := make([]byte, 4*b.Dx())
	for sy := range b.Dy() {
		readRow(src, b.Min.Y+sy, line)
		for sx := range b.Dx() {
			x, y := sx, sy
			switch orientation {
			case 2:
				x = w - 1 - sx
			case 3:
				x, y = w-1-sx, h-1-sy
			case 4:
				y = h - 1 - sy
			case 5:
				x, y = sy, sx
			case 6:
				x, y = w-1-sy, sx
			case 7:
				x, y = w-1-sy, h-1-sx
			case 8:
				x, y = sy, h-1-sx
			}
			copy(out.Pix[out.PixOffset(x, y):][:4], line[4*sx:])
		}
	}
	return out
}
