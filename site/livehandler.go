package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"labd/internal/static"
)

// ServeHTTP implements http.Handler: it answers as static.Handler would for the built site, below the path of the base URL. The
// header Server-Timing tells the version, as in build;desc="12".
func (l *Live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	head := w.Header()
	static.SetPolicies(head)
	head.Set("Cache-Control", "no-cache")
	l.mu.RLock()
	base := l.blank.base
	l.mu.RUnlock()
	name := path.Clean("/" + r.URL.Path)
	if name+"/" == base && name != "/" || name == "/" && base != "/" {
		http.Redirect(w, r, base, http.StatusFound)
		return
	}
	file, ok := strings.CutPrefix(name, strings.TrimSuffix(base, "/")+"/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	status := http.StatusOK
	data, version, err := l.File(r.Context(), file)
	if errors.Is(err, fs.ErrNotExist) {
		if index := path.Join(file, "index.html"); l.has(index) {
			if name != "/" && !strings.HasSuffix(r.URL.Path, "/") {
				// path.Clean left exactly one leading slash, so the target can not name another host.
				http.Redirect(w, r, name+"/", http.StatusFound)
				return
			}
			file = index
		} else {
			status, file = http.StatusNotFound, "404.html"
			if lang, _, _ := strings.Cut(strings.TrimPrefix(name, base), "/"); l.has(path.Join(lang, "404.html")) {
				file = path.Join(lang, "404.html")
			}
		}
		data, version, err = l.File(r.Context(), file)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	head.Set("Server-Timing", fmt.Sprintf(`build;desc="%d"`, version))
	head.Set("Content-Type", static.ContentType(file))
	if status != http.StatusOK {
		w.WriteHeader(status)
		_, _ = w.Write(data)
		return
	}
	sum := sha256.Sum256(data)
	head.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// has says whether a page is there.
func (l *Live) has(file string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	_, page := l.byFile[file]
	_, other := l.others[file]
	return page || other
}
