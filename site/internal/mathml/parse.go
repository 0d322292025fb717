package mathml

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parser reads one formula from left to right.
type parser struct {
	*Converter
	src   string
	pos   int
	depth int
	font  string // "" is TeX's own: letters slanted, capitals of Greek upright
}

// token is a command (with its backslash) or a single character.
type token struct {
	text string
	at   int
}

func (t token) command() (string, bool) { return strings.CutPrefix(t.text, `\`) }

func (p *parser) fail(at int, format string, args ...any) error {
	return &Error{Offset: at, Msg: fmt.Sprintf(format, args...)}
}

// peek returns the next token without consuming it. Its text is "" at the end.
func (p *parser) peek() token {
	i := p.pos
	for i < len(p.src) && strings.IndexByte(" \t\r\n", p.src[i]) >= 0 {
		i++
	}
	if i == len(p.src) {
		return token{at: i}
	}
	if p.src[i] != '\\' {
		_, n := utf8.DecodeRuneInString(p.src[i:])
		return token{p.src[i : i+n], i}
	}
	end := i + 1
	for end < len(p.src) && isLetter(p.src[end]) {
		end++
	}
	if end == i+1 && end < len(p.src) {
		_, n := utf8.DecodeRuneInString(p.src[end:])
		return token{p.src[i : end+n], i}
	}
	return token{p.src[i:end], i}
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func (p *parser) take() token {
	t := p.peek()
	p.pos = t.at + len(t.text)
	return t
}

// whole parses the whole formula.
func (p *parser) whole() (*node, error) {
	n, err := p.row()
	if err != nil {
		return nil, err
	}
	t := p.peek()
	switch t.text {
	case "":
	case "}":
		return nil, p.fail(t.at, "a } without its {")
	case "&":
		return nil, p.fail(t.at, `& parts the columns of an environment such as aligned; write \& for the sign`)
	case `\\`:
		return nil, p.fail(t.at, `\\ ends the lines of an environment: \begin{aligned} … \end{aligned}`)
	case `\right`, `\middle`:
		return nil, p.fail(t.at, `%s without its \left`, t.text)
	case `\end`:
		return nil, p.fail(t.at, `\end without its \begin`)
	}
	if len(n.kids) == 0 {
		return nil, p.fail(0, "the formula is empty")
	}
	return n, nil
}

// ends reports whether a token ends the current row.
func ends(t token) bool {
	switch t.text {
	case "", "}", "&", `\\`, `\end`, `\right`, `\middle`, `\cr`:
		return true
	}
	return false
}

// row parses atoms up to the token that ends the row, which it does not consume.
func (p *parser) row() (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail(p.pos, "groups within each other more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	var atoms []*node
	for {
		t := p.peek()
		if ends(t) {
			return row(join(atoms)), nil
		}
		if style, ok := styles[t.text]; ok {
			p.take()
			rest, err := p.row()
			if err != nil {
				return nil, err
			}
			return row(append(join(atoms), element("mstyle", rest).with(style))), nil
		}
		n, err := p.scripted()
		if err != nil {
			return nil, err
		}
		atoms = append(atoms, n)
	}
}

var styles = map[string]string{
	`\displaystyle`: `displaystyle="true" scriptlevel="0"`, `\textstyle`: `displaystyle="false" scriptlevel="0"`,
	`\scriptstyle`: `displaystyle="false" scriptlevel="1"`, `\scriptscriptstyle`: `displaystyle="false" scriptlevel="2"`,
}

// join merges consecutive letters of \mathrm into words, and digits into numbers.
func join(atoms []*node) []*node {
	var out []*node
	for _, a := range atoms {
		if len(out) > 0 {
			prev := out[len(out)-1]
			if prev.tag == a.tag && prev.tag == "mi" && prev.attrs == word && a.attrs == word {
				prev.text += a.text
				continue
			}
		}
		out = append(out, a)
	}
	for _, a := range out {
		if a.attrs == word && utf8.RuneCountInString(a.text) > 1 {
			a.attrs = "" // several letters are upright anyway
		}
	}
	return out
}

const word = ` mathvariant="normal" `

// scripted parses an atom with its superscript and subscript.
func (p *parser) scripted() (*node, error) {
	var base *node
	var err error
	if t := p.peek(); t.text == "^" || t.text == "_" || t.text == "'" {
		base = &node{}
	} else if base, err = p.atom(); err != nil {
		return nil, err
	}
	var sub, sup *node
	primes, lim := 0, base.limits
	for {
		t := p.peek()
		switch t.text {
		case "'":
			p.take()
			if sup != nil {
				return nil, p.fail(t.at, "the prime belongs before the ^: f'^2")
			}
			primes++
		case "^", "_":
			p.take()
			to, what := &sup, "raised"
			if t.text == "_" {
				to, what = &sub, "lowered"
			}
			if *to != nil {
				return nil, p.fail(t.at, "two parts are %s beside each other; put braces around what belongs together: {a%sb}%sc", what, t.text, t.text)
			}
			if *to, err = p.argument(t); err != nil {
				return nil, err
			}
		case `\limits`, `\nolimits`:
			p.take()
			if base.class != op {
				return nil, p.fail(t.at, `%s follows an operator such as \sum`, t.text)
			}
			if lim = stacked; t.text == `\nolimits` {
				lim = beside
			}
		default:
			if primes > 0 {
				mark := leaf("mo", strings.Repeat("′", primes), ord).with(`lspace="0" rspace="0"`)
				if sup != nil {
					mark = &node{kids: []*node{mark, sup}}
				}
				sup = mark
			}
			return scripts(base, sub, sup, lim), nil
		}
	}
}

func scripts(base, sub, sup *node, lim limits) *node {
	if sub == nil && sup == nil {
		return base
	}
	tags := [3]string{"msub", "msup", "msubsup"}
	if lim != beside {
		tags = [3]string{"munder", "mover", "munderover"}
		if lim == stacked && base.tag == "mo" {
			base.with(`movablelimits="false"`)
		}
	}
	var n *node
	switch {
	case sup == nil:
		n = element(tags[0], base, sub)
	case sub == nil:
		n = element(tags[1], base, sup)
	default:
		n = element(tags[2], base, sub, sup)
	}
	n.class = base.class
	return n
}

// argument parses the argument of a command or script: a group or one token.
func (p *parser) argument(of token) (*node, error) {
	t := p.peek()
	switch {
	case t.text == "{":
		return p.group()
	case ends(t):
		return nil, p.fail(of.at, "%s needs something after it: %s{…}", of.text, of.text)
	case len(t.text) == 1 && t.text[0] >= '0' && t.text[0] <= '9':
		p.take()
		return p.number(t.text), nil
	}
	// The argument may be a command with arguments of its own: count the depth.
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail(t.at, "groups within each other more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	return p.atom()
}

// group parses {…}.
func (p *parser) group() (*node, error) {
	open := p.take()
	n, err := p.row()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.text != "}" {
		return nil, p.unclosed(open, t, "{", "}")
	}
	p.take()
	return n, nil
}

func (p *parser) unclosed(open, found token, begin, end string) error {
	if found.text == "" {
		return p.fail(open.at, "the %s is not closed by %s", begin, end)
	}
	return p.fail(found.at, "%s stands where %s must close the %s", found.text, end, begin)
}

// optional parses […] if present.
func (p *parser) optional() (*node, error) {
	open := p.peek()
	if open.text != "[" {
		return nil, nil
	}
	p.take()
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail(open.at, "groups within each other more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	var atoms []*node
	for {
		t := p.peek()
		if t.text == "]" {
			p.take()
			return row(join(atoms)), nil
		}
		if ends(t) {
			return nil, p.unclosed(open, t, "[", "]")
		}
		n, err := p.scripted()
		if err != nil {
			return nil, err
		}
		atoms = append(atoms, n)
	}
}

func (p *parser) number(digits string) *node {
	f := fonts[p.font]
	return &node{tag: "mn", text: strings.Map(f.letter, digits), as: digits}
}

// atom parses a letter, number, sign, group, or command with its arguments.
func (p *parser) atom() (*node, error) {
	t := p.peek()
	if t.text == "{" {
		n, err := p.group()
		if err != nil {
			return nil, err
		}
		return &node{kids: []*node{n}}, nil // a group is ordinary, whatever is in it
	}
	p.take()
	if name, ok := t.command(); ok {
		return p.command(t, name)
	}
	r, _ := utf8.DecodeRuneInString(t.text)
	switch {
	case r >= '0' && r <= '9':
		return p.number(p.digits(t)), nil
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
		return leaf("mtext", p.while(t, func(r rune) bool {
			return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
		}), ord), nil
	case unicode.IsLetter(r):
		return p.letter(r), nil
	case r == '%':
		return nil, p.fail(t.at, `TeX takes %% for the begin of a comment; write \%% for the sign`)
	case r == '#' || r == '$':
		return nil, p.fail(t.at, `write \%s for the sign`, t.text)
	case r == '~':
		return mspace(spaces[" "]), nil
	}
	s, ok := characters[r]
	if !ok {
		s = symbol{text: t.text, attrs: ` lspace="0" rspace="0"`}
		if unicode.Is(unicode.Sm, r) {
			s = symbol{text: t.text, class: rel}
		}
	}
	s.tag = "mo"
	return s.node(), nil
}

func (s symbol) node() *node {
	return &node{tag: s.tag, text: s.text, attrs: s.attrs, class: s.class, limits: s.limits}
}

// digits parses the rest of a number. A point is part of it only between digits.
func (p *parser) digits(t token) string {
	i := p.pos
	for i < len(p.src) {
		c := p.src[i]
		digit := c >= '0' && c <= '9'
		if !digit && (c != '.' || i+1 >= len(p.src) || p.src[i+1] < '0' || p.src[i+1] > '9') {
			break
		}
		i++
	}
	p.pos = i
	return p.src[t.at:i]
}

func (p *parser) while(t token, ok func(rune) bool) string {
	i := p.pos
	for i < len(p.src) {
		r, n := utf8.DecodeRuneInString(p.src[i:])
		if !ok(r) {
			break
		}
		i += n
	}
	p.pos = i
	return p.src[t.at:i]
}

func (p *parser) letter(r rune) *node {
	f := fonts[p.font]
	n := &node{tag: "mi", text: string(f.letter(r)), as: string(r)}
	switch {
	case p.font == "mathrm":
		n.attrs, n.as = word, ""
	case p.font != "" && n.text == n.as:
		n.attrs = ` mathvariant="normal"`
	}
	return n
}

// text parses the argument of \text, which is plain text instead of TeX.
func (p *parser) text(of token) (string, error) {
	open := p.take()
	if open.text != "{" {
		return "", p.fail(of.at, "%s needs braces after it: %s{…}", of.text, of.text)
	}
	var b strings.Builder
	depth := 1
	for i := p.pos; i < len(p.src); i++ {
		switch c := p.src[i]; c {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				p.pos = i + 1
				return b.String(), nil
			}
		case '$':
			return "", p.fail(i, "no formula within %s: close the text before it", of.text)
		case '\\':
			if i+1 == len(p.src) || isLetter(p.src[i+1]) || strings.IndexByte(`{}$%#&_ ,;:!`, p.src[i+1]) < 0 {
				return "", p.fail(i, `a command within %s; only \{ \} \$ \%% \# \& \_ stand there`, of.text)
			}
			i++
			if strings.IndexByte(` ,;:!`, p.src[i]) >= 0 {
				b.WriteByte(' ')
			} else {
				b.WriteByte(p.src[i])
			}
		case '~', '\n', '\t', '\r':
			b.WriteByte(' ')
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fail(open.at, "the { after %s is not closed by }", of.text)
}

