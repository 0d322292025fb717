package course

import (
	"net/url"
	"path"
	"strings"

	"github.com/labd-dev/labd/internal/source"
)

// Config is the settings in course.toml. All are optional; these are the defaults:
//
//	html = false        true outputs HTML in texts unchanged, false shows it as text; scripts in it never run
//	strict = false      true turns warnings into mistakes
//	edit = ""           URL pattern for editing a file, such as "https://example.org/repo/edit/main/content/{file}"
//
//	[external]
//	skip = []           URL prefixes of links that are not checked
type Config struct {
	HTML   bool
	Strict bool
	Edit   string

	External External
}

// External is the settings for links to other sites.
type External struct {
	Skip []string // URL prefixes that are not checked
}

// configFront is the structure of course.toml.
type configFront struct {
	HTML     bool          `toml:"html"`
	Strict   bool          `toml:"strict"`
	Edit     string        `toml:"edit"`
	External *source.Table `toml:"external"`
}

// parseConfig parses course.toml.
func parseConfig(file string, content []byte, errs *source.List) (*source.Document, *Config) {
	var own source.List
	doc := source.Split(file, content, &own)
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
		root.Errorf("edit", `edit must be a URL that contains {file}, such as "https://example.org/repo/edit/main/content/{file}"`)
	}
	config.HTML, config.Strict, config.Edit = c.HTML, c.Strict, c.Edit
	if c.External != nil {
		skip := c.External.Strings("skip")
		for i, s := range skip {
			if !isWeb(s) {
				c.External.Report(c.External.Element("skip", i), `skip must be a list of URL prefixes, such as ["https://example.org/"]`)
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

// checkRoot reports a file outside the languages' folders that is probably in the wrong place.
func (p *piece) checkRoot(name string) {
	switch {
	case path.Ext(name) == ".md":
		p.wrong(name, "lessons must be in the folder of their language: %s/%s/<module>/%s", p.tree.src.Name, p.tree.src.DefaultLang, name)
	case path.Ext(strings.ToLower(name)) == ".toml" || source.Nearest(strings.ToLower(name), []string{ConfigName}) != "":
		p.wrong(name, "settings are read from %s only; rename this file", ConfigName)
	}
}
