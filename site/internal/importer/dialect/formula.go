package dialect

import (
	"errors"
	"regexp"
	"strings"

	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/mathml"
)

// displayed converts a display formula. It drops empty lines, which would end the formula.
func (c *conv) displayed(lines []syntax.Line) {
	m := syntax.DisplayLine.FindStringSubmatch(lines[0].Text)
	prefix := m[1] + m[2]
	var before, tex []string
	for i, l := range lines {
		b, t := syntax.CutQuotes(l.Text)
		if i == 0 {
			b, t = prefix, m[4]
		}
		if i == len(lines)-1 {
			t = t[:strings.LastIndex(t, syntax.Closer(m[3]))]
		} else if i > 0 && t == "" {
			continue
		}
		before, tex = append(before, b), append(tex, c.unescaped(t))
	}
	if err := c.refused(strings.Join(tex, "\n"), true); err != nil {
		c.report(report.FormulaAsText, lines[0], "the formula is shown as its source: %v", err)
		fence := strings.Repeat("`", longestTicks(strings.Join(tex, "\n"), 2)+1)
		inner := m[1] + strings.Repeat(" ", len(m[2]))
		c.out = append(c.out, prefix+fence+"text")
		for _, t := range tex {
			if t = strings.TrimSpace(t); t != "" {
				c.out = append(c.out, inner+t)
			}
		}
		c.out = append(c.out, inner+fence)
		return
	}
	for i, t := range tex {
		if i == 0 {
			t = "$$" + t
		}
		if i == len(tex)-1 {
			t += "$$"
		}
		c.out = append(c.out, before[i]+t)
	}
}

// unescaped undoes the Markdown escapes in a formula.
func (c *conv) unescaped(tex string) string {
	if c.notation.Brackets {
		return syntax.Backslash.ReplaceAllString(tex, "$1")
	}
	return tex
}

// refused returns why a formula cannot be rendered.
func (c *conv) refused(tex string, display bool) error {
	if strings.Contains(strings.ReplaceAll(tex, `\$`, ""), "$") {
		return errors.New("it has the sign $ in it")
	}
	_, err := c.mathml.Convert(tex, display)
	return err
}

// dollar converts text that starts with $: a formula, or text that must not become one.
func (s *scanner) dollar(i, to int) int {
	rest := s.s[i:to]
	mark, ok := "$", s.notation.Inline
	if strings.HasPrefix(rest, "$$") {
		mark, ok = "$$", s.notation.Display
	}
	tex, n := untilDollar(rest, mark)
	var next byte
	if n > 0 && n < len(rest) {
		next = rest[n]
	}
	bare := strings.Trim(tex, " \t\n")
	tight, blank := bare != "" && len(bare) == len(tex), bare == ""
	spaced := !blank && s.format == syntax.Docusaurus && isBlank(tex[0]) && isBlank(tex[len(tex)-1])
	switch {
	case ok && !blank && (mark == "$$" || (tight || spaced) && !(next >= '0' && next <= '9') && !strings.Contains(tex, "`")):
		s.formula(i, bare, mark, next)
		return n
	case mark == "$$":
		s.b.WriteString(`\$\$`)
	case tight && !isWord(next) && (i == 0 || !isWord(s.s[i-1])):
		s.b.WriteString(`\$`)
	default:
		s.b.WriteByte('$')
	}
	return len(mark)
}

// untilDollar returns the text between the delimiter at the start of s and the next one, and the
// total length. n is 0 if the next $ is a different delimiter or comes after an empty line.
func untilDollar(s, mark string) (tex string, n int) {
	for j := len(mark); j < min(len(s), mathml.MaxFormula); j++ {
		switch s[j] {
		case '\\':
			j++
		case '\n':
			if emptyLine(s[j+1:]) {
				return "", 0
			}
		case '$':
			if !strings.HasPrefix(s[j:], mark) {
				return "", 0
			}
			return s[len(mark):j], j + len(mark)
		}
	}
	return "", 0
}

// bracket converts \\( … \\) and \\[ … \\].
func (s *scanner) bracket(i, to int) int {
	rest := s.s[i:min(to, i+mathml.MaxFormula)]
	mark := rest[:3]
	for j := 3; j < len(rest); j++ {
		switch {
		case strings.HasPrefix(rest[j:], syntax.Closer(mark)):
			n := j + len(mark)
			var next byte
			if i+n < to {
				next = s.s[i+n]
			}
			if bare := strings.Trim(rest[3:j], " \t\n"); bare != "" {
				s.formula(i, s.unescaped(bare), map[string]string{`\\(`: "$", `\\[`: "$$"}[mark], next)
				return n
			}
			j = len(rest)
		case strings.HasPrefix(rest[j:], mark), rest[j] == '\n' && emptyLine(rest[j+1:]):
			j = len(rest)
		}
	}
	s.b.WriteString(`\\`)
	return 2
}

var nextLine = regexp.MustCompile(`\n[ \t>]*`)

// formula writes a formula, or its source if it cannot be rendered.
func (s *scanner) formula(i int, tex, mark string, next byte) {
	bare := nextLine.ReplaceAllString(tex, "\n")
	if err := s.refused(bare, mark == "$$"); err != nil {
		s.report(report.FormulaAsText, s.line(i), "the formula is shown as its source: %v", err)
		if strings.HasSuffix(s.b.String(), "`") {
			s.b.WriteString("<!-- -->")
		}
		ticks := strings.Repeat("`", longestTicks(bare, 0)+1)
		s.b.WriteString(ticks + " " + strings.Join(strings.Fields(bare), " ") + " " + ticks)
		if next == '`' {
			s.b.WriteString("<!-- -->")
		}
		return
	}
	r := rune(0)
	if next > 0 {
		r = rune(next)
	}
	s.beside(mark+tex+mark, r)
}

// writeFormula writes an inline formula.
func (s *scanner) writeFormula(tex string, next rune) { s.beside("$"+tex+"$", next) }

func (s *scanner) beside(marked string, next rune) {
	// An empty comment separates the delimiter from letters, next to which it would be text, and
	// from code spans.
	if so := s.b.String(); so != "" && isWord(so[len(so)-1]) {
		s.b.WriteString("<!-- -->")
	}
	s.b.WriteString(marked)
	if next < 0x80 && isWord(byte(next)) {
		s.b.WriteString("<!-- -->")
	}
}

// emptyLine reports whether s starts with a line of only spaces and quote marks.
func emptyLine(s string) bool {
	rest := strings.TrimLeft(s, "> \t")
	return rest == "" || rest[0] == '\n'
}

// longestTicks returns the length of the longest run of backticks, or least if that is longer.
func longestTicks(s string, least int) int {
	n := 0
	for i := range len(s) {
		if s[i] == '`' {
			n++
			least = max(least, n)
		} else {
			n = 0
		}
	}
	return least
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\n' }

func isWord(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_'
}
