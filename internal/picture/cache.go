package picture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// recipe changes whenever the same input gives other files than before.
const recipe = "1"

// How much is remembered.
const (
	maxMemory = 64 << 20  // bytes, in memory
	maxDisk   = 512 << 20 // bytes, in the folder
	maxEntry  = 32 << 20  // bytes of one image's files
)

// cache remembers images by what they were made from. On disk an entry is a file: a line of JSON, the files' bytes, and the
// SHA-256 of both. An entry that can't be read or written is no mistake: the image is made again.
type cache struct {
	dir string // "" for none

	mu      sync.Mutex
	entries map[string]*Image // guarded by mu, like those below
	order   []string          // of entries, oldest first
	size    int
	written bool // something went to the folder since it was last pruned
}

func newCache(dir string) *cache { return &cache{dir: dir, entries: map[string]*Image{}} }

// keyOf names what is made from data, by this very program: another one may encode otherwise.
func keyOf(ext string, data []byte) string {
	h := sha256.New()
	if info, ok := debug.ReadBuildInfo(); ok {
		_, _ = h.Write([]byte(info.String())) // a hash never fails
	}
	_, _ = h.Write([]byte("\x00" + recipe + "\x00" + strings.ToLower(ext) + "\x00"))
	_, _ = h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

func (c *cache) get(key string) *Image {
	c.mu.Lock()
	img := c.entries[key]
	c.mu.Unlock()
	if img != nil || c.dir == "" {
		return img
	}
	name := c.file(key)
	info, err := os.Stat(name)
	if err != nil || info.Size() > maxEntry {
		return nil
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	if img = unpack(raw); img == nil {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now) // says that it is still in use; if it can't be said, it goes earlier
	c.remember(key, img)
	return img
}

func (c *cache) put(key string, img *Image) {
	c.remember(key, img)
	if c.dir == "" {
		return
	}
	raw := pack(img)
	if raw == nil || len(raw) > maxEntry {
		return
	}
	name := c.file(key)
	if os.MkdirAll(filepath.Dir(name), 0o700) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return
	}
	_, err = tmp.Write(raw)
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
	c.mu.Lock()
	c.written = true
	c.mu.Unlock()
}

func (c *cache) remember(key string, img *Image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[key] != nil {
		return
	}
	c.entries[key] = img
	c.order = append(c.order, key)
	c.size += img.size()
	for c.size > maxMemory && len(c.order) > 1 {
		c.size -= c.entries[c.order[0]].size()
		delete(c.entries, c.order[0])
		c.order = c.order[1:]
	}
}

func (i *Image) size() int {
	n := 0
	for _, f := range i.Files {
		n += len(f.Data)
	}
	return n
}

func (c *cache) file(key string) string { return filepath.Join(c.dir, key[:2], key) }

// entry is an Image on disk.
type entry struct {
	Width, Height int
	Files         []entryFile
}

type entryFile struct {
	Width int
	Ext   string
	Bytes int
}

func pack(img *Image) []byte {
	e := entry{Width: img.Width, Height: img.Height}
	for _, f := range img.Files {
		e.Files = append(e.Files, entryFile{f.Width, f.Ext, len(f.Data)})
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil
	}
	raw = append(raw, '\n')
	for _, f := range img.Files {
		raw = append(raw, f.Data...)
	}
	sum := sha256.Sum256(raw)
	return append(raw, sum[:]...)
}

func unpack(raw []byte) *Image {
	if len(raw) < sha256.Size {
		return nil
	}
	body := raw[:len(raw)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], raw[len(body):]) {
		return nil
	}
	line, rest, ok := bytes.Cut(body, []byte("\n"))
	var e entry
	if !ok || json.Unmarshal(line, &e) != nil || len(e.Files) == 0 {
		return nil
	}
	img := &Image{Width: e.Width, Height: e.Height}
	for _, f := range e.Files {
		if f.Bytes < 0 || f.Bytes > len(rest) {
			return nil
		}
		img.Files = append(img.Files, File{f.Width, f.Ext, rest[:f.Bytes]})
		rest = rest[f.Bytes:]
	}
	return img
}

// Prune keeps the folder within its bound: what was not used for the longest time goes first.
func (m *Maker) Prune() {
	c := m.cache
	c.mu.Lock()
	due := c.written
	c.written = false
	c.mu.Unlock()
	if !due {
		return
	}
	prune(c.dir, maxDisk)
}

func prune(dir string, limit int64) {
	type file struct {
		name string
		size int64
		used time.Time
	}
	var files []file
	total := int64(0)
	// What can't be listed or removed stays: this is housekeeping, not the build.
	_ = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			files = append(files, file{name, info.Size(), info.ModTime()})
			total += info.Size()
		}
		return nil
	})
	if total <= limit {
		return
	}
	slices.SortFunc(files, func(a, b file) int { return a.used.Compare(b.used) })
	for _, f := range files {
		if total <= limit*8/10 {
			return
		}
		if os.Remove(f.name) == nil {
			total -= f.size
		}
	}
}
