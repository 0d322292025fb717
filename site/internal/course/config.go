package course

import (
	"cmp"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// Config is what course.toml sets. Left out, it is:
//
//	html = false        HTML in texts is shown as text; true passes it on; scripts in it never run
//	strict = false      warnings are mistakes
//	edit = ""           where a text can be edited, such as "https://example.org/repo/edit/main/content/{file}"
//
//	[external]
//	skip = []           links to other sites that begin so are not tried
type Config struct {
	HTML   bool
	Strict bool
	Edit   string

	External External
}

// External is how links to other sites are checked.
type External struct {
	Skip []string
}

// configFront is course.toml as it is written.
type configFront struct {
	HTML     bool           `toml:"html"`
	Strict   bool           `toml:"strict"`
	Edit     string         `toml:"edit"`
	External map[string]any `toml:"external"`
}

// parseConfig reads course.toml.
func parseConfig(file string, content []byte, errs *source.List) (*markdown.Document, *Config) {
	var own source.List
	doc := markdown.Split(file, content, &own)
	if len(own) > 0 {
		*errs = append(*errs, own...)
		return doc, &Config{}
	}
	// Package markdown counts the line of +++ before the front matter, which a file of settings doesn't have.
	front := &markdown.Document{File: file, Content: append([]byte("\n"), doc.Content...), Front: doc.Content}
	var c configFront
	front.DecodeFront(&c, &own)
	wrong := func(key, format string, args ...any) {
		line, col := front.KeyPlace(key)
		own.Add(source.At(file, front.Content, line, col, format, args...))
	}
	if c.Edit != "" && (!isWeb(c.Edit) || !strings.Contains(c.Edit, "{file}")) {
		wrong("edit", `edit must be an address with {file} in it, such as "https://example.org/repo/edit/main/content/{file}"`)
	}
	var skip []string
	for _, key := range slices.Sorted(maps.Keys(c.External)) {
		if key != "skip" {
			wrong(key, "unknown key %q below [external]%s", key, cmp.Or(source.DidYouMean(key, []string{"skip"}), "; known keys: skip"))
			continue
		}
		list, ok := c.External[key].([]any)
		for _, v := range list {
			s, isText := v.(string)
			ok = ok && isText && isWeb(s)
			skip = append(skip, s)
		}
		if !ok {
			wrong("skip", `skip must be a list of how addresses begin, such as ["https://example.org/"]`)
			skip = nil
		}
	}
	for _, e := range own {
		e.Line--
		errs.Add(e)
	}
	return doc, &Config{HTML: c.HTML, Strict: c.Strict, Edit: c.Edit, External: External{Skip: skip}}
}

func isWeb(s string) bool {
	u, err := url.Parse(strings.ReplaceAll(s, "{file}", "file"))
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// checkRoot looks at a file that lies in no language's folder.
func (p *piece) checkRoot(name string) {
	switch {
	case path.Ext(name) == ".md":
		p.wrong(name, "lessons belong into a folder per language: %s/%s/<module>/%s", p.tree.src.Name, p.tree.src.DefaultLang, name)
	case path.Ext(strings.ToLower(name)) == ".toml" || source.Nearest(strings.ToLower(name), []string{ConfigName}) != "":
		p.wrong(name, "settings are read from %s only; rename this file", ConfigName)
	}
}
