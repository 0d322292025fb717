package importer

import (
	"path"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/importer/tree"
)

// findBook reads book.toml and finds the folder of the chapters.
func (r *run) findBook() {
	r.root = "src"
	var book struct {
		Book struct {
			Title, Description, Language, Src string
			Authors                           []string
		}
	}
	if _, ok := r.Files["book.toml"]; ok {
		lines, refused := r.Lines("book.toml")
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
				r.notation = syntax.Notation{Inline: katex, Display: katex || mathjax, Brackets: mathjax && !katex}
			}
			for _, key := range md.Undecoded() {
				if name := key.String(); r.notation.Display && (name == "output.html.mathjax-support" || strings.HasPrefix(name+".", "preprocessor.katex.")) {
					continue
				}
				r.report(report.SettingUnknown, keyLine(lines, key), "the setting %q of the book is lost", key.String())
			}
		}
		if refused != "" {
			r.reportFile(report.SettingsBroken, "book.toml", "is lost: %s", refused)
		}
	}
	if src := path.Clean(book.Book.Src); book.Book.Src != "" {
		if src == ".." || strings.HasPrefix(src, "../") || path.IsAbs(src) {
			r.reportFile(report.SettingUnknown, "book.toml", "src = %q leaves the book's folder; src is read instead", book.Book.Src)
		} else {
			r.root = src
		}
	}
	r.findSummary(r.root, "SUMMARY.md")
	if r.lang == "" {
		r.lang = strings.ToLower(book.Book.Language)
		if !langTag.MatchString(r.lang) {
			if r.lang != "" {
				r.reportFile(report.SettingUnknown, "book.toml", "the language %q is not one such as en or zh; the course is taken for English", r.lang)
			}
			r.lang = "en"
		}
	}
	r.book = bookInfo{title: syntax.OneLine(book.Book.Title), summary: syntax.OneLine(book.Book.Description)}
	for _, a := range book.Book.Authors {
		if a = syntax.OneLine(a); a != "" {
			r.book.authors = append(r.book.authors, a)
		}
	}
}

// findGitBook reads the settings of a GitBook and finds the folder of its chapters.
func (r *run) findGitBook() {
	dir, _, summary, lang := r.bookJSON()
	r.root = dir
	r.findSummary(dir, summary)
	r.setLang(lang)
	r.notation = syntax.Notation{Inline: true, Display: true}
}

// findSummary finds the table of contents. A book without one is a folder of chapters.
func (r *run) findSummary(dir, name string) {
	for _, d := range []string{dir, "."} {
		file := path.Join(d, name)
		if _, ok := r.Files[file]; !ok {
			file = r.Folded[strings.ToLower(file)]
		}
		if file != "" {
			r.root, r.summaryFile = d, file
			return
		}
	}
	if !r.IsDir(dir) {
		r.root = "."
	}
	r.reportFile(report.Extra, path.Join(dir, name), "there is no table of contents: the files become chapters in the order of their names")
}

type bookInfo struct {
	title, summary string
	authors        []string
}

// keyLine finds the line of a key in a TOML file, as well as can be without a parser that tells.
func keyLine(lines []syntax.Line, key toml.Key) syntax.Line {
	for _, l := range lines {
		t := strings.TrimLeft(l.Text, " \t[")
		if strings.HasPrefix(t, key.String()) || strings.HasPrefix(t, key[len(key)-1]) {
			return l
		}
	}
	return lines[0]
}

var (
	summaryEntry = regexp.MustCompile(`^([ \t]*)((?:[-*+]|\d+[.)])[ \t]+)?\[(.*)\]\(\s*<?([^)>]*?)>?\s*\)\s*$`)
	summaryLabel = regexp.MustCompile(`^([ \t]*)((?:[-*+]|\d+[.)])[ \t]+)([^\[\]]+?)[ \t]*$`)
	summaryPart  = regexp.MustCompile(`^#+[ \t]+(.*?)[ \t]*$`)
)

// summary reads SUMMARY.md.
func (r *run) summary() []chapter {
	lines, refused := r.Lines(r.summaryFile)
	if refused != "" {
		r.reportFile(report.SettingsBroken, r.summaryFile, "is lost: %s", refused)
		return nil
	}
	var out []chapter
	var indents []int
	part, first := "", true
	for _, l := range lines {
		trimmed := strings.TrimSpace(l.Text)
		if m := summaryPart.FindStringSubmatch(trimmed); m != nil {
			if !first {
				part, indents = syntax.OneLine(syntax.Plain(m[1])), nil
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
			if h := summaryLabel.FindStringSubmatch(l.Text); h != nil { // a chapter without a page
				m = []string{"", h[1], h[2], h[3], "\x00"}
			}
		}
		if m == nil {
			r.report(report.ChapterMissing, l, "this line of the table of contents is lost: it is no chapter")
			continue
		}
		c := chapter{title: syntax.OneLine(syntax.Plain(m[3])), at: l, part: part}
		if m[2] != "" {
			indent := len(strings.ReplaceAll(m[1], "\t", "    "))
			for len(indents) > 0 && indents[len(indents)-1] >= indent {
				indents = indents[:len(indents)-1]
			}
			c.depth = len(indents)
			indents = append(indents, indent)
		}
		if m[4] == "\x00" {
			out = append(out, c)
			continue
		}
		if m[4] == "" {
			r.report(report.ChapterUnwritten, l, "the chapter %q is not written yet, so it is left out", c.title)
			continue
		}
		name, _, _ := strings.Cut(unescapePath(m[4]), "#")
		file, why := tree.Join(r.root, name)
		if why == "" {
			if _, ok := r.Files[file]; !ok {
				why = "it does not exist"
			}
		}
		if why != "" {
			r.report(report.ChapterMissing, l, "the chapter is left out: %s", why)
			continue
		}
		c.file = file
		out = append(out, c)
	}
	return out
}

// planBook plans a book by its table of contents, or by its folders if it has none.
func (r *run) planBook() {
	if r.summaryFile == "" {
		r.planFolders()
		return
	}
	r.planOutline(r.summary(), nil)
}
