package search

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Index is the index of one language. It is safe for concurrent use.
//
// A posting takes 4 bytes: the handle of a section and a weight. Handles are assigned when pages are added, and a page keeps its
// handles, so an edit changes only the lists of the words on that page. Files number the sections in page order instead.
type Index struct {
	mu    sync.Mutex
	pages map[string]*indexed // guarded by mu, like all below
	ids   table               // places in terms
	terms []term
	free  []uint32    // unused places in terms
	fresh []uint32    // terms that aren't in order yet
	bare  []uint32    // terms that a page was taken from which was the last
	order [2][]uint32 // terms by their text: first those of scripts with spaces, then the others
	sizes []uint32    // of terms in a file; 0 if that has to be found out
	docs  int         // what the sizes are for, as size has it
	paged []*indexed  // pages in the order of the last plan, with some that are gone since
	rows  []string    // by handle; empty if unused
	plan  *plan       // of the files; nil after a change
	pairs []uint64    // of Set, kept for the next
	queue queue       // new pages whose postings are not in terms yet
}

// indexed is a page in an Index.
type indexed struct {
	name         string
	order        int
	first        uint32 // handle of its first section; the others follow
	docs, handed int    // sections, and handles
	terms        []byte // places in Index.terms, as increasing varints
}

type term struct {
	text  string
	list  []posting // by handle
	heavy uint32    // how many of list have another weight than 1
	first rune      // of text, if that is in a script without spaces
}

// posting is a handle and, in the last weightBits, a weight.
type posting uint32

const weightBits = 6

// maxHandles bounds the sections that one Index gets in its life.
const maxHandles = 1 << (32 - weightBits)

// New makes an empty index.
func New() *Index {
	return &Index{pages: map[string]*indexed{}, ids: newTable(1 << 10)}
}

// Set replaces the sections of a page, or removes the page if there are none. order is the position of the page: it decides
// between sections that match a query equally well.
func (x *Index) Set(page string, order int, docs []*Doc) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := x.pages[page]
	if p == nil {
		if len(docs) == 0 {
			return
		}
		p = &indexed{name: page}
		x.pages[page], x.paged = p, append(x.paged, p)
	}
	x.plan = nil
	p.order = order
	if p.handed == 0 && len(x.rows)+len(docs) <= maxHandles {
		p.first, p.docs, p.handed = uint32(len(x.rows)), len(docs), len(docs)
		for _, d := range docs {
			x.rows = append(x.rows, d.row)
		}
		if x.queue.add(p, docs); x.queue.postings >= maxQueued {
			x.flush()
		}
		return
	}
	x.flush()
	if len(docs) > p.handed {
		x.replace(p, nil) // the page moves to new handles
		clear(x.rows[p.first : int(p.first)+p.docs])
		if len(x.rows)+len(docs) > maxHandles {
			docs = docs[:maxHandles-len(x.rows)]
		}
		p.first, p.docs, p.handed = uint32(len(x.rows)), 0, len(docs)
		x.rows = append(x.rows, make([]string, len(docs))...)
	}
	x.replace(p, docs)
	p.docs = len(docs)
	rows := x.rows[p.first : int(p.first)+p.handed]
	clear(rows)
	for i, d := range docs {
		rows[i] = d.row
	}
	if len(docs) == 0 {
		delete(x.pages, page)
	}
}

// Move changes the position of a page.
func (x *Index) Move(page string, order int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if p := x.pages[page]; p != nil && p.order != order {
		p.order = order
		x.plan = nil
	}
}

// replace replaces a page's postings.
func (x *Index) replace(p *indexed, docs []*Doc) {
	// Terms and postings together, so that one sort brings each term's postings together.
	pairs := x.pairs[:0]
	for i, d := range docs {
		start := uint32(0)
		for _, t := range d.terms {
			id := x.id(d.words[start:t.end], t.hash)
			pairs = append(pairs, uint64(id)<<32|uint64(p.first+uint32(i))<<weightBits|uint64(t.weight))
			start = t.end
		}
	}
	x.pairs = pairs
	slices.Sort(pairs)
	old := p.terms
	var terms []byte
	var list []posting
	last := uint32(0)
	gone := func(before uint64) {
		for len(old) > 0 {
			delta, n := binary.Uvarint(old)
			if id := uint64(last) + delta; id < before {
				x.setPostings(uint32(id), p, nil)
				last, old = uint32(id), old[n:]
				continue
			} else if id == before {
				last, old = uint32(id), old[n:]
			}
			return
		}
	}
	written := uint64(0)
	for len(pairs) > 0 {
		id := pairs[0] >> 32
		list = list[:0]
		for len(pairs) > 0 && pairs[0]>>32 == id {
			list = append(list, posting(pairs[0]))
			pairs = pairs[1:]
		}
		gone(id)
		x.setPostings(uint32(id), p, list)
		terms = binary.AppendUvarint(terms, id-written)
		written = id
	}
	gone(1 << 32)
	p.terms = slices.Clip(terms)
}

