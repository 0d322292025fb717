package highlight

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2/syntax"
)

// maxDepth bounds the repetitions of a group that one match may go back into.
const maxDepth = 50_000

// A program is a pattern as functions, each of which knows the one that goes on after it. It takes the syntax tree of
// chroma's own engine, so that both read a pattern alike, and finds the same match: the first in the order of
// backtracking. It is faster for it works on the text's bytes, only ever tries one place, and knows with which bytes
// each part of a pattern can begin.
type program struct {
	start  cont
	groups int // with the whole match
	loops  int
}

// machine is what a match in progress knows.
type machine struct {
	text   string
	from   int   // where the match begins
	groups []int // begin and end of each; -1 if it did not match
	opened []int // where groups were entered last
	loops  []loopState
	steps  int // that are left
	depth  int
}

type loopState struct{ count, from int }

// node matches from p on to the end of the pattern. It returns where that is, or -1.
type node func(m *machine, p int) int

// cont is the rest of a pattern.
type cont struct {
	run    node
	first  *firsts
	accept bool // nothing is left
}

// firsts says with which byte a text must go on for a match.
type firsts struct {
	byte [256]bool
	end  bool // the text may also end
}

func anything() *firsts {
	f := &firsts{end: true}
	for i := range f.byte {
		f.byte[i] = true
	}
	return f
}

func (f *firsts) or(g *firsts) *firsts {
	out := *f
	for i, b := range g.byte {
		out.byte[i] = out.byte[i] || b
	}
	out.end = out.end || g.end
	return &out
}

func (f *firsts) and(g *firsts) *firsts {
	out := *f
	for i, b := range g.byte {
		out.byte[i] = out.byte[i] && b
	}
	out.end = out.end && g.end
	return &out
}

func (f *firsts) disjoint(g *firsts) bool {
	for i, b := range g.byte {
		if b && f.byte[i] {
			return false
		}
	}
	return !f.end || !g.end
}

func (f *firsts) fits(text string, p int) bool {
	if p < len(text) {
		return f.byte[text[p]]
	}
	return f.end
}

var errUnsupported = errors.New("the pattern has what only its own engine knows")

type compiler struct {
	tree  *syntax.RegexTree
	loops int
	sets  *sets
}

// compile makes a program of a pattern.
func compile(pattern string, sets *sets) (*program, error) {
	tree, err := syntax.Parse(pattern, syntax.ParseOptions{})
	if err != nil {
		return nil, err
	}
	c := &compiler{tree: tree, sets: sets}
	// The tree says that the whole is group 0 and begins where the match does; match sees to both.
	root := tree.Root
	if root.T == syntax.NtCapture && root.M == 0 {
		root = root.Children[0]
	}
	if root.T == syntax.NtConcatenate && root.Children[0].T == syntax.NtStart {
		root.Children = root.Children[1:]
	}
	start, err := c.node(root, c.end())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pattern, err)
	}
	return &program{start, c.groups(), c.loops}, nil
}

func (c *compiler) groups() int {
	if c.tree.Capnumlist == nil || c.tree.Captop == len(c.tree.Capnumlist) {
		return c.tree.Captop
	}
	return len(c.tree.Capnumlist)
}

func (c *compiler) group(number int) (int, error) {
	if c.groups() == c.tree.Captop {
		return number, nil
	}
	for i, n := range c.tree.Capnumlist {
		if n == number {
			return i, nil
		}
	}
	return 0, errUnsupported
}

// match matches at p and returns whether it did; the groups are in m then.
func (pr *program) match(m *machine, p int) bool {
	if len(m.opened) < pr.groups {
		m.groups, m.opened = make([]int, 2*pr.groups), make([]int, pr.groups)
	}
	if len(m.loops) < pr.loops {
		m.loops = make([]loopState, pr.loops)
	}
	for i := 2; i < 2*pr.groups; i++ {
		m.groups[i] = -1
	}
	m.from, m.depth = p, 0
	m.groups[0], m.groups[1] = p, pr.start.run(m, p)
	return m.groups[1] >= 0
}

// end is what stands after the pattern.
func (c *compiler) end() cont {
	return cont{func(_ *machine, p int) int { return p }, anything(), true}
}

