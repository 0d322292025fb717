package diskcache

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEntriesPersistBetweenRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "yet")
	New(dir).Put("a", []byte("apple"))
	New(dir).Put("b", nil)
	s := New(dir)
	if got := s.Get("a"); string(got) != "apple" {
		t.Errorf("a is %q", got)
	}
	if got := s.Get("c"); got != nil {
		t.Errorf("c is %q", got)
	}
	s.Put("a", []byte("pear"))
	if got := New(dir).Get("a"); string(got) != "pear" {
		t.Errorf("a is now %q", got)
	}
	for _, name := range files(t, dir) {
		if strings.Contains(name, ".new-") {
			t.Errorf("%s was left", name)
		}
	}
}

func TestProgramsDoNotShareEntries(t *testing.T) {
	dir := t.TempDir()
	New(dir).Put("a", []byte("apple"))
	other := New(dir)
	other.program += "newer"
	if got := other.Get("a"); got != nil {
		t.Errorf("it reads %q", got)
	}
}

func TestCorruptEntriesAreMisses(t *testing.T) {
	s := New(t.TempDir())
	s.Put("a", []byte("apple"))
	name := s.file("a")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, whole[:20], whole[:len(whole)-1], append(bytes.Clone(whole), 0), bytes.Replace(whole, []byte("apple"), []byte("ample"), 1)} {
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := s.Get("a"); got != nil {
			t.Errorf("of %q it made %q", bad, got)
		}
	}
	s.Put("a", []byte("apple"))
	if got := s.Get("a"); string(got) != "apple" {
		t.Errorf("made again it is %q", got)
	}
}

func TestAnUnusableFolderIsIgnored(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Cache{nil, New(""), New(file)} {
		s.Put("a", []byte("apple"))
		if got := s.Get("a"); got != nil {
			t.Errorf("it has %q", got)
		}
		s.Prune()
	}
}

func TestLargeEntriesAreNotStored(t *testing.T) {
	s := New(t.TempDir())
	s.Put("a", make([]byte, maxEntry+1))
	if list := files(t, s.dir); len(list) > 0 {
		t.Errorf("kept %q", list)
	}
}

func TestPruneRemovesLeastRecentlyUsed(t *testing.T) {
	s := New(t.TempDir())
	s.max = 3 * 1000
	for i, key := range []string{"old", "read again", "late", "new"} {
		s.Put(key, make([]byte, 700))
		when := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(s.file(key), when, when); err != nil {
			t.Fatal(err)
		}
	}
	s.Prune()
	if list := files(t, s.dir); len(list) != 4 {
		t.Fatalf("within the bound it left %q", list)
	}
	if s.Get("read again") == nil {
		t.Fatal("it is not there")
	}
	s.Put("last", make([]byte, 700))
	s.Prune()
	for key, want := range map[string]bool{"old": false, "read again": true, "late": false, "new": true, "last": true} {
		if got := s.Get(key) != nil; got != want {
			t.Errorf("%q is there: %v", key, got)
		}
	}
}

// files lists the files in a folder.
func files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := filepath.Glob(filepath.Join(dir, "*", ".*"))
	if err != nil {
		t.Fatal(err)
	}
	return append(list, hidden...)
}
