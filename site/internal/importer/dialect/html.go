package dialect

import (
	"cmp"
	"html"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labd-dev/labd/site/internal/importer/container"
	"github.com/labd-dev/labd/site/internal/importer/markup"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
)

// elements are the HTML elements whose tags are dropped and whose text stays. Other names in <> are
// text.
var elements = strings.Fields(`a abbr address article aside b bdi bdo big blockquote body br button caption center cite code col
colgroup data dd del details dfn dialog div dl dt em fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6
header hgroup hr html i img input ins kbd label legend li link main map mark marquee menu meta meter nav ol optgroup option
output p param picture pre progress q rp rt ruby s samp search section select slot small source span strike strong sub summary sup
table tbody td tfoot th thead time tr track tt u ul var wbr`)

// removed are the elements that are removed with their content. embedded are those that can become
// a link.
var (
	removed  = []string{"script", "style", "iframe", "object", "embed", "noscript", "template", "svg", "math", "textarea", "title", "head", "applet", "audio", "video", "canvas", "base", "noembed", "noframes", "plaintext", "xmp"}
	embedded = []string{"iframe", "video", "audio", "embed", "object"}
)

// marks are the elements with a Markdown equivalent.
var marks = map[string]string{"b": "**", "strong": "**", "mark": "**", "i": "*", "em": "*", "cite": "*", "dfn": "*", "s": "~~", "del": "~~", "strike": "~~"}

var autoLink = regexp.MustCompile(`^<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*|[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]+@[A-Za-z0-9.-]+)>`)

// angle converts text that starts with <: comments, links, tags.
func (s *scanner) angle(i, to int) int {
	rest := s.s[i:to]
	at := s.line(i)
	if strings.HasPrefix(rest, "<!--") {
		if !s.unclosed["-->"] {
			if end := strings.Index(rest, "-->"); end >= 0 {
				if end > len("<!--") && strings.TrimSpace(rest[4:end]) != "" {
					s.report(report.CommentRemoved, at, "a comment is left out")
				}
				return end + 3
			}
			s.unclosed["-->"] = true
		}
		s.b.WriteString(`\<`)
		return 1
	}
	if m := autoLink.FindStringSubmatch(rest[:min(len(rest), maxConstruct)]); m != nil {
		dest := m[1]
		if !strings.Contains(dest, ":") {
			dest = "mailto:" + dest
		}
		if t := s.src.Resolve(dest); t.URL != "" {
			s.b.WriteString("[" + syntax.Escape(m[1]) + "](" + t.URL + ")")
		} else {
			s.lost(at, t)
			s.b.WriteString(syntax.Escape(m[1]))
		}
		return len(m[0])
	}
	t, n := markup.ReadTag(rest[:min(len(rest), maxConstruct)])
	switch {
	case n == 0:
		s.b.WriteString(`\<`)
		return 1
	case t.Component() && s.format.JSX() || s.isComponent(t):
		s.component(at, t)
		return n
	case slices.Contains(removed, t.Low):
		return s.remove(i, to, t, n)
	case !slices.Contains(elements, t.Low):
		s.report(report.ShownAsText, at, "%s is shown as text", shorten(rest[:n]))
		s.b.WriteString(`\<`)
		return 1
	}
	if used := s.element(i, to, t, n); used > 0 {
		return used
	}
	if !t.Close {
		s.report(report.Styling, at, "the tag %s is dropped; the text in it stays", shorten(rest[:n]))
	}
	switch t.Low {
	case "td", "th", "li", "dt", "dd", "p", "div", "tr":
		if len(rest) > n && !isBlank(rest[n]) && !s.ends(" ", "\n") && s.b.Len() > 0 {
			s.b.WriteByte(' ')
		}
	}
	return n
}

// isComponent reports whether a tag that is not HTML is a component, and not text such as Vec<T>.
func (s *scanner) isComponent(t markup.Tag) bool {
	if t.Name == "" || slices.Contains(elements, t.Low) || slices.Contains(removed, t.Low) {
		return false
	}
	return t.Attrs() > 0 && t.Attr("=") == "" && s.valued(t) || t.Empty || s.closed[t.Name] || t.Close && s.closed[t.Name]
}

// valued reports whether an attribute of a tag has a value. <your name> has none, so it is text.
func (s *scanner) valued(t markup.Tag) bool {
	return t.Attr("class", "id", "title", "name", "href", "src", "file-name", "number", "caption", "label", "type", "text", "value") != ""
}