func (c *compiler) node(n *syntax.RegexNode, next cont) (cont, error) {
	back := n.Options&syntax.RightToLeft != 0
	switch n.T {
	case syntax.NtEmpty, syntax.NtUpdateBumpalong:
		return next, nil
	case syntax.NtNothing:
		return cont{func(*machine, int) int { return -1 }, &firsts{}, false}, nil
	case syntax.NtGroup:
		return c.node(n.Children[0], next)
	case syntax.NtConcatenate:
		var err error
		for i := len(n.Children) - 1; i >= 0; i-- {
			if next, err = c.node(n.Children[i], next); err != nil {
				return cont{}, err
			}
		}
		return next, nil
	case syntax.NtAlternate:
		return c.alternate(n, next)
	case syntax.NtOne, syntax.NtNotone, syntax.NtSet:
		return one(c.char(n), back, next), nil
	case syntax.NtMulti:
		return c.multi(n, back, next)
	case syntax.NtOneloop, syntax.NtNotoneloop, syntax.NtSetloop:
		return c.charLoop(n, back, false, next), nil
	case syntax.NtOneloopatomic, syntax.NtNotoneloopatomic, syntax.NtSetloopatomic:
		return c.charLoop(n, back, true, next), nil
	case syntax.NtOnelazy, syntax.NtNotonelazy, syntax.NtSetlazy:
		return c.charLazy(n, back, next), nil
	case syntax.NtLoop:
		return c.loop(n, next)
	case syntax.NtLazyloop:
		return c.lazyLoop(n, next)
	case syntax.NtCapture:
		return c.capture(n, next)
	case syntax.NtAtomic:
		return c.atomic(n, next)
	case syntax.NtPosLook, syntax.NtNegLook:
		return c.look(n, next)
	case syntax.NtRef:
		return c.ref(n, back, next)
	}
	return c.anchor(n, next)
}

func (c *compiler) anchor(n *syntax.RegexNode, next cont) (cont, error) {
	run := next.run
	var f node
	switch n.T {
	case syntax.NtBol:
		f = func(m *machine, p int) int {
			if p > 0 && m.text[p-1] != '\n' {
				return -1
			}
			return run(m, p)
		}
	case syntax.NtEol:
		f = func(m *machine, p int) int {
			if p < len(m.text) && m.text[p] != '\n' {
				return -1
			}
			return run(m, p)
		}
	case syntax.NtBoundary, syntax.NtNonboundary:
		want, word := n.T == syntax.NtBoundary, c.sets.get("word", syntax.IsWordChar)
		f = func(m *machine, p int) int {
			if (word.before(m.text, p) != word.after(m.text, p)) != want {
				return -1
			}
			return run(m, p)
		}
	case syntax.NtBeginning:
		f = func(m *machine, p int) int {
			if p > 0 {
				return -1
			}
			return run(m, p)
		}
	case syntax.NtStart:
		f = func(m *machine, p int) int {
			if p != m.from {
				return -1
			}
			return run(m, p)
		}
	case syntax.NtEndZ:
		f = func(m *machine, p int) int {
			if p < len(m.text)-1 || p == len(m.text)-1 && m.text[p] != '\n' {
				return -1
			}
			return run(m, p)
		}
	case syntax.NtEnd:
		f = func(m *machine, p int) int {
			if p < len(m.text) {
				return -1
			}
			return run(m, p)
		}
	default:
		return cont{}, errUnsupported
	}
	return cont{f, next.first, false}, nil
}

func (c *compiler) alternate(n *syntax.RegexNode, next cont) (cont, error) {
	branches := make([]cont, len(n.Children))
	first := &firsts{}
	for i, child := range n.Children {
		var err error
		if branches[i], err = c.node(child, next); err != nil {
			return cont{}, err
		}
		first = first.or(branches[i].first)
	}
	if len(branches) == 2 {
		a, b := branches[0], branches[1]
		return cont{func(m *machine, p int) int {
			if m.steps--; m.steps < 0 {
				return -1
			}
			if a.first.fits(m.text, p) {
				if r := a.run(m, p); r >= 0 {
					return r
				}
			}
			if b.first.fits(m.text, p) {
				return b.run(m, p)
			}
			return -1
		}, first, false}, nil
	}
	// The branches that can match, by the next byte.
	var table [257][]node
	same := map[string][]node{}
	for b := range table {
		var key strings.Builder
		var list []node
		for i, branch := range branches {
			if b < 256 && branch.first.byte[b] || b == 256 && branch.first.end {
				list = append(list, branch.run)
				fmt.Fprintf(&key, "%d ", i)
			}
		}
		if known, ok := same[key.String()]; ok {
			list = known
		}
		same[key.String()] = list
		table[b] = list
	}
	return cont{func(m *machine, p int) int {
		if m.steps--; m.steps < 0 {
			return -1
		}
		b := 256
		if p < len(m.text) {
			b = int(m.text[p])
		}
		for _, branch := range table[b] {
			if r := branch(m, p); r >= 0 {
				return r
			}
		}
		return -1
	}, first, false}, nil
}

func (c *compiler) multi(n *syntax.RegexNode, back bool, next cont) (cont, error) {
	run, word := next.run, string(n.Str)
	if n.Options&syntax.IgnoreCase != 0 {
		if strings.ContainsFunc(word, unicode.IsLetter) {
			return cont{}, errUnsupported
		}
	}
	if back {
		return cont{func(m *machine, p int) int {
			if !strings.HasSuffix(m.text[:p], word) {
				return -1
			}
			return run(m, p-len(word))
		}, anything(), false}, nil
	}
	first := &firsts{}
	first.byte[word[0]] = true
	return cont{func(m *machine, p int) int {
		if !strings.HasPrefix(m.text[p:], word) {
			return -1
		}
		return run(m, p+len(word))
	}, first, false}, nil
}

