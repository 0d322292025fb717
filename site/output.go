package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// marker is the file that says a folder was made by a build and may be replaced by the next one. It holds a note.
const marker = ".sitegen"

// folder is an output folder in the making: a sibling of the real one, so that it can take its place in one step.
type folder struct {
	out, tmp string

	mu    sync.Mutex
	files int // guarded by mu, like those below
	bytes int64
	dirs  map[string]bool
	sizes map[string]int64
}

// newOutput makes sure that out may be replaced. Nothing is written before begin.
func newOutput(out string) (*folder, error) {
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
	return &folder{out: out, dirs: map[string]bool{}, sizes: map[string]int64{}}, nil
}

// begin makes the folder that the new site is written into.
func (f *folder) begin() error {
	if err := os.MkdirAll(filepath.Dir(f.out), 0o755); err != nil {
		return fmt.Errorf("making the output folder: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(f.out), "."+filepath.Base(f.out)+".new-")
	if err != nil {
		return fmt.Errorf("making the output folder: %w", err)
	}
	f.tmp = tmp
	if err := os.Chmod(tmp, 0o755); err != nil {
		f.discard()
		return fmt.Errorf("making the output folder: %w", err)
	}
	return nil
}

// write adds one file. name is slash-separated and relative. It is safe for concurrent use.
func (f *folder) write(name string, data []byte) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("the path %q leaves the output folder", name)
	}
	full := filepath.Join(f.tmp, filepath.FromSlash(name))
	f.mu.Lock()
	dir := filepath.Dir(full)
	made := f.dirs[dir]
	f.dirs[dir] = true
	if !made {
		// Within the lock, so that nobody writes into a folder that is still being made.
		if err := os.MkdirAll(dir, 0o755); err != nil {
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

// commit puts the new folder in the place of the old one, with a note of what it was made from.
func (f *folder) commit(digest string, report Report) error {
	note, err := json.Marshal(note{Digest: digest, Report: report, Sizes: f.sizes})
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

// discard removes what is left over: the unfinished folder, or after commit the old site.
func (f *folder) discard() {
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
