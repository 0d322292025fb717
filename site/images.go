package site

import (
	"errors"
	"fmt"
	"image"
	_ "image/gif"  // decoders register themselves
	_ "image/jpeg" //
	_ "image/png"  //
	"io/fs"
	"path"
	"strings"

	"labd/internal/source"
)

// maxPixels bounds the size that an image may claim. A browser that draws a larger one may not survive it.
const maxPixels = 100_000_000

// imageSize is the size of an image in pixels.
type imageSize struct{ width, height int }

// measure reads the sizes of the course's images, without decoding them. A file that is not what its name says is a
// mistake.
func (b *builder) measure(errs *source.List) {
	b.images = map[string]imageSize{}
	for _, a := range b.model.assets {
		switch strings.ToLower(path.Ext(a.name)) {
		case ".png", ".jpg", ".jpeg", ".gif":
		default:
			continue
		}
		size, err := sizeOf(b.src.Content, a.name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			errs.Add(&source.Error{File: b.src.name(a.name), Msg: fmt.Sprintf("this is not a whole %s image: %v", strings.TrimPrefix(path.Ext(a.name), "."), err)})
		case int64(size.width)*int64(size.height) > maxPixels:
			errs.Add(&source.Error{File: b.src.name(a.name), Msg: fmt.Sprintf("an image of %d x %d pixels is too large to show; at most %d million in all", size.width, size.height, maxPixels/1_000_000)})
		default:
			b.images[b.base+a.path] = size
		}
	}
}

func sizeOf(fsys fs.FS, name string) (imageSize, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return imageSize{}, err
	}
	defer f.Close()
	config, _, err := image.DecodeConfig(f)
	return imageSize{config.Width, config.Height}, err
}

// sizeAt is the size of the image at an address of the site.
func (b *builder) sizeAt(url string) (width, height int) {
	s := b.images[url]
	return s.width, s.height
}
