package lab

import (
	"bytes"
	"fmt"
	"regexp"
	"sort"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// takenOut replaces a special block in the prose. Like the code block, an HTML comment separates
// the blocks above and below it: two lists stay two lists. Pages do not show it.
const takenOut = "<!-- -->"

// markdownParser finds the blocks of a lab. Pages are rendered with the same parser, so both agree
// on where a block begins and ends. It has the extensions that affect the block structure, and does
// not parse inline elements.
var markdownParser = parser.NewParser(
	parser.WithBlockParsers(append(parser.DefaultBlockParsers(),
		util.Prioritized(extension.NewDefinitionListParser(), 101),
		util.Prioritized(extension.NewDefinitionDescriptionParser(), 102),
		util.Prioritized(extension.NewFootnoteBlockParser(), 999))...),
	parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
)

// splitter splits the text below the front matter into sections and removes the special blocks.
type splitter struct {
	*document
	first  int      // index in lines of the first line of text
	text   []byte   // lines from first on, joined
	starts []int    // offset in text of each of its lines
	prose  []string // lines, with special blocks replaced
}

// split splits the lines from index first on.
func (d *document) split(first int) {
	s := &splitter{document: d, first: first, text: []byte(strings.Join(d.lines[first:], "\n")), prose: append([]string(nil), d.lines...)}
	for offset, line := 0, first; line < len(d.lines); line++ {
		s.starts = append(s.starts, offset)
		offset += len(d.lines[line]) + 1
	}
	begin := first // index of the first line of the current section's prose
	finish := func(end int) {
		md := Markdown{File: d.file, Line: begin + 1, Source: []byte(strings.Join(s.prose[min(begin, end):end], "\n"))}
		if len(d.sections) == 0 {
			d.intro = md
		} else {
			d.sections[len(d.sections)-1].body = md
		}
	}
	root := markdownParser.Parse(text.NewReader(s.text))
	for n := root.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			if line := s.lineOf(n); s.stepHeading(n, line) {
				finish(line)
				begin = line + 1
				d.sections = append(d.sections, d.heading(line+1, s.headingText(n)))
			}
		case *ast.FencedCodeBlock:
			s.block(n, false)
		default:
			s.nested(n)
		}
	}
	finish(len(d.lines))
}

// lineAt returns the index in lines of the line at an offset in text.
func (s *splitter) lineAt(offset int) int {
	return s.first + sort.SearchInts(s.starts, offset+1) - 1
}

// lineOf returns the index in lines of a block's first line.
func (s *splitter) lineOf(n ast.Node) int {
	if h, ok := n.(*ast.Heading); ok && h.Lines().Len() > 0 {
		return s.lineAt(h.Lines().At(0).Start) // the position of an underlined heading is its underline
	}
	return s.lineAt(n.Pos())
}

// hashes matches the beginning of a heading that is not underlined.
var hashes = regexp.MustCompile(`^ {0,3}#{1,6}([ \t]|$)`)

// stepHeading reports whether a heading begins a step. It adds a mistake for headings that a lab
// cannot have.
func (s *splitter) stepHeading(n *ast.Heading, line int) bool {
	underlined := !hashes.MatchString(s.lines[line])
	switch {
	case underlined:
		s.errorf(line+1, 0, "the line of - or = below turns this text into a heading: add an empty line between them, or write ## Title {#id} to begin a step")
	case n.Level == 1:
		s.errorf(line+1, 0, "use ## and smaller headings: the title of a lab is in its front matter")
	}
	return n.Level == 2 && !underlined
}

func (s *splitter) headingText(n *ast.Heading) string {
	return strings.TrimSpace(string(n.Lines().Value(s.text)))
}

