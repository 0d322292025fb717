package publish_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/labd-dev/labd/site/internal/publish"
)

type report struct{ N int }

func put(t *testing.T, out, digest string, files map[string]string) {
	t.Helper()
	f, err := publish.New(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Begin(); err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	for name, text := range files {
		if err := f.Write(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Commit(digest, report{len(files)}); err != nil {
		t.Fatal(err)
	}
}

// TestReplacingIsAtomic reads while the folder is replaced again and again.
func TestReplacingIsAtomic(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	put(t, out, "0", map[string]string{"a": "0", "d/b": "0"})
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			// One handle sees one version: the folder it refers to is never written to again.
			root, err := os.OpenRoot(out)
			if err != nil {
				t.Errorf("the folder was away: %v", err)
				return
			}
			a, errA := root.ReadFile("a")
			b, errB := root.ReadFile("d/b")
			// The old version may be removed while it is read, but versions are never mixed.
			if errA == nil && errB == nil && string(a) != string(b) {
				t.Errorf("%s and %s in one folder", a, b)
			}
			_ = root.Close()
		}
	})
	for i := range 50 {
		v := strings.Repeat("x", i+1)
		put(t, out, v, map[string]string{"a": v, "d/b": v})
	}
	close(stop)
	reader.Wait()
	entries, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(entries) != 1 {
		t.Errorf("left beside the folder: %v, %v", entries, err)
	}
}

func TestUnchanged(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	put(t, out, "one", map[string]string{"a": "1", "d/b": "22"})
	check := func(what, digest string, want bool) {
		t.Helper()
		f, err := publish.New(out)
		if err != nil {
			t.Fatal(err)
		}
		var r report
		if got := f.Unchanged(digest, &r); got != want || want && r.N != 2 {
			t.Errorf("%s: %v, %+v", what, got, r)
		}
	}
	check("the same", "one", true)
	check("another digest", "two", false)
	if err := os.WriteFile(filepath.Join(out, "stray"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	check("a stray file", "one", false)
	if err := os.Remove(filepath.Join(out, "stray")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, ".sitegen"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	check("a broken note", "one", false)
}

func TestPathsStayInside(t *testing.T) {
	f, err := publish.New(filepath.Join(t.TempDir(), "site"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Begin(); err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	for _, name := range []string{"../x", "/etc/x", "a/../../x", ""} {
		if err := f.Write(name, nil); err == nil {
			t.Errorf("%q was written", name)
		}
	}
}

func TestUnwritableFolders(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.New(file); err == nil {
		t.Error("a file was taken for a folder")
	}
	f, err := publish.New(filepath.Join(file, "below"))
	if err == nil {
		err = f.Begin()
	}
	if err == nil {
		t.Error("a folder was made below a file")
	}
}
