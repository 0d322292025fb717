package importer

import (
	"cmp"
	"fmt"
	"html"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/labd-dev/labd/site/internal/importer/dialect"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/importer/tree"
	"github.com/labd-dev/labd/site/internal/markdown"
)

func unescapePath(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// place implements dialect.Source for one page: it resolves links and includes relative to it.
type place struct {
	*run
	p *page
}

// Note implements dialect.Source.
func (c *place) Note(name, fragment string) (dialect.Target, int) {
	if name == "" {
		return c.toPage(c.p, fragment), 0
	}
	found, others := c.note(name)
	if found == "" {
		return dialect.Target{Kind: report.LinkBroken, Why: "its target is not in the vault"}, others
	}
	return c.inside("/"+found, fragment), others
}

// Known implements dialect.Source. It does the site's link check for the files that this import
// writes.
func (c *place) Known(dest string) bool {
	if dest == "" || strings.HasPrefix(dest, "#") || strings.HasPrefix(dest, "//") || scheme.MatchString(dest) {
		return true
	}
	if strings.HasPrefix(dest, "/") { // relative to the root of the site; this import writes no such links
		return false
	}
	file, _, _ := strings.Cut(dest, "#")
	return c.outs[path.Join(path.Dir(c.p.out), file)]
}

// Find implements dialect.Source.
func (c *place) Find(from, name string) (file, refused string) {
	return tree.Join(path.Dir(from), name)
}

// Read implements dialect.Source.
func (c *place) Read(file string) (lines []syntax.Line, refused string) {
	c.included[file] = true
	return c.Lines(file)
}

// Tag implements dialect.Source.
func (c *place) Tag(name string, at syntax.Line) {
	if !c.p.section {
		c.p.front.Tag(name, at, &c.log)
	}
}

// Report implements dialect.Source.
func (c *place) Report(kind report.Kind, at syntax.Line, msg string) { c.report(kind, at, "%s", msg) }

var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// Resolve implements dialect.Source.
func (c *place) Resolve(dest string) dialect.Target {
	dest = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, html.UnescapeString(strings.TrimSpace(dest)))
	if rest, ok := strings.CutPrefix(dest, "pathname://"); ok {
		dest = rest
	}
	switch {
	case dest == "":
		return dialect.Target{Kind: report.LinkBroken, Why: "it has no address"}
	case strings.HasPrefix(dest, "//"):
		dest = "https:" + dest
	}
	// Browsers ignore white space before and in a scheme, as in "java script:".
	if s := scheme.FindString(strings.Join(strings.Fields(dest), "")); s != "" {
		switch strings.ToLower(s) {
		case "http:", "https:", "mailto:", "tel:":
			u := external(dest)
			if _, err := url.Parse(u); err != nil {
				return dialect.Target{Kind: report.LinkBroken, Why: "its address is invalid"}
			}
			return dialect.Target{URL: u}
		}
		return dialect.Target{Kind: report.LinkForbidden, Why: fmt.Sprintf("addresses that begin with %q are not allowed", s)}
	}
	file, fragment, _ := strings.Cut(dest, "#")
	file, query, hasQuery := strings.Cut(file, "?")
	t := c.inside(unescapePath(file), unescapePath(fragment))
	if hasQuery && t.URL != "" && query != "" {
		t.Note, t.Kind = cmp.Or(t.Note, "?"+query+" of the link is lost"), report.LinkToPage
	}
	return t
}

