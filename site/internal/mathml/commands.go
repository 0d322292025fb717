package mathml

import (
	"strings"
	"unicode/utf8"
)

// commands maps each command with arguments to its parser.
func commands() map[string]func(*parser, token) (*node, error) {
	m := map[string]func(*parser, token) (*node, error){
		"frac": fraction(""), "dfrac": fraction(`displaystyle="true" scriptlevel="0"`), "cfrac": fraction(`displaystyle="true" scriptlevel="0"`),
		"tfrac": fraction(`displaystyle="false" scriptlevel="0"`),
		"binom": binomial(""), "dbinom": binomial(`displaystyle="true" scriptlevel="0"`), "tbinom": binomial(`displaystyle="false" scriptlevel="0"`),
		"sqrt": root, "left": delimited, "begin": environment, "operatorname": operatorName, "not": negation, "substack": substack,
		"overset": stack("mover", 1), "underset": stack("munder", 1), "stackrel": stack("mover", 1),
		"pmod": modulo("(", ")"), "mod": modulo("", ""), "pod": modulo("(", ")"),
		// Rules are CSS borders, because few fonts have stretchy rules.
		"boxed": wrap("mrow", `class="boxed"`), "overline": wrap("mrow", `class="over"`), "underline": wrap("mrow", `class="under"`),
		"cancel": wrap("mrow", `class="cancel"`), "bcancel": wrap("mrow", `class="bcancel"`), "xcancel": wrap("mrow", `class="xcancel"`), "cancelto": cancelTo,
		"textcolor": coloured, "color": colour,
		"phantom": wrap("mphantom", ""), "tag": tagged,
		"text": words(""), "textrm": words(""), "mbox": words(""), "textnormal": words(""), "textbf": words("mathbf"), "textit": words("mathit"), "texttt": words("mathtt"), "textsf": words("mathsf"),
		"mathop": as(op), "mathbin": as(bin), "mathrel": as(rel), "mathord": as(ord), "mathopen": as(opening), "mathclose": as(closing), "mathpunct": as(punct), "mathinner": as(ord),
	}
	for name, arrow := range map[string]string{
		"xrightarrow": "→", "xleftarrow": "←", "xleftrightarrow": "↔", "xRightarrow": "⇒", "xLeftarrow": "⇐", "xmapsto": "↦", "xhookrightarrow": "↪", "xrightleftharpoons": "⇌",
	} {
		m[name] = labelled(arrow)
	}
	for name, size := range map[string]string{"big": "1.2em", "Big": "1.8em", "bigg": "2.4em", "Bigg": "3em"} {
		m[name], m[name+"l"], m[name+"m"], m[name+"r"] = sized(size, ord), sized(size, opening), sized(size, rel), sized(size, closing)
	}
	return m
}

func fraction(style string) func(*parser, token) (*node, error) {
	return func(p *parser, t token) (*node, error) {
		a, b, err := p.two(t)
		if err != nil {
			return nil, err
		}
		n := element("mfrac", a, b)
		if style != "" {
			n = element("mstyle", n).with(style)
		}
		return n, nil
	}
}

func (p *parser) two(t token) (a, b *node, err error) {
	if a, err = p.argument(t); err != nil {
		return nil, nil, err
	}
	if ends(p.peek()) {
		return nil, nil, p.fail(t.at, "%s needs two parts: %s{…}{…}", t.text, t.text)
	}
	b, err = p.argument(t)
	return a, b, err
}

func binomial(style string) func(*parser, token) (*node, error) {
	inner := fraction("")
	return func(p *parser, t token) (*node, error) {
		n, err := inner(p, t)
		if err != nil {
			return nil, err
		}
		n = element("mrow", fence("(", "prefix"), n.with(`linethickness="0"`), fence(")", "postfix"))
		if style != "" {
			n = element("mstyle", n).with(style)
		}
		return n, nil
	}
}

func root(p *parser, t token) (*node, error) {
	index, err := p.optional()
	if err != nil {
		return nil, err
	}
	of, err := p.argument(t)
	if err != nil {
		return nil, err
	}
	if index != nil {
		return element("mroot", of, index), nil
	}
	return element("msqrt", of), nil
}

// fence is a delimiter that stretches with its content.
func fence(sign, form string) *node {
	return leaf("mo", sign, ord).with(`fence="true" form="` + form + `" stretchy="true"`)
}

