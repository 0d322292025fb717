package diagram

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"unicode"

	"oss.terrastruct.com/d2/d2compiler"
	"oss.terrastruct.com/d2/d2exporter"
	"oss.terrastruct.com/d2/d2graph"
	"oss.terrastruct.com/d2/d2layouts"
	"oss.terrastruct.com/d2/d2layouts/d2dagrelayout"
	"oss.terrastruct.com/d2/d2target"
	"oss.terrastruct.com/d2/lib/label"
	d2log "oss.terrastruct.com/d2/lib/log"
)

// Font sizes in pixels. The style sheet has the same values.
const (
	boxSize  = 15
	lineSize = 13
	lineSkip = 1.4
)

// The default distances of D2 are too large for a text column.
const (
	closer      = 1.6 // how much smaller those between boxes become
	messageLess = 42  // pixels less between the messages of a sequence
)

// maxPasses is the maximum number of layout passes.
const maxPasses = 3

// framePad is the distance between a frame's label and its edges.
const framePad = 7

// titleRoom is the space below a frame's label, for the head of an arrow.
const titleRoom = 12

// bold is the width of bold letters relative to the widths in em.
const bold = 1.12

// makePicture parses, lays out and draws a diagram.
func makePicture(text string) (p *Picture, problems []Problem) {
	s := newScreener(text)
	// D2 is a large library and the input is untrusted. A panic in it becomes a mistake of the author
	// and does not end the build.
	defer func() {
		if r := recover(); r != nil {
			s.add(0, "the diagram can't be drawn (%v): write it in another way", r)
			p, problems = nil, s.problems
		}
	}()
	if s.screen(); len(s.problems) > 0 {
		return nil, s.problems
	}
	var d *d2target.Diagram
	wider := map[string]float64{}
	for range maxPasses {
		var grown bool
		var err error
		if d, grown, err = layOut(text, wider); err != nil {
			s.reject(err)
			return nil, s.problems
		}
		if !grown {
			break
		}
	}
	if p = draw(d); p.Width > maxSize || p.Height > maxSize {
		s.add(0, "the picture would be %d by %d pixels; at most %d: show less, or make it several pictures", p.Width, p.Height, maxSize)
		return nil, s.problems
	}
	return p, nil
}

// noFiles is the empty file system for D2's imports.
type noFiles struct{}

