package source_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/source"
)

type lesson struct {
	Title string    `toml:"title"`
	Tags  []string  `toml:"tags"`
	N     int       `toml:"minutes"`
	Date  time.Time `toml:"date"`
	Draft bool      `toml:"draft"`
}

func TestFrontMatter(t *testing.T) {
	var errs source.List
	d := source.Split("a.md", []byte("\xef\xbb\xbf+++\r\ntitle = \"A\"\r\ntags = [\"x\"]\r\nminutes = 3\r\ndate = 2026-01-31\r\n+++\r\nBody\r\n"), &errs)
	var f lesson
	d.DecodeFront(&f, &errs)
	if err := errs.Err(); err != nil {
		t.Fatal(err)
	}
	if f.Title != "A" || len(f.Tags) != 1 || f.N != 3 || f.Date.Day() != 31 {
		t.Errorf("front matter %+v", f)
	}
	if string(d.Body) != "Body\n" || d.BodyLine != 7 {
		t.Errorf("body %q from line %d", d.Body, d.BodyLine)
	}
}

func TestFrontMatterMistakes(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"unknown key", "+++\ntitle = \"A\"\n tittle = 3\n+++\n", "a.md:3:2: unknown key \"tittle\" (did you mean \"title\"?)\n    3 |  tittle = 3\n      |  ^"},
		{"unknown key unlike any", "+++\nzzzzzzzzzzzz = 3\n+++\n", `a.md:2:1: unknown key "zzzzzzzzzzzz"; known: title, tags, minutes, date, draft`},
		{"unknown table", "+++\n[stuff]\nx = 1\n+++\n", `a.md:2:1: unknown key "stuff"`},
		{"case", "+++\nTitle = \"A\"\n+++\n", `a.md:2:1: unknown key "Title" (did you mean "title"?)`},
		{"number as text", "+++\nminutes = \"ten\"\n+++\n", `a.md:2:1: minutes must be a whole number, not a string`},
		{"text as list", "+++\ntags = \"x\"\n+++\n", `a.md:2:1: tags must be a list of strings such as ["one", "two"], not a string`},
		{"wrong list", "+++\ntags = [1]\n+++\n", `a.md:2:9: tags must be a list of strings`},
		{"bad date", "+++\ndate = \"x\"\n+++\n", `a.md:2:1: date must be a date such as 2026-01-31, not a string`},
		{"duplicate", "+++\ntitle = \"A\"\ntitle = \"B\"\n+++\n", `a.md:3:`},
		{"syntax", "+++\ntitle = A\n+++\n", `a.md:2:`},
		{"unclosed text", "+++\ntitle = \"A\n+++\n", `a.md:2:`},
		{"unclosed", "+++\ntitle = \"A\"\nText\n", `a.md:1:1: the front matter is not closed`},
		{"yaml", "---\ntitle: A\n---\n", `a.md:1:1: front matter is TOML between lines of +++`},
		{"NUL", "a\nb\x00c\n", `a.md:2: a NUL byte`},
		{"Latin-1", "a\n\nb\xe9c\n", `a.md:3: not UTF-8`},
		{"huge", "+++\n" + strings.Repeat("# x\n", 300_000) + "+++\n", `a.md:1: the front matter is larger than 64 KiB`},
		{"huge file", strings.Repeat("x", 5<<20), `a.md: the file is larger than 4 MiB`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var errs source.List
			d := source.Split("a.md", []byte(c.in), &errs)
			var f lesson
			d.DecodeFront(&f, &errs)
			if len(errs) == 0 {
				t.Fatal("no mistake was found")
			}
			if got := errs.Err().Error(); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %.300s\nwant %s…", got, c.want)
			}
		})
	}
}

func TestAllFrontMatterMistakesAreReported(t *testing.T) {
	var errs source.List
	d := source.Split("a.md", []byte("+++\ntitle = 1\nminutes = \"x\"\nfoo = 1\nnote = '''\ntags = 1\n'''\ntags = 2\n+++\n"), &errs)
	var f lesson
	d.DecodeFront(&f, &errs)
	all := errs.Err() // sorts errs
	var lines []int
	for _, e := range errs {
		lines = append(lines, e.Line)
	}
	if fmt.Sprint(lines) != "[2 3 4 5 8]" {
		t.Errorf("mistakes in lines %v:\n%v", lines, all)
	}
}

func FuzzFrontMatter(f *testing.F) {
	for _, s := range []string{"+++\ntitle = \"A\"\n+++\nB", "+++\n", "---\na: b", "+++\nx = '''\n+++\n'''\n+++\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var errs source.List
		d := source.Split("a.md", b, &errs)
		var v lesson
		d.DecodeFront(&v, &errs)
		for _, e := range errs {
			if e.Line < 0 || e.Line > bytes.Count(b, []byte("\n"))+1 {
				t.Errorf("line %d of %q: %s", e.Line, b, e.Msg)
			}
		}
	})
}

// TestFrontMatterOfManyMistakes fails by the test's time limit if looking for each key's line takes long.
func TestFrontMatterOfManyMistakes(t *testing.T) {
	var b strings.Builder
	b.WriteString("+++\n")
	for i := 0; b.Len() < 64<<10-20; i++ {
		fmt.Fprintf(&b, "k%d=1\n", i)
	}
	b.WriteString("+++\n")
	var errs source.List
	d := source.Split("a.md", []byte(b.String()), &errs)
	var v lesson
	d.DecodeFront(&v, &errs)
	if len(errs) < 100 {
		t.Errorf("%d mistakes", len(errs))
	}
}
