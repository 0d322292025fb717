package importer

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/labd-dev/labd/site/internal/importer/dialect"
)

// findBook reads book.toml and finds the folder of the chapters.
func (r *run) findBook() error {
	r.root = "src"
	var book struct {
		Book struct {
			Title, Description, Language, Src string
			Authors                           []string
		}
	}
	if _, ok := r.files["book.toml"]; ok {
		lines, refused := r.lines("book.toml")
		var text strings.Builder
		for _, l := range lines {
			text.WriteString(l.Text + "\n")
		}
		if refused == "" {
			md, err := toml.Decode(text.String(), &book)
			if err != nil {
				refused = err.Error()
			}
			var drawn struct {
				Output struct {
					HTML struct {
						MathJax bool `toml:"mathjax-support"`
					}
				}
				Preprocessor struct{ Katex map[string]any }
			}
			if _, err := toml.Decode(text.String(), &drawn); err == nil {
				katex, mathjax := drawn.Preprocessor.Katex != nil, drawn.Output.HTML.MathJax
				r.notation = dialect.Notation{Inline: katex, Display: katex || mathjax, Brackets: mathjax && !katex}
			}
			for _, key := range md.Undecoded() {
				if name := key.String(); r.notation.Display && (name == "output.html.mathjax-support" || strings.HasPrefix(name+".", "preprocessor.katex.")) {
					continue
				}
				r.report(keyLine(lines, key), "the setting %q of the book is lost", key.String())
			}
		}
		if refused != "" {
			r.reportFile("book.toml", "is lost: %s", refused)
		}
	}
	if src := path.Clean(book.Book.Src); book.Book.Src != "" {
		if src == ".." || strings.HasPrefix(src, "../") || path.IsAbs(src) {
			r.reportFile("book.toml", "src = %q leaves the book's folder; src is read instead", book.Book.Src)
		} else {
			r.root = src
		}
	}
	if _, ok := r.files[path.Join(r.root, "SUMMARY.md")]; !ok {
		r.root = "."
	}
	if _, ok := r.files[path.Join(r.root, "SUMMARY.md")]; !ok {
		return errNoSummary
	}
	if r.lang == "" {
		r.lang = strings.ToLower(book.Book.Language)
		if !langTag.MatchString(r.lang) {
			if r.lang != "" {
				r.reportFile("book.toml", "the language %q is not one such as en or zh; the course is taken for English", r.lang)
			}
			r.lang = "en"
		}
	}
	r.book = bookInfo{title: dialect.OneLine(book.Book.Title), summary: dialect.OneLine(book.Book.Description)}
	for _, a := range book.Book.Authors {
		if a = dialect.OneLine(a); a != "" {
			r.book.authors = append(r.book.authors, a)
		}
	}
	return nil
}

type bookInfo struct {
	title, summary string
	authors        []string
}

// keyLine finds the line of a key in a TOML file, as well as can be without a parser that tells.
func keyLine(lines []dialect.Line, key toml.Key) dialect.Line {
	for _, l := range lines {
		t := strings.TrimLeft(l.Text, " \t[")
		if strings.HasPrefix(t, key.String()) || strings.HasPrefix(t, key[len(key)-1]) {
			return l
		}
	}
	return lines[0]
}

// chapter is an entry of SUMMARY.md.
type chapter struct {
	title, file string
	at          dialect.Line
	depth       int
	part        string
}

var (
	summaryEntry = regexp.MustCompile(`^([ \t]*)((?:[-*+]|\d+[.)])[ \t]+)?\[(.*)\]\(\s*<?([^)>]*?)>?\s*\)\s*$`)
	summaryPart  = regexp.MustCompile(`^#+[ \t]+(.*?)[ \t]*$`)
)

