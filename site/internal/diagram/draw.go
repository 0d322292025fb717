package diagram

import (
	"cmp"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"

	"oss.terrastruct.com/d2/d2target"
	"oss.terrastruct.com/d2/lib/geo"
	"oss.terrastruct.com/d2/lib/label"
	"oss.terrastruct.com/d2/lib/shape"
)

const (
	margin      = 4 // around the picture, so that lines at its edge are whole
	radius      = 8 // of a box's corners
	arrowLength = 9 // of an arrow's head
	arrowWidth  = 8
	multipleOff = 7  // how far the second of several stands behind
	lift        = 5  // of a message's words above its line
	loopWidth   = 26 // of a message to oneself
)

// drawing collects the elements of a picture.
type drawing struct {
	b          strings.Builder // shapes and lines
	x1, y1     float64         // what is drawn so far, at most
	x2, y2     float64
	frames     []d2target.Shape // boxes that hold others
	sequence   bool
	labels     []string
	afterwards strings.Builder // labels of lines, which nothing may cover
}

// draw renders a diagram after the layout.
func draw(d *d2target.Diagram) *Picture {
	w := &drawing{x1: math.Inf(1), y1: math.Inf(1), x2: math.Inf(-1), y2: math.Inf(-1)}
	parents := map[string]bool{}
	for i := range d.Shapes {
		s := &d.Shapes[i]
		if cut := lastDot(s.ID); cut > 0 {
			parents[s.ID[:cut]] = true
		}
	}
	for i := range d.Connections {
		w.sequence = w.sequence || strings.Contains(d.Connections[i].Dst, "-lifeline-end-")
	}
	for i := range d.Shapes {
		if parents[d.Shapes[i].ID] {
			w.frames = append(w.frames, d.Shapes[i])
		}
	}
	// Without a style sheet, shapes are outlines in the colour of the text.
	w.b.WriteString(`<g class="diagram-shapes" fill="none" stroke="currentColor">`)
	type part struct {
		z    int
		draw func()
	}
	var parts []part
	for i := range d.Shapes {
		s := &d.Shapes[i]
		z := s.ZIndex * 2
		if !w.sequence && !parents[s.ID] {
			z += 2 // arrows end at boxes and cross frames
		}
		parts = append(parts, part{z, func() { w.shape(s, parents[s.ID]) }})
	}
	for i := range d.Connections {
		c := &d.Connections[i]
		parts = append(parts, part{c.ZIndex*2 + 1, func() { w.connection(c) }})
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.z, b.z) })
	for _, p := range parts {
		p.draw()
	}
	w.b.WriteString(`</g><g class="diagram-words" fill="currentColor" text-anchor="middle" font-size="` + strconv.Itoa(lineSize) + `">`)
	w.b.WriteString(w.afterwards.String())
	w.b.WriteString("</g>")
	left, top := int(math.Floor(w.x1))-margin, int(math.Floor(w.y1))-margin
	return &Picture{
		left: left, top: top, Width: int(math.Ceil(w.x2)) + margin - left, Height: int(math.Ceil(w.y2)) + margin - top,
		Labels: w.labels, body: w.b.String(),
	}
}

// lastDot returns the offset of the dot that ends the parent's name, or -1. Quoted names may
// contain dots.
func lastDot(id string) int {
	last, quote := -1, byte(0)
	for i := range len(id) {
		switch c := id[i]; {
		case quote != 0 && c == '\\':
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '.':
			last = i
		}
	}
	return last
}

func (w *drawing) reach(x, y float64) {
	w.x1, w.y1, w.x2, w.y2 = min(w.x1, x), min(w.y1, y), max(w.x2, x), max(w.y2, y)
}

// num formats a coordinate, rounded to a tenth of a pixel. Smaller differences are invisible.
func num(v float64) string {
	s := strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
	if s == "-0" {
		return "0"
	}
	return s
}

// whole formats the position of text, rounded to a pixel.
func whole(v float64) string { return strconv.Itoa(int(math.Round(v))) }

