package static_test

import (
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/labd-dev/labd/internal/static"
)

// TestTheMachineHasNoSayInMediaTypes fills the table of package mime, which a machine's
// /etc/mime.types fills too, with other types for extensions that labd knows and for some that it
// does not.
func TestTheMachineHasNoSayInMediaTypes(t *testing.T) {
	dir := t.TempDir()
	handler := static.Handler(dir)
	want := map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
		".png": "image/png", ".jpeg": "image/jpeg", ".gif": "image/gif", ".avif": "image/avif", ".ico": "image/vnd.microsoft.icon",
		".woff": "font/woff", ".pdf": "application/pdf", ".zip": "application/zip", ".mp4": "video/mp4", ".wasm": "application/wasm",
		".ts": "text/plain; charset=utf-8", ".yaml": "text/plain; charset=utf-8", ".sh": "text/plain; charset=utf-8",
		".unheard": "application/octet-stream", ".swf": "application/octet-stream", "": "application/octet-stream",
	}
	for ext, contentType := range want {
		if ext != "" {
			if err := mime.AddExtensionType(ext, "application/x-of-this-machine"); err != nil {
				t.Fatal(err)
			}
		}
		if got := static.ContentType("a/File" + ext); got != contentType {
			t.Errorf("%q is %s, want %s", ext, got, contentType)
		}
		if err := os.WriteFile(filepath.Join(dir, "file"+ext), []byte("<p>text</p>"), 0o644); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/file"+ext, nil))
		if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || got != contentType {
			t.Errorf("%q is served with status %d as %s, want %s", ext, w.Code, got, contentType)
		}
	}
	if got := static.ContentType("UPPER.PNG"); got != "image/png" {
		t.Errorf("an upper-case extension is %s", got)
	}
}
