// Package search makes the index that a site is searched with, without a server.
//
// The index of a language is a set of small JSON files, of which a browser loads what a query needs:
//
//	index.json       what there is: the number of sections, the prefixes of the term files, the buckets of Han characters
//	t-<prefix>.json  the terms that begin with prefix, and with no longer prefix: {"term": "postings"}; letters of the
//	                 prefix other than a to z and 0 to 9 by their code, é as _e9_
//	h-<bucket>.json  the terms that begin with a Han character whose code modulo the number of buckets is bucket
//	words.json       the words of scripts with spaces, the commonest first, as far as they fit: what a mistyped one may have meant
//	d-<n>.json       the sections perFile*n …: [[page, anchor, page title, section title, text] …]
//
// Postings are sections with a weight, "12.3 5 40.2": the distance to the section before in base 36, then the weight if it
// isn't 1. The weight says how often and in what place the term stands there. A page belongs to the index of each language
// it is shown in. site/assets/ts/search reads all this.
//
// An Index lives in memory and follows edits: a page's sections are replaced by Set, and each file can be had alone. Its
// files depend on the pages that are in it, not on how they came there.
package search

import (
	"encoding/json"
	"hash/maphash"
	"math"
	"unicode"
	"unicode/utf8"
)

const (
	docsPerFile = 8
	maxTermFile = 16 << 10 // bytes before a file of terms is split by one more letter
	// From so many sections on, files are twice as large: there would be more files of the index than pages.
	manyDocs    = 20_000
	maxPrefix   = 6
	maxWords    = 32 << 10 // bytes of the list of words
	minWord     = 3        // characters of a word in it
	maxExcerpt  = 240      // characters of a section's text that are shown
	titleWeight = 8
	headWeight  = 5
	maxWeight   = 35
	maxDocTerms = 20_000 // terms of one section that are indexed
)

// Section is a part of a page that can be found.
type Section struct {
	URL, Anchor string
	Page        string // title of the page
	Heading     string // title of the section; empty for what stands before the first
	Text, Code  string // Code is found like Text, but not shown
}

// Doc is a section made ready for the index. It keeps little of the text.
type Doc struct {
	row   string // what d-<n>.json says of it
	words string // the terms, one after the other
	terms []docTerm
}

type docTerm struct {
	end    uint32 // of the term in words; it begins where the one before ends
	weight uint8
}

// NewDoc makes a section ready.
func NewDoc(s Section) *Doc {
	size := len(s.Heading) + len(s.Text) + len(s.Code)
	c := counter{seed: maphash.MakeSeed(), slots: make([]uint32, 1<<8), words: make([]byte, 0, 64+size/2), terms: make([]termCount, 0, 16+size/16)}
	var sc scanner
	add := func(text string, weight uint32) {
		sc.scan(text, func(term []byte) { c.add(term, weight) })
	}
	if s.Heading == "" {
		add(s.Page, titleWeight)
	}
	add(s.Heading, headWeight)
	add(s.Text, 1)
	add(s.Code, 1)
	row, _ := json.Marshal([]string{s.URL, s.Anchor, s.Page, s.Heading, excerpt(s.Text, maxExcerpt)}) // strings can always be written
	d := &Doc{row: string(row), words: string(c.words), terms: make([]docTerm, len(c.terms))}
	for i, t := range c.terms {
		d.terms[i] = docTerm{t.end, weightOf(t.count)}
	}
	return d
}

// weightOf makes a weight of a count: the tenth mention says less than the second.
func weightOf(count uint32) uint8 {
	if count == 1 {
		return 1
	}
	return uint8(min(1+int(math.Round(3*math.Log2(float64(count)))), maxWeight))
}

// counter counts terms. A map would cost an allocation for each.
type counter struct {
	seed  maphash.Seed
	slots []uint32 // hash table: 1 + place in terms, 0 for none
	words []byte
	terms []termCount
}

type termCount struct {
	hash       uint64
	start, end uint32 // of the term in words
	count      uint32
}

func (c *counter) add(term []byte, weight uint32) {
	hash := maphash.Bytes(c.seed, term)
	mask := uint64(len(c.slots) - 1)
	at := hash & mask
	for ; c.slots[at] != 0; at = (at + 1) & mask {
		if t := &c.terms[c.slots[at]-1]; t.hash == hash && string(c.words[t.start:t.end]) == string(term) {
			t.count += weight
			return
		}
	}
	if len(c.terms) >= maxDocTerms {
		return
	}
	start := uint32(len(c.words))
	c.words = append(c.words, term...)
	c.terms = append(c.terms, termCount{hash, start, uint32(len(c.words)), weight})
	c.slots[at] = uint32(len(c.terms))
	if len(c.terms)*2 > len(c.slots) {
		c.slots = make([]uint32, 2*len(c.slots))
		mask = uint64(len(c.slots) - 1)
		for i, t := range c.terms {
			at := t.hash & mask
			for c.slots[at] != 0 {
				at = (at + 1) & mask
			}
			c.slots[at] = uint32(i) + 1
		}
	}
}

// excerpt is the beginning of text, of n characters at most, with single spaces. It ends at a space if there is one near.
func excerpt(text string, n int) string {
	out := make([]byte, 0, min(len(text), n+n/2))
	count, gap := 0, false
	space, spaceAt := 0, 0 // the last space: how many characters are before it, and bytes
	for _, r := range text {
		if unicode.IsSpace(r) {
			gap = count > 0
			continue
		}
		if gap && count < n {
			space, spaceAt = count, len(out)
			out = append(out, ' ')
			count++
		}
		if gap = false; count == n {
			if space > n-20 {
				out = out[:spaceAt]
			}
			return string(out) + "…"
		}
		out = utf8.AppendRune(out, r)
		count++
	}
	return string(out)
}
