package diagram_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"labd/internal/diagram"
)

func TestAPictureFromTheFolderHasTheSameBytes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	text := lessons["frames"]
	svg := func(dir string) string {
		p, problems := diagram.New(dir).Make(text)
		if p == nil {
			t.Fatal(problems)
		}
		return p.SVG("d", "t", "x") + strings.Join(p.Labels, "|")
	}
	want := svg("")
	if got := svg(dir); got != want {
		t.Fatalf("differs:\n%s\n%s", got, want)
	}
	var files []string
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, name)
		}
		return nil
	})
	if len(files) != 1 {
		t.Fatalf("kept: %q", files)
	}
	if got := svg(dir); got != want {
		t.Errorf("from the folder it differs:\n%s\n%s", got, want)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, spoiled := range [][]byte{nil, data[:40], []byte(strings.Replace(string(data), "Docker", "Podman", 1))} {
		if err := os.WriteFile(files[0], spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := svg(dir); got != want {
			t.Errorf("a spoiled entry was used: %s", got)
		}
	}
	// A folder that can't be used is no mistake.
	if got := svg(files[0]); got != want {
		t.Error("differs without a folder")
	}
}

// If this fails because pictures look otherwise on purpose, count recipe up and put the new sum here: what folders keep is old.
func TestTheRecipeChangesWithThePictures(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("others round sums in their own way")
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(lessons)) {
		_, _ = h.Write([]byte(made(t, lessons[name])))
	}
	const want = "a71590706ddeb6721e01093719859b0c97d13e0a46d14a049a7bbb4831fdc703"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("recipe 2 made other pictures: %s, not %s", got, want)
	}
}
