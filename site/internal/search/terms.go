package search

import (
	"unicode"
	"unicode/utf8"
)

// maxTerm is the maximum length of a term in characters. Longer ones are data, not words.
const maxTerm = 32

// Terms cuts text into what can be searched for. Words of letters and digits become stems in lower case. Scripts without
// spaces become pairs of neighbouring characters: whoever searches for a word of any length then finds exactly where its
// characters stand together, without a dictionary that lacks the newest words. The last character before something else is a
// term too, so that each character begins a term where it stands. site/assets/ts/search/terms.ts does the same in
// the browser, and a test compares the two.
func Terms(text string) []string {
	var out []string
	var sc scanner
	sc.scan(text, func(term []byte) { out = append(out, string(term)) })
	return out
}

// scanner splits text into terms.
type scanner struct {
	word    []byte // in lower case
	letters int    // characters of the word
}

// scan calls yield with each term. The slice is only valid until yield returns.
func (s *scanner) scan(text string, yield func(term []byte)) {
	var pair []byte
	before, run := 0, 0 // where the character before begins; characters of a script without spaces so far
	endRun := func(end int) {
		if run > 0 {
			yield(append(pair[:0], text[before:end]...))
		}
		run = 0
	}
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if lower := c | 0x20; lower >= 'a' && lower <= 'z' || c >= '0' && c <= '9' {
				if run > 0 {
					endRun(i)
				}
				if c >= 'A' && c <= 'Z' {
					c = lower
				}
				s.word = append(s.word, c)
				s.letters++
			} else {
				if s.letters > 0 {
					s.endWord(yield)
				}
				if run > 0 {
					endRun(i)
				}
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case unspaced(r):
			if s.letters > 0 {
				s.endWord(yield)
			}
			if run > 0 {
				pair = append(pair[:0], text[before:i+size]...)
				yield(pair)
			}
			before = i
			run++
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			endRun(i)
			s.word = utf8.AppendRune(s.word, unicode.ToLower(r))
			s.letters++
		default:
			if s.letters > 0 {
				s.endWord(yield)
			}
			endRun(i)
		}
		i += size
	}
	if s.letters > 0 {
		s.endWord(yield)
	}
	endRun(len(text))
}

func (s *scanner) endWord(yield func(term []byte)) {
	if s.letters <= maxTerm {
		yield(stem(s.word))
	}
	s.word, s.letters = s.word[:0], 0
}

// unspaced reports whether a character belongs to a script that is written without spaces.
func unspaced(r rune) bool {
	if r >= 0x4e00 && r <= 0x9fff { // nearly all of them
		return true
	}
	return r >= 0x2e80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
}
