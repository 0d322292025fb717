package markdown

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"
)

// maxHighlighted bounds a block that is coloured, and maxLine a line in it: colouring is the slowest part of rendering,
// and what is longer is data rather than code.
const (
	maxHighlighted = 256 << 10
	maxLine        = 10_000
)

// commonLanguages are suggested when a language is misspelt.
var commonLanguages = []string{
	"bash", "console", "css", "diff", "docker", "dockerfile", "go", "html", "ini", "java", "javascript", "json", "make",
	"markdown", "nginx", "python", "rust", "shell", "sql", "text", "toml", "typescript", "xml", "yaml",
}

// lexerCache finds lexers by name. Looking one up in the registry scans all their aliases.
type lexerCache struct{ m sync.Map }

func (c *lexerCache) get(lang string) chroma.Lexer {
	if v, ok := c.m.Load(lang); ok {
		l, _ := v.(chroma.Lexer)
		return l
	}
	l := lexers.Get(lexerName(lang))
	if l == nil {
		c.m.Store(lang, nil)
		return nil
	}
	l = chroma.Coalesce(l)
	c.m.Store(lang, l)
	return l
}

// lexerName is the lexer for a language where the names differ.
func lexerName(lang string) string {
	switch lang {
	case "console", "sh-session":
		return "bash"
	case "text", "txt", "plain", "output":
		return "plaintext"
	case "compose":
		return "yaml"
	}
	return lang
}

// maxRemembered bounds the coloured code that a Renderer keeps, in bytes of HTML.
const maxRemembered = 64 << 20

// blockCache keeps the HTML of code by what it was made from: between two builds nearly all blocks stay as they were.
type blockCache struct {
	mu   sync.Mutex
	html map[[sha256.Size]byte]string // guarded by mu
	size int                          // guarded by mu
}

func (c *blockCache) get(key [sha256.Size]byte) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.html[key]
	return s, ok
}

func (c *blockCache) put(key [sha256.Size]byte, s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.html == nil || c.size+len(s) > maxRemembered {
		// Starting anew is simpler than choosing, and happens once in a few hundred edits of a huge course.
		c.html, c.size = map[[sha256.Size]byte]string{}, 0
	}
	if len(s) <= maxRemembered {
		c.html[key] = s
		c.size += len(s)
	}
}

// blockKey is the key of all that colour's result depends on.
func blockKey(in Info, code []byte, variables []string) [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %v %q\n", in.Lang, in.Numbers, in.Marked, variables)
	_, _ = h.Write(code) // a hash never fails
	return [sha256.Size]byte(h.Sum(nil))
}

// codeBlock returns a block's HTML.
func (r *Renderer) codeBlock(st *state, in Info, code []byte) []byte {
	var b bytes.Buffer
	labels := st.req.Labels
	id := fmt.Sprintf("%sblock-%d", st.req.IDPrefix, len(st.page.Blocks))
	b.WriteString(`<div class="code`)
	if in.Lang == "console" {
		b.WriteString(` console`)
	}
	b.WriteByte('"')
	if in.Run {
		node := in.Node
		if node == "" {
			node = st.req.Node
		}
		fmt.Fprintf(&b, ` data-run data-node="%s"`, escape(node))
	}
	if in.Save != "" {
		fmt.Fprintf(&b, ` data-save="%s"`, escape(in.Save))
	}
	if in.Run || in.Save != "" {
		fmt.Fprintf(&b, ` data-block="%s"`, escape(id))
	}
	b.WriteByte('>')
	title := in.Title
	if title == "" && in.Save != "" {
		title = in.Save
	}
	if title != "" {
		fmt.Fprintf(&b, `<div class="code-title">%s</div>`, escape(title))
	}
	b.WriteString(`<pre tabindex="0"><code`)
	if in.Lang != "" {
		fmt.Fprintf(&b, ` class="language-%s"`, escape(in.Lang))
	}
	b.WriteByte('>')
	key := blockKey(in, code, st.req.Variables)
	html, ok := r.blocks.get(key)
	if !ok {
		html = r.colour(in, code, st.req.Variables)
		r.blocks.put(key, html)
	}
	b.WriteString(html)
	b.WriteString("</code></pre>")
	if in.copies() {
		fmt.Fprintf(&b, `<button type="button" class="copy" data-copy hidden>%s</button>`, escape(labels.Copy))
	}
	b.WriteString("</div>\n")
	return b.Bytes()
}

// copies says whether a block has a copy button: pictures made of text have none unless it is asked for.
func (in Info) copies() bool {
	if in.Copy || in.Run || in.Save != "" {
		return true
	}
	return !in.NoCopy && lexerName(in.Lang) != "plaintext"
}

// colour returns the coloured code. Variables are hidden from the lexer as words it can't mistake for syntax.
func (r *Renderer) colour(in Info, code []byte, variables []string) string {
	src := strings.TrimRight(string(code), "\n")
	if src == "" {
		return ""
	}
	var out string
	hidden, names := hideVariables(src, variables)
	switch lexer := r.lexers.get(in.Lang); {
	case in.Lang == "console":
		out = consoleHTML(lexer, hidden)
	case lexer == nil || len(src) > maxHighlighted || longestLine(src) > maxLine:
		out = lineHTML(in, [][]chroma.Token{{{Type: chroma.Text, Value: hidden}}}, hidden)
	default:
		tokens, err := chroma.Tokenise(lexer, nil, hidden)
		if err != nil {
			// A lexer that fails loses colours, never text.
			tokens = []chroma.Token{{Type: chroma.Text, Value: hidden}}
		}
		if isShell(in.Lang) {
			tokens = shellWords(tokens)
		}
		out = lineHTML(in, chroma.SplitTokensIntoLines(tokens), hidden)
	}
	for i, name := range names {
		out = strings.ReplaceAll(out, hiddenName(i), variableSpan(name))
	}
	return out
}

