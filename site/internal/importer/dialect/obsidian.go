package dialect

import (
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
)

// comment is the position of a %%: line, and byte in the line.
type comment struct{ line, at int }

// dropComments removes %%comments%%. A comment that starts a line may contain several paragraphs
// and code; any other ends with its paragraph. An unclosed %%, or one in code, is text.
func (c *conv) dropComments(lines []syntax.Line) []syntax.Line {
	var marks []comment
	blocks := make([]int, len(lines))
	syntax.Blocks(lines, c.notation, func(i, block int) {
		if blocks[i] = block; block == 0 {
			for _, at := range commentMarks(lines[i].Text) {
				marks = append(marks, comment{i, at})
			}
		}
	})
	if len(marks) == 0 {
		return lines
	}
	var out []syntax.Line
	from := comment{} // what is before it is done
	keep := func(to comment) {
		for i := from.line; i <= to.line && i < len(lines); i++ {
			l := lines[i]
			begin, end := 0, len(l.Text)
			if i == from.line {
				begin = from.at
			}
			if i == to.line {
				end = to.at
			}
			l.Text = l.Text[min(begin, end):end]
			if i == from.line && begin > 0 && len(out) > 0 {
				out[len(out)-1].Text += l.Text
				continue
			}
			out = append(out, l)
		}
	}
	for i := 0; i < len(marks); i++ {
		open := marks[i]
		block := strings.Trim(lines[open.line].Text[:open.at], " \t>") == ""
		if i+1 == len(marks) || !block && !sameParagraph(lines, blocks, open.line, marks[i+1].line) {
			continue
		}
		end := marks[i+1]
		c.report(report.CommentRemoved, lines[open.line], "a comment is left out")
		keep(open)
		from = comment{end.line, end.at + 2}
		i++
	}
	keep(comment{len(lines) - 1, len(lines[len(lines)-1].Text)})
	return out
}

// sameParagraph reports whether two lines belong to one paragraph.
func sameParagraph(lines []syntax.Line, blocks []int, from, to int) bool {
	for i := from; i <= to; i++ {
		if blocks[i] > 0 || strings.Trim(lines[i].Text, " \t>") == "" {
			return false
		}
	}
	return true
}

// commentMarks finds the %% of a line outside of code.
func commentMarks(s string) []int {
	var out []int
	for i := 0; i < len(s); {
		switch {
		case s[i] == '`':
			i = syntax.SpanEnd(s, i)
		case s[i] == '\\':
			i += 2
		case strings.HasPrefix(s[i:], "%%"):
			out = append(out, i)
			i += 2
		default:
			i++
		}
	}
	return out
}

// hardBreaks turns line breaks within paragraphs into hard breaks, because Obsidian shows them.
func hardBreaks(page string, notation syntax.Notation) string {
	src := []byte(page)
	lines := strings.Split(page, "\n")
	parts := make([]syntax.Line, len(lines))
	for i, l := range lines {
		parts[i].Text = l
	}
	skip := make([]bool, len(lines)) // lines that no break stands at the end of
	syntax.Blocks(parts, notation, func(i, block int) {
		_, bare := syntax.CutQuotes(lines[i])
		if block == 0 && !strings.HasPrefix(bare, ":::") && !syntax.CalloutLine.MatchString(lines[i]) {
			return
		}
		if skip[i] = true; i > 0 && !syntax.CalloutLine.MatchString(lines[i]) {
			skip[i-1] = true
		}
	})
	starts := make([]int, len(lines))
	for i, at := 0, 0; i < len(lines); i++ {
		starts[i] = at
		at += len(lines[i]) + 1
	}
	line := 0
	breaks := make([]bool, len(lines))
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList)).Parser().Parse(text.NewReader(src))
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // no error is ever returned
		t, ok := n.(*ast.Text)
		if !entering || !ok || !t.SoftLineBreak() || t.HardLineBreak() {
			return ast.WalkContinue, nil
		}
		if t.Segment.Stop < starts[line] { // footnotes come last, wherever they stand
			line = 0
		}
		for line+1 < len(starts) && starts[line+1] <= t.Segment.Stop {
			line++
		}
		breaks[line] = true
		return ast.WalkContinue, nil
	})
	for i := range lines {
		if breaks[i] && !skip[i] {
			lines[i] = strings.TrimRight(lines[i], " \t") + `\`
		}
	}
	return strings.Join(lines, "\n")
}