// nested handles the code blocks inside lists, quotes and other containers.
func (s *splitter) nested(n ast.Node) {
	// Walk returns only errors of the callback.
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if code, ok := n.(*ast.FencedCodeBlock); ok && entering {
			s.block(code, true)
		}
		if n.Type() == ast.TypeInline {
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
}

// block handles a code block. nested tells whether it is inside a list, a quote or another
// container.
func (s *splitter) block(n *ast.FencedCodeBlock, nested bool) {
	open := s.lineOf(n)
	infoText := ""
	if n.Info != nil {
		infoText = string(n.Info.Segment.Value(s.text))
	}
	end := open + n.Lines().Len() + 1 // index of the line that closes the block
	if fence := s.fence(open); end >= len(s.lines) || !closes(s.lines[end], fence) {
		s.errorf(open+1, 0, "this code block is not closed: add a line with %s after it", fence)
		end = min(end, len(s.lines)-1)
	}
	in, err := parseInfo(infoText)
	if err != nil {
		s.errorf(open+1, 0, "%s", err)
		return
	}
	b := &block{info: in, line: open + 1, body: bytes.TrimSuffix(n.Lines().Value(s.text), []byte("\n"))}
	switch {
	case special[in.Lang] && nested:
		s.errorf(b.line, 0, "a %s block must not be in a list or a quote: begin it at the left margin", in.Lang)
	case special[in.Lang]:
		for i := open; i <= end; i++ {
			s.prose[i] = ""
		}
		s.prose[open] = takenOut
		s.special(b)
	default:
		s.code(b)
	}
}

// fence returns the backticks or tildes that open the code block on the line with index open.
func (s *splitter) fence(open int) string {
	line := s.lines[open]
	i := max(strings.IndexAny(line, "`~"), 0)
	return line[i : len(line)-len(strings.TrimLeft(line[i:], line[i:min(i+1, len(line))]))]
}

// closes reports whether a line closes a code block that fence opened, possibly inside a quote.
func closes(line, fence string) bool {
	line = strings.Trim(strings.TrimLeft(line, " \t>"), " \t")
	return fence != "" && len(line) >= len(fence) && strings.Trim(line, fence[:1]) == ""
}

// heading creates the section that a heading begins.
func (d *document) heading(line int, text string) *section {
	s := &section{title: text, line: line}
	if m := anchored.FindStringSubmatch(text); m != nil {
		s.title, s.anchor = m[1], m[2]
	}
	switch {
	case s.anchor == "":
		slug := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(s.title), "-"), "-")
		if slug == "" {
			slug = fmt.Sprintf("step-%d", len(d.sections)+1)
		}
		d.errorf(line, 0, "the heading of a step ends with an anchor, for example {#%s}", slug[:min(len(slug), 40)])
	case !anchorOK.MatchString(s.anchor):
		d.errorf(line, 0, "the anchor %q may have at most 40 of a-z, 0-9 and -", s.anchor)
	}
	if s.title == "" {
		d.errorf(line, 0, "this step has no title")
	}
	for _, other := range d.sections {
		if s.anchor != "" && other.anchor == s.anchor {
			d.errorf(line, 0, "two steps have the anchor %q: the first is on line %d", s.anchor, other.line)
		}
	}
	return s
}

// special adds a special block to the current section.
func (d *document) special(b *block) {
	if len(d.sections) == 0 {
		where := "below a ## heading"
		if d.part {
			where = "into " + labFile
		}
		d.errorf(b.line, 0, "a %s block belongs to a step: move it %s", b.info.Lang, where)
		return
	}
	s := d.sections[len(d.sections)-1]
	s.blocks = append(s.blocks, b)
}

// code adds a {run} or {save} block to the current section.
func (d *document) code(b *block) {
	in := b.info
	// A click must type the text that is checked here. The text of a file is read only when pages are built.
	if in.File != "" && (in.Run || in.Save != "") {
		d.errorf(b.line, 0, "a block that shows a file cannot be run or saved: write the text into the block instead")
		return
	}
	if in.Run && in.Save != "" {
		d.errorf(b.line, 0, "a block has either run or save, not both")
	}
	if !in.Run && in.Save == "" {
		return
	}
	if strings.TrimSpace(string(b.body)) == "" {
		d.errorf(b.line, 0, "this block is empty")
	}
	// To save a block, a click types a command around its text.
	if len(b.body) > MaxRunText-maxSaveWords {
		d.errorf(b.line, 0, "this block has %d bytes; a click can type at most %d", len(b.body), MaxRunText-maxSaveWords)
	}
	if in.Save != "" && !saveOK(in.Save) {
		d.errorf(b.line, 0, "save=%q must be a path below the home directory, for example \"app/compose.yml\"", in.Save)
	}
	if len(d.sections) > 0 {
		s := d.sections[len(d.sections)-1]
		s.code = append(s.code, b)
	} else {
		d.loose = append(d.loose, b)
	}
}
