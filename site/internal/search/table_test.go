package search

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestTableAgreesWithAMap adds and removes terms at random. Hashes of few bits make long runs of taken slots.
func TestTableAgreesWithAMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, bits := range []int{3, 8, 32} {
		table, want := newTable(0), map[string]uint32{}
		texts := []string{}
		find := func(text string) (probe, bool) {
			p := table.probe(hashOf(text) >> (32 - bits))
			for p.next() {
				if texts[p.candidate] == text {
					return p, true
				}
			}
			return p, false
		}
		for range 5000 {
			text := fmt.Sprint("term", rnd.IntN(300))
			p, found := find(text)
			place, wanted := want[text]
			if found != wanted || found && p.candidate != place {
				t.Fatalf("%d bits: %q is %v at %d, want %v at %d", bits, text, found, p.candidate, wanted, place)
			}
			switch {
			case !found:
				table.add(p.at, p.hash, uint32(len(texts)))
				want[text] = uint32(len(texts))
				texts = append(texts, text)
			case rnd.IntN(2) == 0:
				table.remove(p.at)
				delete(want, text)
			}
		}
		if table.used != len(want) {
			t.Errorf("%d bits: %d used, want %d", bits, table.used, len(want))
		}
	}
}

func TestHashOfStringsAndBytesAreEqual(t *testing.T) {
	for _, s := range []string{"", "a", "12345678", "container", "容器网络", "0123456789abcdefg"} {
		if hashOf(s) != hashOf([]byte(s)) {
			t.Errorf("%q", s)
		}
	}
}
