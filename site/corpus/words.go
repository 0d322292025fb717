package corpus

import (
	"math/rand/v2"
	"sort"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"
)

const (
	englishWords = 29_250
	chineseWords = 9_750
)

// function are the most frequent words of English, and topics those of courses about containers. They have the first ranks.
var (
	function = strings.Fields("the of and to a in is it that for on as by this when then which from not has with are be or an at you can if will one each its")
	topics   = strings.Fields("container image layer network volume engine process kernel port service compose registry tag digest health check restart policy " +
		"limit memory signal shell build cache context secret mount bridge host address name server client request answer docker run file data command user system")
)

// vocabulary is a list of words with their frequencies.
type vocabulary struct {
	words []string
	sums  []uint64 // the frequencies of the words up to each
}

// newVocabulary gives words frequencies by their rank: 1/(k+2.7), in integers because floating point differs between machines.
func newVocabulary(words []string) *vocabulary {
	v := &vocabulary{words: words, sums: zipf(len(words), 27)}
	return v
}

// zipf returns running sums of frequencies proportional to 1/(10k+offset).
func zipf(n, offset int) []uint64 {
	sums := make([]uint64, n)
	total := uint64(0)
	for k := range n {
		total += 1 << 40 / uint64(10*k+offset)
		sums[k] = total
	}
	return sums
}

// pick returns an index with the frequencies that sums adds up.
func pick(rnd *rand.Rand, sums []uint64) int {
	at := rnd.Uint64N(sums[len(sums)-1])
	return sort.Search(len(sums), func(i int) bool { return sums[i] > at })
}

func (v *vocabulary) word(rnd *rand.Rand) string { return v.words[pick(rnd, v.sums)] }

// newEnglish makes the English vocabulary. The rarer a word, the longer it tends to be.
func newEnglish(rnd *rand.Rand) *vocabulary {
	onsets := strings.Fields("b c d f g h l m n p r s t v w br ch cl cr dr fl gr pl pr qu sc sh sl sp st str th tr")
	nuclei := strings.Fields("a e i o u a e i o ai ea ee ie io oa ou")
	codas := append(strings.Fields("n r l t s m c d nd nt st ck rt ll ss ct mp ng"), make([]string, 17)...)
	prefixes := strings.Fields("re un de in con pre dis over sub inter")
	suffixes := strings.Fields("s ed ing er ly ion able ment ness al ive s ed ing")
	from := func(list []string) string { return list[rnd.IntN(len(list))] }
	words := append(append([]string{}, function...), topics...)
	seen := map[string]bool{}
	for _, w := range words {
		seen[w] = true
	}
	for len(words) < englishWords {
		var b strings.Builder
		if rnd.IntN(6) == 0 {
			b.WriteString(from(prefixes))
		}
		for range 1 + rnd.IntN(2) + len(words)*3/2/englishWords {
			b.WriteString(from(onsets) + from(nuclei) + from(codas))
		}
		root := b.String()
		// A root often comes with some of its forms.
		for _, w := range []string{root, root + from(suffixes), root + from(suffixes)} {
			if !seen[w] && len(words) < englishWords {
				seen[w] = true
				words = append(words, w)
			}
			if rnd.IntN(2) == 0 {
				break
			}
		}
	}
	return newVocabulary(words)
}

// newChinese makes the Chinese vocabulary: most words have two characters.
func newChinese(rnd *rand.Rand) *vocabulary {
	particles := []rune("的是在了不有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经")
	chars, seen := particles, map[string]bool{}
	known := map[rune]bool{}
	for _, r := range particles {
		known[r] = true
	}
	rest := commonCharacters()
	rnd.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	for _, r := range rest {
		if !known[r] {
			chars = append(chars, r)
		}
	}
	sums := zipf(len(chars), 300)
	var words []string
	for _, r := range particles[:30] {
		words, seen[string(r)] = append(words, string(r)), true
	}
	for len(words) < chineseWords {
		n := 2
		switch rnd.IntN(20) {
		case 0:
			n = 1
		case 1, 2:
			n = 3
		case 3:
			n = 4
		}
		var b strings.Builder
		for range n {
			b.WriteRune(chars[pick(rnd, sums)])
		}
		if w := b.String(); !seen[w] {
			words, seen[w] = append(words, w), true
		}
	}
	return newVocabulary(words)
}

// commonCharacters returns the characters of GB 2312, level 1: rows 16 to 55 of the standard, the last one not full.
func commonCharacters() []rune {
	var raw []byte
	for row := byte(0xb0); row <= 0xd7; row++ {
		for cell := byte(0xa1); cell <= 0xfe; cell++ {
			if row == 0xd7 && cell > 0xf9 {
				break
			}
			raw = append(raw, row, cell)
		}
	}
	text, err := simplifiedchinese.GBK.NewDecoder().Bytes(raw)
	if err != nil {
		panic(err) // the input is constant
	}
	return []rune(string(text))
}
