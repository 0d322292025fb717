package web

import (
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/labd-dev/labd/internal/fault"
)

var errTooFast = fault.New(fault.TooMany, "Too many requests at once. Please wait a moment and try again.", nil).Detailed("too_fast")

// Rate is how often something may be asked for: Burst times at once, then once each Every.
type Rate struct {
	Burst int
	Every time.Duration
}

// Rates limit how often clients may make expensive requests.
type Rates struct {
	Newcomers Rate // new learners, per IP address; a whole class may share one
	Starts    Rate // new machines and restored images, per learner
	Terminals Rate // opened terminals, per learner
	Checks    Rate // checks, per learner
}

// limits has a limiter for each field of Rates.
type limits struct {
	newcomers, starts, terminals, checks *limiter
}

func newLimits(r Rates) limits {
	return limits{newLimiter(r.Newcomers), newLimiter(r.Starts), newLimiter(r.Terminals), newLimiter(r.Checks)}
}

// maxKeys bounds the memory of a limiter. Keys that have all their tokens are removed first.
const maxKeys = 10_000

// limiter has a token bucket for each key.
type limiter struct {
	rate Rate
	now  func() time.Time

	mu   sync.Mutex
	keys map[string]*rate.Limiter // guarded by mu
}

func newLimiter(r Rate) *limiter {
	return &limiter{rate: r, now: time.Now, keys: map[string]*rate.Limiter{}}
}

// allow takes one of the key's tokens, and returns false if it has none.
func (l *limiter) allow(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	k := l.keys[key]
	if k == nil {
		if len(l.keys) >= maxKeys {
			l.prune(now)
		}
		k = rate.NewLimiter(rate.Every(l.rate.Every), l.rate.Burst)
		l.keys[key] = k
	}
	return k.AllowN(now, 1)
}

// prune removes keys that have all their tokens: a new bucket would have them too. If all keys are in use, a client makes
// them up, and prune removes all of them.
func (l *limiter) prune(now time.Time) {
	for key, k := range l.keys {
		if k.TokensAt(now) >= float64(l.rate.Burst) {
			delete(l.keys, key)
		}
	}
	if len(l.keys) >= maxKeys {
		clear(l.keys)
	}
}

func key(learner int64) string { return strconv.FormatInt(learner, 10) }
