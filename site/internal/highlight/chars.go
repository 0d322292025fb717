package highlight

import (
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2/syntax"
)

// set is a set of characters. It remembers what it found out about those outside ASCII.
type set struct {
	ascii [utf8.RuneSelf]bool
	in    func(rune) bool
	pages atomic.Pointer[[256]atomic.Pointer[[4]uint64]] // of 256 characters each
}

func newSet(in func(rune) bool) *set {
	s := &set{in: in}
	for r := range s.ascii {
		s.ascii[r] = in(rune(r))
	}
	return s
}

// sets keeps one of each set: patterns have hundreds, most of them alike.
type sets struct {
	mu     sync.Mutex
	byName map[string]*set // guarded by mu
}

func (s *sets) get(name string, in func(rune) bool) *set {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		s.byName = map[string]*set{}
	}
	if s.byName[name] == nil {
		s.byName[name] = newSet(in)
	}
	return s.byName[name]
}

func (s *set) has(r rune) bool {
	if r < utf8.RuneSelf {
		return s.ascii[r]
	}
	if r > 0xffff {
		return s.in(r)
	}
	pages := s.pages.Load()
	if pages == nil {
		s.pages.CompareAndSwap(nil, new([256]atomic.Pointer[[4]uint64]))
		pages = s.pages.Load()
	}
	page := pages[r>>8].Load()
	if page == nil {
		page = new([4]uint64)
		for i := range rune(256) {
			if s.in(r&^0xff | i) {
				page[i>>6] |= 1 << (i & 63)
			}
		}
		pages[r>>8].Store(page)
	}
	return page[r&0xff>>6]>>(r&63)&1 != 0
}

// after says whether the character at p is in the set, before whether the one before p is.
func (s *set) after(text string, p int) bool {
	if p >= len(text) {
		return false
	}
	if b := text[p]; b < utf8.RuneSelf {
		return s.ascii[b]
	}
	r, _ := utf8.DecodeRuneInString(text[p:])
	return s.has(r)
}

func (s *set) before(text string, p int) bool {
	if p == 0 {
		return false
	}
	if b := text[p-1]; b < utf8.RuneSelf {
		return s.ascii[b]
	}
	r, _ := utf8.DecodeLastRuneInString(text[:p])
	return s.has(r)
}

// scanPerStep is how many characters in a row cost as much as one step.
const scanPerStep = 16

// char is what one character of the text must be.
type char struct {
	set *set
	// A single character that is wanted, or the only one that isn't.
	only, not rune // -1 if it is neither
	first     *firsts
}

func (c *compiler) char(n *syntax.RegexNode) char {
	out := char{only: -1, not: -1, first: &firsts{}}
	switch {
	case n.IsOneFamily():
		out.only = n.Ch
		out.set = c.sets.get("="+string(n.Ch), func(r rune) bool { return r == n.Ch })
	case n.IsNotoneFamily():
		out.not = n.Ch
		out.set = c.sets.get("^"+string(n.Ch), func(r rune) bool { return r != n.Ch })
	default:
		out.set = c.sets.get("["+string(n.Set.Hash()), n.Set.CharIn)
	}
	for b := range 256 {
		switch {
		case b < utf8.RuneSelf:
			out.first.byte[b] = out.set.ascii[b]
		case out.only >= utf8.RuneSelf:
			out.first.byte[b] = string(out.only)[0] == byte(b)
		case out.only < 0:
			out.first.byte[b] = b >= 0xc2 && b <= 0xf4
		}
	}
	return out
}

// next returns the place after the character at p, or -1 if that doesn't fit.
func (s *set) next(text string, p int) int {
	if p >= len(text) {
		return -1
	}
	if b := text[p]; b < utf8.RuneSelf {
		if s.ascii[b] {
			return p + 1
		}
		return -1
	}
	r, n := utf8.DecodeRuneInString(text[p:])
	if s.has(r) {
		return p + n
	}
	return -1
}

// prev is next in the other direction.
func (s *set) prev(text string, p int) int {
	if p <= 0 {
		return -1
	}
	r, n := utf8.DecodeLastRuneInString(text[:p])
	if s.has(r) {
		return p - n
	}
	return -1
}

func (s *set) step(back bool) func(text string, p int) int {
	if back {
		return s.prev
	}
	return s.next
}

