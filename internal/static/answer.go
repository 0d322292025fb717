package static

import (
	"net/http"
	"path"
	"strings"
)

// Site is a source of files for Answer. Names are like zh/index.html, without a leading slash.
type Site interface {
	// Has reports whether a page exists.
	Has(name string) bool
	// Send responds with a file and a status, or returns false if the file does not exist. The
	// response has Cache-Control: no-cache unless Send sets another value.
	Send(w http.ResponseWriter, r *http.Request, name string, status int) bool
}

// Answer responds to a request for a file of a site whose URLs begin with base. moved is the status
// of redirects from the URL of a page without its final slash.
func Answer(w http.ResponseWriter, r *http.Request, base string, moved int, site Site) {
	head := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	head.Set("Content-Security-Policy", CSP)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "same-origin")
	head.Set("Cache-Control", "no-cache")
	name := path.Clean("/" + r.URL.Path)
	file, below := strings.CutPrefix(name+"/", base)
	file = strings.TrimSuffix(file, "/")
	if name == "/" && base != "/" || name != "/" && name+"/" == base && !strings.HasSuffix(r.URL.Path, "/") {
		http.Redirect(w, r, base, http.StatusFound)
		return
	}
	if !below {
		http.NotFound(w, r)
		return
	}
	if site.Send(w, r, file, http.StatusOK) {
		return
	}
	if index := path.Join(file, "index.html"); site.Has(index) {
		if name != "/" && !strings.HasSuffix(r.URL.Path, "/") {
			// path.Clean left exactly one leading slash, so the redirect can't go to another host.
			target := name + "/"
			if r.URL.RawQuery != "" {
				target += "?" + r.URL.RawQuery
			}
			http.Redirect(w, r, target, moved)
			return
		}
		if site.Send(w, r, index, http.StatusOK) {
			return
		}
	}
	missing := "404.html"
	if lang, _, _ := strings.Cut(file, "/"); lang != "" && site.Has(lang+"/"+missing) {
		missing = lang + "/" + missing
	}
	if !site.Send(w, r, missing, http.StatusNotFound) {
		http.NotFound(w, r)
	}
}
