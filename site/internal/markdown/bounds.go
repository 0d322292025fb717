package markdown

import (
	"bytes"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// bounded reports whether the text is within the limits that keep goldmark's parser fast. It runs
// before the parser.
func (st *state) bounded() bool {
	notes, references, at := 0, 0, 0
	for line := range bytes.Lines(st.req.Text) {
		if nesting(line) > maxNesting {
			st.errorAt(at, "more than %d nested quotes or lists", maxNesting)
			return false
		}
		if note, ok := definition(line); ok && note {
			notes++
		} else if ok {
			references++
		}
		if notes > maxFootnotes {
			st.errorAt(at, "a text has at most %d footnotes", maxFootnotes)
			return false
		}
		if references > maxReferences {
			st.errorAt(at, "a text has at most %d link references", maxReferences)
			return false
		}
		at += len(line)
	}
	return true
}

// nesting returns the depth of quotes and lists at the start of a line. Two leading spaces count as
// a level.
func nesting(line []byte) int {
	n, spaces := 0, 0
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == ' ' || c == '\t':
			if n == 0 {
				spaces++
			}
			i++
			continue
		case c == '>':
			i++
		case (c == '-' || c == '*' || c == '+' || c == ':') && i+1 < len(line) && isSpace(line[i+1]):
			i += 2
		case c >= '0' && c <= '9':
			for i < len(line) && line[i] >= '0' && line[i] <= '9' {
				i++
			}
			if i+1 >= len(line) || line[i] != '.' && line[i] != ')' || !isSpace(line[i+1]) {
				return n
			}
			i += 2
		default:
			return n
		}
		if n++; n == 1 {
			n += spaces / 2
		}
	}
	return n
}

// definition reports whether a line defines a footnote (note) or a link reference.
func definition(line []byte) (note, ok bool) {
	line = bytes.TrimLeft(line, " \t>")
	if len(line) < 2 || line[0] != '[' || !bytes.Contains(line[:min(len(line), 200)], []byte("]:")) {
		return false, false
	}
	return line[1] == '^', true
}

// bracketParser runs before goldmark's link parser, which takes quadratic time for unmatched
// brackets. It turns brackets beyond the limit into text.
type bracketParser struct{}

// Trigger implements parser.InlineParser.
func (bracketParser) Trigger() []byte { return []byte{'!', '[', ']'} }

// Parse implements parser.InlineParser.
func (bracketParser) Parse(parent ast.Node, block text.Reader, pc parser.Context) ast.Node {
	st, ok := pc.Get(stateKey).(*state)
	if !ok {
		return nil
	}
	line, segment := block.PeekLine()
	if line[0] == '!' && (len(line) < 2 || line[1] != '[') {
		return nil
	}
	if st.block != parent {
		st.block, st.brackets = parent, [2]int{}
	}
	count := &st.brackets[0]
	if line[0] == ']' {
		count = &st.brackets[1]
	}
	if *count++; *count <= maxBrackets {
		return nil // for the parser of links
	}
	if line[0] != ']' && *count == maxBrackets+1 {
		st.errorAt(segment.Start, "more than %d [ in a paragraph; split it with empty lines", maxBrackets)
	}
	block.Advance(1)
	return ast.NewTextSegment(text.NewSegment(segment.Start, segment.Start+1))
}