// delimiter parses the delimiter after \left, \middle, \right and \big. "" is the invisible one.
func (p *parser) delimiter(of token) (string, error) {
	t := p.take()
	switch t.text {
	case "(", ")", "[", "]", "|", "/":
		return t.text, nil
	case ".":
		return "", nil
	case "<":
		return "⟨", nil
	case ">":
		return "⟩", nil
	case `\{`, `\}`, `\|`:
		return escaped[t.text[1:]].text, nil
	case `\backslash`:
		return `\`, nil
	}
	if name, ok := t.command(); ok {
		s := p.symbols[name]
		if s.class == opening || s.class == closing || strings.Contains("↑↓↕⇑⇓⇕|‖", s.text) && s.text != "" {
			return s.text, nil
		}
	}
	return "", p.fail(of.at, `%s needs a delimiter after it, such as ( [ \{ | \langle, or . for none`, of.text)
}

func delimited(p *parser, t token) (*node, error) {
	open, err := p.delimiter(t)
	if err != nil {
		return nil, err
	}
	out := element("mrow")
	if open != "" {
		out.kids = append(out.kids, fence(open, "prefix"))
	}
	for {
		n, err := p.row()
		if err != nil {
			return nil, err
		}
		out.kids = append(out.kids, n)
		end := p.peek()
		if end.text != `\right` && end.text != `\middle` {
			return nil, p.unclosed(t, end, `\left`, `\right`)
		}
		p.take()
		sign, err := p.delimiter(end)
		if err != nil {
			return nil, err
		}
		form := "postfix"
		if end.text == `\middle` {
			form = "infix"
		}
		if sign != "" {
			out.kids = append(out.kids, fence(sign, form))
		}
		if form == "postfix" {
			return out, nil
		}
	}
}

func sized(size string, c class) func(*parser, token) (*node, error) {
	return func(p *parser, t token) (*node, error) {
		sign, err := p.delimiter(t)
		if err != nil {
			return nil, err
		}
		n := leaf("mo", sign, c).with(`fence="true" stretchy="true" symmetric="true" lspace="0" rspace="0" minsize="` + size + `" maxsize="` + size + `"`)
		return n, nil
	}
}

func operatorName(p *parser, t token) (*node, error) {
	star := p.peek().text == "*"
	if star {
		p.take()
	}
	name, err := p.text(t)
	if err != nil {
		return nil, err
	}
	if star {
		n := leaf("mo", name, op).with(`movablelimits="true" lspace="0" rspace="0"`)
		n.limits = movable
		return n, nil
	}
	n := leaf("mi", name, op)
	if utf8.RuneCountInString(name) == 1 {
		n.with(`mathvariant="normal"`)
	}
	return n, nil
}

func negation(p *parser, t token) (*node, error) {
	n, err := p.argument(t)
	if err != nil {
		return nil, err
	}
	sign := n
	for sign.tag == "" && len(sign.kids) == 1 {
		sign = sign.kids[0]
	}
	if !sign.isLeaf() || sign.text == "" {
		return nil, p.fail(t.at, `\not stands before a sign, as in \not\in`)
	}
	if s, ok := negated[sign.text]; ok {
		sign.text = s
	} else {
		sign.text += "\u0338"
	}
	sign.as = ""
	return sign, nil
}

func stack(tag string, base int) func(*parser, token) (*node, error) {
	return func(p *parser, t token) (*node, error) {
		a, b, err := p.two(t)
		if err != nil {
			return nil, err
		}
		if base == 0 {
			a, b = b, a
		}
		n := element(tag, b, a)
		n.class = b.class
		return n, nil
	}
}

func labelled(arrow string) func(*parser, token) (*node, error) {
	return func(p *parser, t token) (*node, error) {
		below, err := p.optional()
		if err != nil {
			return nil, err
		}
		above, err := p.argument(t)
		if err != nil {
			return nil, err
		}
		pad := func(n *node) *node { return element("mrow", mspace("0.5em"), n, mspace("0.5em")) }
		sign := leaf("mo", arrow, rel).with(`stretchy="true"`)
		n := element("mover", sign, pad(above))
		if below != nil {
			n = element("munderover", sign, pad(below), pad(above))
		}
		n.class = rel
		return n, nil
	}
}

func modulo(open, end string) func(*parser, token) (*node, error) {
	return func(p *parser, t token) (*node, error) {
		n, err := p.argument(t)
		if err != nil {
			return nil, err
		}
		out := element("mrow", mspace("1em"))
		sign := func(s string, c class) {
			if s != "" {
				out.kids = append(out.kids, leaf("mo", s, c).with(`stretchy="false"`))
			}
		}
		sign(open, opening)
		if t.text != `\pod` {
			out.kids = append(out.kids, &node{tag: "mi", text: "mod", as: "mod "}, mspace("0.3333em"))
		}
		out.kids = append(out.kids, n)
		sign(end, closing)
		return out, nil
	}
}

func wrap(tag, attrs string) func(*parser, token) (*node, error) {
	return func(p *parser, t token) (*node, error) {
		n, err := p.argument(t)
		if err != nil {
			return nil, err
		}
		out := element(tag, n)
		if attrs != "" {
			out.with(attrs)
		}
		return out, nil
	}
}

// cancelTo parses \cancelto{0}{x}: x with a stroke through it, and its value beside it.
func cancelTo(p *parser, t token) (*node, error) {
	value, of, err := p.two(t)
	if err != nil {
		return nil, err
	}
	return element("msup", element("mrow", of).with(`class="cancel"`), value), nil
}

// coloured parses \textcolor{red}{x} and keeps x. The colour is dropped, because few colours have
// enough contrast in both the light and the dark theme.
func coloured(p *parser, t token) (*node, error) {
	if _, err := colour(p, t); err != nil {
		return nil, err
	}
	return p.argument(t)
}

// colour parses the model and name of a colour, as in \color[rgb]{1,0,0}. It returns an empty row.
func colour(p *parser, t token) (*node, error) {
	if _, err := p.optional(); err != nil {
		return nil, err
	}
	if _, err := p.text(t); err != nil {
		return nil, err
	}
	return &node{class: space}, nil
}

func tagged(p *parser, t token) (*node, error) {
	s, err := p.text(t)
	if err != nil {
		return nil, err
	}
	return element("mrow", mspace("2em"), mtext("("+s+")")), nil
}

// words is text in a font within a formula.
func words(name string) func(*parser, token) (*node, error) {
	return func(p *parser, t token) (*node, error) {
		s, err := p.text(t)
		if err != nil {
			return nil, err
		}
		n := mtext(s)
		if name != "" {
			n.text = strings.Map(fonts[name].letter, n.text)
		}
		return n, nil
	}
}

func as(c class) func(*parser, token) (*node, error) {
	return func(p *parser, t token) (*node, error) {
		n, err := p.argument(t)
		if err != nil {
			return nil, err
		}
		out := &node{kids: []*node{n}, class: c}
		if c == op {
			out.limits = movable
		}
		return out, nil
	}
}
