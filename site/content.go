package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"labd/internal/lab"
	"labd/internal/markdown"
	"labd/internal/source"
)

// indexName is the file that describes the folder it is in; bundleName is the lesson of a folder of its own.
const (
	glossaryName = "glossary.md"
	indexName    = "_index.md"
	bundleName   = "index.md"
)

// reserved are the addresses of pages that aren't made from a file of their own.
var reserved = []string{"labs", "tags", "glossary", "assets", "search"}

// sectionFront is the front matter of an _index.md: of a whole course or of a module.
type sectionFront struct {
	Title   string `toml:"title"`
	Summary string `toml:"summary"`
	Weight  int    `toml:"weight"`
	Draft   bool   `toml:"draft"`
}

// lessonFront is the front matter of a lesson.
type lessonFront struct {
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
}

// text is one file of content in one language.
type text struct {
	lang    string
	of      *text // what it translates; nil for a text in the default language
	doc     *markdown.Document
	section sectionFront
	lesson  lessonFront
}

func (t *text) title() string {
	return cmp.Or(t.section.Title, t.lesson.Title)
}

// entry is a lesson, with its texts by language.
type entry struct {
	module, slug string
	texts        map[string]*text
}

func (e *entry) path() string { return e.module + "/" + e.slug + "/" }

// section is a module.
type section struct {
	slug    string
	texts   map[string]*text
	lessons []*entry
}

// asset is a file beside the lessons that is published as it is.
type asset struct {
	name string // within the content tree
	path string // in the site
}

// model is everything an author wrote, read and checked but not rendered.
type model struct {
	langs    []string // default first, others by name
	home     map[string]*text
	glossary map[string]*text
	modules  []*section
	labs     []*lab.Lab
	labByID  map[string]*lab.Lab
	someLab  bool // labs are missing because of mistakes in them
	assets   []asset
}

// pick returns the text in lang, else the one that stands in for it.
func (m *model) pick(texts map[string]*text, lang string) *text {
	if t := texts[lang]; t != nil {
		return t
	}
	for _, l := range m.langs {
		if t := texts[l]; t != nil {
			return t
		}
	}
	return nil
}

