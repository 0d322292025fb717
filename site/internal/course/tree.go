package course

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/internal/source"
)

// maxText is how many bytes of a file are read. Package markdown refuses files of that size.
const maxText = 4<<20 + 1

// settled is how old a file must be before an equal size and time mean that it has not changed.
// Timestamps of file systems are coarse, so a file can change twice within one.
const settled = 2 * time.Second

// Source is the location of a tree.
type Source struct {
	Content     fs.FS
	Name        string // its name in messages; "content" if empty
	DefaultLang string // "en" if empty
	Workers     int    // files read concurrently; the number of processors if 0
}

// Tree is a content tree as of the last Refresh. It is not safe for concurrent use.
type Tree struct {
	src   Source
	files map[string]*file
	// Caches for models:
	folders map[string]*folder // nil if all files have to be assigned to folders again
	courses map[string]bool    // names of further courses
	drafts  bool               // the cached pieces include drafts
}

// file is a cached file. It does not change.
type file struct {
	name  string
	parts []string
	info  stamp
	link  bool // a symbolic link or another special file
	doc   *source.Document
	front Front
	// config is the content of course.toml, nil for other files.
	config *Config
	errs   source.List
}

// stamp is a file's size and modification time, and when they were read.
type stamp struct {
	size      int64
	mtime, at time.Time
}

// same reports whether a file with the stamp now has certainly not changed.
func (s stamp) same(now stamp) bool {
	return s.size == now.size && s.mtime.Equal(now.mtime) && !s.mtime.IsZero() && s.at.Sub(s.mtime) > settled
}

// NewTree returns an empty tree. Refresh reads it.
func NewTree(src Source) *Tree {
	src.Name, src.DefaultLang = cmp.Or(src.Name, "content"), cmp.Or(src.DefaultLang, "en")
	if src.Workers <= 0 {
		src.Workers = runtime.GOMAXPROCS(0)
	}
	return &Tree{src: src, files: map[string]*file{}}
}

// Load reads a tree once.
func Load(ctx context.Context, src Source) (*Tree, error) {
	t := NewTree(src)
	_, err := t.Refresh(ctx)
	return t, err
}

