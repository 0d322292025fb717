// Package highlight does syntax highlighting: it writes a block of code as HTML in which tokens have a class.
//
// It uses the lexers of chroma, but not its engine. Chroma tries every rule of a lexer at every position with a general regular
// expression matcher, which used to take most of the time of a build. This package compiles the same rules for its own engine
// (see program), which gives the same tokens. Lexers with features that it does not support run on chroma.
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

// maxHighlighted and maxLine limit the bytes of a block, and of a line, that is highlighted. Longer ones are data rather than code.
const (
	maxHighlighted = 256 << 10
	maxLine        = 10_000
)

// Limits on the cache of unknown language names.
const (
	maxUnknown = 4096
	maxName    = 64 // bytes
)

// Block is code to highlight.
type Block struct {
	Lang    string // as Language returns it
	Code    []byte
	Numbers int     // of the first line; 0 for none
	Marked  []Range // lines to emphasise
	// Variables are the names that are replaced where the code has {{name}}. Variable returns the HTML of one.
	Variables []string
	Variable  func(name string) string
}

// Range is a range of lines, both ends included.
type Range struct{ From, To int }

// Highlighter highlights code. It is safe for concurrent use.
type Highlighter struct {
	languages sync.Map // *language by name
	lexers    sync.Map // *lexer by chroma's; a language has several names
	unknown   atomic.Int64
	sets      sets
	runs      sync.Pool // *run, for their memory
}

// language is a language with its lexer.
type language struct {
	fast *lexer       // nil if the rules need chroma's engine
	slow chroma.Lexer // nil if unknown
}

// New makes a Highlighter.
func New() *Highlighter { return &Highlighter{} }

// Known reports whether a language is supported.
func (h *Highlighter) Known(lang string) bool { return h.language(lexerName(lang)).slow != nil }

// Plain reports whether a language is plain text, which is not highlighted.
func Plain(lang string) bool { return lexerName(lang) == "plaintext" }

// Common returns frequent languages, for spelling suggestions.
func Common() []string {
	return []string{
		"bash", "console", "css", "diff", "docker", "dockerfile", "go", "html", "ini", "java", "javascript", "json", "make",
		"markdown", "nginx", "python", "rust", "shell", "sql", "text", "toml", "typescript", "xml", "yaml",
	}
}

// language finds a language by chroma's name. Chroma's own lookup scans all names, so results are cached.
func (h *Highlighter) language(name string) *language {
	if v, ok := h.languages.Load(name); ok {
		return v.(*language)
	}
	l := &language{slow: lexers.Get(name)}
	if l.slow == nil {
		// For unknown names chroma tries a thousand file name patterns, which takes milliseconds. The cache of unknown names is
		// bounded, because authors may write any number of them.
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

// tokens splits code into tokens. If that fails, the whole code is one plain token.
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
