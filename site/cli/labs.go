package cli

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// apiRoot is what a server in front of a site with labs passes on; static.API is below it.
const apiRoot = "/api/"

// passOn hands requests to the labd at address, WebSockets among them; nil without an address. labd sees the name that the
// browser asked for: it knows its own pages by that.
func passOn(address string) (http.Handler, error) {
	if address == "" {
		return nil, nil
	}
	labd, err := url.Parse(address)
	if err != nil || labd.Scheme != "http" && labd.Scheme != "https" || labd.Host == "" || labd.Path != "" && labd.Path != "/" {
		return nil, errors.New("is where labd serves, as http://127.0.0.1:8080")
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(labd)
			r.Out.Host = r.In.Host
		},
		// The page says that labs can't be reached, and asks again: no line for each time.
		ErrorLog: log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "labd can't be reached: "+err.Error(), http.StatusBadGateway)
		},
	}, nil
}
