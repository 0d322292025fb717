package importer

import (
	"cmp"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/labd-dev/labd/site/internal/importer/dialect"
	"github.com/labd-dev/labd/site/internal/importer/frontmatter"
	"github.com/labd-dev/labd/site/internal/importer/literal"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/settings"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/importer/tree"
)

// maxOutline limits the entries of a table of contents or sidebar.
const maxOutline = 20_000

// chapter is an entry of a table of contents: a page, or a heading without one.
type chapter struct {
	title, file string
	summary     string
	at          syntax.Line
	depth       int
	part        string
}

// outlined is a module of an outline.
type outlined struct {
	name  string
	head  *page
	file  string
	pages []*page
}

// planOutline plans a source by its table of contents. An entry with entries below it becomes a
// module. Consecutive entries without any share a module. Pages that are missing from the outline
// go to the modules of their folders.
func (r *run) planOutline(chapters []chapter, others []string) {
	var modules []*outlined
	loose := false // the last module collects first-level chapters without subchapters
	part, over := "", ""
	var home *page
	for i, c := range chapters {
		opens := i+1 < len(chapters) && chapters[i+1].depth > c.depth
		if c.depth == 1 { // heading above chapters of the third level
			over = c.title
		}
		if c.file == "" {
			if c.depth == 0 && opens {
				modules = append(modules, &outlined{name: c.title, file: c.at.File, head: &page{front: frontmatter.Front{Title: cmp.Or(c.title, "Module"), Summary: c.summary, Part: c.part}}})
				loose, part = false, c.part
			}
			continue
		}
		if r.bySrc[c.file] != nil {
			r.report(report.Extra, c.at, "the chapter is already in the book; it stays at its first place")
			continue
		}
		if !tree.IsPage(c.file) {
			r.report(report.ChapterMissing, c.at, "the chapter is left out: it is not a .md file")
			continue
		}
		p := r.load(c.file)
		if p == nil {
			continue
		}
		// The heading of the page is its title, because readers saw it on the page. The table of
		// contents only has a label for it.
		title, rest, id := r.dialect.Title(p.lines, c.title, p.front.Title)
		if p.front.Title == "" || title == "" || dialect.SameTitle(title, p.front.Title) {
			p.lines, p.headID = rest, id
		} else {
			title = p.front.Title
		}
		if title != "" && c.title != "" && !dialect.SameTitle(title, c.title) {
			r.report(report.TitleChanged, c.at, "the page keeps the title %q of its file", title)
		}
		p.front.Title = cmp.Or(title, p.front.Title, c.title, "Chapter")
		p.front.Authors = append(p.front.Authors, r.Book.Authors...)
		stem, _ := tree.PageStem(path.Base(c.file))
		if low := strings.ToLower(stem); low == "readme" || low == "index" {
			stem = path.Base(path.Dir(c.file))
			if path.Dir(c.file) == r.Root {
				stem = p.front.Title
			}
		}
		_, stem = r.cutNumber(stem)
		p.out = slug(stem)
		if home == nil && r.isHome(p) && !opens {
			home, p.front.Authors = p, nil
			continue
		}
		switch opens = opens && c.depth == 0; {
		case opens:
			p.front.Authors = nil
			p.front.Summary = cmp.Or(p.front.Summary, c.summary)
			modules = append(modules, &outlined{name: stem, head: p, file: c.file})
			loose = false
		case len(modules) == 0 || c.depth == 0 && (!loose || c.part != part):
			title := cmp.Or(c.part, p.front.Title)
			modules = append(modules, &outlined{name: title, head: &page{front: frontmatter.Front{Title: title}}, file: c.file, pages: []*page{p}})
			loose = true
		default:
			m := modules[len(modules)-1]
			m.pages = append(m.pages, p)
			if c.depth > 1 || c.depth == 1 && i+1 < len(chapters) && chapters[i+1].depth > 1 {
				p.front.Part = over
			}
			if c.depth > 2 {
				r.report(report.Flattened, c.at, "the chapter moves up to the third level: a course has modules, parts and lessons")
			}
		}
		if m := modules[len(modules)-1]; len(m.pages) == 0 || len(m.pages) == 1 && m.pages[0] == p {
			m.head.front.Part = c.part
		}
		part = c.part
	}
	for _, name := range others {
		if stem, _ := tree.PageStem(path.Base(name)); home == nil && r.bySrc[name] == nil && path.Dir(name) == r.Root && strings.EqualFold(stem, "index") {
			if home = r.load(name); home != nil {
				r.title(home, stem)
			}
		}
	}
	modules = r.placeOthers(modules, others)
	for i, m := range modules { // a part with a single module of the same title needs no heading
		alone := (i == 0 || modules[i-1].head.front.Part != m.head.front.Part) && (i+1 == len(modules) || modules[i+1].head.front.Part != m.head.front.Part)
		if alone && dialect.SameTitle(m.head.front.Title, m.head.front.Part) {
			m.head.front.Part = ""
		}
	}
	modules = slices.DeleteFunc(modules, func(m *outlined) bool { return len(m.pages) == 0 && m.head.src == "" })
	r.addHome(home, r.Book.Title, r.Book.Summary)
	for i, m := range modules {
		for j, p := range m.pages {
			p.order = []rank{{float64(j), ""}}
		}
		r.addModule(m.head, m.name, m.file, i, slices.Clone(m.pages))
	}
}

