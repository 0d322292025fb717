package source_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/source"
)

func TestErrorShowsFileLineAndCaret(t *testing.T) {
	content := []byte("+++\ntittle = \"First\"\r\n+++\n")
	err := source.At("labs/a/lab.md", content, 2, 1, "unknown key %q", "tittle")
	want := "labs/a/lab.md:2:1: unknown key \"tittle\"\n" +
		"    2 | tittle = \"First\"\n" +
		"      | ^"
	if got := err.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestErrorWithoutLineNamesOnlyTheFile(t *testing.T) {
	err := &source.Error{File: "lab.toml", Msg: "is empty"}
	if got, want := err.Error(), "lab.toml: is empty"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorCutsLongAndBrokenLines(t *testing.T) {
	content := []byte("\xff" + strings.Repeat("长", 1_000_000))
	got := source.At("a.md", content, 1, 900_000, "too long").Error()
	if len(got) > 1000 {
		t.Errorf("message has %d bytes", len(got))
	}
	if !strings.Contains(got, "\uFFFD长") || !strings.HasSuffix(got, "…") {
		t.Errorf("got %q", got)
	}
}

func TestLineOfOutOfRangeIsEmpty(t *testing.T) {
	for _, line := range []int{-1, 0, 3, 99} {
		if got := source.LineOf([]byte("a\nb"), line); got != "" {
			t.Errorf("line %d: got %q", line, got)
		}
	}
}

func TestListReportsAllSortedAndUnwraps(t *testing.T) {
	var l source.List
	if l.Err() != nil {
		t.Fatal("empty list is an error")
	}
	for _, line := range []int{9, 2, 5} {
		l.Add(&source.Error{File: "b.md", Line: line, Msg: fmt.Sprint("m", line)})
	}
	l.Add(&source.Error{File: "a.md", Line: 7, Msg: "first"})
	err := l.Err()
	if got, want := err.Error(), "a.md:7: first\nb.md:2: m2\nb.md:5: m5\nb.md:9: m9"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var one *source.Error
	if !errors.As(err, &one) {
		t.Error("a list does not unwrap to its errors")
	}
}

func TestNearestFindsTypingMistakesOnly(t *testing.T) {
	keys := []string{"title", "summary", "weight", "prerequisites"}
	for name, want := range map[string]string{
		"tittle": "title", "sumary": "summary", "prerequisits": "prerequisites", "wieght": "weight",
		"colour": "", "x": "", "": "",
	} {
		if got := source.Nearest(name, keys); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestAPlaceIsGivenAMessageAndStaysAsItWas(t *testing.T) {
	place := source.Error{File: "a.md", Line: 3, Col: 7, Text: "some words"}
	got := source.Placed(place, "no %s here", "heading")
	if want := "a.md:3: no heading here\n    3 | some words"; got.Error() != want || place.Msg != "" || place.Col != 7 {
		t.Errorf("said %q, want %q; the place is %+v", got.Error(), want, place)
	}
}
