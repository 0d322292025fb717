package linkcheck_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/linkcheck"
)

// at returns one link per URL, each on a line of its own in the same file.
func at(urls ...string) []linkcheck.Link {
	var out []linkcheck.Link
	for i, u := range urls {
		out = append(out, linkcheck.Link{URL: u, At: &source.Error{File: "content/en/a.md", Line: i + 1, Col: 3, Text: "see " + u}})
	}
	return out
}

func messages(l source.List) string {
	var out []string
	for _, e := range l {
		out = append(out, e.Error())
	}
	return strings.Join(out, "\n")
}

// checker returns a Checker that may connect to loopback and does not sleep.
func checker() *linkcheck.Checker {
	return &linkcheck.Checker{AllowPrivate: true, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

func TestVerdictByResponse(t *testing.T) {
	var asked, busy atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	mux.HandleFunc("/no-head", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
		}
	})
	mux.HandleFunc("/gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	mux.HandleFunc("/login", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, r *http.Request) {
		// Busy at the first try: HEAD and GET.
		if busy.Add(1) <= 2 {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.Handle("/old", http.RedirectHandler("/good", http.StatusMovedPermanently))
	mux.Handle("/today", http.RedirectHandler("/good", http.StatusFound))
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	server := httptest.NewServer(mux)
	defer server.Close()
	u := server.URL

	mistakes, warnings, err := checker().Check(t.Context(), at(u+"/good", u+"/good#part", u+"/no-head", u+"/gone", u+"/missing", u+"/login", u+"/busy", u+"/down", u+"/old", u+"/today", u+"/loop"))
	if err != nil {
		t.Fatal(err)
	}
	want := "content/en/a.md:4:3: " + u + "/gone does not exist (410 Gone)"
	if got := messages(mistakes); !strings.Contains(got, want) || !strings.Contains(got, "/missing does not exist (404 Not Found)") || len(mistakes) != 2 {
		t.Errorf("mistakes:\n%s", got)
	}
	got := messages(warnings)
	for _, want := range []string{"/login can't be checked from here (403", "/down can't be checked now (502", "/old has moved permanently; link to " + u + "/good", "/loop can't be checked: more than 10 redirects"} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning says %q:\n%s", want, got)
		}
	}
	if len(warnings) != 4 {
		t.Errorf("%d warnings:\n%s", len(warnings), got)
	}
	// Once for both links, once each for the two redirects to it; /old's is asked for with HEAD
	// only.
	if n := asked.Load(); n != 3 {
		t.Errorf("/good was asked for %d times", n)
	}
}

func TestEveryPlaceOfABrokenLinkIsReported(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	mistakes, _, err := checker().Check(t.Context(), at(server.URL+"/a#x", server.URL+"/a#y", server.URL+"/a"))
	if err != nil || len(mistakes) != 3 {
		t.Errorf("%v:\n%s", err, messages(mistakes))
	}
}

// TestNoConnectionsToPrivateAddresses attacks the network of whoever runs the check: a course from
// a stranger links to addresses inside it. The test's server stands for a server on that network.
func TestNoConnectionsToPrivateAddresses(t *testing.T) {
	var connections atomic.Int32
	inside := httptest.NewUnstartedServer(http.NotFoundHandler())
	inside.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	inside.Start()
	defer inside.Close()
	_, port, _ := net.SplitHostPort(inside.Listener.Addr().String())

	c := &linkcheck.Checker{}
	links := at(inside.URL+"/secret", "http://localhost:"+port+"/", "http://[::ffff:127.0.0.1]:"+port+"/", "http://0x7f000001:"+port+"/")
	mistakes, warnings, err := c.Check(t.Context(), links)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings)+len(mistakes) != len(links) || !strings.Contains(messages(warnings), "is in a private network") {
		t.Errorf("%s\n%s", messages(mistakes), messages(warnings))
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestAnUnknownHostIsAMistake(t *testing.T) {
	mistakes, warnings, err := checker().Check(t.Context(), at("https://no-such-host.invalid/page"))
	// On a machine without DNS this is a warning.
	if err != nil || len(mistakes)+len(warnings) != 1 {
		t.Error(err, messages(mistakes), messages(warnings))
	}
}

func TestCheckStopsWithItsContext(t *testing.T) {
	stop := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(stop)
	if _, _, err := checker().Check(ctx, at(server.URL+"/a", server.URL+"/b", server.URL+"/c", server.URL+"/d")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestConcurrentRequestsPerHostAreLimited counts concurrent requests in the server, and the calls
// of Progress.
func TestConcurrentRequestsPerHostAreLimited(t *testing.T) {
	var now, most atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
	}))
	defer server.Close()
	var urls []string
	for i := range 40 {
		urls = append(urls, server.URL+"/"+strings.Repeat("x", i+1))
	}
	c := checker()
	var reports atomic.Int32
	c.Progress = func(_ string, _, total int) {
		if total == len(urls) {
			reports.Add(1)
		}
	}
	if _, _, err := c.Check(t.Context(), at(urls...)); err != nil {
		t.Fatal(err)
	}
	if n := reports.Load(); int(n) != len(urls) {
		t.Errorf("%d of %d reports of progress", n, len(urls))
	}
	if m := most.Load(); m > 2 {
		t.Errorf("%d requests at a time", m)
	}
}
