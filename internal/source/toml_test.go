package source_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/source"
)

// fileWith returns a file with TOML between two lines of +++, and the TOML in it, which begins on
// line 2.
func fileWith(toml string) (content, text []byte) {
	return []byte("+++\n" + toml + "\n+++\n"), []byte(toml)
}

func TestSyntaxErrorsHaveAPosition(t *testing.T) {
	for _, tt := range []struct{ name, toml, want string }{
		{"NoValue", "title = \n", "2:9: not TOML: a value is missing after ="},
		{"NoEquals", "a = 1\ntitle\n", "3:6: not TOML: expected '=' after key"},
		{"OpenHeader", "[limits\n", "2:8: not TOML: expected ']'"},
		{"OpenString", "x = \"abc\n", "2:9: not TOML: basic strings cannot have new lines"},
		{"OpenList", "x = [1,\n2", "3:1: not TOML: array is incomplete"},
		{"KeyTwice", "a = 1\nb = 2\na = 3", `4:1: not TOML: the key "a" is set twice`},
		{"KeyAsTable", "a = 1\na.b = 2", `3:1: not TOML: the key "a" is set twice`},
		{"TableTwice", "[a]\n[b]\n[a]", "4:2: not TOML: table a already exists"},
		{"TwiceInline", "x = {a = 1, a = 2}", `2:1: not TOML: the key "a" is set twice`},
		{"NumberTooLarge", "x = 99999999999999999999", "2:5: not TOML: decimal number is too large"},
		{"BareChineseKey", "ok = 1\n标题 = \"x\"", "3:1: not TOML: put a key in quotes if"},
		{"ColumnInRunes", "x = \"中文\" 5", "2:10: not TOML"},
		{"ImpossibleDate", "x = 2026-13-40", "2:10: not TOML: impossible date"},
		{"NotUTF8", "x = \"\xff\"", "2:6: not TOML: invalid UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var errs source.List
			content, text := fileWith(tt.toml)
			if source.ParseTOML("f", content, text, 2, &errs) != nil || len(errs) != 1 {
				t.Fatalf("accepted, or %d mistakes", len(errs))
			}
			if got := errs[0].Error(); !strings.HasPrefix(got, "f:"+tt.want) {
				t.Errorf("got  %s\nwant f:%s", got, tt.want)
			}
		})
	}
}

const places = `# a = 0
a = 1
b.c = "x" # b.d = 1
"q.r" = '''
inside = 1
[not.a.table]
'''
list = [ # list = 1
  "中文", "two",
  ["three"], {k = 1, l.m = 2},
]
[t]
d = """
\"""
d = 2"""
  [[t.many]]
  x = 1
  [[t.many]]
  [t.many.sub]
  x = 2
[[t.many.more]]
x = 3
[other . 'table']
x = 4
`

func TestPositionsOfKeysAndElements(t *testing.T) {
	var errs source.List
	content, text := fileWith(places)
	root := source.ParseTOML("f", content, text, 2, &errs)
	if root == nil {
		t.Fatal(errs.Err())
	}
	many := root.Table("t").Tables("many")
	if len(many) != 2 {
		t.Fatalf("%d tables", len(many))
	}
	for _, tt := range []struct {
		what string
		at   source.Error
		want string
	}{
		{"a", root.Place("a"), "3:1"},
		{"b", root.Place("b"), "4:1"},
		{"b.c", root.Table("b").Place("c"), "4:1"},
		{"q.r", root.Place("q.r"), "5:1"},
		{"list", root.Place("list"), "9:1"},
		{"list 0", root.Element("list", 0), "10:3"},
		{"list 1", root.Element("list", 1), "10:9"},
		{"list 2, a list, which has no place of its own", root.Element("list", 2), "9:1"},
		{"list 3", root.Element("list", 3), "11:14"},
		{"t", root.Table("t").Place(), "13:1"},
		{"t.d", root.Table("t").Place("d"), "14:1"},
		{"many", root.Table("t").Place("many"), "17:3"},
		{"many 0", many[0].Place(), "17:3"},
		{"many 0 x", many[0].Place("x"), "18:3"},
		{"many 1", many[1].Place(), "19:3"},
		{"many 1 sub", many[1].Table("sub").Place(), "20:3"},
		{"many 1 sub x", many[1].Table("sub").Place("x"), "21:3"},
		{"many 1 more 0 x", many[1].Tables("more")[0].Place("x"), "23:1"},
		{"other.table", root.Table("other").Table("table").Place(), "24:1"},
		{"an absent key", many[0].Place("y"), "17:3"},
		{"an absent key of the root", root.Place("y"), "2:0"},
	} {
		if got := fmt.Sprintf("%d:%d", tt.at.Line, tt.at.Col); got != tt.want {
			t.Errorf("%s is at %s, want %s", tt.what, got, tt.want)
		}
		if tt.at.Line > 2 && tt.at.Text != strings.Split(string(content), "\n")[tt.at.Line-1] {
			t.Errorf("%s shows the line %q", tt.what, tt.at.Text)
		}
	}
	if len(errs) > 0 {
		t.Error(errs.Err())
	}
}

// front has a field of every type that Decode knows.
type front struct {
	Title   string        `toml:"title"`
	Minutes int           `toml:"minutes"`
	Ratio   float64       `toml:"ratio"`
	Draft   bool          `toml:"draft"`
	Tags    []string      `toml:"tags"`
	Date    time.Time     `toml:"date"`
	Rest    *source.Table `toml:"rest"`
	Ignored string
}