// isHome reports whether a page becomes the home page of the course: the README of a GitBook, the
// index page of a site, or the page with the slug /.
func (r *run) isHome(p *page) bool {
	stem, _ := tree.PageStem(path.Base(p.src))
	switch r.format {
	case GitBook:
		return path.Dir(p.src) == r.Root && strings.EqualFold(stem, "readme")
	case Docusaurus:
		return p.front.Slug == "/" || p.front.Slug == "" && path.Dir(p.src) == r.Root && strings.EqualFold(stem, "index")
	}
	return path.Dir(p.src) == r.Root && strings.EqualFold(stem, "index") && r.format == Starlight
}

// placeOthers adds pages that are missing from the outline to the modules of their folders.
func (r *run) placeOthers(modules []*outlined, others []string) []*outlined {
	home := map[string]*outlined{}
	for _, m := range modules {
		for _, p := range m.pages {
			if dir := path.Dir(p.src); home[dir] == nil && dir != r.Root {
				home[dir] = m
			}
		}
	}
	for _, name := range others {
		if r.bySrc[name] != nil {
			continue
		}
		p := r.load(name)
		if p == nil {
			continue
		}
		stem, _ := tree.PageStem(path.Base(name))
		r.title(p, stem)
		p.out = slug(strings.TrimPrefix(strings.TrimSuffix(name, path.Ext(name)), r.Root+"/"))
		dir := path.Dir(name)
		m := home[dir]
		if m == nil {
			title := "More"
			if rel := strings.TrimPrefix(dir, r.Root+"/"); dir != r.Root {
				title = r.folder(path.Join(r.Root, strings.Split(rel, "/")[0])).title
			}
			m = &outlined{name: title, file: name, head: &page{front: frontmatter.Front{Title: title}}}
			home[dir] = m
			modules = append(modules, m)
		}
		m.pages = append(m.pages, p)
	}
	return modules
}

// title sets the title of a page from its front matter, its first heading or its name, and removes
// the heading from the text.
func (r *run) title(p *page, name string) {
	if title, rest, id := r.dialect.Title(p.lines, p.front.Title, name); p.front.Title == "" || dialect.SameTitle(title, p.front.Title) {
		p.front.Title, p.lines, p.headID = cmp.Or(p.front.Title, title), rest, id
	}
	p.front.Title = cmp.Or(p.front.Title, syntax.OneLine(name))
}

