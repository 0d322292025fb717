package search

import "encoding/binary"

// table is a hash table from terms to indexes in a slice. It stores only hashes, and the caller compares the terms. A Go map with
// string keys would compute each hash again and need an allocation for each key.
type table struct {
	slots []slot // open addressing with linear probing; a power of two of them
	used  int
}

type slot struct{ hash, ref uint32 } // ref is the index plus 1; 0 marks an empty slot

func newTable(size int) table {
	n := 16
	for n < size {
		n *= 2
	}
	return table{slots: make([]slot, n)}
}

// probe iterates over the slots in which a hash may be.
type probe struct {
	slots      []slot
	hash, at   uint32
	candidate  uint32 // an index with an equal hash
	overlooked bool   // whether the slot at was not visited yet
}

func (t *table) probe(hash uint32) probe {
	return probe{slots: t.slots, hash: hash, at: hash & uint32(len(t.slots)-1), overlooked: true}
}

// next advances to the next candidate. If there is none it returns false, and at is the empty slot for inserting the hash.
func (p *probe) next() bool {
	mask := uint32(len(p.slots) - 1)
	if !p.overlooked {
		p.at = (p.at + 1) & mask
	}
	p.overlooked = false
	for {
		s := p.slots[p.at]
		if s.ref == 0 {
			return false
		}
		if s.hash == p.hash {
			p.candidate = s.ref - 1
			return true
		}
		p.at = (p.at + 1) & mask
	}
}

// add inserts an index into the slot at which a probe for its hash ended.
func (t *table) add(at, hash, place uint32) {
	t.slots[at] = slot{hash, place + 1}
	if t.used++; t.used*2 <= len(t.slots) {
		return
	}
	old := t.slots
	t.slots = make([]slot, 2*len(old))
	mask := uint32(len(t.slots) - 1)
	for _, s := range old {
		if s.ref != 0 {
			at := s.hash & mask
			for t.slots[at].ref != 0 {
				at = (at + 1) & mask
			}
			t.slots[at] = s
		}
	}
}

// remove deletes a slot and shifts later entries back, so probes still find them.
func (t *table) remove(at uint32) {
	mask := uint32(len(t.slots) - 1)
	t.used--
	for next := (at + 1) & mask; t.slots[next].ref != 0; next = (next + 1) & mask {
		// An entry may move to the gap unless its preferred slot is between the gap and its current slot.
		if home := t.slots[next].hash & mask; (next-home)&mask >= (next-at)&mask {
			t.slots[at] = t.slots[next]
			at = next
		}
	}
	t.slots[at] = slot{}
}

// clear removes all entries and keeps the memory.
func (t *table) clear() {
	clear(t.slots)
	t.used = 0
}

// hashOf is FNV-1a, eight bytes at a time, with a final mix.
func hashOf[T string | []byte](term T) uint32 {
	const prime = 0x9e3779b97f4a7c15
	h := uint64(len(term))
	i := 0
	for ; i+8 <= len(term); i += 8 {
		h = (h ^ word(term[i:i+8])) * prime
		h ^= h >> 32
	}
	for ; i < len(term); i++ {
		h = (h ^ uint64(term[i])) * prime
	}
	h ^= h >> 29
	h *= prime
	return uint32(h >> 32)
}

// word reads eight bytes.
func word[T string | []byte](s T) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// leading returns the first eight bytes of a term as a number. Terms with different numbers sort in the order of these numbers.
func leading(term string) uint64 {
	var b [8]byte
	copy(b[:], term)
	return binary.BigEndian.Uint64(b[:])
}
