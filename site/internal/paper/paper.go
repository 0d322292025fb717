// Package paper changes the HTML of a lesson for a page that has several lessons and is printed.
package paper

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Prepare returns the text of a lesson as it stands on a print page. All its ids begin with prefix,
// headings are one level lower, below the lesson's title, and folded blocks are open.
func Prepare(text []byte, prefix string) string {
	return forPaper(prefixIDs(text, prefix))
}

// refersToIDs reports whether the value of an attribute is an id on the same page, or several with
// spaces between.
func refersToIDs(attribute string) bool {
	switch attribute {
	case "for", "headers", "list", "form", "popovertarget",
		"aria-labelledby", "aria-describedby", "aria-controls", "aria-owns", "aria-details":
		return true
	}
	return false
}

// prefixIDs gives the prefix to ids that lack it, and to what refers to them within the text.
// Package markdown prefixes the ids that it makes. Those that an author wrote, as {#id} or in HTML,
// are prefixed here: other lessons on the page may have them too.
func prefixIDs(text []byte, prefix string) []byte {
	// Most texts have no such id. Two counts tell them without parsing.
	if bytes.Count(text, []byte(" id=")) == bytes.Count(text, []byte(` id="`+prefix)) {
		return text
	}
	lack := map[string]bool{}
	eachTag(text, func(tag html.Token, _ []byte) {
		for _, a := range tag.Attr {
			if a.Key == "id" && !strings.HasPrefix(a.Val, prefix) {
				lack[a.Val] = true
			}
		}
	}, nil)
	var out bytes.Buffer
	out.Grow(len(text) + 1<<10)
	eachTag(text, func(tag html.Token, raw []byte) {
		changed := false
		for i, a := range tag.Attr {
			val := a.Val
			switch {
			case a.Key == "id" && lack[val]:
				val = prefix + val
			case a.Key == "href" && strings.HasPrefix(val, "#") && lack[val[1:]]:
				val = "#" + prefix + val[1:]
			case refersToIDs(a.Key):
				ids := strings.Fields(val)
				for i, id := range ids {
					if lack[id] {
						ids[i] = prefix + id
					}
				}
				val = strings.Join(ids, " ")
			}
			changed = changed || val != a.Val
			tag.Attr[i].Val = val
		}
		if changed {
			out.WriteString(tag.String())
		} else {
			out.Write(raw)
		}
	}, func(raw []byte) { out.Write(raw) })
	return out.Bytes()
}

// eachTag calls tag for every start tag of a text, and other, if it is not nil, for everything
// between.
func eachTag(text []byte, tag func(t html.Token, raw []byte), other func(raw []byte)) {
	z := html.NewTokenizer(bytes.NewReader(text))
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			if other != nil {
				other(z.Raw())
			}
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			raw := slices.Clone(z.Raw()) // reading the token changes it
			tag(z.Token(), raw)
		default:
			if other != nil {
				other(z.Raw())
			}
		}
	}
}

// forPaper moves headings one level down, below the title of the lesson, and opens what is folded.
func forPaper(text []byte) string {
	var b strings.Builder
	b.Grow(len(text) + 64)
	rest := text
	for {
		i := bytes.IndexByte(rest, '<')
		if i < 0 {
			b.Write(rest)
			return b.String()
		}
		tag := i + 1
		if tag < len(rest) && rest[tag] == '/' {
			tag++
		}
		b.Write(rest[:tag])
		rest = rest[tag:]
		switch {
		case len(rest) > 1 && rest[0] == 'h' && rest[1] >= '2' && rest[1] <= '5':
			b.WriteByte('h')
			b.WriteByte(rest[1] + 1)
			rest = rest[2:]
		case bytes.HasPrefix(rest, []byte("details")) && text[len(text)-len(rest)-1] == '<':
			b.WriteString("details open")
			rest = rest[len("details"):]
		}
	}
}
