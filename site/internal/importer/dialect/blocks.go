package dialect

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/labd-dev/labd/internal/fence"
	"github.com/labd-dev/labd/site/internal/importer/markup"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/markdown"
)

var (
	importLine    = regexp.MustCompile(`^(?:import\s+(?:[\w*{].*\sfrom\s+)?['"]|export\s+(?:const|default|function|let|class)\b)`)
	partialImport = regexp.MustCompile(`^import\s+(\w+)\s+from\s+['"]([^'"]+\.mdx?)['"]`)
	blockID       = regexp.MustCompile(`(?:^|[ \t])\^[A-Za-z0-9-]+[ \t]*$`)
	atxHeading    = regexp.MustCompile(`^((?:[ \t]*>)* {0,3})(#{1,6})([ \t]+.*)$`)
)

// dropImports removes the JavaScript lines of an MDX page.
func (c *conv) dropImports(lines []syntax.Line) []syntax.Line {
	var out []syntax.Line
	inside, list, wasCode, indent := false, false, false, 0
	syntax.Blocks(lines, c.notation, func(i, block int) {
		code := block > 0
		l := lines[i]
		trimmed := strings.TrimSpace(l.Text)
		if code && !wasCode {
			indent = len(l.Text) - len(strings.TrimLeft(l.Text, " \t"))
		}
		wasCode = code
		if m := partialImport.FindStringSubmatch(l.Text); m != nil && !code && !inside {
			c.partials[m[1]] = m[2]
			l.Text, trimmed = "", ""
		}
		if !code && (inside || importLine.MatchString(l.Text)) {
			if trimmed != "" && !strings.HasPrefix(trimmed, "import ") {
				c.report(report.CodeImport, l, "JavaScript is lost")
			}
			inside = trimmed != "" && !strings.HasSuffix(trimmed, ";") && !strings.HasSuffix(trimmed, "'") && !strings.HasSuffix(trimmed, `"`)
			l.Text, trimmed = "", ""
		}
		// MDX has no indented code blocks, and text inside components is often indented.
		if syntax.ListItem.MatchString(l.Text) {
			list = true
		} else if trimmed != "" && l.Text[0] != ' ' && l.Text[0] != '\t' {
			list = false
		}
		if !list && !code {
			l.Text = strings.TrimLeft(l.Text, " \t")
		} else if !list {
			l.Text = syntax.Dedent(l.Text, indent)
		}
		out = append(out, l)
	})
	return out
}

// shiftHeadings changes heading levels so that the highest is level 2, because level 1 is the
// page's title. It removes duplicate ids, and notes which heading stands for other link targets.
func (c *conv) shiftHeadings(lines []syntax.Line) {
	shift := false
	seen := map[string]bool{}
	headings, highest := 0, 7
	var waiting []string // anchors that no heading or text has followed yet
	syntax.Blocks(lines, c.notation, func(i, block int) {
		code := block > 0
		m := atxHeading.FindStringSubmatch(lines[i].Text)
		if !code {
			for _, name := range c.targets(lines[i].Text) {
				waiting = append(waiting, name)
				c.anchors[name] = headings - 1
			}
			if m == nil && i+1 < len(lines) && underline.MatchString(lines[i+1].Text) && isParagraph(lines, i) {
				mark := map[bool]string{true: "# ", false: "## "}[strings.HasPrefix(strings.TrimSpace(lines[i+1].Text), "=")]
				lines[i].Text, lines[i+1].Text = mark+strings.TrimSpace(lines[i].Text), ""
				m = atxHeading.FindStringSubmatch(lines[i].Text)
			}
		}
		if m == nil && strings.TrimSpace(syntax.AnyTag.ReplaceAllString(lines[i].Text, "")) != "" {
			waiting = nil
		}
		if code || m == nil {
			return
		}
		for _, name := range waiting {
			c.anchors[name] = headings
		}
		waiting = nil
		headings++
		if h := headingID.FindStringSubmatch(m[3]); h != nil {
			text := strings.TrimRight(headingID.ReplaceAllString(m[3], ""), " \t")
			if id := markdown.Slug(h[1]); id == "" || seen[id] {
				c.report(report.HeadingID, lines[i], "the id %q of the heading is lost: it is given twice, or has no letters", h[1])
			} else {
				if seen[id] = true; id != h[1] {
					c.report(report.HeadingID, lines[i], "the id %q of the heading becomes %q", h[1], id)
				}
				text += " {#" + id + "}"
			}
			m[3] = text
			lines[i].Text = m[1] + m[2] + text
		}
		highest = min(highest, len(m[2]))
		if len(m[2]) == 1 && !shift {
			shift = true
			c.report(report.HeadingsMoved, lines[i], "the headings of the page move down one level: the first is the page's title")
		}
	})
	by := 0
	if shift {
		by = 1
	} else if highest > 2 && highest < 7 { // the title was a heading, and those below it are too deep now
		by = 2 - highest
	}
	if by == 0 {
		return
	}
	syntax.Blocks(lines, c.notation, func(i, block int) {
		if m := atxHeading.FindStringSubmatch(lines[i].Text); block == 0 && m != nil {
			lines[i].Text = m[1] + strings.Repeat("#", min(len(m[2])+by, 6)) + m[3]
		}
	})
}

