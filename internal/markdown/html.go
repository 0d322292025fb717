package markdown

import (
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// rawHTML returns what becomes of HTML that the author wrote: text to be seen, or, if the course allows it, HTML. Comments
// are left out.
func (st *state) rawHTML(parts []text.Segment, at int) string {
	raw := withoutComments(string(join(parts, st.req.Text)))
	if strings.TrimSpace(raw) == "" {
		return ""
	}
	if !st.req.HTML {
		st.warnAt(at, "HTML is shown as text; put it in back-ticks if that is meant, or use Markdown")
		return escape(raw)
	}
	// Comments move what follows them, so tags are looked for in what was written.
	for _, t := range htmlTags(string(join(parts, st.req.Text))) {
		for _, problem := range t.problems() {
			st.warnAt(locate(parts, t.at, at), "%s", problem)
		}
	}
	return raw
}

// blockHTML is rawHTML for lines of HTML.
func (st *state) blockHTML(n *ast.HTMLBlock) []byte {
	parts := slices.Clone(n.Lines().Sliced(0, n.Lines().Len()))
	if n.HasClosure() {
		parts = append(parts, n.ClosureLine)
	}
	out := st.rawHTML(parts, offsetOf(n))
	if st.req.HTML {
		st.words.WriteString(withoutTags(out))
		return []byte(out)
	}
	if out != "" {
		out = "<p>" + out + "</p>\n"
	}
	return []byte(out)
}

// join returns what the parts of src are together.
func join(parts []text.Segment, src []byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, src[p.Start:max(p.Start, p.Stop)]...)
	}
	return b
}

// locate returns where in the source an offset of the joined parts is; or at, if there are none.
func locate(parts []text.Segment, offset, at int) int {
	for _, p := range parts {
		if n := max(0, p.Stop-p.Start); offset > n {
			offset -= n
			continue
		}
		return p.Start + offset
	}
	return at
}

func withoutComments(s string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "<!--")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		_, after, closed := strings.Cut(rest, "-->")
		if !closed {
			return b.String() + s[len(before):]
		}
		s = after
	}
}

// withoutTags returns the words of HTML.
func withoutTags(s string) string {
	var b strings.Builder
	end := 0
	for _, t := range htmlTags(s) {
		b.WriteString(s[end:t.at] + " ")
		end = t.end
	}
	return b.String() + s[end:]
}

// htmlTag is an opening tag as a browser reads it.
type htmlTag struct {
	at, end int
	name    string
	attrs   [][2]string
}

// problems are the things of a tag that won't work, or that nobody checks.
func (t htmlTag) problems() []string {
	var out []string
	src := ""
	for _, a := range t.attrs {
		if a[0] == "src" {
			src = a[1]
		}
	}
	switch t.name {
	case "script":
		if !strings.HasPrefix(src, "/") || strings.HasPrefix(src, "//") {
			out = append(out, "this script won't run: the site's Content-Security-Policy allows scripts of files of the site only")
		}
	case "style":
		out = append(out, "<style> won't work: the site's Content-Security-Policy allows the site's style sheet only")
	case "object", "embed", "applet", "base":
		out = append(out, "<"+t.name+"> won't work: the site's Content-Security-Policy forbids it")
	case "iframe":
		out = append(out, "<iframe> shows pages of this site only: the site's Content-Security-Policy forbids others; use a link")
	}
	for _, a := range t.attrs {
		name, value := a[0], strings.TrimSpace(a[1])
		switch {
		case strings.HasPrefix(name, "on") && len(name) > 2:
			out = append(out, name+"= won't work: the site's Content-Security-Policy forbids scripts within a page")
		case name == "style":
			out = append(out, "style= won't work: the site's Content-Security-Policy forbids styles within a page; give it a class")
		case name != "src" && name != "href" && name != "action":
		case !allowedScheme(value):
			out = append(out, name+"= leads nowhere: links may be relative, http, https, mailto or tel")
		case value != "" && !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "#") && !strings.Contains(strings.SplitN(value, "/", 2)[0], ":"):
			out = append(out, name+"= is relative to the page's address, not to this file, and is not checked; begin it with /, or use Markdown")
		}
	}
	return out
}

// htmlTags finds the tags in s. Names are in lower case; closing tags have a slash.
func htmlTags(s string) []htmlTag {
	var out []htmlTag
	for i := 0; i < len(s); {
		next := strings.IndexByte(s[i:], '<')
		if next < 0 {
			break
		}
		at := i + next
		if strings.HasPrefix(s[at:], "<!--") {
			end := strings.Index(s[at:], "-->")
			if end < 0 {
				break
			}
			i = at + end + 3
			continue
		}
		j := at + 1
		if j < len(s) && s[j] == '/' {
			j++
		}
		start := j
		for j < len(s) && (isWord(s[j]) || s[j] == '-') {
			j++
		}
		if j == start {
			i = at + 1
			continue
		}
		t := htmlTag{at: at, name: strings.ToLower(s[at+1 : j])}
		for j < len(s) && s[j] != '>' {
			j = t.attribute(s, j)
		}
		t.end = min(j+1, len(s))
		i = t.end
		out = append(out, t)
	}
	return out
}

// attribute reads one attribute, or one sign between two, and returns where it ends.
func (t *htmlTag) attribute(s string, i int) int {
	if isSpace(s[i]) || s[i] == '/' || s[i] == '\f' {
		return i + 1
	}
	start := i
	for i < len(s) && !isSpace(s[i]) && strings.IndexByte("/>=\f", s[i]) < 0 {
		i++
	}
	if i == start { // a stray =
		return i + 1
	}
	name := strings.ToLower(s[start:i])
	j := i
	for j < len(s) && isSpace(s[j]) {
		j++
	}
	if j == len(s) || s[j] != '=' {
		t.attrs = append(t.attrs, [2]string{name})
		return i
	}
	for j++; j < len(s) && isSpace(s[j]); j++ {
	}
	start, end := j, j
	if j < len(s) && (s[j] == '"' || s[j] == '\'') {
		start++
		n := strings.IndexByte(s[start:], s[j])
		if n < 0 {
			n = len(s) - start
		}
		end = start + n
		j = min(end+1, len(s))
	} else {
		for j < len(s) && !isSpace(s[j]) && s[j] != '>' {
			j++
		}
		end = j
	}
	t.attrs = append(t.attrs, [2]string{name, s[start:end]})
	return j
}
