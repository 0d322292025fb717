// Package syntax has what the pages of all formats that are imported have in common: lines that know where they were written,
// blocks of code and formulas, quotes, and text without its marks.
package syntax

import (
	"cmp"
	"regexp"
	"strings"
	"unicode"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/mathml"
)

const (
	maxTitle = 200  // letters of a title
	maxShown = 4096 // bytes of a line that is reported
)

// Format is a kind of source.
type Format string

// The formats that can be read.
const (
	Obsidian   Format = "obsidian"
	Docusaurus Format = "docusaurus"
	Starlight  Format = "starlight"
	MDBook     Format = "mdbook"
	GitBook    Format = "gitbook"
	Markdown   Format = "markdown"
)

// JSX reports whether pages have components of JSX.
func (f Format) JSX() bool { return f == Docusaurus || f == Starlight }

// Notation says how formulas are written in a source.
type Notation struct {
	Inline   bool // $…$
	Display  bool // $$…$$
	Brackets bool // \\(…\\) and \\[…\\], which Markdown reads before MathJax does: \\ stands for \
}

// Line is a line of a source, on its way through the conversion.
type Line struct {
	Text string // as it is now
	File string
	N    int
	Src  string // as written
	Raw  bool   // it is in the syntax of a lesson already
}

// Place is where a message about the line points.
func (l Line) Place() source.Error {
	text := l.Src
	if len(text) > maxShown { // there may be as many messages as the line has letters
		text = strings.ToValidUTF8(text[:maxShown], "")
	}
	return source.Error{File: l.File, Line: l.N, Text: text}
}

// FenceLine is a line that opens code: what it is in (quotes, a list item), the fence, and what follows.
var FenceLine = regexp.MustCompile("^((?:[ \\t]*>)*[ \\t]*(?:(?:[-*+]|\\d{1,9}[.)])[ \\t]+)?)(`{3,}|~{3,})([^\\n]*)$")

var (
	ListItem    = regexp.MustCompile(`^[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)`)
	ColonsLine  = regexp.MustCompile(`^((?:[ \t]*>)*[ \t]*)(:{3,})[ \t]*([A-Za-z]*)(.*)$`)
	CalloutLine = regexp.MustCompile(`^([ \t]*(?:>[ \t]*)+)\[!([^\]|\n]{1,40})(\|[^\]\n]*)?\]([-+]?)[ \t]*(.*)$`)
)

// Callouts maps the kinds of the sources to those of a course.
var Callouts = map[string]string{
	"note": "NOTE", "info": "NOTE", "abstract": "NOTE", "summary": "NOTE", "tldr": "NOTE", "todo": "NOTE", "example": "NOTE", "quote": "NOTE", "cite": "NOTE", "secondary": "NOTE",
	"tip": "TIP", "hint": "TIP", "success": "TIP", "check": "TIP", "done": "TIP",
	"important": "IMPORTANT", "question": "IMPORTANT", "help": "IMPORTANT", "faq": "IMPORTANT",
	"warning": "WARNING", "attention": "WARNING",
	"caution": "CAUTION", "danger": "CAUTION", "error": "CAUTION", "failure": "CAUTION", "fail": "CAUTION", "missing": "CAUTION", "bug": "CAUTION",
}

// fences calls f with each line and the number of the block of code or formula that it is of, borders included; 0 for text.
func Blocks(lines []Line, n Notation, f func(i, block int)) {
	end, quotes, block, formula := "", 0, 0, 0
	for i, l := range lines {
		if formula > 0 {
			formula--
			f(i, block)
			continue
		}
		if end != "" {
			before, bare := CutQuotes(l.Text)
			if strings.Count(before, ">") < quotes {
				end = ""
			} else {
				f(i, block)
				if t := strings.TrimRight(bare, " \t"); len(t) >= len(end) && strings.Trim(t, end[:1]) == "" {
					end = ""
				}
				continue
			}
		}
		if m := FenceLine.FindStringSubmatch(l.Text); m != nil && (m[2][0] == '~' || !strings.Contains(m[3], "`")) {
			end, quotes = m[2], strings.Count(m[1], ">")
			block++
			f(i, block)
			continue
		}
		if size := n.display(lines[i:]); size > 0 {
			formula = size - 1
			block++
			f(i, block)
			continue
		}
		f(i, 0)
	}
}

// DisplayLine is a line that may begin a formula on lines of its own: what it is in, the mark, and what follows.
var DisplayLine = regexp.MustCompile(`^((?:[ \t]*>)*[ \t]*)((?:[-*+]|\d{1,9}[.)])[ \t]+)?(\$\$|\\\\\[)(.*)$`)

