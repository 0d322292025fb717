// Package cjk makes emphasis and strikethrough work in Chinese, Japanese and Korean text.
//
// CommonMark decides by the characters on both sides of a run of * or _ whether it may open or
// close emphasis. It expects a space between words. Text without spaces breaks the rule as soon as
// punctuation is next to the run:
//
//	使用**`docker run`**命令
//	**注意：**容器会停止
//
// Neither line has bold text in CommonMark. This package follows the "CJK-friendly amendments" to
// CommonMark (github.com/tats-u/markdown-cjk-friendly), which change two definitions:
//
//   - CJK punctuation, such as 。or （, counts as a letter.
//   - A CJK character next to the run counts as white space where other punctuation is on the
//     run's other side.
//
// Text without CJK characters is parsed exactly as CommonMark and GFM say, with one exception: a
// single ~ within a word or a number is text, because it is the sign for ranges (8~15). Like
// CommonMark, the amendments leave "**(a)**b" alone: a letter that is not CJK stands next to the
// second run.
package cjk

import (
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	"golang.org/x/text/width"
)

// Emphasis is a goldmark extension: emphasis and GFM's strikethrough with the amended rules. It
// replaces extension.Strikethrough.
type Emphasis struct{}

// Priorities within goldmark. Its own emphasis parser has 500; ours must come first.
const (
	parserPriority   = 490
	rendererPriority = 500
)

// Extend implements goldmark.Extender.
func (Emphasis) Extend(m goldmark.Markdown) {
	m.Parser().AddOptions(parser.WithInlineParsers(
		util.Prioritized(emphasisParser{}, parserPriority),
		util.Prioritized(strikethroughParser{}, parserPriority),
	))
	m.Renderer().AddOptions(renderer.WithNodeRenderers(
		util.Prioritized(extension.NewStrikethroughHTMLRenderer(), rendererPriority),
	))
}

// emphasisParser parses runs of * and _.
type emphasisParser struct{}

// Trigger implements parser.InlineParser.
func (emphasisParser) Trigger() []byte { return []byte{'*', '_'} }

// Parse implements parser.InlineParser.
func (emphasisParser) Parse(_ ast.Node, block text.Reader, pc parser.Context) ast.Node {
	return parseRun(block, pc, emphasisRun{})
}

// strikethroughParser parses runs of one or two ~.
type strikethroughParser struct{}

// Trigger implements parser.InlineParser.
func (strikethroughParser) Trigger() []byte { return []byte{'~'} }

// Parse implements parser.InlineParser. A run of three or more ~ is text.
func (strikethroughParser) Parse(_ ast.Node, block text.Reader, pc parser.Context) ast.Node {
	line, _ := block.PeekLine()
	if runLength(line) > 2 || block.PrecendingCharacter() == '~' {
		return nil
	}
	return parseRun(block, pc, strikethroughRun{})
}

// emphasisRun implements parser.DelimiterProcessor for * and _.
type emphasisRun struct{}

func (emphasisRun) IsDelimiter(c byte) bool { return c == '*' || c == '_' }
func (emphasisRun) CanOpenCloser(opener, closer *parser.Delimiter) bool {
	return opener.Char == closer.Char
}
func (emphasisRun) OnMatch(consumes int) ast.Node { return ast.NewEmphasis(consumes) }

// strikethroughRun implements parser.DelimiterProcessor for ~. Both runs have the same length, as
// on GitHub: "~~a~" is text.
type strikethroughRun struct{}

func (strikethroughRun) IsDelimiter(c byte) bool { return c == '~' }
func (strikethroughRun) CanOpenCloser(opener, closer *parser.Delimiter) bool {
	return opener.Char == closer.Char && opener.OriginalLength == closer.OriginalLength
}
func (strikethroughRun) OnMatch(int) ast.Node { return east.NewStrikethrough() }

// parseRun reads a delimiter run and leaves it to goldmark to match it with others.
func parseRun(block text.Reader, pc parser.Context, processor parser.DelimiterProcessor) ast.Node {
	line, segment := block.PeekLine()
	n := runLength(line)
	after := ' '
	if n < len(line) {
		after, _ = utf8.DecodeRune(line[n:])
	}
	before := block.PrecendingCharacter()
	beforeThat := ' '
	if isVariationSelector(before) {
		beforeThat = secondLastRune(block.Source()[:segment.Start])
	}
	// A single ~ is the sign for ranges: "8~15 minutes and 2~4 GB" has nothing struck through.
	whole := line[0] == '_' || line[0] == '~' && n == 1
	open, closes := flanking(leftOf(before, beforeThat), rightOf(after), whole)
	node := parser.NewDelimiter(open, closes, n, line[0], processor)
	node.Segment = segment.WithStop(segment.Start + n)
	block.Advance(n)
	pc.PushDelimiter(node)
	return node
}

