// Package container converts blocks that contain other blocks: details, tabs, admonitions, JSX
// components, GitBook tags, folded callouts, and HTML blocks such as tables. Package dialect
// converts the text inside them.
package container

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/labd-dev/labd/site/internal/importer/markup"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
)

// Limits on the blocks of one page.
const (
	maxHTMLBlock = 256 << 10 // bytes of one table or list of HTML
	maxTabs      = 8         // of one set, as in a lesson
	maxTagLines  = 40        // lines of one tag
	maxNesting   = 12        // nesting depth of blocks
)

// containerKind is the kind of block that a container becomes in a lesson.
type containerKind uint8

const (
	fragment containerKind = iota // nothing: its content stays
	details
	tabs
	tab
	callout
)

// container is a block that contains others: <details>, tabs, an admonition, a component. kids are
// Lines and *containers.
type container struct {
	kind   containerKind
	name   string // that ends it: a tag's name, ":::" or "%" and a name of GitBook
	title  string
	word   string // of a callout: NOTE, TIP, …
	below  string // caption that is written after the content
	labels map[string]string
	prefix string // quotes and blanks before it
	at     syntax.Line
	jsx    bool // its content may be indented as code is
	kids   []any
}

// builder parses the lines of a page into a tree of containers.
type builder struct {
	*Page
	stack   []*container
	nesting int
	closed  map[string]bool // names of tags that are closed somewhere
	after   string          // what follows a block of HTML on its last line
}

// Source gives access to the rest of the source and receives reports.
type Source interface {
	// Embed returns the path by which :::include names a note, or a part of it; "" if it cannot be
	// included here.
	Embed(name, fragment string) string
	// Partial returns the path by which :::include names an imported file; "" if it cannot be
	// included here.
	Partial(file string) string
	// Report adds an entry about a line to the report.
	Report(kind report.Kind, at syntax.Line, msg string)
}

// Page is a page whose blocks are converted.
type Page struct {
	Format   syntax.Format
	Notation syntax.Notation
	Source   Source
	Partials map[string]string // files that the page imports, by the name of their component
}

func (p *Page) report(kind report.Kind, at syntax.Line, format string, args ...any) {
	p.Source.Report(kind, at, fmt.Sprintf(format, args...))
}

// Convert converts blocks of HTML, JSX, GitBook and ::: to those of a lesson. closed has the names
// of all tags that are closed somewhere on the page.
func (p *Page) Convert(lines []syntax.Line) (out []syntax.Line, closed map[string]bool) {
	closed = map[string]bool{}
	syntax.Blocks(lines, p.Notation, func(i, block int) {
		for _, m := range closeTag.FindAllStringSubmatch(lines[i].Text, -1) {
			if block == 0 {
				closed[m[1]] = true
			}
		}
	})
	return p.convert(lines, closed, 0), closed
}

// convert converts lines that are nested in depth folded callouts.
func (p *Page) convert(lines []syntax.Line, closed map[string]bool, nesting int) []syntax.Line {
	b := &builder{Page: p, nesting: nesting, closed: closed, stack: []*container{{}}}
	blocks := make([]int, len(lines))
	syntax.Blocks(lines, p.Notation, func(i, block int) { blocks[i] = block })
	for i := 0; i < len(lines); {
		if blocks[i] > 0 {
			b.add(lines[i])
			i++
			continue
		}
		i += b.line(lines[i:], blocks[i:])
	}
	for _, open := range b.stack[1:] {
		if open.kind != fragment {
			b.report(report.UnclosedBlock, open.at, "the block is not closed; it ends with the page")
		}
	}
	out, _ := b.emit(b.stack[0])
	return out
}

var closeTag = regexp.MustCompile(`</([A-Za-z][\w.-]*)\s*>`)

func (b *builder) top() *container { return b.stack[len(b.stack)-1] }
func (b *builder) add(kid any)     { b.top().kids = append(b.top().kids, kid) }

func (b *builder) open(n *container) {
	b.add(n)
	if len(b.stack) <= maxNesting {
		b.stack = append(b.stack, n)
	} else {
		n.kind = fragment
		b.report(report.BlockUnknown, n.at, "the block is nested too deep; its text stays")
	}
}

