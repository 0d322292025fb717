package cli

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTheProxyKeepsTheHostHeader(t *testing.T) {
	labd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Asked", r.Host+r.URL.RequestURI())
	}))
	handler, err := passOn(labd.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	ask := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8000/api/v1/sessions?lab=one", nil))
		return w
	}
	if got := ask().Header().Get("Asked"); got != "127.0.0.1:8000/api/v1/sessions?lab=one" {
		t.Errorf("labd was asked for %s", got)
	}
	labd.Close()
	if w := ask(); w.Code != http.StatusBadGateway {
		t.Errorf("without labd the answer is %d %s", w.Code, w.Body)
	}
}
