package cli

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// gcPercent is the garbage that a build of a large course may hold, in percent of its live heap. A build makes much garbage
	// and keeps little: a value below the default of 100 saves a third of the memory and costs little time.
	gcPercent = 45
	// freeHeap is the heap size below which nothing is collected. Collecting cost a build of 1,000 lessons a seventh of its
	// time, to save memory that every machine has.
	freeHeap = 192 << 20
)

// collectLate sets up the garbage collector for a build: it runs when the heap reaches freeHeap, or gcPercent above the live
// heap, whichever is more. Call the returned function at the end of the build to restore the setting.
func collectLate() (restore func()) {
	before := debug.SetGCPercent(percentFor(4 << 20)) // the heap of a program that has just started is taken for 4 MiB
	var mu sync.Mutex
	done := false // guarded by mu
	// A finalizer runs after each collection, when the size of the live heap is known. That is the only hook there is.
	var again func(*[16]byte)
	again = func(*[16]byte) {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return
		}
		debug.SetGCPercent(percentFor(liveHeap()))
		runtime.SetFinalizer(new([16]byte), again)
	}
	runtime.SetFinalizer(new([16]byte), again)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		done = true
		debug.SetGCPercent(before)
	}
}

// percentFor is the setting of the garbage collector for a live heap.
func percentFor(live uint64) int {
	live = max(live, 4<<20)
	if live >= freeHeap {
		return gcPercent
	}
	return max(gcPercent, int((freeHeap-live)*100/live))
}

// liveHeap is the size of the heap that the last collection left, in bytes.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
