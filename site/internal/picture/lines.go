package picture

import (
	"strings"
	"unicode"
)

// Where Chinese lines must not begin and end.
const (
	notFirst = "，。、；：？！）》」』】〕〉｝］…—～·％‰℃,.;:?!)]}%’”»-"
	notLast  = "（《「『【〔〈｛［“‘￥＄([{«#"
)

// unspaced says whether a rune is of a script whose lines break between any two of its letters.
func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) || r >= 0x3000 && r <= 0x303f || r >= 0xff00 && r <= 0xffef
}

// pieces cuts a text where a line may end: after spaces, and within Chinese but not before a comma or behind a bracket.
func pieces(text string) []string {
	var out []string
	start, last := 0, rune(0)
	for i, r := range text {
		switch {
		case i == 0, r == ' ':
		case last == ' ',
			(unspaced(r) || unspaced(last)) && !strings.ContainsRune(notFirst, r) && !strings.ContainsRune(notLast, last),
			(last == '-' || last == '/') && unicode.IsLetter(r):
			out = append(out, text[start:i])
			start = i
		}
		last = r
	}
	return append(out, text[start:])
}

// wrap breaks a text into lines that are at most width wide, as measure tells. A piece that is wider itself is cut.
func wrap(text string, width int, measure func(string) int) []string {
	var lines []string
	line := ""
	for _, piece := range pieces(text) {
		if line != "" && measure(strings.TrimRight(line+piece, " ")) > width {
			lines = append(lines, strings.TrimRight(line, " "))
			line = ""
		}
		line += piece
		for line != "" && measure(strings.TrimRight(line, " ")) > width { // a width below zero fits nothing, not even ""
			cut := fitting(line, width, measure)
			lines = append(lines, line[:cut])
			line = line[cut:]
		}
	}
	return append(lines, strings.TrimRight(line, " "))
}

// fitting is how many bytes of a text fit into width; at least one rune.
func fitting(text string, width int, measure func(string) int) int {
	cut := 0
	for i, r := range text {
		end := i + len(string(r))
		if cut > 0 && measure(text[:end]) > width {
			break
		}
		cut = end
	}
	return cut
}

// balance breaks a text into as few lines as width allows, and those of about the same length.
func balance(text string, width int, measure func(string) int) []string {
	best := wrap(text, width, measure)
	if len(best) == 1 {
		return best
	}
	for lo, hi := width/2, width; hi-lo > 8; {
		mid := (lo + hi) / 2
		if lines := wrap(text, mid, measure); len(lines) > len(best) {
			lo = mid
		} else {
			best, hi = lines, mid
		}
	}
	return best
}

// shorten cuts lines down to n, and the last to width with an ellipsis.
func shorten(lines []string, n, width int, measure func(string) int) []string {
	if len(lines) <= n {
		return lines
	}
	lines = lines[:n]
	last := []rune(lines[n-1])
	for len(last) > 0 && measure(strings.TrimRight(string(last), " ，、,")+"…") > width {
		last = last[:len(last)-1]
	}
	lines[n-1] = strings.TrimRight(string(last), " ，、,") + "…"
	return lines
}
