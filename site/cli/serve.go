package cli

import (
	"context"
	_ "embed" // for live.js
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labd-dev/labd/internal/command"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site"
)

const shutdownTime = 3 * time.Second

func runServe(ctx context.Context, e *command.Env, args []string) error {
	fl := flag.NewFlagSet("sitegen serve", flag.ContinueOnError)
	var in input
	in.flags(fl)
	addr := fl.String("addr", "127.0.0.1:8000", "`address` to listen on")
	labs := fl.String("labd", "", "offer labs, and forward "+apiRoot+" to the labd at this `URL`")
	assets := fl.String("assets", "", "`folder` of scripts and styles, for developing them (default: the built-in ones)")
	if _, err := command.Parse(fl, e, "usage: sitegen serve [flags]", 0, args); err != nil {
		return err
	}
	if *assets != "" {
		in.opts.Assets = os.DirFS(*assets)
	}
	in.opts.LiveScript, in.opts.Labs = liveScript, *labs != ""
	labd, err := passOn(*labs)
	if err != nil {
		return command.Misuse("-labd %v", err)
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	p := startProgress(e.Stderr)
	in.opts.Progress = p.step
	s, err := newPreview(ctx, &in, e, *assets, labd)
	if err != nil {
		p.stop()
		return errors.Join(err, listener.Close())
	}
	defer in.disk.Prune()
	// Printed before the progress line of the checks. Requests that arrive now wait in the
	// listener's queue.
	fmt.Fprintf(e.Stdout, "serving http://%s/ and watching for changes; stop with Ctrl-C\n", listener.Addr())
	work, stopWork := context.WithCancel(ctx)
	var working sync.WaitGroup
	defer working.Wait()
	defer stopWork()
	working.Go(func() { s.live.Run(work) })
	working.Go(func() { s.report(work, p) })
	working.Go(func() { s.follow(work) })

	// Requests end with ctx. Otherwise the event streams of open pages would delay the shutdown.
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

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

// URLs that only the preview has.
const (
	liveScript = "/-/live.js"
	liveEvents = "/-/events"
	liveState  = "/-/state"
)

//go:embed live.js
var liveCode []byte

// preview serves a course while it is being written, and notifies open pages of changes.
type preview struct {
	in      *input
	env     *command.Env
	live    *site.Live
	watcher *watcher
	labd    http.Handler      // serves apiRoot; nil if no labs are offered
	dirs    map[string]string // the kinds of the watched folders
	src     site.Source       // used only by follow
}

// Kinds of watched folders.
const (
	holdsContent = "content"
	holdsLabs    = "labs"
	holdsAssets  = "assets"
)

func newPreview(ctx context.Context, in *input, e *command.Env, assets string, labd http.Handler) (*preview, error) {
	s := &preview{in: in, env: e, labd: labd, dirs: map[string]string{}}
	content, labs := in.folders()
	for dir, holds := range map[string]string{content: holdsContent, labs: holdsLabs, assets: holdsAssets} {
		if dir == "" {
			continue
		}
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
		s.dirs[dir] = holds
	}
	// Watch before reading, so that no change is missed.
	s.watcher = newWatcher(slices.Sorted(maps.Keys(s.dirs)))
	src, err := in.source(ctx)
	if err == nil {
		s.src = src
		s.live, err = site.NewLive(ctx, src, in.opts)
	}
	if err != nil {
		s.watcher.close()
		return nil, err
	}
	return s, nil
}

// follow updates the live site after changes, until ctx ends.
func (s *preview) follow(ctx context.Context) {
	s.watcher.watch(ctx, func(changes []change) {
		content := []string{}
		all, labs, assets := false, false, false
		for _, c := range changes {
			switch s.dirs[c.dir] {
			case holdsContent:
				content = append(content, c.name)
				all = all || c.name == "."
			case holdsLabs:
				labs = true
			case holdsAssets:
				assets = true
			}
		}
		if assets {
			s.live.UpdateAssets()
		}
		if all || labs {
			src, err := s.in.source(ctx)
			if err != nil {
				s.live.Fail(err)
				return
			}
			if all {
				s.src, content = src, nil
			} else {
				s.src.Labs, s.src.LabErr = src.Labs, src.LabErr
			}
		}
		if all || labs || len(content) > 0 {
			s.live.Update(ctx, s.src, content)
		}
	})
}

// report prints mistakes whenever the list of them changes. It stops the progress line once the
// course was checked: later checks look at few pages.
func (s *preview) report(ctx context.Context, p *progress) {
	stop := sync.OnceFunc(p.stop)
	defer stop()
	last := ""
	for {
		state, changed := s.live.State()
		if state.Checked == state.Version {
			stop()
			fail := ""
			if err := errors.Join(slices.Clone(state.Mistakes).Err(), state.Err); err != nil {
				fail = source.Counted(err).Error()
			}
			switch {
			case fail != "" && fail != last:
				printFindings(s.env.Stderr, "warning: ", warningFindings(state.Warnings))
				fmt.Fprintln(s.env.Stderr, fail)
			case fail == "" && last != "":
				fmt.Fprintln(s.env.Stdout, "no mistakes left")
			}
			last = fail
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// state is the JSON object that pages get. The package comment describes it.
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

// toJSON converts a state for pages.
func toJSON(s site.State) state {
	out := state{Version: s.Version, Checked: s.Checked, Styles: s.Styles, Mistakes: listed(s.Mistakes), Warnings: listed(s.Warnings)}
	if s.Err != nil {
		out.Mistakes = append(out.Mistakes, mistake{Msg: s.Err.Error()})
	}
	return out
}

func listed(list source.List) []mistake {
	out := []mistake{}
	for _, e := range list {
		out = append(out, mistake{e.File, e.Line, e.Col, e.Text, e.Msg})
	}
	return out
}

// ServeHTTP implements http.Handler.
func (s *preview) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == liveScript:
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(liveCode)
	case path == liveEvents:
		s.events(w, r)
	case path == liveState:
		now, _ := s.live.State()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(toJSON(now))
	case s.labd != nil && strings.HasPrefix(path, apiRoot):
		s.labd.ServeHTTP(w, r)
	default:
		s.live.ServeHTTP(w, r)
	}
}

// events sends the state to a page, and again after every change, until the page closes the
// connection.
func (s *preview) events(w http.ResponseWriter, r *http.Request) {
	flusher, ok := w.(http.Flusher)
	if !ok {
		http.Error(w, "streaming is not supported", http.StatusNotImplemented)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for {
		now, changed := s.live.State()
		data, err := json.Marshal(toJSON(now))
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
