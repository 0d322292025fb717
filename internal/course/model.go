package course

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"labd/internal/lab"
	"labd/internal/source"
)

// printed is the name of the page below a module that has all its lessons on it.
const printed = "print"

// maxHints is how many times the lesson that was meant is looked for among all of them.
const maxHints = 100

// atOnce is for how many texts there is room made at a time.
const atOnce = 256

// langName is what a language's folder may be called.
var langName = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// Options are what a model depends on besides the tree.
type Options struct {
	Labs    []*lab.Lab
	SomeLab bool // labs are missing because of mistakes in them
	Drafts  bool // with texts that are drafts
}

// assembly is a model in the making.
type assembly struct {
	*Model
	tree     *Tree
	opts     Options
	def      string
	langs    map[string]bool  // of all Markdown files
	odd      map[string]bool  // folders that should be a language but aren't
	waiting  map[*Module]bool // have lessons that are left out as drafts
	texts    []Text           // room for more
	anyDraft bool
	hints    int // nearest lessons looked for
	courses  map[string]*Course
	modules  map[[2]string]*Module
	lessons  map[string]*Lesson // by path
	found    []*Lesson          // those and drafts, as they came
	drafts   map[string]bool    // paths of courses, modules and lessons that are left out as drafts
	errs     *source.List
	warnings *source.List
}

// Model puts the course together from what the last Refresh has read. All mistakes in it, those in single files among them,
// go to errs.
func (t *Tree) Model(opts Options, errs, warnings *source.List) *Model {
	m, check := t.Assemble(opts, errs, warnings)
	check(errs, warnings)
	return m
}

// Assemble is Model for who can't wait: check finds those mistakes that nothing in the model depends on, which takes a third
// of the time.
func (t *Tree) Assemble(opts Options, errs, warnings *source.List) (m *Model, check func(errs, warnings *source.List)) {
	a := &assembly{
		Model: &Model{Labs: opts.Labs, LabByID: map[string]*lab.Lab{}, SomeLab: opts.SomeLab, Glossary: Texts{}},
		tree:  t, opts: opts, def: t.src.DefaultLang, errs: errs, warnings: warnings,
		langs: map[string]bool{}, odd: map[string]bool{}, waiting: map[*Module]bool{}, courses: map[string]*Course{}, modules: map[[2]string]*Module{},
		lessons: make(map[string]*Lesson, len(t.files)), drafts: map[string]bool{},
	}
	for _, l := range opts.Labs {
		a.LabByID[l.ID] = l
	}
	sorted := t.sorted()
	a.course("")
	for _, f := range sorted {
		if len(f.parts) == 4 && f.parts[3] == IndexName && !isPart(f.parts) {
			a.course(f.parts[1])
		}
	}
	for _, f := range sorted {
		*errs = append(*errs, f.errs...)
		if !f.link {
			a.add(f)
		}
	}
	a.sortLangs()
	a.leaveOutDrafts()
	a.arrange()
	for _, c := range a.Courses {
		for _, l := range c.Lessons {
			for _, lang := range a.Langs {
				if text := l.Texts[lang]; text != nil {
					a.checkLesson(l, text)
				}
			}
		}
	}
	a.orderLabs()
	return a.Model, func(errs, warnings *source.List) {
		a.errs, a.warnings = errs, warnings
		a.checkAddresses()
		a.checkTags()
		a.checkGaps()
	}
}

// sorted are the files by name.
func (t *Tree) sorted() []*file {
	if t.names == nil {
		t.names = slices.Sorted(maps.Keys(t.files))
	}
	out := make([]*file, len(t.names))
	for i, name := range t.names {
		out[i] = t.files[name]
	}
	return out
}

func (a *assembly) course(slug string) *Course {
	c := a.courses[slug]
	if c == nil {
		c = &Course{Slug: slug, Texts: Texts{}}
		a.courses[slug] = c
	}
	return c
}

func (a *assembly) module(course, slug string) *Module {
	key := [2]string{course, slug}
	m := a.modules[key]
	if m == nil {
		c := a.course(course)
		m = &Module{Course: c, Slug: slug, Texts: Texts{}, path: c.Path() + slug + "/"}
		a.modules[key] = m
	}
	return m
}

