// Package search makes the index that a site is searched with, without a server.
//
// The index of a language is a set of small JSON files, of which a browser loads what a query needs:
//
//	index.json       what there is: the number of sections, the prefixes of the term files, the buckets of Han characters
//	t-<prefix>.json  the terms that begin with prefix: {"term": "postings"}
//	h-<bucket>.json  the terms that begin with a Han character whose code modulo the number of buckets is bucket
//	d-<n>.json       the sections perFile*n …: [[page, anchor, page title, section title, text] …]
//
// Postings are sections with a weight, "12.3 5 40.2": the distance to the section before in base 36, then the weight if it
// isn't 1. The weight says how often and in what place the term stands there. A page belongs to the index of each language
// it is shown in. site/assets/ts/search reads all this.
package search

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
	"unique"
)

const (
	docsPerFile = 8
	maxTermFile = 16 << 10 // bytes before a file of terms is split by one more letter
	maxPrefix   = 6
	maxExcerpt  = 240 // characters of a section's text that are shown
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
	row   []string
	terms []termWeight
}

// termWeight is a term with its weight in a section. Terms are shared between sections: a large course has millions.
type termWeight struct {
	term   unique.Handle[string]
	weight int32
}

// NewDoc makes a section ready.
func NewDoc(s Section) *Doc {
	text := strings.Join(strings.Fields(s.Text), " ")
	counts := map[string]int{}
	add := func(text string, weight int) {
		for _, t := range Terms(text) {
			if len(counts) >= maxDocTerms {
				return
			}
			counts[t] += weight
		}
	}
	if s.Heading == "" {
		add(s.Page, titleWeight)
	}
	add(s.Heading, headWeight)
	add(text, 1)
	add(s.Code, 1)
	d := &Doc{row: []string{s.URL, s.Anchor, s.Page, s.Heading, cut(text, maxExcerpt)}, terms: make([]termWeight, 0, len(counts))}
	for term, count := range counts {
		// The tenth mention says less than the second.
		w := 1 + int(math.Round(3*math.Log2(float64(count))))
		d.terms = append(d.terms, termWeight{unique.Make(term), int32(min(w, maxWeight))})
	}
	return d
}

// File is one file of an index.
type File struct {
	Name string
	Data []byte
}

// cut shortens text to n characters, at a space if there is one near.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	runes := []rune(text)[:n]
	for i := n - 1; i > n-20; i-- {
		if runes[i] == ' ' {
			return string(runes[:i]) + "…"
		}
	}
	return string(runes) + "…"
}

// Index makes the files of an index. The order of docs decides between sections that fit a query equally.
func Index(docs []*Doc) ([]File, error) {
	type posting struct{ doc, weight int32 }
	postings := map[string][]posting{}
	for i, d := range docs {
		for _, t := range d.terms {
			term := t.term.Value()
			postings[term] = append(postings[term], posting{int32(i), t.weight})
		}
	}
	encoded := map[string]string{}
	var latin, han []string
	hanBytes := 0
	for term, list := range postings {
		slices.SortFunc(list, func(a, b posting) int { return cmp.Compare(a.doc, b.doc) })
		var b strings.Builder
		last := int32(0)
		for i, p := range list {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(strconv.FormatInt(int64(p.doc-last), 36))
			if p.weight > 1 {
				b.WriteByte('.')
				b.WriteString(strconv.FormatInt(int64(p.weight), 36))
			}
			last = p.doc
		}
		encoded[term] = b.String()
		if first, _ := utf8.DecodeRuneInString(term); unicode.In(first, unicode.Han, unicode.Hiragana, unicode.Katakana) {
			han = append(han, term)
			hanBytes += b.Len() + len(term) + 6
		} else {
			latin = append(latin, term)
		}
	}
	slices.Sort(latin)
	slices.Sort(han)
	files := map[string]map[string]string{}
	put := func(file, term string) {
		if files[file] == nil {
			files[file] = map[string]string{}
		}
		files[file][term] = encoded[term]
	}
	prefixes := splitByPrefix(latin, encoded)
	for _, term := range latin {
		put("t-"+fileWord(longestPrefix(term, prefixes)), term)
	}
	// A prefix whose terms are all under longer ones has no file.
	prefixes = slices.DeleteFunc(prefixes, func(p string) bool { return files["t-"+fileWord(p)] == nil })
	if prefixes == nil {
		prefixes = []string{} // [] in JSON, not null
	}
	buckets := max(1, (hanBytes+maxTermFile-1)/maxTermFile)
	for _, term := range han {
		first, _ := utf8.DecodeRuneInString(term)
		put("h-"+strconv.Itoa(int(first)%buckets), term)
	}
	var out []File
	write := func(name string, v any) error {
		data, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("writing the search index: %w", err)
		}
		out = append(out, File{Name: name + ".json", Data: data})
		return nil
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := write(name, files[name]); err != nil {
			return nil, err
		}
	}
	for start := 0; start < len(docs); start += docsPerFile {
		var rows [][]string
		for _, d := range docs[start:min(start+docsPerFile, len(docs))] {
			rows = append(rows, d.row)
		}
		if err := write("d-"+strconv.Itoa(start/docsPerFile), rows); err != nil {
			return nil, err
		}
	}
	hanFiles := 0
	if len(han) > 0 {
		hanFiles = buckets
	}
	err := write("index", map[string]any{"docs": len(docs), "perFile": docsPerFile, "prefixes": prefixes, "han": hanFiles})
	return out, err
}

// splitByPrefix finds prefixes of one letter or more such that the terms under each fit into a file.
func splitByPrefix(sorted []string, encoded map[string]string) []string {
	var out []string
	var split func(terms []string, length int)
	split = func(terms []string, length int) {
		for start := 0; start < len(terms); {
			prefix := firstRunes(terms[start], length)
			end, size := start, 0
			for end < len(terms) && firstRunes(terms[end], length) == prefix {
				size += len(terms[end]) + len(encoded[terms[end]]) + 6
				end++
			}
			out = append(out, prefix)
			if size > maxTermFile && length < maxPrefix {
				split(terms[start:end], length+1)
			}
			start = end
		}
	}
	split(sorted, 1)
	slices.Sort(out)
	return slices.Compact(out)
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func longestPrefix(term string, prefixes []string) string {
	for n := maxPrefix; n > 0; n-- {
		p := firstRunes(term, n)
		if _, ok := slices.BinarySearch(prefixes, p); ok {
			return p
		}
	}
	return ""
}

// fileWord makes a prefix into a file name: letters other than small Latin ones and digits by their code.
func fileWord(prefix string) string {
	var b strings.Builder
	for _, r := range prefix {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "_%x", r)
		}
	}
	return b.String()
}
