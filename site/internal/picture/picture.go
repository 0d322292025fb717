// Package picture prepares images for web pages. It makes smaller versions for small screens, applies the EXIF orientation, and
// removes metadata such as GPS positions, names and dates. Image files are untrusted input.
//
// # Input
//
// PNG, JPEG, GIF, WebP and SVG. The file extension must match the format. A file that is truncated, has another format, or
// exceeds the size limits is reported as a mistake. Sizes are read from the header before anything is decoded.
//
// # Output
//
// Encoding is slow, so it is done only where readers gain much by it. Metadata is always removed.
//
//   - A small file (64 KB of a photo, 192 KB of anything else) is published as it is. So is a lossless file that has less than a
//     byte for four pixels.
//   - A photo stays a JPEG. It becomes up to three files, 480, 960 and 1440 pixels wide, never wider than it is.
//   - A screenshot or drawing becomes one lossless WebP file of its full size, which is about half as large as a PNG. Narrower
//     sizes would be larger: shrinking turns flat colours and sharp edges into gradients. One that has too many pixels for the
//     encoder becomes 1440 pixels wide.
//   - A photo in a lossless format, recognised by how many bytes it has for a pixel, becomes up to three WebP files.
//   - Animations are published as they are.
//
// A narrower file that isn't smaller than the wider one is left out, and the author's own file takes the place of the widest
// one if it is smaller.
//
// An SVG is published unchanged if it contains neither scripts nor external references. svg.go lists the allowed elements.
//
// Output is reproducible: the same input gives the same bytes on every machine, with or without a cache. That is why resizing
// uses integer arithmetic.
package picture

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/semaphore"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/diskcache"
)

// Limits on untrusted images.
const (
	MaxFile   = 64 << 20   // bytes of a file
	maxPixels = 64_000_000 // width times height
	maxSide   = 30_000     // pixels
	maxScans  = 100        // of a progressive JPEG: decoding each takes as long as decoding the whole picture
	maxDecode = 384 << 20  // bytes used by all images that are decoded concurrently
	maxWebP   = 2_500_000  // pixels of an image that is encoded as WebP; the encoder needs about 56 bytes for each
)

// Widths of the generated files, in pixels. The text column is 712 CSS pixels wide, and many screens have two device pixels per
// CSS pixel.
var widths = [...]int{480, 960, 1440}

// Which files are published as they are. Encoding a lossless WebP takes 0.15 to 0.3 s for a million pixels. With these limits it saves
// 400 KB or more for each second.
const (
	smallPhoto    = 64 << 10  // bytes of a photo, at most
	smallLossless = 192 << 10 // bytes of another image, at most
	denseLossless = 0.25      // bytes for a pixel of another image, at most
)

// flatLossless is how many bytes a screenshot or a drawing in a lossless format has for a pixel, at most. Photos have more.
const flatLossless = 1.0

// maxOriginal is the maximum width of an author's file that is published as it is, in pixels.
const maxOriginal = 2880

// quality is the JPEG quality, from 1 to 100.
const quality = 82

// Image is an image that is ready for a page.
type Image struct {
	Width, Height int    // in pixels, after rotation; 0 for an SVG without a size
	Files         []File // from narrow to wide, at least one
}

// File is one size of an Image.
type File struct {
	Width int
	Ext   string // ".webp"
	Data  []byte
	own   bool // Data is the author's file without its metadata
}

// Maker makes images. It is safe for concurrent use. It limits the memory of concurrent decoding to maxDecode.
type Maker struct {
	memory *semaphore.Weighted
	cache  *cache
}

// New returns a Maker with a size-bounded memory cache in front of the disk cache s, which may be nil.
func New(s *diskcache.Cache) *Maker {
	return &Maker{memory: semaphore.NewWeighted(maxDecode), cache: newCache(s)}
}

// IsImage reports whether a file name has the extension of a supported format.
func IsImage(name string) bool { return formatOf(name) != "" }

