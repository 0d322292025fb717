package course

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// printed is the name of a module's print page, which has all its lessons.
const printed = "print"

// langName matches the names of languages' folders, which are BCP 47 tags.
var langName = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// folder has the files of one module in all languages, or the files of a further course outside its
// modules, or (with the name "") all others. Any folder that is not a further course counts as a
// module.
type folder struct {
	files []*file // by name
	piece *piece  // cached result; nil if a file changed
}

// piece is the part of a model that a folder makes. It depends only on the folder's files and on
// which folders are courses, so consecutive models share it until a file of the folder changes. It
// is immutable, except that Live changes reworded texts in place.
type piece struct {
	tree     *Tree
	folder   string
	texts    Texts   // of the course that the folder is, or of the main course
	draft    bool    // all of them are drafts, and left out
	module   *Module // nil if there is none
	glossary Texts
	config   Config
	langs    map[string]bool // of all Markdown files
	odd      map[string]bool // folders in the place of a language that are none
	assets   []Asset
	partials []string           // files that are only included by others
	drafts   []*source.Document // texts that are left out as drafts
	left     []string           // paths of modules and lessons that are left out as drafts
	errs     source.List
}

// folderOf returns the name of the folder that a file belongs to.
func (t *Tree) folderOf(f *file) string {
	switch {
	case len(f.parts) < 3:
		return ""
	case len(f.parts) > 3 && t.courses[f.parts[1]]:
		return f.parts[1] + "/" + f.parts[2]
	}
	return f.parts[1]
}

// marksCourse reports whether a file is the _index.md of a folder within a folder, which makes the
// outer one a further course.
func (f *file) marksCourse() bool {
	return len(f.parts) == 4 && f.parts[3] == IndexName && !isPartial(f.parts)
}

// put replaces a file in its folder. old is nil for a new file, now for one that is gone.
func (t *Tree) put(old, now *file) {
	f := cmp.Or(now, old)
	switch {
	case t.folders == nil || old == now:
		return
	case (old == nil || now == nil) && f.marksCourse():
		t.folders = nil // this may change which folders are courses
		return
	}
	name := t.folderOf(f)
	in := t.folders[name]
	if in == nil {
		in = &folder{}
		t.folders[name] = in
	}
	n, there := slices.BinarySearchFunc(in.files, f.name, func(other *file, name string) int { return strings.Compare(other.name, name) })
	switch {
	case now == nil && there:
		in.files = slices.Delete(in.files, n, n+1)
	case there:
		in.files[n] = now
	case now != nil:
		in.files = slices.Insert(in.files, n, now)
	}
	if old == nil || now == nil || now.doc == nil || now.doc != old.doc {
		in.piece = nil
	}
	if len(in.files) == 0 {
		delete(t.folders, name)
	}
}

