// Package dialect converts one page written for another tool to the Markdown of a course: links,
// callouts, comments, includes, code, formulas, HTML. Package importer decides which files are
// converted and where they go.
//
// A Converter knows the dialect. A Source gives it access to the rest of the source and receives
// reports. The text is untrusted. Package markdown renders each converted page, and parts with
// mistakes become plain text.
//
// Formulas are copied if Notation allows it. One that site/internal/mathml rejects is shown as its
// source. A $ that starts no formula stays a $.
package dialect

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/labd-dev/labd/site/internal/importer/container"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/mathml"
)

// Limits on one page.
const (
	maxExpanded     = 2 << 20 // bytes of a page with all its includes
	maxIncludeDepth = 10      // nesting depth of includes
	maxNesting      = 12      // nesting depth of links, quotes and blocks
	maxPerLine      = 20      // includes in one line
	maxConstruct    = 4096    // bytes of one tag, code span or link target
	maxNotes        = 500     // inline footnotes of a page
)

// Target is the destination of a link in the course.
type Target struct {
	URL   string      // escaped for Markdown; empty if the link must be removed
	Note  string      // what changed
	Why   string      // why the link must be removed
	Kind  report.Kind // of Note or Why
	Asset bool        // the target is a file and not a page
}

// Source gives a page access to the rest of the source.
type Source interface {
	// Resolve returns the target of a link's address.
	Resolve(dest string) Target
	// Picture returns the copy of a picture from another site. The URL is empty if there is none.
	Picture(dest string) Target
	// Note returns the target of [[name#fragment]], and the number of other files with that name.
	// An empty name is the page itself.
	Note(name, fragment string) (t Target, others int)
	// Known reports whether the target of a link will exist in the course.
	Known(dest string) bool
	// Find returns the file that a path in the file from means, or why there is none.
	Find(from, name string) (file, refused string)
	// Read returns the lines of an included file, or why it cannot be read.
	Read(file string) (lines []syntax.Line, refused string)
	// Embed returns the path by which :::include names a note, or a part of it; "" if it cannot be
	// included here.
	Embed(name, fragment string) string
	// Partial returns the path by which :::include names an imported file; "" if it cannot be
	// included here.
	Partial(file string) string
	// Tag adds a tag to the page.
	Tag(name string, at syntax.Line)
	// Report adds an entry to the report. at.N is 0 if it is about the whole page.
	Report(kind report.Kind, at syntax.Line, msg string)
}

// Options are the settings of a source that affect its pages.
type Options struct {
	Notation syntax.Notation
	Taken    []string // ids that the site's own templates use
	Breaks   bool     // a line break within a paragraph is shown as one
}

// Converter converts the pages of one source.
type Converter struct {
	format   syntax.Format
	notation syntax.Notation
	taken    []string
	breaks   bool
	md       *markdown.Renderer
	mathml   *mathml.Converter
}

// New returns a Converter.
func New(format syntax.Format, opts Options) *Converter {
	return &Converter{format: format, notation: opts.Notation, taken: opts.Taken, breaks: opts.Breaks, md: markdown.New(), mathml: mathml.New()}
}

// conv is the conversion of one page.
type conv struct {
	*Converter
	src      Source
	file     string
	out      []string
	notes    []string          // inline footnotes
	partials map[string]string // files that the page imports, by the name of their component
	closed   map[string]bool   // names of tags that are closed somewhere
	anchors  map[string]int    // targets of links that are no headings: the number of the heading that stands for them, or -1
}

func (c *conv) report(kind report.Kind, at syntax.Line, format string, args ...any) {
	c.src.Report(kind, at, fmt.Sprintf(format, args...))
}

// lost reports that a link becomes text.
func (c *conv) lost(at syntax.Line, t Target) {
	c.report(t.Kind, at, "the link becomes text: %s", t.Why)
}

// noted reports a change to a link, if there is one.
func (c *conv) noted(at syntax.Line, t Target) {
	if t.Note != "" {
		c.report(t.Kind, at, "%s", t.Note)
	}
}

// Page is a converted page.
type Page struct {
	Text    string
	IDs     []string          // of its headings
	Anchors map[string]string // other targets of links: the id of the heading to lead to, or "" for the page
}

