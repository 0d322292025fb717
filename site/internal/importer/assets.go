package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"image"
	_ "image/gif" // registers the decoders
	_ "image/jpeg"
	_ "image/png"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	_ "golang.org/x/image/webp"
	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/importer/dialect"
	"github.com/labd-dev/labd/site/internal/picture"
)

// maxDecoders limits the pictures that are decoded concurrently.
const maxDecoders = 2

// asset is a file that pages link to: its place in the course, or why it is left out.
type asset struct {
	file         string // of the source
	out, refused string
	proved       bool
}

// kinds lists the file types, apart from images, that may be published. The value is the media type
// that the first bytes must have; "" allows any.
var kinds = map[string]string{
	".pdf": "application/pdf", ".mp4": "", ".webm": "", ".mp3": "", ".ogg": "", ".wav": "", ".zip": "", ".gz": "", ".txt": "", ".csv": "",
}

// Limits on the pictures that are fetched from other sites. They stay in memory until they are
// written.
const (
	maxRemote      = 1000             // pictures
	maxRemoteTotal = 256 << 20        // bytes
	maxRemoteTime  = 10 * time.Minute // for all of them
	fetchers       = 4                // at a time
)

// Fetcher fetches a picture from another site.
type Fetcher interface {
	// Fetch returns the content of an address. It limits size and time, and is safe for concurrent
	// use.
	Fetch(ctx context.Context, address string) ([]byte, error)
}

// remote is a picture from another site.
type remote struct {
	data    []byte
	refused string // why it was not fetched
}

// Picture implements dialect.Source. Without a Fetcher, pictures from other sites are not copied.
func (c *place) Picture(dest string) dialect.Target {
	if c.opts.Fetch == nil {
		return dialect.Target{}
	}
	dest = html.UnescapeString(strings.TrimSpace(dest))
	if strings.HasPrefix(dest, "//") {
		dest = "https:" + dest
	}
	got, ok := c.remote[dest]
	if !ok {
		c.remote[dest] = remote{refused: "it is not fetched yet"}
		return dialect.Target{}
	}
	if got.refused != "" {
		return dialect.Target{Why: "it was not fetched: " + got.refused}
	}
	a := c.asset(dest, c.p)
	if a.refused != "" {
		return dialect.Target{Why: "it can't be published: " + a.refused}
	}
	return dialect.Target{URL: relative(c.p.out, a.out), Asset: true}
}