func (c *compiler) ref(n *syntax.RegexNode, back bool, next cont) (cont, error) {
	group, err := c.group(n.M)
	if err != nil || back {
		return cont{}, errUnsupported
	}
	fold := n.Options&syntax.IgnoreCase != 0
	return cont{func(m *machine, p int) int {
		if m.groups[2*group] < 0 {
			return -1
		}
		word := m.text[m.groups[2*group]:m.groups[2*group+1]]
		if strings.HasPrefix(m.text[p:], word) {
			return next.run(m, p+len(word))
		}
		if !fold {
			return -1
		}
		for _, want := range word {
			r, size := utf8.DecodeRuneInString(m.text[p:])
			if size == 0 || unicode.ToLower(r) != unicode.ToLower(want) {
				return -1
			}
			p += size
		}
		return next.run(m, p)
	}, anything(), false}, nil
}

func (c *compiler) capture(n *syntax.RegexNode, next cont) (cont, error) {
	if n.N != -1 {
		return cont{}, errUnsupported // groups that undo others
	}
	group, err := c.group(n.M)
	if err != nil {
		return cont{}, err
	}
	run := next.run
	body, err := c.node(n.Children[0], cont{func(m *machine, p int) int {
		from, to := m.groups[2*group], m.groups[2*group+1]
		m.groups[2*group], m.groups[2*group+1] = min(m.opened[group], p), max(m.opened[group], p)
		r := run(m, p)
		if r < 0 {
			m.groups[2*group], m.groups[2*group+1] = from, to
		}
		return r
	}, next.first, next.accept})
	if err != nil {
		return cont{}, err
	}
	return cont{func(m *machine, p int) int {
		opened := m.opened[group]
		m.opened[group] = p
		r := body.run(m, p)
		if r < 0 {
			m.opened[group] = opened
		}
		return r
	}, body.first, false}, nil
}

// atomic matches its child in the first way there is, or not at all.
func (c *compiler) atomic(n *syntax.RegexNode, next cont) (cont, error) {
	if child := n.Children[0]; child.T == syntax.NtLoop && child.M <= 1 {
		return c.firmLoop(child, next)
	}
	body, err := c.node(n.Children[0], c.end())
	if err != nil {
		return cont{}, err
	}
	whole, err := c.node(n.Children[0], next) // what it can begin with if it takes nothing
	if err != nil {
		return cont{}, err
	}
	return cont{restoring(n, func(m *machine, p int) int {
		if p = body.run(m, p); p < 0 {
			return -1
		}
		return next.run(m, p)
	}), whole.first, false}, nil
}

// restoring sets groups back to what they were if f fails.
func restoring(n *syntax.RegexNode, f node) node {
	if !captures(n) {
		return f
	}
	return func(m *machine, p int) int {
		var few [16]int
		before := append(few[:0], m.groups...)
		r := f(m, p)
		if r < 0 {
			copy(m.groups, before)
		}
		return r
	}
}

func captures(n *syntax.RegexNode) bool {
	if n.T == syntax.NtCapture {
		return true
	}
	for _, c := range n.Children {
		if captures(c) {
			return true
		}
	}
	return false
}

func (c *compiler) look(n *syntax.RegexNode, next cont) (cont, error) {
	if len(n.Children) != 1 {
		return cont{}, errUnsupported
	}
	body, err := c.node(n.Children[0], c.end())
	if err != nil {
		return cont{}, err
	}
	if n.T == syntax.NtPosLook {
		first := next.first
		if !backwards(n) {
			first = first.and(body.first)
		}
		return cont{restoring(n, func(m *machine, p int) int {
			if !body.first.fits(m.text, p) || body.run(m, p) < 0 {
				return -1
			}
			return next.run(m, p)
		}), first, false}, nil
	}
	// What a group caught in there is forgotten.
	inside := restoring(n, func(m *machine, p int) int {
		if body.run(m, p) >= 0 {
			return -1
		}
		return p
	})
	return cont{func(m *machine, p int) int {
		if body.first.fits(m.text, p) && inside(m, p) < 0 {
			return -1
		}
		return next.run(m, p)
	}, next.first, false}, nil
}

// backwards says whether any part reads the text against its direction.
func backwards(n *syntax.RegexNode) bool {
	if n.Options&syntax.RightToLeft != 0 {
		return true
	}
	for _, c := range n.Children {
		if backwards(c) {
			return true
		}
	}
	return false
}

const endless = math.MaxInt32

func size(text string, p int) int {
	if text[p] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(text[p:])
	return n
}