// external escapes an address so that Markdown reads it unchanged.
func external(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r <= ' ' || strings.ContainsRune("<>()[]\\`\"|{}^*", r) || unicode.IsSpace(r):
			for _, c := range []byte(string(r)) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// inside resolves a link to a page or file of the source.
func (c *place) inside(file, fragment string) dialect.Target {
	if file == "" {
		return c.toPage(c.p, fragment)
	}
	name := c.find(file)
	if name == "" {
		return dialect.Target{Kind: report.LinkBroken, Why: "its target is not in the source"}
	}
	if p := c.bySrc[name]; p != nil && !p.partial {
		if c.unpublished(p) && !c.unpublished(c.p) {
			return dialect.Target{Kind: report.LinkToDraft, Why: fmt.Sprintf("%s is a draft, which is not published", name)}
		}
		return c.toPage(p, fragment)
	}
	if tree.IsPage(name) {
		return dialect.Target{Kind: report.LinkBroken, Why: fmt.Sprintf("it leads to %s, which is left out", name)}
	}
	a := c.asset(name, c.p)
	if a.refused != "" {
		return dialect.Target{Kind: report.FileRefused, Why: fmt.Sprintf("%s is left out: %s", name, a.refused)}
	}
	return dialect.Target{URL: relative(c.p.out, a.out), Asset: true}
}

// find returns the file of the source that a path on the page means, or "".
func (c *place) find(file string) string {
	var places []string
	rooted := false
	for _, a := range c.Aliases {
		if rest, ok := strings.CutPrefix(file, a[0]); ok {
			rooted = true
			places = append(places, a[1]+rest)
		}
	}
	for _, alias := range []string{"@site/", "/"} {
		if rest, ok := strings.CutPrefix(file, alias); ok {
			rooted = true
			if alias == "@site/" {
				places = append(places, rest)
				break
			}
			rest = strings.TrimLeft(rest, "/")
			if c.format == Docusaurus || c.format == Starlight {
				at := strings.Trim(path.Clean(strings.TrimPrefix(rest, "docs/")), "/.")
				if p := c.byURL[at]; p != nil && (path.Ext(rest) == "" || c.Files[path.Join(c.Static, rest)] == 0) {
					return p.src
				}
				if c.Static != "" {
					places = append(places, path.Join(c.Static, rest))
				}
			}
			places = append(places, path.Join(c.Root, rest), rest)
		}
	}
	if !rooted {
		places = append(places, path.Join(path.Dir(c.p.src), file))
		if t := c.translated(c.p.src); t != nil { // pages without translation are in the default language's folder
			places = append(places, path.Join(c.Root, path.Dir(strings.TrimPrefix(c.p.src, t.Root+"/")), file))
		}
		if c.format == Obsidian {
			places = append(places, file)
		}
	}
	for _, p := range places {
		p = path.Clean(p)
		if p == ".." || strings.HasPrefix(p, "../") {
			continue
		}
		for _, try := range []string{p, p + ".md", p + ".mdx", p + "/index.md", p + "/README.md", p + "/index.mdx", strings.TrimSuffix(p, ".html") + ".md", strings.TrimSuffix(p, "/index.html") + "/README.md"} {
			if _, ok := c.Files[try]; ok {
				return try
			}
			if name := c.Folded[strings.ToLower(try)]; name != "" {
				return name
			}
		}
	}
	if (c.format == Docusaurus || c.format == Starlight) && !rooted && c.p.src != "" {
		rel := strings.TrimPrefix(path.Join(path.Dir(c.p.src), file), c.Root+"/")
		if p := c.byURL[strings.Trim(rel, "/.")]; p != nil {
			return p.src
		}
	}
	return ""
}

// note resolves the name in an Obsidian link: a path, or a file name anywhere in the vault.
func (c *place) note(name string) (file string, others int) {
	name = strings.TrimSpace(name)
	if f := c.find(name); f != "" && (strings.Contains(name, "/") || path.Dir(f) == path.Dir(c.p.src)) {
		return f, 0
	}
	low := strings.ToLower(name)
	stem, _ := tree.PageStem(path.Base(low))
	found := slices.Clone(c.Names[stem])
	if len(found) == 0 {
		found = slices.Clone(c.Names[path.Base(low)])
	}
	if dir := path.Dir(low); dir != "." {
		found = slices.DeleteFunc(found, func(f string) bool { return !strings.HasSuffix("/"+strings.ToLower(path.Dir(f)), "/"+dir) })
	}
	// Obsidian prefers the file that is nearest to the vault's root.
	slices.SortFunc(found, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(a, "/"), strings.Count(b, "/")), cmp.Compare(a, b))
	})
	if len(found) == 0 {
		return c.find(name), 0
	}
	return found[0], len(found) - 1
}

// toPage returns a link to a page, and to the heading named by fragment if the page has it.
func (c *place) toPage(p *page, fragment string) dialect.Target {
	var t dialect.Target
	if p != c.p || c.embedded[p] && !p.partial { // on a page that includes this one, #x would mean a heading of that page
		t.URL = relative(c.p.out, p.out)
	}
	if fragment != "" && c.ready {
		id := findID(p.ids, fragment)
		found := id != ""
		if found {
			id = c.finalID(c.p, p, id)
		}
		anchor, ok := p.anchors[fragment]
		t.Kind = report.LinkToPage
		switch {
		case ok && anchor == "":
		case ok:
			if anchor = c.finalID(c.p, p, anchor); anchor != "" {
				t.URL += "#" + external(anchor)
			}
		case found && id == "":
			t.Note = fmt.Sprintf("the link leads to the page: not every translation of it has the heading %q", fragment)
		case id != "":
			t.URL += "#" + external(id)
		case p.headID != "" && letters(p.headID) == letters(fragment):
		case strings.HasPrefix(fragment, "^"):
			t.Note = "the link leads to the page, because blocks have no address"
		default:
			t.Note = fmt.Sprintf("the link leads to the page: it has no heading %q", fragment)
		}
	}
	if t.URL == "" {
		t.URL = path.Base(c.p.out)
	}
	return t
}

// findID returns the id of the heading that fragment means. fragment may be the heading's text or
// the id that another tool gives it.
func findID(ids []string, fragment string) string {
	if slices.Contains(ids, fragment) {
		return fragment
	}
	if i := strings.LastIndexByte(fragment, '#'); i >= 0 {
		fragment = fragment[i+1:]
	}
	if s := markdown.Slug(fragment); slices.Contains(ids, s) && s != "" {
		return s
	}
	want := letters(fragment)
	for _, id := range ids {
		if want != "" && letters(id) == want {
			return id
		}
	}
	return ""
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// relative returns the path from the folder of one file of the course to another file.
func relative(from, to string) string {
	a, b := strings.Split(path.Dir(from), "/"), strings.Split(to, "/")
	for len(a) > 0 && len(b) > 1 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	return strings.Repeat("../", len(a)) + strings.Join(b, "/")
}