// Closer is the mark that ends what another begins.
func Closer(mark string) string {
	return strings.NewReplacer("(", ")", "[", "]").Replace(mark)
}

// display returns how many of the lines are a formula on lines of its own; 0 if none begins there.
func (n Notation) display(lines []Line) int {
	if !n.Display || !strings.Contains(lines[0].Text, "$$") && !strings.Contains(lines[0].Text, `\\[`) {
		return 0
	}
	m := DisplayLine.FindStringSubmatch(lines[0].Text)
	if m == nil || m[3] != "$$" && !n.Brackets {
		return 0
	}
	mark, rest, size, filled := m[3], m[4], 0, false
	for i, l := range lines {
		if i > 0 {
			var before string
			before, rest = CutQuotes(l.Text)
			if strings.Count(before, ">") < strings.Count(m[1], ">") || rest == "" && strings.TrimSpace(m[4]) != "" {
				return 0
			}
		}
		if size += len(rest); size > mathml.MaxFormula {
			return 0
		}
		if at := strings.Index(rest, Closer(mark)); at >= 0 {
			if strings.TrimSpace(rest[at+len(mark):]) != "" || !filled && strings.TrimSpace(rest[:at]) == "" {
				return 0
			}
			return i + 1
		}
		if strings.Contains(rest, mark) {
			return 0
		}
		filled = filled || strings.TrimSpace(rest) != ""
	}
	return 0
}

// CutQuotes splits a line into the blanks and quotes it begins with, and the rest.
func CutQuotes(s string) (before, rest string) {
	rest = strings.TrimLeft(s, "> \t")
	return s[:len(s)-len(rest)], rest
}

// Dedent cuts up to n blanks off the start.
func Dedent(s string, n int) string {
	i := 0
	for i < n && i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	return s[i:]
}

// IsIndented reports whether a line may be indented code.
func IsIndented(s string) bool { return strings.HasPrefix(s, "    ") || strings.HasPrefix(s, "\t") }

// SpanEnd returns the end of the code span of one line that begins at i, or of its back-ticks.
func SpanEnd(s string, i int) int {
	n := 0
	for i+n < len(s) && s[i+n] == '`' {
		n++
	}
	for j := i + n; j < len(s); {
		m := 0
		for j+m < len(s) && s[j+m] == '`' {
			m++
		}
		if m == n {
			return j + m
		}
		j += max(m, 1)
	}
	return i + n
}

// OneLine makes a text fit for a title: printable, on one line, not endless.
func OneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if runes := []rune(s); len(runes) > maxTitle {
		s = strings.TrimSpace(string(runes[:maxTitle])) + "…"
	}
	return s
}

var (
	Backslash = regexp.MustCompile(`\\([!-/:-@\[-` + "`" + `{-~])`)
	wikiLink  = regexp.MustCompile(`!?\[\[([^\]\[|]*)(?:\|([^\]\[]*))?\]\]`)
	mdLink    = regexp.MustCompile(`!?\[([^\]\[]*)\]\([^()\s]*(?:[ \t]+"[^"]*")?\)`)
	AnyTag    = regexp.MustCompile(`</?[A-Za-z][^<>]*>|<!--.*?-->`)
)

// Plain is a text without its marks, for places where nothing but text can stand.
func Plain(s string) string {
	s = wikiLink.ReplaceAllStringFunc(s, func(m string) string {
		p := wikiLink.FindStringSubmatch(m)
		return cmp.Or(p[2], p[1])
	})
	s = mdLink.ReplaceAllString(s, "$1")
	s = AnyTag.ReplaceAllString(s, "")
	s = strings.Map(func(r rune) rune {
		if r == '`' || r == '*' || r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(Backslash.ReplaceAllString(s, "$1"))
}

// Escape makes Markdown show a text as it is.
func Escape(s string) string {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(s, "\n", " ") {
		if strings.ContainsRune("\\`*_[]<>#!|~$&{}^+:=", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Capital writes a word as the title of a callout.
func Capital(word string) string {
	if word == "" {
		return ""
	}
	r := []rune(strings.ReplaceAll(word, "-", " "))
	return strings.ToUpper(string(r[0])) + string(r[1:])
}

// CalloutTitle is the title that keeps the word of a callout whose kind has another name in a lesson; "" if it is the same.
func CalloutTitle(name, word string) string {
	if strings.EqualFold(name, word) {
		return ""
	}
	return Capital(strings.ToLower(name))
}
