package diagram

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
)

// recipe changes whenever the same text gives another picture than before; a test tells when.
const recipe = "2"

// What a folder keeps. Laying out a picture takes a tenth of a second; an entry is some 5 KB.
const (
	maxShelf = 64      // entries in each of its 256 shelves
	maxEntry = 1 << 20 // bytes
)

// shelf keeps pictures in a folder, by what they were made from. An entry is its SHA-256 and a line of JSON; one that can't be
// read or written is no mistake: the picture is made again, with the same bytes.
type shelf struct{ dir string }

type entry struct {
	Width, Height, Left, Top int
	Labels                   []string
	Body                     string
}

// file names what is made from a text by this very program: another one may use another library.
func (s shelf) file(text string) string {
	h := sha256.New()
	if info, ok := debug.ReadBuildInfo(); ok {
		_, _ = h.Write([]byte(info.String())) // a hash never fails
	}
	_, _ = h.Write([]byte("\x00" + recipe + "\x00" + text))
	key := hex.EncodeToString(h.Sum(nil))
	return filepath.Join(s.dir, key[:2], key)
}

func (s shelf) get(text string) *Picture {
	if s.dir == "" {
		return nil
	}
	name := s.file(text)
	info, err := os.Stat(name)
	if err != nil || info.Size() > maxEntry {
		return nil
	}
	raw, err := os.ReadFile(name)
	if err != nil || len(raw) < sha256.Size {
		return nil
	}
	if sum := sha256.Sum256(raw[sha256.Size:]); !bytes.Equal(sum[:], raw[:sha256.Size]) {
		return nil
	}
	var e entry
	if json.Unmarshal(raw[sha256.Size:], &e) != nil {
		return nil
	}
	return &Picture{Width: e.Width, Height: e.Height, Labels: e.Labels, left: e.Left, top: e.Top, body: e.Body}
}

func (s shelf) put(text string, p *Picture) {
	if s.dir == "" {
		return
	}
	line, err := json.Marshal(entry{p.Width, p.Height, p.left, p.top, p.Labels, p.body})
	if err != nil || len(line) > maxEntry-sha256.Size {
		return
	}
	name := s.file(text)
	dir := filepath.Dir(name)
	if os.MkdirAll(dir, 0o700) != nil {
		return
	}
	s.makeRoom(dir)
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return
	}
	sum := sha256.Sum256(line)
	_, err = tmp.Write(append(sum[:], line...))
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
}

// makeRoom removes the oldest half of what is in a full shelf.
func (s shelf) makeRoom(dir string) {
	list, err := os.ReadDir(dir)
	if err != nil || len(list) < maxShelf {
		return
	}
	var files []fs.FileInfo
	for _, d := range list {
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files[:len(files)/2] {
		_ = os.Remove(filepath.Join(dir, f.Name()))
	}
}
