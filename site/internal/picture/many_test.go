package picture_test

import (
	"bytes"
	"sync"
	"testing"

	"golang.org/x/image/font/gofont/gobold"

	"github.com/labd-dev/labd/site/internal/picture"
)

func latinPainter(t testing.TB) *picture.Painter {
	t.Helper()
	p, err := picture.NewPainter(gobold.TTF)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestManyPaintAtATime is what the race detector looks at.
func TestManyPaintAtATime(t *testing.T) {
	p := latinPainter(t)
	want, err := p.Paint(picture.Card{Title: "The same card"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got, err := p.Paint(picture.Card{Title: "The same card"}); err != nil || !bytes.Equal(got, want) {
				t.Errorf("another card, or %v", err)
			}
		})
	}
	wg.Wait()
}
