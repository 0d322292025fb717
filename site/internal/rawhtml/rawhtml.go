// Package rawhtml reads the HTML that authors write into Markdown: it takes out comments, finds the
// words for search, and says what will not work under the site's Content-Security-Policy. It makes
// nothing safe: do not pass on the HTML of authors who are not trusted.
package rawhtml

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
)

// Result is what became of HTML.
type Result struct {
	HTML     string // without comments
	Words    string // the text between tags, without scripts and style sheets
	Problems []Problem
}

// Problem is a sentence about the HTML at a byte offset.
type Problem struct {
	At   int
	Text string
}

// Read reads a piece of HTML, which may begin and end anywhere. Nothing but comments is changed.
// Leaving out a comment without an end hides the rest of the piece, as a browser does.
func Read(b []byte) Result {
	if isHarmlessTag(b) {
		return Result{HTML: string(b)}
	}
	r := reader{z: html.NewTokenizer(bytes.NewReader(b))}
	offset := 0
	for kind := r.z.Next(); kind != html.ErrorToken; kind = r.z.Next() {
		n := len(r.z.Raw())
		r.token(kind, offset)
		offset += n
	}
	r.kept.Write(b[offset:]) // a tag without an end
	return Result{HTML: r.kept.String(), Words: r.words.String(), Problems: r.problems}
}

type reader struct {
	z           *html.Tokenizer
	kept, words strings.Builder
	hidden      bool // the last tag opened a script or a style sheet
	problems    []Problem
}

// token takes the next token, which begins at offset.
func (r *reader) token(kind html.TokenType, offset int) {
	raw := r.z.Raw() // valid until the token is decoded
	if kind == html.CommentToken && bytes.HasPrefix(raw, []byte("<!--")) {
		if !bytes.HasSuffix(raw, []byte("-->")) && !bytes.HasSuffix(raw, []byte("--!>")) {
			r.problems = append(r.problems, Problem{offset, "the comment is not closed by -->, so nothing after it is shown"})
		}
		return
	}
	r.kept.Write(raw)
	switch kind {
	case html.TextToken:
		if !r.hidden {
			r.words.Write(r.z.Text())
		}
	case html.StartTagToken, html.SelfClosingTagToken:
		tag := r.z.Token()
		r.hidden = tag.Data == "script" || tag.Data == "style"
		r.words.WriteByte(' ')
		for _, p := range problems(tag) {
			r.problems = append(r.problems, Problem{offset, p})
		}
	case html.EndTagToken:
		r.hidden = false
		r.words.WriteByte(' ')
	}
}

// WithoutComments returns HTML without its comments; one without an end stays.
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

// isHarmlessTag reports whether b is one tag without attributes that has no problems. Most HTML in
// lines is such a tag, and a tokenizer allocates 4 KiB.
func isHarmlessTag(b []byte) bool {
	name := bytes.TrimSuffix(bytes.TrimPrefix(b, []byte("<")), []byte(">"))
	if len(name) != len(b)-2 {
		return false
	}
	name = bytes.TrimRight(bytes.TrimPrefix(name, []byte("/")), " /")
	for _, c := range name {
		if !isNameByte(c) {
			return false
		}
	}
	return len(problems(html.Token{Data: strings.ToLower(string(name))})) == 0
}

// problems says what of a tag won't work under the Content-Security-Policy of a site, and what of
// it nobody checks.
func problems(tag html.Token) []string {
	var out []string
	switch tag.Data {
	case "script":
		if src := attribute(tag, "src"); !strings.HasPrefix(src, "/") || strings.HasPrefix(src, "//") {
			out = append(out, "this script won't run: the site's Content-Security-Policy allows scripts of files of the site only")
		}
	case "style":
		out = append(out, "<style> won't work: the site's Content-Security-Policy allows the site's style sheet only")
	case "object", "embed", "applet", "base":
		out = append(out, "<"+tag.Data+"> won't work: the site's Content-Security-Policy forbids it")
	case "iframe":
		out = append(out, "<iframe> shows pages of this site only: the site's Content-Security-Policy forbids others; use a link")
	}
	for _, a := range tag.Attr {
		name, value := a.Key, strings.TrimSpace(a.Val)
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

func attribute(tag html.Token, name string) string {
	for _, a := range tag.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
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

func isNameByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_'
}
