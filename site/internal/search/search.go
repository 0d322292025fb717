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
	hash   uint32 // of the term
	end    uint32 // of the term in words; it begins where the one before ends
	weight uint8
}

// NewDocs prepares the sections of a page.
func NewDocs(sections []Section) []*Doc {
	if len(sections) == 0 {
		return nil
	}
	var sc scanner
	c := counter{places: newTable(1 << 9)}
	out := make([]*Doc, len(sections))
	for i, s := range sections {
		out[i] = newDoc(s, &sc, &c)
	}
	return out
}

// NewDoc prepares one section.
func NewDoc(s Section) *Doc { return NewDocs([]Section{s})[0] }

// newDoc counts the terms of a section in c, which it empties first.
func newDoc(s Section, sc *scanner, c *counter) *Doc {
	c.reset()
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
		d.terms[i] = docTerm{t.hash, t.end, weightOf(t.count)}
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

// counter counts the terms of a section.
type counter struct {
	places table // in terms
	words  []byte
	terms  []termCount
}

type termCount struct {
	hash       uint32
	start, end uint32 // of the term in words
	count      uint32
}

// reset empties the counter and keeps its memory.
func (c *counter) reset() {
	c.places.clear()
	c.words, c.terms = c.words[:0], c.terms[:0]
}

func (c *counter) add(term []byte, weight uint32) {
	hash := hashOf(term)
	p := c.places.probe(hash)
	for p.next() {
		if t := &c.terms[p.candidate]; string(c.words[t.start:t.end]) == string(term) {
			t.count += weight
			return
		}
	}
	if len(c.terms) >= maxDocTerms {
		return
	}
	c.places.add(p.at, hash, uint32(len(c.terms)))
	start := uint32(len(c.words))
	c.words = append(c.words, term...)
	c.terms = append(c.terms, termCount{hash, start, uint32(len(c.words)), weight})
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
