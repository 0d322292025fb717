package dialect

import (
	"html"
	"regexp"
	"slices"
	"strings"
)

// elements are the names of HTML, whose tags are dropped and whose text stays. Other names in <> are taken for text.
var elements = strings.Fields(`a abbr address article aside b bdi bdo big blockquote body br button caption center cite code col
colgroup data dd del details dfn dialog div dl dt em fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6
header hgroup hr html i img input ins kbd label legend li link main map mark marquee menu meta meter nav ol optgroup option
output p param picture pre progress q rp rt ruby s samp search section select slot small source span strike strong sub summary sup
table tbody td tfoot th thead time tr track tt u ul var wbr`)

// removed are the elements whose content goes with them.
var removed = []string{"script", "style", "iframe", "object", "embed", "noscript", "template", "svg", "math", "textarea", "title", "head", "applet", "audio", "video", "canvas", "base", "noembed", "noframes", "plaintext", "xmp"}

var (
	autoLink  = regexp.MustCompile(`^<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*|[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]+@[A-Za-z0-9.-]+)>`)
	tagName   = regexp.MustCompile(`^</?([A-Za-z][A-Za-z0-9_.:-]*)`)
	attribute = regexp.MustCompile(`([A-Za-z_:][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|\{([^{}]*)\}|([^\s"'<>{}=]+))`)
	inQuotes  = regexp.MustCompile(`['"]([^'"]+)['"]`)
)

// angle converts what begins with <: comments, links, tags.
func (s *scanner) angle(i, to int) int {
	rest := s.s[i:to]
	at := s.line(i)
	if strings.HasPrefix(rest, "<!--") {
		if !s.unclosed["-->"] {
			if end := strings.Index(rest, "-->"); end >= 0 {
				s.report(at, "a comment is left out")
				return end + 3
			}
			s.unclosed["-->"] = true
		}
		s.b.WriteString(`\<`)
		return 1
	}
	if m := autoLink.FindStringSubmatch(rest[:min(len(rest), maxConstruct)]); m != nil {
		dest := m[1]
		if !strings.Contains(dest, ":") {
			dest = "mailto:" + dest
		}
		if t := s.src.Resolve(dest); t.URL != "" {
			s.b.WriteString("[" + escape(m[1]) + "](" + t.URL + ")")
		} else {
			s.report(at, "the link becomes text: %s", t.Why)
			s.b.WriteString(escape(m[1]))
		}
		return len(m[0])
	}
	name, attrs, n := parseTag(rest[:min(len(rest), maxConstruct)])
	if n == 0 {
		s.b.WriteString(`\<`)
		return 1
	}
	low := strings.ToLower(name)
	closing, empty := rest[1] == '/', rest[n-2] == '/'
	component := s.format == Docusaurus && (name == "" || name[0] >= 'A' && name[0] <= 'Z')
	switch {
	case slices.Contains(removed, low) && !component:
		if !closing && !empty {
			if end := s.closing(rest[n:], low); end >= 0 {
				s.report(at, "<%s> is lost, with what is in it", low)
				for _, l := range s.between(i+n, i+n+end) {
					s.report(l, "is lost with its <%s>", low)
				}
				return n + end
			}
		}
		s.report(at, "<%s> is lost", low)
	case component:
		s.component(at, name, attrs, closing)
	case low == "img" && !closing:
		dest := attr(attrs, "src")
		s.report(at, "<img> becomes a picture; its other attributes are lost")
		s.picture(at, html.UnescapeString(attr(attrs, "alt")), dest, "", s.src.Resolve(dest))
	case low == "a" && !closing && attr(attrs, "href") != "":
		dest := attr(attrs, "href")
		end := strings.Index(strings.ToLower(rest[n:min(len(rest), n+maxConstruct)]), "</a>")
		t := s.src.Resolve(dest)
		if end < 0 || t.URL == "" {
			if t.Why == "" {
				t.Why = "it is not closed"
			}
			s.report(at, "the link becomes text: %s", t.Why)
			break
		}
		s.report(at, "<a> becomes a link; its other attributes are lost")
		s.b.WriteString("[" + s.inner(i+n, i+n+end) + "](" + t.URL + ")")
		return n + end + 4
	case slices.Contains(elements, low):
		s.report(at, "the tag %s is lost; the text in it stays", shorten(rest[:n]))
		if low == "br" || low == "hr" || low == "td" || low == "th" {
			s.b.WriteByte(' ')
		}
	default:
		s.report(at, "%s is shown as text", shorten(rest[:n]))
		s.b.WriteString(`\<`)
		return 1
	}
	return n
}