// Convert converts the lines of a file.
func (c *Converter) Convert(file string, lines []syntax.Line, src Source) Page {
	p := &conv{Converter: c, src: src, file: file, partials: map[string]string{}, closed: map[string]bool{}, anchors: map[string]int{}}
	lines = slices.Clone(lines)
	switch c.format {
	case syntax.Obsidian:
		lines = p.dropComments(lines)
	case syntax.Docusaurus, syntax.Starlight:
		lines = p.dropImports(lines)
	case syntax.MDBook, syntax.GitBook:
		budget := maxExpanded
		lines = p.expand(lines, file, []string{file}, &budget)
	}
	page := container.Page{Format: c.format, Notation: c.notation, Source: src, Partials: p.partials}
	lines, p.closed = page.Convert(lines)
	p.shiftHeadings(lines)
	p.blocks(lines)
	text := strings.Trim(strings.Join(p.out, "\n"), "\n")
	if c.breaks {
		text = hardBreaks(text, p.notation)
	}
	if len(p.notes) > 0 {
		text += "\n\n" + strings.Join(p.notes, "\n")
	}
	if text != "" {
		text += "\n"
	}
	var out Page
	out.Text, out.IDs = p.prove(text)
	out.Anchors = map[string]string{}
	for name, n := range p.anchors {
		if out.Anchors[name] = ""; n >= 0 && n < len(out.IDs) {
			out.Anchors[name] = out.IDs[n]
		}
	}
	return out
}

var headingLine = regexp.MustCompile(`^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$`)
var headingID = regexp.MustCompile(`\{\s*(?:/\*\s*)?#([^\s}*]+)[^}]*\}\s*$`)
var underline = regexp.MustCompile(`^ {0,3}(=+|-+)[ \t]*$`)

// Title finds the heading that is the page's title, and returns the lines without it. known are
// titles from elsewhere, such as front matter: a heading of any level with the same text is the
// title too. Otherwise only a first-level heading is, and only if it is the only one or comes
// before all other text.
func (c *Converter) Title(lines []syntax.Line, known ...string) (title string, rest []syntax.Line, id string) {
	first, last, level, firsts, text := -1, -1, 0, 0, false
	before := false // there is text before the first heading
	syntax.Blocks(lines, c.notation, func(i, block int) {
		if block > 0 {
			text = true
			return
		}
		t := strings.TrimSpace(lines[i].Text)
		at, n := -1, 0
		if m := headingLine.FindStringSubmatch(lines[i].Text); m != nil {
			at, n = i, len(m[1])
		} else if i > 0 && underline.MatchString(lines[i].Text) && isParagraph(lines, i-1) {
			if at, n = i-1, 2; t[0] == '=' {
				n = 1
			}
		}
		switch {
		case at < 0:
			if t != "" && !importLine.MatchString(t) && !strings.HasPrefix(t, "<") && !strings.HasPrefix(t, "![") && !strings.HasPrefix(t, "[!") && !strings.HasPrefix(t, "%%") {
				text = true
			}
			return
		case n == 1:
			firsts++
		}
		if first < 0 {
			if at < i { // the heading's own text was counted
				text = false
			}
			first, last, level, before = at, i, n, text
		}
	})
	if first < 0 {
		return "", lines, ""
	}
	title = lines[first].Text
	if m := headingLine.FindStringSubmatch(title); m != nil {
		title = m[2]
	}
	if h := headingID.FindStringSubmatch(title); h != nil {
		id, title = h[1], headingID.ReplaceAllString(title, "")
	}
	title = syntax.OneLine(syntax.Plain(title))
	same := slices.ContainsFunc(known, func(k string) bool { return k != "" && SameTitle(k, title) })
	if title == "" || !same && (level > 1 || firsts > 1 && before) {
		return "", lines, ""
	}
	return title, slices.Concat(lines[:first], lines[last+1:]), cmp.Or(id, markdown.Slug(title))
}

// isParagraph reports whether a line may be the text of a setext heading.
func isParagraph(lines []syntax.Line, i int) bool {
	t := strings.TrimSpace(lines[i].Text)
	return t != "" && !syntax.IsIndented(lines[i].Text) && !syntax.ListItem.MatchString(lines[i].Text) && strings.IndexByte(">|#<`~:", t[0]) < 0 &&
		(i == 0 || strings.TrimSpace(lines[i-1].Text) == "")
}

var numbering = regexp.MustCompile(`^(?:第\s*[0-9一二三四五六七八九十百]+\s*[章节讲课回篇]|[0-9]+(?:[.-][0-9]+)*[.、:)]?|(?i:chapter|lesson|part)\s+[0-9]+)[\s:：.、-]*`)

// SameTitle reports whether two titles are the same apart from punctuation and leading numbers.
func SameTitle(a, b string) bool {
	la, lb := onlyLetters(a), onlyLetters(b)
	if la == lb {
		return la != ""
	}
	ca, cb := onlyLetters(numbering.ReplaceAllString(a, "")), onlyLetters(numbering.ReplaceAllString(b, ""))
	return ca != "" && (ca == cb && (la == ca || lb == cb))
}

func onlyLetters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}
