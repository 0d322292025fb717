//go:build !race

package picture_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"os"
	"testing"

	"golang.org/x/image/font/gofont/gobold"

	"github.com/labd-dev/labd/site/internal/picture"
)

// painter has the fonts that `make assets` brings.
func painter(t testing.TB) *picture.Painter {
	t.Helper()
	var fonts [][]byte
	for _, name := range []string{"inter-latin-600-normal", "noto-sans-sc-chinese-simplified-600-normal"} {
		data, err := os.ReadFile("../../../assets/vendor/" + name + ".woff")
		if err != nil {
			t.Skip("`make assets` was not run: ", err)
		}
		fonts = append(fonts, data)
	}
	p, err := picture.NewPainter(fonts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// drawn returns where something is on a card below its course, and right of its bar.
func drawn(t *testing.T, p *picture.Painter, c picture.Card) (image.Rectangle, []byte) {
	t.Helper()
	data, err := p.Paint(c)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds() != image.Rect(0, 0, picture.CardWidth, picture.CardHeight) {
		t.Fatalf("it is %v", img.Bounds())
	}
	paper := img.At(picture.CardWidth-1, picture.CardHeight-1)
	var box image.Rectangle
	for y := 160; y < picture.CardHeight; y++ {
		for x := 30; x < picture.CardWidth; x++ {
			if img.At(x, y) != paper {
				box = box.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return box, data
}

func TestCardsHoldTitlesOfAnyLength(t *testing.T) {
	p := painter(t)
	for name, c := range map[string]picture.Card{
		"Short":   {Course: "Containers", Title: "Networks"},
		"Usual":   {Course: "Containers", Above: "Basics", Title: "Why a container is not a small virtual machine", Below: "20 min · Beginner"},
		"Chinese": {Course: "从零开始学容器", Above: "运行容器", Title: "为什么容器不是小型虚拟机：进程、命名空间与控制组（cgroup）", Below: "20 分钟 · 入门"},
		"Long":    {Course: string(bytes.Repeat([]byte("course "), 90)), Above: string(bytes.Repeat([]byte("m "), 900)), Title: string(bytes.Repeat([]byte("长标题"), 500)), Below: string(bytes.Repeat([]byte("x"), 900))},
		"Word":    {Title: string(bytes.Repeat([]byte("w"), 400))},
		"Nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			box, data := drawn(t, p, c)
			if c.Title != "" && (box.Dx() < 100 || box.Dy() < 40) {
				t.Errorf("only %v is drawn", box)
			}
			if !box.Empty() && (box.Min.X < 80 || box.Max.X > picture.CardWidth-80 || box.Max.Y > picture.CardHeight-40) {
				t.Errorf("the text is in %v", box)
			}
			if len(data) > 60<<10 {
				t.Errorf("%d bytes", len(data))
			}
			if !p.Can(c) {
				t.Error("letters are missing")
			}
			_, again := drawn(t, painter(t), c)
			if !bytes.Equal(data, again) {
				t.Error("the same card has other bytes")
			}
		})
	}
}

func TestPainterKnowsWhichLettersItHas(t *testing.T) {
	p := latinPainter(t)
	for title, want := range map[string]bool{"Plain": true, "Ünïcödé Ж": true, "With a rocket 🚀": true, "网络": false} {
		if got := p.Can(picture.Card{Title: title}); got != want {
			t.Errorf("%q: %v", title, got)
		}
	}
	if box, _ := drawn(t, p, picture.Card{Title: "🚀"}); !box.Empty() {
		t.Errorf("a letter that no font has is drawn in %v", box)
	}
}

// woff packs tables as WOFF does, as they are.
func woff(tables map[string][]byte) []byte {
	out := append([]byte("wOFF\x00\x01\x00\x00"), make([]byte, 36)...)
	binary.BigEndian.PutUint16(out[12:], uint16(len(tables)))
	offset := 44 + 20*len(tables)
	var bodies []byte
	for name, body := range tables {
		out = append(out, name...)
		for _, n := range []int{offset + len(bodies), len(body), len(body), 0} {
			out = binary.BigEndian.AppendUint32(out, uint32(n))
		}
		bodies = append(bodies, body...)
	}
	return append(out, bodies...)
}

func FuzzFont(f *testing.F) {
	f.Add(gobold.TTF[:2000])
	f.Add(woff(map[string][]byte{"head": make([]byte, 54), "cmap": {0, 0, 0, 0}}))
	f.Add([]byte("wOFF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := picture.NewPainter(data)
		if err != nil {
			return
		}
		if _, err := p.Paint(picture.Card{Title: "a 网"}); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkPaint(b *testing.B) {
	p := painter(b)
	c := picture.Card{Course: "从零开始学容器", Above: "运行容器", Title: "为什么容器不是小型虚拟机：进程、命名空间与控制组（cgroup）", Below: "20 分钟 · 入门"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Paint(c); err != nil {
			b.Fatal(err)
		}
	}
}
