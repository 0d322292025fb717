// Package mathml converts TeX formulas to MathML, which browsers render without scripts, style
// sheets or web fonts.
//
// It supports the subset of LaTeX and amsmath that is common on web pages. Unknown commands are
// errors, so no formula is silently rendered wrong. Macros cannot be defined, so the size of the
// output is proportional to the input.
//
//	x^2 x_i x_i^2 f' {…}        scripts, primes, groups
//	\frac \dfrac \tfrac \cfrac \binom \dbinom \tbinom \sqrt[3]{x}
//	\sum \prod \int \iint \oint \bigcup \coprod …    big operators; \limits and \nolimits move their scripts
//	\sin \log \lim \max \det \gcd … \operatorname{rank} \operatorname*{argmax} \bmod \pmod{n} \mod
//	\left( … \middle| … \right)  delimiters that grow; . is none; \big \Big \bigg \Bigg (also with l, m, r)
//	\hat \widehat \bar \vec \dot \ddot \tilde \widetilde \check \breve \acute \grave \mathring
//	\overline \underline \overbrace \underbrace \overrightarrow \overleftarrow
//	\overset \underset \stackrel \xrightarrow[below]{above} \xleftarrow \substack \not \boxed \phantom \tag{1}
//	\cancel \bcancel \xcancel \cancelto{0}{x}; \textcolor{red}{x} and \color{red} keep the content and drop the colour
//	\text{…} \textbf \textit \texttt \mathrm \mathbf \mathit \mathbb \mathcal \mathscr \mathfrak \mathsf \mathtt
//	\boldsymbol \bm \mathop \mathbin \mathrel \mathord \mathopen \mathclose \mathpunct
//	\, \: \; \! \space \quad \qquad ~ \displaystyle \textstyle \scriptstyle
//	\begin{…} … \end{…}          matrix, pmatrix, bmatrix, Bmatrix, vmatrix, Vmatrix, smallmatrix, array{lc|r},
//	                             cases, rcases, aligned, align, split, gathered, gather, equation (also with *)
//
// and the names of Greek letters, relations, operators, arrows and signs in symbols.go. Unicode
// letters, digits and signs stand for themselves. Chinese characters are text.
//
// The output has no style attributes. Where MathML Core has no attribute, a class tells the style
// sheet what to do: mtable.aligned, mtable.cases, mtd.left, mtd.right, mtd.line (rule before the
// column), mtr.line and mtr.last (rules above and below the row), mrow.boxed, mrow.over and
// mrow.under (box and rules around a part), mrow.cancel, mrow.bcancel and mrow.xcancel (strokes
// through a part). The TeX source is kept as annotation.
package mathml

import (
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits on one formula.
const (
	MaxFormula = 8 << 10 // bytes
	maxDepth   = 60      // groups within each other
)

// Formula is a converted formula: MathML for the page, plain text for search.
type Formula struct {
	MathML string
	Text   string // in one line, such as "x² + y/2"
}

// Error is a mistake in a formula.
type Error struct {
	Offset int    // of the byte in the TeX where it is
	Msg    string // what is wrong and what to do
	Name   string // the command or environment that isn't known, if that is the mistake
}

func (e *Error) Error() string { return e.Msg }

// Converter converts formulas. It is safe for concurrent use.
type Converter struct {
	symbols      map[string]symbol
	commands     map[string]func(*parser, token) (*node, error)
	environments map[string]table
	names        []string
}

// New returns a Converter.
func New() *Converter {
	c := &Converter{symbols: symbols(), commands: commands(), environments: environments()}
	c.names = c.allNames()
	return c
}

// Convert converts a formula. display selects display style instead of inline style. The error is
// an *Error.
func (c *Converter) Convert(tex string, display bool) (Formula, error) {
	if len(tex) > MaxFormula {
		return Formula{}, &Error{Msg: fmt.Sprintf("the formula has %d bytes; at most %d", len(tex), MaxFormula)}
	}
	for i, r := range tex {
		if r == utf8.RuneError || unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' {
			return Formula{}, &Error{Offset: i, Msg: "this is no text"}
		}
	}
	p := &parser{Converter: c, src: tex}
	row, err := p.whole()
	if err != nil {
		return Formula{}, err
	}
	var b strings.Builder
	b.Grow(len(tex)*8 + 100)
	b.WriteString("<math")
	if display {
		b.WriteString(` display="block"`)
	}
	b.WriteString("><semantics>")
	row.write(&b)
	b.WriteString(`<annotation encoding="application/x-tex">` + html.EscapeString(strings.TrimSpace(tex)) + "</annotation></semantics></math>")
	var t strings.Builder
	row.plain(&t)
	return Formula{MathML: b.String(), Text: strings.Join(strings.Fields(t.String()), " ")}, nil
}

// Names returns all commands and environments, for suggestions.
func (c *Converter) Names() []string { return c.names }

func (c *Converter) allNames() []string {
	names := slices.Concat(slices.Collect(maps.Keys(c.symbols)), slices.Collect(maps.Keys(c.commands)), slices.Collect(maps.Keys(c.environments)),
		slices.Collect(maps.Keys(accents)), slices.Collect(maps.Keys(fonts)), slices.Collect(maps.Keys(fontNames)))
	slices.Sort(names)
	return names
}

// class is TeX's class of an atom, which determines its spacing.
type class int

const (
	ord class = iota
	op
	bin
	rel
	opening
	closing
	punct
	space // mspace: nothing for the neighbours
)

// node is an element of MathML.
type node struct {
	tag    string // "" is a row that needs no element of its own unless it has several children
	attrs  string
	text   string
	as     string // text for Formula.Text, if it isn't the same
	kids   []*node
	class  class
	limits limits
}

