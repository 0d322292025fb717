// Package diskcache is a size-bounded disk cache for results that are slow to compute. It persists between runs.
//
// Each entry is one file: the SHA-256 of the content, then the content. The file name is a hash of the key and of the program's
// build information, because another version of the program may compute something else from the same input. Entries are
// written to a temporary file and renamed, so several processes may share a folder. Read and write errors are ignored: they
// count as a cache miss, and the caller computes the result again.
//
// When the folder exceeds its size limit, Prune removes the least recently used entries.
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

// Size limits.
const (
	maxEntry = 32 << 20  // bytes for one entry
	maxAll   = 512 << 20 // bytes for the folder
)

// Cache is a cache folder. It is safe for concurrent use. A nil Cache stores nothing.
type Cache struct {
	dir     string
	program string
	max     int64
	written atomic.Bool // whether Put succeeded since the last Prune
}

// New returns the cache in the folder dir, or nil if dir is "". The folder is created by the first Put.
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

// file returns the file name of a key.
func (s *Cache) file(key string) string {
	sum := sha256.Sum256([]byte(s.program + "\x00" + key))
	name := hex.EncodeToString(sum[:])
	return filepath.Join(s.dir, name[:2], name)
}

// Get returns the content stored under a key, or nil if there is none or its checksum is wrong.
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
	_ = os.Chtimes(name, now, now) // marks the entry as recently used; on failure it is only removed earlier
	return data
}

// Has reports whether there is an entry for a key. It does not verify the checksum.
func (s *Cache) Has(key string) bool {
	if s == nil {
		return false
	}
	_, err := os.Stat(s.file(key))
	return err == nil
}

// Put stores data under a key.
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

// Prune removes the least recently used entries until the folder is at 80 % of its limit, if it exceeds the limit. It does
// nothing if nothing was stored since the last call.
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
	// Errors are ignored: a file that can't be listed or removed stays.
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