// close closes the innermost container with a name, and all containers inside it. It returns false
// if there is none.
func (b *builder) close(name string) bool {
	for i := len(b.stack) - 1; i > 0; i-- {
		if b.stack[i].name == name {
			b.stack = b.stack[:i]
			return true
		}
	}
	return false
}

var (
	lead       = regexp.MustCompile(`^((?:[ \t]*>)*[ \t]*)`)
	leadMarker = regexp.MustCompile(`^((?:[ \t]*>)*[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)`)
	liquid     = regexp.MustCompile(`^\{%[-+]?\s*(end)?([a-z-]+)\s*((?:[^%]|%[^}])*?)\s*[-+]?%\}`)
	liquidAttr = regexp.MustCompile(`([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')`)
	embedLine  = regexp.MustCompile(`^((?:[ \t]*>)*[ \t]*)!\[\[([^\]\[|#]+)(?:#([^\]\[|]*))?(?:\|[^\]\[]*)?\]\][ \t]*$`)
	htmlBlock  = regexp.MustCompile(`(?i)^<(table|ul|ol|dl|pre|h[1-6]|blockquote|figure)[\s>]`)
)

// line reads one line, or all lines of a construct that starts there, and returns their number.
func (b *builder) line(lines []syntax.Line, blocks []int) int {
	l := lines[0]
	if b.Format == syntax.Obsidian {
		if m := syntax.CalloutLine.FindStringSubmatch(l.Text); m != nil && m[4] == "-" && b.nesting < maxNesting {
			return b.fold(lines, m)
		}
		if m := embedLine.FindStringSubmatch(l.Text); m != nil {
			if to := b.Source.Embed(strings.TrimSpace(m[2]), m[3]); to != "" {
				b.add(raw(l, m[1]+":::include "+to))
				return 1
			}
		}
	}
	if m := syntax.ColonsLine.FindStringSubmatch(l.Text); m != nil && b.Format != syntax.Obsidian && b.colons(l, m) {
		return 1
	}
	if !strings.ContainsAny(l.Text, "<{") || strings.HasPrefix(strings.TrimLeft(l.Text, " \t>"), "|") || syntax.IsIndented(l.Text) && !b.Format.JSX() && len(b.stack) == 1 {
		b.add(l)
		return 1
	}
	return b.tags(lines, blocks)
}

// raw adds a line that is already in the syntax of a lesson.
func raw(at syntax.Line, text string) syntax.Line {
	at.Text, at.Raw = text, true
	return at
}

// fold converts a folded callout to a details block.
func (b *builder) fold(lines []syntax.Line, m []string) int {
	depth := strings.Count(m[1], ">")
	at := strings.LastIndexByte(m[1], '>')
	n := &container{kind: details, prefix: m[1][:at], at: lines[0], title: syntax.OneLine(syntax.Plain(m[5]))}
	if n.title == "" {
		n.title = syntax.Capital(strings.TrimSpace(m[2]))
	}
	b.report(report.FoldChanged, lines[0], "the folded callout %q becomes a block of details", m[2])
	end := 1
	var inner []syntax.Line
	for ; end < len(lines); end++ {
		l := lines[end]
		before, _ := syntax.CutQuotes(l.Text)
		if strings.Count(before, ">") < depth {
			break
		}
		seen := 0
		for i := range len(l.Text) {
			if l.Text[i] != '>' {
				continue
			}
			if seen++; seen == depth {
				l.Text = l.Text[:i] + strings.TrimPrefix(l.Text[i+1:], " ")
				break
			}
		}
		inner = append(inner, l)
	}
	for _, l := range b.convert(inner, b.closed, b.nesting+1) {
		n.kids = append(n.kids, l)
	}
	b.add(n)
	return end
}

