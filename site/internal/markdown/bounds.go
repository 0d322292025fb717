package markdown

import (
	"bytes"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// bounded refuses a text that would take its parser too long, before it does.
func (st *state) bounded() bool {
	notes, references, at := 0, 0, 0
	for line := range bytes.Lines(st.req.Text) {
		if nesting(line) > maxNesting {
			st.errorAt(at, "more than %d quotes or lists within each other", maxNesting)
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
			st.errorAt(at, "a text has at most %d lines that name links", maxReferences)
			return false
		}
		at += len(line)
	}
	return true
}

// nesting is how deep the last quote or list is that a line begins with, if any; two spaces are a level.
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

// definition says whether a line defines a footnote or a link.
func definition(line []byte) (note, ok bool) {
	line = bytes.TrimLeft(line, " \t>")
	if len(line) < 2 || line[0] != '[' || !bytes.Contains(line[:min(len(line), 200)], []byte("]:")) {
		return false, false
	}
	return line[1] == '^', true
}

// bracketParser stands before the parser of links, and takes the brackets that are too many for it.
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
		st.errorAt(segment.Start, "more than %d [ in a paragraph; part it by empty lines", maxBrackets)
	}
	block.Advance(1)
	return ast.NewTextSegment(text.NewSegment(segment.Start, segment.Start+1))
}
