// Package dialect turns the text of a page that is written for another program, line by line, into the Markdown of a course:
// links, callouts, comments, includes, code, formulas, HTML. Package importer says of which files, and what they are called.
//
// A Converter knows the dialect; a Source answers what a page can't know of itself. What is lost or reads differently
// afterwards is reported to the Source. The text is hostile until package markdown has rendered it: what would be a mistake
// there becomes plain text.
//
// A formula is copied as it is written where Notation says so. One that site/internal/mathml refuses is shown as its source, and
// a $ that begins none stays a $.
package dialect

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/mathml"
)

// Limits on one page.
const (
	maxExpanded     = 2 << 20 // bytes of a page with all its includes
	maxIncludeDepth = 10      // includes within includes
	maxTitle        = 200     // letters of a title
	maxNesting      = 12      // links, quotes and blocks within each other
	maxPerLine      = 20      // includes in one line
	maxConstruct    = 4096    // bytes of one tag, code span or link target
)

// Format is a kind of source.
type Format string

// The formats that can be read.
const (
	Obsidian   Format = "obsidian"
	Docusaurus Format = "docusaurus"
	MDBook     Format = "mdbook"
)

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
}

// Target is where a link leads in the course.
type Target struct {
	URL   string // ready for Markdown; empty if the link must go
	Note  string // what changed
	Why   string // why the link must go
	Asset bool   // it leads to a file that is no page
}

// Source is what a page stands in.
type Source interface {
	// Resolve finds out where a link's address leads.
	Resolve(dest string) Target
	// Note finds what [[name#fragment]] means, and how many others it could mean; "" is the page itself.
	Note(name, fragment string) (t Target, others int)
	// Known reports whether a link leads to something once the course is made.
	Known(dest string) bool
	// Find returns the file that another one names, or why there is none.
	Find(from, name string) (file, refused string)
	// Read returns the lines of a file that is included, or why it can't be.
	Read(file string) (lines []Line, refused string)
	// Tag gives the page a tag.
	Tag(name string, at Line)
	// Report tells of a change; at.N is 0 if it concerns the whole page.
	Report(at Line, msg string)
}

// Converter converts the pages of one source.
type Converter struct {
	format   Format
	notation Notation
	md       *markdown.Renderer
	mathml   *mathml.Converter
}

// New returns a Converter.
func New(format Format, notation Notation) *Converter {
	return &Converter{format: format, notation: notation, md: markdown.New(), mathml: mathml.New()}
}

// conv is the conversion of one page.
type conv struct {
	*Converter
	src  Source
	file string
	out  []string
}

func (c *conv) report(at Line, format string, args ...any) {
	c.src.Report(at, fmt.Sprintf(format, args...))
}

// Convert returns the lines of a file in the syntax of a course, and the ids of its headings.
func (c *Converter) Convert(file string, lines []Line, src Source) (text string, ids []string) {
	p := &conv{Converter: c, src: src, file: file}
	lines = slices.Clone(lines)
	switch c.format {
	case Obsidian:
		lines = p.dropComments(lines)
	case Docusaurus:
		lines = p.admonitions(p.dropImports(lines))
	case MDBook:
		budget := maxExpanded
		lines = p.expand(lines, file, []string{file}, &budget)
	}
	p.shiftHeadings(lines)
	p.blocks(lines)
	text = strings.Trim(strings.Join(p.out, "\n"), "\n")
	if text != "" {
		text += "\n"
	}
	return p.prove(text)
}

var headingLine = regexp.MustCompile(`^ {0,3}#[ \t]+(.*?)[ \t]*#*[ \t]*$`)
var headingID = regexp.MustCompile(`\{\s*(?:/\*\s*)?#([^\s}*]+)[^}]*\}\s*$`)

// Title takes the page's first line for its title if that is a heading of the first level.
func (c *Converter) Title(lines []Line) (title string, rest []Line, id string) {
	for i, l := range lines {
		if strings.TrimSpace(l.Text) == "" {
			continue
		}
		if c.format == Docusaurus && importLine.MatchString(l.Text) {
			continue
		}
		m := headingLine.FindStringSubmatch(l.Text)
		if m == nil {
			return "", lines, ""
		}
		title := m[1]
		if h := headingID.FindStringSubmatch(title); h != nil {
			id, title = h[1], headingID.ReplaceAllString(title, "")
		}
		title = OneLine(Plain(title))
		if title == "" {
			return "", lines, ""
		}
		return title, slices.Concat(lines[:i], lines[i+1:]), cmp.Or(id, markdown.Slug(title))
	}
	return "", lines, ""
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
