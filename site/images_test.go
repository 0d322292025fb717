//go:build !race

package site_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/site"
	"github.com/labd-dev/labd/site/internal/diskcache"
	"github.com/labd-dev/labd/site/internal/picture"
)

// cameraPhoto returns a JPEG with a GPS position.
func cameraPhoto(t *testing.T, w, h int) []byte {
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
	note := []byte("\xff\xe1\x00\x14Exif\x00\x00GPS 48.8566N")
	return bytes.Join([][]byte{buf.Bytes()[:2], note, buf.Bytes()[2:]}, nil)
}

// withImages returns a course whose lesson one/b shows photo.jpg and box.svg.
func withImages(t *testing.T, text string) (site.Source, fstest.MapFS) {
	t.Helper()
	m := course()
	m["en/one/My photo.jpg"] = &fstest.MapFile{Data: cameraPhoto(t, 1600, 1200)}
	m["en/one/unused.png"] = &fstest.MapFile{Data: []byte(onePixel(9, 9))}
	m["en/one/b.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"B\"\n+++\n![a photo](<My photo.jpg>)\n\n![a box](box.svg)\n" + text)}
	src := source()
	src.Content = m
	return src, m
}

func TestImagesAreResponsive(t *testing.T) {
	src, _ := withImages(t, "")
	opts := options()
	opts.BaseURL = "https://example.org/x/"
	got := build(t, src, opts)
	p := got["one/b/index.html"]
	m := regexp.MustCompile(`<img src="/x/(assets/my-photo-[A-Z2-7]{8}\.jpg)" alt="a photo" decoding="async" width="1600" height="1200" srcset="([^"]+)" sizes="\(min-width: 752px\) 712px, calc\(100vw - 40px\)">`).FindStringSubmatch(p)
	if m == nil {
		t.Fatalf("no such image on %s", p)
	}
	set := strings.Split(m[2], ", ")
	if len(set) != 3 || !strings.HasSuffix(set[0], " 480w") || !strings.HasSuffix(set[2], " 1440w") || !strings.HasPrefix(set[1], "/x/"+m[1]) {
		t.Errorf("srcset %q", set)
	}
	for _, part := range set {
		name, width, _ := strings.Cut(strings.TrimPrefix(part, "/x/"), " ")
		config, _, err := image.DecodeConfig(strings.NewReader(got[name]))
		if err != nil || width != map[int]string{480: "480w", 960: "960w", 1440: "1440w"}[config.Width] {
			t.Errorf("%s is %d wide: %v", part, config.Width, err)
		}
	}
	wantIn(t, p, `alt="a box" loading="lazy" decoding="async"`)
	for name, data := range got {
		if strings.Contains(data, "GPS") {
			t.Errorf("%s tells where the photo was taken", name)
		}
		if strings.HasSuffix(name, "My photo.jpg") || strings.Contains(name, "unused") {
			t.Errorf("%s is published and nothing leads to it", name)
		}
	}
	wantIn(t, build(t, source(), options())["two/bundle/index.html"], `alt="x" decoding="async" width="3" height="2">`)
}

func TestLinkedImagesHaveNoGPSPosition(t *testing.T) {
	src, _ := withImages(t, "\n[whole](<My photo.jpg>)\n")
	got := build(t, src, options())
	own := got["one/My photo.jpg"]
	if own == "" || strings.Contains(own, "GPS") {
		t.Errorf("%d bytes were published", len(own))
	}
	checkLinks(t, got, "/")
}

func TestImagesAreMadeTheSameWithAndWithoutCache(t *testing.T) {
	src, m := withImages(t, "")
	plain := build(t, src, options())
	opts := options()
	dir := t.TempDir()
	for range 2 {
		opts.Pictures = picture.New(diskcache.New(dir))
		got := build(t, src, opts)
		if len(got) != len(plain) {
			t.Fatalf("%d files, %d without cache", len(got), len(plain))
		}
		for name := range plain {
			if got[name] != plain[name] && name != ".sitegen" {
				t.Errorf("%s differs", name)
			}
		}
	}
	// Another picture of that name is another file.
	m["en/one/My photo.jpg"] = &fstest.MapFile{Data: cameraPhoto(t, 1600, 1000)}
	wantIn(t, build(t, src, opts)["one/b/index.html"], `width="1600" height="1000"`)
}

