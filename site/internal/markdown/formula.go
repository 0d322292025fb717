package markdown

import (
	"bytes"
	"errors"
	"strings"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/mathml"
)

var kindFormula = ast.NewNodeKind("Formula")

// formula is a display formula between lines of $$.
type formula struct {
	ast.BaseBlock
	parts  []text.Segment
	at     int
	closed bool
}

func (n *formula) Kind() ast.NodeKind     { return kindFormula }
func (n *formula) Dump(src []byte, l int) { ast.DumpHelper(n, src, l, nil, nil) }
func (n *formula) IsRaw() bool            { return true }

var dollars = []byte("$$")

// formulaParser parses display formulas.
type formulaParser struct{}

// Trigger implements parser.BlockParser.
func (formulaParser) Trigger() []byte { return []byte{'$'} }

// Open implements parser.BlockParser. A formula must be closed before the next empty line, because
// prose may begin with $$, the shell's process id.
func (formulaParser) Open(_ ast.Node, reader text.Reader, pc parser.Context) (ast.Node, parser.State) {
	line, segment := reader.PeekLine()
	indent := len(line) - len(bytes.TrimLeft(line, " "))
	if !bytes.HasPrefix(line[indent:], dollars) {
		return nil, parser.NoChildren
	}
	start := segment.Start + indent - segment.Padding
	rest := line[indent+2:]
	n := &formula{at: start}
	switch i := bytes.Index(rest, dollars); {
	case i > 0 && len(bytes.TrimSpace(rest[i+2:])) == 0 && len(bytes.TrimSpace(rest[:i])) > 0:
		n.parts, n.closed = []text.Segment{text.NewSegment(start+2, start+2+i)}, true
	case i >= 0:
		return nil, parser.NoChildren
	case closesSoon(reader.Source()[segment.Stop:]):
		n.parts = []text.Segment{text.NewSegment(start+2, segment.Stop)}
	default:
		if st, ok := pc.Get(stateKey).(*state); ok && len(bytes.TrimSpace(rest)) == 0 {
			st.errorAt(start, `the formula is not closed by $$ before the next empty line; write \$\$ if none is meant`)
		}
		return nil, parser.NoChildren
	}
	reader.AdvanceToEOL()
	return n, parser.NoChildren
}

// closesSoon reports whether a line that ends in $$ follows before the next empty line.
func closesSoon(after []byte) bool {
	for line := range bytes.Lines(after[:min(len(after), mathml.MaxFormula)]) {
		line = bytes.TrimSpace(line)
		if len(bytes.TrimLeft(line, "> \t")) == 0 {
			return false
		}
		if i := bytes.Index(line, dollars); i >= 0 {
			return i == len(line)-2
		}
	}
	return false
}

// Continue implements parser.BlockParser.
func (formulaParser) Continue(node ast.Node, reader text.Reader, _ parser.Context) parser.State {
	n := node.(*formula)
	if n.closed {
		return parser.Close
	}
	line, segment := reader.PeekLine()
	if len(bytes.TrimSpace(line)) == 0 {
		return parser.Close
	}
	if i := bytes.Index(line, dollars); i >= 0 {
		segment.Stop, n.closed = segment.Start-segment.Padding+i, true
	}
	n.parts = append(n.parts, segment)
	reader.AdvanceToEOL()
	if n.closed {
		return parser.Close
	}
	return parser.Continue | parser.NoChildren
}

// Close implements parser.BlockParser.
func (formulaParser) Close(ast.Node, text.Reader, parser.Context) {}

// CanInterruptParagraph implements parser.BlockParser.
func (formulaParser) CanInterruptParagraph() bool { return true }

// CanAcceptIndentedLine implements parser.BlockParser.
func (formulaParser) CanAcceptIndentedLine() bool { return false }

// inlineFormulaParser parses $…$ and $$…$$ within a line.
type inlineFormulaParser struct{ r *Renderer }

// Trigger implements parser.InlineParser.
func (inlineFormulaParser) Trigger() []byte { return []byte{'$'} }

// Parse implements parser.InlineParser. The next $ decides whether there is a formula. This keeps
// the time linear: every byte is read at most twice.
func (f inlineFormulaParser) Parse(parent ast.Node, block text.Reader, pc parser.Context) ast.Node {
	st, ok := pc.Get(stateKey).(*state)
	if !ok || block.PrecendingCharacter() < 0x80 && isWord(byte(block.PrecendingCharacter())) {
		return nil
	}
	line, segment := block.PeekLine()
	mark := 1
	if bytes.HasPrefix(line, dollars) {
		mark = 2
	}
	if len(line) <= mark || line[mark] == '$' || isSpace(line[mark]) {
		return nil
	}
	startLine, startPos := block.Position()
	at := segment.Start
	parts, after, ok := inlineFormula(block, mark)
	if !ok || isWord(after) {
		block.SetPosition(startLine, startPos)
		return nil
	}
	if parent.Kind() == east.KindTableCell {
		parts = withoutPipeEscapes(parts, block.Source())
	}
	html, words := f.r.formula(st, parts, mark == 2, at)
	return &inlineFinished{html: html, plain: words, tex: string(join(parts, block.Source()))}
}

// inlineFormula reads to the closing mark and past it. It returns the TeX and the byte after the
// mark.
func inlineFormula(block text.Reader, mark int) (parts []text.Segment, after byte, ok bool) {
	block.Advance(mark)
	size, last := 0, byte('$')
	for {
		line, segment := block.PeekLine()
		if line == nil || size > mathml.MaxFormula {
			return nil, 0, false
		}
		for i := 0; i < len(line); i++ {
			switch c := line[i]; {
			case c == '\\':
				i++
			case c == '$':
				if mark == 2 && (i+1 >= len(line) || line[i+1] != '$') || isSpace(last) {
					return nil, 0, false
				}
				segment.Stop = segment.Start - segment.Padding + i
				if i+mark < len(line) {
					after = line[i+mark]
				}
				block.Advance(i + mark)
				return append(parts, segment), after, true
			}
			if i < len(line) {
				last = line[i]
			}
		}
		size += len(line)
		parts = append(parts, segment)
		block.AdvanceLine()
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// formula returns the MathML and the plain text of a formula. A formula with a mistake is reported
// and shown as code.
func (r *Renderer) formula(st *state, parts []text.Segment, display bool, at int) (html, words string) {
	tex := join(parts, st.req.Text)
	f, err := r.mathml.Convert(string(tex), display)
	if err == nil {
		if display {
			return f.MathML, " " + f.Text + " "
		}
		return f.MathML, f.Text
	}
	msg := err.Error()
	var e *mathml.Error
	if errors.As(err, &e) {
		if len(bytes.TrimSpace(tex)) > 0 {
			at = locate(parts, e.Offset, at)
		}
		if e.Name != "" {
			format := "%s"
			if strings.HasPrefix(msg, `\`) {
				format = `\%s`
			}
			msg += source.DidYouMeanAs(format, e.Name, r.mathml.Names())
		}
	}
	if !display {
		msg += `; write \$ for the sign of dollars if no formula is meant`
	}
	st.errorAt(at, "formula: %s", msg)
	return "<code>" + escape(string(tex)) + "</code>", string(tex)
}
