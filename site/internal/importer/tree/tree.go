// Package tree lists and reads the files of a source.
//
// The source is untrusted. Only plain files are listed, symbolic links are not followed, hidden
// files and node_modules are skipped, and no path leaves the tree.
package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
)

// Limits on the source.
const (
	MaxFiles = 50_000  // files in the tree
	MaxText  = 2 << 20 // bytes of one file of text
)

// Tree is the plain files of a source.
type Tree struct {
	FS     fs.FS
	Files  map[string]int64    // sizes of the files, by path
	Folded map[string]string   // lower-case path to path
	Names  map[string][]string // paths by lower-case base name; pages without their ending
	log    *report.Log
}

// List lists the plain files of src. Files that it skips are reported to log.
func List(ctx context.Context, src fs.FS, log *report.Log) (*Tree, error) {
	t := &Tree{FS: src, Files: map[string]int64{}, Folded: map[string]string{}, Names: map[string][]string{}, log: log}
	err := fs.WalkDir(src, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && name != "." {
				return nil
			}
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		base := path.Base(name)
		if name != "." && strings.HasPrefix(base, ".") || base == "node_modules" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		if !d.Type().IsRegular() {
			t.log.Addf(report.FileUnused, source.Error{File: name}, "is left out: it is a symbolic link or a device, and only plain files are read")
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // vanished
		}
		if len(t.Files) >= MaxFiles {
			return fmt.Errorf("the source has more than %d files", MaxFiles)
		}
		t.Files[name] = info.Size()
		if low := strings.ToLower(name); t.Folded[low] == "" {
			t.Folded[low] = name
		}
		if stem, ok := PageStem(base); ok {
			low := strings.ToLower(stem)
			t.Names[low] = append(t.Names[low], name)
		} else {
			low := strings.ToLower(base)
			t.Names[low] = append(t.Names[low], name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	return t, nil
}

// PageStem returns the name of a page without its extension, and false for other files.
func PageStem(base string) (string, bool) {
	for _, ext := range []string{".md", ".mdx", ".markdown"} {
		if len(base) > len(ext) && strings.EqualFold(base[len(base)-len(ext):], ext) {
			return base[:len(base)-len(ext)], true
		}
	}
	return base, false
}

// IsPage reports whether a file is a page.
func IsPage(name string) bool { _, ok := PageStem(path.Base(name)); return ok }

// Read returns the text of a listed file, with LF line ends and without byte order mark. If the
// file cannot be used, refused says why.
func (t *Tree) Read(name string) (text, refused string) {
	size, ok := t.Files[name]
	if !ok {
		return "", "it does not exist, or is a link"
	}
	if size > MaxText {
		return "", fmt.Sprintf("it is larger than %d MiB", MaxText>>20)
	}
	f, err := t.FS.Open(name)
	if err != nil {
		return "", fmt.Sprintf("it cannot be read: %v", err)
	}
	defer func() { _ = f.Close() }() // read-only
	data, err := io.ReadAll(io.LimitReader(f, MaxText+1))
	if err != nil {
		return "", fmt.Sprintf("it cannot be read: %v", err)
	}
	if len(data) > MaxText {
		return "", fmt.Sprintf("it is larger than %d MiB", MaxText>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(data, 0) >= 0 {
		return "", "it has NUL bytes, so it is not a text file"
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	return string(data), ""
}

// Lines reads a file as lines. Bytes that are not UTF-8 are replaced and reported.
func (t *Tree) Lines(name string) ([]syntax.Line, string) {
	text, refused := t.Read(name)
	if refused != "" {
		return nil, refused
	}
	var out []syntax.Line
	for i, s := range strings.Split(text, "\n") {
		l := syntax.Line{Text: s, File: name, N: i + 1, Src: s}
		if !utf8.ValidString(s) {
			t.log.Addf(report.UndecodableText, l.Place(), "the line is not UTF-8; invalid bytes became \uFFFD")
			l.Text = strings.ToValidUTF8(s, "\uFFFD")
		}
		out = append(out, l)
	}
	if n := len(out); n > 0 && out[n-1].Text == "" {
		out = out[:n-1]
	}
	return out, ""
}

// First returns the first of the named files that exists in one of the folders, or "".
func First(src fs.FS, folders, names []string) string {
	for _, dir := range folders {
		for _, name := range names {
			if info, err := fs.Stat(src, path.Join(dir, name)); err == nil && info.Mode().IsRegular() {
				return path.Join(dir, name)
			}
		}
	}
	return ""
}

// IsDir reports whether a folder exists.
func (t *Tree) IsDir(name string) bool {
	info, err := fs.Stat(t.FS, name)
	return err == nil && info.IsDir()
}

// Dirs lists the visible folders in a folder.
func (t *Tree) Dirs(name string) []string {
	entries, err := fs.ReadDir(t.FS, name)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	return out
}

// Join joins a relative path to a folder. If the result is outside the source, refused says so.
func Join(dir, name string) (file, refused string) {
	if strings.ContainsAny(name, "\x00\\") || name == "" {
		return "", "its name is not one of a file"
	}
	if strings.HasPrefix(name, "/") {
		return "", "it is outside the source"
	}
	file = path.Join(dir, name)
	if file == ".." || strings.HasPrefix(file, "../") {
		return "", "it is outside the source"
	}
	return file, ""
}
