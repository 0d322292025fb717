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

func TestErrorShortensLongLinesAndReplacesInvalidUTF8(t *testing.T) {
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

func TestListIsSortedAndUnwraps(t *testing.T) {
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
	keys := []string{"title", "summary", "weight", "prerequisites", "tab"}
	languages := []string{"bash", "console", "css", "diff", "docker", "go", "html", "java", "javascript", "json", "make", "sql", "text", "typescript", "yaml"}
	chinese := []string{"容器", "镜像仓库", "容器编排入门"}
	for _, c := range []struct {
		candidates []string
		name, want string
	}{
		{keys, "kitle", "title"}, {keys, "tittle", "title"}, {keys, "sumary", "summary"}, {keys, "prerequisits", "prerequisites"},
		{keys, "wieght", "weight"}, {keys, "atb", "tab"}, {keys, "colour", ""}, {keys, "x", ""}, {keys, "", ""},
		{keys, "table", ""}, {keys, "tag", "tab"}, {keys, "title", "title"},
		{languages, "bsah", "bash"}, {languages, "jsno", "json"}, {languages, "ymal", "yaml"}, {languages, "yml", "yaml"},
		{languages, "cosnole", "console"}, {languages, "dokcer", "docker"}, {languages, "javscript", "javascript"},
		{languages, "typescritp", "typescript"}, {languages, "htm", "html"},
		{languages, "ejs", ""}, {languages, "gn", ""}, {languages, "g", ""}, {languages, "kql", ""}, {languages, "tree", ""},
		{languages, "mermaid", ""}, {languages, "ash", ""}, {languages, "cs", ""}, {languages, "plantuml", ""}, {languages, "vim", ""},
		{languages, "coffeescript", ""}, {languages, "gitignore", ""}, {languages, "hive", ""}, {languages, "c", ""},
		{chinese, "容气", ""}, {chinese, "镜象仓库", "镜像仓库"}, {chinese, "容器编排如门", "容器编排入门"},
	} {
		if got := source.Nearest(c.name, c.candidates); got != c.want {
			t.Errorf("%q: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPlacedDoesNotChangeItsArgument(t *testing.T) {
	place := source.Error{File: "a.md", Line: 3, Col: 7, Text: "some words"}
	got := source.Placed(place, "no %s here", "heading")
	if want := "a.md:3: no heading here\n    3 | some words"; got.Error() != want || place.Msg != "" || place.Col != 7 {
		t.Errorf("said %q, want %q; the place is %+v", got.Error(), want, place)
	}
}