// setPostings replaces a page's postings of one term.
func (x *Index) setPostings(id uint32, p *indexed, list []posting) {
	t := &x.terms[id]
	low, high := len(t.list), len(t.list)
	if from := posting(p.first) << weightBits; high > 0 && t.list[high-1] >= from {
		low, _ = slices.BinarySearch(t.list, from)
		high, _ = slices.BinarySearch(t.list, posting(p.first+uint32(p.handed))<<weightBits)
	}
	if len(list) == 0 && low == high {
		return
	}
	t.heavy += heavy(list) - heavy(t.list[low:high])
	t.list = slices.Replace(t.list, low, high, list...)
	x.sizes[id] = 0
	if len(t.list) == 0 {
		x.bare = append(x.bare, id)
	}
}

func heavy(list []posting) uint32 {
	n := uint32(0)
	for _, p := range list {
		if p.weight() > 1 {
			n++
		}
	}
	return n
}

func (p posting) handle() uint32 { return uint32(p >> weightBits) }
func (p posting) weight() uint8  { return uint8(p & (1<<weightBits - 1)) }

// id finds the place of a term.
func (x *Index) id(text string, hash uint32) uint32 {
	p := x.ids.probe(hash)
	for p.next() {
		if x.terms[p.candidate].text == text {
			return p.candidate
		}
	}
	t := term{text: strings.Clone(text)}
	if r, _ := utf8.DecodeRuneInString(text); unspaced(r) {
		t.first = r
	}
	var id uint32
	if n := len(x.free); n > 0 {
		id, x.free = x.free[n-1], x.free[:n-1]
		x.terms[id] = t
	} else {
		id = uint32(len(x.terms))
		x.terms, x.sizes = append(x.terms, t), append(x.sizes, 0)
	}
	x.ids.add(p.at, hash, id)
	x.fresh = append(x.fresh, id)
	return id
}

// plan assigns sections and terms to files.
type plan struct {
	pages    []*indexed
	base     []int    // the number of each page's first section
	docs     int      // sections of all pages
	perFile  int      // of them
	number   []uint32 // of sections by handle
	prefixes []string
	files    map[string][2]int // ranges of order[0] by fileWord of their prefix
	buckets  [][]uint32        // terms of order[1]
}

// makePlan returns the plan of the files.
func (x *Index) makePlan() *plan {
	if x.plan != nil {
		return x.plan
	}
	x.flush()
	x.sortTerms()
	pl := &plan{number: make([]uint32, len(x.rows)), files: map[string][2]int{}, prefixes: []string{}}
	x.paged = slices.DeleteFunc(x.paged, func(p *indexed) bool { return p.docs == 0 })
	slices.SortFunc(x.paged, func(a, b *indexed) int { return cmp.Or(cmp.Compare(a.order, b.order), strings.Compare(a.name, b.name)) })
	pl.pages = slices.Clone(x.paged)
	for _, p := range pl.pages {
		pl.base = append(pl.base, pl.docs)
		for i := range p.docs {
			pl.number[int(p.first)+i] = uint32(pl.docs + i)
		}
		pl.docs += p.docs
	}
	pl.perFile = docsPerFile
	limit := maxTermFile
	if pl.docs >= manyDocs {
		pl.perFile, limit = 2*docsPerFile, 2*maxTermFile
	}
	x.sizeFor(pl.docs)
	sums := make([]int, len(x.order[0])+1) // sizes of the terms before
	for i, id := range x.order[0] {
		sums[i+1] = sums[i] + x.size(id)
	}
	x.split(pl, sums, limit, 0, len(x.order[0]), 1)
	slices.Sort(pl.prefixes)
	size := 0
	for _, id := range x.order[1] {
		size += x.size(id)
	}
	if size > 0 {
		pl.buckets = make([][]uint32, (size+limit-1)/limit)
		for _, id := range x.order[1] {
			at := int(x.terms[id].first) % len(pl.buckets)
			pl.buckets[at] = append(pl.buckets[at], id)
		}
	}
	x.plan = pl
	return pl
}

