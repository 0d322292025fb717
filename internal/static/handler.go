// Package static hands out the files of a built site, with what its pages rely on: media types, the Content-Security-Policy,
// ETags, caching by fingerprint, 404 pages of the reader's language, and compression.
//
// Beside a text file may stand the same compressed, as name.gz and name.br (see Compressor). They are sent to whoever
// accepts them; without them text is compressed when it is asked for.
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

// The Content-Security-Policy of pages. They carry it themselves, for servers that send none, and it is sent with them as
// far as it holds for all of them. The terminal of labs sets style attributes of its own elements, which is why inline
// styles are allowed where there can be one; inline scripts are allowed nowhere.
const (
	PagePolicy = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'"
	LabPolicy  = PagePolicy + "; style-src 'self' 'unsafe-inline'"
	CSP        = LabPolicy + "; frame-ancestors 'self'"
)

// API is where pages ask for labs, on the host that they came from: labd's API (docs/api.md) is there, or a server that passes it on.
const API = "/api/v1"

// What is sent compressed: text of at least so many bytes. What no build has compressed is compressed here, up to a size,
// and so many bytes of it are kept ready.
const (
	minCompressed = 1 << 10
	maxCompressed = 4 << 20
	maxKept       = 32 << 20
)

// hashed matches the names of files whose content never changes.
var hashed = regexp.MustCompile(`^assets/[^/]+-[A-Z0-9]{8}\.[a-z0-9]+$`)

// Handler serves a built site from the folder dir. A rebuild in the meantime is served from the next request on.
//
// Pages have an ETag of their content; fingerprinted assets may be kept for ever. What does not exist gets the 404 page of
// its language. Only GET and HEAD are answered.
func Handler(dir string) http.Handler {
	return &handler{dir: dir, tags: map[string]taggedFile{}}
}

type handler struct {
	dir string

	mu      sync.Mutex
	tags    map[string]taggedFile // by file, guarded by mu
	zipped  map[string][]byte     // compressed content by ETag, guarded by mu
	zipSize int                   // bytes in zipped, guarded by mu
}

// taggedFile is a file's ETag and what it looked like when that was made.
type taggedFile struct {
	mtime time.Time
	size  int64
	etag  string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The root is opened per request, so that a rebuild, which replaces the folder, is seen at once.
	root, err := os.OpenRoot(h.dir)
	if err != nil {
		http.Error(w, "The site has not been built yet.", http.StatusServiceUnavailable)
		return
	}
	defer root.Close()
	Answer(w, r, "/", http.StatusMovedPermanently, built{h, root})
}

// built is a site in a folder, as it is during one request.
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
	// Builds set no meaningful times, so validation rests on the ETag alone.
	http.ServeContent(w, r, "", time.Time{}, f)
}

// serveCompressed sends the compressed file that a build has put beside another, if there is one. A range of it is a range
// of what is sent, so it has an ETag of its own.
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

// compress returns the content of f in a coding, which has the ETag tag.
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

// etag is the hash of a file's content, remembered while the file looks the same.
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