// fetch fetches the pictures from other sites that pages show.
func (r *run) fetch() error {
	addresses := slices.Sorted(maps.Keys(r.remote))
	timed, cancel := context.WithTimeout(r.ctx, maxRemoteTime)
	defer cancel()
	var mu sync.Mutex // guards r.remote, done and total
	done, total := 0, 0
	g, ctx := errgroup.WithContext(timed)
	g.SetLimit(fetchers)
	for i, address := range addresses {
		if i >= maxRemote {
			mu.Lock()
			r.remote[address] = remote{refused: fmt.Sprintf("at most %d pictures are fetched", maxRemote)}
			mu.Unlock()
			continue
		}
		g.Go(func() error {
			mu.Lock()
			full := total >= maxRemoteTotal
			mu.Unlock()
			got := remote{refused: fmt.Sprintf("the pictures would be larger than %d MiB", maxRemoteTotal>>20)}
			if !full {
				data, err := r.opts.Fetch.Fetch(ctx, address)
				if got = (remote{data: data}); err != nil {
					got = remote{refused: err.Error()}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			r.remote[address] = got
			total += len(got.data)
			done++
			r.progress("pictures of other sites", done, len(addresses))
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return r.ctx.Err()
}

// size returns the size of a file in bytes.
func (r *run) size(name string) int64 {
	if got, ok := r.remote[name]; ok {
		return int64(len(got.data))
	}
	return r.Files[name]
}

// assetKey returns the key of r.assets for a file that p links to. A file that pages in the default
// language use is shared by all languages. A file that only a translation uses is stored in that
// translation's folder.
func (r *run) assetKey(name string, p *page) string {
	if _, ok := r.assets[name]; ok || p.lang == r.Lang {
		return name
	}
	return p.lang + "\x00" + name
}

// asset returns the entry for a file that p links to, and adds it if it is new.
func (r *run) asset(name string, p *page) asset {
	key := r.assetKey(name, p)
	if a, ok := r.assets[key]; ok {
		return a
	}
	a := asset{file: name}
	var ext string
	if ext, a.refused = r.inspect(name); a.refused == "" {
		dir := path.Dir(p.out)
		base := path.Base(name)
		if u, err := url.Parse(name); err == nil && u.Host != "" {
			base = path.Base(u.Path)
		}
		stem := slug(strings.TrimSuffix(base, path.Ext(base)))
		out := path.Join(dir, stem+ext)
		for n := 2; r.outs[out]; n++ {
			out = path.Join(dir, fmt.Sprintf("%s-%d%s", stem, n, ext))
		}
		r.outs[out] = true
		r.total += r.size(name)
		a.out = out
	}
	r.assets[key] = a
	return a
}

// inspect returns the file name extension to publish a file with, or why it must not be published.
// An image gets the extension of its content, because many images have the wrong one.
func (r *run) inspect(name string) (ext, refused string) {
	ext = strings.ToLower(path.Ext(name))
	kind, ok := kinds[ext]
	if _, fetched := r.remote[name]; fetched {
		ext, ok = ".svg", false // unless the content shows another type
	}
	switch {
	case !ok && ext != ".svg" && !picture.IsImage(name):
		return "", "files of this type are not published, because they could run code in a reader's browser"
	case r.size(name) > maxAsset:
		return "", fmt.Sprintf("it is larger than %d MiB", maxAsset>>20)
	case r.total+r.size(name) > maxTotal:
		return "", fmt.Sprintf("the course would be larger than %d MiB", maxTotal>>20)
	}
	if ok {
		head, err := r.head(name, 512)
		if err != nil {
			return "", fmt.Sprintf("it cannot be read: %v", err)
		}
		if kind != "" && http.DetectContentType(head) != kind {
			return "", fmt.Sprintf("its content is not that of a %s file", ext)
		}
		return ext, ""
	}
	data, err := r.head(name, maxAsset)
	if err != nil {
		return "", fmt.Sprintf("it cannot be read: %v", err)
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

// imageExt returns the extension for the content of an image, or "" if it is SVG or no image.
func imageExt(data []byte) string {
	return map[string]string{"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}[http.DetectContentType(data[:min(len(data), 512)])]
}

// head reads at most the given number of bytes of a file.
func (r *run) head(name string, most int64) ([]byte, error) {
	if got, ok := r.remote[name]; ok {
		return got.data[:min(int64(len(got.data)), most)], nil
	}
	f, err := r.FS.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read-only
	return io.ReadAll(io.LimitReader(f, most))
}

// provePictures decodes all images, because a broken one would make the build fail. It reports
// whether it refused one.
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

// decode returns why an image cannot be decoded, or "".
func (r *run) decode(_ context.Context, name string) string {
	data, err := r.head(name, maxAsset)
	if err != nil {
		return fmt.Sprintf("it cannot be read: %v", err)
	}
	if _, _, err := image.Decode(bytes.NewReader(data)); err != nil && !errors.Is(err, image.ErrFormat) {
		return fmt.Sprintf("it is a broken picture: %v", err)
	}
	return ""
}

// copyAsset writes one file. It writes no more bytes than were counted before, in case the file has
// grown.
func (r *run) copyAsset(a asset, write Write) error {
	if got, ok := r.remote[a.file]; ok {
		return write(a.out, bytes.NewReader(got.data))
	}
	f, err := r.FS.Open(a.file)
	if err != nil {
		return fmt.Errorf("copying %s: %w", a.file, err)
	}
	defer func() { _ = f.Close() }() // read-only
	return write(a.out, io.LimitReader(f, r.Files[a.file]))
}
