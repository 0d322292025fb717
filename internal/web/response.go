package web

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// response is a ResponseWriter that records whether the response has begun. A later error can't be reported to the client:
// a second response would be appended to the first one.
type response struct {
	http.ResponseWriter
	begun bool
}

func (r *response) WriteHeader(status int) {
	r.begun = true
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(p []byte) (int, error) {
	r.begun = true
	return r.ResponseWriter.Write(p)
}

// ReadFrom keeps sendfile(2) available for the files of the site.
func (r *response) ReadFrom(src io.Reader) (int64, error) {
	r.begun = true
	return io.Copy(r.ResponseWriter, src)
}

// Hijack hands over the connection, for WebSockets.
func (r *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil {
		r.begun = true
	}
	return conn, rw, err
}

// Unwrap lets http.ResponseController find the deadlines and Flush.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }
