package course

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
)

// maxHints is how many unknown lessons get a suggestion: each compares the name with all lessons.
const maxHints = 100

// Options is what a model depends on besides the tree.
type Options struct {
	Labs    []*lab.Lab
	SomeLab bool // labs are missing because of mistakes in them
	Drafts  bool // with texts that are drafts
}

// assembly is a model that is being put together.
type assembly struct {
	*Model
	tree     *Tree
	def      string
	langs    map[string]bool // of all Markdown files
	hints    int             // suggestions so far
	drafts   map[string]bool // paths of courses, modules and lessons that are left out as drafts
	errs     *source.List
	warnings *source.List
}

// Model assembles the course from the files that Refresh has read. All mistakes go to errs,
// including those in single files.
func (t *Tree) Model(opts Options, errs, warnings *source.List) *Model {
	m, check := t.Assemble(opts, errs, warnings)
	check(errs, warnings)
	return m
}

// Assemble is Model in two steps, for a preview that can't wait: check finds the mistakes that do
// not affect the model, which takes a third of the time.
func (t *Tree) Assemble(opts Options, errs, warnings *source.List) (m *Model, check func(errs, warnings *source.List)) {
	a := &assembly{
		Model: &Model{
			Labs: opts.Labs, LabByID: map[string]*lab.Lab{}, SomeLab: opts.SomeLab,
			courses: map[string]*Course{"": {Texts: Texts{}}}, modules: map[string]*Module{},
		},
		tree: t, def: t.src.DefaultLang, errs: errs, warnings: warnings, langs: map[string]bool{}, drafts: map[string]bool{},
	}
	for _, l := range opts.Labs {
		a.LabByID[l.ID] = l
	}
	pieces := t.pieces(opts.Drafts)
	for slug := range t.courses {
		a.courses[slug] = &Course{Slug: slug, Texts: Texts{}}
	}
	a.gather(pieces)
	a.sortLangs()
	a.arrange(pieces)
	for _, c := range a.Courses {
		for _, m := range c.Modules {
			for _, l := range m.asking {
				for _, lang := range a.Langs {
					if text := l.Texts[lang]; text != nil {
						a.checkLesson(l, text)
					}
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

// wrong adds a mistake about a whole file.
func (a *assembly) wrong(name, format string, args ...any) {
	a.errs.Add(&source.Error{File: a.tree.file(name), Msg: fmt.Sprintf(format, args...)})
}

// gather collects everything from the pieces except modules, and drops courses that are drafts.
func (a *assembly) gather(pieces []*piece) {
	odd := map[string]bool{}
	for _, p := range pieces {
		*a.errs = append(*a.errs, p.errs...)
		for lang := range p.langs {
			a.langs[lang] = true
		}
		for lang := range p.odd {
			if !odd[lang] {
				a.wrong(lang, "texts must be in a folder per language, such as %q or \"zh\", and this is not a language; move them, or begin its name with a dot", a.def)
			}
			odd[lang] = true
		}
		a.Assets, a.Partials = append(a.Assets, p.assets...), append(a.Partials, p.partials...)
		a.Drafts = append(a.Drafts, p.drafts...)
		for _, path := range p.left {
			a.drafts[path] = true
		}
		switch {
		case p.module != nil:
		case p.folder == "":
			a.Glossary, a.Config, a.courses[""].Texts = p.glossary, p.config, p.texts
		case a.courses[p.folder] != nil && p.draft:
			delete(a.courses, p.folder)
		case a.courses[p.folder] != nil:
			a.courses[p.folder].Texts = p.texts
		}
	}
	slices.SortFunc(a.Assets, func(x, y Asset) int { return strings.Compare(x.Name, y.Name) })
	slices.Sort(a.Partials)
}

func (a *assembly) sortLangs() {
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(a.langs)), func(lang string) bool { return lang == a.def })
	a.Langs = append([]string{a.def}, others...)
}

// arrange puts modules into their courses, and sorts both.
func (a *assembly) arrange(pieces []*piece) {
	for _, p := range pieces {
		m := p.module
		if m == nil {
			continue
		}
		c := a.courses[m.course]
		if c == nil { // the course is a draft, so its lessons are too
			a.drafts[m.path] = true
			for _, l := range m.Lessons {
				a.drafts[l.path] = true
				for _, t := range l.Texts {
					a.Drafts = append(a.Drafts, t.Doc)
				}
			}
			continue
		}
		if len(m.Texts) == 0 {
			a.wrong(path.Join(a.def, m.path, IndexName), "this file is missing: it gives the module its title")
		}
		a.tagged = a.tagged || m.tagged
		a.modules[m.path] = m
		c.Modules = append(c.Modules, m)
	}
	for _, c := range a.courses {
		if c.Slug != "" && len(c.Texts) == 0 {
			a.wrong(path.Join(a.def, c.Path(), IndexName), "this file is missing: it gives the course its title")
		}
		slices.SortFunc(c.Modules, func(x, y *Module) int { return a.order(x.Texts, y.Texts, x.Slug, y.Slug) })
		n := 0
		for _, m := range c.Modules {
			n += len(m.Lessons)
		}
		c.Lessons = make([]*Lesson, 0, n)
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
}

// order compares by weight, then by name. No weight comes last.
func (a *assembly) order(x, y Texts, xSlug, ySlug string) int {
	return cmp.Or(weightOrder(x.weight(a.def), y.weight(a.def)), cmp.Compare(xSlug, ySlug))
}

// weightOrder compares weights. 0 means no weight, and comes last.
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

// orderLabs sorts labs by the first lesson that links to them; the others follow by name.
func (a *assembly) orderLabs() {
	rank := map[string]int{}
	for _, c := range a.Courses {
		for _, m := range c.Modules {
			for _, l := range m.asking {
				if id := a.Pick(l.Texts, a.def).Lab; id != "" && rank[id] == 0 {
					rank[id] = len(rank) + 1
				}
			}
		}
	}
	a.Labs = slices.Clone(a.Labs)
	slices.SortFunc(a.Labs, func(x, y *lab.Lab) int {
		return cmp.Or(weightOrder(rank[x.ID], rank[y.ID]), cmp.Compare(x.ID, y.ID))
	})
}

// checkGaps reports missing files, empty modules, and problems with parts.
func (a *assembly) checkGaps() {
	texts := len(a.modules) + len(a.Main().Texts) // no lesson is in no module
	switch {
	case texts == 0 && len(a.Labs) == 0 && !a.SomeLab:
		a.errs.Add(&source.Error{File: a.tree.src.Name, Msg: fmt.Sprintf("there is nothing to publish; a course starts with the file %s/%s, and `sitegen new course` creates one", a.def, IndexName)})
	case texts > 0 && len(a.Langs) > 1 && !a.langs[a.def]:
		a.errs.Add(&source.Error{File: a.tree.src.Name, Msg: fmt.Sprintf("there are no texts in %q, the default language, but in %s; build with -lang %s", a.def, strings.Join(a.Langs[1:], ", "), a.Langs[1])})
	case texts > 0 && len(a.Main().Texts) == 0:
		a.warn(path.Join(a.def, IndexName), "this file is missing: it gives the course its title, and the home page its text")
	}
	for _, c := range a.Courses {
		for _, t := range c.Texts {
			if t.Part != "" {
				a.errs.Add(t.wrong("part", "a course is in no part; only modules and lessons are"))
			}
		}
		modules := make([]Texts, len(c.Modules))
		for i, m := range c.Modules {
			modules[i] = m.Texts
			if t := a.Pick(m.Texts, a.def); t != nil && len(m.Lessons) == 0 && !m.waiting {
				a.warn(t.Name, "this module has no lessons; add one, or hide the module with draft = true")
			}
			lessons := make([]Texts, len(m.Lessons))
			for i, l := range m.Lessons {
				lessons[i] = l.Texts
			}
			a.checkParts(lessons)
		}
		a.checkParts(modules)
	}
}

// checkParts warns about pages that seem to be in the part above them, and about parts that are
// interrupted by another.
func (a *assembly) checkParts(pages []Texts) {
	seen := map[string]bool{}
	last := ""
	for _, texts := range pages {
		t := texts.first(a.def)
		if t == nil || t.Part == last {
			continue
		}
		switch {
		case t.Part == "":
			a.warn(t.Name, "has no part, but follows pages of the part %q, so it looks like one of them; give it a part, or a smaller weight", last)
		case seen[t.Part]:
			a.warnings.Add(t.wrong("part", "the part %q appears twice, because other pages are between its own; change their weights", t.Part))
		}
		last, seen[t.Part] = t.Part, true
	}
}

func (a *assembly) warn(name, format string, args ...any) {
	a.warnings.Add(&source.Error{File: a.tree.file(name), Msg: fmt.Sprintf(format, args...)})
}

func knownLevel(level string) bool {
	return slices.Contains([]string{"", "beginner", "intermediate", "advanced"}, level)
}

func (a *assembly) checkLesson(l *Lesson, t *Text) {
	at := func(k, format string, args ...any) {
		a.errs.Add(t.wrong(k, format, args...))
	}
	if id := t.Lab; id != "" && a.LabByID[id] == nil && !a.SomeLab {
		at("lab", "there is no lab %q%s", id, source.DidYouMean(id, slices.Sorted(maps.Keys(a.LabByID))))
	}
	if !knownLevel(t.Level) {
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
		case a.isDraft(l, p):
			at("prerequisites", "the lesson %q is a draft, and isn't published", p)
		default:
			at("prerequisites", "there is no lesson %q%s", p, a.nearLesson(l, p))
		}
	}
}

func (a *assembly) isDraft(from *Lesson, name string) bool {
	return slices.ContainsFunc(from.scopes(name), func(prefix string) bool { return a.drafts[prefix+name+"/"] })
}

// nearLesson suggests a lesson with a similar name.
func (a *assembly) nearLesson(from *Lesson, name string) string {
	if a.hints++; a.hints > maxHints {
		return ""
	}
	var known []string
	for _, other := range a.Lessons() {
		known = append(known, strings.TrimSuffix(other.path, "/"))
	}
	slices.Sort(known)
	return source.DidYouMean(from.scopes(name)[0]+name, known)
}