// sortTerms sorts new terms into the order and removes terms without postings.
func (x *Index) sortTerms() {
	byText := func(a, b uint32) int { return strings.Compare(x.terms[a].text, x.terms[b].text) }
	x.sortFresh()
	x.bare = slices.DeleteFunc(x.bare, func(id uint32) bool { return len(x.terms[id].list) > 0 })
	slices.SortFunc(x.bare, byText)
	x.bare = slices.Compact(x.bare)
	for script, old := range x.order {
		other := func(id uint32) bool { return (x.terms[id].first != 0) != (script == 1) }
		fresh, bare := slices.DeleteFunc(slices.Clone(x.fresh), other), slices.DeleteFunc(slices.Clone(x.bare), other)
		if len(fresh) > 0 || len(bare) > 0 {
			x.order[script] = without(merged(old, fresh, byText), bare, byText)
		}
	}
	for _, id := range x.bare {
		p := x.ids.probe(hashOf(x.terms[id].text))
		for p.next() && p.candidate != id {
		}
		x.ids.remove(p.at)
		x.terms[id], x.sizes[id] = term{}, 0
	}
	x.free = append(x.free, x.bare...)
	x.fresh, x.bare = x.fresh[:0], x.bare[:0]
}

// sortFresh sorts new terms by their text. In a build these are all terms. Most differ in the first eight bytes, so comparing these as
// numbers avoids most string comparisons.
func (x *Index) sortFresh() {
	type key struct {
		leading uint64
		id      uint32
	}
	keys := make([]key, len(x.fresh))
	for i, id := range x.fresh {
		keys[i] = key{leading(x.terms[id].text), id}
	}
	slices.SortFunc(keys, func(a, b key) int {
		if c := cmp.Compare(a.leading, b.leading); c != 0 {
			return c
		}
		return strings.Compare(x.terms[a.id].text, x.terms[b.id].text)
	})
	for i, k := range keys {
		x.fresh[i] = k.id
	}
}

// merged is what is in one of two sorted lists.
func merged(list, more []uint32, by func(a, b uint32) int) []uint32 {
	out := make([]uint32, 0, len(list)+len(more))
	for _, id := range more {
		n, _ := slices.BinarySearchFunc(list, id, by)
		out = append(append(out, list[:n]...), id)
		list = list[n:]
	}
	return append(out, list...)
}

// without drops from a sorted list what is in another one, which is of nothing else.
func without(list, less []uint32, by func(a, b uint32) int) []uint32 {
	out := list[:0]
	for _, id := range less {
		n, _ := slices.BinarySearchFunc(list, id, by)
		out = append(out, list[:n]...)
		list = list[n+1:]
	}
	return append(out, list...)
}

// sizeFor sets the section count that size estimates depend on. It is rounded up to a power of two, so cached sizes stay valid when
// an author adds or removes a few sections.
func (x *Index) sizeFor(docs int) {
	if class := bits.Len(uint(docs)); x.docs != 1<<class {
		x.docs = 1 << class
		clear(x.sizes)
	}
}

// size estimates how many bytes a term takes in a file. Computing the exact size would take as long as writing all files.
func (x *Index) size(id uint32) int {
	if x.sizes[id] == 0 {
		t := &x.terms[id]
		digits := 1
		for gap := x.docs / len(t.list); gap >= 36; gap /= 36 {
			digits++
		}
		x.sizes[id] = uint32(len(t.text) + 6 + len(t.list)*(digits+1) + int(t.heavy)*2)
	}
	return int(x.sizes[id])
}

// split finds prefixes of length letters or more such that the terms order[0][low:high] fit into a file under each.
func (x *Index) split(pl *plan, sums []int, limit, low, high, length int) {
	for low < high {
		prefix := firstRunes(x.terms[x.order[0][low]].text, length)
		n, _ := slices.BinarySearchFunc(x.order[0][low:high], prefix, func(id uint32, prefix string) int {
			if strings.HasPrefix(x.terms[id].text, prefix) {
				return -1
			}
			return 1
		})
		end := low + n
		if sums[end]-sums[low] <= limit || length == maxPrefix {
			pl.prefixes = append(pl.prefixes, prefix)
			pl.files[fileWord(prefix)] = [2]int{low, end}
			low = end
			continue
		}
		if x.terms[x.order[0][low]].text == prefix {
			pl.prefixes = append(pl.prefixes, prefix)
			pl.files[fileWord(prefix)] = [2]int{low, low + 1}
			low++
		}
		x.split(pl, sums, limit, low, end, length+1)
		low = end
	}
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
