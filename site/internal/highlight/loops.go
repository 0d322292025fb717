package highlight

import "github.com/dlclark/regexp2/v2/syntax"

// loop is a group many times, as often as it matches first.
func (c *compiler) loop(n *syntax.RegexNode, next cont) (cont, error) {
	if n.M <= 1 && next.accept {
		return c.firmLoop(n, next)
	}
	least, limit, id := n.M, n.N, c.loops
	c.loops++
	var body cont
	again := func(m *machine, p int, count, from int) int {
		saved := m.loops[id]
		if count < limit && (p != from || count < least) && body.first.fits(m.text, p) {
			if m.steps--; m.steps < 0 || m.depth > maxDepth {
				m.steps = -1
				return -1
			}
			m.loops[id] = loopState{count, p}
			m.depth++
			r := body.run(m, p)
			m.depth--
			if r >= 0 {
				return r
			}
			m.loops[id] = saved
		}
		if count < least {
			return -1
		}
		r := next.run(m, p)
		if r < 0 {
			m.loops[id] = saved
		}
		return r
	}
	after := func(m *machine, p int) int {
		s := m.loops[id]
		return again(m, p, s.count+1, s.from)
	}
	var err error
	if body, err = c.node(n.Children[0], cont{after, anything(), false}); err != nil {
		return cont{}, err
	}
	first := body.first
	if least == 0 {
		first = first.or(next.first)
	}
	if !body.first.end && !backwards(n) {
		if body.first.disjoint(next.first) && oneWay(c, n.Children[0]) {
			return c.firmLoop(n, next)
		}
		// Now it is known what follows the group, and its parts make use of that.
		c.loops = id + 1
		if body, err = c.node(n.Children[0], cont{after, body.first.or(next.first), false}); err != nil {
			return cont{}, err
		}
	}
	return cont{func(m *machine, p int) int { return again(m, p, 0, -1) }, first, false}, nil
}

// firmLoop is a loop that never needs to go back into its group.
func (c *compiler) firmLoop(n *syntax.RegexNode, next cont) (cont, error) {
	least, limit := n.M, n.N
	body, err := c.node(n.Children[0], c.end())
	if err != nil {
		return cont{}, err
	}
	first := body.first
	if least == 0 {
		first = first.or(next.first)
	}
	return cont{restoring(n, func(m *machine, p int) int {
		for count := 0; count < limit; count++ {
			q := -1
			if body.first.fits(m.text, p) {
				if m.steps--; m.steps < 0 {
					return -1
				}
				q = body.run(m, p)
			}
			if q < 0 {
				if count < least {
					return -1
				}
				break
			}
			empty := q == p
			p = q
			if empty && count+1 >= least {
				break
			}
		}
		return next.run(m, p)
	}), first, false}, nil
}

// lazyLoop is a group many times, as seldom as will do.
func (c *compiler) lazyLoop(n *syntax.RegexNode, next cont) (cont, error) {
	least, limit, id := n.M, n.N, c.loops
	c.loops++
	var body cont
	again := func(m *machine, p int, count, from int) int {
		saved := m.loops[id]
		if count >= least {
			if r := next.run(m, p); r >= 0 {
				return r
			}
			m.loops[id] = saved
		}
		if count >= limit || count >= least && p == from {
			return -1
		}
		if m.steps--; m.steps < 0 || m.depth > maxDepth {
			m.steps = -1
			return -1
		}
		m.loops[id] = loopState{count, p}
		m.depth++
		r := body.run(m, p)
		m.depth--
		if r < 0 {
			m.loops[id] = saved
		}
		return r
	}
	var err error
	body, err = c.node(n.Children[0], cont{func(m *machine, p int) int {
		s := m.loops[id]
		return again(m, p, s.count+1, s.from)
	}, anything(), false})
	if err != nil {
		return cont{}, err
	}
	first := body.first
	if least == 0 {
		first = first.or(next.first)
	}
	return cont{func(m *machine, p int) int { return again(m, p, 0, -1) }, first, false}, nil
}

// oneWay says whether a part of a pattern matches in one way at most at any place.
func oneWay(c *compiler, n *syntax.RegexNode) bool {
	switch n.T {
	case syntax.NtOne, syntax.NtNotone, syntax.NtSet, syntax.NtMulti, syntax.NtEmpty, syntax.NtNothing, syntax.NtOneloopatomic,
		syntax.NtNotoneloopatomic, syntax.NtSetloopatomic, syntax.NtAtomic, syntax.NtPosLook, syntax.NtNegLook, syntax.NtBol,
		syntax.NtEol, syntax.NtBoundary, syntax.NtNonboundary, syntax.NtBeginning, syntax.NtStart, syntax.NtEndZ, syntax.NtEnd:
		return true
	case syntax.NtOneloop, syntax.NtNotoneloop, syntax.NtSetloop, syntax.NtOnelazy, syntax.NtNotonelazy, syntax.NtSetlazy:
		return n.M == n.N
	case syntax.NtGroup, syntax.NtCapture, syntax.NtConcatenate:
		for _, child := range n.Children {
			if !oneWay(c, child) {
				return false
			}
		}
		return true
	case syntax.NtAlternate:
		taken := &firsts{}
		for _, child := range n.Children {
			branch, err := c.node(child, c.end())
			if err != nil || !oneWay(c, child) || !taken.disjoint(branch.first) {
				return false
			}
			taken = taken.or(branch.first)
		}
		return true
	}
	return false
}
