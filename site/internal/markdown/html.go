package markdown

import (
	"bytes"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
	"golang.org/x/net/html"
)

// authorsHTML is HTML that an author wrote, in pieces of one text.
type authorsHTML struct {
	st     *state
	parts  []text.Segment
	at     int             // where to report what has no place of its own
	kept   strings.Builder // without comments
	words  strings.Builder // what search finds
	hidden bool            // the last tag opened a script or a style sheet
}

// rawHTML returns what becomes of HTML in a line: text to be seen, or, if the course allows it, HTML.
// Comments are left out.
func (st *state) rawHTML(parts []text.Segment, at int) string {
	h := authorsHTML{st: st, parts: parts, at: at}
	return h.convert()
}

// blockHTML is rawHTML for lines of HTML.
func (st *state) blockHTML(n *ast.HTMLBlock) []byte {
	parts := slices.Clone(n.Lines().Sliced(0, n.Lines().Len()))
	if n.HasClosure() {
		parts = append(parts, n.ClosureLine)
	}
	h := authorsHTML{st: st, parts: parts, at: offsetOf(n)}
	out := h.convert()
	if st.req.HTML {
		st.words.WriteString(h.words.String())
		return []byte(out)
	}
	if out != "" {
		out = "<p>" + out + "</p>\n"
	}
	return []byte(out)
}

func (h *authorsHTML) convert() string {
	written := join(h.parts, h.st.req.Text)
	if isHarmlessTag(written) && h.st.req.HTML {
		return string(written)
	}
	z := html.NewTokenizer(bytes.NewReader(written))
	offset := 0
	for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
		n := len(z.Raw())
		h.token(z, kind, offset)
		offset += n
	}
	h.kept.Write(written[offset:]) // a tag without an end
	out := h.kept.String()
	if strings.TrimSpace(out) == "" {
		return ""
	}
	if !h.st.req.HTML {
		h.st.warnAt(h.at, "HTML is shown as text; put it in back-ticks if that is meant, or use Markdown")
		return escape(out)
	}
	return out
}

// token takes the next token, which begins at offset.
func (h *authorsHTML) token(z *html.Tokenizer, kind html.TokenType, offset int) {
	raw := z.Raw() // valid until the token is decoded
	if kind == html.CommentToken && bytes.HasPrefix(raw, []byte("<!--")) {
		closed := bytes.HasSuffix(raw, []byte("-->")) || bytes.HasSuffix(raw, []byte("--!>"))
		if !closed && h.st.req.HTML {
			h.st.warnAt(locate(h.parts, offset, h.at), "the comment is not closed by -->, so nothing after it is shown")
		}
		if closed || h.st.req.HTML {
			return
		}
	}
	h.kept.Write(raw)
	switch kind {
	case html.TextToken:
		if !h.hidden {
			h.words.Write(z.Text())
		}
	case html.StartTagToken, html.SelfClosingTagToken:
		tag := z.Token()
		h.hidden = tag.Data == "script" || tag.Data == "style"
		h.words.WriteByte(' ')
		if h.st.req.HTML {
			for _, problem := range problems(tag) {
				h.st.warnAt(locate(h.parts, offset, h.at), "%s", problem)
			}
		}
	case html.EndTagToken:
		h.hidden = false
		h.words.WriteByte(' ')
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
		if !isWord(c) && c != '-' {
			return false
		}
	}
	return len(problems(html.Token{Data: strings.ToLower(string(name))})) == 0
}

// problems says what of a tag won't work under the Content-Security-Policy of a site, and what of it
// nobody checks.
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
		case !allowedScheme(value):
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

// allowedScheme reports whether a link may lead to target: a relative URL, or one of a scheme that
// cannot run anything. Only the scheme is looked at, the way browsers find it.
func allowedScheme(target string) bool {
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