// summary reads SUMMARY.md.
func (r *run) summary() []chapter {
	lines, refused := r.lines(path.Join(r.root, "SUMMARY.md"))
	if refused != "" {
		r.reportFile(path.Join(r.root, "SUMMARY.md"), "is lost: %s", refused)
		return nil
	}
	var out []chapter
	var indents []int
	part, first := "", true
	for _, l := range lines {
		trimmed := strings.TrimSpace(l.Text)
		if m := summaryPart.FindStringSubmatch(trimmed); m != nil {
			if !first {
				part, indents = dialect.OneLine(dialect.Plain(m[1])), nil
			}
			first = false
			continue
		}
		if trimmed == "" || strings.Trim(trimmed, "-* _") == "" {
			continue
		}
		first = false
		m := summaryEntry.FindStringSubmatch(l.Text)
		if m == nil {
			r.report(l, "this line of the table of contents is lost: it is no chapter")
			continue
		}
		c := chapter{title: dialect.OneLine(dialect.Plain(m[3])), at: l, part: part}
		if m[2] != "" {
			indent := len(strings.ReplaceAll(m[1], "\t", "    "))
			for len(indents) > 0 && indents[len(indents)-1] >= indent {
				indents = indents[:len(indents)-1]
			}
			c.depth = len(indents)
			indents = append(indents, indent)
		}
		if m[4] == "" {
			r.report(l, "the chapter %q is not written yet, so it is left out", c.title)
			continue
		}
		file, why := r.inTree(r.root, unescapePath(m[4]))
		if why == "" {
			if _, ok := r.files[file]; !ok {
				why = "it does not exist"
			}
		}
		if why != "" {
			r.report(l, "the chapter is left out: %s", why)
			continue
		}
		c.file = file
		out = append(out, c)
	}
	return out
}

// planBook gives every chapter its place: one with others below it becomes a module, as do those without that follow each
// other.
func (r *run) planBook() {
	type module struct {
		name  string
		head  *page
		file  string
		pages []*page
	}
	var modules []*module
	loose := false // the last module gathers chapters of the first level
	part := ""
	chapters := r.summary()
	for i, c := range chapters {
		if r.bySrc[c.file] != nil {
			r.report(c.at, "the chapter is in the book already; it stays where it was first")
			continue
		}
		if !r.isPage(c.file) {
			r.report(c.at, "the chapter is left out: it is not a .md file")
			continue
		}
		p := r.load(c.file)
		if p == nil {
			continue
		}
		title, rest, id := r.dialect.Title(p.lines)
		p.lines, p.headID = rest, id
		if title != "" && c.title != "" && title != c.title {
			r.report(c.at, "the page is called as here, not %q as in its file", title)
		}
		p.front.Title = cmp.Or(c.title, p.front.Title, title, "Chapter")
		p.front.Authors = append(p.front.Authors, r.book.authors...)
		stem, _ := pageStem(path.Base(c.file))
		if low := strings.ToLower(stem); low == "readme" || low == "index" {
			stem = path.Base(path.Dir(c.file))
			if path.Dir(c.file) == r.root {
				stem = p.front.Title
			}
		}
		p.out = slug(stem)
		opens := c.depth == 0 && i+1 < len(chapters) && chapters[i+1].depth > 0
		switch {
		case opens:
			p.front.Authors = nil
			modules = append(modules, &module{name: stem, head: p, file: c.file})
			loose = false
		case len(modules) == 0 || c.depth == 0 && (!loose || c.part != part):
			title := cmp.Or(c.part, p.front.Title)
			modules = append(modules, &module{name: title, head: &page{front: front{Title: title}}, file: c.file, pages: []*page{p}})
			loose = true
		default:
			m := modules[len(modules)-1]
			m.pages = append(m.pages, p)
			if c.depth > 1 {
				r.report(c.at, "the chapter moves up to the second level: a course has modules and lessons")
			}
		}
		if c.part != part && c.part != "" && opens {
			r.report(c.at, "the part %q has no counterpart: its chapters follow each other as modules", c.part)
		}
		part = c.part
	}
	r.addHome(nil, r.book.title, r.book.summary)
	for i, m := range modules {
		pages := slices.Clone(m.pages)
		for j, p := range pages {
			p.order = []rank{{float64(j), ""}}
		}
		r.addModule(m.head, m.name, m.file, i, pages)
	}
}
