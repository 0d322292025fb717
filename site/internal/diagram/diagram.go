// Package diagram draws the diagrams of lessons as SVG: what runs where, who talks to whom, what happens in which order.
//
// A diagram is written in the language of D2, https://d2lang.com. D2 reads it and decides where everything goes; drawing is
// done here, so that nothing gets into a page but the few elements and attributes below.
//
// # Flow
//
//	direction: right                 down is the default; also up and left
//	edit -> build -> run             boxes and arrows; --, <- and <-> too
//	build -> edit: it fails          what an arrow says
//	build: Build the image           what a box says, if not its name
//	build: "web\nport 8000"          a second line is set in a quieter colour
//
// # Containers in containers
//
//	host: Your computer {
//	  engine: Docker {
//	    web
//	    data: counts {shape: cylinder}
//	    web -> data
//	  }
//	  browser -> engine.web: "8080 → 8000"
//	}
//
// # Networks
//
//	web.shape: hexagon               rectangle, square, oval, circle, diamond, hexagon, cylinder (data), queue, cloud,
//	                                 person, page, document, package, step, parallelogram, stored_data, callout, text
//	internet.class: quiet            a colour of the site: accent, ok, warn, bad, tip, quiet
//	web -- net {style.stroke-dash: 4}   dashed
//	grid-rows: 2                     or grid-columns: what is in a box stands in rows; grid-gap: 8
//	web.style.multiple: true         several of a kind
//
// # Sequence
//
//	shape: sequence_diagram
//	cli -> daemon: create            in time from top to bottom
//	daemon.pull -> registry: GET     daemon.pull: something that daemon does for a while
//	daemon."a note"
//	loop: until it is there {        a group
//	  cli -> daemon: ready?
//	}
//
// # What is not there
//
// Icons, links, tooltips, colours and sizes of one's own, Markdown and formulas in labels, imports, variables, patterns with
// an asterisk, layers and the definition of classes are mistakes: a lesson's picture looks like its page, fetches nothing, and
// is as large as it was written. What the limits below allow is drawn within seconds even if it was made to be slow.
//
// # What is made
//
//	<svg class="diagram-svg" role="img" aria-labelledby="ID-title" aria-describedby="ID-text" width height viewBox>
//	<title id="ID-title">…</title><desc id="ID-text">…</desc>
//	<g|path|rect|ellipse|text|tspan …>
//
// without style, script, link or reference. Classes say what a thing is (box, frame, line, arrow, label, note …), and the
// site's style sheet gives it a colour of the page's theme; without a style sheet it is drawn in the colour of the text.
// The same text gives the same bytes, always.
package diagram

import (
	"html"
	"strconv"
	"strings"
	"sync"
)

// Limits on one diagram. They bound the time that its layout can take.
const (
	maxBytes  = 8 << 10
	maxDepth  = 6 // of boxes in boxes
	maxShapes = 60
	maxLines  = 90   // arrows, and the life lines of a sequence
	maxLabel  = 200  // letters of one label
	maxNumber = 400  // dashes, gaps, rows
	maxSize   = 5000 // of the picture's sides
	maxSteps  = 400  // statements
)

// maxRemembered bounds the diagrams that a Maker keeps.
const maxRemembered = 2000

// Problem is a mistake in a diagram's text.
type Problem struct {
	Offset int // in bytes
	Msg    string
	Word   string   // what was written, if a word of Known may have been meant
	Known  []string // nil otherwise
}

// Picture is a diagram that has been drawn.
type Picture struct {
	Width, Height int
	Labels        []string // its words, in the order of reading

	left, top int
	body      string
}

// Maker draws diagrams and remembers them. It is safe for concurrent use.
type Maker struct {
	mu    sync.Mutex
	made  map[string]*result // by text; guarded by mu
	order []string           // of made, oldest first; guarded by mu
	disk  Cache
}

type result struct {
	once     sync.Once
	picture  *Picture
	problems []Problem
}

// New returns a Maker that also keeps what it drew on a disk; nil for none.
func New(disk Cache) *Maker { return &Maker{made: map[string]*result{}, disk: disk} }

// Make draws a diagram. The Picture is nil if there are problems.
func (m *Maker) Make(text string) (*Picture, []Problem) {
	m.mu.Lock()
	r := m.made[text]
	if r == nil {
		r = &result{}
		m.made[text] = r
		m.order = append(m.order, text)
		if len(m.order) > maxRemembered {
			delete(m.made, m.order[0])
			m.order = m.order[1:]
		}
	}
	m.mu.Unlock()
	r.once.Do(func() {
		if r.picture = m.fetch(text); r.picture != nil {
			return
		}
		if r.picture, r.problems = makePicture(text); r.picture != nil {
			m.keep(text, r.picture)
		}
	})
	return r.picture, r.problems
}

// SVG is the picture as an element of a page. id begins the ids in it, title names the picture, and text describes it to those
// who don't see it.
func (p *Picture) SVG(id, title, text string) string {
	var b strings.Builder
	id = html.EscapeString(id)
	w, h := strconv.Itoa(p.Width), strconv.Itoa(p.Height)
	b.WriteString(`<svg class="diagram-svg" role="img" aria-labelledby="` + id + `-title" aria-describedby="` + id + `-text" width="` + w +
		`" height="` + h + `" viewBox="` + strconv.Itoa(p.left) + " " + strconv.Itoa(p.top) + " " + w + " " + h + `">`)
	b.WriteString(`<title id="` + id + `-title">` + html.EscapeString(title) + `</title>`)
	b.WriteString(`<desc id="` + id + `-text">` + html.EscapeString(text) + `</desc>`)
	b.WriteString(p.body)
	b.WriteString("</svg>")
	return b.String()
}