// hiddenName is what stands for the i-th variable while code is coloured: letters only, and nothing anybody writes.
func hiddenName(i int) string {
	return "LABDvarQZX" + string(rune('a'+i%26)) + strings.Repeat("z", i/26) + "XZQ"
}

func hideVariables(src string, variables []string) (string, []string) {
	var names []string
	for _, v := range variables {
		if strings.Contains(src, "{{"+v+"}}") {
			src = strings.ReplaceAll(src, "{{"+v+"}}", hiddenName(len(names)))
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

// lineHTML writes tokens, with an element per line only where lines are marked, numbered or a diff.
func lineHTML(in Info, lines [][]chroma.Token, src string) string {
	var b strings.Builder
	b.Grow(len(src) * 2)
	if in.Numbers == 0 && len(in.Marked) == 0 && in.Lang != "diff" {
		for _, line := range lines {
			writeTokens(&b, line)
		}
		return strings.TrimRight(b.String(), "\n")
	}
	for i, line := range lines {
		class := "line"
		for _, m := range in.Marked {
			if i+1 >= m.From && i+1 <= m.To {
				class += " marked"
				break
			}
		}
		if in.Lang == "diff" && len(line) > 0 {
			switch v := line[0].Value; {
			case strings.HasPrefix(v, "+"):
				class += " added"
			case strings.HasPrefix(v, "-"):
				class += " removed"
			}
		}
		b.WriteString(`<span class="` + class + `">`)
		if in.Numbers > 0 {
			// The number is generated content of CSS, so selecting and copying leave it out.
			fmt.Fprintf(&b, `<span class="number" data-n="%d"></span>`, in.Numbers+i)
		}
		var text strings.Builder
		writeTokens(&text, line)
		b.WriteString(strings.TrimSuffix(text.String(), "\n"))
		b.WriteString("</span>\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func writeTokens(b *strings.Builder, tokens []chroma.Token) {
	for _, t := range tokens {
		class := tokenClass(t.Type)
		if class == "" || strings.TrimSpace(t.Value) == "" {
			b.WriteString(escape(t.Value))
			continue
		}
		value, end := t.Value, ""
		if s, ok := strings.CutSuffix(value, "\n"); ok {
			value, end = s, "\n"
		}
		b.WriteString(`<span class="` + class + `">` + escape(value) + "</span>" + end)
	}
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

func isShell(lang string) bool {
	switch lang {
	case "bash", "sh", "shell", "zsh":
		return true
	}
	return false
}

// shellWords tells programs and options from other words, which the shell's lexer does not: in a lesson about commands
// they are what the reader looks for.
func shellWords(tokens []chroma.Token) []chroma.Token {
	var out []chroma.Token
	first := true  // the next word is a program's name
	value := false // the next word is what a variable is set to
	for _, t := range tokens {
		if t.Type != chroma.Text && t.Type != chroma.TextWhitespace {
			switch {
			case t.Type == chroma.NameBuiltin && !first:
				t.Type = chroma.Text // `exec` in `docker exec` is not the shell's
			case t.Type == chroma.NameVariable || t.Type.InCategory(chroma.Comment):
			case t.Value == "=":
				value = true
			case t.Type == chroma.Keyword, t.Type == chroma.Punctuation, t.Type == chroma.Operator:
				first = true
			default:
				first, value = value && first, false
			}
			out = append(out, t)
			continue
		}
		for _, w := range splitWords(t.Value) {
			kind := t.Type
			switch {
			case strings.TrimSpace(w) == "":
				if strings.Contains(w, "\n") && (len(out) == 0 || !strings.HasSuffix(out[len(out)-1].Value, "\\")) {
					first = true
				}
				value = false
			case value:
				value = false
			case first:
				kind, first = chroma.NameFunction, false
			case strings.HasPrefix(w, "-") && len(w) > 1:
				kind = chroma.NameAttribute
			}
			out = append(out, chroma.Token{Type: kind, Value: w})
		}
	}
	return out
}

// splitWords cuts s into runs of space and of anything else.
func splitWords(s string) []string {
	var out []string
	for s != "" {
		space := s[0] == ' ' || s[0] == '\t' || s[0] == '\n'
		end := strings.IndexFunc(s, func(r rune) bool { return (r == ' ' || r == '\t' || r == '\n') != space })
		if end < 0 {
			end = len(s)
		}
		out, s = append(out, s[:end]), s[end:]
	}
	return out
}

// consoleHTML writes a session: prompts, commands and output apart from each other.
func consoleHTML(lexer chroma.Lexer, src string) string {
	var b strings.Builder
	goesOn := false
	for line := range strings.SplitSeq(src, "\n") {
		prompt, command := "", ""
		inside := goesOn
		switch {
		case goesOn:
			command = line
		case strings.HasPrefix(line, "$ "), strings.HasPrefix(line, "# "):
			prompt, command = line[:2], line[2:]
		}
		if prompt == "" && !goesOn {
			b.WriteString(`<span class="output">` + escape(line) + "</span>\n")
			continue
		}
		if prompt != "" {
			b.WriteString(`<span class="prompt">` + prompt + `</span>`)
		}
		goesOn = strings.HasSuffix(command, `\`)
		b.WriteString(`<span class="command">`)
		tokens, err := chroma.Tokenise(lexer, nil, command)
		if err != nil {
			tokens = []chroma.Token{{Type: chroma.Text, Value: command}}
		}
		if !inside {
			tokens = shellWords(tokens)
		}
		var text strings.Builder
		writeTokens(&text, tokens)
		b.WriteString(strings.TrimRight(text.String(), "\n"))
		b.WriteString("</span>\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
