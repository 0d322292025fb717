package markdown

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"labd/internal/highlight"
	"labd/internal/source"
)

// Info is what stands after the back-ticks of a fenced block: a language, and attributes in braces.
//
//	```bash {run=node2 title="Start it" 2,4-6}
type Info struct {
	Lang    string
	Run     bool   // click to run
	Node    string // node it runs in; "" for the first
	Save    string // path it is written to
	Copy    bool   // offered for copying; the default for all blocks
	NoCopy  bool
	Title   string
	Alt     string // what a diagram shows, for those who don't see it
	Numbers int    // first line number; 0 for none
	Marked  []Range
	File    string // the file that the block shows
	Region  string // the part of it
	Lines   []Range
}

// Range is a span of 1-based lines, both ends included.
type Range = highlight.Range

// maxLineNumber bounds line numbers and ranges.
const maxLineNumber = 1_000_000

var infoKeys = []string{"run", "save", "copy", "nocopy", "title", "alt", "numbers", "mark", "file", "region", "lines"}

// ParseInfo parses the text after the back-ticks. The error says what is wrong, without position.
func ParseInfo(s string) (Info, error) {
	var in Info
	s = strings.TrimSpace(s)
	i := strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '{' })
	if i < 0 {
		in.Lang = s
		return in, nil
	}
	in.Lang, s = s[:i], strings.TrimSpace(s[i:])
	if s == "" {
		return in, nil
	}
	if !strings.HasPrefix(s, "{") {
		return in, fmt.Errorf("write what follows the language in braces: {%s}", s)
	}
	if !strings.HasSuffix(s, "}") || len(s) < 2 {
		return in, fmt.Errorf("the { after the language is not closed by } at the line's end")
	}
	words, err := splitAttributes(s[1 : len(s)-1])
	if err != nil {
		return in, err
	}
	seen := map[string]bool{}
	for _, w := range words {
		if w.key != "" && w.key[0] >= '0' && w.key[0] <= '9' {
			w = attribute{key: "mark", value: w.key, hasValue: true}
		} else if seen[w.key] {
			return in, fmt.Errorf("%s is given twice", w.key)
		}
		seen[w.key] = true
		if err := in.set(w); err != nil {
			return in, err
		}
	}
	return in, nil
}

type attribute struct {
	key, value string
	hasValue   bool
}

func (in *Info) set(w attribute) error {
	switch w.key {
	case "run":
		if w.hasValue && w.value == "" {
			return fmt.Errorf("run= needs the name of a node, or write {run}")
		}
		in.Run, in.Node = true, w.value
	case "save":
		if w.value == "" {
			return fmt.Errorf(`save needs a path: {save="compose.yml"}`)
		}
		in.Save = w.value
	case "copy":
		in.Copy = true
	case "nocopy":
		in.NoCopy = true
	case "title":
		if w.value == "" {
			return fmt.Errorf(`title needs a text: {title="compose.yml"}`)
		}
		in.Title = w.value
	case "alt":
		if w.value == "" {
			return fmt.Errorf(`alt needs a text: {alt="The client asks the engine, which …"}`)
		}
		in.Alt = w.value
	case "numbers":
		in.Numbers = 1
		if w.hasValue {
			n, err := strconv.Atoi(w.value)
			if err != nil || n < 1 || n > maxLineNumber {
				return fmt.Errorf("numbers= needs the first line's number, such as numbers=10")
			}
			in.Numbers = n
		}
	case "mark":
		r, err := parseRanges(w.value)
		if err != nil {
			return err
		}
		in.Marked = append(in.Marked, r...)
	case "file", "region":
		if w.value == "" {
			return fmt.Errorf(`%s needs a name: {file="files/compose.yml" region="web"}`, w.key)
		}
		if w.key == "file" {
			in.File = w.value
		} else {
			in.Region = w.value
		}
	case "lines":
		r, err := parseRanges(w.value)
		if err != nil {
			return err
		}
		in.Lines = r
	default:
		if near := source.Nearest(w.key, infoKeys); near != "" {
			return fmt.Errorf("unknown attribute %q (did you mean %q?)", w.key, near)
		}
		return fmt.Errorf("unknown attribute %q; known: %s", w.key, strings.Join(infoKeys, ", "))
	}
	return nil
}

// splitAttributes cuts `a b=c d="e f" 1,3-5` into its words.
func splitAttributes(s string) ([]attribute, error) {
	var out []attribute
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return out, nil
		}
		i := strings.IndexAny(s, "= \t")
		if s[0] >= '0' && s[0] <= '9' {
			i = strings.IndexAny(s, " \t")
		}
		if i == 0 {
			return nil, fmt.Errorf("an attribute's name is missing before =")
		}
		if i < 0 {
			return append(out, attribute{key: strings.TrimRight(s, ",")}), nil
		}
		a := attribute{key: strings.TrimRight(s[:i], ",")}
		if s[i] != '=' {
			out, s = append(out, a), s[i:]
			continue
		}
		s, a.hasValue = s[i+1:], true
		if strings.HasPrefix(s, `"`) {
			end := strings.IndexByte(s[1:], '"')
			if end < 0 {
				return nil, fmt.Errorf(`the " after %s= is not closed`, a.key)
			}
			a.value, s = s[1:1+end], s[2+end:]
		} else if end := strings.IndexAny(s, " \t"); end >= 0 {
			a.value, s = strings.TrimRight(s[:end], ","), s[end:]
		} else {
			a.value, s = s, ""
		}
		out = append(out, a)
	}
}

func parseRanges(s string) ([]Range, error) {
	var out []Range
	for _, part := range strings.Split(s, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err1 := strconv.Atoi(from)
		b, err2 := a, error(nil)
		if isRange {
			b, err2 = strconv.Atoi(to)
		}
		if err1 != nil || err2 != nil || a < 1 || b < a || b > maxLineNumber {
			return nil, fmt.Errorf("%q is not a list of lines such as 1,3-5", s)
		}
		out = append(out, Range{From: a, To: b})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].From < out[j].From })
	return out, nil
}

// RunLines returns the first line of each {run} block, for a taste of a lab.
func RunLines(text []byte) []string {
	var out []string
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		info, ok := strings.CutPrefix(lines[i], "```")
		if !ok {
			continue
		}
		in, err := ParseInfo(strings.TrimLeft(info, "`"))
		end := i + 1
		for end < len(lines) && !strings.HasPrefix(lines[end], "```") {
			end++
		}
		if err == nil && in.Run && end > i+1 {
			out = append(out, lines[i+1])
		}
		i = end
	}
	return out
}
