// Package content holds the lessons and labs, embedded into the programs that serve and build it. Only commands
// import it; everything else takes an fs.FS.
package content

import (
	"embed"
	"io/fs"
)

//go:embed all:content all:labs
var files embed.FS

// Content returns the lessons: <lang>/<module>/<lesson>.md.
func Content() fs.FS { return sub("content") }

// Labs returns the labs: <id>/lab.md.
func Labs() fs.FS { return sub("labs") }

func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // only an invalid path is an error
	}
	return f
}
