package lab

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed template/lab.md template/lab.zh.md
var template embed.FS

// Template returns the files of a new lab. It is valid, so authors can change it step by step.
func Template(id string) ([]File, error) {
	if !labID.MatchString(id) {
		return nil, fmt.Errorf("%q cannot be the id of a lab: use at most 40 of a-z, 0-9 and -", id)
	}
	var out []File
	for _, name := range []string{"lab.md", "lab.zh.md"} {
		data, err := template.ReadFile(path.Join("template", name))
		if err != nil {
			return nil, fmt.Errorf("template of a lab: %w", err)
		}
		out = append(out, File{Path: name, Mode: 0o644, Data: []byte(strings.ReplaceAll(string(data), "LAB_ID", id))})
	}
	return out, nil
}
