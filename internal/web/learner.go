package web

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/store"
)

const (
	cookieName = "labd_learner"
	cookieAge  = 400 * 24 * time.Hour // the maximum that browsers allow
	maxToken   = 100                  // bytes; longer cookies are not looked up
)

var errUnknown = fault.New(fault.Unauthorized, "labd does not know this browser. Start a lab first, and allow cookies.", nil)

// who returns the learner that the request's cookie belongs to. Errors: Unauthorized.
func (s *Server) who(r *http.Request) (store.Learner, error) {
	c, err := r.Cookie(cookieName)
	if err != nil || c.Value == "" || len(c.Value) > maxToken {
		return store.Learner{}, errUnknown
	}
	l, err := s.cfg.Learners.Learner(r.Context(), tokenHash(c.Value))
	if errors.Is(err, store.ErrNotFound) {
		return store.Learner{}, errUnknown
	}
	return l, err
}

// learner returns the ID of the learner that the request's cookie belongs to. Errors: Unauthorized.
func (s *Server) learner(r *http.Request) (int64, error) {
	l, err := s.who(r)
	return l.ID, err
}

// learnerOrNew is like learner, but adds a new learner and sets a cookie if the request has none. Errors: TooMany.
func (s *Server) learnerOrNew(w http.ResponseWriter, r *http.Request) (int64, error) {
	id, err := s.learner(r)
	if fault.CodeOf(err) != fault.Unauthorized {
		return id, err
	}
	if !s.limits.newcomers.allow(remoteIP(r)) {
		return 0, errTooFast
	}
	token := rand.Text()
	l, err := s.cfg.Learners.AddLearner(r.Context(), tokenHash(token), time.Now())
	if err != nil {
		return 0, err
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: token, Path: "/", MaxAge: int(cookieAge.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || s.base != nil && s.base.Scheme == "https",
	})
	return l.ID, nil
}

// tokenHash returns the hash under which the store keeps a cookie. The token has 130 random bits, so a fast hash without
// salt is safe: nobody can search through all tokens.
func tokenHash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
