package course

import (
	"unicode"
	"unicode/utf8"
)

// Reading speeds, of Latin words and of Chinese characters.
const (
	wordsPerMinute = 200
	hanPerMinute   = 400
)

// ReadingMinutes is the reading time of a text: the author's value, or an estimate by length.
func (t *Text) ReadingMinutes() int {
	if t.Minutes > 0 {
		return t.Minutes
	}
	text := t.Doc.Body
	han, words, in := 0, 0, false
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf { // a fast path for ASCII
			letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
			if letter && !in {
				words++
			}
			in = letter
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		i += n
		switch {
		case unicode.Is(unicode.Han, r):
			han++
			in = false
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if !in {
				words++
			}
			in = true
		default:
			in = false
		}
	}
	return max(1, (words*hanPerMinute+han*wordsPerMinute+wordsPerMinute*hanPerMinute/2)/(wordsPerMinute*hanPerMinute))
}
