package importer

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/labd-dev/labd/site/internal/importer/dialect"
	"github.com/labd-dev/labd/site/internal/importer/tree"
)

// Limits on includes. They are lower than those of package markdown, so that the course builds.
const (
	maxInclusionDepth = 6       // nesting depth
	maxInclusions     = 150     // included pages of one page, counting nested ones
	maxIncludedBytes  = 3 << 20 // total size
	sharedFolder      = "_shared"
)

// inclusions is the graph of which pages include which. It refuses cycles, and pages that would
// grow beyond the limits.
type inclusions struct {
	height, parts, bytes map[*page]int // of the pages that a page includes: depth, number, size
	parents              map[*page][]*page
}

func newInclusions() inclusions {
	return inclusions{map[*page]int{}, map[*page]int{}, map[*page]int{}, map[*page][]*page{}}
}

// add records that outer includes inner. It returns false if that is a cycle or exceeds a limit.
func (c *inclusions) add(outer, inner *page, size int) bool {
	if outer == inner {
		return false
	}
	height, parts, bytes := c.height[inner]+1, c.parts[inner]+1, c.bytes[inner]+size
	steps := 0
	if !c.fits(outer, inner, height, parts, bytes, &steps) {
		return false
	}
	c.grow(outer, height, parts, bytes)
	c.parents[inner] = append(c.parents[inner], outer)
	return true
}

// fits reports whether p and all pages that include it stay within the limits. inner must not be
// one of them, as that would be a cycle.
func (c *inclusions) fits(p, inner *page, height, parts, bytes int, steps *int) bool {
	if *steps++; *steps > 10_000 || p == inner || height > maxInclusionDepth || c.parts[p]+parts > maxInclusions || c.bytes[p]+bytes > maxIncludedBytes {
		return false
	}
	for _, outer := range c.parents[p] {
		if !c.fits(outer, inner, height+1, parts, bytes, steps) {
			return false
		}
	}
	return true
}

func (c *inclusions) grow(p *page, height, parts, bytes int) {
	c.height[p] = max(c.height[p], height)
	c.parts[p] += parts
	c.bytes[p] += bytes
	for _, outer := range c.parents[p] {
		c.grow(outer, height+1, parts, bytes)
	}
}

// Embed implements dialect.Source.
func (c *place) Embed(name, fragment string) string {
	found, _ := c.note(name)
	p := c.bySrc[found]
	if p == nil {
		return ""
	}
	region := ""
	if fragment != "" {
		if c.ready {
			region = findID(p.ids, fragment)
			if region == "" || !regionName.MatchString(region) || cutRegion(p.body, p.ids, region) == nil {
				return ""
			}
		} else {
			return "" // the ids of headings are not known yet
		}
	}
	to := c.include(p)
	if to == "" || region == "" {
		return to
	}
	if c.regions[p] == nil {
		c.regions[p] = map[string]bool{}
	}
	c.regions[p][region] = true
	return to + "#" + region
}

var regionName = regexp.MustCompile(`^[\p{L}\p{N}_.-]+$`)

// Partial implements dialect.Source.
func (c *place) Partial(file string) string {
	name := c.find(file)
	if name == "" || !tree.IsPage(name) {
		return ""
	}
	p := c.bySrc[name]
	if p == nil {
		if p = c.load(name); p == nil {
			return ""
		}
		p.lang, p.partial = c.p.lang, true
		for i, l := range p.lines {
			if ownID(l.Text) {
				p.lines[i].Text = l.Text[:strings.LastIndexByte(l.Text, '{')]
			}
		}
		stem, _ := tree.PageStem(path.Base(name))
		p.out = path.Join(c.p.lang, sharedFolder, slug(strings.TrimLeft(stem, "_"))+".md")
		for n := 2; c.outs[p.out]; n++ {
			p.out = path.Join(c.p.lang, sharedFolder, fmt.Sprintf("%s-%d.md", slug(stem), n))
		}
		c.outs[p.out] = true
		c.pages = append(c.pages, p)
	}
	return c.include(p)
}

// include returns the path by which the page includes p, or "" if it cannot.
func (c *place) include(p *page) string {
	size := 0
	for _, l := range p.lines {
		if ownID(l.Text) { // two included pages might have the same id
			return ""
		}
		size += len(l.Text) + 1
	}
	// A page may have grown, because links can be longer in the course than in the source.
	if !c.inclusions.add(c.p, p, max(size, len(p.body))) {
		return ""
	}
	c.embedded[p] = true
	return relative(c.p.out, p.out)
}

var ownIDs = regexp.MustCompile(`^[ \t>]*#{1,6}[ \t].*\{[^{}]*#[^{}]*\}[ \t]*$`)

// ownID reports whether a line is a heading with an explicit id.
func ownID(line string) bool { return ownIDs.MatchString(line) }

// span is a range of lines of a page.
type span struct{ from, to int }

// cutRegion returns the lines from a heading to the next heading of its level. It returns nil if
// they cannot be included on their own.
func cutRegion(body string, ids []string, id string) *span {
	lines := strings.Split(body, "\n")
	found, level, open := -1, 0, 0
	n := slices.Index(ids, id)
	for i, h := range dialect.Headings(lines) {
		switch {
		case i == n && h.Quoted:
			return nil
		case i == n:
			found, level = h.Line, h.Level
		case found >= 0 && h.Level <= level && !h.Quoted:
			return checkSpan(lines, span{found, h.Line}, open)
		}
	}
	if found < 0 {
		return nil
	}
	return checkSpan(lines, span{found, len(lines)}, open)
}

// checkSpan returns s if every ::: block in it is complete, else nil.
func checkSpan(lines []string, s span, open int) *span {
	for _, l := range lines[s.from:s.to] {
		if !strings.HasPrefix(l, ":::") {
			continue
		}
		if name := strings.Trim(l, ":"); name == "" {
			open--
		} else if !strings.HasPrefix(name, "include") {
			open++
		}
		if open < 0 {
			return nil
		}
	}
	if open != 0 {
		return nil
	}
	return &s
}

// marked returns the text of a page with region comments around the parts that other pages include.
func (r *run) marked(p *page) string {
	body := withIDs(p)
	if len(r.regions[p]) == 0 {
		return body
	}
	lines := strings.Split(body, "\n")
	before, after := map[int][]string{}, map[int][]string{}
	for _, id := range slices.Sorted(maps.Keys(r.regions[p])) {
		if s := cutRegion(p.body, p.ids, id); s != nil {
			before[s.from] = append(before[s.from], "<!-- region "+id+" -->")
			after[s.to] = append(after[s.to], "<!-- endregion "+id+" -->")
		}
	}
	var out []string
	for i := 0; i <= len(lines); i++ {
		for _, m := range slices.Concat(after[i], before[i]) {
			out = append(out, m, "")
		}
		if i < len(lines) {
			out = append(out, lines[i])
		}
	}
	return strings.Join(out, "\n")
}
