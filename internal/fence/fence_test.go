package fence_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/fence"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want fence.Info
	}{
		{"", fence.Info{}},
		{" bash ", fence.Info{Lang: "bash"}},
		{"bash {run}", fence.Info{Lang: "bash", Run: true}},
		{"bash{run=node2}", fence.Info{Lang: "bash", Run: true, Node: "node2"}},
		{`yaml { save="a b.yml"  copy }`, fence.Info{Lang: "yaml", Save: "a b.yml", Copy: true}},
		{`yaml {title="a = b", numbers=7, nocopy}`, fence.Info{Lang: "yaml", Title: "a = b", Numbers: 7, NoCopy: true}},
		{`go {5,2-3 numbers 9}`, fence.Info{Lang: "go", Numbers: 1, Marked: []fence.Range{{2, 3}, {5, 5}, {9, 9}}}},
		{`go {mark="1"}`, fence.Info{Lang: "go", Marked: []fence.Range{{1, 1}}}},
		{`{file="a.go" region=x lines=3-4}`, fence.Info{File: "a.go", Region: "x", Lines: []fence.Range{{3, 4}}}},
		{`diagram {title=T alt="a -> b"}`, fence.Info{Lang: "diagram", Title: "T", Alt: "a -> b"}},
	} {
		if got, err := fence.Parse(tt.in); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %+v, %v; want %+v", tt.in, got, err, tt.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for in, want := range map[string]string{
		"bash title":           "write what follows the language in braces: {title}",
		"bash {run":            "is not closed by }",
		"bash {run} x":         "is not closed by }",
		"bash {":               "is not closed by }",
		"bash {run=}":          "run= needs the name of a node",
		"bash {save}":          "save needs a path",
		"bash {copy=1}":        "copy has no value: {copy}",
		`bash {save="x}`:       `the " after save= is not closed`,
		"bash {=}":             "an attribute's name is missing",
		"bash {run run=b}":     "run is given twice",
		"bash {numbers=0}":     "numbers= needs the number of the first line",
		"bash {numbers=}":      "numbers= needs the number of the first line",
		"bash {3-1}":           `"3-1" is not a list of lines`,
		"bash {1-9999999}":     `"1-9999999" is not a list of lines`,
		"bash {mark}":          "is not a list of lines",
		"bash {title= region}": "title needs a text",
		"bash {#a}":            `unknown attribute "#a"`,
	} {
		if got, err := fence.Parse(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %s", in, got, err, want)
		}
	}
}

func TestErrorListsKnownAttributes(t *testing.T) {
	_, err := fence.Parse("bash {rnu}")
	var unknown *fence.Error
	if !errors.As(err, &unknown) || unknown.Key != "rnu" || !slices.Contains(unknown.Known, "run") {
		t.Errorf("%#v", err)
	}
}

// FuzzParse checks that no text makes the parser panic, and that the parser returns only text from
// its input.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"bash", "bash {run}", `yaml {save="a b" 1,3-5}`, "{", "a {b=\"", "a {=}", "x {1-}", "x {,a,=}", "x {1 1}", "wrong {#a node=b}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in, err := fence.Parse(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(in.Lang, " \t{") {
			t.Errorf("language %q of %q", in.Lang, s)
		}
		for _, text := range []string{in.Lang, in.Node, in.Save, in.Title, in.Alt, in.File, in.Region} {
			if !strings.Contains(s, text) {
				t.Errorf("%q is not in %q", text, s)
			}
		}
		for _, r := range slices.Concat(in.Marked, in.Lines) {
			if r.From < 1 || r.To < r.From {
				t.Errorf("lines %v of %q", r, s)
			}
		}
	})
}
