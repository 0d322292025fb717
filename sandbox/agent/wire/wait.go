package wire

import (
	"context"
	"time"
)

// LongAgo as a deadline of a stream interrupts what waits at it, on either half.
func LongAgo() time.Time { return time.Unix(1, 0) }

// Sleep waits for as long as ctx lasts, but at most d. It reports whether ctx lasted.
func Sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