// pieces returns the pieces of all folders, by name.
func (t *Tree) pieces(drafts bool) []*piece {
	if t.folders == nil || t.drafts != drafts {
		t.courses, t.folders, t.drafts = map[string]bool{}, map[string]*folder{}, drafts
		for _, f := range t.files {
			if f.marksCourse() {
				t.courses[f.parts[1]] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(t.files)) {
			f := t.files[name]
			in := t.folders[t.folderOf(f)]
			if in == nil {
				in = &folder{}
				t.folders[t.folderOf(f)] = in
			}
			in.files = append(in.files, f)
		}
	}
	out := make([]*piece, 0, len(t.folders))
	for _, name := range slices.Sorted(maps.Keys(t.folders)) {
		in := t.folders[name]
		if in.piece == nil {
			in.piece = t.makePiece(name, in.files)
		}
		out = append(out, in.piece)
	}
	return out
}

// makePiece makes the piece of a folder.
func (t *Tree) makePiece(folder string, files []*file) *piece {
	p := &piece{tree: t, folder: folder, texts: Texts{}, glossary: Texts{}, langs: map[string]bool{}, odd: map[string]bool{}}
	lessons := map[string]*Lesson{}
	room := make([]Text, 0, len(files))
	for _, f := range files {
		p.errs = append(p.errs, f.errs...)
		if f.link {
			continue
		}
		if lang := f.parts[0]; p.isText(f) {
			room = append(room, Text{Front: f.front, Name: f.name, Lang: lang, Doc: f.doc})
			p.add(f, &room[len(room)-1], lessons)
		}
	}
	if !t.drafts {
		p.leaveOutDrafts(lessons)
	}
	p.translate(p.texts)
	p.translate(p.glossary)
	if p.module != nil {
		p.arrange(lessons)
	}
	return p
}

// wrong adds a mistake about a whole file.
func (p *piece) wrong(name, format string, args ...any) {
	p.errs.Add(&source.Error{File: p.tree.file(name), Msg: fmt.Sprintf(format, args...)})
}

// isText reports whether a file is a text of the course. Files of other kinds are put in their
// places.
func (p *piece) isText(f *file) bool {
	lang, def := f.parts[0], p.tree.src.DefaultLang
	switch {
	case f.config != nil:
		p.config = *f.config
	case len(f.parts) == 1:
		p.checkRoot(f.name)
	case path.Ext(f.name) != ".md":
		p.assets = append(p.assets, Asset{Name: f.name, Path: LangPrefix(lang, def) + strings.Join(f.parts[1:], "/")})
	case isPartial(f.parts):
		p.partials = append(p.partials, f.name)
	case lang != def && !langName.MatchString(lang):
		p.odd[lang] = true
	default:
		p.langs[lang] = true
		return true
	}
	return false
}

// add puts a text in its place. lessons are the lessons of the module so far, by slug.
func (p *piece) add(f *file, t *Text, lessons map[string]*Lesson) {
	at := placeOf(f.parts, func(name string) bool { return p.tree.courses[name] })
	switch {
	case at.misplaced:
		p.misplaced(f)
		return
	case at.glossary:
		p.glossary[t.Lang] = t
		return
	case at.module == "":
		p.texts[t.Lang] = t
		return
	case at.course == "" && slices.Contains(reserved, at.module):
		p.wrong(f.name, "a module can't be called %q, because the site uses that address itself; rename the folder", at.module)
		return
	case at.lesson == printed:
		p.wrong(f.name, "a lesson can't be called %q, because that is the address of the module's print page; rename it", at.lesson)
		return
	}
	if p.module == nil {
		p.module = &Module{Slug: at.module, Texts: Texts{}, course: at.course, path: p.folder + "/"}
	}
	if at.lesson == "" {
		p.module.Texts[t.Lang] = t
		return
	}
	l := lessons[at.lesson]
	if l == nil {
		l = &Lesson{Module: p.module, Slug: at.lesson, Texts: make(Texts, 1), path: p.module.path + at.lesson + "/"}
		lessons[at.lesson] = l
	}
	if other := l.Texts[t.Lang]; other != nil {
		p.wrong(f.name, "has the same address as %s; rename one of them", other.Doc.File)
		return
	}
	l.Texts[t.Lang] = t
}

// misplaced reports a text that is in no course, and where it belongs.
func (p *piece) misplaced(f *file) {
	names := f.parts[1:]
	switch {
	case len(names) == 1:
		near := source.DidYouMean(names[0], []string{IndexName, GlossaryName})
		p.wrong(f.name, "is not in a module%s; lessons are <lang>/<module>/<lesson>.md", near)
	case len(names) == 2 && p.tree.courses[names[0]]:
		p.wrong(f.name, "%s is a course, because it has modules; its lessons are <lang>/%s/<module>/<lesson>.md", names[0], names[0])
	case len(names) == 3 && !p.tree.courses[names[0]]:
		p.wrong(f.name, "a lesson is <lang>/<module>/<lesson>.md or <lang>/<module>/<lesson>/index.md; if %s is a course, its module %s needs an %s", names[0], names[1], IndexName)
	default:
		p.wrong(f.name, "is not a lesson: only <lang>/<module>/<lesson>.md and <lang>/<module>/<lesson>/index.md are; begin its name with _ if others include it")
	}
}

// leaveOutDrafts drops drafts, and everything below them.
func (p *piece) leaveOutDrafts(lessons map[string]*Lesson) {
	drop := func(texts Texts) (whole bool) {
		n := len(texts)
		for lang, t := range texts {
			if t.Draft {
				p.drafts = append(p.drafts, t.Doc)
				delete(texts, lang)
			}
		}
		return n > 0 && len(texts) == 0
	}
	if p.folder != "" { // the main course can't be a draft
		p.draft = drop(p.texts)
	}
	if p.module == nil {
		return
	}
	whole := drop(p.module.Texts)
	for slug, l := range lessons {
		if !drop(l.Texts) && !whole {
			continue
		}
		for _, t := range l.Texts {
			p.drafts = append(p.drafts, t.Doc)
		}
		p.left = append(p.left, l.path)
		p.module.waiting = true
		delete(lessons, slug)
	}
	if whole {
		p.left = append(p.left, p.module.path)
		p.module = nil
	}
}

// arrange puts the sorted lessons into the module.
func (p *piece) arrange(lessons map[string]*Lesson) {
	m, def := p.module, p.tree.src.DefaultLang
	p.translate(m.Texts)
	m.bySlug = make([]*Lesson, 0, len(lessons))
	for _, l := range lessons {
		p.translate(l.Texts)
		m.bySlug = append(m.bySlug, l)
	}
	slices.SortFunc(m.bySlug, func(x, y *Lesson) int { return strings.Compare(x.Slug, y.Slug) })
	m.Lessons = slices.Clone(m.bySlug)
	slices.SortStableFunc(m.Lessons, func(x, y *Lesson) int { return weightOrder(x.Texts.weight(def), y.Texts.weight(def)) })
	m.claims = append(make([]claim, 0, 1+len(lessons)), p.tree.claim(m.path, m.Texts, m.Slug))
	for _, l := range m.Lessons {
		m.claims = append(m.claims, p.tree.claim(l.path, l.Texts, l.Slug))
		asks := false
		for _, t := range l.Texts {
			asks = asks || t.Lab != "" || len(t.Prerequisites) > 0 || !knownLevel(t.Level) || t.Minutes < 0
			m.tagged = m.tagged || slices.ContainsFunc(t.Tags, func(tag string) bool { return markdown.Slug(tag) != "" })
		}
		if asks {
			m.asking = append(m.asking, l)
		}
	}
}

// translate links translations to their original, and fills in what they inherit.
func (p *piece) translate(texts Texts) {
	if len(texts) < 2 {
		return
	}
	base := texts.first(p.tree.src.DefaultLang)
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
	t.Part = cmp.Or(t.Part, base.Part)
	if t.Prerequisites == nil {
		t.Prerequisites = base.Prerequisites
	}
	if t.Date.IsZero() {
		t.Date = base.Date
	}
}