// wrong is a mistake that is about a whole file.
func (a *assembly) wrong(name, format string, args ...any) {
	a.errs.Add(&source.Error{File: a.tree.file(name), Msg: fmt.Sprintf(format, args...)})
}

// add puts one file into the model by its place.
func (a *assembly) add(f *file) {
	lang := f.parts[0]
	markdownFile := path.Ext(f.name) == ".md"
	switch {
	case f.config != nil:
		a.Config = *f.config
		return
	case len(f.parts) == 1:
		a.checkRoot(f.name)
		return
	case !markdownFile:
		a.Assets = append(a.Assets, Asset{Name: f.name, Path: LangPrefix(lang, a.def) + strings.Join(f.parts[1:], "/")})
		return
	case isPart(f.parts):
		a.Parts = append(a.Parts, f.name)
		return
	}
	if lang != a.def && !langName.MatchString(lang) {
		if !a.odd[lang] {
			a.wrong(lang, "texts lie in a folder per language, such as %q or \"zh\"; this is none: move them, or begin its name with a dot", a.def)
		}
		a.odd[lang] = true
		return
	}
	a.langs[lang] = true
	p := placeOf(f.parts, func(name string) bool { return a.courses[name] != nil })
	if len(a.texts) == cap(a.texts) {
		a.texts = make([]Text, 0, atOnce)
	}
	a.texts = append(a.texts, Text{Front: f.front, Name: f.name, Lang: lang, Doc: f.doc})
	t := &a.texts[len(a.texts)-1]
	a.anyDraft = a.anyDraft || t.Draft
	switch {
	case p.misplaced:
		a.misplaced(f)
	case p.glossary:
		a.Glossary[lang] = t
	case p.module == "":
		a.course(p.course).Texts[lang] = t
	case p.course == "" && slices.Contains(reserved, p.module):
		a.wrong(f.name, "a module can't be called %q: the site has pages of its own there", p.module)
	case p.lesson == "":
		a.module(p.course, p.module).Texts[lang] = t
	default:
		if p.lesson == printed {
			a.wrong(f.name, "a lesson can't be called %q: the site has the whole module there, to be printed", p.lesson)
			return
		}
		mod := a.module(p.course, p.module)
		path := mod.Path() + p.lesson + "/"
		l := a.lessons[path]
		if l == nil {
			l = &Lesson{Module: mod, Slug: p.lesson, Texts: make(Texts, 1), path: path}
			a.lessons[path] = l
			a.found = append(a.found, l)
		}
		if other := l.Texts[lang]; other != nil {
			a.wrong(f.name, "has the same address as %s; rename one of them", other.Doc.File)
			return
		}
		l.Texts[lang] = t
	}
}

// misplaced says where a text belongs that is part of no course.
func (a *assembly) misplaced(f *file) {
	names := f.parts[1:]
	switch {
	case len(names) == 1:
		near := ""
		for _, known := range []string{IndexName, GlossaryName} {
			if source.Nearest(names[0], []string{known}) != "" {
				near = fmt.Sprintf(" (did you mean %q?)", known)
			}
		}
		a.wrong(f.name, "is part of no module%s; lessons are <lang>/<module>/<lesson>.md", near)
	case len(names) == 2 && a.courses[names[0]] != nil:
		a.wrong(f.name, "%s is a course, because it has modules; its lessons are <lang>/%s/<module>/<lesson>.md", names[0], names[0])
	case len(names) == 3 && a.courses[names[0]] == nil:
		a.wrong(f.name, "a lesson is <lang>/<module>/<lesson>.md or <lang>/<module>/<lesson>/index.md; if %s is a course, its module %s needs an %s", names[0], names[1], IndexName)
	default:
		a.wrong(f.name, "is part of no lesson: only <lang>/<module>/<lesson>.md and <lang>/<module>/<lesson>/index.md are; begin its name with _ if others include it")
	}
}

func (a *assembly) sortLangs() {
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(a.langs)), func(lang string) bool { return lang == a.def })
	a.Langs = append([]string{a.def}, others...)
}

