package importer

import (
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/labd-dev/labd/site/internal/importer/frontmatter"
	"github.com/labd-dev/labd/site/internal/importer/literal"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/importer/tree"
)

// siteFolders are the folders that a repository often has its documentation site in.
var siteFolders = []string{".", "website", "site", "docs", "documentation", "doc", "www"}

// docusaurusConfigs are the names of a Docusaurus site's settings.
func docusaurusConfigs() []string {
	return []string{"docusaurus.config.js", "docusaurus.config.ts", "docusaurus.config.mjs", "docusaurus.config.cjs"}
}

// starlightConfigs are the names of a Starlight site's settings.
func starlightConfigs() []string {
	return []string{"astro.config.mjs", "astro.config.js", "astro.config.ts", "astro.config.mts"}
}

// DocsAbove returns how many folders above a Docusaurus site its pages are: 1 for path: '../docs'.
func DocsAbove(src fs.FS) int {
	name := tree.First(src, []string{"."}, docusaurusConfigs())
	if name == "" {
		return 0
	}
	data, err := fs.ReadFile(src, name)
	if err != nil || len(data) > tree.MaxText {
		return 0
	}
	v, err := literal.Parse(string(data))
	if err != nil {
		return 0
	}
	dir, _ := docsOf(literal.AsObject(v))
	up := 0
	for rest := path.Clean(dir); rest == ".." || strings.HasPrefix(rest, "../"); up++ {
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, ".."), "/")
	}
	return up
}

// docsOf returns where the settings of a Docusaurus site say that its pages and its sidebars are; "" if they don't.
func docsOf(config *literal.Object) (docs, sidebars string) {
	for _, list := range []string{"presets", "plugins"} {
		for _, v := range literal.AsArray(config.Get(list)) {
			preset := literal.AsArray(v)
			if len(preset) < 2 {
				continue
			}
			opts, name := literal.AsObject(preset[1]), literal.Text(preset[0])
			if d := literal.AsObject(opts.Get("docs")); d != nil {
				opts = d
			} else if !strings.Contains(name, "content-docs") || literal.Text(opts.Get("id")) != "" {
				continue
			}
			sidebars = literal.Text(opts.Get("sidebarPath"))
			if call, ok := opts.Get("sidebarPath").(literal.Call); ok && len(call.Args) > 0 { // require.resolve('./sidebars.js')
				sidebars = literal.Text(call.Args[len(call.Args)-1])
			}
			return literal.Text(opts.Get("path")), sidebars
		}
	}
	return "", ""
}

// settingsFile reads a settings file written in JavaScript. It returns nil, and reports, if it can't.
func (r *run) settingsFile(name string) literal.Value {
	text, refused := r.Read(name)
	if refused == "" {
		v, err := literal.Parse(text)
		if err == nil {
			r.settingsRead[name] = true
			return v
		}
		refused = err.Error()
	}
	r.reportFile(report.SettingsBroken, name, "is not used: %s", refused)
	return nil
}

// findDocs reads the settings of a Docusaurus site: its title, where its pages are, and whether it draws formulas.
func (r *run) findDocs() {
	config := tree.First(r.FS, append([]string{r.opts.Site}, siteFolders...), docusaurusConfigs())
	site, drawn := r.opts.Site, false
	var docs, sidebars string
	if config != "" {
		site = path.Dir(config)
		text, _ := r.Read(config)
		drawn = strings.Contains(text, "remark-math")
		object := literal.AsObject(r.settingsFile(config))
		r.book.title = syntax.OneLine(literal.Text(object.Get("title")))
		r.book.summary = syntax.OneLine(literal.Text(object.Get("tagline")))
		if i18n := literal.AsObject(object.Get("i18n")); i18n != nil && r.lang == "" {
			r.lang = languageTag(literal.Text(i18n.Get("defaultLocale")))
		}
		docs, sidebars = docsOf(object)
	}
	r.notation = syntax.Notation{Inline: drawn || config == "", Display: drawn || config == ""}
	root, refused := tree.Join(site, docs)
	if docs == "" {
		root, refused = path.Join(site, "docs"), ""
	}
	switch {
	case refused != "":
		r.reportFile(report.SettingsBroken, config, "the folder of the pages, %s, is outside of the source; import the folder above", docs)
	case r.IsDir(root):
		r.root = root
	}
	if dir := path.Join(site, "static"); r.IsDir(dir) {
		r.static = dir
	}
	names := []string{"sidebars.js", "sidebars.ts", "sidebars.json", "sidebars.cjs", "sidebars.mjs"}
	if file, refused := tree.Join(site, sidebars); refused == "" && sidebars != "" {
		names = append([]string{strings.TrimPrefix(file, site+"/")}, names...)
	}
	r.sidebars = tree.First(r.FS, []string{site}, names)
	dir := path.Join(site, "i18n")
	for _, e := range r.Dirs(dir) {
		current := path.Join(dir, e, "docusaurus-plugin-content-docs", "current")
		if tag := languageTag(e); tag != "" && tag != r.lang && r.IsDir(current) {
			r.translations = append(r.translations, translation{tag, current})
		}
	}
}

