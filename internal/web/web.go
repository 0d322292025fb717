// Package web is labd's HTTP server: the site, the API that docs/api.md describes, server-sent events, and terminals over
// WebSockets.
//
// Handlers return errors. The table status maps the code of a fault to the HTTP status. Only fail writes errors, and it
// logs internal ones.
//
// Two checks run before every handler. The Host header must be one of labd's names, which prevents DNS rebinding. A
// request that changes something or opens a WebSocket must have labd's own Origin, which prevents cross-site requests.
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
	answerTimeout = 5 * time.Minute  // to write a whole response; events and terminals have their own timeouts
	keepAlive     = 15 * time.Second // between comments in a stream of events
	eventTimeout  = 30 * time.Second // to write one event
)

// labs is the part of session.Manager that does not concern terminals.
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

// shells is the part of session.Manager that concerns terminals.
type shells interface {
	OpenTerminal(ctx context.Context, learner int64, session, id, node string, size sandbox.Size) (string, error)
	Attach(ctx context.Context, learner int64, session, id string, from int64, size sandbox.Size) (*session.Terminal, error)
	CloseTerminal(ctx context.Context, learner int64, session, id string) error
}

// learners is the part of store.Store that concerns learners.
type learners interface {
	Learner(ctx context.Context, tokenHash []byte) (store.Learner, error)
	AddLearner(ctx context.Context, tokenHash []byte, now time.Time) (store.Learner, error)
}

// Config is what New needs.
type Config struct {
	Labs     labs
	Shells   shells
	Learners learners
	Site     http.Handler // serves everything outside of /api/
	BaseURL  string       // scheme and host; with "", labd only accepts loopback names and IP addresses as Host
	Version  string
	Rates    Rates
	Log      *slog.Logger
}

// Server is labd's http.Handler. Call Close when the http.Server shuts down: it ends event streams and terminals, which
// otherwise never end.
type Server struct {
	cfg     Config
	log     *slog.Logger
	base    *url.URL // nil if none is configured
	mux     *http.ServeMux
	tickets tickets
	limits  limits
	stall   time.Duration // stallLimit, or less in tests
	closing chan struct{} // closed by Close

	mu        sync.Mutex
	closed    bool                   // guarded by mu
	terminals map[*terminal]struct{} // guarded by mu
	wg        sync.WaitGroup         // the goroutines of terminals
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
		return fault.New(fault.NotFound, "The API has no such endpoint. docs/api.md lists all of them.", nil)
	}))
	if cfg.Site != nil {
		s.mux.Handle("/", cfg.Site)
	}
	return s, nil
}

// Close ends event streams and terminals, and waits for the terminals' goroutines until ctx ends.
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
		// A client that does not read must not delay the close frames of the others.
		var stops sync.WaitGroup
		for _, t := range open {
			stops.Go(t.shutDown)
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

// ServeHTTP does what every request needs: a request ID, security headers, a write deadline, the checks of Host and
// Origin, and recovery from panics.
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
	// A client that never reads the response must not occupy its goroutine for ever. The error is ignored because not
	// every ResponseWriter in tests supports deadlines.
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

// protect sets the security headers. The site's handler replaces the Content-Security-Policy for pages.
func (s *Server) protect(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// admit refuses requests with a foreign Host, and cross-site requests.
func (s *Server) admit(r *http.Request) error {
	if !s.ours(r.Host) {
		return fault.New(fault.Forbidden, fmt.Sprintf("labd is not configured to be reached as %.100q. The operator can set base_url in lab.toml.", r.Host), nil).Detailed("host")
	}
	unsafe := r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions
	upgrade := r.Header.Get("Upgrade") != ""
	if (unsafe || upgrade) && !s.ownOrigin(r) {
		return fault.New(fault.Forbidden, "This request came from another site, or has no Origin header.", nil).Detailed("origin")
	}
	return nil
}

// ours reports whether labd accepts this Host header. An attacker can let their own domain name resolve to this machine
// (DNS rebinding), but they can't do that with IP addresses and loopback names.
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

// ownOrigin reports whether the request's Origin is labd's own. Its Host has been checked already.
func (s *Server) ownOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if s.base != nil && strings.EqualFold(r.Host, s.base.Host) {
		return strings.EqualFold(origin, s.base.Scheme+"://"+s.base.Host)
	}
	// A proxy may terminate TLS. Without a base URL labd does not know, so it accepts both schemes.
	return strings.EqualFold(origin, "http://"+r.Host) || strings.EqualFold(origin, "https://"+r.Host)
}

// handler is like http.HandlerFunc, but returns its error.
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
	_, _ = rand.Read(b) // crypto/rand never returns an error
	return "r-" + hex.EncodeToString(b)
}

// status maps the code of an error to the HTTP status.
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

// fail responds with err, and logs it. If the response has begun already, fail closes the connection instead, and the client
// sees that the response is incomplete.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // the client has closed the connection
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
