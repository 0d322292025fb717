// Package diskcache keeps what takes long to make in a folder, from one run of a program to the next.
//
// An entry is a file: the SHA-256 of its content, then the content. It is named after its key and after the program that
// wrote it, for another one may make something else of the same input; and it is written beside its place and renamed, so
// that several programs may use one folder. An entry that can't be read or written is no mistake: what it holds is made again.
//
// There is one rule of what goes: when the folder holds more than its bound, what was not used for the longest time does.
package diskcache

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"
)

// How much is kept.
const (
	maxEntry = 32 << 20  // bytes of one entry
	maxAll   = 512 << 20 // bytes in the folder
)

// Cache is such a folder. It is safe for concurrent use. A nil Cache keeps nothing.
type Cache struct {
	dir     string
	program string
	max     int64
	written atomic.Bool // since it was last pruned
}

// New returns the Cache in the folder dir, which is made when there is something to keep; nil if dir is "".
func New(dir string) *Cache {
	if dir == "" {
		return nil
	}
	s := &Cache{dir: dir, max: maxAll}
	if info, ok := debug.ReadBuildInfo(); ok {
		s.program = info.String()
	}
	return s
}

// file names the entry of a key.
func (s *Cache) file(key string) string {
	sum := sha256.Sum256([]byte(s.program + "\x00" + key))
	name := hex.EncodeToString(sum[:])
	return filepath.Join(s.dir, name[:2], name)
}

// Get returns what is kept under a key, nil if there is nothing or nothing whole.
func (s *Cache) Get(key string) []byte {
	if s == nil {
		return nil
	}
	name := s.file(key)
	info, err := os.Stat(name)
	if err != nil || info.Size() > sha256.Size+maxEntry {
		return nil
	}
	raw, err := os.ReadFile(name)
	if err != nil || len(raw) < sha256.Size {
		return nil
	}
	data := raw[sha256.Size:]
	if sum := sha256.Sum256(data); !bytes.Equal(sum[:], raw[:sha256.Size]) {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now) // says that it is still in use; if it can't be said, it goes earlier
	return data
}

// Has reports whether there is an entry under a key. It does not look whether the entry is whole.
func (s *Cache) Has(key string) bool {
	if s == nil {
		return false
	}
	_, err := os.Stat(s.file(key))
	return err == nil
}

// Put keeps data under a key.
func (s *Cache) Put(key string, data []byte) {
	if s == nil || len(data) > maxEntry {
		return
	}
	name := s.file(key)
	if os.MkdirAll(filepath.Dir(name), 0o700) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return
	}
	sum := sha256.Sum256(data)
	if _, err = tmp.Write(sum[:]); err == nil {
		_, err = tmp.Write(data)
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return
	}
	s.written.Store(true)
}

// Prune keeps the folder within its bound, and leaves some room. It does nothing if nothing was put since the last time.
func (s *Cache) Prune() {
	if s == nil || !s.written.Swap(false) {
		return
	}
	type file struct {
		name string
		size int64
		used time.Time
	}
	var files []file
	total := int64(0)
	// What can't be listed or removed stays: this is housekeeping, not the work.
	_ = filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			files = append(files, file{name, info.Size(), info.ModTime()})
			total += info.Size()
		}
		return nil
	})
	if total <= s.max {
		return
	}
	slices.SortFunc(files, func(a, b file) int { return a.used.Compare(b.used) })
	for _, f := range files {
		if total <= s.max*8/10 {
			return
		}
		if os.Remove(f.name) == nil {
			total -= f.size
		}
	}
}
