package diagram

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"oss.terrastruct.com/d2/d2ast"
	"oss.terrastruct.com/d2/d2parser"
)

// Keywords that diagrams may use. Other keywords of D2 are mistakes; words unknown to D2 are names.
var (
	keywords = []string{
		"label", "shape", "near", "direction", "class", "style", "stroke-dash", "multiple",
		"grid-rows", "grid-columns", "grid-gap", "vertical-gap", "horizontal-gap",
	}
	shapes = []string{
		"rectangle", "square", "oval", "circle", "diamond", "hexagon", "cylinder", "queue", "cloud", "person", "page", "document",
		"package", "step", "parallelogram", "stored_data", "callout", "text", "sequence_diagram",
	}
	tones = []string{"accent", "ok", "warn", "bad", "tip", "quiet"}
)

// screener checks a source before D2 compiles it. D2 itself would read files and expand patterns.
type screener struct {
	text     string
	lines    []int // where lines begin
	problems []Problem
	steps    int
}

func newScreener(text string) *screener {
	s := &screener{text: text, lines: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// screen reports everything in the source that is not allowed.
func (s *screener) screen() {
	switch {
	case len(s.text) > maxBytes:
		s.add(0, "the diagram has %d bytes; at most %d: show less, or make it several pictures", len(s.text), maxBytes)
		return
	case strings.TrimSpace(s.text) == "":
		s.add(0, "the diagram is empty: write what is connected, such as: web -> db")
		return
	case !utf8.ValidString(s.text) || strings.IndexFunc(s.text, control) >= 0:
		s.add(max(0, strings.IndexFunc(s.text, control)), "the diagram has characters that are no text")
		return
	}
	// D2's parser recurses for each of these, without a limit.
	if depth := s.depth(); depth >= 0 {
		s.add(depth, "boxes stand in boxes at most %d deep", maxDepth)
		return
	}
	tree, err := d2parser.Parse("", strings.NewReader(s.text), nil)
	if err != nil {
		s.reject(err)
		return
	}
	s.inMap(tree, 0)
}

func control(r rune) bool {
	return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f || r == utf8.RuneError
}

// depth returns the offset at which brackets exceed the nesting limit, or -1.
func (s *screener) depth() int {
	open := 0
	for i := range len(s.text) {
		switch s.text[i] {
		case '{', '[', '(':
			if open++; open > 2*maxDepth {
				return i
			}
		case '}', ']', ')':
			open = max(0, open-1)
		}
	}
	return -1
}

func (s *screener) add(offset int, format string, args ...any) {
	if len(s.problems) < 20 {
		s.problems = append(s.problems, Problem{Offset: min(max(offset, 0), len(s.text)), Msg: fmt.Sprintf(format, args...)})
	}
}

// offset returns the start of a node.
func (s *screener) offset(r d2ast.Range) int {
	line := min(max(r.Start.Line, 0), len(s.lines)-1)
	return s.lines[line] + max(r.Start.Column, 0)
}

// reject converts the errors of D2 to problems.
func (s *screener) reject(err error) {
	var list *d2parser.ParseError
	if !errors.As(err, &list) || len(list.Errors) == 0 {
		s.add(0, "the diagram can't be read: %v", err)
		return
	}
	for _, e := range list.Errors {
		msg := e.Message
		if rest, ok := strings.CutPrefix(msg, e.Range.String()+": "); ok {
			msg = rest
		}
		s.add(s.offset(e.Range), "%s", strings.TrimSuffix(msg, "."))
	}
}

func (s *screener) inMap(m *d2ast.Map, depth int) {
	if m == nil {
		return
	}
	if depth > maxDepth {
		s.add(s.offset(m.Range), "boxes stand in boxes at most %d deep", maxDepth)
		return
	}
	for _, n := range m.Nodes {
		switch {
		case n.Substitution != nil:
			s.add(s.offset(n.Substitution.Range), "a diagram has no variables: write the text itself")
		case n.Import != nil:
			s.add(s.offset(n.Import.Range), "a diagram can't import: write all of it here")
		case n.MapKey != nil:
			if s.steps++; s.steps > maxSteps {
				s.add(s.offset(n.MapKey.Range), "the diagram says too much: show less, or make it several pictures")
				return
			}
			s.key(n.MapKey, depth)
		}
	}
}

func (s *screener) key(k *d2ast.Key, depth int) {
	if k.Ampersand || k.NotAmpersand || k.EdgeIndex != nil && k.EdgeIndex.Glob {
		s.add(s.offset(k.Range), "a diagram has no patterns: name each thing")
		return
	}
	word := s.path(k.Key, depth)
	for _, e := range k.Edges {
		for _, end := range []*d2ast.KeyPath{e.Src, e.Dst} {
			if w := s.path(end, depth); w != "" {
				s.add(s.offset(end.Range), "an arrow leads to a box, not to %q", w)
			}
		}
	}
	if w := s.path(k.EdgeKey, depth); w != "" {
		word = w
	}
	s.scalar(k.Primary.Unbox(), "label", depth)
	switch v := k.Value.Unbox().(type) {
	case nil:
	case *d2ast.Map:
		s.inMap(v, depth+1)
	case *d2ast.Array:
		if word != "class" {
			s.add(s.offset(v.Range), "a diagram has no lists")
			return
		}
		for _, n := range v.Nodes {
			if sc, ok := n.Unbox().(d2ast.Scalar); ok {
				s.scalar(sc, word, depth)
			} else {
				s.add(s.offset(v.Range), "class takes names of colours: %s", strings.Join(tones, ", "))
			}
		}
	case *d2ast.Import:
		s.add(s.offset(v.Range), "a diagram can't import: write all of it here")
	case d2ast.Scalar:
		if word == "" {
			word = "label"
		}
		s.scalar(v, word, depth)
	}
}

// path checks the parts of a key. It returns the last one if that is a keyword of D2.
func (s *screener) path(p *d2ast.KeyPath, depth int) string {
	if p == nil {
		return ""
	}
	if depth+len(p.Path) > maxDepth+2 {
		s.add(s.offset(p.Range), "boxes stand in boxes at most %d deep", maxDepth)
		return ""
	}
	last := ""
	for _, box := range p.Path {
		str := box.Unbox()
		if str == nil {
			continue
		}
		s.string(str)
		last = ""
		u, ok := str.(*d2ast.UnquotedString)
		if !ok {
			continue
		}
		if len(u.Pattern) > 0 {
			s.add(s.offset(u.Range), "a diagram has no patterns: name each thing, or put the * in quotes")
		}
		word := strings.ToLower(u.ScalarString())
		_, reserved := d2ast.ReservedKeywords[word]
		if _, board := d2ast.BoardKeywords[word]; !reserved && !board {
			continue
		}
		last = word
		if slices.Contains(keywords, word) {
			continue
		}
		hint := "; put the word in quotes if it is a name"
		switch _, style := d2ast.StyleKeywords[word]; {
		case style:
			hint = ": colours and fonts are the page's; use class: " + strings.Join(tones, ", ")
		case word == "icon" || word == "link" || word == "tooltip":
			hint = ": a diagram fetches nothing and leads nowhere; put a link into the text below it"
		case word == "width" || word == "height" || word == "top" || word == "left":
			hint = ": sizes and places follow from what is in a box"
		}
		s.add(s.offset(u.Range), "%q can't be used here%s", word, hint)
	}
	return last
}

// string applies the checks that hold for every string.
func (s *screener) string(str d2ast.String) {
	at := s.offset(str.GetRange())
	switch v := str.(type) {
	case *d2ast.UnquotedString:
		for _, part := range v.Value {
			if part.Substitution != nil {
				s.add(at, "a diagram has no variables: put ${…} in single quotes if it is meant as text")
				return
			}
		}
	case *d2ast.DoubleQuotedString:
		for _, part := range v.Value {
			if part.Substitution != nil {
				s.add(at, "a diagram has no variables: put ${…} in single quotes if it is meant as text")
				return
			}
		}
	case *d2ast.BlockString:
		s.add(at, "labels are plain text: write it in quotes, with \\n between lines")
		return
	}
	text := str.ScalarString()
	if n := utf8.RuneCountInString(text); n > maxLabel {
		s.add(at, "a label of %d letters; at most %d", n, maxLabel)
	}
	if strings.ContainsFunc(text, control) { // the text itself has none, but an escape may stand for one
		s.add(at, "%q holds a character that can't be shown: write \\\\ for a backslash", text)
	}
}

// scalar checks the value of a keyword.
func (s *screener) scalar(v d2ast.Scalar, word string, depth int) {
	if v == nil {
		return
	}
	at := s.offset(v.GetRange())
	if str, ok := v.(d2ast.String); ok {
		s.string(str)
	}
	value := v.ScalarString()
	oneOf := func(kind string, known []string) {
		if slices.Contains(known, strings.ToLower(value)) {
			return
		}
		s.add(at, "unknown %s %q", kind, value)
		last := &s.problems[len(s.problems)-1]
		last.Word, last.Known = strings.ToLower(value), known
	}
	switch word {
	case "shape":
		oneOf("shape", shapes)
	case "class":
		oneOf("class", tones)
	case "grid-rows", "grid-columns", "grid-gap", "vertical-gap", "horizontal-gap", "stroke-dash":
		if n, err := strconv.Atoi(value); err != nil || n < 0 || n > maxNumber {
			s.add(at, "%s is a whole number from 0 to %d", word, maxNumber)
		}
	}
}
