// Package static serves the files of a built site over HTTP, with media types, a
// Content-Security-Policy, ETags, caching of fingerprinted assets, 404 pages in the reader's
// language, and compression.
//
// If there are precompressed files, name.gz and name.br beside name (see Compressor), they are sent
// to clients that accept them. Otherwise text is compressed on demand.
package static

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Content-Security-Policies. Each page has its own in a meta element, for web servers that send no
// such header: PagePolicy, or LabPolicy if the page can show a terminal, because xterm.js sets
// style attributes. The header that this package sends is CSP, which is the union for all pages.
// Inline scripts are not allowed anywhere.
const (
	PagePolicy = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'"
	LabPolicy  = PagePolicy + "; style-src 'self' 'unsafe-inline'"
	CSP        = LabPolicy + "; frame-ancestors 'self'"
)

// API is the path of labd's API (docs/api.md) on the site's host. labd serves it, or a web server
// that forwards requests to labd.
const API = "/api/v1"

// Limits of compression, in bytes.
const (
	minCompressed = 1 << 10  // smaller files are sent as they are
	maxCompressed = 4 << 20  // larger files are not compressed on demand
	maxKept       = 32 << 20 // of the cache of files that were compressed on demand
)

// hashed matches the names of fingerprinted files. Their content never changes.
var hashed = regexp.MustCompile(`^assets/[^/]+-[A-Z0-9]{8}\.[a-z0-9]+$`)

// Handler serves a built site from the folder dir. After a rebuild, the next request gets the new
// site.
//
// Files have an ETag with the hash of their content, and fingerprinted assets are immutable. A path
// that does not exist gets the 404 page of its language. Methods other than GET and HEAD are
// refused.
func Handler(dir string) http.Handler {
	return &handler{dir: dir, tags: map[string]taggedFile{}}
}

type handler struct {
	dir string

	mu      sync.Mutex
	tags    map[string]taggedFile // ETags by file; guarded by mu
	zipped  map[string][]byte     // compressed content by ETag; guarded by mu
	zipSize int                   // bytes in zipped; guarded by mu
}

// taggedFile is a file's ETag, with the time and size of the file when it was computed.
type taggedFile struct {
	mtime time.Time
	size  int64
	etag  string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Opened for each request, because a rebuild replaces the folder.
	root, err := os.OpenRoot(h.dir)
	if err != nil {
		http.Error(w, "The site has not been built yet.", http.StatusServiceUnavailable)
		return
	}
	defer root.Close()
	Answer(w, r, "/", http.StatusMovedPermanently, built{h, root})
}

// built is a site in a folder during one request.
type built struct {
	*handler
	root *os.Root
}

func (b built) Has(name string) bool {
	_, err := b.root.Stat(name)
	return err == nil
}

func (b built) Send(w http.ResponseWriter, r *http.Request, name string, status int) bool {
	if info, err := b.root.Stat(cmp.Or(name, ".")); err != nil || info.IsDir() || strings.HasPrefix(path.Base(name), ".") {
		return false
	}
	if status == http.StatusOK && hashed.MatchString(name) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	b.serve(w, r, b.root, name, status)
	return true
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request, root *os.Root, name string, status int) {
	f, err := root.Open(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			http.NotFound(w, r)
			return
		}
		http.Error(w, "This page can't be read.", http.StatusInternalServerError)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		http.Error(w, "This page can't be read.", http.StatusInternalServerError)
		return
	}
	head := w.Header()
	head.Set("Content-Type", ContentType(name))
	if status != http.StatusOK {
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = io.Copy(w, f)
		}
		return
	}
	tag := h.etag(name, f, info)
	if compressible(name) && info.Size() >= minCompressed {
		head.Set("Vary", "Accept-Encoding")
		for _, c := range accepted(r.Header.Get("Accept-Encoding")) {
			if h.serveCompressed(w, r, root, name, c) {
				return
			}
			if tag == "" || info.Size() > maxCompressed {
				continue
			}
			own := strings.TrimSuffix(tag, `"`) + "-" + c.name + `"`
			if data, err := h.compress(c, own, f); err == nil {
				head.Set("Content-Encoding", c.name)
				head.Set("ETag", own)
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
				return
			}
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				http.Error(w, "This page can't be read.", http.StatusInternalServerError)
				return
			}
		}
	}
	if tag != "" {
		head.Set("ETag", tag)
	}
	// No Last-Modified: a build gives all files the same time. Validation uses the ETag.
	http.ServeContent(w, r, "", time.Time{}, f)
}

// serveCompressed sends the precompressed copy of a file if there is one. It has an ETag of its
// own, because a byte range refers to the compressed bytes.
func (h *handler) serveCompressed(w http.ResponseWriter, r *http.Request, root *os.Root, name string, c coding) bool {
	f, err := root.Open(name + c.ext)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	tag := h.etag(name+c.ext, f, info)
	if tag == "" {
		return false
	}
	w.Header().Set("Content-Encoding", c.name)
	w.Header().Set("ETag", tag)
	http.ServeContent(w, r, "", time.Time{}, f)
	return true
}

// compress returns the content of f in a coding, from the cache if it has an entry for tag.
func (h *handler) compress(c coding, tag string, f io.Reader) ([]byte, error) {
	h.mu.Lock()
	data, ok := h.zipped[tag]
	h.mu.Unlock()
	if ok {
		return data, nil
	}
	var buf bytes.Buffer
	z := c.onDemand(&buf)
	if _, err := io.Copy(z, io.LimitReader(f, maxCompressed)); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.zipped == nil || h.zipSize+buf.Len() > maxKept {
		h.zipped, h.zipSize = map[string][]byte{}, 0
	}
	h.zipped[tag] = buf.Bytes()
	h.zipSize += buf.Len()
	return buf.Bytes(), nil
}

// etag returns the hash of a file's content. It is cached as long as the file's time and size stay
// the same.
func (h *handler) etag(name string, f io.ReadSeeker, info fs.FileInfo) string {
	h.mu.Lock()
	known, ok := h.tags[name]
	h.mu.Unlock()
	if ok && known.mtime.Equal(info.ModTime()) && known.size == info.Size() {
		return known.etag
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return ""
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return ""
	}
	tag := `"` + hex.EncodeToString(sum.Sum(nil)[:12]) + `"`
	h.mu.Lock()
	h.tags[name] = taggedFile{mtime: info.ModTime(), size: info.Size(), etag: tag}
	h.mu.Unlock()
	return tag
}
