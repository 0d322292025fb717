// Package course reads the content tree of a site: courses, their modules and lessons, in every
// language.
//
// # The tree
//
//	content/course.toml                         settings of the whole site; optional
//	content/<lang>/_index.md                    the main course: title and summary, and the text of the home page
//	content/<lang>/glossary.md                  the site's terms, as a definition list; each has an anchor
//	content/<lang>/<module>/_index.md           a module of the main course: title, summary, weight, and the text of its page
//	content/<lang>/<module>/<lesson>.md         a lesson
//	content/<lang>/<module>/<lesson>/index.md   a lesson with a folder of its own, for images
//	content/<lang>/<course>/_index.md           a further course: title, summary, weight, and the text of its page
//	content/<lang>/<course>/<module>/…          its modules and lessons, like those of the main course
//
// A folder is a further course if one of its folders has an _index.md, in any language; otherwise
// it is a module.
//
// A Markdown file is a partial, not a page, if its name or the name of one of its folders begins
// with _ (except _index.md). Other texts include partials. If a translation includes a file that
// its language doesn't have, the default language's file is used.
//
// All other files are published unchanged, except images (see package picture). File and folder
// names become addresses. Names that begin with a dot are ignored, and symbolic links are not
// followed. The front matter of a lesson:
//
//	title = "Running containers"       required
//	summary = "One sentence."
//	weight = 30                        order in the module; lessons without it come last, ordered by name
//	minutes = 20                       reading time; estimated if left out
//	level = "beginner"                 beginner, intermediate or advanced
//	tags = ["run", "ports"]
//	lab = "first-container"            the lab that practises it
//	prerequisites = ["containers/why"] lessons, by module and name, or by name in the same module; those of other courses
//	                                   by course, module and name
//	draft = true                       published only with drafts
//	date = 2026-01-31
//	authors = ["…"]
//	aliases = ["/old/address/"]        old addresses that redirect here
//	part = "First steps"               heading over this lesson and its neighbours with the same part
//
// The front matter of an _index.md has title, summary, weight and draft. If a module or course is a
// draft, so are its lessons. A module also has part: neighbouring modules with the same part share
// a heading in the side bar and on the course's page. The main course also has footer, a line at
// the foot of every page. A translation inherits weight, minutes, level, lab, prerequisites, date
// and part from the default language unless it sets them. outdated = true marks a translation of an
// older text: its sections are not compared with the original.
//
// # Incremental reading
//
// A Tree caches every file that it has read, and the module that each folder makes. Refresh reads
// the files that changed, and Model assembles a course from the cache. Each Model is new, but
// shares the modules in which nothing changed with the Model before. This package never changes a
// Model once it is made. A Text's Doc is the same pointer as long as its file has not changed.
package course

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
)

// File names with a special meaning.
const (
	ConfigName   = "course.toml"
	GlossaryName = "glossary.md"
	IndexName    = "_index.md" // describes its folder: a course or a module
	BundleName   = "index.md"  // a lesson with a folder of its own
)

// Front is the front matter of a text.
type Front struct {
	Title         string    `toml:"title"`
	Summary       string    `toml:"summary"`
	Weight        int       `toml:"weight"`
	Tags          []string  `toml:"tags"`
	Lab           string    `toml:"lab"`
	Minutes       int       `toml:"minutes"`
	Level         string    `toml:"level"`
	Prerequisites []string  `toml:"prerequisites"`
	Draft         bool      `toml:"draft"`
	Date          time.Time `toml:"date"`
	Authors       []string  `toml:"authors"`
	Aliases       []string  `toml:"aliases"`
	Part          string    `toml:"part"`
	Outdated      bool      `toml:"outdated"`
	Footer        string    // of the main course's _index.md only
}

// The front matter of a glossary, of the _index.md of a module or a further course, and of the
// _index.md of the main course.
type (
	glossaryFront struct {
		Title   string `toml:"title"`
		Summary string `toml:"summary"`
		Weight  int    `toml:"weight"`
		Draft   bool   `toml:"draft"`
	}
	moduleFront struct {
		Title   string `toml:"title"`
		Summary string `toml:"summary"`
		Weight  int    `toml:"weight"`
		Draft   bool   `toml:"draft"`
		Part    string `toml:"part"`

		Outdated bool `toml:"outdated"`
	}
	homeFront struct {
		Title   string `toml:"title"`
		Summary string `toml:"summary"`
		Weight  int    `toml:"weight"`
		Draft   bool   `toml:"draft"`
		Footer  string `toml:"footer"`

		Outdated bool `toml:"outdated"`
	}
)

// Text is one file of content in one language. In a translation, inherited keys are filled in.
type Text struct {
	Front
	Name string // of the file, within the content tree
	Lang string
	Of   *Text // the text that it translates; nil if it is the original
	Doc  *source.Document
}