// leaveOutDrafts drops drafts, unless they are asked for. What is below a draft is a draft.
func (a *assembly) leaveOutDrafts() {
	if a.opts.Drafts || !a.anyDraft {
		return
	}
	drop := func(texts Texts) (whole bool) {
		n := len(texts)
		for lang, t := range texts {
			if t.Draft {
				a.Drafts = append(a.Drafts, t.Doc)
				delete(texts, lang)
			}
		}
		return n > 0 && len(texts) == 0
	}
	for slug, c := range a.courses {
		if slug != "" && drop(c.Texts) {
			a.drafts[c.Path()] = true
			delete(a.courses, slug)
		}
	}
	for key, m := range a.modules {
		if drop(m.Texts) || a.drafts[m.Course.Path()] {
			a.drafts[m.Path()] = true
			delete(a.modules, key)
		}
	}
	for path, l := range a.lessons {
		if drop(l.Texts) || len(a.drafts) > 0 && a.drafts[l.Module.Path()] {
			a.waiting[l.Module] = true
			for _, t := range l.Texts {
				a.Drafts = append(a.Drafts, t.Doc)
			}
			a.drafts[path] = true
			delete(a.lessons, path)
		}
	}
}

// translate fills what translations leave out from the text that they translate.
func (a *assembly) translate(texts Texts) {
	if len(texts) < 2 {
		return
	}
	base := a.Pick(texts, a.def)
	for _, t := range texts {
		if t != base {
			t.Of = base
			t.inherit(&base.Front)
		}
	}
}

