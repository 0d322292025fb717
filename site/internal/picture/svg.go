package picture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/labd-dev/labd/internal/source"
)

// Limits on drawings.
const (
	maxSVG      = 8 << 20 // bytes
	maxDepth    = 256     // elements within each other
	maxSVGFound = 20      // mistakes reported of one drawing
)

// Elements of a drawing that neither run nor fetch. Everything else is refused, script first of all.
const svgElements = " svg g defs symbol use switch a title desc metadata style path rect circle ellipse line polyline polygon text tspan textPath tref" +
	" image marker pattern mask clipPath linearGradient radialGradient meshgradient stop filter feBlend feColorMatrix feComponentTransfer feComposite" +
	" feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feImage" +
	" feMerge feMergeNode feMorphology feOffset fePointLight feSpecularLighting feSpotLight feTile feTurbulence animate animateMotion" +
	" animateTransform mpath set view cursor foreignObject solidcolor hatch hatchpath font-face "

// Elements of HTML that drawing programs use for labels, within foreignObject.
const htmlElements = " div span p br hr b i u s em strong small sub sup font code pre ul ol li table thead tbody tr td th h1 h2 h3 h4 h5 h6 "

const (
	nsSVG   = "http://www.w3.org/2000/svg"
	nsXHTML = "http://www.w3.org/1999/xhtml"
	nsW3    = "http://www.w3.org/"
	nsRDF   = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
)

var (
	cssURL   = regexp.MustCompile(`(?i)(?:url|src|image|image-set|cross-fade)\(\s*['"]?([^'")]*)`)
	embedded = regexp.MustCompile(`(?i)^data:(?:image/(?:png|jpeg|jpg|gif|webp)|font/(?:woff2?|ttf|otf)|application/(?:x-)?font-(?:woff2?|ttf|otf))[;,]`)
)

// checkSVG adds to errs what a drawing must not have, and returns its size; 0 if it has none.
func checkSVG(file string, data []byte, errs *source.List) (width, height int) {
	c := &svgCheck{file: file, data: data, errs: errs}
	if len(data) > maxSVG {
		c.errs.Add(&source.Error{File: file, Msg: fmt.Sprintf("a drawing may have at most %d MiB; save it as PNG", maxSVG>>20)})
		return 0, 0
	}
	c.run()
	return c.width, c.height
}

type svgCheck struct {
	file          string
	data          []byte
	errs          *source.List
	found         int
	width, height int
	line          int   // of the last mistake
	at            int64 // offset of that line
}

// complain reports a mistake at an offset of the drawing.
func (c *svgCheck) complain(offset int64, format string, args ...any) {
	if c.found++; c.found > maxSVGFound {
		return
	}
	offset = min(max(offset, 0), int64(len(c.data)))
	if c.line == 0 || offset < c.at {
		c.line, c.at = 1, 0
	}
	c.line += bytes.Count(c.data[c.at:offset], []byte("\n"))
	c.at = offset
	start := bytes.LastIndexByte(c.data[:offset], '\n') + 1
	text := c.data[start:min(len(c.data), start+4096)] // a drawing may be one line of megabytes
	text, _, _ = bytes.Cut(text, []byte("\n"))
	c.errs.Add(&source.Error{File: c.file, Line: c.line, Text: string(text), Msg: fmt.Sprintf(format, args...)})
}

func (c *svgCheck) run() {
	d := xml.NewDecoder(bytes.NewReader(c.data))
	var open []string
	root := false
	for {
		at := d.InputOffset()
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if !root {
				c.complain(0, "this drawing has no <svg> element; save it again")
			}
			return
		}
		if err != nil {
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				err = errors.New(syntax.Msg)
			}
			c.complain(d.InputOffset(), "this is not a whole SVG image: %v; save it again", err)
			return
		}
		switch t := token.(type) {
		case xml.StartElement:
			if !root {
				root = true
				if t.Name.Local != "svg" || t.Name.Space != nsSVG {
					c.complain(at, `a drawing begins with <svg xmlns="%s">; browsers show nothing else`, nsSVG)
					return
				}
				c.size(t.Attr)
			}
			if open = append(open, t.Name.Local); len(open) > maxDepth {
				c.complain(at, "more than %d elements are within each other here; simplify the drawing", maxDepth)
				return
			}
			c.element(at, t)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 && open[len(open)-1] == "style" {
				c.css(at, "<style>", string(t))
			}
		case xml.Directive:
			if bytes.ContainsRune(t, '[') {
				c.complain(at, "a drawing must not define entities; save it as plain SVG")
				return
			}
		case xml.ProcInst:
			if t.Target != "xml" {
				c.complain(at, "a drawing must not have <?%s?>: it could fetch other files; save it as plain SVG", t.Target)
			}
		}
	}
}

