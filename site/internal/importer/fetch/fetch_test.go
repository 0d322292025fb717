package fetch_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/internal/importer/fetch"
)

func server(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/a.png", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("picture")) })
	mux.Handle("/moved", http.RedirectHandler("/a.png", http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		part := make([]byte, 1<<20)
		for range 100 {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestPicturesAreFetchedWithinLimits(t *testing.T) {
	s := server(t)
	f := fetch.New(true)
	defer f.Close()
	for _, path := range []string{"/a.png", "/moved"} {
		if data, err := f.Fetch(t.Context(), s.URL+path); err != nil || string(data) != "picture" {
			t.Errorf("%s: got %q, %v", path, data, err)
		}
	}
	for path, want := range map[string]string{"/none": "404", "/huge": "larger than 10 MiB", "/round": "redirects"} {
		if _, err := f.Fetch(t.Context(), s.URL+path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	s := server(t)
	f := fetch.New(false)
	defer f.Close()
	for _, address := range []string{s.URL + "/a.png", "http://localhost:" + s.URL[strings.LastIndexByte(s.URL, ':')+1:] + "/a.png", "http://169.254.169.254/x", "http://10.0.0.1/x", "http://[::1]/x"} {
		if _, err := f.Fetch(t.Context(), address); err == nil || !strings.Contains(err.Error(), "private address") {
			t.Errorf("%s: got %v", address, err)
		}
	}
}
