// Package rawhtml looks at HTML that authors write into their texts: where its tags are, what its words are, and what of it
// a strict Content-Security-Policy keeps from working. It makes nothing safe; who doesn't trust the author must not pass
// HTML on.
package rawhtml

import "strings"

// WithoutComments returns HTML without its comments; one that is not closed stays.
func WithoutComments(s string) string {
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

// Words returns the words of HTML.
func Words(s string) string {
	var b strings.Builder
	end := 0
	for _, t := range Tags(s) {
		b.WriteString(s[end:t.At] + " ")
		end = t.End
	}
	return b.String() + s[end:]
}

// Tag is an opening tag as a browser reads it.
type Tag struct {
	At, End int
	name    string
	attrs   [][2]string
}

// Problems are the things of a tag that won't work, or that nobody checks.
func (t Tag) Problems() []string {
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
		case !AllowedScheme(value):
			out = append(out, name+"= leads nowhere: links may be relative, http, https, mailto or tel")
		case value != "" && !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "#") && !strings.Contains(strings.SplitN(value, "/", 2)[0], ":"):
			out = append(out, name+"= is relative to the page's address, not to this file, and is not checked; begin it with /, or use Markdown")
		}
	}
	return out
}

// Tags finds the tags in s. Names are in lower case; closing tags have a slash.
func Tags(s string) []Tag {
	var out []Tag
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
		for j < len(s) && isName(s[j]) {
			j++
		}
		if j == start {
			i = at + 1
			continue
		}
		t := Tag{At: at, name: strings.ToLower(s[at+1 : j])}
		for j < len(s) && s[j] != '>' {
			j = t.attribute(s, j)
		}
		t.End = min(j+1, len(s))
		i = t.End
		out = append(out, t)
	}
	return out
}

// attribute reads one attribute, or one sign between two, and returns where it ends.
func (t *Tag) attribute(s string, i int) int {
	if isSpace(s[i]) || s[i] == '/' {
		return i + 1
	}
	start := i
	for i < len(s) && !isSpace(s[i]) && strings.IndexByte("/>=", s[i]) < 0 {
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

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

func isName(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-'
}

// AllowedScheme reports whether a link may lead to target: a relative URL, or one of a scheme that
// cannot run anything. Only the scheme is looked at, the way browsers find it.
func AllowedScheme(target string) bool {
	// Browsers drop white space and control characters from a URL before they read its scheme.
	clean := strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, target)
	scheme, _, ok := strings.Cut(clean, ":")
	if !ok || !isScheme(scheme) {
		return true
	}
	switch strings.ToLower(scheme) {
	case "http", "https", "mailto", "tel":
		return true
	}
	return false
}

// isScheme reports whether s can be the scheme of a URL. Browsers take a URL as relative if not.
func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (s[i] < '0' || s[i] > '9') && s[i] != '+' && s[i] != '-' && s[i] != '.') {
			return false
		}
	}
	return s != ""
}
