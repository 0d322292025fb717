package dialect

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
)

// text converts lines outside of code.
func (c *conv) text(lines []syntax.Line) {
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = c.definition(l)
	}
	s := &scanner{conv: c, s: strings.Join(texts, "\n"), lines: lines, unclosed: map[string]bool{}}
	s.match()
	s.scan(0, len(s.s))
	c.out = append(c.out, strings.Split(s.b.String(), "\n")...)
}

var definitionLine = regexp.MustCompile(`^( {0,3}\[([^\]\[^][^\]\[]{0,200})\]:[ \t]*)(<[^<>]*>|[^\s<>]+)([ \t].*)?$`)

// definition converts a link reference definition: [label]: address.
func (c *conv) definition(l syntax.Line) string {
	m := definitionLine.FindStringSubmatch(l.Text)
	if m == nil {
		return l.Text
	}
	t := c.src.Resolve(strings.Trim(m[3], "<>"))
	if t.URL == "" {
		c.report(t.Kind, l, "the link is lost: %s", t.Why)
		return ""
	}
	c.noted(l, t)
	return m[1] + t.URL + strings.ReplaceAll(m[4], "<", "")
}

// scanner converts text character by character.
type scanner struct {
	*conv
	s        string
	lines    []syntax.Line
	at, ln   int         // ln is the line of s[at], as far as counted
	pair     map[int]int // [ to its ]
	unclosed map[string]bool
	b        strings.Builder
	nested   int
}

// line returns the source line of s[i].
func (s *scanner) line(i int) syntax.Line {
	if i < s.at {
		s.at, s.ln = 0, 0
	}
	s.ln += strings.Count(s.s[s.at:i], "\n")
	s.at = i
	return s.lines[min(s.ln, len(s.lines)-1)]
}

// codeSpan returns the end of the code span at i, or the end of its backticks if it is not closed.
func (s *scanner) codeSpan(i int) (end int, ok bool) {
	n := 0
	for i+n < len(s.s) && s.s[i+n] == '`' {
		n++
	}
	limit := min(len(s.s), i+maxConstruct)
	for j := i + n; j < limit; {
		if s.s[j] == '\n' && j+1 < limit && s.s[j+1] == '\n' {
			break
		}
		if s.s[j] != '`' {
			j++
			continue
		}
		m := 0
		for j+m < len(s.s) && s.s[j+m] == '`' {
			m++
		}
		if j += m; m == n {
			return j, true
		}
	}
	return i + n, false
}

// match finds all pairs of brackets in one pass, so that the scan does not search for them again.
func (s *scanner) match() {
	s.pair = map[int]int{}
	var open []int
	for i := 0; i < len(s.s); i++ {
		switch s.s[i] {
		case '\\':
			i++
		case '`':
			end, _ := s.codeSpan(i)
			i = end - 1
		case '\n':
			if i+1 < len(s.s) && s.s[i+1] == '\n' {
				open = open[:0]
			}
		case '[':
			open = append(open, i)
		case ']':
			if n := len(open); n > 0 {
				s.pair[open[n-1]] = i
				open = open[:n-1]
			}
		}
	}
}

// inner converts a part and returns the result.
func (s *scanner) inner(from, to int) string {
	saved := s.b
	s.b = strings.Builder{}
	s.nested++
	if s.nested > maxNesting {
		s.b.WriteString(syntax.Escape(s.s[from:to]))
	} else {
		s.scan(from, to)
	}
	s.nested--
	out := s.b.String()
	s.b = saved
	return out
}

