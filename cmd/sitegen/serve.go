package main

import (
	"context"
	_ "embed" // for live.js
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"labd/internal/markdown"
	"labd/internal/source"
	"labd/site"
)

const (
	pollInterval = 300 * time.Millisecond
	shutdownTime = 3 * time.Second
)

func runServe(ctx context.Context, e *env, args []string) error {
	fl := flag.NewFlagSet("serve", flag.ContinueOnError)
	var in input
	in.flags(fl)
	addr := fl.String("addr", "127.0.0.1:8000", "`address` to listen on")
	if err := parse(fl, e, args); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "sitegen-serve-")
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer os.RemoveAll(tmp)
	in.opts.Renderer = markdown.New()
	in.opts.LiveScript = liveScript
	s := &preview{in: &in, env: e, out: filepath.Join(tmp, "site"), changed: make(chan struct{})}
	s.handler = site.Handler(s.out)
	s.rebuild(ctx)

	// Requests end with ctx, or open pages that wait for the next build would hold up the shutdown.
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(e.stdout, "serving http://%s/ and building again on every change; stop with Ctrl-C\n", listener.Addr())

	watchCtx, stopWatch := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(watchCtx) })
	defer watching.Wait()
	defer stopWatch()

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(stopCtx); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}

// Addresses that only a served preview has.
const (
	liveScript = "/-/live.js"
	liveEvents = "/-/events"
	liveState  = "/-/state"
)

//go:embed live.js
var liveCode []byte

// preview serves the last site that could be built, or the mistakes that stand in the way of the next one, and tells open
// pages when there is a new one.
type preview struct {
	in      *input
	env     *env
	out     string
	handler http.Handler

	mu      sync.Mutex
	fail    string        // mistakes of the last build, guarded by mu
	now     state         // guarded by mu
	changed chan struct{} // closed when now changes, guarded by mu
}

// state is what pages are told of the preview; the package comment explains it.
type state struct {
	Version  int       `json:"version"`
	Checked  int       `json:"checked"`
	Styles   []string  `json:"styles"`
	Mistakes []mistake `json:"mistakes"`
	Warnings []mistake `json:"warnings"`
}

type mistake struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
	Text string `json:"text"`
	Msg  string `json:"msg"`
}

// listed are the mistakes in err.
func listed(err error) []mistake {
	out := []mistake{}
	var one *source.Error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, listed(e)...)
		}
	} else if errors.As(err, &one) {
		out = append(out, mistake{one.File, one.Line, one.Col, one.Text, one.Msg})
	} else if err != nil {
		out = append(out, mistake{Msg: err.Error()})
	}
	return out
}

// state returns how things are, the last build's mistakes, and a channel that is closed when that has changed.
func (s *preview) state() (now state, fail string, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.fail, s.changed
}

// ServeHTTP implements http.Handler.
func (s *preview) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now, fail, _ := s.state()
	switch {
	case r.URL.Path == liveScript:
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(liveCode)
		return
	case r.URL.Path == liveEvents:
		s.events(w, r)
		return
	case r.URL.Path == liveState:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(now)
		return
	}
	// The page's script reads from this header which build it belongs to.
	w.Header().Set("Server-Timing", fmt.Sprintf(`build;desc="%d"`, now.Version))
	if fail == "" || filepath.Ext(r.URL.Path) != "" {
		s.handler.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `<!doctype html><meta charset="utf-8"><title>Mistakes</title><style>
body{margin:0;padding:2.5rem;background:#1b1113;color:#ffdcd6;font:15px/1.7 ui-monospace,Menlo,Consolas,monospace}
h1{font:650 1.4rem system-ui,sans-serif;color:#fff}p{font-family:system-ui,sans-serif;color:#e6b3ab}pre{white-space:pre-wrap}</style>
<script type="module" src="%s"></script>
<h1>The site can't be built</h1><pre>%s</pre><p>Correct the file and save it: this page then goes on by itself.</p>`, liveScript, html.EscapeString(fail))
}

// events tells a page the state, and again whenever it changes, until the page goes away.
func (s *preview) events(w http.ResponseWriter, r *http.Request) {
	flusher, ok := w.(http.Flusher)
	if !ok {
		http.Error(w, "no streaming here", http.StatusNotImplemented)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for {
		now, _, changed := s.state()
		data, err := json.Marshal(now)
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
			return
		}
		flusher.Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func (s *preview) rebuild(ctx context.Context) {
	report, err := s.in.build(ctx, s.out)
	if ctx.Err() != nil || report.Unchanged && err == nil && s.good() {
		return
	}
	printWarnings(s.env, report.Warnings)
	fail := ""
	if err != nil {
		fail = mistakes(err).Error()
		fmt.Fprintln(s.env.stderr, fail)
	} else {
		fmt.Fprintf(s.env.stdout, "built %d pages in %v\n", report.Pages, report.Duration.Round(time.Millisecond))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
	s.now = state{Version: s.now.Version + 1, Checked: s.now.Version + 1, Styles: []string{}, Mistakes: listed(err), Warnings: listed(report.Warnings.Err())}
	close(s.changed)
	s.changed = make(chan struct{})
}

// good says whether the last build had no mistakes.
func (s *preview) good() bool {
	now, fail, _ := s.state()
	return fail == "" && now.Version > 0
}

// watch rebuilds when a file of the course changes, until ctx ends. It compares names, sizes and times, which works on
// every file system, network ones and containers' bind mounts too.
func (s *preview) watch(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	last := s.snapshot()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.snapshot()
		if now == last {
			continue
		}
		last = now
		s.rebuild(ctx)
	}
}

// snapshot describes the state of all files the course is read from.
func (s *preview) snapshot() string {
	var state []byte
	content, labs := s.in.folders()
	for _, dir := range []string{content, labs} {
		if dir == "" {
			continue
		}
		// What can't be read is part of the state by its absence.
		_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if info, err := d.Info(); err == nil {
				state = fmt.Appendf(state, "%s\x00%d\x00%d\n", name, info.Size(), info.ModTime().UnixNano())
			}
			return nil
		})
	}
	return string(state)
}