func (w *drawing) shape(s *d2target.Shape, frame bool) {
	box := geo.NewBox(geo.NewPoint(float64(s.Pos.X), float64(s.Pos.Y)), float64(s.Width), float64(s.Height))
	kind := shape.NewShape(d2target.DSL_SHAPE_TO_SHAPE_TYPE[s.Type], box)
	if s.Type == d2target.ShapeCloud && s.ContentAspectRatio != nil {
		kind.SetInnerBoxAspectRatio(*s.ContentAspectRatio)
	}
	class := "box"
	switch {
	case s.Type == d2target.ShapeText:
		class = ""
	case s.Type == d2target.ShapeSequenceDiagram:
		class = ""
		if s.ID != "" && lastDot(s.ID) >= 0 || frame {
			class = "frame"
		}
	case w.sequence && s.ZIndex == 3: // of D2's groups
		class = "group"
	case w.sequence && s.ZIndex == 2: // of its spans
		class = "span"
	case w.sequence && s.ZIndex == 5: // of its notes
		class = "note"
	case frame:
		class = "frame"
		if s.Level%2 == 0 {
			class = "frame inner"
		}
	}
	if class != "" {
		if s.StrokeDash > 0 {
			class += " dashed"
		}
		for _, tone := range s.Classes {
			class += " " + html.EscapeString(tone)
		}
		if s.Multiple {
			w.outline(s, kind, class, multipleOff)
		}
		w.outline(s, kind, class, 0)
	}
	if s.Label == "" || class == "span" {
		return
	}
	at := label.FromString(s.LabelPosition)
	around := kind.GetInnerBox()
	if at.IsOutside() || frame {
		around = box
	}
	p := at.GetPointOnBox(around, label.PADDING, float64(s.LabelWidth), float64(s.LabelHeight))
	words := "name"
	switch {
	case strings.HasPrefix(class, "frame"):
		words = "title " + ground(s.Level)
	case strings.HasPrefix(class, "group"):
		words = "title on-page"
	case strings.HasPrefix(class, "note") || class == "":
		words = "remark"
	}
	for _, tone := range s.Classes {
		words += " " + html.EscapeString(tone)
	}
	size, x, anchor := s.FontSize, p.X+float64(s.LabelWidth)/2, "middle"
	y := p.Y + float64(s.LabelHeight)/2
	if strings.HasPrefix(words, "title ") && at == label.InsideTopLeft {
		x, y, anchor = p.X+framePad, y-titleRoom/2, "start"
	}
	w.text(s.Label, x, y, size, anchor, words, float64(s.LabelWidth))
}

// outline draws the outline of a shape, moved up and right by off.
func (w *drawing) outline(s *d2target.Shape, kind shape.Shape, class string, off float64) {
	x, y, wd, ht := float64(s.Pos.X)+off, float64(s.Pos.Y)-off, float64(s.Width), float64(s.Height)
	w.reach(x, y)
	w.reach(x+wd, y+ht)
	switch s.Type {
	case d2target.ShapeOval, d2target.ShapeCircle:
		w.b.WriteString(`<ellipse class="` + class + `" cx="` + num(x+wd/2) + `" cy="` + num(y+ht/2) + `" rx="` + num(wd/2) + `" ry="` + num(ht/2) + `"/>`)
		return
	}
	paths := kind.GetSVGPathData()
	if len(paths) == 0 {
		r := radius
		if wd < 4*radius {
			r = 3
		}
		w.b.WriteString(`<rect class="` + class + `" x="` + num(x) + `" y="` + num(y) + `" width="` + num(wd) + `" height="` + num(ht) +
			`" rx="` + strconv.Itoa(r) + `"/>`)
		return
	}
	move := ""
	if off != 0 {
		move = ` transform="translate(` + num(off) + " " + num(-off) + `)"`
	}
	for _, p := range paths {
		w.b.WriteString(`<path class="` + class + `"` + move + ` d="` + pathData(p) + `"/>`)
	}
}

// pathData copies only path commands and numbers, and rounds the numbers.
func pathData(d string) string {
	var out strings.Builder
	number := false // was written last
	for f := range strings.FieldsFuncSeq(d, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' }) {
		if len(f) > 1 && strings.ContainsRune("MLHVCSQTAZ", rune(f[0])) {
			out.WriteString(f[:1])
			f, number = f[1:], false
		}
		if v, err := strconv.ParseFloat(f, 64); err == nil {
			if number {
				out.WriteByte(' ')
			}
			out.WriteString(num(v))
			number = true
		} else if len(f) == 1 && strings.ContainsAny(f, "MLHVCSQTAZmlhvcsqtaz") {
			out.WriteString(f)
			number = false
		}
	}
	return out.String()
}