// scan converts s[from:to].
func (s *scanner) scan(from, to int) {
	for i := from; i < to; {
		rest := s.s[i:to]
		switch ch := rest[0]; {
		case s.notation.Brackets && (strings.HasPrefix(rest, `\\(`) || strings.HasPrefix(rest, `\\[`)):
			i += s.bracket(i, to)
		case ch == '\\' && len(rest) > 1:
			_, n := utf8.DecodeRuneInString(rest[1:])
			s.b.WriteString(rest[:1+n])
			i += 1 + n
		case ch == '`':
			end, ok := s.codeSpan(i)
			end = min(end, to)
			if ok {
				s.b.WriteString(s.s[i:end])
			} else { // what is written behind them may have back-ticks of its own
				s.b.WriteString(strings.Repeat("\\`", end-i))
			}
			i = end
		case s.format == syntax.Obsidian && (strings.HasPrefix(rest, "[[") || strings.HasPrefix(rest, "![[")):
			i += s.wiki(i, rest)
		case s.format == syntax.GitBook && strings.HasPrefix(rest, "**"):
			i += s.looseBold(i, to)
		case ch == '[' || strings.HasPrefix(rest, "!["):
			i += s.link(i, to)
		case ch == '<':
			i += s.angle(i, to)
		case ch == '{' && s.format.JSX() && !strings.HasPrefix(rest, "{#"):
			i += s.expression(i, rest)
		case s.format == syntax.Obsidian && strings.HasPrefix(rest, "=="):
			i += s.highlight(i, rest)
		case s.format == syntax.Obsidian && ch == '#' && s.begins(i):
			i += s.tag(i, rest)
		case s.format == syntax.Obsidian && strings.HasPrefix(rest, "^["):
			i += s.footnote(i, to)
		case (ch == 'f' || ch == 'F') && len(rest) > 6 && strings.EqualFold(rest[:6], "ftp://"):
			s.report(report.LinkForbidden, s.line(i), "the ftp address becomes text, because ftp links are not allowed")
			s.b.WriteString(rest[:3] + `\:`)
			i += 4
		case ch == '$':
			i += s.dollar(i, to)
		default:
			n := strings.IndexAny(rest[1:], "\\`[!<{=#^fF$*")
			if n < 0 {
				n = len(rest) - 1
			}
			s.b.WriteString(rest[:n+1])
			i += n + 1
		}
	}
}

// begins reports whether a word may start at i.
func (s *scanner) begins(i int) bool {
	return i == 0 || strings.IndexByte(" \t\n(>", s.s[i-1]) >= 0
}

