package settings

import (
	"io/fs"
	"path"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/importer/literal"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/importer/tree"
)

// siteFolders are folders in which repositories often keep their documentation site.
var siteFolders = []string{".", "website", "site", "docs", "documentation", "doc", "www"}

// docusaurusConfigs returns the names that a Docusaurus configuration can have.
func docusaurusConfigs() []string {
	return []string{"docusaurus.config.js", "docusaurus.config.ts", "docusaurus.config.mjs", "docusaurus.config.cjs"}
}

// StarlightConfigs returns the names that a Starlight site's configuration can have.
func StarlightConfigs() []string {
	return []string{"astro.config.mjs", "astro.config.js", "astro.config.ts", "astro.config.mts"}
}

// DocsAbove returns how many levels above a Docusaurus site its pages are: 1 for path: '../docs'.
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

// docsOf returns the folder of the pages and the sidebars file from a Docusaurus configuration, ""
// if it does not set them.
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

// findDocs reads the settings of a Docusaurus site: title, folder of the pages, and whether it
// renders formulas.
func (r *reader) findDocs() {
	config := tree.First(r.FS, append([]string{r.site}, siteFolders...), docusaurusConfigs())
	site, drawn := r.site, false
	var docs, sidebars string
	if config != "" {
		site = path.Dir(config)
		text, _ := r.Read(config)
		drawn = strings.Contains(text, "remark-math")
		object := literal.AsObject(r.File(r.Tree, config, r.log))
		r.Book.Title = syntax.OneLine(literal.Text(object.Get("title")))
		r.Book.Summary = syntax.OneLine(literal.Text(object.Get("tagline")))
		if i18n := literal.AsObject(object.Get("i18n")); i18n != nil && r.Lang == "" {
			r.Lang = languageTag(literal.Text(i18n.Get("defaultLocale")))
		}
		docs, sidebars = docsOf(object)
	}
	r.Notation = syntax.Notation{Inline: drawn || config == "", Display: drawn || config == ""}
	root, refused := tree.Join(site, docs)
	if docs == "" {
		root, refused = path.Join(site, "docs"), ""
	}
	switch {
	case refused != "":
		r.log.Addf(report.SettingsBroken, source.Error{File: config}, "the folder of the pages, %s, is outside the source; import the folder above", docs)
	case r.IsDir(root):
		r.Root = root
	}
	if dir := path.Join(site, "static"); r.IsDir(dir) {
		r.Static = dir
	}
	names := []string{"sidebars.js", "sidebars.ts", "sidebars.json", "sidebars.cjs", "sidebars.mjs"}
	if file, refused := tree.Join(site, sidebars); refused == "" && sidebars != "" {
		names = append([]string{strings.TrimPrefix(file, site+"/")}, names...)
	}
	r.SidebarFile = tree.First(r.FS, []string{site}, names)
	dir := path.Join(site, "i18n")
	for _, e := range r.Dirs(dir) {
		current := path.Join(dir, e, "docusaurus-plugin-content-docs", "current")
		if tag := languageTag(e); tag != "" && tag != r.Lang && r.IsDir(current) {
			r.Translations = append(r.Translations, Translation{tag, current})
		}
	}
}

// findStarlight reads the settings of a Starlight site.
func (r *reader) findStarlight() {
	r.Static = "public"
	if r.IsDir("src/content/docs") {
		r.Root = "src/content/docs"
	}
	config := tree.First(r.FS, []string{"."}, StarlightConfigs())
	if config == "" {
		return
	}
	object := literal.AsObject(r.File(r.Tree, config, r.log))
	for _, v := range literal.AsArray(object.Get("integrations")) {
		call, ok := v.(literal.Call)
		if !ok || call.Name != "starlight" {
			continue
		}
		opts := literal.AsObject(call)
		r.Book.Title = syntax.OneLine(literal.Text(opts.Get("title")))
		if titles := literal.AsObject(opts.Get("title")); titles != nil && len(titles.Keys) > 0 {
			r.Book.Title = syntax.OneLine(literal.Text(titles.Values[titles.Keys[0]]))
		}
		r.Book.Summary = syntax.OneLine(literal.Text(opts.Get("description")))
		r.Sidebar = literal.AsArray(opts.Get("sidebar"))
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
			dir := path.Join(r.Root, key)
			switch {
			case key == "root":
				r.setLang(lang)
			case key == def && r.IsDir(dir):
				r.setLang(lang)
				defer func() { r.Root = dir }()
			case lang != "" && r.IsDir(dir):
				r.Translations = append(r.Translations, Translation{lang, dir})
			}
		}
	}
	for _, alias := range []string{"~/", "@/", "src/"} {
		r.Aliases = append(r.Aliases, [2]string{alias, "src/"})
	}
	r.Aliases = append(r.Aliases, [2]string{"@assets/", "src/assets/"})
}

func (r *reader) setLang(lang string) {
	if r.Lang == "" {
		r.Lang = lang
	}
}