// runLength returns how often line's first byte is repeated.
func runLength(line []byte) int {
	n := 1
	for n < len(line) && line[n] == line[0] {
		n++
	}
	return n
}

// neighbour classifies a character next to a delimiter run.
type neighbour struct {
	space, punctuation, cjk bool
}

// foreign reports whether the character is punctuation as CommonMark means it: not of CJK text.
func (c neighbour) foreign() bool { return c.punctuation && !c.cjk }

// flanking returns whether a run may open and close emphasis; with wholeWords not within a word.
func flanking(before, after neighbour, wholeWords bool) (opens, closes bool) {
	left := !after.space && (!after.foreign() || before.space || before.foreign() || before.cjk)
	right := !before.space && (!before.foreign() || after.space || after.foreign() || after.cjk)
	if !wholeWords {
		return left, right
	}
	return left && (!right || before.punctuation), right && (!left || after.punctuation)
}

func rightOf(r rune) neighbour {
	return neighbour{space: util.IsSpaceRune(r), punctuation: util.IsPunctRune(r), cjk: isCJK(r)}
}

// leftOf classifies the character before a run. A variation selector belongs to the character
// before it, which beforeThat is then.
func leftOf(r, beforeThat rune) neighbour {
	switch {
	case isIdeographicSelector(r):
		return neighbour{cjk: true}
	case r == fullWidthSelector && isAmbiguousQuote(beforeThat):
		return neighbour{punctuation: true, cjk: true}
	case isVariationSelector(r) && r != emojiSelector:
		return rightOf(beforeThat)
	}
	return rightOf(r)
}

func secondLastRune(b []byte) rune {
	_, n := utf8.DecodeLastRune(b)
	r, _ := utf8.DecodeLastRune(b[:len(b)-n])
	return r
}

// Variation selectors choose between the forms of the character before them.
const (
	fullWidthSelector = '\uFE01' // after quotation marks: the form of CJK text
	emojiSelector     = '\uFE0F'
)

func isVariationSelector(r rune) bool { return r >= '\uFE00' && r <= emojiSelector }

func isIdeographicSelector(r rune) bool { return r >= 0xE0100 && r <= 0xE01EF }

// isAmbiguousQuote reports whether r is a quotation mark of Western and of CJK text.
func isAmbiguousQuote(r rune) bool { return r == '‘' || r == '’' || r == '“' || r == '”' }

// isCJK reports whether r is a character of Chinese, Japanese or Korean text, punctuation included:
// one that East Asian text sets in a full or half square (Unicode Annex 11), without emoji.
func isCJK(r rune) bool {
	if r < firstCJK {
		return false
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth, width.EastAsianHalfwidth:
		return !unicode.Is(wideEmoji, r)
	}
	return unicode.Is(unicode.Hangul, r)
}

// firstCJK is the first letter of Hangul.
const firstCJK = 0x1100

// wideEmoji holds the wide characters that are shown as emoji unless text asks otherwise
// (Emoji_Presentation in Unicode's emoji-data.txt). They are symbols in any language.
var wideEmoji = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x231a, Hi: 0x231b, Stride: 1}, {Lo: 0x23e9, Hi: 0x23f3, Stride: 1},
		{Lo: 0x25fd, Hi: 0x25fe, Stride: 1}, {Lo: 0x2614, Hi: 0x2615, Stride: 1},
		{Lo: 0x2648, Hi: 0x2653, Stride: 1}, {Lo: 0x267f, Hi: 0x267f, Stride: 1},
		{Lo: 0x2693, Hi: 0x27bf, Stride: 1}, {Lo: 0x2b1b, Hi: 0x2b55, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f004, Hi: 0x1f1ff, Stride: 1}, {Lo: 0x1f201, Hi: 0x1f201, Stride: 1},
		{Lo: 0x1f21a, Hi: 0x1f21a, Stride: 1}, {Lo: 0x1f22f, Hi: 0x1f22f, Stride: 1},
		{Lo: 0x1f232, Hi: 0x1f236, Stride: 1}, {Lo: 0x1f238, Hi: 0x1f23a, Stride: 1},
		{Lo: 0x1f250, Hi: 0x1f251, Stride: 1}, {Lo: 0x1f300, Hi: 0x1faff, Stride: 1},
	},
}