// remove removes an element with its content. A frame or video from another page becomes a link to
// it.
func (s *scanner) remove(i, to int, t markup.Tag, n int) int {
	at := s.line(i)
	if t.Close {
		s.report(report.ElementRemoved, at, "<%s> is lost", t.Low)
		return n
	}
	src := t.Attr("src", "data")
	end := -1
	if !t.Empty {
		end = s.closing(s.s[i+n:to], t.Low)
	}
	if src == "" && end > 0 && slices.Contains(embedded, t.Low) {
		if at := strings.Index(s.s[i+n:i+n+end], "<source"); at >= 0 {
			inner, _ := markup.ReadTag(s.s[i+n+at : min(to, i+n+at+maxConstruct)])
			src = inner.Attr("src")
		}
	}
	if src != "" && slices.Contains(embedded, t.Low) {
		if target := s.src.Resolve(src); target.URL != "" {
			s.report(report.ElementChanged, at, "<%s> becomes a link", t.Low)
			s.b.WriteString("[" + syntax.Escape(cmp.Or(syntax.OneLine(syntax.Plain(t.Attr("title"))), src)) + "](" + target.URL + ")")
			return n + max(end, 0)
		}
	}
	if end < 0 {
		s.report(report.ElementRemoved, at, "<%s> is lost", t.Low)
		return n
	}
	s.report(report.ElementRemoved, at, "<%s> is lost, with what is in it", t.Low)
	return n + end
}

// element converts a tag that has an equivalent in lessons. It returns the number of bytes used, 0
// if there is no equivalent.
func (s *scanner) element(i, to int, t markup.Tag, n int) int {
	at := s.line(i)
	if t.Close {
		return 0
	}
	switch t.Low {
	case "img":
		dest := t.Attr("src")
		if t.Attr("width") != "" || t.Attr("height") != "" {
			s.report(report.PictureSize, at, "the size of the picture is lost")
		}
		s.picture(at, t.Attr("alt"), dest, t.Attr("title"), s.src.Resolve(dest))
		return n
	case "br":
		return n + s.lineBreak(i, i+n, to)
	case "hr":
		s.b.WriteByte(' ')
		return n
	case "wbr", "source", "col", "link", "meta":
		return n
	case "input":
		if t.Attr("type") == "checkbox" {
			s.b.WriteString(map[bool]string{true: "☑ ", false: "☐ "}[t.Has("checked")])
			return n
		}
		return 0
	}
	end, stop := s.inside(i+n, to, t.Low)
	if end < 0 {
		return 0
	}
	inner := s.s[i+n : end]
	switch low := t.Low; low {
	case "a":
		return s.anchor(i, to, t, n, end, stop)
	case "b", "strong", "mark", "i", "em", "cite", "dfn", "s", "del", "strike":
		s.emphasis(marks[low], s.inner(i+n, end), next(s.s[stop:to]))
	case "code", "tt", "samp", "var":
		s.b.WriteString(markup.Code(syntax.OneLine(markup.Text(inner))))
	case "kbd":
		return s.keys(inner, stop, to) - i
	case "sup", "sub":
		s.raised(i+n, end, t.Low, next(s.s[stop:to]))
	case "q":
		s.b.WriteString("“" + s.inner(i+n, end) + "”")
	case "rt":
		s.b.WriteString("(" + s.inner(i+n, end) + ")")
	case "rp":
	default:
		return 0
	}
	return stop - i
}

// inside finds the end tag of an element within its paragraph: the end of the content and of the
// tag.
func (s *scanner) inside(from, to int, name string) (end, stop int) {
	depth := 0
	for j := from; j < min(to, from+maxConstruct); j++ {
		switch s.s[j] {
		case '`':
			e, _ := s.codeSpan(j)
			j = e - 1
		case '\n':
			if emptyLine(s.s[j+1:]) {
				return -1, -1
			}
		case '<':
			if !strings.EqualFold(name, tagAt(s.s[j:])) {
				continue
			}
			if s.s[j+1] != '/' {
				depth++
				continue
			}
			if depth--; depth < 0 {
				k := strings.IndexByte(s.s[j:to], '>')
				if k < 0 {
					return -1, -1
				}
				return j, j + k + 1
			}
		}
	}
	return -1, -1
}

// tagAt returns the name of the tag at the start of s.
func tagAt(s string) string {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "<"), "/")
	n := 0
	for n < len(s) && n < 20 && (isWord(s[n]) || s[n] == '-') {
		n++
	}
	return s[:n]
}