// Heading is a heading of a converted page.
type Heading struct {
	Line, Level int
	Quoted      bool // it stands within a quote or is indented
}

// Headings returns the headings of a converted page, in order.
func Headings(page []string) []Heading {
	lines := make([]syntax.Line, len(page))
	for i, l := range page {
		lines[i].Text = l
	}
	var out []Heading
	syntax.Blocks(lines, syntax.Notation{Display: true}, func(i, block int) {
		if m := atxHeading.FindStringSubmatch(page[i]); m != nil && block == 0 {
			out = append(out, Heading{i, len(m[2]), m[1] != ""})
		}
	})
	return out
}

// targets returns the link targets in a line of text: those of <a id>, <a name>, <span id> and
// <div id>.
func (c *conv) targets(s string) []string {
	var out []string
	for i := 0; i < len(s) && len(out) < 20; {
		at := strings.IndexByte(s[i:], '<')
		if at < 0 {
			break
		}
		i += at
		t, n := markup.ReadTag(s[i:min(len(s), i+markup.MaxTag)])
		if n == 0 {
			i++
			continue
		}
		if name := t.Attr("id", "name"); name != "" && slices.Contains([]string{"a", "span", "div", "p", "section"}, t.Low) {
			out = append(out, name)
		}
		i += n
	}
	return out
}

// blocks converts code blocks and text in turn.
func (c *conv) blocks(lines []syntax.Line) {
	var text, code []syntax.Line
	flushText := func() {
		if len(text) > 0 {
			c.text(text)
			text = nil
		}
	}
	flushCode := func() {
		if len(code) > 0 {
			c.code(code)
			code = nil
		}
	}
	list, blank, indented := false, true, false
	last := 0
	syntax.Blocks(lines, c.notation, func(i, block int) {
		l := lines[i]
		if block > 0 {
			flushText()
			if block != last {
				flushCode()
			}
			last = block
			code = append(code, l)
			blank = false
			return
		}
		flushCode()
		if l.Raw {
			flushText()
			c.out = append(c.out, l.Text)
			list, blank, indented = false, true, false
			return
		}
		trimmed := strings.TrimSpace(l.Text)
		switch {
		case trimmed == "":
		case syntax.ListItem.MatchString(l.Text) && !indented:
			list = true
		case l.Text[0] != ' ' && l.Text[0] != '\t' && blank:
			list = false
		}
		deep := strings.HasPrefix(l.Text, "    ") || strings.HasPrefix(l.Text, "\t")
		indented = trimmed != "" && deep && !list && (blank || indented)
		blank = trimmed == ""
		if indented && !c.format.JSX() {
			flushText()
			c.out = append(c.out, l.Text)
			return
		}
		if l.Text = c.lineBlocks(l); !indented {
			text = append(text, l)
		}
	})
	flushText()
	flushCode()
}

