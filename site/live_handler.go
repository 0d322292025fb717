package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"github.com/labd-dev/labd/internal/static"
)

// ServeHTTP implements http.Handler. It responds as static.Handler would for the built site, below
// the path of the base URL, but with temporary redirects, because addresses change while a course
// is being written. The header Server-Timing has the version, as in build;desc="12".
func (l *Live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	static.Answer(w, r, l.design().Base(), http.StatusFound, liveFiles{l})
}

// liveFiles is the static.Site of a live site.
type liveFiles struct{ l *Live }

// Send implements static.Site.
func (f liveFiles) Send(w http.ResponseWriter, r *http.Request, name string, status int) bool {
	data, version, err := f.l.File(r.Context(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return true
	}
	head := w.Header()
	head.Set("Server-Timing", fmt.Sprintf(`build;desc="%d"`, version))
	head.Set("Content-Type", static.ContentType(name))
	if status != http.StatusOK {
		w.WriteHeader(status)
		_, _ = w.Write(data)
		return true
	}
	sum := sha256.Sum256(data)
	head.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	return true
}

// Has implements static.Site.
func (f liveFiles) Has(name string) bool {
	f.l.mu.RLock()
	defer f.l.mu.RUnlock()
	if f.l.now == nil {
		return false
	}
	if _, ok := f.l.now.job(name); ok {
		return true
	}
	_, ok := f.l.now.plan().others[name]
	return ok
}
