// Package markup parses HTML and JSX in Markdown, with golang.org/x/net/html: single tags, and
// whole blocks such as tables, which it writes as Markdown.
//
// Its input is untrusted. Callers must treat its output as Markdown that still needs escaping.
package markup

import (
	"html"
	"regexp"
	"strings"

	xhtml "golang.org/x/net/html"
)

// MaxTag is the maximum length of a tag in bytes. Longer ones are text.
const MaxTag = 4096

// maxBraces is the maximum length in bytes of a JSX expression in a tag.
const maxBraces = 2048

// Tag is one tag. A JSX fragment (<> or </>) has no name.
type Tag struct {
	Name  string // as written in the source
	Low   string // in lower case
	Close bool   // </b>
	Empty bool   // <br/>
	attrs []xhtml.Attribute
}

// Component reports whether the tag is a JSX component: its name starts with a capital letter or
// has a dot.
func (t Tag) Component() bool {
	return t.Name == "" || t.Name[0] >= 'A' && t.Name[0] <= 'Z' && t.Name != strings.ToUpper(t.Name) || strings.Contains(t.Name, ".")
}

// Attr returns the first of the named attributes that is not empty. If the value is a JSX
// expression, it returns the text between the quotes.
func (t Tag) Attr(names ...string) string {
	for _, name := range names {
		for _, a := range t.attrs {
			if strings.EqualFold(a.Key, name) && a.Val != "" {
				return a.Val
			}
		}
	}
	return ""
}

// Has reports whether the tag has an attribute, with or without a value.
func (t Tag) Has(name string) bool {
	for _, a := range t.attrs {
		if strings.EqualFold(a.Key, name) {
			return true
		}
	}
	return false
}

// Attrs returns the number of attributes.
func (t Tag) Attrs() int { return len(t.attrs) }

var tagName = regexp.MustCompile(`^</?([A-Za-z][A-Za-z0-9_.:-]*)`)

// ReadTag parses the tag at the start of s and returns its length. The length is 0 if there is
// none.
func ReadTag(s string) (Tag, int) {
	if strings.HasPrefix(s, "<>") {
		return Tag{}, 2
	}
	if strings.HasPrefix(s, "</>") {
		return Tag{Close: true}, 3
	}
	m := tagName.FindStringSubmatch(s)
	if m == nil {
		return Tag{}, 0
	}
	plain, n := tagEnd(s, len(m[0]))
	if n == 0 {
		return Tag{}, 0
	}
	t := Tag{Name: m[1], Low: strings.ToLower(m[1]), Close: s[1] == '/', Empty: s[n-2] == '/'}
	z := xhtml.NewTokenizer(strings.NewReader(plain))
	if z.Next(); z.Err() == nil {
		t.attrs = z.Token().Attr
	}
	return t, n
}

var quoted = regexp.MustCompile("^\\s*(?:\"([^\"]*)\"|'([^']*)'|`([^`$]*)`)\\s*$|['\"`]([^'\"`]+)['\"`]")

// tagEnd finds the end of a tag whose name ends at from. plain is the tag with JSX expressions
// rewritten as HTML attributes.
func tagEnd(s string, from int) (plain string, n int) {
	var b strings.Builder
	copied := 0
	for i := from; i < min(len(s), MaxTag); i++ {
		switch ch := s[i]; ch {
		case '>':
			return b.String() + s[copied:i+1], i + 1
		case '<':
			return "", 0
		case '"', '\'':
			end := strings.IndexByte(s[i+1:min(len(s), MaxTag)], ch)
			if end < 0 {
				return "", 0
			}
			i += end + 1
		case '{':
			end := bracesEnd(s[i:min(len(s), i+maxBraces)])
			if end == 0 {
				return "", 0
			}
			value := ""
			if q := quoted.FindStringSubmatch(s[i+1 : i+end-1]); q != nil {
				value = q[1] + q[2] + q[3] + q[4]
			}
			b.WriteString(s[copied:i] + `"` + html.EscapeString(value) + `"`)
			i += end - 1
			copied = i + 1
		case '\n':
			if i+1 < len(s) && s[i+1] == '\n' {
				return "", 0
			}
		}
	}
	return "", 0
}

// bracesEnd returns the length of the {…} at the start of s, 0 if it is not closed.
func bracesEnd(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
