package cli

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// apiRoot is the path that a web server forwards to labd. static.API is below it.
const apiRoot = "/api/"

// passOn returns a reverse proxy to the labd at address, which also forwards WebSockets, or nil
// without an address. It keeps the browser's Host header, with which labd checks the origin of
// requests.
func passOn(address string) (http.Handler, error) {
	if address == "" {
		return nil, nil
	}
	labd, err := url.Parse(address)
	if err != nil || labd.Scheme != "http" && labd.Scheme != "https" || labd.Host == "" || labd.Path != "" && labd.Path != "/" {
		return nil, errors.New("must be the URL of labd, such as http://127.0.0.1:8080")
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(labd)
			r.Out.Host = r.In.Host
		},
		// The page shows that labd can't be reached and retries, so a log line per request would be
		// noise.
		ErrorLog: log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "labd can't be reached: "+err.Error(), http.StatusBadGateway)
		},
	}, nil
}
