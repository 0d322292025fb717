//go:build !race

package diagram_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/internal/diagram"
)

func TestASVGHasOnlyWhatAPageMayHave(t *testing.T) {
	allowed := map[string][]string{
		"svg":   {"class", "role", "aria-labelledby", "aria-describedby", "width", "height", "viewBox"},
		"title": {"id"}, "desc": {"id"},
		"g":       {"class", "fill", "stroke", "text-anchor", "font-size"},
		"path":    {"class", "d", "fill", "transform"},
		"rect":    {"class", "x", "y", "width", "height", "rx"},
		"ellipse": {"class", "cx", "cy", "rx", "ry"},
		"text":    {"class", "x", "y", "text-anchor", "font-size"},
		"tspan":   {"class", "x", "dy"},
	}
	for name, text := range lessons {
		t.Run(name, func(t *testing.T) {
			dec := xml.NewDecoder(strings.NewReader(made(t, text)))
			dec.Strict = true
			for {
				tok, err := dec.Token()
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				start, ok := tok.(xml.StartElement)
				if !ok {
					continue
				}
				attrs, ok := allowed[start.Name.Local]
				if !ok {
					t.Errorf("element %s", start.Name.Local)
				}
				for _, a := range start.Attr {
					if !slices.Contains(attrs, a.Name.Local) {
						t.Errorf("%s has %s=%q", start.Name.Local, a.Name.Local, a.Value)
					}
				}
			}
		})
	}
}

func TestAPictureHasANameAndADescription(t *testing.T) {
	got := made(t, lessons["flow"])
	for _, want := range []string{
		`role="img" aria-labelledby="d1-title" aria-describedby="d1-text"`,
		`<title id="d1-title">Title &lt;b&gt;</title>`, `<desc id="d1-text">Text &amp; more</desc>`, `class="more"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	p, _ := diagram.New(nil).Make(lessons["frames"])
	for _, want := range []string{"Your computer", "Docker", "web", "counts", "8080 → 8000", "browser"} {
		if !slices.Contains(p.Labels, want) {
			t.Errorf("no label %q in %q", want, p.Labels)
		}
	}
}

func TestKindsOfDiagrams(t *testing.T) {
	for name, want := range map[string][]string{
		"flow":     {`class="line dashed"`, `class="arrow"`, `class="box"`, ">it fails<"},
		"frames":   {`class="frame"`, `class="frame inner"`, `class="box ok"`, `class="title on-frame"`},
		"network":  {`class="box accent"`, `class="box quiet"`, ">网络 visits_default<", ">乙<"},
		"sequence": {`class="life"`, `class="span"`, `class="note"`, `class="group"`, ">until it is there<", ">a note<"},
	} {
		got := made(t, lessons[name])
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %s in\n%s", name, w, got)
			}
		}
	}
}

// All that is drawn is within the picture, and numbers are numbers.
func TestNothingLiesOutside(t *testing.T) {
	number := regexp.MustCompile(`(?:NaN|Inf|e[+-]\d)`)
	for name, text := range lessons {
		p, problems := diagram.New(nil).Make(text)
		if p == nil {
			t.Fatalf("%s: %v", name, problems)
		}
		got := p.SVG("d", "t", "d")
		if m := number.FindString(regexp.MustCompile(`<title.*</desc>|>[^<]*<`).ReplaceAllString(got, "")); m != "" {
			t.Errorf("%s has the number %s", name, m)
		}
		var left, top, w, h float64
		if _, err := fmt.Sscanf(got[strings.Index(got, `viewBox="`):], `viewBox="%g %g %g %g"`, &left, &top, &w, &h); err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(` x="([-0-9.]+)" y="([-0-9.]+)"`).FindAllStringSubmatch(got, -1) {
			var x, y float64
			_, _ = fmt.Sscan(m[1], &x)
			_, _ = fmt.Sscan(m[2], &y)
			if x < left || x > left+w || y < top || y > top+h {
				t.Errorf("%s: %s is outside of %g %g %g %g", name, m[0], left, top, w, h)
			}
		}
	}
}

func TestTheSameTextGivesTheSameBytes(t *testing.T) {
	runs := 20
	if testing.Short() {
		runs = 4
	}
	for _, text := range lessons {
		want := made(t, text)
		for range runs {
			if got := made(t, text); got != want {
				t.Fatalf("differs:\n%s\n%s", got, want)
			}
		}
	}
}

