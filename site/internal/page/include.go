package page

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// maxInclude is the size limit of an included file, in bytes.
const maxInclude = 4 << 20

// includer returns the function through which a file of the content tree includes others. Names are
// relative to the file, or to its language's folder if they begin with /. If the language doesn't
// have the file, the default language's is used, so translations can share code.
func (m *Maker) includer(lang, name string) func(string) (markdown.Included, error) {
	return func(target string) (markdown.Included, error) {
		var inc markdown.Included
		own, _, _ := strings.Cut(name, "/")
		rel := path.Join(path.Dir(name), target)
		if strings.HasPrefix(target, "/") {
			rel = path.Join(own, path.Clean(target))
		}
		if !fs.ValidPath(rel) || strings.ContainsAny(rel, "\\\x00") {
			return inc, fmt.Errorf("%q is not in the content folder; only its files can be included", target)
		}
		candidates := []string{rel}
		if l, rest, ok := strings.Cut(rel, "/"); ok && l == own && own != m.opts.DefaultLang {
			candidates = append(candidates, path.Join(m.opts.DefaultLang, rest))
		}
		for _, file := range candidates {
			inc.File = m.src.Called(file)
			inc.Looked = append(inc.Looked, file)
			data, err := readPlain(m.src.Content, file)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return inc, fmt.Errorf("%s can't be included: %w", inc.File, err)
			}
			inc.Data, inc.Resolve, inc.Include = data, m.resolver(lang, file), m.includer(lang, file)
			return inc, nil
		}
		return inc, fmt.Errorf("there is no file %q%s", target, m.nearFile(rel))
	}
}

// labIncluder returns the function through which a text of a lab, in the folder dir of the lab,
// includes others. Only files that were read with the lab can be included, so none outside of its
// folder.
func (m *Maker) labIncluder(lang string, l *lab.Lab, dir string) func(string) (markdown.Included, error) {
	return func(target string) (markdown.Included, error) {
		rel := path.Join(dir, target)
		if strings.HasPrefix(target, "/") {
			rel = path.Clean(target)[1:]
		}
		inc := markdown.Included{File: path.Join(l.Dir, rel)}
		if !fs.ValidPath(rel) || strings.ContainsAny(rel, "\\\x00") {
			return inc, fmt.Errorf("%q is not in the lab's folder; only its files can be included", target)
		}
		files := l.Includable()
		data, ok := files[rel]
		if !ok {
			return inc, fmt.Errorf("there is no file %q in this lab; only files in files/ and files that begin with _ can be included%s", target, source.DidYouMean(rel, slices.Sorted(maps.Keys(files))))
		}
		inc.Data, inc.Resolve, inc.Include = data, m.resolver(lang, ""), m.labIncluder(lang, l, path.Dir(rel))
		return inc, nil
	}
}

// nearFile suggests a file with a similar name in the same folder.
func (m *Maker) nearFile(name string) string {
	entries, err := fs.ReadDir(m.src.Content, path.Dir(name))
	if err != nil {
		return fmt.Sprintf(": there is no folder %s", m.src.Called(path.Dir(name)))
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return source.DidYouMean(path.Base(name), names)
}

// readPlain reads a regular file. It refuses symbolic links anywhere in the path, because they
// could lead out of the tree.
func readPlain(fsys fs.FS, name string) ([]byte, error) {
	for i := range name {
		if name[i] != '/' {
			continue
		}
		if info, err := fs.Lstat(fsys, name[:i]); err != nil {
			return nil, err
		} else if !info.IsDir() {
			return nil, fmt.Errorf("%s is not a plain folder", name[:i])
		}
	}
	info, err := fs.Lstat(fsys, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a plain file")
	case info.Size() > maxInclude:
		return nil, fmt.Errorf("it has %d bytes; at most %d MiB", info.Size(), maxInclude>>20)
	}
	return fs.ReadFile(fsys, name)
}
