//go:build !race

package highlight

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// patterns have each construct that languages' rules use, and some that no rule does.
var patterns = []string{
	`a`, `[^a]`, `.`, `(?s).`, `abc`, `a|b|`, `ab|a|abc`, `a*`, `a*?`, `a+b`, `a+?b`, `a{2,3}`, `a{2,3}?b`, `[ab]*a`, `[ab]*?c`, `(a|b)*c`, `(a|ab)*c`, `(?:a|ab)(?:c|bcd)?`,
	`(a*)*b`, `(a*)+`, `(a*?)*?b`, `(|a)+b`, `(a|b)*?c`, `((a)|b)*`, `((a)|(b))*c`, `(a)(b)?`, `(a)\1`, `(a|b)\1*c`, `(?i)(a|B)\1`, `(?i)abC`, `(?i)[a-b]+`, `(?:ab){2}`, `(?:ab|a){2,3}c?`,
	`(?:a|b){0,2}?c`, `^a`, `a$`, `(?m)^a`, `(?m)a$`, `\ba`, `a\b`, `\Ba`, `\Aa`, `a\z`, `a\Z`, `(?=a)[ab]+`, `(?!a)[ab]+`, `(?=(a|b))\1`, `(?<=a)b`, `(?<!a)b`, `(?<=ab)c`, `(?<=a+)b`, `(?<=(a|b)c?)\w`,
	`(?<=^|b)a`, `(?>a*)a`, `(?>a|ab)c`, `(?>(a+))b?`, `\s+`, `\S+\s*`, `\w+`, `\W`, `\d+`, `[^\W\d]\w*`, `é+`, `[é器]+?a`, `(?i)É`, `\p{Lu}`, `[^\x00-\x7f]+`, `(["'])(?:\\.|(?!\1).)*\1`,
	`"(?:[^"\\]|\\.)*"`, `(?:(?:a|b)c)*a`, `(?:a(?:b(?:c)?)?)+`, `(?x: a  b )`, `a(?#c)b`, `(?<n>a)\k<n>`, `(a)|b\1`, `(?:(a)|b)*\1`, `[a-c-[b]]+`, `(?:a?){3}b`, `(a?b??)*c`, `x*`, ``, `(?:)`, `a(?=b(?!c))`,
	`(?:^|\n)a`, `a.*b`, `a.*?b`, `a[^c]*c`, `(?s)a.*c`, `(.*)(a)(.*)`, `(.*?)(a|b)(.*)`, `((?:a|b)+?)(b*)c`, `(?:[ab]|c(?=a))+`, `(?:\n|.)*?c`, `(\w+)(\s*)(=)?`, `(?:aa|a)(?:aa|a)b`,
}

// TestPatternsMatchAsInTheirOwnEngine compares matches and groups at each place of texts made of few letters.
func TestPatternsMatchAsInTheirOwnEngine(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	letters := []rune("aaabbbcAB \n\"'\\é器É1_=x")
	texts := []string{""}
	for range 150 {
		var text []rune
		for range rnd.IntN(14) {
			text = append(text, letters[rnd.IntN(4+rnd.IntN(len(letters)-3))])
		}
		texts = append(texts, string(text))
	}
	sets := &sets{}
	all := slices.Clone(patterns)
	for range 300 {
		all = append(all, randomPattern(rnd, 4))
	}
	for _, pattern := range all {
		pattern = `\G(?:` + pattern + ")"
		own, err := compile(pattern, sets)
		if errors.Is(err, errUnsupported) {
			t.Logf("%s is left to chroma", pattern)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		theirs := regexp2.MustCompile(pattern)
		theirs.MatchTimeout = time.Second
		for _, text := range texts {
			runes := []rune(text)
			m := &machine{text: text, steps: 1 << 20}
			for at := range len(runes) + 1 {
				want, err := theirs.FindRunesMatchStartingAt(runes, at)
				if err != nil {
					continue // it takes them more than a second
				}
				p := len(string(runes[:at]))
				got := own.match(m, p)
				if got && !own.start.first.fits(text, p) {
					t.Errorf("%s matches %q at %d, but not by its first byte", pattern, text, p)
				}
				if got != (want != nil) {
					t.Errorf("%s at %d of %q: %v", pattern, p, text, got)
					continue
				}
				if !got {
					continue
				}
				for i, g := range want.Groups() {
					value, from, to := "", m.groups[2*i], m.groups[2*i+1]
					if from >= 0 {
						value = text[from:to]
					}
					if value != g.String() || (from >= 0) != (len(g.Captures) > 0) {
						t.Errorf("%s at %d of %q: group %d is %q, want %q", pattern, p, text, i, value, g.String())
					}
				}
			}
		}
	}
}

// randomPattern makes a pattern of parts that are put into each other.
func randomPattern(rnd *rand.Rand, depth int) string {
	if depth == 0 {
		return []string{"a", "b", "[ab]", "[^a]", ".", "c", `\w`, `\s`, "ab", "é", `\b`, "^", "$", ""}[rnd.IntN(14)]
	}
	part := func() string { return randomPattern(rnd, depth-1) }
	switch rnd.IntN(12) {
	case 0, 1, 2:
		return part() + part()
	case 3, 4:
		return "(?:" + part() + "|" + part() + ")"
	case 5:
		return "(" + part() + "|" + part() + "|" + part() + ")"
	case 6, 7, 8:
		return "(?:" + part() + ")" + []string{"*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{2,}"}[rnd.IntN(10)]
	case 9:
		return "(" + part() + ")"
	case 10:
		return []string{"(?=", "(?!", "(?>", "(?<=", "(?<!"}[rnd.IntN(5)] + part() + ")"
	}
	return part()
}