func (noFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// layOut compiles a screened source and computes its layout. The layout makes a frame large enough
// for its content, but not for its title. If a title does not fit, layOut records in wider how much
// wider a box inside must be, and reports that another pass is needed.
func layOut(text string, wider map[string]float64) (d *d2target.Diagram, grown bool, err error) {
	ctx := d2log.With(context.Background(), slog.New(slog.DiscardHandler))
	g, _, err := d2compiler.Compile("", strings.NewReader(text), &d2compiler.CompileOptions{FS: noFiles{}})
	if err != nil {
		return nil, false, err
	}
	if len(g.Layers)+len(g.Scenarios)+len(g.Steps) > 0 || g.Legend != nil {
		return nil, false, errors.New("it has more than one picture")
	}
	if len(g.Objects) == 0 {
		return nil, false, errors.New("nothing is in it")
	}
	if n := len(g.Objects); n > maxShapes {
		return nil, false, fmt.Errorf("it has %d boxes; at most %d: show less, or make it several pictures", n, maxShapes)
	}
	if n := len(g.Edges); n > maxLines {
		return nil, false, fmt.Errorf("it has %d arrows; at most %d: show less, or make it several pictures", n, maxLines)
	}
	for _, o := range g.Objects {
		size := boxSize
		if len(o.ChildrenArray) > 0 && !inSequence(o) {
			size = lineSize
			if o.LabelPosition == nil && o.Attributes.LabelPosition == nil {
				at := label.InsideTopLeft.String()
				o.LabelPosition = &at
			}
		}
		if inSequence(o) && (o.IsSequenceDiagramNote() || o.IsSequenceDiagramGroup()) {
			size = lineSize
		}
		o.Style.FontSize = &d2graph.Scalar{Value: strconv.Itoa(size)}
	}
	for _, e := range g.Edges {
		e.Style.FontSize = &d2graph.Scalar{Value: strconv.Itoa(lineSize)}
	}
	texts := g.Texts()
	for _, t := range texts {
		t.Dimensions.Width, t.Dimensions.Height = measure(t.Text, t.FontSize)
		if t.FontSize == lineSize {
			t.Dimensions.Width += 2 * framePad
			t.Dimensions.Height += framePad
		}
	}
	if err := g.SetDimensions(texts, nil, nil, nil); err != nil {
		return nil, false, err
	}
	for _, o := range g.Objects {
		o.Width += wider[o.AbsID()]
	}
	for _, o := range g.Objects {
		if len(o.ChildrenArray) > 0 && !inSequence(o) {
			o.LabelDimensions.Height += titleRoom
		}
	}
	for _, e := range g.Edges {
		if inSequence(e.Src) {
			e.LabelDimensions.Height -= messageLess
		}
	}
	if err := d2layouts.LayoutNested(ctx, g, d2layouts.NestedGraphInfo(g.Root), place, d2layouts.DefaultRouter); err != nil {
		return nil, false, err
	}
	for _, o := range g.Objects {
		missing := float64(o.LabelDimensions.Width) + 2*label.PADDING - o.Width
		if len(o.ChildrenArray) == 0 || inSequence(o) || o.IsSequenceDiagram() || o.IsGridDiagram() || missing <= 0 {
			continue
		}
		inside := o
		for len(inside.ChildrenArray) > 0 {
			inside = inside.ChildrenArray[0]
		}
		wider[inside.AbsID()] += missing
		grown = true
	}
	d, err = d2exporter.Export(ctx, g, nil, nil)
	return d, grown, err
}

// place lays out one graph with dagre, the layout engine of D2. The distances of dagre are fixed,
// so place enlarges everything else before the layout and scales the result back.
func place(ctx context.Context, g *d2graph.Graph) error {
	scale := func(by float64) {
		for _, o := range g.Objects {
			o.Width, o.Height = math.Round(o.Width*by), math.Round(o.Height*by)
			o.LabelDimensions = scaled(o.LabelDimensions, by)
			if o.TopLeft != nil {
				o.TopLeft.X, o.TopLeft.Y = math.Round(o.TopLeft.X*by), math.Round(o.TopLeft.Y*by)
			}
		}
		for _, e := range g.Edges {
			e.LabelDimensions = scaled(e.LabelDimensions, by)
			for _, p := range e.Route {
				p.X, p.Y = p.X*by, p.Y*by
			}
		}
	}
	scale(closer)
	if err := d2dagrelayout.Layout(ctx, g, &d2dagrelayout.ConfigurableOpts{NodeSep: 60, EdgeSep: 30}); err != nil {
		return err
	}
	scale(1 / closer)
	return nil
}

func scaled(d d2target.TextDimensions, by float64) d2target.TextDimensions {
	return d2target.TextDimensions{Width: int(math.Round(float64(d.Width) * by)), Height: int(math.Round(float64(d.Height) * by))}
}

func inSequence(o *d2graph.Object) bool {
	return o.OuterSequenceDiagram() != nil || o.Graph.Root.IsSequenceDiagram()
}

// measure returns the size of a text. The reader's font is unknown, so it uses the widest of the
// site's fonts: a label may get too much room, but never too little.
func measure(text string, size int) (width, height int) {
	widest, lines := 0.0, 0
	for line := range strings.SplitSeq(text, "\n") {
		w := 0.0
		for _, r := range line {
			w += em(r)
		}
		widest = max(widest, w)
		lines++
	}
	return int(math.Ceil(widest*float64(size)*bold)) + 2, int(math.Ceil(float64(lines*size) * lineSkip))
}

// em returns the width of a letter relative to the font size.
func em(r rune) float64 {
	switch {
	case unicode.Is(unicode.Mn, r) || r == 0x200d || r == 0xfe0f:
		return 0
	case r >= 0x2e80 || r >= 0x1100 && r < 0x1200 || r >= 0x2190 && r < 0x2c00 || r == '—' || r == '…':
		return 1.02
	case strings.ContainsRune("ijl|'!.,:;I", r):
		return 0.31
	case strings.ContainsRune("frt()[]{}/\\-\" `", r):
		return 0.4
	case strings.ContainsRune("mwMWQO@%&", r):
		return 0.92
	case unicode.IsUpper(r):
		return 0.7
	}
	return 0.6
}
