package site

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// marker is the file that says a folder was made by a build, and may be replaced by the next one.
const marker = ".sitegen"

// folder is an output folder in the making: a sibling of the real one, so that it can take its place in one step.
type folder struct {
	out, tmp string
	files    int
	bytes    int64
	dirs     map[string]bool
}

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
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return nil, fmt.Errorf("making the output folder: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(out), "."+filepath.Base(out)+".new-")
	if err != nil {
		return nil, fmt.Errorf("making the output folder: %w", err)
	}
	f := &folder{out: out, tmp: tmp, dirs: map[string]bool{}}
	if err := os.Chmod(tmp, 0o755); err != nil {
		f.discard()
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(tmp, marker), []byte("made by sitegen; the next build replaces this folder\n"), 0o644); err != nil {
		f.discard()
		return nil, err
	}
	return f, nil
}

// write adds one file. name is slash-separated and relative.
func (f *folder) write(name string, data []byte) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("the path %q leaves the output folder", name)
	}
	full := filepath.Join(f.tmp, filepath.FromSlash(name))
	if dir := filepath.Dir(full); !f.dirs[dir] {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("writing the site: %w", err)
		}
		f.dirs[dir] = true
	}
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
	f.files++
	f.bytes += int64(len(data))
	return nil
}

// commit puts the new folder in the place of the old one.
func (f *folder) commit() error {
	if err := exchange(f.tmp, f.out); err != nil {
		return fmt.Errorf("putting the new site in place: %w", err)
	}
	return nil
}

// discard removes what is left over: the unfinished folder, or after commit the old site.
func (f *folder) discard() { _ = os.RemoveAll(f.tmp) }

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
