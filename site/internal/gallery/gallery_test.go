package gallery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/diskcache"
	"github.com/labd-dev/labd/site/internal/gallery"
	"github.com/labd-dev/labd/site/internal/picture"
)

// photo returns a JPEG that is large enough to be published in several sizes.
func photo(t *testing.T, w, h int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{byte(x), byte(y), byte(x * y), 255})
		}
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, nil); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// open returns a gallery of all files of a tree, at /c/.
func open(content fstest.MapFS) *gallery.Gallery { return openWith(content, picture.New(nil)) }

func openWith(content fstest.MapFS, maker *picture.Maker) *gallery.Gallery {
	images := map[string]string{}
	for name := range content {
		images[strings.TrimPrefix(name, "en/")] = name
	}
	return gallery.New(content, func(name string) string { return "content/" + name }, "/c/", maker, images)
}

func TestShowReturnsSizesForSrcset(t *testing.T) {
	content := fstest.MapFS{"en/a/Großes Bild.JPG": {Data: photo(t, 1600, 300)}}
	g := open(content)
	var errs source.List
	img, files, err := g.Show(t.Context(), "/c/a/Großes Bild.JPG", &errs)
	if err != nil || errs != nil {
		t.Fatal(err, errs)
	}
	if img.Width != 1600 || img.Height != 300 || img.Sizes != "(min-width: 752px) 712px, calc(100vw - 40px)" || len(files) != 3 {
		t.Fatalf("shown as %+v with %d files", img, len(files))
	}
	var set []string
	for i, f := range files {
		data, err := g.Data(t.Context(), f)
		if err != nil || !strings.HasPrefix(f.Path, "assets/gro-es-bild-") || strings.ContainsAny(f.Path, "ß ") {
			t.Fatalf("%s: %v", f.Path, err)
		}
		config, _, err := image.DecodeConfig(bytes.NewReader(data))
		if want := []int{480, 960, 1440}[i]; err != nil || config.Width != want {
			t.Errorf("%s is %d wide, not %d: %v", f.Path, config.Width, want, err)
		}
		set = append(set, "/c/"+f.Path+[]string{" 480w", " 960w", " 1440w"}[i])
	}
	if img.SrcSet != strings.Join(set, ", ") || img.URL != "/c/"+files[1].Path {
		t.Errorf("srcset %q, src %q", img.SrcSet, img.URL)
	}
	if img, files, err := g.Show(t.Context(), "/c/a/", &errs); img.URL != "" || files != nil || err != nil || g.Name("/c/a/") != "" {
		t.Errorf("what is no image is shown as %+v: %v", img, err)
	}
}

func TestOriginalsHaveNoMetadata(t *testing.T) {
	plain := photo(t, 3, 2)
	note := []byte("\xff\xe1\x00\x14Exif\x00\x00GPS 48.8566N")
	g := open(fstest.MapFS{"en/p.jpg": {Data: slices.Concat(plain[:2], note, plain[2:])}})
	if unfit := g.Unfit("/c/p.jpg"); unfit != nil {
		t.Fatal(unfit)
	}
	data, err := g.Original("/c/p.jpg")
	if err != nil || bytes.Contains(data, []byte("GPS")) || len(data) == 0 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := g.Original("/c/other.jpg"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is no image: %v", err)
	}
}

func TestFilesThatChangeDuringABuild(t *testing.T) {
	content := fstest.MapFS{"en/p.jpg": {Data: photo(t, 1600, 300)}, "en/gone.jpg": {Data: photo(t, 3, 2)}}
	g := open(content)
	var errs source.List
	_, files, err := g.Show(t.Context(), "/c/p.jpg", &errs)
	if err != nil || len(files) != 3 {
		t.Fatal(err, errs)
	}
	content["en/p.jpg"] = &fstest.MapFile{Data: photo(t, 20, 20)}
	if _, err := g.Data(t.Context(), files[2]); err == nil || !strings.Contains(err.Error(), "content/en/p.jpg changed while the site was built") {
		t.Errorf("a size that is gone: %v", err)
	}
	delete(content, "en/gone.jpg")
	_, _, err = g.Show(t.Context(), "/c/gone.jpg", &errs)
	if err == nil || len(errs) != 1 || !strings.Contains(errs[0].Error(), "content/en/gone.jpg: this file went away") {
		t.Errorf("a file that is gone: %v, %v", err, errs)
	}
	if unfit := g.Unfit("/c/gone.jpg"); len(unfit) == 0 {
		t.Error("a file that is gone can be published")
	}
}