func (t *Text) inherit(base *Front) {
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

// arrange puts lessons into modules and modules into courses, and orders all of them.
func (a *assembly) arrange() {
	for _, l := range a.found {
		if a.lessons[l.path] != l {
			continue
		}
		a.translate(l.Texts)
		l.weight = a.weight(l.Texts)
		l.Module.Lessons = append(l.Module.Lessons, l)
	}
	for _, m := range a.modules {
		if len(m.Texts) == 0 {
			a.wrong(path.Join(a.def, m.Path(), IndexName), "this file is missing: it gives the module its title")
		}
		a.translate(m.Texts)
		slices.SortFunc(m.Lessons, func(x, y *Lesson) int {
			return cmp.Or(weightOrder(x.weight, y.weight), cmp.Compare(x.Slug, y.Slug))
		})
		m.Course.Modules = append(m.Course.Modules, m)
	}
	for _, c := range a.courses {
		if c.Slug != "" && len(c.Texts) == 0 {
			a.wrong(path.Join(a.def, c.Path(), IndexName), "this file is missing: it gives the course its title")
		}
		a.translate(c.Texts)
		slices.SortFunc(c.Modules, func(x, y *Module) int { return a.order(x.Texts, y.Texts, x.Slug, y.Slug) })
		for _, m := range c.Modules {
			c.Lessons = append(c.Lessons, m.Lessons...)
		}
		a.Courses = append(a.Courses, c)
	}
	slices.SortFunc(a.Courses, func(x, y *Course) int {
		if (x.Slug == "") != (y.Slug == "") {
			return cmp.Compare(x.Slug, y.Slug)
		}
		return a.order(x.Texts, y.Texts, x.Slug, y.Slug)
	})
	a.translate(a.Glossary)
}

// order is by weight, then by name. What has no weight comes last.
func (a *assembly) order(x, y Texts, xSlug, ySlug string) int {
	return cmp.Or(weightOrder(a.weight(x), a.weight(y)), cmp.Compare(xSlug, ySlug))
}

func (a *assembly) weight(texts Texts) int {
	if t := a.Pick(texts, a.def); t != nil {
		return t.Weight
	}
	return 0
}

// weightOrder puts what has no weight last.
func weightOrder(a, b int) int {
	switch {
	case a == b:
		return 0
	case a == 0:
		return 1
	case b == 0:
		return -1
	}
	return cmp.Compare(a, b)
}

// orderLabs puts labs in the order in which lessons lead to them; the others follow by name.
func (a *assembly) orderLabs() {
	rank := map[string]int{}
	for _, c := range a.Courses {
		for _, l := range c.Lessons {
			if id := a.Pick(l.Texts, a.def).Lab; id != "" && rank[id] == 0 {
				rank[id] = len(rank) + 1
			}
		}
	}
	a.Labs = slices.Clone(a.Labs)
	slices.SortFunc(a.Labs, func(x, y *lab.Lab) int {
		return cmp.Or(weightOrder(rank[x.ID], rank[y.ID]), cmp.Compare(x.ID, y.ID))
	})
}

// checkGaps finds what is missing.
func (a *assembly) checkGaps() {
	texts := len(a.lessons) + len(a.modules) + len(a.Main().Texts)
	switch {
	case texts == 0 && len(a.Labs) == 0 && !a.SomeLab:
		a.errs.Add(&source.Error{File: a.tree.src.Name, Msg: fmt.Sprintf("there is nothing to publish; a course begins with %s/%s, and `sitegen new course` makes one", a.def, IndexName)})
	case texts > 0 && len(a.Langs) > 1 && !a.langs[a.def]:
		a.errs.Add(&source.Error{File: a.tree.src.Name, Msg: fmt.Sprintf("there are no texts in %q, the default language, but in %s; build with -lang %s", a.def, strings.Join(a.Langs[1:], ", "), a.Langs[1])})
	case texts > 0 && len(a.Main().Texts) == 0:
		a.warn(path.Join(a.def, IndexName), "this file is missing: it gives the course its title, and the home page its text")
	}
	for _, c := range a.Courses {
		for _, m := range c.Modules {
			if t := a.Pick(m.Texts, a.def); t != nil && len(m.Lessons) == 0 && !a.waiting[m] {
				a.warn(t.Name, "this module has no lessons; add one, or leave the module out with draft = true")
			}
		}
	}
}

func (a *assembly) warn(name, format string, args ...any) {
	a.warnings.Add(&source.Error{File: a.tree.file(name), Msg: fmt.Sprintf(format, args...)})
}

func (a *assembly) checkLesson(l *Lesson, t *Text) {
	at := func(k, format string, args ...any) {
		a.errs.Add(t.wrong(k, format, args...))
	}
	if id := t.Lab; id != "" && a.LabByID[id] == nil && !a.SomeLab {
		at("lab", "there is no lab %q%s", id, source.DidYouMean(id, slices.Sorted(maps.Keys(a.LabByID))))
	}
	switch t.Level {
	case "", "beginner", "intermediate", "advanced":
	default:
		at("level", "level must be beginner, intermediate or advanced, not %q", t.Level)
	}
	if t.Minutes < 0 {
		at("minutes", "minutes can't be negative")
	}
	for _, p := range t.Prerequisites {
		other := a.find(l, p)
		switch {
		case other == l:
			at("prerequisites", "a lesson can't be its own prerequisite")
		case other != nil:
			t.Before = append(t.Before, other)
		case a.isDraft(l, p):
			at("prerequisites", "the lesson %q is a draft, and isn't published", p)
		default:
			at("prerequisites", "there is no lesson %q%s", p, a.nearLesson(l, p))
		}
	}
}

// find returns the lesson that another one calls name: by name in the same module, by module in the same course, by course,
// module and name, or by module in the main course.
func (a *assembly) find(from *Lesson, name string) *Lesson {
	for _, prefix := range a.scopes(from, name) {
		if l := a.lessons[prefix+name+"/"]; l != nil {
			return l
		}
	}
	return nil
}

func (a *assembly) isDraft(from *Lesson, name string) bool {
	return slices.ContainsFunc(a.scopes(from, name), func(prefix string) bool { return a.drafts[prefix+name+"/"] })
}

func (a *assembly) scopes(from *Lesson, name string) []string {
	if strings.Contains(name, "/") {
		return []string{from.Module.Course.Path(), ""}
	}
	return []string{from.Module.Path()}
}

// nearLesson suggests the lesson that was meant by name.
func (a *assembly) nearLesson(from *Lesson, name string) string {
	if a.hints++; a.hints > maxHints {
		return ""
	}
	known := make([]string, 0, len(a.lessons))
	for p := range a.lessons {
		known = append(known, strings.TrimSuffix(p, "/"))
	}
	slices.Sort(known)
	return source.DidYouMean(a.scopes(from, name)[0]+name, known)
}