// wrong returns a mistake at a key of a text's front matter.
func (t *Text) wrong(key, format string, args ...any) *source.Error {
	line, col := t.Doc.KeyPlace(key)
	return source.At(t.Doc.File, t.Doc.Content, line, col, format, args...)
}

// Texts are the texts of one page by language.
type Texts map[string]*Text

// first returns the text in the language def, else that in the first language by name, nil if there
// is none. This is the original that the others translate.
func (texts Texts) first(def string) *Text {
	if t := texts[def]; t != nil {
		return t
	}
	var first *Text
	for _, t := range texts {
		if first == nil || t.Lang < first.Lang {
			first = t
		}
	}
	return first
}

// weight is the weight of the original.
func (texts Texts) weight(def string) int {
	if t := texts.first(def); t != nil {
		return t.Weight
	}
	return 0
}

// Course is a sequence of modules.
type Course struct {
	Slug    string // "" for the main course
	Texts   Texts  // of its page
	Modules []*Module
	Lessons []*Lesson // of all modules, in order
}

// Path is the address of a course's page, without language prefix.
func (c *Course) Path() string {
	if c.Slug == "" {
		return ""
	}
	return c.Slug + "/"
}

// Module is a folder of lessons. As long as none of its files changes, consecutive models share it.
type Module struct {
	Slug    string
	Texts   Texts
	Lessons []*Lesson

	course  string // the name of its course
	path    string
	bySlug  []*Lesson
	asking  []*Lesson // lessons whose front matter refers to other lessons or to labs, which each model has to check
	waiting bool      // it has lessons that are left out as drafts
	tagged  bool      // one of its lessons has a tag with a page
	claims  []claim   // the addresses of its page and of its lessons
}

// Path is the address of a module's page, without language prefix.
func (m *Module) Path() string { return m.path }

// Lesson is a page of a module.
type Lesson struct {
	Module *Module
	Slug   string
	Texts  Texts

	path string
}

// Path is the address of a lesson's page, without language prefix.
func (l *Lesson) Path() string { return l.path }

// Asset is a file beside the lessons that is published unchanged.
type Asset struct {
	Name string // within the content tree
	Path string // in the site
}

// Model is a whole course: parsed and checked, but not rendered.
type Model struct {
	Langs    []string  // default first, others by name
	Courses  []*Course // the main course first, others by weight
	Glossary Texts
	Labs     []*lab.Lab // in the order in which lessons lead to them
	LabByID  map[string]*lab.Lab
	SomeLab  bool // labs are missing because of mistakes in them
	Assets   []Asset
	Partials []string           // files that are only included by others, sorted
	Drafts   []*source.Document // texts that are left out as drafts
	Config   Config

	courses map[string]*Course // by name
	modules map[string]*Module // by path
	tagged  bool               // a lesson has a tag with a page
}

// Main is the course whose page is the home page.
func (m *Model) Main() *Course { return m.Courses[0] }

// CourseOf returns the course of a module.
func (m *Model) CourseOf(mod *Module) *Course { return m.courses[mod.course] }

// HasPage reports whether an address is that of a course, a module or a lesson.
func (m *Model) HasPage(path string) bool {
	slug, ok := strings.CutSuffix(path, "/")
	return path == "" || ok && slug != "" && m.courses[slug] != nil || m.modules[path] != nil || m.Lesson(path) != nil
}

// Module returns the module at an address, nil if there is none.
func (m *Model) Module(path string) *Module { return m.modules[path] }

// Lesson returns the lesson at an address, nil if there is none.
func (m *Model) Lesson(path string) *Lesson {
	dir, ok := strings.CutSuffix(path, "/")
	if !ok {
		return nil
	}
	n := strings.LastIndexByte(dir, '/') + 1
	mod := m.modules[dir[:n]]
	if mod == nil {
		return nil
	}
	at, ok := slices.BinarySearchFunc(mod.bySlug, dir[n:], func(l *Lesson, slug string) int { return strings.Compare(l.Slug, slug) })
	if !ok {
		return nil
	}
	return mod.bySlug[at]
}

// Text returns the text of a file of the content tree, nil if there is none.
func (m *Model) Text(name string) *Text {
	parts := strings.Split(name, "/")
	if len(parts) < 2 || path.Ext(name) != ".md" || isPartial(parts) {
		return nil
	}
	var texts Texts
	switch at := placeOf(parts, func(name string) bool { return m.courses[name] != nil }); {
	case at.misplaced:
	case at.glossary:
		texts = m.Glossary
	case at.module == "":
		if c := m.courses[at.course]; c != nil {
			texts = c.Texts
		}
	default:
		dir := strings.TrimPrefix(at.course+"/", "/") + at.module + "/"
		if at.lesson != "" {
			if l := m.Lesson(dir + at.lesson + "/"); l != nil {
				texts = l.Texts
			}
		} else if mod := m.modules[dir]; mod != nil {
			texts = mod.Texts
		}
	}
	if t := texts[parts[0]]; t != nil && t.Name == name {
		return t
	}
	return nil
}