// many returns a tree of n photos that are published in several sizes, and their URL paths.
func many(t *testing.T, n int) (content fstest.MapFS, urls []string) {
	t.Helper()
	content = fstest.MapFS{}
	for i := range n {
		content[fmt.Sprintf("en/p%d.jpg", i)] = &fstest.MapFile{Data: photo(t, 1600+i, 300)}
		urls = append(urls, fmt.Sprintf("/c/p%d.jpg", i))
	}
	return content, urls
}

func TestMeasureReadsOnlyHeaders(t *testing.T) {
	data := photo(t, 1000, 300)
	for i := len(data) / 2; i < len(data)-2; i++ {
		data[i] = 0 // the pixels can't be decoded
	}
	dir := t.TempDir()
	g := openWith(fstest.MapFS{"en/p.jpg": {Data: data}}, picture.New(diskcache.New(dir)))
	g.Measure()
	var errs source.List
	img, files, err := g.Show(t.Context(), "/c/p.jpg", &errs)
	if err != nil || errs != nil || files != nil || img.Width != 1000 || img.Height != 300 {
		t.Errorf("measured as %+v with %d files: %v, %v", img, len(files), err, errs)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the cache has %v (%v): something was made", entries, err)
	}
}

// TestPrepareContinuesAfterCancellation cancels after the first images. The second run finds them in the disk cache.
func TestPrepareContinuesAfterCancellation(t *testing.T) {
	const n = 12
	content, urls := many(t, n)
	dir := t.TempDir()
	written := map[string]bool{}
	var mu sync.Mutex
	write := func(name string, _ []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if written[name] {
			t.Errorf("%s is written twice", name)
		}
		written[name] = true
		return nil
	}
	show := func(g *gallery.Gallery) {
		t.Helper()
		for _, url := range urls {
			if _, _, err := g.Show(t.Context(), url, &source.List{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries := func() int {
		found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	g := openWith(content, picture.New(diskcache.New(dir)))
	g.Measure()
	show(g)
	ctx, cancel := context.WithCancel(t.Context())
	err := g.Prepare(ctx, 2, write, func(done, total int) {
		if total != n {
			t.Errorf("%d of %d", done, total)
		}
		if done >= 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled run returned %v", err)
	}
	first := entries()
	if first < 3 || first == n {
		t.Fatalf("%d images of %d are in the cache", first, n)
	}
	clear(written)
	g = openWith(content, picture.New(diskcache.New(dir)))
	if !g.Missing() {
		t.Error("nothing is missing after a cancelled run")
	}
	g.Measure()
	show(g)
	if err := g.Prepare(t.Context(), 2, write, func(int, int) {}); err != nil || entries() != n {
		t.Fatalf("%d images in the cache: %v", entries(), err)
	}
	for _, url := range urls {
		_, files, err := g.Show(t.Context(), url, &source.List{})
		if err != nil || len(files) < 2 {
			t.Fatalf("%s has %d files: %v", url, len(files), err)
		}
		for _, f := range files {
			if !written[f.Path] || !g.Written(f) {
				t.Errorf("%s is not written", f.Path)
			}
		}
	}
	if openWith(content, picture.New(diskcache.New(dir))).Missing() {
		t.Error("something is missing after a whole run")
	}
}

// TestACancelledShowIsRetried checks that a cancelled request does not mark the image as broken.
func TestACancelledShowIsRetried(t *testing.T) {
	content, urls := many(t, 1)
	g := open(content)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var errs source.List
	if _, _, err := g.Show(ctx, urls[0], &errs); !errors.Is(err, context.Canceled) || errs != nil {
		t.Fatalf("%v, %v", err, errs)
	}
	if _, files, err := g.Show(t.Context(), urls[0], &errs); err != nil || len(files) == 0 {
		t.Errorf("%d files, %v", len(files), err)
	}
}
