package lab

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed template/lab.md template/lab.zh.md
var template embed.FS

// Template returns the files of a new lab: a valid one, to be changed.
func Template(id string) ([]File, error) {
	if !labID.MatchString(id) {
		return nil, fmt.Errorf("%q cannot be a lab's id: use a-z, 0-9 and -, at most 40", id)
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
