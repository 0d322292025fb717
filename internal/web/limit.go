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

// Rates are the limits on how often clients may ask for what costs labd something.
type Rates struct {
	Newcomers Rate // cookies, by address: a whole class may come from one
	Starts    Rate // new machines and restored images, by learner
	Terminals Rate // by learner
	Checks    Rate // by learner
}

// limits are the limiters of Rates.
type limits struct {
	newcomers, starts, terminals, checks *limiter
}

func newLimits(r Rates) limits {
	return limits{newLimiter(r.Newcomers), newLimiter(r.Starts), newLimiter(r.Terminals), newLimiter(r.Checks)}
}

// maxKeys bounds the memory of a limiter. Keys whose burst is complete again are forgotten first.
const maxKeys = 10_000

// limiter is a token bucket for each key.
type limiter struct {
	rate Rate
	now  func() time.Time

	mu   sync.Mutex
	keys map[string]*rate.Limiter // guarded by mu
}

func newLimiter(r Rate) *limiter {
	return &limiter{rate: r, now: time.Now, keys: map[string]*rate.Limiter{}}
}

// allow takes one of key's tokens, if there is one.
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

// prune forgets keys that have all their tokens, because a new limiter would have them too. If all keys are in use,
// somebody makes them up: then it forgets all.
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
