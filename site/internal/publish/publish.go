// Package publish replaces an output folder atomically. Files are written to a temporary sibling folder, which is then swapped
// with the old one. Readers, and a program that is killed, never leave or see a half-written site.
//
// The output folder contains a file called .sitegen with a digest of the build's input and the sizes of all files. A folder
// without this file is not overwritten unless it is empty. A folder whose digest and files still match need not be rebuilt.
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

// marker is the file that marks a folder as build output, which the next build may replace. It contains a note in JSON.
const marker = ".sitegen"

// Folder is an output folder that is being built.
type Folder struct {
	out, tmp string

	mu    sync.Mutex
	files int // guarded by mu, like those below
	bytes int64
	dirs  map[string]bool
	sizes map[string]int64
}

// New checks that out may be replaced. It writes nothing; Begin does.
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

// Begin creates the temporary folder that the new site is written to.
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
		// The lock is held, so no other goroutine writes into a folder that does not exist yet. Usually the parent exists, and
		// one system call is enough.
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
	// O_EXCL detects two pages with the same address, also on case-insensitive file systems.
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

// Written returns the number of files and bytes written so far.
func (f *Folder) Written() (files int, bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.files, f.bytes
}

// Commit replaces the old folder with the new one. digest identifies the input of the build; report is returned by Unchanged.
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

// Discard removes the temporary folder: the unfinished site, or after Commit the old one.
func (f *Folder) Discard() {
	if f.tmp != "" {
		_ = os.RemoveAll(f.tmp)
	}
}

// replace is the fallback where exchange can't swap folders atomically. It needs two renames, and between them there is no site.
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

// maxNote is the maximum size of a note in bytes. A larger one is not read.
const maxNote = 64 << 20

// errStray ends a directory walk at a file that was added or changed since the build.
var errStray = errors.New("changed since the build")

// note describes a finished build in its output folder.
type note struct {
	Digest string           // of all input of the build
	Report json.RawMessage  // the build's report
	Sizes  map[string]int64 // of all files in bytes, by path
}

// Unchanged reports whether the folder was built from the input that digest identifies and no file was added, removed or resized
// since. If so, it fills report with the report of that build.
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
