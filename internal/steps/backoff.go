package steps

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstWait   = 500 * time.Millisecond // before the second attempt at something
	longestWait = 10 * time.Second
)

// Backoff is an exponential backoff: the number of attempts that failed in a row.
type Backoff int

// Sleep waits, each time longer. The time is random (jitter), so not all sessions retry at the same moment.
func (b *Backoff) Sleep(ctx context.Context) error {
	wait := min(firstWait<<min(int(*b), 10), longestWait)
	*b++
	timer := time.NewTimer(wait/2 + rand.N(wait))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