func (s *scanner) tag(i int, rest string) int {
	n, letter := 1, false
	for n < len(rest) && n < 200 {
		r, size := utf8.DecodeRuneInString(rest[n:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune("_-/", r) {
			break
		}
		letter = letter || !unicode.IsDigit(r)
		n += size
	}
	if n > 1 && letter {
		s.src.Tag(strings.Trim(rest[1:n], "/"), s.line(i))
	}
	s.b.WriteString(rest[:n])
	return n
}

func (s *scanner) highlight(i int, rest string) int {
	eol := strings.IndexByte(rest, '\n')
	if eol < 0 {
		eol = len(rest)
	}
	end := strings.Index(rest[2:min(eol, maxConstruct)], "==")
	if end <= 0 || rest[2] == ' ' || rest[2] == '=' || rest[1+end] == ' ' {
		n := 2
		for n < len(rest) && rest[n] == '=' {
			n++
		}
		s.b.WriteString(rest[:n])
		return n
	}
	s.report(report.Styling, s.line(i), "a highlighted text becomes bold")
	s.b.WriteString("**" + s.inner(i+2, i+2+end) + "**")
	return end + 4
}

// expression converts an MDX expression in braces. A comment is removed, anything else stays as
// text.
func (s *scanner) expression(i int, rest string) int {
	if strings.HasPrefix(rest, "{/*") {
		if end := strings.Index(rest[:min(len(rest), maxConstruct)], "*/}"); end > 0 {
			s.report(report.CommentRemoved, s.line(i), "a comment is left out")
			return end + 3
		}
	}
	if len(rest) > 1 && (rest[1] == '\'' || rest[1] == '"' || unicode.IsLetter(rune(rest[1])) || rest[1] == ' ') {
		s.report(report.ShownAsText, s.line(i), "an expression in braces is not computed; it is shown as text")
	}
	s.b.WriteByte('{')
	return 1
}

// wiki converts [[…]] and ![[…]].
func (s *scanner) wiki(i int, rest string) int {
	embed := rest[0] == '!'
	start := 2
	if embed {
		start = 3
	}
	end := strings.Index(rest[:min(len(rest), maxConstruct)], "]]")
	if end < start || strings.ContainsAny(rest[start:end], "\n[") {
		s.b.WriteString(syntax.Escape(rest[:start]))
		return start
	}
	at := s.line(i)
	body := strings.ReplaceAll(rest[start:end], `\|`, "|")
	name, text, hasText := strings.Cut(body, "|")
	name, text = strings.TrimSpace(name), strings.TrimSpace(text)
	file, fragment, _ := strings.Cut(name, "#")
	t, others := s.src.Note(file, fragment)
	if others > 0 {
		s.report(report.LinkAmbiguous, at, "%d other files have the name %q; the link leads to one of them", others, file)
	}
	s.noted(at, t)
	switch {
	case embed && t.Asset && isImage(t.URL):
		alt := strings.TrimSuffix(path.Base(file), path.Ext(file))
		if hasText {
			for _, word := range strings.Split(text, "|") {
				if sizeWord.MatchString(strings.TrimSpace(word)) {
					s.report(report.PictureSize, at, "the size %s of the picture is lost", word)
				} else if strings.TrimSpace(word) != "" {
					alt = word
				}
			}
		}
		s.image(at, alt, t.URL, "")
	case embed && t.URL != "":
		s.report(report.EmbedAsLink, at, "the embedded %s becomes a link to it", file)
		s.b.WriteString("[" + syntax.Escape(cmp.Or(text, file, fragment)) + "](" + t.URL + ")")
	default:
		if embed {
			text = "" // often the size of a picture
		}
		shown := syntax.Escape(cmp.Or(text, strings.ReplaceAll(strings.Trim(name, "#"), "#", " > "), "link"))
		if t.URL == "" {
			if embed && t.Kind == report.LinkBroken {
				t.Kind = report.PictureMissing
			}
			s.lost(at, t)
			s.b.WriteString(shown)
		} else {
			s.b.WriteString("[" + shown + "](" + t.URL + ")")
		}
	}
	return end + 2
}

var sizeWord = regexp.MustCompile(`^\d{1,5}(x\d{1,5})?$`)

func isImage(name string) bool {
	return slices.Contains([]string{".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"}, strings.ToLower(path.Ext(name)))
}

// image writes a picture. Without alt text it gets its file's name.
func (s *scanner) image(at syntax.Line, alt, dest, title string) {
	if alt = strings.TrimSpace(syntax.Plain(alt)); alt == "" {
		alt = strings.TrimSuffix(path.Base(dest), path.Ext(dest))
		s.report(report.AltText, at, "the picture has no alt text; it gets %q, its file's name", alt)
	}
	s.b.WriteString("![" + syntax.Escape(alt) + "](" + dest + quoted(title) + ")")
}

func quoted(title string) string {
	if title = syntax.OneLine(syntax.Plain(title)); title == "" {
		return ""
	}
	return ` "` + strings.NewReplacer(`"`, "'", `\`, "").Replace(title) + `"`
}

// link converts [text](address "title") and ![alt](address "title"). Other brackets stay.
func (s *scanner) link(i, to int) int {
	open := i
	image := s.s[i] == '!'
	if image {
		open++
	}
	end, ok := s.pair[open]
	if !ok || end >= to {
		s.b.WriteString(s.s[i : open+1])
		return open + 1 - i
	}
	dest, title, n := parseTarget(s.s[end+1 : min(to, end+1+maxConstruct)])
	if n == 0 {
		s.b.WriteString(s.s[i : open+1])
		return open + 1 - i
	}
	at := s.line(i)
	length := end + 1 + n - i
	t := s.src.Resolve(dest)
	s.noted(at, t)
	if image {
		alt := s.s[open+1 : end]
		if a, size, ok := strings.Cut(alt, "|"); ok && s.format == syntax.Obsidian && sizeWord.MatchString(strings.TrimSpace(size)) {
			s.report(report.PictureSize, at, "the size %s of the picture is lost", size)
			alt = a
		}
		s.picture(at, alt, dest, title, t)
		return length
	}
	inner := s.inner(open+1, end)
	if strings.TrimSpace(inner) == "" {
		inner = syntax.Escape(dest)
	}
	if t.URL == "" {
		s.lost(at, t)
		s.b.WriteString(inner)
		return length
	}
	s.b.WriteString("[" + inner + "](" + t.URL + quoted(title) + ")")
	return length
}

// picture writes the picture, link or text that a picture with this address becomes.
func (s *scanner) picture(at syntax.Line, alt, dest, title string, t Target) {
	switch {
	case t.URL == "":
		if t.Kind == report.LinkBroken {
			t.Kind = report.PictureMissing
		}
		s.report(t.Kind, at, "the picture becomes text: %s", t.Why)
		s.b.WriteString(syntax.Escape(syntax.Plain(alt)))
	case t.Asset && isImage(t.URL):
		s.image(at, alt, t.URL, title)
	case remoteKind(t) == report.PictureRemote:
		if copied := s.src.Picture(dest); copied.URL != "" {
			s.image(at, alt, copied.URL, title)
			return
		} else if copied.Why != "" {
			s.report(report.PictureRemote, at, "the picture becomes a link: %s", copied.Why)
		} else {
			s.report(report.PictureRemote, at, "the picture becomes a link, because it is on another site")
		}
		s.b.WriteString("[" + syntax.Escape(cmp.Or(strings.TrimSpace(syntax.Plain(alt)), dest)) + "](" + t.URL + ")")
	default:
		s.report(report.ElementChanged, at, "the picture becomes a link, because browsers cannot show this file type")
		s.b.WriteString("[" + syntax.Escape(cmp.Or(strings.TrimSpace(syntax.Plain(alt)), dest)) + "](" + t.URL + ")")
	}
}

// remoteKind is the kind of report for a picture that became a link.
func remoteKind(t Target) report.Kind {
	if strings.HasPrefix(t.URL, "http:") || strings.HasPrefix(t.URL, "https:") {
		return report.PictureRemote
	}
	return report.ElementChanged
}

// looseBold writes **text ** or **text:**more as bold text. GitBook shows them as bold; CommonMark
// shows the asterisks.
func (s *scanner) looseBold(i, to int) int {
	line, _, _ := strings.Cut(s.s[i+2:min(to, i+maxConstruct)], "\n")
	inner, _, ok := strings.Cut(line, "**")
	text := strings.TrimRight(inner, " \t")
	if !ok || text == "" || text[0] == ' ' || text[0] == '*' || strings.Contains(inner, "`") || s.nested > 0 {
		s.b.WriteString("**")
		return 2
	}
	end := i + 2 + len(inner)
	for j := i + 2; j < end; j++ {
		if to, ok := s.pair[j]; ok && to >= end { // a link begins here and ends behind
			s.b.WriteString("**")
			return 2
		}
	}
	s.emphasis("**", s.inner(i+2, end), next(s.s[end+2:to]))
	return end + 2 - i
}

// footnote converts ^[text] to a footnote at the end of the page.
func (s *scanner) footnote(i, to int) int {
	end, ok := s.pair[i+1]
	if !ok || end >= to || s.nested > 0 || len(s.notes) >= maxNotes {
		s.b.WriteString(`^\[`)
		return 2
	}
	name := fmt.Sprintf("inline-%d", len(s.notes)+1)
	s.notes = append(s.notes, "") // takes the number, as the text may have others
	s.notes[len(s.notes)-1] = "[^" + name + "]: " + strings.Join(strings.Fields(s.inner(i+2, end)), " ")
	s.b.WriteString("[^" + name + "]")
	return end + 1 - i
}

// parseTarget parses (address "title") at the start of s. n is 0 if there is none.
func parseTarget(s string) (dest, title string, n int) {
	if !strings.HasPrefix(s, "(") {
		return "", "", 0
	}
	i := 1
	skip := func() {
		for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n') {
			i++
		}
	}
	skip()
	if i < len(s) && s[i] == '<' {
		end := strings.IndexAny(s[i+1:], "<>\n")
		if end < 0 || s[i+1+end] != '>' {
			return "", "", 0
		}
		dest, i = s[i+1:i+1+end], i+end+2
	} else {
		start, depth := i, 0
		for ; i < len(s); i++ {
			switch ch := s[i]; {
			case ch == '\\' && i+1 < len(s):
				i++
			case ch == '(':
				if depth++; depth > maxNesting {
					return "", "", 0
				}
			case ch == ')':
				depth--
			}
			if depth < 0 || i < len(s) && s[i] <= ' ' {
				break
			}
		}
		dest = s[start:min(i, len(s))]
		dest = syntax.Backslash.ReplaceAllString(dest, "$1")
	}
	skip()
	if i < len(s) && s[i] != ')' && strings.IndexByte("\"'(", s[i]) < 0 {
		return spacedTarget(s)
	}
	if i < len(s) && (s[i] == '"' || s[i] == '\'' || s[i] == '(') {
		closing := s[i]
		if closing == '(' {
			closing = ')'
		}
		end := strings.IndexByte(s[i+1:], closing)
		if end < 0 {
			return "", "", 0
		}
		title, i = s[i+1:i+1+end], i+end+2
		skip()
	}
	if i >= len(s) || s[i] != ')' {
		return "", "", 0
	}
	return dest, title, i + 1
}

// spaced matches a file name with spaces. Obsidian and others accept it as a link target; Markdown
// does not.
var spaced = regexp.MustCompile(`^\([ \t]*([^()<>"\n]*\.[A-Za-z0-9]{1,5}(?:#[^()<>"\n]*)?)(?:[ \t]+"([^"\n]*)")?[ \t]*\)`)

func spacedTarget(s string) (dest, title string, n int) {
	m := spaced.FindStringSubmatch(s)
	if m == nil {
		return "", "", 0
	}
	return strings.TrimSpace(m[1]), m[2], len(m[0])
}
