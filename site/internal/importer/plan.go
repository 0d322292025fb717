package importer

import (
	"cmp"
	"encoding/json"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/labd-dev/labd/site/internal/importer/dialect"
	"github.com/labd-dev/labd/site/internal/importer/frontmatter"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/importer/tree"
)

// rank is the sort key of one level of a path: position first, then name.
type rank struct {
	pos  float64
	name string
}

func compareRanks(a, b []rank) int {
	return slices.CompareFunc(a, b, func(x, y rank) int { return cmp.Or(cmp.Compare(x.pos, y.pos), compareNames(x.name, y.name)) })
}

// compareNames sorts numbers in names by value: ch2 before ch10.
func compareNames(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits returns the number of leading digits of s.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// folder is the title and sort key of a folder of pages.
type folder struct {
	rank
	title, summary string
}

// numbered matches the number prefixes that Docusaurus sorts files by.
var numbered = regexp.MustCompile(`^(\d{1,6})\s*[-_.]+\s*([^-_.\s].*)$`)

// cutNumber splits 01-intro into its number and its name.
func (r *run) cutNumber(name string) (float64, string) {
	if r.format == Docusaurus {
		if m := numbered.FindStringSubmatch(name); m != nil {
			n, _ := strconv.Atoi(m[1]) // numbered allows at most six digits
			return float64(n), m[2]
		}
	}
	return math.Inf(1), name
}

// planSite plans a Docusaurus or Starlight site: by its sidebars if it has any, else by its
// folders.
func (r *run) planSite() {
	if !r.planSidebars() {
		r.planFolders()
	}
}

// folder reads the _category_ file of a folder, if it has one.
func (r *run) folder(dir string) folder {
	pos, name := r.cutNumber(path.Base(dir))
	f := folder{rank: rank{pos, strings.ToLower(name)}, title: syntax.OneLine(name)}
	if r.format != Docusaurus {
		return f
	}
	for _, base := range []string{"_category_.json", "_category_.yml", "_category_.yaml"} {
		file := path.Join(dir, base)
		if _, ok := r.Files[file]; !ok {
			continue
		}
		lines, refused := r.Lines(file)
		if refused != "" {
			r.reportFile(report.SettingsBroken, file, "is lost: %s", refused)
			continue
		}
		var text strings.Builder
		for _, l := range lines {
			text.WriteString(l.Text + "\n")
		}
		if base == "_category_.json" && !json.Valid([]byte(text.String())) {
			r.reportFile(report.SettingsBroken, file, "is lost: it is not JSON")
			continue
		}
		// JSON is valid YAML, and the YAML parser reports line numbers.
		root, err := frontmatter.ParseYAML(text.String())
		if err != nil {
			r.reportFile(report.SettingsBroken, file, "is lost: %v", err)
			continue
		}
		for i := 0; root != nil && i+1 < len(root.Content); i += 2 {
			key, n := root.Content[i], root.Content[i+1]
			at := lines[min(max(key.Line-1, 0), len(lines)-1)]
			switch key.Value {
			case "label":
				f.title = cmp.Or(syntax.OneLine(n.Value), f.title)
			case "description":
				f.summary = syntax.OneLine(n.Value)
			case "position":
				if p, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsNaN(p) {
					f.pos = p
				}
			default:
				r.report(report.SettingUnknown, at, "the setting %q of a category is lost", key.Value)
			}
		}
		break
	}
	return f
}

// load reads a page and its front matter. If it cannot, it reports that and returns nil.
func (r *run) load(name string) *page {
	lines, refused := r.Lines(name)
	if refused != "" {
		r.reportFile(report.PageLeftOut, name, "is left out: %s", refused)
		return nil
	}
	p := &page{src: name}
	p.front, p.lines = frontmatter.Cut(lines, &r.log)
	for _, other := range p.front.Names {
		low := strings.ToLower(other)
		if !slices.Contains(r.Names[low], name) {
			r.Names[low] = append(r.Names[low], name)
		}
	}
	r.bySrc[name] = p
	return p
}

// planFolders plans a source by its folders: each top-level folder becomes a module.
func (r *run) planFolders() {
	folders := map[string]folder{}
	reported := map[string]bool{}
	type module struct {
		*page
		rank  rank
		pages []*page
	}
	modules := map[string]*module{}
	var home *page
	names := r.pageNames()
	for _, name := range names {
		rel := strings.TrimPrefix(name, r.Root+"/")
		stem, _ := tree.PageStem(path.Base(rel))
		var dirs []string
		if dir := path.Dir(rel); dir != "." {
			dirs = strings.Split(dir, "/")
		}
		p := r.load(name)
		if p == nil {
			continue
		}
		var order []rank
		var parts []string
		top := r.Root
		for i := range dirs {
			dir := path.Join(r.Root, path.Join(dirs[:i+1]...))
			f, ok := folders[dir]
			if !ok {
				f = r.folder(dir)
				folders[dir] = f
			}
			order = append(order, f.rank)
			_, part := r.cutNumber(dirs[i])
			parts = append(parts, part)
			switch {
			case i == 0:
				top = dir
			case i == 1:
				p.front.Part = f.title
			case !reported[dir]:
				reported[dir] = true
				r.reportFile(report.Flattened, dir+"/", "its pages move up into the part %s of the module %s", parts[1], parts[0])
			}
		}
		pos, bare := r.cutNumber(stem)
		low := strings.ToLower(stem)
		isIndex := low == "index" || low == "readme" || len(dirs) > 0 && strings.EqualFold(stem, dirs[len(dirs)-1])
		if !math.IsNaN(p.front.Position) {
			pos = p.front.Position
		}
		if title, rest, id := r.dialect.Title(p.lines, p.front.Title, bare); p.front.Title == "" || dialect.SameTitle(title, p.front.Title) {
			p.front.Title, p.lines, p.headID = cmp.Or(p.front.Title, title), rest, id
		}
		if p.front.Title == "" {
			p.front.Title = syntax.OneLine(bare)
			if isIndex && len(dirs) > 0 {
				p.front.Title = folders[path.Join(r.Root, path.Dir(rel))].title
			}
		}
		if p.front.Title == "" {
			p.front.Title = "Page"
		}
		if isIndex && len(dirs) == 0 && home == nil {
			p.section, p.out, home = true, r.Lang+"/_index.md", p
			continue
		}
		m := modules[top]
		if m == nil {
			f := folders[top]
			if len(dirs) == 0 {
				f = folder{rank: rank{math.Inf(-1), ""}, title: map[Format]string{Obsidian: "Notes", Docusaurus: "Docs"}[r.format]}
				f.title = cmp.Or(f.title, "Lessons")
			}
			m = &module{rank: f.rank, page: &page{section: true, front: frontmatter.Front{Title: cmp.Or(f.title, "Module"), Summary: f.summary}}}
			modules[top] = m
		}
		if isIndex && len(dirs) == 1 && m.src == "" {
			p.section = true
			p.front.Summary = cmp.Or(p.front.Summary, m.front.Summary)
			m.page = p
			continue
		}
		if isIndex && len(dirs) > 1 {
			pos = math.Inf(-1)
		} else {
			parts = append(parts, bare)
		}
		p.order = append(order, rank{pos, strings.ToLower(bare)})
		if s := strings.Trim(p.front.Slug, "/"); s != "" {
			parts = append(parts[:0:0], "", path.Base(s))
		}
		p.out = slug(strings.Join(parts[min(1, len(parts)-1):], "-")) // addModule adds the path of the module
		m.pages = append(m.pages, p)
	}
	tops := make([]string, 0, len(modules))
	for top := range modules {
		tops = append(tops, top)
	}
	slices.SortFunc(tops, func(a, b string) int {
		return cmp.Or(compareRanks([]rank{modules[a].rank}, []rank{modules[b].rank}), cmp.Compare(a, b))
	})
	r.addHome(home, cmp.Or(r.Book.Title, r.opts.Name, map[Format]string{Obsidian: "Notes", Docusaurus: "Docs"}[r.format]), r.Book.Summary)
	for i, top := range tops {
		m := modules[top]
		_, name := r.cutNumber(path.Base(top))
		if top == r.Root {
			name = m.front.Title
		}
		r.addModule(m.page, name, top, i, m.pages)
	}
}

// addHome adds the home page of the course.
func (r *run) addHome(home *page, title, summary string) {
	if home == nil {
		home = &page{section: true, front: frontmatter.Front{Title: cmp.Or(syntax.OneLine(title), "Course"), Summary: summary}}
	}
	if r.Book.Title != "" && home.src != "" && !dialect.SameTitle(home.front.Title, r.Book.Title) {
		// The course takes the title of the site. The title of the first page becomes a heading.
		heading := syntax.Line{Text: "## " + home.front.Title, File: home.src, N: 1}
		home.lines = slices.Concat([]syntax.Line{heading, {File: home.src, N: 1}}, home.lines)
		home.front.Title, home.headID = r.Book.Title, ""
	}
	home.section, home.out = true, r.Lang+"/_index.md"
	r.add1(home)
}

// findDrafts finds the pages that the site will not publish because they or their modules are
// drafts.
func (r *run) findDrafts() {
	shown := map[string]bool{} // by the address without the language
	rest := func(p *page) string { _, rest, _ := strings.Cut(p.out, "/"); return rest }
	for _, p := range r.pages {
		if rest(p) == "_index.md" {
			p.front.Draft = false // the course itself
		}
		if p.lang == r.Lang {
			shown[rest(p)] = !p.front.Draft
		} else if _, ok := shown[rest(p)]; !ok && !p.front.Draft {
			shown[rest(p)] = true
		}
	}
	r.drafts = map[*page]bool{}
	for _, p := range r.pages {
		module, _, below := strings.Cut(rest(p), "/")
		r.drafts[p] = !shown[rest(p)] || below && !shown[module+"/_index.md"]
	}
}

// unpublished reports whether the site will not publish a page.
func (r *run) unpublished(p *page) bool { return r.drafts[p] }

// addModule adds a module and its lessons, and gives them addresses and weights.
func (r *run) addModule(head *page, name, file string, i int, lessons []*page) {
	s := r.address("", slug(name), file, reservedModules)
	dir := r.Lang + "/" + s
	head.section, head.out, head.front.Weight = true, dir+"/_index.md", 10*(i+1)
	r.add1(head)
	slices.SortStableFunc(lessons, func(a, b *page) int { return cmp.Or(compareRanks(a.order, b.order), cmp.Compare(a.src, b.src)) })
	for j, p := range lessons {
		p.front.Weight = 10 * (j + 1)
		p.out = dir + "/" + r.address(s, p.out, p.src, reservedLessons) + ".md"
		r.add1(p)
	}
}

func (r *run) add1(p *page) {
	if p.section && (len(p.front.Tags) > 0 || p.front.Date != nil || len(p.front.Authors) > 0) {
		r.reportFile(report.FrontMatterKey, p.src, "tags, date and authors are lost: the page of a module or course has none")
	}
	r.pages = append(r.pages, p)
	r.outs[p.out] = true
	if p.lang == "" {
		p.lang = r.Lang
	}
	if p.src == "" || r.format != Docusaurus && r.format != Starlight {
		return
	}
	rel := strings.TrimPrefix(p.src, r.Root+"/")
	stem, _ := tree.PageStem(rel)
	var parts []string
	for _, part := range strings.Split(stem, "/") {
		_, part = r.cutNumber(part)
		parts = append(parts, part)
	}
	if last := strings.ToLower(parts[len(parts)-1]); last == "index" || last == "readme" {
		parts = parts[:len(parts)-1]
	}
	at := strings.Join(parts, "/")
	if s := p.front.Slug; strings.HasPrefix(s, "/") {
		at = strings.Trim(s, "/")
	} else if s != "" {
		at = path.Join(path.Dir(at), s)
	}
	if t := r.translated(p.src); t != nil {
		at = t.Tag + "/" + at
	}
	if r.byURL[at] == nil {
		r.byURL[at] = p
	}
}
