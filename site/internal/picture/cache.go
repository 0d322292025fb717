package picture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"

	"github.com/labd-dev/labd/site/internal/diskcache"
)

// recipe is part of every cache key. Change it when the same input gives other output than before.
const recipe = "2"

// maxMemory is the size limit of the memory cache in bytes.
const maxMemory = 64 << 20

// cache is a memory cache of images in front of a disk cache.
type cache struct {
	disk *diskcache.Cache

	mu      sync.Mutex
	entries map[string]*Image // guarded by mu, like those below
	order   []string          // of entries, oldest first
	size    int
}

func newCache(s *diskcache.Cache) *cache { return &cache{disk: s, entries: map[string]*Image{}} }

// keyOf returns the cache key of an input file.
func keyOf(ext string, data []byte) string {
	sum := sha256.Sum256(data)
	return "picture\x00" + recipe + "\x00" + strings.ToLower(ext) + "\x00" + hex.EncodeToString(sum[:])
}

func (c *cache) get(key string) *Image {
	c.mu.Lock()
	img := c.entries[key]
	c.mu.Unlock()
	if img != nil {
		return img
	}
	if img = unpack(c.disk.Get(key)); img != nil {
		c.remember(key, img)
	}
	return img
}

// has reports whether get would find an image, without reading it from disk.
func (c *cache) has(key string) bool {
	c.mu.Lock()
	known := c.entries[key] != nil
	c.mu.Unlock()
	return known || c.disk.Has(key)
}

func (c *cache) put(key string, img *Image) {
	c.remember(key, img)
	if data := pack(img); data != nil {
		c.disk.Put(key, data)
	}
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

// entry is the JSON header of a cache entry. The bytes of the files follow in the next line.
type entry struct {
	Width, Height int
	Files         []entryFile
}

type entryFile struct {
	Width int
	Ext   string
	Bytes int
	Own   bool `json:",omitempty"` // the author's file, which is not stored in the cache
}

func pack(img *Image) []byte {
	e := entry{Width: img.Width, Height: img.Height}
	for _, f := range img.Files {
		e.Files = append(e.Files, entryFile{f.Width, f.Ext, len(f.Data), f.own})
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil
	}
	raw = append(raw, '\n')
	for _, f := range img.Files {
		raw = append(raw, f.Data...)
	}
	return raw
}

func unpack(data []byte) *Image {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	var e entry
	if !ok || json.Unmarshal(line, &e) != nil || len(e.Files) == 0 {
		return nil
	}
	img := &Image{Width: e.Width, Height: e.Height}
	for _, f := range e.Files {
		if f.Bytes < 0 || f.Bytes > len(rest) {
			return nil
		}
		img.Files = append(img.Files, File{f.Width, f.Ext, rest[:f.Bytes], f.Own})
		rest = rest[f.Bytes:]
	}
	return img
}
