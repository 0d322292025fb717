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
	cookieAge  = 400 * 24 * time.Hour // the longest that browsers keep one
	maxToken   = 100                  // bytes of a cookie that are looked at
)

var errUnknown = fault.New(fault.Unauthorized, "This browser has no labs here yet. Start one first; cookies must be allowed.", nil)

// who returns who asks. Errors: Unauthorized.
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

// learner returns the ID of who asks. Errors: Unauthorized.
func (s *Server) learner(r *http.Request) (int64, error) {
	l, err := s.who(r)
	return l.ID, err
}

// learnerOrNew returns who asks; somebody new gets a cookie. Errors: TooMany.
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

// tokenHash is what the store keeps of a cookie. The token has 130 random bits, so a plain hash can't be searched.
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