func TestDecode(t *testing.T) {
	var errs source.List
	text := []byte("title = \"T\"\nminutes = 3\nratio = 2\ndraft = true\ntags = [\"a\", \"b\"]\ndate = 2026-01-31\n[rest]\nx = 1\n")
	var f front
	source.ParseTOML("f", text, text, 1, &errs).Decode(&f)
	if err := errs.Err(); err != nil {
		t.Fatal(err)
	}
	if f.Title != "T" || f.Minutes != 3 || f.Ratio != 2 || !f.Draft || !slices.Equal(f.Tags, []string{"a", "b"}) || !f.Rest.Has("x") {
		t.Errorf("decoded %+v", f)
	}
	if want := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC); !f.Date.Equal(want) {
		t.Errorf("the date is %v, want %v", f.Date, want)
	}
}

func TestWrongValuesAndUnknownKeysHaveAPosition(t *testing.T) {
	var errs source.List
	text := []byte("title = 1\nminutes = \"x\"\nratio = true\ndraft = \"yes\"\ntags = [\"a\", 5]\ndate = \"monday\"\nrest = 1\ntittle = 1\nCOLOUR = 2\n" +
		"[size]\na = \"5 apples\"\nb = \"9GB\"\nc = 5\n[time]\na = \"1 hour\"\nb = \"2h\"\nc = nan\nd = 99\n")
	var f front
	root := source.ParseTOML("f", text, text, 1, &errs)
	size, wait := root.Table("size"), root.Table("time")
	for _, key := range size.Keys() {
		size.Size(key, 1, 8<<30)
	}
	wait.Duration("a", 0, time.Hour)
	wait.Duration("b", time.Minute, time.Hour)
	wait.Float("c", 0, 1)
	wait.Int("d", 1, 40)
	root.Decode(&f)
	want := []string{
		"f:1:1: title must be a string, not a whole number",
		"f:2:1: minutes must be a whole number, not a string",
		"f:3:1: ratio must be a number like 1.5, not true or false",
		"f:4:1: draft must be true or false, not a string",
		"f:5:14: tags must be a list of strings, but holds a whole number",
		"f:6:1: date must be a date such as 2026-01-31, not a string",
		"f:7:1: rest is a table: write [rest] and its keys below",
		`f:8:1: unknown key "tittle" (did you mean "title"?)`,
		`f:9:1: unknown key "COLOUR"; known: `,
		`f:11:1: size.a must be a size with its unit like "768MiB", not "5 apples"`,
		`f:12:1: size.b must be from 1B to 8GiB, not "9GB"`,
		`f:13:1: size.c must be a size with its unit like "768MiB", not a whole number`,
		`f:15:1: time.a must be a duration like "1h30m", not "1 hour"`,
		`f:16:1: time.b must be a duration from 1m to 1h, not "2h"`,
		"f:17:1: time.c must be from 0 to 1, not NaN",
		"f:18:1: time.d must be from 1 to 40, not 99",
	}
	_ = errs.Err() // sorts
	for i := range max(len(errs), len(want)) {
		switch {
		case i >= len(errs):
			t.Errorf("missing: %s", want[i])
		case i >= len(want):
			t.Errorf("unexpected: %v", errs[i])
		case !strings.HasPrefix(errs[i].Error(), want[i]):
			t.Errorf("got  %v\nwant %s", errs[i], want[i])
		}
	}
}

func FuzzParseTOML(f *testing.F) {
	f.Add(places)
	f.Add("title = \n")
	f.Add("[[a]]\nb = {c = [1, {d = 2}]}\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		var errs source.List
		content, toml := fileWith(text)
		root := source.ParseTOML("f", content, toml, 2, &errs)
		if (root == nil) == (len(errs) == 0) {
			t.Fatalf("the table is %v, with %d mistakes", root, len(errs))
		}
		if root != nil {
			root.Decode(&front{})
			for _, key := range root.Keys() {
				if at := root.Place(key); at.Line < 2 || at.Line > 2+strings.Count(text, "\n") || at.Col < 1 {
					t.Errorf("%q is at %d:%d of %q", key, at.Line, at.Col, text)
				}
			}
		}
		for _, e := range errs {
			if e.Line < 2 || e.Line > 2+strings.Count(text, "\n") {
				t.Errorf("a mistake in line %d of %q: %s", e.Line, text, e.Msg)
			}
		}
	})
}

// Without limits, the positions of a key with many dots take minutes.
func TestHostileTOML(t *testing.T) {
	for name, text := range map[string]string{
		"dotted key":     strings.Repeat("a.", 30_000) + "a = 1",
		"dotted header":  "[" + strings.Repeat("a.", 30_000) + "a]\nb = 1",
		"nested headers": strings.Repeat("[[a.a.a.a.a.a.a.a]]\n", 3000),
		"open lists":     "x = " + strings.Repeat("[", 60_000),
		"open tables":    "x = " + strings.Repeat("{a = ", 10_000),
	} {
		var errs source.List
		if root := source.ParseTOML("f", []byte(text), []byte(text), 1, &errs); root != nil {
			if at := root.Place("a"); at.Line != 1 {
				t.Errorf("%s: the key is on line %d", name, at.Line)
			}
			root.Decode(&front{})
		}
		if len(errs) != 1 {
			t.Errorf("%s: %d mistakes, want 1", name, len(errs))
		}
	}
	var errs source.List
	long := []byte("# " + strings.Repeat("x", 64<<10))
	if source.ParseTOML("f", long, long, 1, &errs) != nil || len(errs) != 1 || !strings.Contains(errs[0].Msg, "at most 65536 are allowed") {
		t.Errorf("a long text: %v", errs.Err())
	}
}
