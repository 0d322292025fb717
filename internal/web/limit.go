package web

import (
	"strconv"
	"sync"
	"time"

	"github.com/labd-dev/labd/internal/fault"
)

var errTooFast = fault.New(fault.TooMany, "Too many requests at once. Please wait a moment and try again.", nil)

// limits are how often things may be asked for.
type limits struct {
	newcomers *bucket // cookies, by address: a whole class may come from one
	starts    *bucket // sessions, by learner
	tickets   *bucket // terminals, by learner
	checks    *bucket // by learner
}

func newLimits() limits {
	return limits{
		newcomers: newBucket(400, 5),
		starts:    newBucket(30, 0.5),
		tickets:   newBucket(300, 10),
		checks:    newBucket(20, 2),
	}
}

// maxKeys bounds the memory of a bucket: keys whose tokens are full again are forgotten first.
const maxKeys = 10_000

// bucket is a token bucket for each key.
type bucket struct {
	size float64 // tokens of a full one
	rate float64 // tokens a second
	now  func() time.Time

	mu   sync.Mutex
	keys map[string]tokens // guarded by mu
}

type tokens struct {
	left float64
	at   time.Time
}

func newBucket(size, rate float64) *bucket {
	return &bucket{size: size, rate: rate, now: time.Now, keys: map[string]tokens{}}
}

// allow takes a token of key's, if there is one.
func (b *bucket) allow(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	t, ok := b.keys[key]
	if !ok {
		if len(b.keys) >= maxKeys {
			b.prune(now)
		}
		t = tokens{left: b.size, at: now}
	}
	t.left = min(b.size, t.left+now.Sub(t.at).Seconds()*b.rate)
	t.at = now
	ok = t.left >= 1
	if ok {
		t.left--
	}
	b.keys[key] = t
	return ok
}

// prune forgets full keys, and everything if all are in use: then somebody makes up keys.
func (b *bucket) prune(now time.Time) {
	for k, t := range b.keys {
		if t.left+now.Sub(t.at).Seconds()*b.rate >= b.size {
			delete(b.keys, k)
		}
	}
	if len(b.keys) >= maxKeys {
		clear(b.keys)
	}
}

func key(learner int64) string { return strconv.FormatInt(learner, 10) }
