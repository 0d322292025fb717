package dialect

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// prove renders a page as the site will. Parts with mistakes become plain text: first the lines
// with mistakes, then their paragraphs, then the whole page. It returns the text and the ids of its
// headings.
func (c *conv) prove(text string) (string, []string) {
	lines := strings.Split(text, "\n")
	for try := range 4 {
		var mistakes source.List
		page := c.md.Render(markdown.Request{File: c.file, Line: 1, Text: []byte(uncoloured(lines)), Resolve: c.known, Include: included, Taken: c.taken}, &mistakes)
		ids := make([]string, 0, len(page.IDs))
		seen := map[string]bool{}
		for _, id := range page.IDs {
			if seen[id.Name] {
				mistakes.Add(&source.Error{Line: id.At.Line, Msg: fmt.Sprintf("the id %q is given twice", id.Name)})
			}
			seen[id.Name] = true
			ids = append(ids, id.Name)
		}
		if len(mistakes) == 0 {
			return strings.Join(lines, "\n"), ids
		}
		for _, m := range mistakes {
			n := min(max(m.Line, 1), len(lines)) - 1
			switch {
			case try < 2:
				from, to := n, n+1
				for ; try == 1 && from > 0 && strings.TrimSpace(lines[from-1]) != ""; from-- {
				}
				for ; try == 1 && to < len(lines) && strings.TrimSpace(lines[to]) != ""; to++ {
				}
				for i := from; i < to; i++ {
					lines[i] = literal(lines[i])
				}
			case try == 2:
				lines = verbatim(text)
			}
			if try == 0 || try == 2 {
				c.report(report.Fallback, syntax.Line{File: c.file}, "a part of the page becomes plain text, %q: %s", shorten(source.LineOf([]byte(text), n+1)), m.Msg)
			}
			if try == 2 {
				break
			}
		}
	}
	// This should never happen: a code block with a long enough fence has no mistakes.
	c.report(report.PageLeftOut, syntax.Line{File: c.file}, "the text is lost: it can't be shown")
	return "", nil
}

// included returns placeholders for included files, which are checked on their own.
func included(name string) (markdown.Included, error) {
	return markdown.Included{File: name, Resolve: func(string, bool) (string, error) { return "", nil }}, nil
}

// known is the site's link check, for files of this import.
func (c *conv) known(dest string, _ bool) (string, error) {
	if !c.src.Known(dest) {
		return "", fmt.Errorf("the link %q leads to nothing", dest)
	}
	return dest, nil
}

var fenceOpen = regexp.MustCompile("^([^`~]*(?:`{3,}|~{3,}))[ \\t]*([A-Za-z0-9_+#.-]+)([ \\t]*\\{[^`]*\\})?[ \\t]*$")

// uncoloured removes the languages of code blocks, because highlighting takes most of the rendering
// time and finds no mistakes. Diagrams keep theirs.
func uncoloured(lines []string) string {
	out := make([]string, len(lines))
	for i, l := range lines {
		if strings.Contains(l, ":::include ") { // the marks of the region are written later
			l, _, _ = strings.Cut(l, "#")
		}
		if strings.Contains(l, "```") || strings.Contains(l, "~~~") {
			if m := fenceOpen.FindStringSubmatch(l); m != nil && m[2] != diagramLang {
				l = m[1] + "text" + m[3]
			}
		}
		out[i] = l
	}
	return strings.Join(out, "\n")
}

var fenceInfo = regexp.MustCompile("^([ \\t>]*(?:`{3,}|~{3,})).*$")

// literal escapes a line so that Markdown shows it unchanged. A code fence only loses its info
// string.
func literal(s string) string {
	if m := fenceInfo.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	body := strings.TrimLeft(s, " \t>")
	var b strings.Builder
	b.WriteString(s[:len(s)-len(body)])
	for i := 0; i < len(body); i++ {
		ch := body[i]
		if ch == '\\' && i+1 < len(body) && isPunct(body[i+1]) {
			i++
			ch = body[i]
		}
		if isPunct(ch) {
			b.WriteByte('\\')
		}
		b.WriteByte(ch)
	}
	return b.String()
}

func isPunct(b byte) bool {
	return b >= '!' && b <= '/' || b >= ':' && b <= '@' || b >= '[' && b <= '`' || b >= '{' && b <= '~'
}

// verbatim returns the whole text as a code block.
func verbatim(text string) []string {
	fence := strings.Repeat("`", longestTicks(text, 2)+1)
	lines := append([]string{fence + "text"}, strings.Split(strings.TrimRight(text, "\n"), "\n")...)
	return append(lines, fence, "")
}
