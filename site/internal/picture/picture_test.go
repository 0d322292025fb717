//go:build !race

package picture_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/HugoSmits86/nativewebp"
	"golang.org/x/image/webp"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/diskcache"
	"github.com/labd-dev/labd/site/internal/picture"
)

// screenshot is a picture of few colours with text-like detail; photo one of many.
func screenshot(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{250, 250, 252, 255}
			if y/9%3 == 1 && (x*7+y/9*13)%11 < 4 && x%97 < 80 {
				c = color.RGBA{30, 40, 60, 255}
			}
			if y < h/8 {
				c = color.RGBA{21, 88, 214, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func photo(w, h int) *image.RGBA {
	r := rand.New(rand.NewPCG(1, 2))
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			n := r.IntN(24)
			img.SetRGBA(x, y, color.RGBA{byte(x*200/w + n), byte(y*200/h + n), byte((x+y)*100/(w+h) + n), 255})
		}
	}
	return img
}

func asPNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func asJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func asWebP(t testing.TB, img image.Image) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := nativewebp.Encode(&buf, img, nil); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func asGIF(t testing.TB, frames int) []byte {
	t.Helper()
	g := &gif.GIF{}
	for i := range frames {
		p := image.NewPaletted(image.Rect(0, 0, 60, 40), color.Palette{color.White, color.Black})
		p.SetColorIndex(i, i, 1)
		g.Image, g.Delay = append(g.Image, p), append(g.Delay, 10)
	}
	var buf bytes.Buffer
	if err := gif.EncodeAll(&buf, g); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// exif is a segment with an orientation and, after it, a place.
func exif(orientation byte) []byte {
	tiff := []byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00" + string(orientation) + "\x00\x00\x00\x00\x00\x00\x00GPS 48.8566N 2.3522E")
	seg := append([]byte("\xff\xe1\x00\x00Exif\x00\x00"), tiff...)
	binary.BigEndian.PutUint16(seg[2:], uint16(len(seg)-2))
	return seg
}

func withSegment(data, segment []byte) []byte {
	return slices.Concat(data[:2], segment, data[2:])
}

func chunk(name string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, name...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

func made(t testing.TB, m *picture.Maker, name string, data []byte) *picture.Image {
	t.Helper()
	var errs source.List
	img, err := m.Make(t.Context(), name, data, &errs)
	if err != nil || errs.Err() != nil {
		t.Fatal(err, errs.Err())
	}
	return img
}

func decoded(t testing.TB, f picture.File) image.Image {
	t.Helper()
	var img image.Image
	var err error
	switch f.Ext {
	case ".webp":
		img, err = webp.Decode(bytes.NewReader(f.Data))
	default:
		img, _, err = image.Decode(bytes.NewReader(f.Data))
	}
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds().Dx() != f.Width {
		t.Errorf("the file is %d wide and says %d", img.Bounds().Dx(), f.Width)
	}
	return img
}

func TestMakesSizesThatAreNeverLargerThanTheOriginal(t *testing.T) {
	for _, tt := range []struct {
		name   string
		data   []byte
		w, h   int
		widths []int
	}{
		{"photo.jpg", asJPEG(t, photo(1700, 1000)), 1700, 1000, []int{480, 960, 1440}},
		{"photo.jpeg", asJPEG(t, photo(1000, 700)), 1000, 700, []int{480, 1000}},
		{"small.jpg", asJPEG(t, photo(300, 200)), 300, 200, []int{300}},
		{"line.png", asPNG(t, photo(1200, 1)), 1200, 1, nil},
		{"photo.png", asPNG(t, photo(1500, 300)), 1500, 300, []int{480, 960, 1440}},
		{"dot.PNG", asPNG(t, photo(1, 1)), 1, 1, []int{1}},
		{"still.gif", asGIF(t, 1), 60, 40, []int{60}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			img := made(t, picture.New(nil), tt.name, tt.data)
			if img.Width != tt.w || img.Height != tt.h {
				t.Errorf("it is %d x %d", img.Width, img.Height)
			}
			var widths []int
			last := 0
			for _, f := range img.Files {
				decoded(t, f)
				widths = append(widths, f.Width)
				if f.Width > tt.w || len(f.Data) <= last {
					t.Errorf("%d wide with %d bytes, after %d bytes", f.Width, len(f.Data), last)
				}
				last = len(f.Data)
			}
			if tt.widths != nil && !slices.Equal(widths, tt.widths) {
				t.Errorf("widths %v, want %v", widths, tt.widths)
			}
			if last > len(tt.data) {
				t.Errorf("%d bytes were made of %d", last, len(tt.data))
			}
		})
	}
}

// TestAScreenshotStaysAsItIsPixelByPixel makes a large one, of full size and in one file, with few and with many colours.
func TestAScreenshotStaysAsItIsPixelByPixel(t *testing.T) {
	const w, h = 1900, 1000
	for name, colours := range map[string]int{"Few": 5, "Many": 1000} {
		t.Run(name, func(t *testing.T) {
			src := screenshot(w, h)
			r := rand.New(rand.NewPCG(1, 2))
			for range 200_000 { // it needs some disorder to be larger than what is published as it is
				n := r.IntN(colours)
				src.SetRGBA(r.IntN(w), r.IntN(h), color.RGBA{byte(n), byte(n >> 8), 7, 255})
			}
			data := asPNG(t, src)
			img := made(t, picture.New(nil), "shot.png", data)
			if len(img.Files) != 1 || img.Files[0].Ext != ".webp" || len(img.Files[0].Data) >= len(data) {
				t.Fatalf("%d files of a PNG of %d bytes: %s with %d", len(img.Files), len(data), img.Files[0].Ext, len(img.Files[0].Data))
			}
			same(t, src, decoded(t, img.Files[0]))
		})
	}
}

func same(t *testing.T, src *image.RGBA, got image.Image) {
	t.Helper()
	for y := range src.Rect.Dy() {
		for x := range src.Rect.Dx() {
			if color.RGBAModel.Convert(got.At(x, y)) != src.At(x, y) {
				t.Fatalf("the pixel %d,%d is %v, was %v", x, y, got.At(x, y), src.At(x, y))
			}
		}
	}
}

// TestSmallFilesAreKept also cuts bytes out of their pixels: a file that can't be decoded is found, although nothing is encoded.
func TestSmallFilesAreKept(t *testing.T) {
	for name, data := range map[string][]byte{"a.png": asPNG(t, screenshot(900, 500)), "a.jpg": asJPEG(t, photo(150, 100)), "a.gif": asGIF(t, 1), "a.webp": asWebP(t, screenshot(300, 200))} {
		t.Run(name, func(t *testing.T) {
			dir := diskcache.New(t.TempDir())
			for range 2 { // the second one is from the cache on disk
				img := made(t, picture.New(dir), name, data)
				if len(img.Files) != 1 || !bytes.Equal(img.Files[0].Data, data) || img.Files[0].Ext != path.Ext(name) {
					t.Fatalf("%d files, %d bytes", len(img.Files), len(img.Files[0].Data))
				}
			}
			w, h := picture.Measure(name, data, new(source.List))
			if img := made(t, picture.New(nil), name, data); w != img.Width || h != img.Height {
				t.Errorf("measured %d x %d", w, h)
			}
		})
	}
	data := asPNG(t, screenshot(900, 500))
	data[len(data)/2] ^= 0x55
	var errs source.List
	if img, err := picture.New(nil).Make(t.Context(), "a.png", data, &errs); img != nil || err != nil || len(errs) != 1 {
		t.Errorf("a damaged file is published: %v, %v", err, errs)
	}
}

// TestPhotosAreUprightAndSayNothingOfTheirMaker turns one picture in all eight ways that cameras note.
func TestPhotosAreUprightAndSayNothingOfTheirMaker(t *testing.T) {
	const w, h = 600, 400
	want := map[string]image.Point{ // where the red corner is, as shown
		"1": {0, 0}, "2": {1, 0}, "3": {1, 1}, "4": {0, 1}, "5": {0, 0}, "6": {1, 0}, "7": {1, 1}, "8": {0, 1},
	}
	src := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range src.Pix {
		src.Pix[i] = 255
	}
	for y := range h / 2 {
		for x := range w / 2 {
			src.SetRGBA(x, y, color.RGBA{220, 0, 0, 255})
		}
	}
	for o, corner := range want {
		t.Run("Orientation"+o, func(t *testing.T) {
			data := withSegment(asJPEG(t, src), exif(o[0]-'0'))
			img := made(t, picture.New(nil), "p.jpg", data)
			sw, sh := w, h
			if o >= "5" {
				sw, sh = h, w
			}
			if img.Width != sw || img.Height != sh {
				t.Fatalf("it is %d x %d", img.Width, img.Height)
			}
			for _, f := range img.Files {
				if bytes.Contains(f.Data, []byte("GPS")) {
					t.Error("the place is still in it")
				}
				shown := decoded(t, f)
				b := shown.Bounds()
				at := image.Pt(b.Dx()/4+corner.X*b.Dx()/2, b.Dy()/4+corner.Y*b.Dy()/2)
				if _, g, _, _ := shown.At(at.X, at.Y).RGBA(); g > 0x4000 {
					t.Errorf("the red corner is not at %v", at)
				}
			}
			// The original keeps how it must be turned, and nothing else.
			var errs source.List
			own := picture.Original("p.jpg", data, &errs)
			if errs.Err() != nil || bytes.Contains(own, []byte("GPS")) {
				t.Fatal("the original keeps the place", errs.Err())
			}
			if again := made(t, picture.New(nil), "p.jpg", own); again.Width != sw || again.Height != sh {
				t.Errorf("the original is %d x %d", again.Width, again.Height)
			}
		})
	}
}

func TestMetadataOfEveryFormatGoes(t *testing.T) {
	p := asPNG(t, screenshot(40, 30))
	p = slices.Concat(p[:33], chunk("tEXt", []byte("Author\x00SECRET")), chunk("iTXt", []byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00SECRET")), p[33:], []byte("SECRET"))
	g := asGIF(t, 2)
	note := 13 // behind the table of colours
	if g[10]&0x80 != 0 {
		note += 3 << (1 + g[10]&7)
	}
	g = slices.Concat(g[:note], []byte("\x21\xfe\x06SECRET\x00"), g[note:])
	j := slices.Concat(withSegment(asJPEG(t, photo(40, 30)), []byte("\xff\xfe\x00\x08SECRET")), []byte("SECRET film of a live photo"))
	x := slices.Concat(asWebP(t, screenshot(400, 300)), []byte("XMP \x06\x00\x00\x00SECRET"))
	binary.LittleEndian.PutUint32(x[4:], uint32(len(x)-8))
	for name, data := range map[string][]byte{"a.png": p, "a.gif": g, "a.jpg": j, "a.webp": x} {
		t.Run(name, func(t *testing.T) {
			if !bytes.Contains(data, []byte("SECRET")) {
				t.Fatal("the test has no secret")
			}
			var errs source.List
			own := picture.Original(name, data, &errs)
			if errs.Err() != nil || len(own) == 0 || bytes.Contains(own, []byte("SECRET")) {
				t.Errorf("%d bytes: %v", len(own), errs.Err())
			}
			for _, f := range made(t, picture.New(nil), name, data).Files {
				if bytes.Contains(f.Data, []byte("SECRET")) {
					t.Error("the secret is in it")
				}
				decoded(t, f)
			}
		})
	}
}

func TestImagesThatMoveAreKept(t *testing.T) {
	data := asGIF(t, 3)
	img := made(t, picture.New(nil), "move.gif", data)
	if len(img.Files) != 1 || img.Files[0].Ext != ".gif" {
		t.Fatalf("%d files", len(img.Files))
	}
	g, err := gif.DecodeAll(bytes.NewReader(img.Files[0].Data))
	if err != nil || len(g.Image) != 3 {
		t.Errorf("it does not move any more: %v", err)
	}
	p := asPNG(t, screenshot(600, 30))
	p = slices.Concat(p[:33], chunk("acTL", []byte{0, 0, 0, 1, 0, 0, 0, 0}), p[33:])
	if img := made(t, picture.New(nil), "move.png", p); len(img.Files) != 1 || !bytes.Contains(img.Files[0].Data, []byte("acTL")) {
		t.Error("a moving PNG was taken apart")
	}
}

// TestRefusesWhatIsNoImageOrWouldEatTheMachine is about files of authors who err, or mean harm.
func TestRefusesWhatIsNoImageOrWouldEatTheMachine(t *testing.T) {
	p, j := asPNG(t, screenshot(300, 200)), asJPEG(t, photo(300, 200))
	bomb := slices.Clone(p)
	binary.BigEndian.PutUint32(bomb[16:], 50000)
	binary.BigEndian.PutUint32(bomb[20:], 50000)
	huge := slices.Clone(p)
	binary.BigEndian.PutUint32(huge[16:], 0xffffffff)
	liar := slices.Clone(p) // more pixels than its data has
	binary.BigEndian.PutUint32(liar[20:], 7000)
	binary.BigEndian.PutUint32(liar[29:], crc32.ChecksumIEEE(liar[12:29]))
	none := slices.Clone(p)
	binary.BigEndian.PutUint32(none[16:], 0)
	scans := slices.Clone(j[:len(j)-2])
	sos := bytes.Index(j, []byte("\xff\xda"))
	for range 200 {
		scans = append(scans, j[sos:len(j)-2]...)
	}
	progressive := bytes.Replace(slices.Clone(j), []byte("\xff\xc0"), []byte("\xff\xc2"), 1)
	frame := bytes.Index(progressive, []byte("\xff\xc2"))
	binary.BigEndian.PutUint16(progressive[frame+5:], 7900)
	binary.BigEndian.PutUint16(progressive[frame+7:], 7900)
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty.png", nil, "this file is empty"},
		{"text.png", []byte("# Notes\nnothing else"), "this is no image"},
		{"page.svg", []byte("<!doctype html><p>hello"), "this is no image"},
		{"photo.png", j, "this is a JPEG image; call it photo.jpg"},
		{"cut.png", p[:len(p)*2/3], "not a whole PNG image: it ends too early"},
		{"cut.jpg", j[:len(j)*2/3], "not a whole JPEG image: it ends too early"},
		{"cut.gif", asGIF(t, 2)[:60], "not a whole GIF image"},
		{"head.jpg", j[:4], "it ends too early"},
		{"bomb.png", bomb, "50000 x 50000 pixels is too large"},
		{"huge.png", huge, "is too large"},
		{"liar.png", liar, "not a whole PNG image"},
		{"none.png", none, "no pixels"},
		{"scans.jpg", append(scans, 0xff, 0xd9), "more than 100 scans"},
		{"progressive.jpg", progressive, "make it smaller"},
		{"webp.webp", []byte("RIFF\x04\x00\x00\x00WEBPVP8L"), "it has no picture in it"},
		{"big.png", append(slices.Clone(p[:100]), make([]byte, picture.MaxFile)...), "at most 64 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var errs source.List
			img, err := picture.New(nil).Make(t.Context(), "content/en/"+tt.name, tt.data, &errs)
			if err != nil || img != nil || len(errs) != 1 || !strings.Contains(errs[0].Error(), tt.want) || errs[0].File != "content/en/"+tt.name {
				t.Errorf("image %v, error %v, mistakes %v; want %q", img != nil, err, errs.Err(), tt.want)
			}
		})
	}
}

func TestTheCacheChangesNothing(t *testing.T) {
	dir := t.TempDir()
	data := asJPEG(t, photo(1000, 600))
	first := made(t, picture.New(nil), "p.jpg", data)
	same := func(img *picture.Image) {
		t.Helper()
		if img.Width != first.Width || img.Height != first.Height || len(img.Files) != len(first.Files) {
			t.Fatal("another image")
		}
		for i, f := range img.Files {
			if !bytes.Equal(f.Data, first.Files[i].Data) || f.Ext != first.Files[i].Ext || f.Width != first.Files[i].Width {
				t.Fatalf("the file %d differs", i)
			}
		}
	}
	same(made(t, picture.New(diskcache.New(dir)), "p.jpg", data))
	entries, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	same(made(t, picture.New(diskcache.New(dir)), "p.jpg", data))
	// A broken entry is made again.
	raw, err := os.ReadFile(entries[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, raw[:40], slices.Concat(raw[:200], []byte{raw[200] ^ 1}, raw[201:])} {
		if err := os.WriteFile(entries[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		same(made(t, picture.New(diskcache.New(dir)), "p.jpg", data))
	}
	// One in a folder that can't be written changes nothing either.
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := picture.New(diskcache.New(file))
	same(made(t, m, "p.jpg", data))
	same(made(t, m, "p.jpg", data))
}

func FuzzMake(f *testing.F) {
	f.Add(asPNG(f, screenshot(20, 20)), byte(0))
	f.Add(withSegment(asJPEG(f, photo(20, 20)), exif(6)), byte(1))
	f.Add(asGIF(f, 1), byte(2))
	f.Add(asGIF(f, 3), byte(2))
	f.Add(asWebP(f, screenshot(200, 100)), byte(3))
	f.Fuzz(func(t *testing.T, data []byte, kind byte) {
		name := "a" + []string{".png", ".jpg", ".gif", ".webp", ".svg"}[int(kind)%5]
		if config, _, err := image.DecodeConfig(bytes.NewReader(data)); err == nil && config.Width*config.Height > 1<<20 {
			t.Skip("large, which is allowed but slow")
		}
		var errs source.List
		img, err := picture.New(nil).Make(t.Context(), name, data, &errs)
		if err != nil {
			t.Fatal(err)
		}
		if (img == nil) == (len(errs) == 0) {
			t.Fatalf("image %v and mistakes %v", img, errs.Err())
		}
		if own := picture.Original(name, data, &source.List{}); img != nil && len(own) == 0 {
			t.Fatal("there is an image and no original")
		}
	})
}