// Make prepares the image in data. file is its name in error messages. If the file itself is faulty, Make adds the mistakes to errs
// and returns nil. The error is for everything else.
func (m *Maker) Make(ctx context.Context, file string, data []byte, errs *source.List) (*Image, error) {
	key := keyOf(path.Ext(file), data)
	if img := m.cache.get(key); img != nil {
		return img.withOwn(file, data), nil
	}
	before := len(*errs)
	img, err := m.make(ctx, file, data, errs)
	if err != nil || img == nil || len(*errs) > before {
		return nil, err
	}
	m.cache.put(key, img.withoutOwn())
	return img, nil
}

// Made reports whether the image in data is in a cache, so Make will be fast.
func (m *Maker) Made(file string, data []byte) bool { return m.cache.has(keyOf(path.Ext(file), data)) }

// Measure returns the size of the image in data from its header. It decodes no pixels.
func Measure(file string, data []byte, errs *source.List) (width, height int) {
	h, ok := inspect(file, data, errs)
	switch {
	case !ok:
		return 0, 0
	case h.format == "svg":
		return checkSVG(file, data, errs)
	case h.turned():
		return h.height, h.width
	}
	return h.width, h.height
}

// withoutOwn returns the image as the cache stores it. Authors' own files are left out, because they are in the content tree.
func (i *Image) withoutOwn() *Image {
	out := &Image{Width: i.Width, Height: i.Height, Files: slices.Clone(i.Files)}
	for n := range out.Files {
		if out.Files[n].own {
			out.Files[n].Data = nil
		}
	}
	return out
}

// withOwn restores what withoutOwn left out. data is the author's file.
func (i *Image) withOwn(file string, data []byte) *Image {
	if !slices.ContainsFunc(i.Files, func(f File) bool { return f.own }) {
		return i
	}
	own := Original(file, data, new(source.List)) // it has no mistakes, or it would not be in the cache
	out := &Image{Width: i.Width, Height: i.Height, Files: slices.Clone(i.Files)}
	for n := range out.Files {
		if out.Files[n].own {
			out.Files[n].Data = own
		}
	}
	return out
}

func (m *Maker) make(ctx context.Context, file string, data []byte, errs *source.List) (*Image, error) {
	h, ok := inspect(file, data, errs)
	if !ok {
		return nil, nil
	}
	if h.format == "svg" {
		w, ht := checkSVG(file, data, errs)
		return &Image{Width: w, Height: ht, Files: []File{{Width: w, Ext: ".svg", Data: data, own: true}}}, nil
	}
	if h.animated {
		return &Image{Width: h.width, Height: h.height, Files: []File{{Width: h.width, Ext: strings.ToLower(path.Ext(file)), Data: h.clean, own: true}}}, nil
	}
	need := min(h.memory(), maxDecode)
	if err := m.memory.Acquire(ctx, need); err != nil {
		return nil, fmt.Errorf("preparing %s: %w", file, err)
	}
	defer m.memory.Release(need)
	decoded, err := h.decode(data)
	if err != nil {
		errs.Add(&source.Error{File: file, Msg: fmt.Sprintf("this is not a whole %s image: %v; save it again", names[h.format], err)})
		return nil, nil
	}
	if size := decoded.Bounds().Size(); size != image.Pt(h.width, h.height) {
		errs.Add(&source.Error{File: file, Msg: fmt.Sprintf("this image claims to have %d x %d pixels and has %d x %d; save it again", h.width, h.height, size.X, size.Y)})
		return nil, nil
	}
	if h.keeps() {
		return &Image{Width: h.width, Height: h.height, Files: []File{h.own(path.Ext(file))}}, nil
	}
	return h.files(ctx, decoded, path.Ext(file))
}

// keeps reports whether the author's file is published as it is.
func (h *header) keeps() bool {
	if h.lossy {
		return h.mayKeep() && len(h.clean) <= smallPhoto
	}
	return h.mayKeep() && (len(h.clean) <= smallLossless || h.density() <= denseLossless)
}

// density returns the file size in bytes per pixel.
func (h *header) density() float64 { return float64(len(h.clean)) / float64(h.width*h.height) }