// docs reads sidebars. It finds pages by the ids that sidebars use.
type docs struct {
	*run
	byID     map[string]string
	file     string // that the sidebar is in
	chapters []chapter
}

// planSidebars plans a site by its sidebars. It returns false if the site has none.
func (r *run) planSidebars() bool {
	d := &docs{run: r, byID: map[string]string{}, file: r.SidebarFile}
	names := r.pageNames()
	for _, name := range names {
		stem, _ := tree.PageStem(strings.TrimPrefix(name, r.Root+"/"))
		id := r.docID(name, stem)
		for _, key := range []string{id, stem, strings.TrimSuffix(strings.TrimSuffix(stem, "index"), "/")} {
			if _, ok := d.byID[key]; !ok {
				d.byID[key] = name
			}
		}
	}
	switch {
	case r.Sidebar != nil:
		d.file = tree.First(r.FS, []string{"."}, settings.StarlightConfigs())
		d.items(r.Sidebar, 0, "")
	case r.SidebarFile != "":
		object := literal.AsObject(r.File(r.Tree, r.SidebarFile, &r.log))
		if object == nil {
			return false
		}
		for _, key := range object.Keys {
			d.items(object.Values[key], 0, "")
		}
	}
	if !slices.ContainsFunc(d.chapters, func(c chapter) bool { return c.file != "" }) {
		return false
	}
	r.planOutline(d.chapters, names)
	return true
}

// docID returns the id that Docusaurus sidebars use for a page.
func (r *run) docID(name, stem string) string {
	parts := strings.Split(stem, "/")
	for i := range parts {
		_, parts[i] = r.cutNumber(parts[i])
	}
	lines, refused := r.Lines(name)
	if refused == "" {
		before := r.log
		f, _ := frontmatter.Cut(lines, &r.log)
		r.log.Truncate(before)
		if len(f.Names) > 0 && f.Names[0] != "" {
			parts[len(parts)-1] = f.Names[0]
		}
	}
	return strings.Join(parts, "/")
}

// items reads a list of sidebar items, or an object whose keys are categories.
func (d *docs) items(v literal.Value, depth int, part string) {
	if depth > maxNestedItems || len(d.chapters) > maxOutline {
		return
	}
	switch v := v.(type) {
	case literal.Array:
		for _, item := range v {
			d.item(item, depth, part)
		}
	case *literal.Object:
		if literal.Text(v.Get("type")) != "" || v.Get("items") != nil {
			d.item(v, depth, part)
			return
		}
		for _, key := range v.Keys {
			d.category(key, "", "", v.Values[key], depth, part)
		}
	}
}

// maxNestedItems limits the nesting depth of sidebar categories.
const maxNestedItems = 10

func (d *docs) category(label, file, summary string, items literal.Value, depth int, part string) {
	n := len(d.chapters)
	d.chapters = append(d.chapters, chapter{title: syntax.OneLine(label), file: file, summary: syntax.OneLine(summary), depth: depth, part: part, at: d.at()})
	d.items(items, depth+1, part)
	if len(d.chapters) == n+1 && file == "" {
		d.chapters = d.chapters[:n]
	}
}

func (d *docs) at() syntax.Line { return syntax.Line{File: d.file} }

