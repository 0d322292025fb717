// Package fence parses the info string of a fenced code block, in lessons and in labs: a language,
// and attributes in braces.
//
//	```bash {run=node2 title="Start it" 2,4-6}
//
//	{run} {run=node2}        a click runs the block in a terminal of the first node, or of node2
//	{save="compose.yml"}     a click writes the block to that file
//	{copy} {nocopy}          with or without a copy button
//	{title="compose.yml"}    a title above the block
//	{alt="…"}                the alt text of a diagram
//	{numbers} {numbers=10}   line numbers, from 1 or from the given one
//	{2,4-6} {mark="2,4-6"}   marked lines
//	{file="files/a.yml"}     the block shows that file; region="web" or lines="3-9,14" selects a part of it
//
// White space separates attributes, optionally after a comma. A value with white space must be in
// double quotes, and cannot contain double quotes. Only the short form of mark can be repeated.
package fence

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode"
)

// maxLineNumber is the largest line number in attributes.
const maxLineNumber = 1_000_000

// Info is a parsed info string.
type Info struct {
	Lang    string
	Run     bool   // a click runs the block
	Node    string // node to run it in; "" for the first
	Save    string // path that a click writes the block to
	Copy    bool   // has a copy button; the default for most languages
	NoCopy  bool
	Title   string
	Alt     string // alt text of a diagram
	Numbers int    // first line number; 0 for no line numbers
	Marked  []Range
	File    string  // file to show
	Region  string  // region of File to show
	Lines   []Range // lines of File to show
}

// Range is an inclusive range of 1-based lines.
type Range struct{ From, To int }

var keys = []string{"run", "save", "copy", "nocopy", "title", "alt", "numbers", "mark", "file", "region", "lines"}

// Attribute is one attribute as written.
type Attribute struct {
	Key, Value string
	HasValue   bool // there is a = after the key
}

// Error is an unknown attribute.
type Error struct {
	Key   string
	Known []string
}

func (e *Error) Error() string { return fmt.Sprintf("unknown attribute %q", e.Key) }

// Parse parses an info string. Its error says what is wrong, without a position.
func Parse(s string) (Info, error) {
	lang, attributes, err := Split(s)
	if err != nil {
		return Info{Lang: lang}, err
	}
	return Of(lang, attributes)
}

// Of interprets attributes. The error for an unknown one is an *Error.
func Of(lang string, attributes []Attribute) (Info, error) {
	in := Info{Lang: lang}
	for _, a := range attributes {
		if a.isLines() {
			a = Attribute{Key: "mark", Value: a.Key, HasValue: true}
		}
		if err := in.set(a); err != nil {
			return in, err
		}
	}
	return in, nil
}

// Split splits an info string into its language and its attributes, without interpreting them.
func Split(s string) (lang string, attributes []Attribute, err error) {
	s = strings.TrimSpace(s)
	i := strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '{' })
	if i < 0 {
		return s, nil, nil
	}
	lang, s = s[:i], strings.TrimSpace(s[i:])
	if !strings.HasPrefix(s, "{") {
		return lang, nil, fmt.Errorf("write what follows the language in braces: {%s}", s)
	}
	if !strings.HasSuffix(s, "}") || len(s) < 2 {
		return lang, nil, fmt.Errorf("the { after the language is not closed by } at the end of the line")
	}
	if attributes, err = splitAttributes(s[1 : len(s)-1]); err != nil {
		return lang, nil, err
	}
	seen := map[string]bool{}
	for _, a := range attributes {
		if seen[a.Key] && !a.isLines() {
			return lang, nil, fmt.Errorf("%s is given twice", a.Key)
		}
		seen[a.Key] = true
	}
	return lang, attributes, nil
}

// isLines reports whether a is the short form of mark.
func (a Attribute) isLines() bool { return a.Key[0] >= '0' && a.Key[0] <= '9' }

func (in *Info) set(a Attribute) error {
	switch a.Key {
	case "run":
		if a.HasValue && a.Value == "" {
			return fmt.Errorf("run= needs the name of a node; to run the block in the first node, write {run}")
		}
		in.Run, in.Node = true, a.Value
	case "save":
		if a.Value == "" {
			return fmt.Errorf(`save needs a path: {save="compose.yml"}`)
		}
		in.Save = a.Value
	case "copy", "nocopy":
		if a.HasValue {
			return fmt.Errorf("%s has no value: {%[1]s}", a.Key)
		}
		in.Copy, in.NoCopy = in.Copy || a.Key == "copy", in.NoCopy || a.Key == "nocopy"
	case "title":
		if a.Value == "" {
			return fmt.Errorf(`title needs a text: {title="compose.yml"}`)
		}
		in.Title = a.Value
	case "alt":
		if a.Value == "" {
			return fmt.Errorf(`alt needs a text: {alt="The client asks the engine, which …"}`)
		}
		in.Alt = a.Value
	case "numbers":
		in.Numbers = 1
		if a.HasValue {
			n, err := strconv.Atoi(a.Value)
			if err != nil || n < 1 || n > maxLineNumber {
				return fmt.Errorf("numbers= needs the number of the first line, for example numbers=10")
			}
			in.Numbers = n
		}
	case "mark":
		r, err := parseRanges(a.Value)
		if err != nil {
			return err
		}
		in.Marked = append(in.Marked, r...)
	case "file", "region":
		if a.Value == "" {
			return fmt.Errorf(`%s needs a name: {file="files/compose.yml" region="web"}`, a.Key)
		}
		if a.Key == "file" {
			in.File = a.Value
		} else {
			in.Region = a.Value
		}
	case "lines":
		r, err := parseRanges(a.Value)
		if err != nil {
			return err
		}
		in.Lines = r
	default:
		return &Error{Key: a.Key, Known: keys}
	}
	return nil
}

// splitAttributes splits `a b=c d="e f" 1,3-5` into attributes.
func splitAttributes(s string) ([]Attribute, error) {
	var out []Attribute
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
			return append(out, Attribute{Key: strings.TrimRight(s, ",")}), nil
		}
		a := Attribute{Key: strings.TrimRight(s[:i], ",")}
		if s[i] != '=' {
			out, s = append(out, a), s[i:]
			continue
		}
		s, a.HasValue = s[i+1:], true
		if strings.HasPrefix(s, `"`) {
			end := strings.IndexByte(s[1:], '"')
			if end < 0 {
				return nil, fmt.Errorf(`the " after %s= is not closed`, a.Key)
			}
			a.Value, s = s[1:1+end], s[2+end:]
		} else if end := strings.IndexAny(s, " \t"); end >= 0 {
			a.Value, s = strings.TrimRight(s[:end], ","), s[end:]
		} else {
			a.Value, s = s, ""
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
			return nil, fmt.Errorf("%q is not a list of lines; write them like 1,3-5", s)
		}
		out = append(out, Range{From: a, To: b})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].From < out[j].From })
	return out, nil
}
