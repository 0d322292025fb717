package site_test

import (
	"bytes"
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

// unpacked returns the decompressed body of a response.
func unpacked(t *testing.T, coding string, data []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(data)
	switch coding {
	case "br":
		r = brotli.NewReader(r)
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestBuildWritesPrecompressedFiles(t *testing.T) {
	plain := build(t, source(), options())
	opts := options()
	opts.Compress = true
	got := build(t, source(), opts)
	n := 0
	for name, data := range plain {
		if name == ".sitegen" {
			continue
		}
		if got[name] != data {
			t.Errorf("%s differs", name)
		}
		text := regexp.MustCompile(`\.(html|css|js|json|xml|svg|txt|webmanifest)$`).MatchString(name)
		for ext, coding := range map[string]string{".gz": "gzip", ".br": "br"} {
			packed, ok := got[name+ext]
			switch {
			case ok && (!text || len(data) < 1024 || len(packed) >= len(data)):
				t.Errorf("%s%s has %d bytes of %d", name, ext, len(packed), len(data))
			case ok:
				n++
				if unpacked(t, coding, []byte(packed)) != data {
					t.Errorf("%s%s holds something else", name, ext)
				}
			case strings.HasSuffix(name, ".html") && len(data) >= 1024:
				t.Errorf("%s has no %s", name, ext)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d compressed files", n)
	}
	again := build(t, source(), opts)
	for name := range got {
		if got[name] != again[name] && name != ".sitegen" {
			t.Errorf("%s is built differently the second time", name)
		}
	}
}

func TestHandlerSendsPrecompressedFiles(t *testing.T) {
	opts := options()
	opts.Compress = true
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), source(), out, opts); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(static.Handler(out))
	defer server.Close()
	get := func(path string, header ...string) (*http.Response, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "identity")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, body
	}
	const page = "/one/start/"
	whole, plain := get(page)
	tags := map[string]string{whole.Header.Get("ETag"): "identity"}
	for _, c := range []struct{ accept, want string }{
		{"", ""},
		{"identity", ""},
		{"gzip", "gzip"},
		{"br", "br"},
		{"gzip, deflate, br, zstd", "br"},
		{"gzip;q=1.0, br;q=0.5", "gzip"},
		{"br;q=0, gzip", "gzip"},
		{"BR", "br"},
		{"*", "br"},
		{"*;q=0", ""},
		{"*;q=0.1, br;q=0", "gzip"},
		{"br;q=nonsense", ""},
		{"gzip;q=NaN", ""},
		{strings.Repeat(",;q=", 500) + ",gzip", "gzip"},
	} {
		res, body := get(page, "Accept-Encoding", c.accept)
		if got := res.Header.Get("Content-Encoding"); got != c.want {
			t.Errorf("%.40q: sent as %q, want %q", c.accept, got, c.want)
			continue
		}
		if unpacked(t, c.want, body) != string(plain) || res.Header.Get("Content-Type") != "text/html; charset=utf-8" || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%.40q: another page, as %q, Vary %q", c.accept, res.Header.Get("Content-Type"), res.Header.Get("Vary"))
		}
		tag := res.Header.Get("ETag")
		if other, ok := tags[tag]; ok && other != c.want && c.want != "" {
			t.Errorf("%.40q has the ETag of %s", c.accept, other)
		}
		tags[tag] = c.want
		if c.want == "" {
			continue
		}
		// It is the file of the build.
		want, err := os.ReadFile(filepath.Join(out, "one/start/index.html"+map[string]string{"gzip": ".gz", "br": ".br"}[c.want]))
		if err != nil || !bytes.Equal(want, body) {
			t.Errorf("%.40q: not the file that the build wrote: %v", c.accept, err)
		}
		if res, _ := get(page, "Accept-Encoding", c.accept, "If-None-Match", tag); res.StatusCode != http.StatusNotModified {
			t.Errorf("%.40q: status %d for a known ETag", c.accept, res.StatusCode)
		}
		// A range is one of the compressed bytes, and only for who has the rest of them.
		res, part := get(page, "Accept-Encoding", c.accept, "Range", "bytes=10-19", "If-Range", tag)
		if res.StatusCode != http.StatusPartialContent || !bytes.Equal(part, body[10:20]) || res.Header.Get("Content-Encoding") != c.want {
			t.Errorf("%.40q: status %d for a range", c.accept, res.StatusCode)
		}
		res, part = get(page, "Accept-Encoding", c.accept, "Range", "bytes=10-19", "If-Range", whole.Header.Get("ETag"))
		if res.StatusCode != http.StatusOK || !bytes.Equal(part, body) {
			t.Errorf("%.40q: status %d for a range of the page in another form", c.accept, res.StatusCode)
		}
	}
	// A small file is sent as it is, and one whose compressed form went away is compressed on the
	// way.
	if res, _ := get("/robots.txt", "Accept-Encoding", "gzip, br"); res.Header.Get("Content-Encoding") != "" {
		t.Error("robots.txt is compressed")
	}
	if err := os.Remove(filepath.Join(out, "one/start/index.html.br")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(out, "one/start/index.html.gz")); err != nil {
		t.Fatal(err)
	}
	res, body := get(page, "Accept-Encoding", "gzip, br")
	if res.Header.Get("Content-Encoding") != "br" || unpacked(t, "br", body) != string(plain) {
		t.Errorf("sent as %q", res.Header.Get("Content-Encoding"))
	}
}
