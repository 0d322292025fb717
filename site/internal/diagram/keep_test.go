package diagram_test

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/internal/diagram"
	"github.com/labd-dev/labd/site/internal/diskcache"
)

func TestAPictureFromTheShelfHasTheSameBytes(t *testing.T) {
	dir := t.TempDir()
	text := lessons["frames"]
	svg := func(s diagram.Cache) string {
		p, problems := diagram.New(s).Make(text)
		if p == nil {
			t.Fatal(problems)
		}
		return p.SVG("d", "t", "x") + strings.Join(p.Labels, "|")
	}
	want := svg(nil)
	first := &seen{Cache: diskcache.New(dir)}
	if got := svg(first); got != want || first.got != 0 || len(first.put) != 1 {
		t.Fatalf("kept %q, took %d; it makes\n%s\n%s", first.put, first.got, got, want)
	}
	second := &seen{Cache: diskcache.New(dir)}
	if got := svg(second); got != want || second.got != 1 || len(second.put) != 0 {
		t.Errorf("kept %q, took %d; it makes\n%s\n%s", second.put, second.got, got, want)
	}
	diskcache.New(dir).Put(first.put[0], []byte("no picture"))
	if got := svg(diskcache.New(dir)); got != want {
		t.Errorf("what is no picture was used: %s", got)
	}
}

// seen notes what a Maker takes from a disk and keeps there.
type seen struct {
	diagram.Cache
	got int
	put []string
}

func (s *seen) Get(key string) []byte {
	data := s.Cache.Get(key)
	if data != nil {
		s.got++
	}
	return data
}

func (s *seen) Put(key string, data []byte) {
	s.put = append(s.put, key)
	s.Cache.Put(key, data)
}

// If this fails because pictures look otherwise on purpose, count recipe up and put the new sum
// here: what folders keep is old.
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
