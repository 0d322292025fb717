package wire

import (
	"context"
	"time"
)

// LongAgo is a deadline in the past. Set on a stream, it interrupts blocked reads and writes.
func LongAgo() time.Time { return time.Unix(1, 0) }

// Sleep waits for d or until ctx ends. It returns false if ctx has ended.
func Sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