// mtext returns a text element. Browsers drop white space at its ends, so it becomes a no-break
// space.
func mtext(s string) *node {
	inner := strings.Trim(s, " ")
	if inner != s {
		if inner == "" {
			return mspace(spaces[" "])
		}
		if strings.HasPrefix(s, " ") {
			inner = "\u00a0" + inner
		}
		if strings.HasSuffix(s, " ") {
			inner += "\u00a0"
		}
	}
	return &node{tag: "mtext", text: inner, as: s}
}

// command parses the arguments of a command and returns its node.
func (p *parser) command(t token, name string) (*node, error) {
	if s, ok := p.symbols[name]; ok {
		n := s.node()
		if n.tag == "mi" && n.class == ord {
			if r, size := utf8.DecodeRuneInString(n.text); size == len(n.text) && p.font != "" {
				if bold := fonts[p.font].letter(r); bold != r {
					n.text, n.as, n.attrs = string(bold), string(r), ""
				}
			}
		}
		return n, nil
	}
	if s, ok := escaped[name]; ok {
		if s.tag = "mo"; s.attrs == "" {
			s.attrs = ` lspace="0" rspace="0"`
		}
		return s.node(), nil
	}
	if width, ok := spaces[name]; ok {
		return mspace(width), nil
	}
	if f, ok := fontNames[name]; ok {
		name = f
	}
	if _, ok := fonts[name]; ok {
		defer func(before string) { p.font = before }(p.font)
		p.font = name
		return p.argument(t)
	}
	if a, ok := accents[name]; ok {
		return p.accent(t, a.mark, a.wide, a.below)
	}
	if read, ok := p.commands[name]; ok {
		return read(p, t)
	}
	switch name {
	case "":
		return nil, p.fail(t.at, `a \ needs a name after it`)
	case "newcommand", "renewcommand", "def", "DeclareMathOperator", "let":
		return nil, p.fail(t.at, `\%s is not possible: macros can't be defined here`, name)
	case "over", "atop", "choose":
		return nil, p.fail(t.at, `write \frac{a}{b} or \binom{a}{b} instead of \%s`, name)
	case "(", ")", "[", "]":
		return nil, p.fail(t.at, `\%s begins or ends a formula, which $ does here`, name)
	}
	return nil, &Error{Offset: t.at, Msg: fmt.Sprintf(`\%s is not known`, name), Name: name}
}

func (p *parser) accent(t token, mark string, wide, below bool) (*node, error) {
	base, err := p.argument(t)
	if err != nil {
		return nil, err
	}
	sign := leaf("mo", mark, ord)
	if !wide {
		sign.with(`stretchy="false"`)
	}
	tag, attr := "mover", `accent="true"`
	if below {
		tag, attr = "munder", `accentunder="true"`
	}
	n := element(tag, base, sign).with(attr)
	if mark == "⏞" || mark == "⏟" {
		n.class, n.limits = op, stacked // what is written above or below explains the brace
	}
	return n, nil
}