func (w *drawing) connection(c *d2target.Connection) {
	if len(c.Route) < 2 {
		return
	}
	// Whole pixels give sharper lines and shorter SVG.
	route := make([]*geo.Point, len(c.Route))
	for i, p := range c.Route {
		route[i] = geo.NewPoint(math.Round(p.X), math.Round(p.Y))
	}
	self := w.sequence && c.Src == c.Dst && len(route) == 4
	if self {
		// Narrower than in D2, because the label is to its right.
		x := route[0].X + loopWidth
		route = []*geo.Point{route[0], geo.NewPoint(x, route[0].Y), geo.NewPoint(x, route[3].Y), geo.NewPoint(route[0].X, route[3].Y)}
	}
	for _, p := range route {
		w.reach(p.X, p.Y)
	}
	lifeline := strings.Contains(c.Dst, "-lifeline-end-")
	class := "line"
	if lifeline {
		class = "life"
	} else if c.StrokeDash > 0 {
		class += " dashed"
	}
	tones := ""
	for _, tone := range c.Classes {
		tones += " " + html.EscapeString(tone)
	}
	n := len(route)
	first, last := *route[0], *route[n-1]
	var heads strings.Builder
	if c.SrcArrow != d2target.NoArrowhead {
		first = w.head(&heads, *route[1], first, "arrow"+tones)
	}
	if c.DstArrow != d2target.NoArrowhead {
		last = w.head(&heads, *route[n-2], last, "arrow"+tones)
	}
	var d strings.Builder
	at := func(p geo.Point) string { return num(p.X) + " " + num(p.Y) }
	point := func(i int) geo.Point {
		switch i {
		case 0:
			return first
		case n - 1:
			return last
		}
		return *route[i]
	}
	d.WriteString("M" + at(first))
	if c.IsCurve && (n-1)%3 == 0 {
		for i := 1; i+2 < n; i += 3 {
			d.WriteString("C" + at(point(i)) + " " + at(point(i+1)) + " " + at(point(i+2)))
		}
	} else {
		for i := 1; i < n; i++ {
			p := point(i)
			if i == n-1 {
				d.WriteString("L" + at(p))
				break
			}
			// Round corners match the boxes.
			in, out := towards(p, point(i-1), radius), towards(p, point(i+1), radius)
			d.WriteString("L" + at(in) + "Q" + at(p) + " " + at(out))
		}
	}
	w.b.WriteString(`<path class="` + class + tones + `" d="` + d.String() + `"/>`)
	w.b.WriteString(heads.String())
	if c.Label == "" || lifeline {
		return
	}
	p := c.GetLabelTopLeft()
	if p == nil {
		return
	}
	x, y := p.X+float64(c.LabelWidth)/2, p.Y+float64(c.LabelHeight)/2
	anchor := "middle"
	switch {
	case self:
		x, y, anchor = route[1].X+lift+2, (route[1].Y+route[2].Y)/2, "start"
	case w.sequence && n == 2 && route[0].Y == route[1].Y:
		// The label is above its line.
		y = route[0].Y - lift - lineSize*lineSkip*float64(strings.Count(c.Label, "\n")+1)/2
	}
	w.text(c.Label, x, y, lineSize, anchor, "says "+w.groundAt(x, y)+tones, float64(c.LabelWidth))
}

// groundAt returns the class of the background at a position: page, frame, or nested frame.
func (w *drawing) groundAt(x, y float64) string {
	level := 0
	for i := range w.frames {
		f := &w.frames[i]
		if x > float64(f.Pos.X) && x < float64(f.Pos.X+f.Width) && y > float64(f.Pos.Y) && y < float64(f.Pos.Y+f.Height) {
			level = max(level, f.Level)
		}
	}
	return ground(level)
}

func ground(level int) string {
	if level%2 == 1 {
		return "on-frame"
	}
	return "on-page"
}

// towards returns the point at a distance from p towards q, at most half way.
func towards(p, q geo.Point, distance float64) geo.Point {
	dx, dy := q.X-p.X, q.Y-p.Y
	l := math.Hypot(dx, dy)
	if l == 0 {
		return p
	}
	f := min(distance/l, 0.5)
	return geo.Point{X: p.X + dx*f, Y: p.Y + dy*f}
}

// head draws the head of an arrow from a point to tip. It returns the end of the arrow's line.
func (w *drawing) head(b *strings.Builder, from, tip geo.Point, class string) geo.Point {
	dx, dy := tip.X-from.X, tip.Y-from.Y
	l := math.Hypot(dx, dy)
	if l == 0 {
		return tip
	}
	dx, dy = dx/l, dy/l
	bx, by := tip.X-dx*arrowLength, tip.Y-dy*arrowLength
	sx, sy := -dy*arrowWidth/2, dx*arrowWidth/2
	b.WriteString(`<path class="` + class + `" d="M` + num(tip.X) + " " + num(tip.Y) + "l" + num(bx+sx-tip.X) + " " + num(by+sy-tip.Y) + "l" +
		num(-2*sx) + " " + num(-2*sy) + `z" fill="currentColor"/>`)
	return geo.Point{X: tip.X - dx*(arrowLength-1), Y: tip.Y - dy*(arrowLength-1)}
}

// text draws the lines of a label, vertically centred.
func (w *drawing) text(label string, x, y float64, size int, anchor, class string, width float64) {
	lines := strings.Split(label, "\n")
	w.labels = append(w.labels, strings.Join(lines, " "))
	skip := float64(size) * lineSkip
	half := skip * float64(len(lines)) / 2
	if anchor == "middle" {
		w.reach(x-width/2, y-half)
		w.reach(x+width/2, y+half)
	} else {
		w.reach(x, y-half)
		w.reach(x+width, y+half)
	}
	base := y - half + skip/2 + float64(size)*0.35
	b := &w.afterwards
	b.WriteString(`<text class="` + class + `"`)
	// Attributes that most elements share are set once, on the group.
	if anchor != "middle" {
		b.WriteString(` text-anchor="` + anchor + `"`)
	}
	if size != lineSize {
		b.WriteString(` font-size="` + strconv.Itoa(size) + `"`)
	}
	b.WriteString(` x="` + whole(x) + `" y="` + whole(base) + `">`)
	if len(lines) == 1 {
		b.WriteString(html.EscapeString(label))
	} else {
		for i, line := range lines {
			b.WriteString(`<tspan x="` + whole(x) + `"`)
			if i > 0 {
				b.WriteString(` class="more" dy="` + num(skip) + `"`)
			}
			b.WriteString(`>` + html.EscapeString(line) + `</tspan>`)
		}
	}
	b.WriteString("</text>")
}
