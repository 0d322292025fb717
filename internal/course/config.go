package course

import (
	"labd/internal/markdown"
	"labd/internal/source"
)

// Config is what course.toml sets:
//
//	html = false                                                  HTML in texts is shown as text, not interpreted
//	strict = false                                                warnings are errors
//	edit = "https://example.org/repo/edit/main/content/{file}"    where a text can be edited; {file} is its name in the tree
//
//	[external]
//	skip = ["https://example.org/"]                               links outside that begin so are not tried
type Config struct {
	HTML     bool     `toml:"html"`
	Strict   bool     `toml:"strict"`
	Edit     string   `toml:"edit"`
	External External `toml:"external"`
}

// External is how links to other sites are checked.
type External struct {
	Skip []string `toml:"skip"`
}

// parseConfig is a stand-in until settings are read.
func parseConfig(file string, content []byte, errs *source.List) (*markdown.Document, *Config) {
	return markdown.Split(file, content, errs), &Config{}
}
