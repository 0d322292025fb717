// Package diagram renders the diagrams of lessons as SVG: flow charts, nested containers, networks
// and sequence diagrams.
//
// Authors write a subset of the D2 language, https://d2lang.com. The D2 library parses it and
// computes the layout. This package draws the SVG itself, with only the few elements and attributes
// listed below, because diagrams are untrusted input.
//
// # Flow
//
//	direction: right                 down is the default; also up and left
//	edit -> build -> run             boxes and arrows; --, <- and <-> too
//	build -> edit: it fails          label of an arrow
//	build: Build the image           label of a box; the default is its name
//	build: "web\nport 8000"          the second line has a quieter colour
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
//	internet.class: quiet            colour of the theme: accent, ok, warn, bad, tip, quiet
//	web -- net {style.stroke-dash: 4}   dashed
//	grid-rows: 2                     or grid-columns: arranges the content of a box; grid-gap: 8
//	web.style.multiple: true         stack of several
//
// # Sequence
//
//	shape: sequence_diagram
//	cli -> daemon: create            message; time runs from top to bottom
//	daemon.pull -> registry: GET     daemon.pull: an activity of daemon
//	daemon."a note"
//	loop: until it is there {        group
//	  cli -> daemon: ready?
//	}
//
// # Unsupported features
//
// Icons, links, tooltips, custom colours and sizes, Markdown and formulas in labels, imports,
// variables, glob patterns, layers and class definitions are mistakes. So every diagram follows the
// page's theme, loads nothing from elsewhere, and cannot grow beyond its source. Within the limits
// below, even a malicious diagram is drawn within seconds.
//
// # Output
//
//	<svg class="diagram-svg" role="img" aria-labelledby="ID-title" aria-describedby="ID-text" width height viewBox>
//	<title id="ID-title">…</title><desc id="ID-text">…</desc>
//	<g|path|rect|ellipse|text|tspan …>
//
// without styles, scripts, links or references. Classes name the role of an element (box, frame,
// line, arrow, label, note …), and the site's style sheet gives it a colour of the theme. Without
// the style sheet everything has the colour of the text. The same input always gives the same
// bytes.
package diagram

import (
	"html"
	"strconv"
	"strings"
	"sync"
)

// Limits on one diagram. They bound the time for its layout.
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

// maxRemembered is the number of diagrams that a Maker caches in memory.
const maxRemembered = 2000

// Problem is a mistake in the source of a diagram.
type Problem struct {
	Offset int // in bytes
	Msg    string
	Word   string   // what was written, if a word of Known may have been meant
	Known  []string // nil otherwise
}

// Picture is a rendered diagram.
type Picture struct {
	Width, Height int
	Labels        []string // its words, in the order of reading

	left, top int
	body      string
}

// Maker renders diagrams and caches them. It is safe for concurrent use.
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

// New returns a Maker. A non-nil cache keeps rendered diagrams between runs.
func New(disk Cache) *Maker { return &Maker{made: map[string]*result{}, disk: disk} }

// Make renders a diagram. The Picture is nil if there are problems.
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

// SVG returns the diagram as an SVG element. id is the prefix of the ids in it, title is its
// accessible name, and text is its description for screen readers.
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