// closes reports whether last is the closing fence for first.
func closes(first, last string) bool {
	m := syntax.FenceLine.FindStringSubmatch(first)
	if m == nil {
		return false
	}
	t := strings.TrimSpace(strings.TrimLeft(last, "> \t"))
	return len(t) >= len(m[2]) && strings.Trim(t, m[2][:1]) == ""
}

// lineBlocks converts constructs that take up a whole line.
func (c *conv) lineBlocks(l syntax.Line) string {
	if m := syntax.CalloutLine.FindStringSubmatch(l.Text); m != nil {
		word := strings.TrimSpace(m[2])
		kind, ok := syntax.Callouts[strings.ToLower(word)]
		if !ok {
			kind = "NOTE"
		}
		title := syntax.OneLine(syntax.Plain(m[5]))
		if !strings.EqualFold(word, kind) { // the reader saw the word, so it stays
			c.report(report.CalloutKind, l, "the callout %q becomes %s", word, kind)
			title = cmp.Or(title, syntax.Capital(word))
		}
		return strings.TrimRight(m[1]+"[!"+kind+"] "+title, " ")
	}
	if m := syntax.ColonsLine.FindStringSubmatch(l.Text); m != nil {
		return m[1] + `\` + l.Text[len(m[1]):]
	}
	if c.format == syntax.Obsidian {
		if at := blockID.FindStringIndex(l.Text); at != nil {
			c.report(report.BlockMark, l, "the mark of a block is lost: links lead to headings only")
			return l.Text[:at[0]]
		}
	}
	return l.Text
}

// diagramLang is the language of code blocks that a course renders as diagrams. Other tools use the
// word for other things.
const diagramLang = "diagram"

// code converts a display formula or a code block: its info string and, in some formats, its lines.
func (c *conv) code(lines []syntax.Line) {
	m := syntax.FenceLine.FindStringSubmatch(lines[0].Text)
	if m == nil {
		c.displayed(lines)
		return
	}
	prefix, fence := m[1], m[2]
	closed := len(lines) > 1 && closes(lines[0].Text, lines[len(lines)-1].Text)
	inner := lines[1:]
	if closed {
		inner = lines[1 : len(lines)-1]
	}
	in := c.info(m[3], lines[0])
	switch c.format {
	case syntax.Obsidian:
		if slices.Contains([]string{"dataview", "dataviewjs", "tasks", "query", "button", "base", "kanban", "excalidraw", "tracker", "templater"}, strings.ToLower(in.lang)) {
			c.report(report.QueryRemoved, lines[0], "the %s block is lost, with %d lines: a course runs no queries", in.lang, len(inner))
			c.out = append(c.out, "")
			return
		}
	case syntax.Docusaurus, syntax.Starlight:
		inner = c.magicComments(inner, &in)
	case syntax.MDBook:
		if in.lang == "rust" {
			inner = c.hiddenLines(inner, prefix)
		}
	}
	if in.lang == "mermaid" || in.lang == "math" || in.lang == diagramLang {
		c.report(report.DiagramAsText, lines[0], "the %s block is shown as its source", in.lang)
	}
	if in.lang == diagramLang {
		in.lang = "text"
	}
	c.out = append(c.out, prefix+fence+in.String())
	for _, l := range inner {
		c.out = append(c.out, l.Text)
	}
	if closed {
		c.out = append(c.out, lines[len(lines)-1].Text)
	} else {
		c.report(report.UnclosedBlock, lines[0], "the code is not closed")
		c.out = append(c.out, strings.Repeat(">", strings.Count(prefix, ">"))+fence)
	}
}

// info is the info string of a code block in a course.
type info struct {
	lang, title, marks string
	numbers            int
}

func (in info) String() string {
	var attrs []string
	if in.title != "" {
		attrs = append(attrs, `title="`+in.title+`"`)
	}
	if in.numbers > 0 {
		attrs = append(attrs, "numbers="+strconv.Itoa(in.numbers))
	}
	if in.marks != "" {
		attrs = append(attrs, in.marks)
	}
	if len(attrs) == 0 {
		return in.lang
	}
	lang := in.lang
	if lang == "" {
		lang = "text"
	}
	return lang + " {" + strings.Join(attrs, " ") + "}"
}

var (
	infoWord  = regexp.MustCompile(`[^\s,{}"'=]+=(?:"[^"]*"|'[^']*'|[^\s,{}]*)|\{[^{}]*\}|[^\s,{}]+`)
	lineList  = regexp.MustCompile(`^\d{1,6}(?:-\d{1,6})?(?:,\d{1,6}(?:-\d{1,6})?)*$`)
	plainLang = regexp.MustCompile(`^[A-Za-z0-9_+#.-]{1,40}$`)
)

// info parses the info string of a code block. It reports what has no equivalent.
func (c *conv) info(s string, at syntax.Line) info {
	var in info
	for i, word := range infoWord.FindAllString(s, 64) {
		key, value, hasValue := strings.Cut(word, "=")
		switch {
		case strings.HasPrefix(word, "{"):
			marks := strings.ReplaceAll(strings.Trim(word, "{} "), " ", "")
			if lineList.MatchString(marks) {
				if _, err := fence.Parse("x {" + marks + "}"); err == nil {
					in.marks = marks
					continue
				}
			}
			if lang := strings.TrimPrefix(strings.Trim(word, "{} "), "."); i == 0 && plainLang.MatchString(lang) {
				in.lang = lang
				continue
			}
			c.report(report.CodeAttribute, at, "%s after the language is lost", word)
		case i == 0 && plainLang.MatchString(word):
			in.lang = word
		case key == "title" && hasValue:
			in.title = syntax.OneLine(strings.Map(func(r rune) rune {
				if strings.ContainsRune("\"'`{}", r) {
					return -1
				}
				return r
			}, value))
		case key == "showLineNumbers":
			in.numbers = 1
			if n, err := strconv.Atoi(value); err == nil && n > 0 && n < 1_000_000 {
				in.numbers = n
			}
		default:
			c.report(report.CodeAttribute, at, "%q after the language is lost", word)
		}
	}
	return in
}

// magicComments converts Docusaurus comments that highlight lines to line numbers in the info
// string.
func (c *conv) magicComments(lines []syntax.Line, in *info) []syntax.Line {
	var out []syntax.Line
	var marks []string
	next, inside := false, false
	for _, l := range lines {
		t := strings.Trim(l.Text, "/*#<!->{};% \t")
		switch t {
		case "highlight-next-line":
			next = true
			continue
		case "highlight-start", "highlight-end":
			inside = t == "highlight-start"
			continue
		}
		out = append(out, l)
		if next || inside {
			marks = append(marks, strconv.Itoa(len(out)))
		}
		next = false
	}
	if len(marks) > 0 {
		if in.marks != "" {
			marks = append([]string{in.marks}, marks...)
		}
		in.marks = strings.Join(marks, ",")
	}
	return out
}

// hiddenLines removes the lines that mdBook hides from readers.
func (c *conv) hiddenLines(lines []syntax.Line, prefix string) []syntax.Line {
	var out []syntax.Line
	for _, l := range lines {
		bare := strings.TrimLeft(l.Text, "> \t")
		switch {
		case bare == "#" || strings.HasPrefix(bare, "# "):
			c.report(report.CodeHidden, l, "a hidden line of code is left out")
			continue
		case strings.HasPrefix(bare, "##"):
			l.Text = l.Text[:len(l.Text)-len(bare)] + bare[1:]
		}
		out = append(out, l)
	}
	return out
}
