package gallery_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/gallery"
	"github.com/labd-dev/labd/site/internal/picture"
)

// photo is a JPEG, of which smaller sizes are worth their bytes.
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

// open is a gallery of all files of a tree, at /c/.
func open(content fstest.MapFS) *gallery.Gallery {
	images := map[string]string{}
	for name := range content {
		images[strings.TrimPrefix(name, "en/")] = name
	}
	return gallery.New(content, func(name string) string { return "content/" + name }, "/c/", picture.New(nil), images)
}

func TestAnImageIsShownInTheSizesOfScreens(t *testing.T) {
	content := fstest.MapFS{"en/a/Großes Bild.JPG": {Data: photo(t, 1600, 300)}}
	g := open(content)
	var errs source.List
	img, files, err := g.Show("/c/a/Großes Bild.JPG", &errs)
	if err != nil || errs != nil {
		t.Fatal(err, errs)
	}
	if img.Width != 1600 || img.Height != 300 || img.Sizes != "(min-width: 752px) 712px, calc(100vw - 40px)" || len(files) != 3 {
		t.Fatalf("shown as %+v with %d files", img, len(files))
	}
	var set []string
	for i, f := range files {
		data, err := g.Data(f)
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
	if img, files, err := g.Show("/c/a/", &errs); img.URL != "" || files != nil || err != nil || g.Name("/c/a/") != "" {
		t.Errorf("what is no image is shown as %+v: %v", img, err)
	}
}

func TestOriginalsLoseTheirMetadata(t *testing.T) {
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

func TestFilesThatChangeWhileTheSiteIsBuilt(t *testing.T) {
	content := fstest.MapFS{"en/p.jpg": {Data: photo(t, 1600, 300)}, "en/gone.jpg": {Data: photo(t, 3, 2)}}
	g := open(content)
	var errs source.List
	_, files, err := g.Show("/c/p.jpg", &errs)
	if err != nil || len(files) != 3 {
		t.Fatal(err, errs)
	}
	content["en/p.jpg"] = &fstest.MapFile{Data: photo(t, 20, 20)}
	if _, err := g.Data(files[2]); err == nil || !strings.Contains(err.Error(), "content/en/p.jpg changed while the site was built") {
		t.Errorf("a size that is gone: %v", err)
	}
	delete(content, "en/gone.jpg")
	_, _, err = g.Show("/c/gone.jpg", &errs)
	if err == nil || len(errs) != 1 || !strings.Contains(errs[0].Error(), "content/en/gone.jpg: this file went away") {
		t.Errorf("a file that is gone: %v, %v", err, errs)
	}
	if unfit := g.Unfit("/c/gone.jpg"); len(unfit) == 0 {
		t.Error("a file that is gone can be published")
	}
}