// TestACheckMakesNoImages also breaks the pixels of one, which only decoding finds.
func TestACheckMakesNoImages(t *testing.T) {
	src, m := withImages(t, "")
	data := m["en/one/My photo.jpg"].Data
	clear(data[len(data)/2 : len(data)-2])
	dir := t.TempDir()
	opts := options()
	opts.Pictures = picture.New(diskcache.New(dir))
	if _, err := site.Check(t.Context(), src, opts); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the cache has %v (%v)", entries, err)
	}
}

// TestCancellingABuildStopsImages cancels once the first image is done. The next build takes it
// from the cache.
func TestCancellingABuildStopsImages(t *testing.T) {
	const n = 6
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "![photo %d](photo-%d.jpg)\n\n", i, i)
	}
	src, m := withImages(t, text.String())
	for i := range n {
		m[fmt.Sprintf("en/one/photo-%d.jpg", i)] = &fstest.MapFile{Data: cameraPhoto(t, 1000+i, 700)}
	}
	opts := options()
	opts.Workers = 1
	dir := t.TempDir()
	opts.Pictures = picture.New(diskcache.New(dir))
	out := filepath.Join(t.TempDir(), "site")
	ctx, cancel := context.WithCancel(t.Context())
	opts.Progress = func(what string, done, total int) {
		if what == "pictures" {
			cancel()
		}
	}
	if _, err := site.Build(ctx, src, out, opts); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled build returned %v", err)
	}
	if entries, err := filepath.Glob(filepath.Join(dir, "*", "*")); err != nil || len(entries) == 0 || len(entries) >= n {
		t.Errorf("%d images are in the cache: %v", len(entries), err)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) > 0 {
		t.Errorf("the cancelled build left %v (%v)", left, err)
	}
	opts.Progress, opts.Pictures = nil, picture.New(diskcache.New(dir))
	if _, err := site.Build(t.Context(), src, out, opts); err != nil {
		t.Fatal(err)
	}
}

func TestBrokenImagesAreMistakes(t *testing.T) {
	src, m := withImages(t, "\n![t](text.png)\n![b](bomb.png)\n![s](script.svg)\n[big](bomb.png)\n")
	m["en/one/text.png"] = &fstest.MapFile{Data: []byte("not a picture")}
	m["en/one/script.svg"] = &fstest.MapFile{Data: []byte("<svg xmlns=\"http://www.w3.org/2000/svg\">\n<script>alert(1)</script></svg>")}
	// A header that claims 60,000 x 60,000 pixels: IHDR with its sizes changed and its checksum put
	// right.
	bomb := []byte(onePixel(1, 1))
	copy(bomb[16:24], []byte{0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60})
	binary.BigEndian.PutUint32(bomb[29:33], crc32.ChecksumIEEE(bomb[12:29]))
	m["en/one/bomb.png"] = &fstest.MapFile{Data: bomb}
	_, err := site.Check(t.Context(), src, options())
	if err == nil {
		t.Fatal("no mistake was found")
	}
	wantIn(t, err.Error(),
		"content/en/one/text.png: this is no image", "content/en/one/b.md:8:1: content/en/one/text.png can't be shown: this is no image",
		"content/en/one/bomb.png: an image of 60000 x 60000 pixels is too large", "content/en/one/b.md:9:1: content/en/one/bomb.png can't be shown",
		"content/en/one/script.svg:2: a drawing must not have <script>", "content/en/one/b.md:10:1: content/en/one/script.svg can't be shown",
		"content/en/one/b.md:11: content/en/one/bomb.png can't be published: an image of")
	if n := strings.Count(err.Error(), "content/en/one/bomb.png: an image"); n != 1 {
		t.Errorf("the mistake in the file is told %d times: %v", n, err)
	}
}