// limits is the position of an operator's scripts.
type limits int

const (
	beside  limits = iota
	movable        // above and below in a display, else beside
	stacked        // always above and below
)

func leaf(tag, text string, c class) *node { return &node{tag: tag, text: text, class: c} }

func element(tag string, kids ...*node) *node { return &node{tag: tag, kids: kids} }

func (n *node) with(attrs string) *node {
	n.attrs += " " + attrs
	return n
}

func (n *node) isLeaf() bool {
	switch n.tag {
	case "mi", "mn", "mo", "mtext", "mspace":
		return true
	}
	return false
}

// write writes n as one element.
func (n *node) write(b *strings.Builder) {
	tag := n.tag
	if tag == "" {
		if len(n.kids) == 1 {
			n.kids[0].write(b)
			return
		}
		tag = "mrow"
	}
	b.WriteString("<" + tag + n.attrs + ">")
	if n.isLeaf() {
		b.WriteString(html.EscapeString(n.text))
	}
	for _, k := range n.kids {
		k.write(b)
	}
	b.WriteString("</" + tag + ">")
}

const (
	raised  = "⁰¹²³⁴⁵⁶⁷⁸⁹"
	lowered = "₀₁₂₃₄₅₆₇₈₉"
)

// plain writes n as plain text.
func (n *node) plain(b *strings.Builder) {
	kid := func(i int) string {
		var t strings.Builder
		n.kids[i].plain(&t)
		return strings.TrimSpace(t.String())
	}
	grouped := func(i int) string {
		s := kid(i)
		if strings.ContainsAny(s, " /+−") {
			s = "(" + s + ")"
		}
		return s
	}
	script := func(i int, mark, digits string) string {
		s := kid(i)
		if s != "" && strings.Trim(s, "0123456789") == "" {
			return strings.Map(func(r rune) rune { return []rune(digits)[r-'0'] }, s)
		}
		if s == "" || strings.Trim(s, "′″‴⁗") == "" {
			return s
		}
		return mark + grouped(i)
	}
	switch n.tag {
	case "mspace":
		b.WriteByte(' ')
	case "mi", "mn", "mo", "mtext":
		s := n.text
		if n.as != "" {
			s = n.as
		}
		switch n.class {
		case bin, rel, op:
			s = " " + s + " "
		case punct:
			s += " "
		}
		b.WriteString(s)
	case "mfrac":
		b.WriteString(grouped(0) + "/" + grouped(1))
	case "msqrt":
		b.WriteString("√(" + strings.TrimSpace(plainOf(n.kids)) + ")")
	case "mroot":
		b.WriteString(script(1, "", raised) + "√(" + kid(0) + ")")
	case "msup", "mover":
		b.WriteString(kid(0))
		if !strings.Contains(n.attrs, "accent") {
			b.WriteString(script(1, "^", raised))
		}
		b.WriteByte(' ')
	case "msub", "munder":
		b.WriteString(kid(0))
		if !strings.Contains(n.attrs, "accent") {
			b.WriteString(script(1, "_", lowered) + " ")
		}
	case "msubsup", "munderover":
		b.WriteString(kid(0) + script(1, "_", lowered) + script(2, "^", raised) + " ")
	case "mtable":
		for i := range n.kids {
			if i > 0 {
				b.WriteString("; ")
			}
			b.WriteString(kid(i))
		}
	case "mtr":
		for i := range n.kids {
			b.WriteString(kid(i) + " ")
		}
	case "mphantom":
	default:
		b.WriteString(plainOf(n.kids))
	}
}

func plainOf(nodes []*node) string {
	var b strings.Builder
	for _, k := range nodes {
		k.plain(&b)
	}
	return b.String()
}

// row joins atoms and applies the rules that depend on neighbours: a minus sign without an operand
// before it is a prefix, and a function's name is separated from its argument.
func row(atoms []*node) *node {
	last := func(i int) class {
		for ; i >= 0; i-- {
			if atoms[i].class != space {
				return atoms[i].class
			}
		}
		return opening
	}
	next := func(i int) class {
		for ; i < len(atoms); i++ {
			if atoms[i].class != space {
				return atoms[i].class
			}
		}
		return closing
	}
	var out []*node
	for i, a := range atoms {
		name := a.class == op && isName(a)
		if name && i > 0 && atoms[i-1].class != space && (last(i-1) == ord || last(i-1) == closing) {
			out = append(out, thin())
		}
		if a.class == bin && len(atoms) > 1 {
			switch last(i - 1) {
			case bin, op, rel, opening, punct:
				a.unary()
			default:
				if n := next(i + 1); n == rel || n == closing || n == punct {
					a.unary()
				}
			}
		}
		out = append(out, a)
		if name && i+1 < len(atoms) && atoms[i+1].class != space && (next(i+1) == ord || next(i+1) == op) {
			out = append(out, thin())
		}
	}
	n := &node{kids: out}
	if len(out) == 1 {
		n.class, n.limits = out[0].class, out[0].limits
	}
	return n
}

func (n *node) unary() {
	n.class = ord
	if n.tag == "mo" {
		n.with(`form="prefix" lspace="0" rspace="0"`)
	}
}

// isName reports whether an operator is a word. Words have no spacing of their own.
func isName(n *node) bool {
	for len(n.kids) > 0 {
		n = n.kids[0]
	}
	return n.tag == "mi" || n.tag == "mo" && strings.Contains(n.attrs, "rspace")
}

func thin() *node { return mspace("0.1667em") }

func mspace(width string) *node {
	return (&node{tag: "mspace", class: space}).with(`width="` + width + `"`)
}
