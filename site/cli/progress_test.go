package cli

import (
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// work reports 100 images over 100 seconds of the bubble's fake clock.
func work(p *progress) {
	for i := range 100 {
		p.step("images", i, 100)
		time.Sleep(time.Second)
	}
	p.step("images", 100, 100)
	p.stop()
}

func TestProgressRedrawsOneLineOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out output
		work(newProgress(&out, true))
		s := out.String()
		if strings.Contains(s, "\n") || !strings.HasSuffix(s, "\r\x1b[K") {
			t.Errorf("the terminal does not end with an empty line: %q", s)
		}
		if !strings.Contains(s, "\r\x1b[Kimages: 50 of 100, 50 s left") {
			t.Errorf("half of the work is done, but the line is missing in %q", s)
		}
	})
}

func TestProgressWritesFewLinesToAPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out output
		work(newProgress(&out, false))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 10 || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%d lines in 100 s: %q", len(lines), lines)
		}
	})
}

func TestProgressIsSilentForShortWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, terminal := range []bool{true, false} {
			var out output
			p := newProgress(&out, terminal)
			p.step("pages", 1, 2)
			time.Sleep(progressDelay - time.Millisecond)
			p.stop()
			if s := out.String(); s != "" {
				t.Errorf("terminal %v: %q", terminal, s)
			}
		}
	})
}

func TestProgressNeverCountsBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out output
		p := newProgress(&out, false)
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() { p.step("pages", i+1, 40) })
		}
		all.Wait()
		time.Sleep(2 * progressDelay)
		p.stop()
		if s := out.String(); s != "pages: 40 of 40\n" {
			t.Errorf("%q", s)
		}
	})
}

func TestAPipeIsNoTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if isTerminal(w) || isTerminal(io.Discard) {
		t.Error("a pipe counts as a terminal")
	}
}