// Tagged reports whether a lesson has a tag, in any language.
func (m *Model) Tagged() bool { return m.tagged }

// Before returns the prerequisites that a text of a lesson names.
func (m *Model) Before(l *Lesson, t *Text) []*Lesson {
	var out []*Lesson
	for _, name := range t.Prerequisites {
		if other := m.find(l, name); other != nil && other != l {
			out = append(out, other)
		}
	}
	return out
}

// find resolves the name of a prerequisite: "name" in the same module, "module/name" in the same
// course, "course/module/name", or "module/name" in the main course.
func (m *Model) find(from *Lesson, name string) *Lesson {
	for _, prefix := range from.scopes(name) {
		if l := m.Lesson(prefix + name + "/"); l != nil {
			return l
		}
	}
	return nil
}

// scopes returns the path prefixes at which a lesson looks for a prerequisite.
func (l *Lesson) scopes(name string) []string {
	if !strings.Contains(name, "/") {
		return []string{l.Module.path}
	}
	if c := l.Module.course; c != "" {
		return []string{c + "/", ""}
	}
	return []string{""}
}

// Pick returns the text in lang, else the original; nil if there is no text in any language.
func (m *Model) Pick(texts Texts, lang string) *Text {
	if t := texts[lang]; t != nil {
		return t
	}
	return texts.first(m.Langs[0])
}

// Title returns the title of a module or a course in lang, or its slug if it has no text.
func (m *Model) Title(texts Texts, lang, slug string) string {
	if t := m.Pick(texts, lang); t != nil {
		return t.Title
	}
	return slug
}

// PartHeadings returns one heading per page, in lang: the part that begins at this page, or "" if
// the page is in the same part as the one before. Parts are compared by their names in the
// original.
func (m *Model) PartHeadings(pages []Texts, lang string) []string {
	part := func(texts Texts) string {
		if t := texts.first(m.Langs[0]); t != nil {
			return t.Part
		}
		return ""
	}
	out := make([]string, len(pages))
	last := ""
	for i, texts := range pages {
		key := part(texts)
		if key == last {
			continue
		}
		out[i], last = key, key
		// The first page of the part may not be translated while others are.
		for _, texts := range pages[i:] {
			if part(texts) != key {
				break
			}
			if t := texts[lang]; t != nil && t.Part != "" {
				out[i] = t.Part
				break
			}
		}
	}
	return out
}

// Lessons returns the lessons of all courses, in order.
func (m *Model) Lessons() []*Lesson {
	var all []*Lesson
	for _, c := range m.Courses {
		all = append(all, c.Lessons...)
	}
	return all
}

// EachText calls f for every text that has a page.
func (m *Model) EachText(f func(t *Text)) {
	each := func(texts Texts) {
		for _, lang := range m.Langs {
			if t := texts[lang]; t != nil {
				f(t)
			}
		}
	}
	each(m.Glossary)
	for _, c := range m.Courses {
		each(c.Texts)
		for _, mod := range c.Modules {
			each(mod.Texts)
		}
		for _, l := range c.Lessons {
			each(l.Texts)
		}
	}
}

// LangPrefix is the prefix of every address in a language, without the leading slash: "zh/", or ""
// for the default language.
func LangPrefix(lang, def string) string {
	if lang == def {
		return ""
	}
	return lang + "/"
}

// place is the role of a Markdown file by its position in the tree.
type place struct {
	course, module, lesson string // slugs; "" where it has none
	glossary, misplaced    bool
}

// placeOf returns the role of a file by the parts of its path, the first of which is the language.
// isCourse reports whether a folder is a further course, not a module.
func placeOf(parts []string, isCourse func(name string) bool) place {
	names := parts[1:]
	var p place
	if len(names) == 1 && names[0] == GlossaryName {
		p.glossary = true
		return p
	}
	if len(names) > 1 && isCourse(names[0]) {
		p.course, names = names[0], names[1:]
	}
	last := names[len(names)-1]
	switch {
	case len(names) == 1 && last == IndexName:
	case len(names) == 2 && last == IndexName:
		p.module = names[0]
	case len(names) == 2:
		p.module, p.lesson = names[0], strings.TrimSuffix(last, ".md")
	case len(names) == 3 && last == BundleName:
		p.module, p.lesson = names[0], names[1]
	default:
		p.misplaced = true
	}
	return p
}

// isPartial reports whether a Markdown file is only included by others. The first of parts is the
// language.
func isPartial(parts []string) bool {
	for i, name := range parts[1:] {
		if strings.HasPrefix(name, "_") && (i < len(parts)-2 || name != IndexName) {
			return true
		}
	}
	return false
}

// Plain returns a title or a summary as plain text, without the back-ticks of `code`.
func Plain(s string) string { return strings.ReplaceAll(s, "`", "") }
