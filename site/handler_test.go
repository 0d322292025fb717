package site_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/labd-dev/labd/internal/static"
	"github.com/labd-dev/labd/site"
)

func TestHandler(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), source(), out, options()); err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile(`/assets/site-[A-Z0-9]{8}\.js`).FindString(read(t, out)["index.html"])
	if script == "" {
		t.Fatal("the home page has no script")
	}
	box := regexp.MustCompile(`/assets/box-[A-Z0-9]{8}\.svg`).FindString(read(t, out)["one/start/index.html"])
	if box == "" {
		t.Fatal("the lesson shows no drawing")
	}
	h := static.Handler(out)
	for _, c := range []struct {
		method, path string
		status       int
		header       string // name: what it contains
		body         string
	}{
		{"GET", "/", 200, "Content-Type: text/html; charset=utf-8", "Module one"},
		{"GET", "/one/start/", 200, "Cache-Control: no-cache", "First part"},
		{"GET", "/one/start", 301, "Location: /one/start/", ""},
		{"GET", "/one/start?x=1", 301, "Location: /one/start/?x=1", ""},
		{"GET", "//evil.example/..//one/start", 301, "Location: /one/start/", ""},
		{"GET", "/zh/one/start/", 200, "", "第一部分"},
		{"GET", script, 200, "Cache-Control: public, max-age=31536000, immutable", "console.log"},
		{"GET", script, 200, "Content-Type: text/javascript; charset=utf-8", ""},
		{"GET", box, 200, "Content-Type: image/svg+xml", "<svg"},
		{"GET", box, 200, "Cache-Control: public, max-age=31536000, immutable", ""},
		{"GET", "/nothing/", 404, "Content-Type: text/html; charset=utf-8", "This page does not exist"},
		{"GET", "/zh/nothing/", 404, "", "找不到这个页面"},
		{"GET", "/assets/", 404, "", "This page does not exist"},
		{"GET", "/.sitegen", 404, "", "This page does not exist"},
		{"GET", "/../../etc/passwd", 404, "", "This page does not exist"},
		{"GET", "/", 200, "Content-Security-Policy: default-src 'self'", ""},
		{"GET", "/", 200, "X-Content-Type-Options: nosniff", ""},
		{"HEAD", "/", 200, "ETag: \"", ""},
		{"POST", "/", 405, "Allow: GET, HEAD", ""},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "/", nil)
			r.URL.Path, r.URL.RawQuery, _ = strings.Cut(c.path, "?")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Fatalf("status %d, want %d", w.Code, c.status)
			}
			if name, value, ok := strings.Cut(c.header, ": "); ok && !strings.Contains(w.Header().Get(name), value) {
				t.Errorf("%s: %q, want %q", name, w.Header().Get(name), value)
			}
			if !strings.Contains(w.Body.String(), c.body) {
				t.Errorf("%q is not in the answer", c.body)
			}
		})
	}
}

func TestHandlerRevalidatesAndServesRebuilds(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), source(), out, options()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(static.Handler(out))
	defer server.Close()
	get := func(etag string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/two/last/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("If-None-Match", etag)
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	res, _ := get("")
	etag := res.Header.Get("ETag")
	if res, _ := get(etag); res.StatusCode != http.StatusNotModified {
		t.Errorf("status %d for a page that has not changed", res.StatusCode)
	}
	src := source()
	m := course()
	m["en/two/last.md"].Data = []byte("+++\ntitle = \"Last\"\n+++\nNEW\n")
	src.Content = m
	if _, err := site.Build(t.Context(), src, out, options()); err != nil {
		t.Fatal(err)
	}
	if res, body := get(etag); res.StatusCode != http.StatusOK || !strings.Contains(body, "NEW") {
		t.Errorf("status %d after a rebuild", res.StatusCode)
	}
}

func TestHandlerCompressesText(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), source(), out, options()); err != nil {
		t.Fatal(err)
	}
	h := static.Handler(out)
	get := func(path, accept, etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept-Encoding", accept)
		r.Header.Set("If-None-Match", etag)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	plain := get("/one/start/", "", "")
	if plain.Header().Get("Content-Encoding") != "" || plain.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("headers %v", plain.Header())
	}
	for i := range 4 { // each second answer comes from what was kept
		coding := []string{"gzip", "br"}[i/2]
		zipped := get("/one/start/", []string{"gzip, deflate", "gzip, deflate, br"}[i/2], "")
		if zipped.Header().Get("Content-Encoding") != coding || zipped.Body.Len() >= plain.Body.Len() {
			t.Fatalf("%d bytes, headers %v", zipped.Body.Len(), zipped.Header())
		}
		if zipped.Header().Get("ETag") == plain.Header().Get("ETag") {
			t.Error("both encodings have one ETag")
		}
		var z io.Reader = brotli.NewReader(zipped.Body)
		if coding == "gzip" {
			var err error
			if z, err = gzip.NewReader(zipped.Body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(z)
		if err != nil || string(text) != plain.Body.String() {
			t.Errorf("the compressed page differs: %v", err)
		}
		if again := get("/one/start/", coding, zipped.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("status %d for a page that has not changed", again.Code)
		}
	}
	for _, c := range []struct{ path, accept string }{{"/one/start/", "gzip;q=0, zstd"}, {"/one/start/", "identity"}, {"/two/bundle/pic.png", "gzip"}} {
		if w := get(c.path, c.accept, ""); w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s is compressed for %q", c.path, c.accept)
		}
	}
}

func TestHandlerBeforeTheFirstBuild(t *testing.T) {
	w := httptest.NewRecorder()
	static.Handler(filepath.Join(t.TempDir(), "none")).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", w.Code)
	}
}

func TestHandlerDoesNotFollowSymbolicLinksOutOfTheSite(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), source(), out, options()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(out, "p.txt")); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	static.Handler(out).ServeHTTP(w, httptest.NewRequest("GET", "/p.txt", nil))
	if w.Code == http.StatusOK {
		t.Error("a link out of the site was followed")
	}
}
