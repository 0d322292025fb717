package settings

import (
	"encoding/json"
	"io/fs"
	"path"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/importer/frontmatter"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
)

// findBook reads book.toml and finds the folder of the chapters.
func (r *reader) findBook() {
	r.Root = "src"
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
				r.Notation = syntax.Notation{Inline: katex, Display: katex || mathjax, Brackets: mathjax && !katex}
			}
			for _, key := range md.Undecoded() {
				if name := key.String(); r.Notation.Display && (name == "output.html.mathjax-support" || strings.HasPrefix(name+".", "preprocessor.katex.")) {
					continue
				}
				r.log.Addf(report.SettingUnknown, keyLine(lines, key).Place(), "the setting %q of the book is lost", key.String())
			}
		}
		if refused != "" {
			r.log.Addf(report.SettingsBroken, source.Error{File: "book.toml"}, "is lost: %s", refused)
		}
	}
	if src := path.Clean(book.Book.Src); book.Book.Src != "" {
		if src == ".." || strings.HasPrefix(src, "../") || path.IsAbs(src) {
			r.log.Addf(report.SettingUnknown, source.Error{File: "book.toml"}, "src = %q is outside the book's folder, so the folder src is used", book.Book.Src)
		} else {
			r.Root = src
		}
	}
	r.findSummary(r.Root, "SUMMARY.md")
	if r.Lang == "" {
		r.Lang = strings.ToLower(book.Book.Language)
		if !IsLanguage(r.Lang) {
			if r.Lang != "" {
				r.log.Addf(report.SettingUnknown, source.Error{File: "book.toml"}, "the language %q is not a language tag such as en or zh, so the course becomes English", r.Lang)
			}
			r.Lang = "en"
		}
	}
	r.Book = Book{Title: syntax.OneLine(book.Book.Title), Summary: syntax.OneLine(book.Book.Description)}
	for _, a := range book.Book.Authors {
		if a = syntax.OneLine(a); a != "" {
			r.Book.Authors = append(r.Book.Authors, a)
		}
	}
}

// keyLine guesses the line of a key in a TOML file, because the parser does not report it.
func keyLine(lines []syntax.Line, key toml.Key) syntax.Line {
	for _, l := range lines {
		t := strings.TrimLeft(l.Text, " \t[")
		if strings.HasPrefix(t, key.String()) || strings.HasPrefix(t, key[len(key)-1]) {
			return l
		}
	}
	return lines[0]
}

// findGitBook reads the settings of a GitBook and finds the folder of its chapters.
func (r *reader) findGitBook() {
	dir, _, summary, lang := r.bookJSON()
	r.Root = dir
	r.findSummary(dir, summary)
	r.setLang(lang)
	r.Notation = syntax.Notation{Inline: true, Display: true}
}

// findSummary finds the table of contents. A book without one is imported by its folders.
func (r *reader) findSummary(dir, name string) {
	for _, d := range []string{dir, "."} {
		file := path.Join(d, name)
		if _, ok := r.Files[file]; !ok {
			file = r.Folded[strings.ToLower(file)]
		}
		if file != "" {
			r.Root, r.SummaryFile = d, file
			return
		}
	}
	if !r.IsDir(dir) {
		r.Root = "."
	}
	r.log.Addf(report.Extra, source.Error{File: path.Join(dir, name)}, "there is no table of contents: the files become chapters in the order of their names")
}

// bookJSON reads the settings of a GitBook.
func (r *reader) bookJSON() (dir, readme, summary, lang string) {
	dir, readme, summary = ".", "README.md", "SUMMARY.md"
	if text, refused := r.Read(".gitbook.yaml"); refused == "" {
		if root, err := frontmatter.ParseYAML(text); err == nil && root != nil {
			for i := 0; i+1 < len(root.Content); i += 2 {
				key, v := root.Content[i], root.Content[i+1]
				switch key.Value {
				case "root":
					dir = path.Clean(v.Value)
				case "structure":
					for j := 0; j+1 < len(v.Content); j += 2 {
						if v.Content[j].Value == "readme" {
							readme = v.Content[j+1].Value
						} else if v.Content[j].Value == "summary" {
							summary = v.Content[j+1].Value
						}
					}
				}
			}
		}
	}
	text, refused := r.Read("book.json")
	if refused == "" {
		var book struct {
			Title, Description, Language, Root string
			Author                             any
			Structure                          struct{ Readme, Summary string }
		}
		if err := json.Unmarshal([]byte(text), &book); err != nil {
			r.log.Addf(report.SettingsBroken, source.Error{File: "book.json"}, "is lost: %v", err)
		} else {
			r.Used["book.json"] = true
			r.Book = Book{Title: syntax.OneLine(book.Title), Summary: syntax.OneLine(book.Description)}
			if a, ok := book.Author.(string); ok && syntax.OneLine(a) != "" {
				r.Book.Authors = []string{syntax.OneLine(a)}
			}
			lang = languageTag(book.Language)
			if book.Root != "" {
				dir = path.Clean(book.Root)
			}
			if book.Structure.Readme != "" {
				readme = book.Structure.Readme
			}
			if book.Structure.Summary != "" {
				summary = book.Structure.Summary
			}
		}
	}
	if !fs.ValidPath(dir) {
		r.log.Addf(report.SettingsBroken, source.Error{File: "book.json"}, "the folder %s is outside the source", dir)
		dir = "."
	}
	return dir, readme, summary, lang
}
