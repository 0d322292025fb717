package main

import (
	"context"
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
	s := &preview{in: &in, env: e, out: filepath.Join(tmp, "site")}
	s.handler = site.Handler(s.out)
	s.rebuild(ctx)

	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
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

// preview serves the last site that could be built, or the mistakes that stand in the way of the next one.
type preview struct {
	in      *input
	env     *env
	out     string
	handler http.Handler

	mu   sync.Mutex
	fail string // mistakes of the last build, guarded by mu
}

// ServeHTTP implements http.Handler.
func (s *preview) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fail := s.fail
	s.mu.Unlock()
	if fail == "" || filepath.Ext(r.URL.Path) != "" {
		s.handler.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Header().Set("Refresh", "2")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `<!doctype html><meta charset="utf-8"><title>Mistakes</title><style>
body{margin:0;padding:2.5rem;background:#1b1113;color:#ffdcd6;font:15px/1.7 ui-monospace,Menlo,Consolas,monospace}
h1{font:650 1.4rem system-ui,sans-serif;color:#fff}p{font-family:system-ui,sans-serif;color:#e6b3ab}pre{white-space:pre-wrap}</style>
<h1>The site can't be built</h1><pre>%s</pre><p>This page looks again every two seconds. Correct the file and save it.</p>`, html.EscapeString(fail))
}

func (s *preview) rebuild(ctx context.Context) {
	report, err := s.in.build(ctx, s.out)
	if ctx.Err() != nil {
		return
	}
	printWarnings(s.env, report.Warnings)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.fail = mistakes(err).Error()
		fmt.Fprintln(s.env.stderr, s.fail)
		return
	}
	s.fail = ""
	fmt.Fprintf(s.env.stdout, "built %d pages in %v\n", report.Pages, report.Duration.Round(time.Millisecond))
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
