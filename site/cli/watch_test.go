package cli

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestWatcherReportsChanges changes files as editors do, with notifications of the system and with
// polling.
func TestWatcherReportsChanges(t *testing.T) {
	for name, compare := range map[string]bool{"told by the system": false, "by comparing": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) {
				t.Helper()
				full := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			rename := func(from, to string) {
				t.Helper()
				if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
					t.Fatal(err)
				}
			}
			write("en/m/l.md", "one")
			w := newWatcher([]string{dir})
			if compare {
				w.compareInstead()
			}
			var mu sync.Mutex
			told := map[string]bool{}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				w.watch(ctx, func(changes []change) {
					mu.Lock()
					defer mu.Unlock()
					for _, c := range changes {
						told[c.name] = true
					}
				})
			}()
			defer func() { stop(); <-done }()
			hears := func(what string, names ...string) {
				t.Helper()
				for _, name := range names {
					until(t, what+": "+name, func() bool {
						mu.Lock()
						defer mu.Unlock()
						return told[name]
					})
				}
				mu.Lock()
				defer mu.Unlock()
				clear(told)
			}
			write("en/m/l.md", "another text")
			hears("a file that is written", "en/m/l.md")
			write("en/m/l.md.tmp", "saved by renaming")
			rename("en/m/l.md.tmp", "en/m/l.md")
			hears("a file that takes another's place", "en/m/l.md")
			write("en/new/deep/x.md", "in a new folder")
			until(t, "a new folder is heard of", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return told["en/new"] || told["en/new/deep/x.md"]
			})
			write("en/new/deep/x.md", "again, in the folder that was new")
			hears("a file in a new folder", "en/new/deep/x.md")
			rename("en/new", "en/other")
			hears("a folder that is renamed", "en/other", "en/new")
			write("en/other/deep/x.md", "below its new name")
			hears("a file in it", "en/other/deep/x.md")
			if err := os.Remove(filepath.Join(dir, "en/m/l.md")); err != nil {
				t.Fatal(err)
			}
			hears("a file that is gone", "en/m/l.md")
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			hears("the whole folder's end", ".")
			write("en/m/back.md", "all is back")
			hears("its return", ".")
			write("en/m/back.md", "and goes on")
			hears("a file in it", "en/m/back.md")
		})
	}
}
