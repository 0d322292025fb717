//go:build linux

package docker_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker"
)

// When labd starts, it sends many requests concurrently. The API version must be negotiated once
// before them. This test also runs with the race detector.
func TestAPIVersionIsNegotiatedFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var noEngine atomic.Bool
	noEngine.Store(true)
	var pings, early atomic.Int32
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if noEngine.Load() {
			return // 200, but without an engine's headers
		}
		w.Header().Set("Api-Version", "1.41")
		switch {
		case r.URL.Path == "/_ping":
			pings.Add(1)
		case !strings.HasPrefix(r.URL.Path, "/v1.41/"):
			early.Add(1)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("[]"))
		}
	})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	defer func() {
		srv.Close()
		<-served
	}()
	d, err := docker.New(t.Context(), docker.Config{Host: "unix://" + path, SeedDir: t.TempDir(), StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.List(t.Context()); !errors.Is(err, sandbox.ErrUnavailable) || !strings.Contains(err.Error(), "no Docker engine") {
		t.Errorf("List where no engine answers gives %v", err)
	}
	noEngine.Store(false)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := d.List(t.Context()); err != nil {
				t.Errorf("List: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := d.Open(t.Context(), "none"); !errors.Is(err, sandbox.ErrNotFound) {
				t.Errorf("Open: %v", err)
			}
		})
		wg.Go(func() {
			if err := d.Destroy(t.Context(), "none"); err != nil {
				t.Errorf("Destroy: %v", err)
			}
		})
	}
	wg.Wait()
	if pings.Load() != 1 || early.Load() != 0 {
		t.Errorf("%d pings, %d requests in another version", pings.Load(), early.Load())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.List(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("List after its context's end gives %v", err)
	}
}