// findStarlight reads the settings of a Starlight site.
func (r *run) findStarlight() {
	r.static = "public"
	if r.IsDir("src/content/docs") {
		r.root = "src/content/docs"
	}
	config := tree.First(r.FS, []string{"."}, starlightConfigs())
	if config == "" {
		return
	}
	object := literal.AsObject(r.settingsFile(config))
	for _, v := range literal.AsArray(object.Get("integrations")) {
		call, ok := v.(literal.Call)
		if !ok || call.Name != "starlight" {
			continue
		}
		opts := literal.AsObject(call)
		r.book.title = syntax.OneLine(literal.Text(opts.Get("title")))
		if titles := literal.AsObject(opts.Get("title")); titles != nil && len(titles.Keys) > 0 {
			r.book.title = syntax.OneLine(literal.Text(titles.Values[titles.Keys[0]]))
		}
		r.book.summary = syntax.OneLine(literal.Text(opts.Get("description")))
		r.sidebar = literal.AsArray(opts.Get("sidebar"))
		locales := literal.AsObject(opts.Get("locales"))
		if locales == nil {
			break
		}
		def := literal.Text(opts.Get("defaultLocale"))
		for _, key := range locales.Keys {
			lang := languageTag(literal.Text(literal.AsObject(locales.Values[key]).Get("lang")))
			if lang == "" {
				lang = languageTag(key)
			}
			dir := path.Join(r.root, key)
			switch {
			case key == "root":
				r.setLang(lang)
			case key == def && r.IsDir(dir):
				r.setLang(lang)
				defer func() { r.root = dir }()
			case lang != "" && r.IsDir(dir):
				r.translations = append(r.translations, translation{lang, dir})
			}
		}
	}
	for _, alias := range []string{"~/", "@/", "src/"} {
		r.aliases = append(r.aliases, [2]string{alias, "src/"})
	}
	r.aliases = append(r.aliases, [2]string{"@assets/", "src/assets/"})
}

func (r *run) setLang(lang string) {
	if r.lang == "" {
		r.lang = lang
	}
}

// languageTag writes the name of a folder or setting as a BCP 47 tag, "" if it is none.
func languageTag(name string) string {
	tag, err := language.Parse(strings.ReplaceAll(name, "_", "-"))
	if err != nil || name == "" || tag == language.Und || !langTag.MatchString(tag.String()) {
		return ""
	}
	return tag.String()
}

// bookJSON reads the settings of a GitBook.
func (r *run) bookJSON() (dir, readme, summary, lang string) {
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
			r.reportFile(report.SettingsBroken, "book.json", "is lost: %v", err)
		} else {
			r.settingsRead["book.json"] = true
			r.book = bookInfo{title: syntax.OneLine(book.Title), summary: syntax.OneLine(book.Description)}
			if a, ok := book.Author.(string); ok && syntax.OneLine(a) != "" {
				r.book.authors = []string{syntax.OneLine(a)}
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
		r.reportFile(report.SettingsBroken, "book.json", "the folder %s is outside of the source", dir)
		dir = "."
	}
	return dir, readme, summary, lang
}

// findTranslations finds folders that hold the same pages in other languages, such as zh-cn/ beside the English pages, or
// en/ and zh/.
func (r *run) findTranslations() {
	if len(r.translations) > 0 {
		return
	}
	type candidate struct {
		translation
		pages map[string]bool
	}
	var found []candidate
	rest := map[string]bool{}
	for _, dir := range r.Dirs(r.root) {
		base, _, _ := strings.Cut(strings.ToLower(dir), "-")
		if tag := languageTag(dir); tag != "" && len(base) == 2 && tag != r.lang || tag != "" && len(base) == 2 && r.lang == tag {
			found = append(found, candidate{translation{tag, path.Join(r.root, dir)}, map[string]bool{}})
		}
	}
	if len(found) == 0 {
		return
	}
	for name := range r.Files {
		stem, ok := tree.PageStem(name)
		if !ok || r.root != "." && !strings.HasPrefix(name, r.root+"/") {
			continue
		}
		inside := false
		for _, c := range found {
			if rel, ok := strings.CutPrefix(stem, c.root+"/"); ok {
				c.pages[rel], inside = true, true
			}
		}
		if !inside {
			rest[strings.TrimPrefix(stem, r.root+"/")] = true
		}
	}
	same := func(pages, others map[string]bool) bool {
		n := 0
		for name := range pages {
			if others[name] {
				n++
			}
		}
		return n > 0 && n*3 >= len(pages)
	}
	for _, c := range found {
		if same(c.pages, rest) && c.tag != r.lang {
			r.translations = append(r.translations, c.translation)
		}
	}
	if len(r.translations) > 0 || len(found) < 2 {
		return
	}
	// All languages have folders of their own. The course's is the one that was asked for, or English, or the largest.
	slices.SortStableFunc(found, func(a, b candidate) int {
		rank := func(c candidate) int {
			switch {
			case c.tag == r.lang:
				return 1 << 30
			case r.lang == "" && c.tag == "en":
				return 1 << 29
			}
			return len(c.pages)
		}
		return rank(b) - rank(a)
	})
	for _, c := range found[1:] {
		if same(c.pages, found[0].pages) {
			r.translations = append(r.translations, c.translation)
		}
	}
	if len(r.translations) > 0 {
		r.root, r.lang = found[0].root, found[0].tag
	}
}
