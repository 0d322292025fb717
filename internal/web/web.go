// Package web is labd's HTTP face: the site, the API of docs/api.md, events and terminals.
//
// Handlers return errors. One table (status) turns a fault's code into the HTTP status, one place (fail) writes it and
// logs what is a defect. What a request may do is decided before a handler runs: its Host must be ours, which defeats
// DNS rebinding, and a request that changes something or opens a WebSocket must come from a page of ours.
package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/internal/static"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox"
)

// Limits on what a client may cost labd.
const (
	maxBody       = 64 << 10 // bytes of a request's JSON
	bodyTimeout   = 10 * time.Second
	answerTimeout = 5 * time.Minute  // to write a whole answer; events and terminals have their own
	beat          = 15 * time.Second // between comments in a stream of events
	eventTimeout  = 30 * time.Second // for a reader of events to take one
)

// labs is what web needs of session.Manager for everything but terminals.
type labs interface {
	Status() session.Status
	Create(ctx context.Context, learner int64, lab, lang string, startOver bool) (session.View, bool, error)
	Get(ctx context.Context, learner int64, id string) (session.View, error)
	List(learner int64, lab string) []session.View
	Extend(ctx context.Context, learner int64, id string) (session.View, error)
	End(ctx context.Context, learner int64, id string) error
	Reset(ctx context.Context, learner int64, id string, startOver bool) (session.View, error)
	RestoreImages(ctx context.Context, learner int64, id, node string) error
	Check(ctx context.Context, learner int64, id, anchor string) (session.StepView, error)
	Subscribe(ctx context.Context, learner int64, id string) (*session.Subscription, error)
	Progress(ctx context.Context, learner int64) ([]session.LabProgress, error)
}

// shells is what web needs of session.Manager for terminals.
type shells interface {
	OpenTerminal(ctx context.Context, learner int64, session, id, node string, size sandbox.Size) (string, error)
	Attach(ctx context.Context, learner int64, session, id string, from int64, size sandbox.Size) (*session.Terminal, error)
	CloseTerminal(ctx context.Context, learner int64, session, id string) error
}

// learners keeps who is who: what web needs of store.Store.
type learners interface {
	Learner(ctx context.Context, tokenHash []byte) (store.Learner, error)
	AddLearner(ctx context.Context, tokenHash []byte, now time.Time) (store.Learner, error)
}

// Config is what New needs.
type Config struct {
	Labs     labs
	Shells   shells
	Learners learners
	Site     http.Handler // everything outside of /api/
	BaseURL  string       // scheme and host; "" answers to loopback names and IP addresses only
	Version  string
	Rates    Rates
	Log      *slog.Logger
}

// Server is labd's http.Handler. Close it when the http.Server shuts down: it ends what would otherwise never end.
type Server struct {
	cfg     Config
	log     *slog.Logger
	base    *url.URL // nil if none is configured
	mux     *http.ServeMux
	tickets tickets
	limits  limits
	stall   time.Duration // stallLimit, but in tests
	closing chan struct{} // closed by Close

	mu        sync.Mutex
	closed    bool                   // guarded by mu
	terminals map[*terminal]struct{} // guarded by mu
	wg        sync.WaitGroup         // their goroutines
}

// New returns a Server. cfg.BaseURL must be valid.
func New(cfg Config) (*Server, error) {
	s := &Server{
		cfg:       cfg,
		log:       cfg.Log,
		mux:       http.NewServeMux(),
		limits:    newLimits(cfg.Rates),
		stall:     stallLimit,
		closing:   make(chan struct{}),
		terminals: map[*terminal]struct{}{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.BaseURL != "" {
		base, err := url.Parse(cfg.BaseURL)
		if err != nil {
			return nil, fmt.Errorf("base URL: %w", err)
		}
		s.base = base
	}
	for pattern, h := range map[string]handler{
		"GET /status":                            s.getStatus,
		"GET /me":                                s.getMe,
		"GET /progress":                          s.getProgress,
		"POST /sessions":                         s.postSession,
		"GET /sessions":                          s.getSessions,
		"GET /sessions/{id}":                     s.getSession,
		"POST /sessions/{id}/extend":             s.postExtend,
		"POST /sessions/{id}/reset":              s.postReset,
		"DELETE /sessions/{id}":                  s.deleteSession,
		"POST /sessions/{id}/steps/{step}/check": s.postCheck,
		"GET /sessions/{id}/events":              s.getEvents,
		"POST /sessions/{id}/nodes/{node}/restore-images": s.postRestoreImages,
		"POST /sessions/{id}/terminals":                   s.postTerminal,
		"DELETE /sessions/{id}/terminals/{tid}":           s.deleteTerminal,
		"GET /sessions/{id}/terminals/{tid}/ws":           s.getTerminal,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		s.mux.Handle(method+" "+static.API+path, s.handle(h))
	}
	s.mux.Handle("/api/", s.handle(func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "The API has no such address. docs/api.md lists what there is.", nil)
	}))
	if cfg.Site != nil {
		s.mux.Handle("/", cfg.Site)
	}
	return s, nil
}