// load reads the content tree. Mistakes of authors go to errs; the error is for a tree that can't be read at all.
func load(ctx context.Context, src Source, opts Options, errs *source.List) (*model, error) {
	m := &model{home: map[string]*text{}, glossary: map[string]*text{}, labs: src.Labs, labByID: map[string]*lab.Lab{}, someLab: src.LabErr != nil}
	for _, l := range src.Labs {
		m.labByID[l.ID] = l
	}
	modules := map[string]*section{}
	lessons := map[string]*entry{}
	err := fs.WalkDir(src.Content, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			// A file may vanish between listing and reading, as editors do when they save.
			if errors.Is(err, fs.ErrNotExist) && name != "." {
				return nil
			}
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		base := path.Base(name)
		if name != "." && strings.HasPrefix(base, ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		if !d.Type().IsRegular() {
			errs.Add(&source.Error{File: src.name(name), Msg: "only plain files are published; replace the link by a copy of the file"})
			return nil
		}
		m.file(src, name, opts, modules, lessons, errs)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the content: %w", err)
	}
	m.sortLangs(opts.DefaultLang)
	m.arrange(modules, lessons, errs, src)
	return m, nil
}

// file sorts one file into the model by its path.
func (m *model) file(src Source, name string, opts Options, modules map[string]*section, lessons map[string]*entry, errs *source.List) {
	parts := strings.Split(name, "/")
	lang := parts[0]
	if len(parts) == 1 {
		if path.Ext(name) == ".md" {
			errs.Add(&source.Error{File: src.name(name), Msg: "lessons belong into a folder per language: content/" + opts.DefaultLang + "/<module>/" + name})
		}
		return
	}
	if path.Ext(name) == ".md" && isPart(parts[1:]) {
		return
	}
	if path.Ext(name) != ".md" {
		m.assets = append(m.assets, asset{name: name, path: langPrefix(lang, opts.DefaultLang) + strings.Join(parts[1:], "/")})
		return
	}
	if !slices.Contains(m.langs, lang) {
		m.langs = append(m.langs, lang)
	}
	t := &text{lang: lang}
	isIndex := parts[len(parts)-1] == indexName
	slug := ""
	switch {
	case len(parts) == 2 && (isIndex || parts[1] == glossaryName):
	case len(parts) == 3 && isIndex:
	case len(parts) == 3:
		slug = strings.TrimSuffix(parts[2], ".md")
	case len(parts) == 4 && parts[3] == bundleName:
		slug = parts[2]
	default:
		errs.Add(&source.Error{File: src.name(name), Msg: "a lesson is <lang>/<module>/<lesson>.md or <lang>/<module>/<lesson>/index.md"})
		return
	}
	content, err := fs.ReadFile(src.Content, name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		errs.Add(&source.Error{File: src.name(name), Msg: fmt.Sprintf("can't be read: %v", err)})
		return
	}
	before := len(*errs)
	t.doc = markdown.Split(src.name(name), content, errs)
	if slug == "" {
		t.doc.DecodeFront(&t.section, errs)
	} else {
		t.doc.DecodeFront(&t.lesson, errs)
	}
	if t.title() == "" && len(*errs) == before {
		errs.Add(source.At(t.doc.File, t.doc.Content, 1, 0, `the front matter needs a title: title = "…" between two lines of +++`))
	}
	switch {
	case len(parts) == 2 && !isIndex:
		m.glossary[lang] = t
	case len(parts) == 2:
		m.home[lang] = t
	case slug == "":
		if t.section.Draft && !opts.Drafts {
			return
		}
		sec := modules[parts[1]]
		if sec == nil {
			sec = &section{slug: parts[1], texts: map[string]*text{}}
			modules[parts[1]] = sec
		}
		sec.texts[lang] = t
	default:
		checkSlug(t.doc.File, slug, errs)
		if slices.Contains(reserved, parts[1]) {
			errs.Add(&source.Error{File: t.doc.File, Msg: fmt.Sprintf("a module can't be called %q: the site has pages of its own there", parts[1])})
			return
		}
		if t.lesson.Draft && !opts.Drafts {
			return
		}
		key := parts[1] + "/" + slug
		e := lessons[key]
		if e == nil {
			e = &entry{module: parts[1], slug: slug, texts: map[string]*text{}}
			lessons[key] = e
		}
		if other := e.texts[lang]; other != nil {
			errs.Add(&source.Error{File: t.doc.File, Msg: fmt.Sprintf("has the same address as %s; rename one of them", other.doc.File)})
			return
		}
		e.texts[lang] = t
	}
}

// isPart says whether a Markdown file is there only for others to include it.
func isPart(names []string) bool {
	for i, name := range names {
		if strings.HasPrefix(name, "_") && (i < len(names)-1 || name != indexName) {
			return true
		}
	}
	return false
}

// checkSlug refuses names that would need escaping in an address.
func checkSlug(file, slug string, errs *source.List) {
	for _, r := range slug {
		if strings.ContainsRune(`?#%\&"'<> `, r) || r < ' ' {
			want := markdown.Slug(slug)
			errs.Add(&source.Error{File: file, Msg: fmt.Sprintf("the file name becomes the page's address, so it can't have %q; call it %s.md", r, want)})
			return
		}
	}
}

func (m *model) sortLangs(def string) {
	sort.Slice(m.langs, func(i, j int) bool {
		if (m.langs[i] == def) != (m.langs[j] == def) {
			return m.langs[i] == def
		}
		return m.langs[i] < m.langs[j]
	})
	if len(m.langs) == 0 || m.langs[0] != def {
		m.langs = append([]string{def}, m.langs...)
	}
}

// arrange puts lessons into modules, orders both, and fills what translations leave out from the first language.
func (m *model) arrange(modules map[string]*section, lessons map[string]*entry, errs *source.List, src Source) {
	for key, e := range lessons {
		sec := modules[e.module]
		if sec == nil {
			sec = &section{slug: e.module, texts: map[string]*text{}}
			modules[e.module] = sec
		}
		sec.lessons = append(sec.lessons, e)
		base := m.pick(e.texts, m.langs[0])
		for _, t := range e.texts {
			m.checkLesson(t, key, lessons, errs)
		}
		for _, t := range e.texts {
			inherit(&t.lesson, &base.lesson)
			if t != base {
				t.of = base
			}
		}
	}
	for _, sec := range modules {
		if base := m.pick(sec.texts, m.langs[0]); base != nil {
			for _, t := range sec.texts {
				t.section.Weight = cmp.Or(t.section.Weight, base.section.Weight)
			}
		} else {
			errs.Add(&source.Error{File: src.name(m.langs[0] + "/" + sec.slug + "/" + indexName), Msg: "this file is missing: it gives the module its title"})
		}
		slices.SortFunc(sec.lessons, func(a, b *entry) int {
			return cmp.Or(weightOrder(m.pick(a.texts, m.langs[0]).lesson.Weight, m.pick(b.texts, m.langs[0]).lesson.Weight), cmp.Compare(a.slug, b.slug))
		})
		m.modules = append(m.modules, sec)
	}
	weight := func(s *section) int {
		if t := m.pick(s.texts, m.langs[0]); t != nil {
			return t.section.Weight
		}
		return 0
	}
	slices.SortFunc(m.modules, func(a, b *section) int {
		return cmp.Or(weightOrder(weight(a), weight(b)), cmp.Compare(a.slug, b.slug))
	})
	m.orderLabs()
}

// orderLabs puts labs in the order in which lessons lead to them; the others follow by name.
func (m *model) orderLabs() {
	rank := map[string]int{}
	for _, sec := range m.modules {
		for _, e := range sec.lessons {
			if id := m.pick(e.texts, m.langs[0]).lesson.Lab; id != "" && rank[id] == 0 {
				rank[id] = len(rank) + 1
			}
		}
	}
	m.labs = slices.Clone(m.labs)
	slices.SortFunc(m.labs, func(a, b *lab.Lab) int {
		return cmp.Or(weightOrder(rank[a.ID], rank[b.ID]), cmp.Compare(a.ID, b.ID))
	})
}

// weightOrder puts what has no weight last.
func weightOrder(a, b int) int {
	if (a == 0) != (b == 0) {
		return cmp.Compare(b2i(a == 0), b2i(b == 0))
	}
	return cmp.Compare(a, b)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func inherit(t, base *lessonFront) {
	t.Weight = cmp.Or(t.Weight, base.Weight)
	t.Lab = cmp.Or(t.Lab, base.Lab)
	t.Minutes = cmp.Or(t.Minutes, base.Minutes)
	t.Level = cmp.Or(t.Level, base.Level)
	if t.Prerequisites == nil {
		t.Prerequisites = base.Prerequisites
	}
	if t.Date.IsZero() {
		t.Date = base.Date
	}
}

func (m *model) checkLesson(t *text, key string, lessons map[string]*entry, errs *source.List) {
	at := func(k, format string, args ...any) {
		errs.Add(source.At(t.doc.File, t.doc.Content, t.doc.KeyLine(k), 0, format, args...))
	}
	if id := t.lesson.Lab; id != "" && m.labByID[id] == nil && !m.someLab {
		ids := make([]string, 0, len(m.labs))
		for _, l := range m.labs {
			ids = append(ids, l.ID)
		}
		at("lab", "there is no lab %q%s", id, suggestion(id, ids))
	}
	switch t.lesson.Level {
	case "", "beginner", "intermediate", "advanced":
	default:
		at("level", "level must be beginner, intermediate or advanced, not %q", t.lesson.Level)
	}
	if t.lesson.Minutes < 0 {
		at("minutes", "minutes can't be negative")
	}
	for _, p := range t.lesson.Prerequisites {
		full := p
		if !strings.Contains(p, "/") {
			full = path.Dir(key) + "/" + p
		}
		switch {
		case full == key:
			at("prerequisites", "a lesson can't be its own prerequisite")
		case lessons[full] == nil:
			keys := make([]string, 0, len(lessons))
			for k := range lessons {
				keys = append(keys, k)
			}
			sort.Strings(keys)
			at("prerequisites", "there is no lesson %q%s", p, suggestion(full, keys))
		}
	}
}

// suggestion is the tail of a message about an unknown name.
func suggestion(name string, known []string) string {
	if near := source.Nearest(name, known); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// langPrefix is the start of every address in a language, without the leading slash.
func langPrefix(lang, def string) string {
	if lang == def {
		return ""
	}
	return lang + "/"
}

// texts are all texts by the name of their file.
func (m *model) texts() map[string]*text {
	out := map[string]*text{}
	add := func(texts map[string]*text) {
		for _, t := range texts {
			out[t.doc.File] = t
		}
	}
	add(m.home)
	add(m.glossary)
	for _, s := range m.modules {
		add(s.texts)
		for _, e := range s.lessons {
			add(e.texts)
		}
	}
	return out
}
