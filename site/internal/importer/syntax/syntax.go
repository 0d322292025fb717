// Package syntax has what pages of all formats share: lines with their origin, code blocks and
// formulas, quotes, callouts, and plain text.
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

// Format is the tool that a source was written for.
type Format string

// The formats that can be imported.
const (
	Obsidian   Format = "obsidian"
	Docusaurus Format = "docusaurus"
	Starlight  Format = "starlight"
	MDBook     Format = "mdbook"
	GitBook    Format = "gitbook"
	Markdown   Format = "markdown"
)

// JSX reports whether pages of the format contain JSX components.
func (f Format) JSX() bool { return f == Docusaurus || f == Starlight }

// Notation is the delimiters of formulas in a source.
type Notation struct {
	Inline   bool // $…$
	Display  bool // $$…$$
	Brackets bool // \\(…\\) and \\[…\\], which Markdown reads before MathJax does: \\ stands for \
}

// Line is a line of a source during the conversion.
type Line struct {
	Text string // after the steps so far
	File string
	N    int
	Src  string // as written in the source
	Raw  bool   // already in the syntax of a lesson
}

// Place returns the position of the line for a message.
func (l Line) Place() source.Error {
	text := l.Src
	if len(text) > maxShown { // there may be as many messages as the line has letters
		text = strings.ToValidUTF8(text[:maxShown], "")
	}
	return source.Error{File: l.File, Line: l.N, Text: text}
}

// FenceLine matches the line that opens a code block: quotes or list item before it, the fence, the
// info string.
var FenceLine = regexp.MustCompile("^((?:[ \\t]*>)*[ \\t]*(?:(?:[-*+]|\\d{1,9}[.)])[ \\t]+)?)(`{3,}|~{3,})([^\\n]*)$")

var (
	ListItem    = regexp.MustCompile(`^[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)`)
	ColonsLine  = regexp.MustCompile(`^((?:[ \t]*>)*[ \t]*)(:{3,})[ \t]*([A-Za-z]*)(.*)$`)
	CalloutLine = regexp.MustCompile(`^([ \t]*(?:>[ \t]*)+)\[!([^\]|\n]{1,40})(\|[^\]\n]*)?\]([-+]?)[ \t]*(.*)$`)
)

// Callouts maps callout kinds of other tools to those of a course.
var Callouts = map[string]string{
	"note": "NOTE", "info": "NOTE", "abstract": "NOTE", "summary": "NOTE", "tldr": "NOTE", "todo": "NOTE", "example": "NOTE", "quote": "NOTE", "cite": "NOTE", "secondary": "NOTE",
	"tip": "TIP", "hint": "TIP", "success": "TIP", "check": "TIP", "done": "TIP",
	"important": "IMPORTANT", "question": "IMPORTANT", "help": "IMPORTANT", "faq": "IMPORTANT",
	"warning": "WARNING", "attention": "WARNING",
	"caution": "CAUTION", "danger": "CAUTION", "error": "CAUTION", "failure": "CAUTION", "fail": "CAUTION", "missing": "CAUTION", "bug": "CAUTION",
}

// fences calls f for each line, with the number of the code block or formula that contains it,
// fences included, or 0 for text.
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

// DisplayLine matches a line that may open a display formula: quotes or list item before it, the
// delimiter, the rest.
var DisplayLine = regexp.MustCompile(`^((?:[ \t]*>)*[ \t]*)((?:[-*+]|\d{1,9}[.)])[ \t]+)?(\$\$|\\\\\[)(.*)$`)

// Closer returns the closing delimiter for an opening one.
func Closer(mark string) string {
	return strings.NewReplacer("(", ")", "[", "]").Replace(mark)
}

// display returns the number of lines of the display formula that starts at the first line, 0 if
// none does.
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

// CutQuotes splits off the spaces and quote marks at the start of a line.
func CutQuotes(s string) (before, rest string) {
	rest = strings.TrimLeft(s, "> \t")
	return s[:len(s)-len(rest)], rest
}

// Dedent removes up to n leading spaces.
func Dedent(s string, n int) string {
	i := 0
	for i < n && i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	return s[i:]
}

// IsIndented reports whether a line may be indented code.
func IsIndented(s string) bool { return strings.HasPrefix(s, "    ") || strings.HasPrefix(s, "\t") }

// SpanEnd returns the end of the code span that starts at i, or the end of its backticks if it is
// not closed on the line.
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

// OneLine makes a text usable as a title: printable, on one line, of limited length.
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

// Plain removes Markdown marks from a text.
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

// Escape escapes a text so that Markdown shows it unchanged.
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

// Capital capitalizes a word, for the title of a callout.
func Capital(word string) string {
	if word == "" {
		return ""
	}
	r := []rune(strings.ReplaceAll(word, "-", " "))
	return strings.ToUpper(string(r[0])) + string(r[1:])
}

// CalloutTitle returns a title that keeps the original word of a callout, or "" if the kind has the
// same name in a course.
func CalloutTitle(name, word string) string {
	if strings.EqualFold(name, word) {
		return ""
	}
	return Capital(strings.ToLower(name))
}
