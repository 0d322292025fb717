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

// takenOut replaces a special block in the prose. An HTML comment is a block of its own, as the fenced block was, so the
// blocks above and below it stay apart; pages leave it out.
const takenOut = "<!-- -->"

// markdownParser finds the blocks of a lab. It is the parser that renders pages, so the two can't disagree about where a block
// begins; of the extensions it has those that decide which block a line belongs to. What stands in a line is not parsed.
var markdownParser = parser.NewParser(
	parser.WithBlockParsers(append(parser.DefaultBlockParsers(),
		util.Prioritized(extension.NewDefinitionListParser(), 101),
		util.Prioritized(extension.NewDefinitionDescriptionParser(), 102),
		util.Prioritized(extension.NewFootnoteBlockParser(), 999))...),
	parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
)

// splitter cuts the text below the front matter into sections and takes the special blocks out.
type splitter struct {
	*document
	first  int      // index in lines of the text's first line
	text   []byte   // the text
	starts []int    // offset of each line in text
	prose  []string // lines, with the special blocks replaced
}

// split cuts the lines from index first on.
func (d *document) split(first int) {
	s := &splitter{document: d, first: first, text: []byte(strings.Join(d.lines[first:], "\n")), prose: append([]string(nil), d.lines...)}
	for offset, line := 0, first; line < len(d.lines); line++ {
		s.starts = append(s.starts, offset)
		offset += len(d.lines[line]) + 1
	}
	begin := first // index of the first line of the present section's prose
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

// lineAt returns the index in lines of the line at an offset of the text.
func (s *splitter) lineAt(offset int) int {
	return s.first + sort.SearchInts(s.starts, offset+1) - 1
}

// lineOf returns the index in lines of a block's first line.
func (s *splitter) lineOf(n ast.Node) int {
	if h, ok := n.(*ast.Heading); ok && h.Lines().Len() > 0 {
		return s.lineAt(h.Lines().At(0).Start) // the position of an underlined heading may be that of its underline
	}
	return s.lineAt(n.Pos())
}

// hashes is how a heading begins that is not made by the line below it.
var hashes = regexp.MustCompile(`^ {0,3}#{1,6}([ \t]|$)`)

// stepHeading reports whether a heading begins a step, and what is wrong with headings that can't stand in a lab.
func (s *splitter) stepHeading(n *ast.Heading, line int) bool {
	underlined := !hashes.MatchString(s.lines[line])
	switch {
	case underlined:
		s.errorf(line+1, 0, "the line of - or = below makes this a heading: write an empty line between them, or ## Title {#id} for a step")
	case n.Level == 1:
		s.errorf(line+1, 0, "headings in a lab begin with ##: its title is in the front matter")
	}
	return n.Level == 2 && !underlined
}

func (s *splitter) headingText(n *ast.Heading) string {
	return strings.TrimSpace(string(n.Lines().Value(s.text)))
}

// nested looks for blocks of code in lists, quotes and the like.
func (s *splitter) nested(n ast.Node) {
	// The callback never returns an error.
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

// block files a block of code. nested says that it stands in a list, a quote or the like.
func (s *splitter) block(n *ast.FencedCodeBlock, nested bool) {
	open := s.lineOf(n)
	infoText := ""
	if n.Info != nil {
		infoText = string(n.Info.Segment.Value(s.text))
	}
	end := open + n.Lines().Len() + 1 // index of the line that closes the block
	if fence := s.fence(open); end >= len(s.lines) || !closes(s.lines[end], fence) {
		s.errorf(open+1, 0, "this fenced block never ends: a line %s is missing", fence)
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
		s.errorf(b.line, 0, "a %s block stands at the left margin, outside lists and quotes", in.Lang)
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

// fence returns the back-ticks or tildes that open the block of code on the line with the index.
func (s *splitter) fence(open int) string {
	line := s.lines[open]
	i := max(strings.IndexAny(line, "`~"), 0)
	return line[i : len(line)-len(strings.TrimLeft(line[i:], line[i:min(i+1, len(line))]))]
}

// closes reports whether a line closes a block that fence opened. It may stand in a quote.
func closes(line, fence string) bool {
	line = strings.Trim(strings.TrimLeft(line, " \t>"), " \t")
	return fence != "" && len(line) >= len(fence) && strings.Trim(line, fence[:1]) == ""
}

// heading makes the section that a heading begins.
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
		d.errorf(line, 0, "a step's heading ends in its anchor, for example {#%s}", slug[:min(len(slug), 40)])
	case !anchorOK.MatchString(s.anchor):
		d.errorf(line, 0, "the anchor %q may hold only a-z, 0-9 and -, at most 40", s.anchor)
	}
	if s.title == "" {
		d.errorf(line, 0, "this step has no title")
	}
	for _, other := range d.sections {
		if s.anchor != "" && other.anchor == s.anchor {
			d.errorf(line, 0, "two steps have the anchor %q: the first is in line %d", s.anchor, other.line)
		}
	}
	return s
}

// special files a block that is not part of the prose.
func (d *document) special(b *block) {
	if len(d.sections) == 0 {
		where := "below a ## heading"
		if d.part {
			where = "into " + labFile
		}
		d.errorf(b.line, 0, "a %s block belongs to a step: put it %s", b.info.Lang, where)
		return
	}
	s := d.sections[len(d.sections)-1]
	s.blocks = append(s.blocks, b)
}

// code files a block of the prose if a click runs or saves it.
func (d *document) code(b *block) {
	in := b.info
	// A click types what was proved here: the text of a file is looked at when pages are made.
	if in.File != "" && (in.Run || in.Save != "") {
		d.errorf(b.line, 0, "a block that shows a file can't be run or saved: for that its text stands in the block")
		return
	}
	if in.Run && in.Save != "" {
		d.errorf(b.line, 0, "a block is either run or saved, not both")
	}
	if !in.Run && in.Save == "" {
		return
	}
	if strings.TrimSpace(string(b.body)) == "" {
		d.errorf(b.line, 0, "this block is empty")
	}
	// Saving types a few words more than the file.
	if len(b.body) > MaxRunText-maxSaveWords {
		d.errorf(b.line, 0, "this block has %d bytes; a click can type %d", len(b.body), MaxRunText-maxSaveWords)
	}
	if in.Save != "" && !saveOK(in.Save) {
		d.errorf(b.line, 0, "save=%q must be a path below the home directory, as \"app/compose.yml\"", in.Save)
	}
	if len(d.sections) > 0 {
		s := d.sections[len(d.sections)-1]
		s.code = append(s.code, b)
	} else {
		d.loose = append(d.loose, b)
	}
}