// mayKeep reports whether the author's file may be published as it is. It may not if it has to be rotated, or if it is so wide that
// showing it takes much of a phone's memory.
func (h *header) mayKeep() bool { return h.orientation <= 1 && h.width <= maxOriginal }

func (h *header) own(ext string) File {
	return File{Width: h.width, Ext: strings.ToLower(ext), Data: h.clean, own: true}
}

// flat reports whether an image is probably a screenshot or a drawing.
func (h *header) flat() bool { return !h.lossy && h.density() <= flatLossless }

// files encodes a decoded image in all sizes.
func (h *header) files(ctx context.Context, decoded image.Image, ext string) (*Image, error) {
	out := &Image{Width: h.width, Height: h.height}
	if h.turned() {
		out.Width, out.Height = h.height, h.width
	}
	if h.flat() && h.mayKeep() && h.width*h.height <= maxWebP {
		if data := encodeWebP(decoded); data != nil && len(data) < len(h.clean) {
			out.Files = []File{{Width: h.width, Ext: ".webp", Data: data}}
		} else {
			out.Files = []File{h.own(ext)}
		}
		return out, nil
	}
	var made []File
	var widest image.Image // narrower files are made from it
	for i := len(widths) - 1; i >= 0; i-- {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		w := min(widths[i], out.Width)
		if widest != nil && w >= out.Width*9/10 {
			continue // hardly narrower than the widest
		}
		if widest == nil && i > 0 && out.Width <= widths[i-1] {
			continue // the next smaller width is enough
		}
		height := max(1, (out.Height*w+out.Width/2)/out.Width)
		var img image.Image
		switch {
		case widest != nil:
			img = resize(widest, w, height)
		case w == out.Width:
			img = upright(decoded, h.orientation)
		case h.turned():
			img = upright(resize(decoded, height, w), h.orientation)
		default:
			img = upright(resize(decoded, w, height), h.orientation)
		}
		if widest == nil {
			widest = img
		}
		data, kind, err := encode(img, h)
		if err != nil {
			return nil, err
		}
		made = append(made, File{Width: w, Ext: kind, Data: data})
		if h.flat() {
			break
		}
	}
	// The author's file may be smaller than ours: many are optimised by hand.
	if h.mayKeep() && len(h.clean) <= len(made[0].Data) {
		made[0] = h.own(ext)
	}
	for _, f := range made {
		if n := len(out.Files); n == 0 || len(f.Data) < len(out.Files[n-1].Data)*9/10 {
			out.Files = append(out.Files, f)
		}
	}
	slices.Reverse(out.Files)
	return out, nil
}

// Original returns an author's file without its metadata, for publication. It adds mistakes to errs.
func Original(file string, data []byte, errs *source.List) []byte {
	before := len(*errs)
	h, ok := inspect(file, data, errs)
	if ok && h.format == "svg" {
		checkSVG(file, data, errs)
		h.clean = data
	}
	if !ok || len(*errs) > before {
		return nil
	}
	if h.format == "jpeg" && h.orientation > 1 {
		return withOrientation(h.clean, h.orientation)
	}
	return h.clean
}

// names of formats for messages.
var names = map[string]string{"png": "PNG", "jpeg": "JPEG", "gif": "GIF", "webp": "WebP", "svg": "SVG"}

// endings are the file extensions of formats; the first is the usual one.
var endings = map[string][]string{"png": {".png"}, "jpeg": {".jpg", ".jpeg"}, "gif": {".gif"}, "webp": {".webp"}, "svg": {".svg"}}

// formatOf returns the format of a file extension, or "".
func formatOf(name string) string {
	ext := strings.ToLower(path.Ext(name))
	for format, list := range endings {
		if slices.Contains(list, ext) {
			return format
		}
	}
	return ""
}

// sniff detects the format from the first bytes of a file. It returns "" for unknown ones.
func sniff(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return "png"
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return "jpeg"
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		return "gif"
	case len(data) > 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		return "webp"
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(data[:min(len(data), 4096)], []byte("\xef\xbb\xbf")), " \t\r\n")
	if bytes.HasPrefix(text, []byte("<")) && bytes.Contains(text, []byte("<svg")) {
		return "svg"
	}
	return ""
}