func next(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// emphasis writes text between emphasis marks. Where CommonMark would not recognize the marks
// because of the characters next to them, it adds an empty comment in between.
func (s *scanner) emphasis(mark, inner string, after rune) {
	text := strings.TrimSpace(inner)
	if text == "" || strings.Contains(text, mark) || strings.HasSuffix(text, "\\") {
		s.b.WriteString(inner)
		return
	}
	if inner[0] != text[0] {
		s.b.WriteByte(' ')
	}
	before, _ := utf8.DecodeLastRuneInString(s.b.String())
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	letter := func(r rune) bool {
		return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("*~", r))
	}
	punct := func(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }
	if letter(before) && punct(first) || before == rune(mark[0]) {
		s.b.WriteString("<!-- -->")
	}
	s.b.WriteString(mark + text + mark)
	switch {
	case strings.TrimRight(inner, " \n\t") != inner:
		s.b.WriteByte(' ')
	case letter(after) && punct(last) || after == rune(mark[0]):
		s.b.WriteString("<!-- -->")
	}
}

// lineBreak writes the <br> at s[i:j]. It returns the length of the white space after it that
// it uses up.
func (s *scanner) lineBreak(i, j, to int) int {
	start := strings.LastIndexByte(s.s[:i], '\n') + 1
	line := strings.TrimLeft(s.s[start:i], " \t>")
	n := 0
	for j+n < to && (s.s[j+n] == ' ' || s.s[j+n] == '\t') {
		n++
	}
	whole := strings.TrimLeft(s.s[start:], " \t>")
	switch {
	case line == "" || s.nested > 0 || strings.HasPrefix(whole, "|") || strings.HasPrefix(whole, "#"):
		if !s.ends(" ", "\n") && s.b.Len() > 0 {
			s.b.WriteByte(' ')
		}
		return n
	case j+n >= to || s.s[j+n] == '\n' && (emptyLine(s.s[j+n+1:]) || blockStart.MatchString(s.s[j+n+1:min(to, j+n+200)])):
		return n
	case s.s[j+n] == '\n':
		if !s.ends("\\") {
			s.b.WriteByte('\\')
		}
		return n
	}
	s.b.WriteString("\\\n")
	// The next line must stay in the paragraph, whatever it starts with.
	if r := s.s[j+n]; strings.IndexByte("-+*#>|:=~", r) >= 0 && !strings.HasPrefix(s.s[j+n:], "**") {
		s.b.WriteByte('\\')
	} else if m := orderedMark.FindString(s.s[j+n : min(to, j+n+12)]); m != "" {
		s.b.WriteString(m[:len(m)-1] + `\` + m[len(m)-1:])
		n += len(m)
	}
	return n
}

// blockStart matches a line that ends the paragraph before it.
var blockStart = regexp.MustCompile(`^[ \t>]*(?:[-*+][ \t]|\d{1,9}[.)][ \t]|#{1,6}[ \t]|\||:::|>|</?(?:p|div|ul|ol|table|center|section)\b)`)

var orderedMark = regexp.MustCompile(`^\d{1,9}[.)]`)

// ends reports whether the text so far ends in one of the strings.
func (s *scanner) ends(suffixes ...string) bool {
	so := s.b.String()
	return slices.ContainsFunc(suffixes, func(e string) bool { return strings.HasSuffix(so, e) })
}

var keyName = regexp.MustCompile(`^[^\s+<>]+$`)

// nextKey matches a key that is joined to the one before by +.
var nextKey = regexp.MustCompile(`(?i)^\s*\+\s*<kbd>([^<\n]{1,40})</kbd>`)

// keys writes a <kbd> key and the keys joined to it by +. It returns their end.
func (s *scanner) keys(inner string, stop, to int) int {
	split := func(inner string) []string {
		name := syntax.OneLine(markup.Text(inner))
		parts := strings.FieldsFunc(name, func(r rune) bool { return r == '+' || r == ' ' })
		if !strings.Contains(name, "+") && len(parts) > 1 || !keyName.MatchString(strings.Join(parts, "")) {
			return nil
		}
		return parts
	}
	parts := split(inner)
	if parts == nil {
		s.b.WriteString(markup.Code(syntax.OneLine(markup.Text(inner))))
		return stop
	}
	for range 6 {
		m := nextKey.FindStringSubmatch(s.s[stop:min(to, stop+100)])
		if m == nil || split(m[1]) == nil {
			break
		}
		parts = append(parts, split(m[1])...)
		stop += len(m[0])
	}
	so := s.b.String()
	if r, _ := utf8.DecodeLastRuneInString(so); so != "" && r < 0x3000 && !strings.ContainsRune(" \t\n(\"'*_>", r) {
		s.b.WriteString("<!-- -->")
	}
	s.b.WriteString("++" + strings.Join(parts, "+") + "++")
	return stop
}

// superscripts and subscripts map characters to their Unicode superscript and subscript forms.
var (
	superscripts = letters("0123456789+-=()niabcdefghjklmoprstuvwxyz−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵃᵇᶜᵈᵉᶠᵍʰʲᵏˡᵐᵒᵖʳˢᵗᵘᵛʷˣʸᶻ⁻")
	subscripts   = letters("0123456789+-=()aehijklmnoprstuvx−", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ₋")
)

func letters(from, to string) map[rune]rune {
	out, forms := map[rune]rune{}, []rune(to)
	for i, r := range []rune(from) {
		out[r] = forms[i]
	}
	return out
}

// raised writes a superscript or subscript: in Unicode if all its characters exist there, else as a
// formula. Text with links or marks stays as it is, in parentheses.
func (s *scanner) raised(from, to int, name string, after rune) {
	text := strings.TrimSpace(html.UnescapeString(s.s[from:to]))
	table, mark := superscripts, "^"
	if name == "sub" {
		table, mark = subscripts, "_"
	}
	if text == "" {
		return
	}
	var b strings.Builder
	for _, r := range text {
		form, ok := table[r]
		if !ok {
			b.Reset()
			break
		}
		b.WriteRune(form)
	}
	if b.Len() > 0 {
		s.b.WriteString(b.String())
		return
	}
	tex := mark + `{\text{` + text + `}}`
	if !strings.ContainsAny(text, "\\{}$<>[]*`_^#&~%!\n") && s.refused(tex, false) == nil {
		s.writeFormula(tex, after)
		return
	}
	inner := s.inner(from, to)
	if strings.HasPrefix(strings.TrimSpace(inner), "[") {
		s.b.WriteString(inner)
		return
	}
	s.b.WriteString(syntax.Escape(mark) + "(" + strings.TrimSpace(inner) + ")")
}

// anchor converts <a>. One without href is a link target, which shiftHeadings has noted.
func (s *scanner) anchor(i, to int, t markup.Tag, n, end, stop int) int {
	dest := t.Attr("href")
	if dest == "" {
		s.b.WriteString(s.inner(i+n, end))
		return stop - i
	}
	target := s.src.Resolve(dest)
	inner := s.inner(i+n, end)
	switch {
	case target.URL == "":
		s.lost(s.line(i), target)
		s.b.WriteString(inner)
	case strings.Contains(inner, "](") && !strings.HasPrefix(strings.TrimSpace(inner), "!["):
		s.b.WriteString(inner) // a link within a link
	default:
		s.noted(s.line(i), target)
		if strings.TrimSpace(inner) == "" {
			if t.Attr("id", "name") != "" {
				return stop - i
			}
			inner = syntax.Escape(dest)
		}
		s.b.WriteString("[" + strings.Join(strings.Fields(inner), " ") + "](" + target.URL + ")")
	}
	return stop - i
}

// component drops a JSX tag in a line. The text between tags stays.
func (s *scanner) component(at syntax.Line, t markup.Tag) {
	if t.Close {
		return // reported where it opened
	}
	if container.Silent(t.Name) {
		return
	}
	words := syntax.OneLine(syntax.Plain(html.UnescapeString(t.Attr("title", "text", "label", "name", "alt"))))
	if href := t.Attr("href", "to", "link"); href != "" && words != "" {
		if target := s.src.Resolve(href); target.URL != "" {
			s.b.WriteString("[" + syntax.Escape(words) + "](" + target.URL + ")")
			if d := syntax.OneLine(t.Attr("description")); d != "" {
				s.b.WriteString(" – " + syntax.Escape(d))
			}
			return
		}
	}
	if src := t.Attr("src"); src != "" && (t.Low == "image" || t.Low == "img") {
		s.picture(at, t.Attr("alt"), src, "", s.src.Resolve(src))
		return
	}
	if code := t.Attr("code"); code != "" && !strings.Contains(code, "\n") {
		s.b.WriteString(markup.Code(code))
		return
	}
	if words != "" {
		s.b.WriteString(syntax.Escape(words) + " ")
	}
	switch {
	case t.Empty && words == "":
		s.report(report.ComponentEmpty, at, "the component <%s> is lost: it has no text", t.Name)
	default:
		s.report(report.ComponentDropped, at, "the component <%s> is unknown; the text in it stays", t.Name)
	}
}

// closing returns the end of </name> in rest, or -1.
func (s *scanner) closing(rest, name string) int {
	if s.unclosed[name] {
		return -1
	}
	for at := 0; ; at += 2 {
		i := strings.Index(rest[at:], "</")
		if i < 0 {
			s.unclosed[name] = true
			return -1
		}
		at += i
		if strings.EqualFold(tagAt(rest[at:]), name) {
			if end := strings.IndexByte(rest[at:], '>'); end >= 0 {
				return at + end + 1
			}
			return -1
		}
	}
}

func shorten(s string) string {
	s = syntax.OneLine(s)
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