// Refresh reads the files that changed, among the named files and folders or, without names, in the
// whole tree. It returns the sorted names of the files that are new, changed or gone. Named files
// are read even if their size and time are the same. If the tree can't be read at all, the error
// says so and the tree stays as it was.
func (t *Tree) Refresh(ctx context.Context, names ...string) ([]string, error) {
	named := len(names) > 0
	if !named {
		names = []string{"."}
	}
	type found struct {
		name  string
		entry fs.DirEntry
		err   error
	}
	var all []found
	var roots []string
	for _, name := range names {
		name = t.plain(path.Clean(name))
		if !fs.ValidPath(name) {
			return nil, fmt.Errorf("looking at %s: %w", name, fs.ErrInvalid)
		}
		roots = append(roots, name)
		if hidden(name) {
			continue
		}
		err := fs.WalkDir(lstatFS{t.src.Content}, name, func(name string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && name != ".":
				// Editors delete and create files when they save, so a file may be gone after it
				// was listed.
				return nil
			case err != nil && name != ".":
				all = append(all, found{name: name, err: err})
				return nil
			case err != nil:
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if hidden(path.Base(name)) {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if !d.IsDir() {
				all = append(all, found{name: name, entry: d})
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading the content: %w", err)
		}
	}
	read := make([]*file, len(all))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(t.src.Workers)
	for i, f := range all {
		old := t.files[f.name]
		if f.err != nil {
			read[i] = t.unreadable(f.name, f.err)
			continue
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			read[i] = t.read(f.name, f.entry, old, named)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("reading the content: %w", err)
	}
	return t.replace(roots, read, named), nil
}

// Reworded returns the current version of a text. ok reports whether only pages that show the text
// or its title depend on the change: nothing but body, title, summary and authors changed, and the
// file has no mistakes.
func (t *Tree) Reworded(text *Text) (Text, bool) {
	now := *text
	f := t.files[text.Name]
	if f == nil || f.doc == nil || f.config != nil || len(f.errs) > 0 {
		return now, false
	}
	var none source.List
	old := frontOf(text.Name, text.Doc, &none)
	now.Doc = f.doc
	now.Title, now.Summary, now.Authors = f.front.Title, f.front.Summary, f.front.Authors
	old.Title, old.Summary, old.Authors = now.Title, now.Summary, now.Authors
	return now, reflect.DeepEqual(old, f.front)
}

// replace replaces all cached files at and below roots by the files that were read, and returns the
// names of those that changed.
func (t *Tree) replace(roots []string, read []*file, named bool) []string {
	var changed []string
	var folders []string // roots below which files may be gone
	now := make(map[string]bool, len(read))
	for _, f := range read {
		if f != nil {
			now[f.name] = true
		}
	}
	for _, root := range roots {
		// In the most common case, a single file was named that existed before and still does.
		if t.files[root] == nil || !now[root] {
			folders = append(folders, root)
		}
	}
	for _, f := range read {
		if f == nil {
			continue
		}
		old := t.files[f.name]
		t.files[f.name] = f
		t.put(old, f)
		switch {
		case old == nil:
			changed = append(changed, f.name)
		case old.doc != f.doc, f.doc == nil && (named || old.info.size != f.info.size || !old.info.mtime.Equal(f.info.mtime) || old.link != f.link):
			changed = append(changed, f.name)
		}
	}
	for _, root := range folders {
		for name := range t.files {
			if (root == "." || name == root || strings.HasPrefix(name, root+"/")) && !now[name] {
				t.put(t.files[name], nil)
				delete(t.files, name)
				changed = append(changed, name)
			}
		}
	}
	slices.Sort(changed)
	return slices.Compact(changed)
}

// read returns the file with a name: old if it has not changed, nil if it is gone.
func (t *Tree) read(name string, d fs.DirEntry, old *file, named bool) *file {
	info, err := d.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return t.unreadable(name, err)
	}
	f := &file{name: name, parts: strings.Split(name, "/"), info: stamp{size: info.Size(), mtime: info.ModTime(), at: time.Now()}}
	if old != nil && !named && old.info.same(f.info) && old.link == !info.Mode().IsRegular() {
		return old
	}
	if !info.Mode().IsRegular() {
		f.link = true
		f.errs.Add(&source.Error{File: t.file(name), Msg: "symbolic links are not followed; replace the link by a copy of the file"})
		return f
	}
	if name != ConfigName && (path.Ext(name) != ".md" || len(f.parts) == 1 || isPartial(f.parts)) {
		return f
	}
	content, err := readText(t.src.Content, name, info.Size())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return t.unreadable(name, err)
	}
	if old != nil && old.doc != nil && bytes.Equal(old.doc.Content, content) {
		again := *old
		again.info = f.info
		return &again
	}
	t.parse(f, content)
	return f
}

// parse sets the fields of f that depend only on its content.
func (t *Tree) parse(f *file, content []byte) {
	if f.name == ConfigName {
		f.doc, f.config = parseConfig(t.file(f.name), content, &f.errs)
		return
	}
	f.doc = source.Split(t.file(f.name), content, &f.errs)
	f.front = frontOf(f.name, f.doc, &f.errs)
	if f.front.Title == "" && len(f.errs) == 0 {
		f.errs.Add(source.At(f.doc.File, f.doc.Content, 1, 0, `the title is missing; write title = "…" between two lines of +++ at the top`))
	}
}

// frontOf decodes the front matter of a text.
func frontOf(name string, doc *source.Document, errs *source.List) (f Front) {
	switch _, inLang, _ := strings.Cut(name, "/"); {
	case inLang == GlossaryName:
		var g glossaryFront
		doc.DecodeFront(&g, errs)
		return Front{Title: g.Title, Summary: g.Summary, Weight: g.Weight, Draft: g.Draft}
	case inLang == IndexName:
		var h homeFront
		doc.DecodeFront(&h, errs)
		return Front{Title: h.Title, Summary: h.Summary, Weight: h.Weight, Draft: h.Draft, Outdated: h.Outdated, Footer: h.Footer}
	case path.Base(name) == IndexName:
		var m moduleFront
		doc.DecodeFront(&m, errs)
		return Front{Title: m.Title, Summary: m.Summary, Weight: m.Weight, Draft: m.Draft, Outdated: m.Outdated, Part: m.Part}
	}
	doc.DecodeFront(&f, errs)
	return f
}

func (t *Tree) unreadable(name string, err error) *file {
	f := &file{name: name, parts: strings.Split(name, "/"), link: true}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	f.errs.Add(&source.Error{File: t.file(name), Msg: fmt.Sprintf("can't be read: %v", err)})
	return f
}

// file returns the name of a file in messages.
func (t *Tree) file(name string) string { return path.Join(t.src.Name, name) }

// plain returns name, or the first of its parents that is not a real folder. A symbolic link could
// lead out of the tree.
func (t *Tree) plain(name string) string {
	for i := range name {
		if name[i] == '/' {
			if info, err := fs.Lstat(t.src.Content, name[:i]); err != nil || !info.IsDir() {
				return name[:i]
			}
		}
	}
	return name
}

func hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part != "." && strings.HasPrefix(part, ".") {
			return true
		}
	}
	return false
}

// readText reads a file of about size bytes into a buffer without spare room, because the tree
// keeps it.
func readText(fsys fs.FS, name string, size int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	b.Grow(int(min(max(size, 0), maxText)) + bytes.MinRead)
	_, err = b.ReadFrom(io.LimitReader(f, maxText))
	return b.Bytes(), err
}

// lstatFS makes fs.WalkDir not follow a symbolic link at which a walk begins.
type lstatFS struct{ fs.FS }

// Stat implements fs.StatFS.
func (l lstatFS) Stat(name string) (fs.FileInfo, error) {
	if name == "." {
		return fs.Stat(l.FS, name)
	}
	return fs.Lstat(l.FS, name)
}

// ReadDir implements fs.ReadDirFS.
func (l lstatFS) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(l.FS, name) }