func one(ch char, back bool, next cont) cont {
	run, s := next.run, ch.set
	if back {
		return cont{func(m *machine, p int) int {
			if p = s.prev(m.text, p); p < 0 {
				return -1
			}
			return run(m, p)
		}, anything(), false}
	}
	if ch.only >= 0 && ch.only < utf8.RuneSelf {
		b := byte(ch.only)
		return cont{func(m *machine, p int) int {
			if p >= len(m.text) || m.text[p] != b {
				return -1
			}
			return run(m, p+1)
		}, ch.first, false}
	}
	return cont{func(m *machine, p int) int {
		if p = s.next(m.text, p); p < 0 {
			return -1
		}
		return run(m, p)
	}, ch.first, false}
}

// run returns the place after as many fitting characters as there are, at most limit, and how many bytes the first least
// of them take; -1 if there are fewer.
func (ch *char) run(text string, p, least, limit int) (low, high int) {
	if limit == endless && ch.not >= 0 && ch.not < utf8.RuneSelf && least <= 1 {
		end := strings.IndexByte(text[p:], byte(ch.not))
		if end < 0 {
			end = len(text) - p
		}
		if least == 0 {
			return p, p + end
		}
		if end == 0 {
			return -1, -1
		}
		return p + size(text, p), p + end
	}
	low = p
	if least > 0 {
		low = -1
	}
	ascii := &ch.set.ascii
	for n := 0; n < limit && p < len(text); {
		if b := text[p]; b < utf8.RuneSelf {
			if !ascii[b] {
				break
			}
			p++
		} else {
			q := ch.set.next(text, p)
			if q < 0 {
				break
			}
			p = q
		}
		if n++; n == least {
			low = p
		}
	}
	return low, p
}

// charLoop is a character many times, as many as there are first; without going back if it is firm.
func (c *compiler) charLoop(n *syntax.RegexNode, back, firm bool, next cont) cont {
	ch, least, limit, run := c.char(n), n.M, n.N, next.run
	if back {
		return c.charLoopBack(ch, least, limit, firm, next)
	}
	first := ch.first
	if least == 0 {
		first = first.or(next.first)
	}
	if firm || next.accept || ch.first.disjoint(next.first) {
		return cont{func(m *machine, p int) int {
			low, high := ch.run(m.text, p, least, limit)
			if low < 0 {
				return -1
			}
			m.steps -= (high - p) / scanPerStep
			return run(m, high)
		}, first, false}
	}
	return cont{func(m *machine, p int) int {
		low, high := ch.run(m.text, p, least, limit)
		if low < 0 {
			return -1
		}
		m.steps -= (high - p) / scanPerStep
		for {
			if next.first.fits(m.text, high) {
				if m.steps--; m.steps < 0 {
					return -1
				}
				if r := run(m, high); r >= 0 {
					return r
				}
			}
			if high <= low {
				return -1
			}
			for high--; !utf8.RuneStart(m.text[high]); high-- {
			}
		}
	}, first, false}
}

func (c *compiler) charLoopBack(ch char, least, limit int, firm bool, next cont) cont {
	return cont{func(m *machine, p int) int {
		places := []int{p}
		for len(places) <= limit {
			q := ch.set.prev(m.text, places[len(places)-1])
			if q < 0 {
				break
			}
			places = append(places, q)
		}
		for i := len(places) - 1; i >= least; i-- {
			if m.steps--; m.steps < 0 {
				return -1
			}
			if r := next.run(m, places[i]); r >= 0 || firm {
				return r
			}
		}
		return -1
	}, anything(), false}
}

// charLazy is a character many times, as few as will do.
func (c *compiler) charLazy(n *syntax.RegexNode, back bool, next cont) cont {
	ch, least, limit := c.char(n), n.M, n.N
	step := ch.set.step(back)
	first := anything()
	if !back {
		first = ch.first
		if least == 0 {
			first = first.or(next.first)
		}
	}
	wanted := next.first
	return cont{func(m *machine, p int) int {
		for count := 0; ; count++ {
			if count%scanPerStep == 1 {
				m.steps--
			}
			if count >= least && wanted.fits(m.text, p) {
				if m.steps--; m.steps < 0 {
					return -1
				}
				if r := next.run(m, p); r >= 0 {
					return r
				}
			}
			if count >= limit {
				return -1
			}
			if p = step(m.text, p); p < 0 {
				return -1
			}
		}
	}, first, false}
}
