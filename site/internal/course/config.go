package course

import (
	"net/url"
	"path"
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
	HTML     bool          `toml:"html"`
	Strict   bool          `toml:"strict"`
	Edit     string        `toml:"edit"`
	External *source.Table `toml:"external"`
}

// parseConfig reads course.toml.
func parseConfig(file string, content []byte, errs *source.List) (*markdown.Document, *Config) {
	var own source.List
	doc := markdown.Split(file, content, &own)
	if len(own) > 0 {
		*errs = append(*errs, own...)
		return doc, &Config{}
	}
	config := &Config{}
	root := source.ParseTOML(file, doc.Content, doc.Content, 1, errs)
	if root == nil {
		return doc, config
	}
	var c configFront
	root.Decode(&c)
	if c.Edit != "" && (!isWeb(c.Edit) || !strings.Contains(c.Edit, "{file}")) {
		root.Errorf("edit", `edit must be an address with {file} in it, such as "https://example.org/repo/edit/main/content/{file}"`)
	}
	config.HTML, config.Strict, config.Edit = c.HTML, c.Strict, c.Edit
	if c.External != nil {
		skip := c.External.Strings("skip")
		for i, s := range skip {
			if !isWeb(s) {
				c.External.Report(c.External.Element("skip", i), `skip must be a list of how addresses begin, such as ["https://example.org/"]`)
				skip = nil
				break
			}
		}
		config.External.Skip = skip
		c.External.Done()
	}
	return doc, config
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