func (c *svgCheck) element(at int64, t xml.StartElement) {
	name := t.Name.Local
	switch space := t.Name.Space; {
	case space == nsSVG:
		if !strings.Contains(svgElements, " "+name+" ") {
			c.complain(at, "a drawing must not have <%s>; remove it, or save the drawing as plain SVG", name)
		}
	case space == nsXHTML:
		if !strings.Contains(htmlElements, " "+name+" ") {
			c.complain(at, "a drawing must not have the HTML element <%s>; remove it, or save the drawing as plain SVG", name)
		}
	case space == "" || strings.HasPrefix(space, nsW3) && space != nsRDF:
		c.complain(at, "<%s> is not part of SVG; save the drawing as plain SVG", name)
	}
	for _, a := range t.Attr {
		local := strings.ToLower(a.Name.Local)
		value := strings.TrimSpace(a.Value)
		switch {
		case a.Name.Space == "xmlns" || a.Name.Local == "xmlns":
		case strings.HasPrefix(local, "on"):
			c.complain(at, "%s on <%s> could run code; remove it", a.Name.Local, name)
		case local == "base":
			c.complain(at, "xml:base on <%s> could fetch other files; remove it", name)
		case local == "href" || local == "src":
			c.reference(at, name, local, value)
		case local == "attributename":
			if v := strings.ToLower(value); strings.HasSuffix(v, "href") || strings.HasPrefix(v, "on") {
				c.complain(at, "an animation must not change %s; remove <%s>", value, name)
			}
		default:
			c.css(at, a.Name.Local, value)
		}
	}
}

// reference checks where an element gets something from, or leads to.
func (c *svgCheck) reference(at int64, name, attr, value string) {
	clean := strings.ToLower(strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, value))
	switch {
	case strings.HasPrefix(clean, "#"), clean == "":
	case embedded.MatchString(clean) && (name == "image" || name == "feImage"):
	case name == "a" && attr == "href" && (strings.HasPrefix(clean, "https://") || strings.HasPrefix(clean, "http://")):
	default:
		c.complain(at, "<%s> refers to %.60q; a drawing must have everything in it: use #… or an embedded PNG or JPEG", name, value)
	}
}

// css checks a style, or an attribute that may be one.
func (c *svgCheck) css(at int64, where, text string) {
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(text, `\`) && (where == "style" || where == "<style>" || strings.Contains(text, "(")):
		c.complain(at, `%s has a \ in it, which can hide what it does; write the character itself`, where)
	case strings.Contains(lower, "@import"), strings.Contains(lower, "-moz-binding"), strings.Contains(lower, "expression("), strings.Contains(lower, "javascript:"):
		c.complain(at, "%s refers to other files or could run code; remove that", where)
	}
	for _, m := range cssURL.FindAllStringSubmatch(text, -1) {
		if target := strings.TrimSpace(m[1]); !strings.HasPrefix(target, "#") && !embedded.MatchString(target) {
			c.complain(at, "%s refers to %.60q; a drawing must have everything in it: use url(#…)", where, target)
		}
	}
}

// size reads width and height, or their proportion from the viewBox.
func (c *svgCheck) size(attrs []xml.Attr) {
	var w, h float64
	var box []string
	for _, a := range attrs {
		switch a.Name.Local {
		case "width":
			w = pixels(a.Value)
		case "height":
			h = pixels(a.Value)
		case "viewBox":
			box = strings.FieldsFunc(a.Value, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' })
		}
	}
	if len(box) == 4 {
		bw, bh := pixels(box[2]), pixels(box[3])
		switch {
		case bw <= 0 || bh <= 0:
		case w <= 0 && h <= 0:
			w, h = bw, bh
		case w <= 0:
			w = h * bw / bh
		case h <= 0:
			h = w * bh / bw
		}
	}
	if w > 0 && h > 0 && w <= maxSide && h <= maxSide {
		c.width, c.height = max(1, int(math.Round(w))), max(1, int(math.Round(h)))
	}
}

// units of CSS in pixels.
var units = map[string]float64{"": 1, "px": 1, "pt": 4.0 / 3, "pc": 16, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96, "em": 16, "rem": 16}

func pixels(s string) float64 {
	s = strings.TrimSpace(s)
	end := strings.LastIndexAny(s, "0123456789.") + 1
	n, err := strconv.ParseFloat(s[:end], 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0
	}
	return n * units[strings.ToLower(s[end:])]
}
