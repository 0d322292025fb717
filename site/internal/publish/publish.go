// Package publish replaces a folder as a whole: files are written into a sibling of it, which takes its place in one step.
// So a reader, or whatever ends the program, never sees half of the new files.
//
// The folder carries a note of what it was made from, in a file called .sitegen. It tells whether the folder may be replaced
// at all, and whether it has to be.
package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// marker is the file that says a folder was made by a build and may be replaced by the next one. It holds a note.
const marker = ".sitegen"

// Folder is an output folder in the making.
type Folder struct {
	out, tmp string

	mu    sync.Mutex
	files int // guarded by mu, like those below
	bytes int64
	dirs  map[string]bool
	sizes map[string]int64
}

// New makes sure that out may be replaced. Nothing is written before Begin.
func New(out string) (*Folder, error) {
	out, err := filepath.Abs(out)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(out)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("the output folder can't be used: %w", err)
	case len(entries) > 0:
		if _, err := os.Stat(filepath.Join(out, marker)); err != nil {
			return nil, fmt.Errorf("%s is not empty and was not made by sitegen; choose another output folder or empty it", out)
		}
	}
	return &Folder{out: out, dirs: map[string]bool{}, sizes: map[string]int64{}}, nil
}

// Begin makes the folder that the new site is written into.
func (f *Folder) Begin() error {
	if err := os.MkdirAll(filepath.Dir(f.out), 0o755); err != nil {
		return fmt.Errorf("making the output folder: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(f.out), "."+filepath.Base(f.out)+".new-")
	if err != nil {
		return fmt.Errorf("making the output folder: %w", err)
	}
	f.tmp = tmp
	if err := os.Chmod(tmp, 0o755); err != nil {
		f.Discard()
		return fmt.Errorf("making the output folder: %w", err)
	}
	return nil
}

// Write adds one file. name is slash-separated and relative. It is safe for concurrent use.
func (f *Folder) Write(name string, data []byte) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("the path %q leaves the output folder", name)
	}
	full := filepath.Join(f.tmp, filepath.FromSlash(name))
	f.mu.Lock()
	dir := filepath.Dir(full)
	made := f.dirs[dir]
	f.dirs[dir] = true
	if !made {
		// Within the lock, so that nobody writes into a folder that is still being made. Most often the folder above is there.
		err := os.Mkdir(dir, 0o755)
		if err != nil && !errors.Is(err, os.ErrExist) {
			err = os.MkdirAll(dir, 0o755)
		}
		if err != nil && !errors.Is(err, os.ErrExist) {
			f.mu.Unlock()
			return fmt.Errorf("writing the site: %w", err)
		}
	}
	f.mu.Unlock()
	// O_EXCL finds two pages that want the same address, also on file systems that ignore case.
	file, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("two pages have the address /%s; rename one", name)
		}
		return fmt.Errorf("writing the site: %w", err)
	}
	_, err = file.Write(data)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("writing the site: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files++
	f.bytes += int64(len(data))
	f.sizes[name] = int64(len(data))
	return nil
}

// Written returns how many files and bytes were written.
func (f *Folder) Written() (files int, bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.files, f.bytes
}

// Commit puts the new folder in the place of the old one, with a note of what it was made from.
func (f *Folder) Commit(digest string, report any) error {
	raw, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("putting the new site in place: %w", err)
	}
	note, err := json.Marshal(note{Digest: digest, Report: raw, Sizes: f.sizes})
	if err != nil {
		return fmt.Errorf("putting the new site in place: %w", err)
	}
	if err := os.WriteFile(filepath.Join(f.tmp, marker), note, 0o644); err != nil {
		return fmt.Errorf("putting the new site in place: %w", err)
	}
	if err := exchange(f.tmp, f.out); err != nil {
		return fmt.Errorf("putting the new site in place: %w", err)
	}
	return nil
}

// Discard removes what is left over: the unfinished folder, or after Commit the old site.
func (f *Folder) Discard() {
	if f.tmp != "" {
		_ = os.RemoveAll(f.tmp)
	}
}

// replace is exchange in two steps, for systems and file systems that can't do it in one: between them there is no site.
func replace(tmp, out string) error {
	old := tmp + ".old"
	err := os.Rename(out, old)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	hadOld := err == nil
	if err := os.Rename(tmp, out); err != nil {
		if hadOld {
			_ = os.Rename(old, out)
		}
		return err
	}
	return os.RemoveAll(old)
}

// maxNote bounds the note that is read back from an output folder.
const maxNote = 64 << 20

// errStray ends a walk at a file that is not as it was written.
var errStray = errors.New("not as written")

// note is what a build leaves in its output folder.
type note struct {
	Digest string           // of everything the site was made from
	Report json.RawMessage  // what the build reported
	Sizes  map[string]int64 // of its files
}

// Unchanged says whether the folder was made from what digest stands for and still has all its files. It then fills report
// with what Commit was given.
func (f *Folder) Unchanged(digest string, report any) bool {
	name := filepath.Join(f.out, marker)
	info, err := os.Stat(name)
	if err != nil || info.Size() > maxNote {
		return false
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return false
	}
	var n note
	if json.Unmarshal(data, &n) != nil || n.Digest != digest {
		return false
	}
	found := 0
	err = filepath.WalkDir(f.out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == name {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(f.out, path)
		if err != nil {
			return err
		}
		if size, ok := n.Sizes[filepath.ToSlash(rel)]; !ok || size != info.Size() {
			return errStray
		}
		found++
		return nil
	})
	return err == nil && found == len(n.Sizes) && json.Unmarshal(n.Report, report) == nil
}
