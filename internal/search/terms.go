package search

import (
	"strings"
	"unicode"
)

// maxTerm bounds a term of the search index, in characters: what is longer is data.
const maxTerm = 32

// Terms cuts text into what can be searched for. Words of letters and digits become stems in lower case. Scripts without
// spaces become pairs of neighbouring characters: whoever searches for a word of any length then finds exactly where its
// characters stand together, without a dictionary that lacks the newest words. site/assets/ts/search/terms.ts does the same in
// the browser, and a test compares the two.
func Terms(text string) []string {
	var out []string
	var word, run []rune
	flushWord := func() {
		if n := len(word); n > 0 && n <= maxTerm {
			out = append(out, stem(string(word)))
		}
		word = word[:0]
	}
	flushRun := func() {
		if len(run) == 1 {
			out = append(out, string(run))
		}
		for i := 0; i+1 < len(run); i++ {
			out = append(out, string(run[i:i+2]))
		}
		run = run[:0]
	}
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			flushWord()
			run = append(run, r)
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			flushRun()
			word = append(word, unicode.ToLower(r))
		default:
			flushWord()
			flushRun()
		}
	}
	flushWord()
	flushRun()
	return out
}

// stem takes the endings off an English word that its other forms may have. What is left need not be a word; it must only
// be the same for all forms. Words with other than small Latin letters stay as they are.
func stem(w string) string {
	for i := range len(w) {
		if w[i] < 'a' || w[i] > 'z' {
			return w
		}
	}
	if len(w) > 4 && (strings.HasSuffix(w, "ies") || strings.HasSuffix(w, "ied")) {
		w = w[:len(w)-3] + "y"
	} else if len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us") && !strings.HasSuffix(w, "is") {
		w = w[:len(w)-1]
		for _, end := range []string{"xe", "che", "she", "sse"} {
			if strings.HasSuffix(w, end) {
				w = w[:len(w)-1]
				break
			}
		}
	}
	for _, end := range []string{"ing", "ed"} {
		if rest, ok := strings.CutSuffix(w, end); ok && len(rest) > 2 && strings.ContainsAny(rest, "aeiouy") {
			w = rest
			break
		}
	}
	if len(w) > 4 && strings.HasSuffix(w, "e") {
		w = w[:len(w)-1]
	}
	if n := len(w); n > 3 && w[n-1] == w[n-2] && !strings.ContainsRune("aeiou", rune(w[n-1])) {
		w = w[:n-1]
	}
	return w
}