// Close ends streams of events and terminals, and waits for the latter's goroutines until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	open := make([]*terminal, 0, len(s.terminals))
	for t := range s.terminals {
		open = append(open, t)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		// One that can't take a close frame must not hold up the others.
		var stops sync.WaitGroup
		for _, t := range open {
			stops.Go(t.stop)
		}
		stops.Wait()
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the terminals: %w", context.Cause(ctx))
	}
}

// ServeHTTP does for every request what no handler may forget.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &response{ResponseWriter: rw}
	if r.URL.Path == "/healthz" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("ok\n"))
		return
	}
	id := requestID()
	w.Header().Set("X-Request-Id", id)
	r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler {
			panic(p) // net/http closes the connection and logs nothing
		}
		s.fail(w, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
	}()
	// Whoever never reads the answer must not hold its goroutine for ever. Not all writers in tests have deadlines.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
	s.protect(w.Header())
	err := s.admit(r)
	if err == nil {
		err = takeBody(w, r)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// protect sets the headers that keep an answer from being misused by others and by what it shows. The site's handler has
// its own policy for pages.
func (s *Server) protect(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// admit refuses what did not come to us by a name of ours, and what another site's page sent.
func (s *Server) admit(r *http.Request) error {
	if !s.ours(r.Host) {
		return fault.New(fault.Forbidden, fmt.Sprintf("labd does not answer to the name %.100q. The operator can set base_url in lab.toml.", r.Host), nil).Detailed("host")
	}
	unsafe := r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions
	upgrade := r.Header.Get("Upgrade") != ""
	if (unsafe || upgrade) && !s.ownOrigin(r) {
		return fault.New(fault.Forbidden, "This request came from another site, or says nothing of where it came from.", nil).Detailed("origin")
	}
	return nil
}

// ours tells whether host, as in a Host header, is one that labd answers to. A page that an attacker's DNS points at this
// machine has a name of the attacker's; addresses and loopback names can't be pointed anywhere.
func (s *Server) ours(host string) bool {
	if s.base != nil && strings.EqualFold(host, s.base.Host) {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	name = strings.ToLower(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || net.ParseIP(name) != nil
}

// ownOrigin tells whether the request says that it comes from a page of ours. Its Host is ours.
func (s *Server) ownOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if s.base != nil && strings.EqualFold(r.Host, s.base.Host) {
		return strings.EqualFold(origin, s.base.Scheme+"://"+s.base.Host)
	}
	// A proxy may have ended https, so either scheme will do where no base URL says which.
	return strings.EqualFold(origin, "http://"+r.Host) || strings.EqualFold(origin, "https://"+r.Host)
}

// handler is an http.Handler that returns its error.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *Server) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

type requestIDKey struct{}

func requestID() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return "r-" + hex.EncodeToString(b)
}

// status is the one table from an error's code to its HTTP status.
var status = map[fault.Code]int{
	fault.Invalid:      http.StatusBadRequest,
	fault.Unauthorized: http.StatusUnauthorized,
	fault.Forbidden:    http.StatusForbidden,
	fault.NotFound:     http.StatusNotFound,
	fault.Conflict:     http.StatusConflict,
	fault.Gone:         http.StatusGone,
	fault.TooLarge:     http.StatusRequestEntityTooLarge,
	fault.TooMany:      http.StatusTooManyRequests,
	fault.Internal:     http.StatusInternalServerError,
	fault.Full:         http.StatusServiceUnavailable,
	fault.LabsOff:      http.StatusServiceUnavailable,
	fault.NodeDown:     http.StatusServiceUnavailable,
}

// fail answers with err, and logs it if somebody should look into it. If the answer has begun, it breaks the connection
// off instead, so the client sees that the answer is not complete.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // the client has gone
	}
	id, _ := r.Context().Value(requestIDKey{}).(string)
	code := fault.CodeOf(err)
	level := slog.LevelDebug
	if code == fault.Internal {
		level = slog.LevelError
	}
	s.log.Log(r.Context(), level, "a request failed", "id", id, "method", r.Method, "path", r.URL.Path, "code", code, "err", err)
	if resp, ok := w.(*response); ok && resp.begun {
		panic(http.ErrAbortHandler)
	}
	st, ok := status[code]
	if !ok {
		st = http.StatusInternalServerError
	}
	answer(w, st, map[string]any{"error": errorJSON{Code: code, Detail: fault.DetailOf(err), Message: fault.MessageOf(err), ID: id}})
}
