package search

import (
	"encoding/binary"
	"slices"
)

// maxQueued is the number of queued postings at which the queue is flushed.
const maxQueued = 1 << 17

// queue batches new pages of an Index until there are maxQueued postings or a file is requested. Batching is faster, because each
// distinct term is looked up and its list extended once per batch instead of once per page.
type queue struct {
	pages    []queued
	postings int
}

type queued struct {
	page *indexed
	docs []*Doc
}

func (q *queue) add(p *indexed, docs []*Doc) {
	q.pages = append(q.pages, queued{p, docs})
	for _, d := range docs {
		q.postings += len(d.terms)
	}
}

// batch numbers the distinct terms of the queued pages in order of appearance.
type batch struct {
	places table // in terms
	terms  []batchTerm
	number []uint32 // of the term of each posting, in the order of pages
}

type batchTerm struct {
	text  string
	hash  uint32
	count uint32 // of its postings
}

// add records one posting of a term.
func (b *batch) add(text string, hash uint32) {
	p := b.places.probe(hash)
	for p.next() {
		if t := &b.terms[p.candidate]; t.text == text {
			t.count++
			b.number = append(b.number, p.candidate)
			return
		}
	}
	n := uint32(len(b.terms))
	b.places.add(p.at, hash, n)
	b.terms, b.number = append(b.terms, batchTerm{text, hash, 1}), append(b.number, n)
}

// flush adds the postings of the queued pages to the lists of their terms. Queued pages have higher handles than all other pages,
// in the order of the queue, so postings are only appended.
func (x *Index) flush() {
	q := x.queue
	x.queue = queue{}
	if len(q.pages) == 0 {
		return
	}
	b := batch{places: newTable(q.postings / 2), number: make([]uint32, 0, q.postings)}
	for _, page := range q.pages {
		for _, d := range page.docs {
			start := uint32(0)
			for _, t := range d.terms {
				b.add(d.words[start:t.end], t.hash)
				start = t.end
			}
		}
	}
	// Group the postings by term with a counting sort.
	next := make([]uint32, len(b.terms)) // position of the next posting of each term
	sum := uint32(0)
	for i, t := range b.terms {
		next[i] = sum
		sum += t.count
	}
	postings := make([]posting, sum)
	i := 0
	for _, page := range q.pages {
		for n, d := range page.docs {
			handle := posting(page.page.first+uint32(n)) << weightBits
			for _, t := range d.terms {
				postings[next[b.number[i]]] = handle | posting(t.weight)
				next[b.number[i]]++
				i++
			}
		}
	}
	ids := make([]uint32, len(b.terms))
	for n, bt := range b.terms {
		list := postings[:bt.count]
		postings = postings[bt.count:]
		id := x.id(bt.text, bt.hash)
		ids[n] = id
		t := &x.terms[id]
		t.heavy += heavy(list)
		t.list = append(grown(t.list, len(list)), list...)
		x.sizes[id] = 0
	}
	i = 0
	var own []uint32                     // terms of a page
	seen := make([]uint32, len(b.terms)) // 1 + the last page with a term
	for n, page := range q.pages {
		own = own[:0]
		for _, d := range page.docs {
			for range d.terms {
				if term := b.number[i]; seen[term] != uint32(n)+1 {
					seen[term] = uint32(n) + 1
					own = append(own, ids[term])
				}
				i++
			}
		}
		slices.Sort(own)
		var terms []byte
		written := uint32(0)
		for _, id := range own {
			terms = binary.AppendUvarint(terms, uint64(id-written))
			written = id
		}
		page.page.terms = slices.Clip(terms)
	}
}

// grown returns list with capacity for n more postings. It reserves an eighth more, while append would double the capacity. Lists
// are the largest part of an index.
func grown(list []posting, n int) []posting {
	need := len(list) + n
	if need <= cap(list) {
		return list
	}
	out := make([]posting, len(list), need+need/8)
	copy(out, list)
	return out
}