// colons reads a line that starts with :::. It returns false if the line is not part of a block.
func (b *builder) colons(l syntax.Line, m []string) bool {
	name := strings.ToLower(m[3])
	if name == "" && strings.TrimSpace(m[4]) == "" {
		return b.close(":::")
	}
	if name == "" || strings.Contains(m[1], ">") {
		return false
	}
	title := strings.TrimSpace(m[4])
	if t, attrs, ok := strings.Cut(title, "{"); ok && strings.HasSuffix(title, "}") {
		title = strings.TrimSpace(t)
		if a := liquidAttr.FindStringSubmatch(attrs); a != nil && a[1] == "title" {
			title = cmp.Or(title, a[2]+a[3])
		}
	}
	title = syntax.OneLine(syntax.Plain(strings.TrimSuffix(strings.TrimPrefix(title, "["), "]")))
	n := &container{kind: callout, name: ":::", prefix: m[1], at: l, title: title, word: syntax.Callouts[name], jsx: b.Format.JSX()}
	switch {
	case name == "details":
		n.kind, n.title = details, cmp.Or(title, "Details")
	case name == "tabs" || name == "code-group" || name == "code-tabs":
		n.kind = fragment
	case n.word != "":
		n.title = cmp.Or(title, syntax.CalloutTitle(name, n.word))
	default:
		n.word = "NOTE"
		n.title = cmp.Or(title, syntax.Capital(name))
		b.report(report.BlockUnknown, l, "the block %q is unknown; it becomes a note", name)
	}
	b.open(n)
	return true
}

// tags reads a line with tags of HTML, JSX or GitBook.
func (b *builder) tags(lines []syntax.Line, blocks []int) int {
	used := 1
	l := lines[0]
	s := l.Text
	prefix := lead.FindString(s)
	from := 0 // s[:from] is done
	flush := func(to int) {
		if part := s[from:to]; strings.TrimSpace(part) != "" {
			if from > 0 {
				part = prefix + strings.TrimLeft(part, " \t")
			}
			t := l
			t.Text = part
			b.add(t)
		}
		from = to
	}
	for i := len(prefix); i < len(s); {
		switch ch := s[i]; {
		case ch == '\\':
			i += 2
			continue
		case ch == '`':
			i = syntax.SpanEnd(s, i)
			continue
		case ch == '{' && b.Format == syntax.GitBook && strings.HasPrefix(s[i:], "{%"):
			if m := liquid.FindStringSubmatch(s[i:min(len(s), i+markup.MaxTag)]); m != nil && b.liquid(l, prefix, m, func() { flush(i) }) {
				i += len(m[0])
				from = i
				continue
			}
			i++
			continue
		case ch != '<':
			i++
			continue
		}
		bare := strings.Trim(s[:i], " \t>") == "" || from > 0 && strings.TrimSpace(s[from:i]) == "" || leadMarker.FindString(s[:i]) == s[:i]
		if bare && htmlBlock.MatchString(s[i:]+" ") {
			if n := b.html(lines, blocks, used, s, i, func() { flush(i) }); n > 0 {
				used, s, from, i = n, "", 0, 0
				if rest := b.after; rest != "" {
					l = lines[n-1]
					s = prefix + rest
					i = len(prefix)
				}
				continue
			}
		}
		t, n := markup.ReadTag(s[i:])
		for more := used; n == 0 && bare && more < min(len(lines), used+maxTagLines) && blocks[more] == 0 && tagStart.MatchString(s[i:]); more++ {
			next := strings.TrimSpace(strings.TrimPrefix(lines[more].Text, prefix))
			if next == "" {
				break
			}
			if t, n = markup.ReadTag(joined(s[i:], lines[used:more], prefix, next)); n > 0 {
				s = s[:i] + joined(s[i:], lines[used:more], prefix, next)
				used = more + 1
			}
		}
		if n == 0 {
			i++
			continue
		}
		if skip := b.tag(l, prefix, t, s, i, n, bare, func() { flush(i) }); skip > 0 {
			i += skip
			from = i
			continue
		}
		i += n
	}
	if from == 0 && s == l.Text {
		b.add(l)
	} else {
		flush(len(s))
	}
	return used
}

var tagStart = regexp.MustCompile(`^<[A-Za-z][\w.]*(\s|$)`)

func joined(first string, between []syntax.Line, prefix, last string) string {
	var sb strings.Builder
	sb.WriteString(first)
	for _, l := range between {
		sb.WriteString(" " + strings.TrimSpace(strings.TrimPrefix(l.Text, prefix)))
	}
	return sb.String() + " " + last
}

