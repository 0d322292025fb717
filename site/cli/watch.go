package cli

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	pollInterval = 300 * time.Millisecond
	// quietTime is how long to wait for further changes before reporting any, because editors save
	// in several steps.
	quietTime = 5 * time.Millisecond
	// maxQuiet is how long changes may be delayed while others follow.
	maxQuiet = 60 * time.Millisecond
)

// change is a file or folder that may have changed, relative to a watched folder. The name "."
// means that anything may have changed.
type change struct{ dir, name string }

// watcher reports changes in folders. It uses the notifications of the operating system. Where
// these are not available, as on network file systems or beyond system limits, it polls names,
// sizes and modification times.
type watcher struct {
	dirs   []string
	events *fsnotify.Watcher // nil while polling
	seen   map[change]stamp  // the files at the last poll
}

type stamp struct {
	size  int64
	mtime time.Time
}

func newWatcher(dirs []string) *watcher {
	w := &watcher{dirs: dirs}
	events, err := fsnotify.NewWatcher()
	if err == nil {
		w.events = events
		for _, dir := range dirs {
			if remote(dir) || w.add(dir) != nil {
				w.compareInstead()
				return w
			}
		}
		return w
	}
	w.compareInstead()
	return w
}

// compareInstead switches to polling.
func (w *watcher) compareInstead() {
	w.close()
	w.events = nil
	w.seen = w.look()
}

func (w *watcher) close() {
	if w.events != nil {
		_ = w.events.Close() // nothing can be lost by an error here
	}
}

// add watches a folder and all folders below. Folders that can't be read are not part of a course.
func (w *watcher) add(dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case !d.IsDir():
			return nil
		case name != dir && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		}
		if err := w.events.Add(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// forget stops watching a folder that was deleted or renamed. For a renamed one, the system would
// report changes with the old name.
func (w *watcher) forget(dir string) {
	for _, name := range w.events.WatchList() {
		if name == dir || strings.HasPrefix(name, dir+string(filepath.Separator)) {
			_ = w.events.Remove(name) // it may be gone already
		}
	}
}

// watch calls tell with changes until ctx ends. Changes that happen together are reported together.
func (w *watcher) watch(ctx context.Context, tell func([]change)) {
	defer w.close()
	for ctx.Err() == nil {
		if w.events == nil {
			w.compare(ctx, tell)
		} else {
			w.listen(ctx, tell)
		}
	}
}

// listen reports the notifications of the operating system. It returns when these stop working.
func (w *watcher) listen(ctx context.Context, tell func([]change)) {
	quiet := time.NewTimer(time.Hour)
	defer quiet.Stop()
	var pending []change
	var first time.Time
	note := func(c change) {
		if len(pending) == 0 {
			first = time.Now()
		}
		pending = append(pending, c)
		quiet.Reset(max(0, min(quietTime, maxQuiet-time.Since(first))))
	}
	anything := func() {
		for _, dir := range w.dirs {
			note(change{dir, "."})
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-quiet.C:
			tell(pending)
			pending = nil
		case event, ok := <-w.events.Events:
			if !ok {
				return
			}
			if event.Op == fsnotify.Chmod {
				continue // caused by indexers and backups
			}
			c, ok := w.place(event.Name)
			if !ok {
				continue
			}
			if c.name == "." && event.Has(fsnotify.Remove|fsnotify.Rename) {
				// The watched folder itself is gone, and the watch with it. Poll until it comes
				// back.
				w.compareInstead()
				tell(append(pending, c))
				return
			}
			if event.Has(fsnotify.Remove | fsnotify.Rename) {
				w.forget(event.Name)
			}
			if event.Has(fsnotify.Create) {
				if err := w.add(event.Name); err != nil {
					w.compareInstead()
					tell(append(pending, change{c.dir, "."}))
					return
				}
			}
			note(c)
		case _, ok := <-w.events.Errors:
			if !ok {
				return
			}
			anything() // events were lost
		}
	}
}

// place returns the watched folder that a path is in. ok is false for hidden files, which are not
// part of a course.
func (w *watcher) place(name string) (change, bool) {
	for _, dir := range w.dirs {
		rel, err := filepath.Rel(dir, name)
		if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			continue
		}
		rel = filepath.ToSlash(rel)
		hidden := rel != "." && (strings.HasPrefix(rel, ".") || strings.Contains(rel, "/."))
		return change{dir, rel}, !hidden
	}
	return change{}, false
}

// compare polls, and reports differences.
func (w *watcher) compare(ctx context.Context, tell func([]change)) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := w.look()
		var changes []change
		for c, s := range now {
			if old, ok := w.seen[c]; !ok || old != s {
				changes = append(changes, c)
			}
		}
		for c := range w.seen {
			if _, ok := now[c]; !ok {
				changes = append(changes, c)
			}
		}
		w.seen = now
		if len(changes) > 0 {
			tell(changes)
		}
	}
}

// look returns the sizes and times of all files. Files that can't be read are missing.
func (w *watcher) look() map[change]stamp {
	seen := map[change]stamp{}
	for _, dir := range w.dirs {
		_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			c, ok := w.place(name)
			if !ok && d.IsDir() {
				return filepath.SkipDir
			}
			if info, err := d.Info(); err == nil && ok {
				seen[c] = stamp{size: info.Size(), mtime: info.ModTime()}
				if d.IsDir() {
					seen[c] = stamp{} // the time of a folder changes with its files
				}
			}
			return nil
		})
	}
	return seen
}