func (d *docs) item(v literal.Value, depth int, part string) {
	switch v := v.(type) {
	case string:
		d.doc(v, "", depth, part)
	case literal.Array:
		d.items(v, depth, part)
	case *literal.Object:
		label := syntax.OneLine(literal.Text(v.Get("label")))
		switch kind := literal.Text(v.Get("type")); {
		case kind == "autogenerated":
			d.folder(literal.Text(v.Get("dirName")), depth, part)
		case kind == "doc" || kind == "ref":
			d.doc(literal.Text(v.Get("id")), label, depth, part)
		case kind == "link" || kind == "html":
			d.report(report.SettingUnknown, d.at(), "the link %q of the sidebar is lost", label)
		case v.Get("items") != nil:
			file := ""
			if link := literal.AsObject(v.Get("link")); link != nil && literal.Text(link.Get("type")) == "doc" {
				file = d.byID[literal.Text(link.Get("id"))]
			}
			d.category(label, file, literal.Text(v.Get("description")), v.Get("items"), depth, part)
		case v.Get("autogenerate") != nil: // Starlight
			n := len(d.chapters)
			d.chapters = append(d.chapters, chapter{title: label, depth: depth, part: part, at: d.at()})
			d.folder(literal.Text(literal.AsObject(v.Get("autogenerate")).Get("directory")), depth+1, part)
			if len(d.chapters) == n+1 {
				d.chapters = d.chapters[:n]
			}
		case v.Get("slug") != nil:
			d.doc(literal.Text(v.Get("slug")), label, depth, part)
		case v.Get("link") != nil:
			link := literal.Text(v.Get("link"))
			if file := d.byID[strings.Trim(link, "/")]; file != "" && !strings.Contains(link, ":") {
				d.doc(strings.Trim(link, "/"), label, depth, part)
			} else {
				d.report(report.SettingUnknown, d.at(), "the link %q of the sidebar is lost", label)
			}
		case kind == "":
			d.items(v, depth, part)
		}
	}
}

func (d *docs) doc(id, label string, depth int, part string) {
	file := d.byID[strings.Trim(id, "/")]
	if file == "" {
		d.report(report.ChapterMissing, d.at(), "the sidebar names the page %q, which is not in the source", id)
		return
	}
	d.chapters = append(d.chapters, chapter{title: label, file: file, depth: depth, part: part, at: d.at()})
}

// folder adds the pages of a folder, sorted by position and name, and its subfolders as categories.
func (d *docs) folder(dir string, depth int, part string) {
	root, refused := tree.Join(d.Root, cmp.Or(dir, "."))
	if refused != "" || depth > maxNestedItems {
		return
	}
	type entry struct {
		rank
		file, dir string
		title     string
	}
	var entries []entry
	seen := map[string]bool{}
	prefix := root + "/"
	if root == "." {
		prefix = ""
	}
	for _, name := range d.pageNames() {
		rel, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if sub, _, deeper := strings.Cut(rel, "/"); deeper {
			if at := path.Join(root, sub); !seen[at] {
				seen[at] = true
				f := d.run.folder(at)
				entries = append(entries, entry{rank: f.rank, dir: at, title: f.title})
			}
			continue
		}
		stem, _ := tree.PageStem(rel)
		pos, bare := d.cutNumber(stem)
		lines, _ := d.Lines(name)
		before := d.log
		if f, _ := frontmatter.Cut(lines, &d.log); !math.IsNaN(f.Position) {
			pos = f.Position
		}
		d.log.Truncate(before)
		if low := strings.ToLower(stem); low == "index" || low == "readme" {
			pos = math.Inf(-1)
		}
		entries = append(entries, entry{rank: rank{pos, strings.ToLower(bare)}, file: name})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return compareRanks([]rank{a.rank}, []rank{b.rank}) })
	for _, e := range entries {
		if e.file != "" {
			d.chapters = append(d.chapters, chapter{file: e.file, depth: depth, part: part, at: d.at()})
			continue
		}
		d.chapters = append(d.chapters, chapter{title: e.title, depth: depth, part: part, at: d.at()})
		d.folder(strings.TrimPrefix(e.dir, d.Root+"/"), depth+1, part)
	}
}

// pageNames lists the pages below the root, without partials and translations.
func (r *run) pageNames() []string {
	var names []string
	for name := range r.Files {
		if !tree.IsPage(name) || r.Root != "." && !strings.HasPrefix(name, r.Root+"/") || r.translated(name) != nil {
			continue
		}
		if stem, _ := tree.PageStem(path.Base(name)); (r.format == Docusaurus || r.format == Starlight) && strings.HasPrefix(stem, "_") {
			continue
		}
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(compareNames(a, b), cmp.Compare(a, b)) })
	return names
}
