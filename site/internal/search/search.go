// Package search builds a static full-text search index that browsers query without a server.
//
// The index of a language is a set of small JSON files. A browser fetches only the files that a query needs:
//
//	index.json       metadata: the number of sections, the prefixes of the term files, the number of buckets for Han characters
//	t-<prefix>.json  the terms for which this is the longest prefix: {"term": "postings"}; characters of the prefix other than
//	                 a to z and 0 to 9 are written as their code point, é as _e9_
//	h-<bucket>.json  the terms whose first Han character has a code point equal to bucket, modulo the number of buckets
//	words.json       the most frequent words of scripts with spaces, for completion and spelling suggestions
//	d-<n>.json       the sections perFile*n …: [[page, anchor, page title, section title, text] …]
//
// Postings are a list of section numbers with weights, such as "12.3 5 40.2". Each number is the difference to the one before, in
// base 36. The weight follows after a dot unless it is 1; it depends on how often the term occurs in the section and whether it
// is in a title. A page is in the index of every language it is shown in. site/assets/ts/search reads these files.
//
// An Index is in memory and can be updated: Set replaces the sections of a page, and File returns a single file. The files depend
// only on the pages in the index, not on the order of updates.
package search

import (
	"encoding/json"
	"math"
	"unicode"
	"unicode/utf8"
)

const (
	docsPerFile = 8
	maxTermFile = 16 << 10 // bytes; a larger term file is split by one more letter of the prefix
	// From this number of sections, files are twice as large. Otherwise the index would have more files than the site has pages.
	manyDocs    = 20_000
	maxPrefix   = 6
	maxWords    = 32 << 10 // bytes of words.json
	minWord     = 3        // characters of a word in words.json
	maxSnippet  = 240      // characters of a section's text that results show
	titleWeight = 8
	headWeight  = 5
	maxWeight   = 35
	maxDocTerms = 20_000 // terms of one section that are indexed
)

// Section is a searchable part of a page.
type Section struct {
	URL, Anchor string
	Page        string // title of the page
	Heading     string // title of the section; empty for what stands before the first
	Text, Code  string // both are indexed; results show only Text
}

// Doc is a section prepared for the index. It does not keep the full text.
type Doc struct {
	row   string // its entry in d-<n>.json
	words string // all terms, concatenated
	terms []docTerm
}

type docTerm struct {
	hash   uint32 // of the term
	end    uint32 // offset in words; the term starts at the end of the one before
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
	row, _ := json.Marshal([]string{s.URL, s.Anchor, s.Page, s.Heading, snippet(s.Text, maxSnippet)}) // strings can always be written
	d := &Doc{row: string(row), words: string(c.words), terms: make([]docTerm, len(c.terms))}
	for i, t := range c.terms {
		d.terms[i] = docTerm{t.hash, t.end, weightOf(t.count)}
	}
	return d
}

// weightOf converts a count to a weight on a logarithmic scale: later mentions count less than earlier ones.
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

// snippet returns the first n characters of text with white space collapsed. It ends at a word boundary if one is near.
func snippet(text string, n int) string {
	out := make([]byte, 0, min(len(text), n+n/2))
	count, gap := 0, false
	space, spaceAt := 0, 0 // characters and bytes before the last space
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