func TestMistakesAreReportedWhereTheyAre(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i, i+1)
		}
		return b.String()
	}
	for _, tt := range []struct{ name, text, at, msg string }{
		{"empty", " \n", "", "is empty"},
		{"too long", strings.Repeat("# a comment\n", 1000), "", "at most 8192"},
		{"syntax", "a -> b\nc -> {", "c -> {", ""},
		{"unknown shape", "a\nb.shape: cilinder", "cilinder", "unknown shape"},
		{"unknown class", "a.class: blue", "blue", "unknown class"},
		{"link", "a -> b\na.link: javascript:alert(1)", "link", "leads nowhere"},
		{"link in a map", "a: {\n  link: https://example.com\n}", "link", "leads nowhere"},
		{"tooltip", "a.tooltip: x", "tooltip", "leads nowhere"},
		{"icon", "a.icon: https://example.com/a.svg", "icon", "fetches nothing"},
		{"image", "a.shape: image", "image", "unknown shape"},
		{"colour", "a.style.fill: red", "fill", "use class"},
		{"size", "a.width: 99999", "width", "sizes and places"},
		{"import", "a: @/etc/passwd", "@", "import"},
		{"spread import", "...@secret", "...@", "import"},
		{"variable", "vars: {x: 1}\na: ${x}", "vars", "can't be used"},
		{"substitution", "a: x ${y}", "x $", "no variables"},
		{"pattern", "a; b; c\n* -> *", "* ->", "no patterns"},
		{"pattern of arrows", "a -> b\n(a -> b)[*].class: bad", "(a -> b)[*]", "no patterns"},
		{"Markdown", "a: |md\n  # <b>x</b>\n|", "|md", "plain text"},
		{"escape", "a -> b: C:\\app", "C:", `write \\ for a backslash`},
		{"escape in a name", `a -> "x\b"`, `"x`, "can't be shown"},
		{"layers", "a\nlayers: {\n  x: {b}\n}", "layers", "can't be used"},
		{"classes", "classes: {x: {style.fill: red}}", "classes", "can't be used"},
		{"deep braces", strings.Repeat("a: {", 2000), "", "deep"},
		{"deep brackets", "a: " + strings.Repeat("[", 4000), "", "deep"},
		{"deep dots", strings.Repeat("a.", 2000) + "b", "a.", "deep"},
		{"many boxes", many(200, "a%d; b%d\n"), "", "boxes"},
		{"many arrows", strings.Repeat("a -> b\n", 300), "", "arrows"},
		{"long label", "a: " + strings.Repeat("x", 500), "x", "at most 200"},
		{"NUL", "a -> b\x00", "\x00", "no text"},
		{"no UTF-8", "a -> \xff", "\xff", "no text"},
		{"big grid", "a: {grid-rows: 1000000\n b; c}", "1000000", "whole number"},
		{"arrow to a keyword", "a -> b.style", "b.style", ""},
		{"self in itself", "a: {\n  a -> _.a.b.c\n  _._._.x\n}", "", ""},
		{"a box in itself", "a -> a.b", "", ""},
		{"no actors", "shape: sequence_diagram", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, problems := diagram.New(nil).Make(tt.text)
			if tt.at == "" && tt.msg == "" {
				if p == nil && len(problems) == 0 {
					t.Fatal("neither a picture nor a problem")
				}
				return
			}
			if p != nil || len(problems) == 0 {
				t.Fatalf("drawn: %v", p)
			}
			first := problems[0]
			if !strings.Contains(first.Msg, tt.msg) || !strings.HasPrefix(tt.text[first.Offset:], tt.at) {
				t.Errorf("%q at %d, before %.30q", first.Msg, first.Offset, tt.text[first.Offset:])
			}
		})
	}
}

// A ring has no first box, and a dense graph is the slowest that the limits allow.
func TestRingsAndDenseGraphsAreDrawn(t *testing.T) {
	var ring, dense strings.Builder
	for i := range 40 {
		fmt.Fprintf(&ring, "n%d -> n%d\n", i, (i+1)%40)
	}
	for i := range 89 {
		fmt.Fprintf(&dense, "g%d.n%d -> g%d.n%d: x\n", i%5, i%31, (i+1)%5, (i*7+1)%31)
	}
	for _, text := range []string{ring.String(), dense.String(), "a -> a\na -> b -> a", "a.b.c -> a"} {
		if p, problems := diagram.New(nil).Make(text); p == nil && !strings.Contains(problems[0].Msg, "pixels") && !strings.Contains(problems[0].Msg, "boxes") {
			t.Errorf("%.40q: %v", text, problems)
		}
	}
}

func FuzzMake(f *testing.F) {
	for _, text := range lessons {
		f.Add(text)
	}
	f.Add("a.link: x\n*.style.fill: red\n...@x\n|md x|\n(a -> b)[0]: {class: [ok; bad]}")
	f.Fuzz(func(t *testing.T, text string) {
		p, problems := diagram.New(nil).Make(text)
		if (p == nil) == (len(problems) == 0) {
			t.Fatalf("a picture or problems: %v %v", p, problems)
		}
		for _, pr := range problems {
			if pr.Offset < 0 || pr.Offset > len(text) {
				t.Fatalf("offset %d of %d", pr.Offset, len(text))
			}
		}
		if p == nil {
			return
		}
		svg := p.SVG("d", "t", "d")
		if err := xml.Unmarshal([]byte(svg), new(struct{})); err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
	})
}

// Every colour of the package has its rules, and every class that the style sheet knows is written
// by the package.
func TestTheStyleSheetKnowsEveryClass(t *testing.T) {
	css, err := os.ReadFile(filepath.Join("..", "..", "assets", "css", "diagram.css"))
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range []string{
		"box", "frame", "inner", "group", "span", "note", "line", "life", "dashed", "arrow", "name", "more", "title", "remark", "says",
		"on-frame", "accent", "ok", "warn", "bad", "tip", "quiet",
	} {
		if !regexp.MustCompile(`\.` + class + `\b`).Match(css) {
			t.Errorf("no rule for .%s", class)
		}
	}
}

func BenchmarkMake(b *testing.B) {
	for name, text := range lessons {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if p, _ := diagram.New(nil).Make(text); p == nil {
					b.Fatal("not drawn")
				}
			}
		})
	}
}
