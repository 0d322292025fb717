// Package picture prepares images for web pages: small files for small screens, upright, without what cameras and programs
// note beside the picture (places, names, times). It reads files that authors give and trusts none of them.
//
// # What it reads
//
// PNG, JPEG, GIF, WebP and SVG. The name's ending must say what the file is. A file that is cut short, that is something
// else, or that claims a size beyond the limits is a mistake of the author; sizes are read from the header before anything
// is decoded.
//
// # What it makes
//
// An image with pixels becomes up to three files, 480, 960 and 1440 pixels wide, never wider than it is. A photo stays a
// JPEG. Everything else becomes lossless WebP, which was 40 % smaller than PNG for screenshots. Whatever is smallest is
// kept: a narrower file that isn't smaller than the wider one is left out, and the author's own file, without its metadata,
// takes the place of the widest if it is smaller. Images that move are kept as they are, without metadata.
//
// An SVG is kept byte for byte, if nothing in it could run or fetch: see the list of elements in svg.go.
//
// The same input gives the same bytes, on every machine and with or without a cache: resizing is done in integers.
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

// Limits on images, which anybody may have made.
const (
	MaxFile   = 64 << 20   // bytes of a file
	maxPixels = 64_000_000 // width times height
	maxSide   = 30_000     // pixels
	maxScans  = 100        // of a progressive JPEG: each costs as much as the whole picture
	maxDecode = 384 << 20  // bytes in use by all images that are being decoded at a time
	maxWebP   = 2_500_000  // pixels of an image that is encoded as WebP, which needs some 56 bytes for each
)

// Widths of the files that are made, in pixels. The text of a lesson is 712 wide, and many screens show two pixels for one.
var widths = [...]int{480, 960, 1440}

// maxOriginal is how wide an author's file may be to be shown itself.
const maxOriginal = 2880

// quality of JPEG files.
const quality = 82

// Image is a picture that is ready for a page.
type Image struct {
	Width, Height int    // in pixels, upright; 0 for an SVG that doesn't say
	Files         []File // from narrow to wide, at least one
}

// File is one size of an Image.
type File struct {
	Width int
	Ext   string // ".webp"
	Data  []byte
}

// Maker makes images. It is safe for concurrent use, and decodes only as many at a time as there is memory for.
type Maker struct {
	memory *semaphore.Weighted
	cache  *cache
}

// New returns a Maker that remembers what it made, within limits, and keeps it in a cache on disk if there is one.
func New(s *diskcache.Cache) *Maker {
	return &Maker{memory: semaphore.NewWeighted(maxDecode), cache: newCache(s)}
}

// IsImage says whether a file's name says that it is an image that this package reads.
func IsImage(name string) bool { return formatOf(name) != "" }

// Make prepares the image in data. file is its name in messages. If the author has to mend it, the Image is nil and what is
// wrong is in errs; the error is for everything else.
func (m *Maker) Make(ctx context.Context, file string, data []byte, errs *source.List) (*Image, error) {
	key := keyOf(path.Ext(file), data)
	if img := m.cache.get(key); img != nil {
		return img, nil
	}
	before := len(*errs)
	img, err := m.make(ctx, file, data, errs)
	if err != nil || img == nil || len(*errs) > before {
		return nil, err
	}
	m.cache.put(key, img)
	return img, nil
}

func (m *Maker) make(ctx context.Context, file string, data []byte, errs *source.List) (*Image, error) {
	h, ok := inspect(file, data, errs)
	if !ok {
		return nil, nil
	}
	if h.format == "svg" {
		w, ht := checkSVG(file, data, errs)
		return &Image{Width: w, Height: ht, Files: []File{{Width: w, Ext: ".svg", Data: data}}}, nil
	}
	if h.animated {
		return &Image{Width: h.width, Height: h.height, Files: []File{{Width: h.width, Ext: strings.ToLower(path.Ext(file)), Data: h.clean}}}, nil
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
	return h.files(decoded, path.Ext(file))
}

// files makes the sizes of a decoded image.
func (h *header) files(decoded image.Image, ext string) (*Image, error) {
	out := &Image{Width: h.width, Height: h.height}
	if h.turned() {
		out.Width, out.Height = h.height, h.width
	}
	var made []File
	var widest image.Image // what narrower files are made from
	for i := len(widths) - 1; i >= 0; i-- {
		w := min(widths[i], out.Width)
		if widest != nil && w >= out.Width*9/10 {
			continue // hardly narrower than what is there
		}
		if widest == nil && i > 0 && out.Width <= widths[i-1] {
			continue // a smaller width holds it whole
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
	}
	// The author's own file may be better than ours: many are tuned by hand.
	if own := h.clean; h.orientation <= 1 && out.Width <= maxOriginal && len(own) <= len(made[0].Data) {
		made[0] = File{Width: out.Width, Ext: strings.ToLower(ext), Data: own}
	}
	for _, f := range made {
		if n := len(out.Files); n == 0 || len(f.Data) < len(out.Files[n-1].Data)*9/10 {
			out.Files = append(out.Files, f)
		}
	}
	slices.Reverse(out.Files)
	return out, nil
}

// Original returns an author's file as it may be published itself: an image without its metadata. Mistakes are added to errs.
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

// names of formats, for people.
var names = map[string]string{"png": "PNG", "jpeg": "JPEG", "gif": "GIF", "webp": "WebP", "svg": "SVG"}

// endings of formats; the first is the usual one.
var endings = map[string][]string{"png": {".png"}, "jpeg": {".jpg", ".jpeg"}, "gif": {".gif"}, "webp": {".webp"}, "svg": {".svg"}}

// formatOf returns the format that a name claims, or "".
func formatOf(name string) string {
	ext := strings.ToLower(path.Ext(name))
	for format, list := range endings {
		if slices.Contains(list, ext) {
			return format
		}
	}
	return ""
}

// sniff returns the format that a file begins like, or "".
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
