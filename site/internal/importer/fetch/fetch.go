// Package fetch fetches pictures from other servers, once, when a course is imported.
//
// Addresses come from an untrusted source, and the import may run inside a school's network. The
// client therefore does not connect to private, loopback or link-local addresses unless the caller
// allows it. It follows at most ten redirects.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/labd-dev/labd/site/internal/linkcheck"
)

// Limits on one picture.
const (
	MaxSize = 10 << 20         // bytes
	timeout = 20 * time.Second // for one request with its redirects
)

const userAgent = "Mozilla/5.0 (compatible; sitegen-import)"

// Fetcher fetches pictures. It is safe for concurrent use. Close it when it is no longer needed.
type Fetcher struct{ client *http.Client }

// New returns a Fetcher. allowPrivate lets it connect to private addresses.
func New(allowPrivate bool) *Fetcher { return &Fetcher{linkcheck.Client(allowPrivate)} }

// Close closes idle connections.
func (f *Fetcher) Close() { f.client.CloseIdleConnections() }

// Fetch returns the content of an address, at most MaxSize bytes.
func (f *Fetcher) Fetch(ctx context.Context, address string) (data []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "image/*")
	res, err := f.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the address, which the report has already
		}
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // read-only
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", res.Status)
	}
	data, err = io.ReadAll(io.LimitReader(res.Body, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("it is larger than %d MiB", MaxSize>>20)
	}
	return data, nil
}