// html converts a table or another HTML block that starts at s[i], in lines[used-1]. It returns the
// number of lines used, 0 if the block is not closed. after is the text behind the block on its
// last line.
func (b *builder) html(lines []syntax.Line, blocks []int, used int, s string, i int, flush func()) int {
	name := strings.ToLower(htmlBlock.FindStringSubmatch(s[i:] + " ")[1])
	prefix := lead.FindString(s)
	var src strings.Builder
	depth, end, rest := 0, 0, ""
	for j := used - 1; j < len(lines) && src.Len() < maxHTMLBlock; j++ {
		text := s[i:]
		if j >= used {
			if text = lines[j].Text; blocks[j] > 0 && name != "pre" {
				return 0
			}
			if strings.Contains(prefix, ">") {
				before, bare := syntax.CutQuotes(text)
				if !strings.Contains(before, ">") {
					return 0
				}
				text = bare
			}
		}
		low := strings.ToLower(text)
		for at := 0; at < len(low); {
			o, c := indexTag(low[at:], "<"+name), indexTag(low[at:], "</"+name)
			if o < 0 && c < 0 {
				break
			}
			if c < 0 || o >= 0 && o < c {
				depth++
				at += o + 1
				continue
			}
			depth--
			at += c + 2
			if depth == 0 {
				stop := strings.IndexByte(low[at:], '>')
				if stop < 0 {
					return 0
				}
				end, rest = j+1, text[at+stop+1:]
				text = text[:at+stop+1]
				break
			}
		}
		src.WriteString(text + "\n")
		if end > 0 {
			break
		}
	}
	if end == 0 {
		return 0
	}
	block, err := markup.Convert(src.String())
	if err != nil {
		return 0
	}
	at := lines[used-1]
	if block.Spans || block.Blocks || block.TooDeep {
		b.report(report.TableChanged, at, "the HTML has merged cells, or blocks in cells: they are written on one line")
	}
	first, others := leadMarker.FindString(s), prefix
	if len(first) > len(prefix) && strings.TrimSpace(s[:i]) == strings.TrimSpace(first) {
		others += strings.Repeat(" ", len(first)-len(prefix))
	} else {
		flush()
		first = prefix
		b.add(syntax.Line{Text: strings.TrimRight(prefix, " "), File: at.File, N: at.N, Src: at.Src})
	}
	for k, text := range block.Lines {
		if k == 0 {
			text = first + text
		} else {
			text = strings.TrimRight(others+text, " ")
		}
		b.add(syntax.Line{Text: text, File: at.File, N: at.N, Src: at.Src})
	}
	b.add(syntax.Line{Text: strings.TrimRight(others, " "), File: at.File, N: at.N, Src: at.Src})
	b.after = strings.TrimSpace(rest)
	return end
}

// indexTag finds the start of a tag with exactly this name.
func indexTag(s, tag string) int {
	for from := 0; ; {
		i := strings.Index(s[from:], tag)
		if i < 0 {
			return -1
		}
		i += from
		if end := i + len(tag); end == len(s) || strings.IndexByte(" \t\n>/", s[end]) >= 0 {
			return i
		}
		from = i + 1
	}
}

// emit returns the lines of a container, and the number of colons of the longest ::: line in them.
func (b *builder) emit(n *container) (out []syntax.Line, colons int) {
	var set []*container
	for _, kid := range n.kids {
		switch kid := kid.(type) {
		case syntax.Line:
			if kid.Raw {
				colons = max(colons, leadingColons(kid.Text))
			}
			out = append(out, kid)
		case *container:
			if n.kind == tabs && kid.kind == tab {
				set = append(set, kid)
				continue
			}
			lines, c := b.emit(kid)
			out, colons = append(out, lines...), max(colons, c)
		}
	}
	if n.jsx && n.kind != tabs {
		dedentAll(out, n.prefix)
	}
	empty := func() syntax.Line {
		return syntax.Line{Text: strings.TrimRight(n.prefix, " \t"), File: n.at.File, N: n.at.N, Src: n.at.Src}
	}
	switch n.kind {
	case fragment:
		if file := n.labels["file"]; file != "" && !titleFence(out, file) {
			n.title = cmp.Or(n.title, file)
		}
		if n.title != "" {
			l := empty()
			l.Text = n.prefix + "**" + syntax.Escape(n.title) + "**"
			out = append([]syntax.Line{empty(), l, empty()}, out...)
		}
	case tab: // outside of tabs
		if n.name != "" {
			l := empty()
			l.Text = n.prefix + "**" + syntax.Escape(n.title) + "**"
			out = append([]syntax.Line{empty(), l, empty()}, out...)
		}
	case details:
		colons = max(3, colons+1)
		mark := strings.Repeat(":", colons)
		out = slices.Concat([]syntax.Line{raw(n.at, n.prefix+mark+"details "+n.title)}, out, []syntax.Line{raw(n.at, n.prefix+mark)})
	case callout:
		quoted := []syntax.Line{empty(), {Text: n.prefix + strings.TrimRight("> [!"+n.word+"] "+n.title, " "), File: n.at.File, N: n.at.N, Src: n.at.Src}}
		for _, l := range out {
			l.Text = n.prefix + strings.TrimRight("> "+syntax.Dedent(strings.TrimPrefix(l.Text, n.prefix), len(n.prefix)), " ")
			quoted = append(quoted, l)
		}
		out = append(quoted, empty())
	case tabs:
		// Text between tabs goes before them. A set with too many tabs becomes several sets.
		for part := range slices.Chunk(set, maxTabs) {
			inner, most := []syntax.Line(nil), 0
			for _, t := range part {
				kind, name := t.kind, t.name
				t.kind, t.name = tab, ""
				lines, c := b.emit(t)
				t.kind, t.name = kind, name
				dedentAll(lines, n.prefix)
				t.kids, most = nil, max(most, c)
				for _, l := range lines {
					t.kids = append(t.kids, l)
				}
			}
			mark := strings.Repeat(":", max(3, most+1))
			for _, t := range part {
				inner = append(inner, raw(t.at, n.prefix+mark+"tab "+t.title))
				for _, kid := range t.kids {
					inner = append(inner, kid.(syntax.Line))
				}
				inner = append(inner, raw(t.at, n.prefix+mark))
			}
			colons = max(colons, len(mark)+1)
			out = slices.Concat(out, []syntax.Line{raw(n.at, n.prefix+mark+":tabs")}, inner, []syntax.Line{raw(n.at, n.prefix+mark+":")})
		}
	}
	if n.below != "" {
		l := empty()
		l.Text = n.prefix + n.below
		out = append(out, empty(), l, empty())
	}
	return out, colons
}

// titleFence gives the first code block a title if it has none. It returns false if there is no
// code block.
func titleFence(lines []syntax.Line, title string) bool {
	for i, l := range lines {
		if m := syntax.FenceLine.FindStringSubmatch(l.Text); m != nil && !l.Raw {
			if !strings.Contains(m[3], "title=") {
				title = strings.NewReplacer(`"`, "", "`", "", "{", "", "}", "").Replace(title)
				lines[i].Text = strings.TrimRight(l.Text, " ") + ` title="` + title + `"`
			}
			return true
		}
	}
	return false
}

func leadingColons(s string) int {
	_, s = syntax.CutQuotes(s)
	return len(s) - len(strings.TrimLeft(s, ":"))
}

// dedentAll reduces the common indentation of all lines to prefix. Indentation has no meaning in JSX.
func dedentAll(lines []syntax.Line, prefix string) {
	least := -1
	for _, l := range lines {
		if strings.TrimSpace(l.Text) == "" {
			continue
		}
		n := len(l.Text) - len(strings.TrimLeft(l.Text, " \t"))
		if least < 0 || n < least {
			least = n
		}
	}
	if least <= len(prefix) {
		return
	}
	for i, l := range lines {
		if strings.TrimSpace(l.Text) == "" {
			lines[i].Text = ""
			continue
		}
		lines[i].Text = prefix + l.Text[least:]
	}
}
