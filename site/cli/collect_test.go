package cli

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPercentFor(t *testing.T) {
	const mib = 1 << 20
	for live, want := range map[uint64]int{0: 4700, 4 * mib: 4700, 96 * mib: 100, 150 * mib: 45, 192 * mib: 45, 1000 * mib: 45} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MiB: %d %%, want %d", live/mib, got, want)
		}
	}
}

// TestCollectLateFollowsTheHeap holds more and more memory: the setting follows, and is restored at
// the end.
func TestCollectLateFollowsTheHeap(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	restore := collectLate()
	held := make([]byte, 100<<20)
	current := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	for current() > 200 {
		runtime.GC() // the finalizer runs some time after it
		runtime.Gosched()
	}
	runtime.KeepAlive(held)
	restore()
	for range 10 {
		runtime.GC()
	}
	if got := current(); got != 100 {
		t.Errorf("after the build the setting is %d", got)
	}
}
