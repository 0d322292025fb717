package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // so that these are decoded
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	_ "golang.org/x/image/webp"
	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/picture"
)

// maxDecoders is how many pictures are decoded at a time.
const maxDecoders = 2

// asset is a file that pages link to: where it goes, or why it can't.
type asset struct {
	file         string // of the source
	out, refused string
	proved       bool
}

// kinds are the files that may be published besides images, by what their first bytes must look like; "" for anything.
var kinds = map[string]string{
	".pdf": "application/pdf", ".mp4": "", ".webm": "", ".mp3": "", ".ogg": "", ".wav": "", ".zip": "", ".gz": "", ".txt": "", ".csv": "",
}

// assetKey is what r.assets calls a file for a page. What the default language has is there for all. What only a translation
// has stands in its own folder.
func (r *run) assetKey(name string, p *page) string {
	if _, ok := r.assets[name]; ok || p.lang == r.lang {
		return name
	}
	return p.lang + "\x00" + name
}

// asset returns where the file goes that p links to.
func (r *run) asset(name string, p *page) asset {
	key := r.assetKey(name, p)
	if a, ok := r.assets[key]; ok {
		return a
	}
	a := asset{file: name}
	var ext string
	if ext, a.refused = r.inspect(name); a.refused == "" {
		dir := path.Dir(p.out)
		stem := slug(strings.TrimSuffix(path.Base(name), path.Ext(name)))
		out := path.Join(dir, stem+ext)
		for n := 2; r.outs[out]; n++ {
			out = path.Join(dir, fmt.Sprintf("%s-%d%s", stem, n, ext))
		}
		r.outs[out] = true
		r.total += r.files[name]
		a.out = out
	}
	r.assets[key] = a
	return a
}

// inspect returns the ending that a file is published with, or why it must not be published. The ending of an image is that
// of its content, as many files have another one.
func (r *run) inspect(name string) (ext, refused string) {
	ext = strings.ToLower(path.Ext(name))
	kind, ok := kinds[ext]
	switch {
	case !ok && !picture.IsImage(name):
		return "", "files of this kind are not published, as they could run in a reader's browser"
	case r.files[name] > maxAsset:
		return "", fmt.Sprintf("it is larger than %d MiB", maxAsset>>20)
	case r.total+r.files[name] > maxTotal:
		return "", fmt.Sprintf("the course would be larger than %d MiB", maxTotal>>20)
	}
	if ok {
		head, err := r.head(name, 512)
		if err != nil {
			return "", fmt.Sprintf("it can't be read: %v", err)
		}
		if kind != "" && http.DetectContentType(head) != kind {
			return "", fmt.Sprintf("its content is not that of a %s file", ext)
		}
		return ext, ""
	}
	data, err := r.head(name, maxAsset)
	if err != nil {
		return "", fmt.Sprintf("it can't be read: %v", err)
	}
	if real := imageExt(data); real != "" && !(real == ".jpg" && ext == ".jpeg") {
		ext = real
	}
	var mistakes source.List
	if picture.Original("picture"+ext, data, &mistakes); len(mistakes) > 0 {
		return "", mistakes[0].Msg
	}
	return ext, ""
}

// imageExt is the ending for the content of an image, "" if it is none or a drawing.
func imageExt(data []byte) string {
	return map[string]string{"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}[http.DetectContentType(data[:min(len(data), 512)])]
}

// head reads the first bytes of a file.
func (r *run) head(name string, most int64) ([]byte, error) {
	if data, ok := r.remote[name]; ok {
		return data[:min(int64(len(data)), most)], nil
	}
	f, err := r.src.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	return io.ReadAll(io.LimitReader(f, most))
}

// provePictures decodes all images, as a broken one would make the build fail. It reports whether one was refused.
func (r *run) provePictures() (refused bool, err error) {
	var keys []string
	for key, a := range r.assets {
		if a.out != "" && !a.proved && picture.IsImage(a.out) && path.Ext(a.out) != ".svg" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var mu sync.Mutex // guards r.assets, done and refused
	done := 0
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(maxDecoders)
	for _, key := range keys {
		mu.Lock()
		a := r.assets[key]
		mu.Unlock()
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			why := r.decode(ctx, a.file)
			mu.Lock()
			defer mu.Unlock()
			if a.proved = true; why != "" {
				a.refused, a.out, refused = why, "", true
			}
			r.assets[key] = a
			done++
			r.progress("pictures", done, len(keys))
			return nil
		})
	}
	return refused, g.Wait()
}

// decode returns why an image can't be decoded, or "".
func (r *run) decode(_ context.Context, name string) string {
	data, err := r.head(name, maxAsset)
	if err != nil {
		return fmt.Sprintf("it can't be read: %v", err)
	}
	if _, _, err := image.Decode(bytes.NewReader(data)); err != nil && !errors.Is(err, image.ErrFormat) {
		return fmt.Sprintf("it is a broken picture: %v", err)
	}
	return ""
}

// copyAsset hands out one file, cut at the size that was seen, so that one that grows meanwhile stays within the limits.
func (r *run) copyAsset(a asset, write Write) error {
	if data, ok := r.remote[a.file]; ok {
		return write(a.out, bytes.NewReader(data))
	}
	f, err := r.src.Open(a.file)
	if err != nil {
		return fmt.Errorf("copying %s: %w", a.file, err)
	}
	defer func() { _ = f.Close() }() // only read from
	return write(a.out, io.LimitReader(f, r.files[a.file]))
}