// component drops a tag of JSX. What stands between tags stays.
func (s *scanner) component(at Line, name, attrs string, closing bool) {
	switch {
	case closing:
		return // reported where it opened
	case name == "TabItem":
		label := OneLine(Plain(attrOr(attrs, "label", "value")))
		s.report(at, "the tab %q becomes text below its name", label)
		if label != "" {
			s.b.WriteString("\n**" + escape(label) + "**\n")
		}
	default:
		s.report(at, "the component <%s> is lost; the text in it stays", name)
	}
}

// between returns the lines that lie wholly or in part between two places, but for the first.
func (s *scanner) between(from, to int) []Line {
	n := strings.Count(s.s[from:to], "\n")
	s.line(from)
	first := s.ln + 1
	if first > len(s.lines) {
		return nil
	}
	return s.lines[first:min(first+n, len(s.lines))]
}

// closing returns where </name> ends in s, or -1.
func (s *scanner) closing(rest, name string) int {
	if s.unclosed[name] {
		return -1
	}
	at := 0
	for {
		i := strings.Index(rest[at:], "</")
		if i < 0 {
			s.unclosed[name] = true
			return -1
		}
		at += i
		if len(rest) >= at+2+len(name) && strings.EqualFold(rest[at+2:at+2+len(name)], name) {
			if end := strings.IndexByte(rest[at:], '>'); end >= 0 {
				return at + end + 1
			}
			return -1
		}
		at += 2
	}
}

// parseTag reads a tag of HTML or JSX at the start of s. n is 0 if there is none.
func parseTag(s string) (name, attrs string, n int) {
	if strings.HasPrefix(s, "<>") || strings.HasPrefix(s, "</>") {
		return "", "", strings.IndexByte(s, '>') + 1
	}
	m := tagName.FindStringSubmatch(s)
	if m == nil {
		return "", "", 0
	}
	start := len(m[0])
	for i := start; i < len(s); i++ {
		switch ch := s[i]; ch {
		case '>':
			return m[1], s[start:i], i + 1
		case '<':
			return "", "", 0
		case '"', '\'':
			end := strings.IndexByte(s[i+1:], ch)
			if end < 0 {
				return "", "", 0
			}
			i += end + 1
		case '{':
			depth := 0
			j := i
			for ; j < min(len(s), i+512); j++ {
				if s[j] == '{' {
					depth++
				} else if s[j] == '}' {
					if depth--; depth == 0 {
						break
					}
				}
			}
			if depth != 0 {
				return "", "", 0
			}
			i = j
		case '\n':
			if i+1 < len(s) && s[i+1] == '\n' {
				return "", "", 0
			}
		}
	}
	return "", "", 0
}

// attr returns the value of an attribute; of a JavaScript expression the text in quotes.
func attr(attrs, name string) string {
	for _, m := range attribute.FindAllStringSubmatch(attrs, 100) {
		if !strings.EqualFold(m[1], name) {
			continue
		}
		if m[4] != "" {
			if q := inQuotes.FindStringSubmatch(m[4]); q != nil {
				return q[1]
			}
			return ""
		}
		return m[2] + m[3] + m[5]
	}
	return ""
}

func attrOr(attrs string, names ...string) string {
	for _, n := range names {
		if v := attr(attrs, n); v != "" {
			return v
		}
	}
	return ""
}

func shorten(s string) string {
	s = OneLine(s)
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
