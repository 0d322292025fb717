package highlight

import (
	"strings"

	"github.com/alecthomas/chroma/v2"
)

func isShell(lang string) bool {
	switch lang {
	case "bash", "sh", "shell", "zsh":
		return true
	}
	return false
}

// shellWords tells programs and options from other words, which the shell's lexer does not: in a lesson about commands
// they are what the reader looks for.
func (r *run) shellWords(tokens []chroma.Token) []chroma.Token {
	out := r.words[:0]
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
		for rest := t.Value; rest != ""; {
			var w string
			w, rest = cutWord(rest)
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
	r.words = out
	return out
}

// cutWord cuts a run of space, or of anything else, off the front of s.
func cutWord(s string) (word, rest string) {
	space := isSpace(s[0])
	for i := range len(s) {
		if isSpace(s[i]) != space {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' }

// appendConsole writes a session: prompts, commands and output apart from each other.
func (h *Highlighter) appendConsole(out []byte, r *run, shell *language, src string) []byte {
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
			out = append(out, `<span class="output">`...)
			out = appendText(out, line)
			out = append(out, "</span>\n"...)
			continue
		}
		if prompt != "" {
			out = append(out, `<span class="prompt">`...)
			out = append(out, prompt...)
			out = append(out, "</span>"...)
		}
		goesOn = strings.HasSuffix(command, `\`)
		out = append(out, `<span class="command">`...)
		tokens := []chroma.Token{{Type: chroma.Text, Value: command}}
		if len(command) <= maxLine {
			tokens = h.tokens(r, shell, command)
		}
		if !inside {
			tokens = r.shellWords(tokens)
		}
		out = appendTokens(out, tokens)
		for out[len(out)-1] == '\n' {
			out = out[:len(out)-1]
		}
		out = append(out, "</span>\n"...)
	}
	return out
}
