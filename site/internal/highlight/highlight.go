// Package highlight colours code: it writes the HTML of a block, in which kinds of words have a class.
//
// Languages and their rules are chroma's. Its engine tries every rule of a language at every place with a matcher for
// any kind of pattern, which takes most of the time of building a site; so the rules run here on an engine of their own
// (see program), with the same result. What only chroma can run is left to it.
//
// The classes are k (keyword), nb (builtin), nf (function, class), nt (tag, attribute, key), nv (variable), m (number,
// constant), s (string), c (comment), o (operator), gi, gd, gh (inserted, deleted, heading). In shells, programs are nf
// and options nt. The language "console" is a session: its lines are <span class="command"> after <span class="prompt">,
// or <span class="output">.
package highlight

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"
)

// maxHighlighted bounds a block that is coloured, and maxLine a line in it: what is longer is data rather than code.
const (
	maxHighlighted = 256 << 10
	maxLine        = 10_000
)

// Limits on the names of languages that don't exist and are kept.
const (
	maxUnknown = 4096
	maxName    = 64 // bytes
)

// Block is code to colour.
type Block struct {
	Lang    string // as Language returns it
	Code    []byte
	Numbers int     // of the first line; 0 for none
	Marked  []Range // lines
	// Variables are names that {{name}} in the code may use. Variable writes one, as HTML.
	Variables []string
	Variable  func(name string) string
}

// Range is some lines, both included.
type Range struct{ From, To int }

// Highlighter colours code. It may be used by several goroutines at a time.
type Highlighter struct {
	languages sync.Map // *language by name
	lexers    sync.Map // *lexer by chroma's; a language has several names
	unknown   atomic.Int64
	sets      sets
	runs      sync.Pool // *run, for their memory
}

// language is one that a block may have.
type language struct {
	fast *lexer       // nil if only chroma can do it
	slow chroma.Lexer // nil if unknown
}

// New makes a Highlighter.
func New() *Highlighter { return &Highlighter{} }

// Known says whether there is such a language.
func (h *Highlighter) Known(lang string) bool { return h.language(lexerName(lang)).slow != nil }

// Plain says whether a language is text that has no colours.
func Plain(lang string) bool { return lexerName(lang) == "plaintext" }

// Common are the languages that come to mind when one is misspelt.
func Common() []string {
	return []string{
		"bash", "console", "css", "diff", "docker", "dockerfile", "go", "html", "ini", "java", "javascript", "json", "make",
		"markdown", "nginx", "python", "rust", "shell", "sql", "text", "toml", "typescript", "xml", "yaml",
	}
}

// language finds a language by chroma's name. Chroma's own search scans the names of all.
func (h *Highlighter) language(name string) *language {
	if v, ok := h.languages.Load(name); ok {
		return v.(*language)
	}
	l := &language{slow: lexers.Get(name)}
	if l.slow == nil {
		// Chroma compares unknown names with a thousand patterns of file names, which takes milliseconds. There may be any
		// number of them, so only some are kept.
		if len(name) <= maxName && h.unknown.Add(1) <= maxUnknown {
			h.languages.Store(name, l)
		}
		return l
	}
	if rules, ok := l.slow.(*chroma.RegexLexer); ok {
		if fast, ok := h.lexers.Load(rules); ok {
			l.fast = fast.(*lexer)
		} else if fast, err := newLexer(rules, &h.sets); err == nil {
			v, _ := h.lexers.LoadOrStore(rules, fast)
			l.fast = v.(*lexer)
		}
	}
	l.slow = chroma.Coalesce(l.slow)
	v, _ := h.languages.LoadOrStore(name, l)
	return v.(*language)
}

// tokens cuts code into tokens. Whatever fails loses colours, never text.
func (h *Highlighter) tokens(r *run, l *language, code string) []chroma.Token {
	err := errUnsupported
	var out []chroma.Token
	if l.fast != nil {
		out, err = r.tokens(l.fast, code)
	}
	if errors.Is(err, errUnsupported) {
		out, err = tokenise(l.slow, code)
	}
	if err != nil {
		return []chroma.Token{{Type: chroma.Text, Value: code}}
	}
	return out
}

func (h *Highlighter) fast(name string) (*lexer, bool) {
	l := h.language(name)
	return l.fast, l.slow != nil
}

// tokenise asks chroma, which panics at rules that contradict themselves: which text leads there is the author's choice.
func tokenise(l chroma.Lexer, code string) (tokens []chroma.Token, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errRules, r)
		}
	}()
	return chroma.Tokenise(l, nil, code)
}

// Append appends a block's code as HTML, without the newline that ends its last line: nobody wants
// that in a terminal. Blank lines at the end stay; a browser shows them only if a newline follows.
func (h *Highlighter) Append(out []byte, b Block) []byte {
	code := strings.TrimSuffix(string(b.Code), "\n")
	src := strings.TrimRight(code, "\n")
	if src != "" {
		out = h.appendCode(out, b, src)
	}
	blank := len(code) - len(src)
	if blank == 0 {
		return out
	}
	lines := 1 + strings.Count(src, "\n")
	for i := range blank {
		out = append(out, '\n')
		out = appendBlankLine(out, b, lines+i)
	}
	return append(out, '\n')
}

// appendCode appends code that has no newline at its end.
func (h *Highlighter) appendCode(out []byte, b Block, src string) []byte {
	r, _ := h.runs.Get().(*run)
	if r == nil {
		r = &run{lexers: h.fast}
	}
	defer h.runs.Put(r)
	hidden, names := hideVariables(src, b.Variables)
	start := len(out)
	switch l := h.language(lexerName(b.Lang)); {
	case b.Lang == "console":
		out = h.appendConsole(out, r, l, hidden)
	case l.slow == nil || len(src) > maxHighlighted || longestLine(src) > maxLine:
		out = appendLines(out, b, []chroma.Token{{Type: chroma.Text, Value: hidden}})
	default:
		tokens := h.tokens(r, l, hidden)
		if isShell(b.Lang) {
			tokens = r.shellWords(tokens)
		}
		out = appendLines(out, b, tokens)
	}
	for len(out) > start && out[len(out)-1] == '\n' {
		out = out[:len(out)-1]
	}
	if len(names) == 0 {
		return out
	}
	html := string(out[start:])
	for i, name := range names {
		html = strings.ReplaceAll(html, hiddenName(i), b.Variable(name))
	}
	return append(out[:start], html...)
}

// hiddenName is what stands for the i-th variable while code is coloured: letters only, so that no language takes it for
// syntax, and nothing anybody writes.
func hiddenName(i int) string {
	return "LABDvarQZX" + string(rune('a'+i%26)) + strings.Repeat("z", i/26) + "XZQ"
}

func hideVariables(src string, variables []string) (string, []string) {
	var names []string
	for _, v := range variables {
		if name := "{{" + v + "}}"; strings.Contains(src, name) {
			src = strings.ReplaceAll(src, name, hiddenName(len(names)))
			names = append(names, v)
		}
	}
	return src, names
}

func longestLine(s string) int {
	longest := 0
	for line := range strings.Lines(s) {
		longest = max(longest, len(line))
	}
	return longest
}
