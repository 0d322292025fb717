package highlight

import (
	"strconv"
	"strings"

	"github.com/alecthomas/chroma/v2"
)

// appendLines writes tokens, with an element per line only where lines are marked, numbered or a diff.
func appendLines(out []byte, b Block, tokens []chroma.Token) []byte {
	if !b.byLine() {
		return appendTokens(out, tokens)
	}
	for i, line := range chroma.SplitTokensIntoLines(tokens) {
		kind := ""
		if b.Lang == "diff" && len(line) > 0 {
			switch v := line[0].Value; {
			case strings.HasPrefix(v, "+"):
				kind = " added"
			case strings.HasPrefix(v, "-"):
				kind = " removed"
			}
		}
		out = b.appendLineStart(out, i, kind)
		out = appendTokens(out, line)
		if out[len(out)-1] == '\n' {
			out = out[:len(out)-1]
		}
		out = append(out, "</span>\n"...)
	}
	return out
}

// byLine reports whether each line is an element of its own.
func (b Block) byLine() bool { return b.Numbers > 0 || len(b.Marked) > 0 || b.Lang == "diff" }

// appendLineStart opens the element of a line, which is counted from 0.
func (b Block) appendLineStart(out []byte, line int, class string) []byte {
	out = append(out, `<span class="line`...)
	for _, m := range b.Marked {
		if line+1 >= m.From && line+1 <= m.To {
			out = append(out, " marked"...)
			break
		}
	}
	out = append(out, class...)
	out = append(out, `">`...)
	if b.Numbers > 0 {
		// The number is generated content of CSS, so selecting and copying leave it out.
		out = append(out, `<span class="number" data-n="`...)
		out = strconv.AppendInt(out, int64(b.Numbers+line), 10)
		out = append(out, `"></span>`...)
	}
	return out
}

// appendBlankLine writes a line without content, which is counted from 0.
func appendBlankLine(out []byte, b Block, line int) []byte {
	if !b.byLine() {
		return out
	}
	return append(b.appendLineStart(out, line, ""), "</span>"...)
}

// appendTokens writes tokens. No element goes over the end of a line.
func appendTokens(out []byte, tokens []chroma.Token) []byte {
	for _, t := range tokens {
		class := tokenClass(t.Type)
		if class == "" {
			out = appendText(out, t.Value)
			continue
		}
		for value := t.Value; value != ""; {
			line, rest, more := strings.Cut(value, "\n")
			if strings.TrimSpace(line) == "" {
				out = appendText(out, line)
			} else {
				out = append(out, `<span class="`...)
				out = append(out, class...)
				out = append(out, `">`...)
				out = appendText(out, line)
				out = append(out, "</span>"...)
			}
			if more {
				out = append(out, '\n')
			}
			value = rest
		}
	}
	return out
}

// appendText writes text as html.EscapeString does.
func appendText(out []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); i++ {
		var as string
		switch s[i] {
		case '&':
			as = "&amp;"
		case '<':
			as = "&lt;"
		case '>':
			as = "&gt;"
		case '"':
			as = "&#34;"
		case '\'':
			as = "&#39;"
		default:
			continue
		}
		out = append(out, s[from:i]...)
		out = append(out, as...)
		from = i + 1
	}
	return append(out, s[from:]...)
}

// tokenClass folds the lexers' hundred kinds of tokens into the few that the style sheet tells apart.
func tokenClass(t chroma.TokenType) string {
	switch t {
	case chroma.NameBuiltin, chroma.NameBuiltinPseudo:
		return "nb"
	case chroma.NameFunction, chroma.NameFunctionMagic, chroma.NameClass, chroma.NameDecorator:
		return "nf"
	case chroma.NameTag, chroma.NameAttribute, chroma.NameProperty, chroma.NameKeyword:
		return "nt"
	case chroma.NameVariable, chroma.NameVariableClass, chroma.NameVariableGlobal, chroma.NameVariableInstance,
		chroma.NameVariableMagic, chroma.NameVariableAnonymous, chroma.LiteralStringInterpol:
		return "nv"
	case chroma.NameConstant, chroma.KeywordConstant:
		return "m"
	case chroma.GenericInserted:
		return "gi"
	case chroma.GenericDeleted:
		return "gd"
	case chroma.GenericHeading, chroma.GenericSubheading:
		return "gh"
	}
	switch {
	case t.InCategory(chroma.Keyword):
		return "k"
	case t.InSubCategory(chroma.LiteralString):
		return "s"
	case t.InSubCategory(chroma.LiteralNumber), t == chroma.Literal, t == chroma.LiteralDate:
		return "m"
	case t.InCategory(chroma.Comment):
		return "c"
	case t.InCategory(chroma.Operator):
		return "o"
	}
	return ""
}
