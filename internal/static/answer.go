package static

import (
	"net/http"
	"path"
	"strings"
)

// Site is what Answer takes files from. Names are like zh/index.html, without a slash in front.
type Site interface {
	// Has says whether there is a page.
	Has(name string) bool
	// Send answers with a file and a status; false if there is no such file. What it sends may be kept but is asked for again,
	// unless it says otherwise.
	Send(w http.ResponseWriter, r *http.Request, name string, status int) bool
}

// Answer answers a request for a file of a site whose addresses begin with base. moved is the status that sends a browser to
// the address of a page from that without its last slash.
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
			// path.Clean left exactly one leading slash, so the target can not name another host.
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
