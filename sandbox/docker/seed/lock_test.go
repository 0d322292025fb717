//go:build linux

package seed

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"
)

// A build that waits for another one ends with its context. It leaves no goroutine and no open file
// behind, although the other build continues.
func TestWaitingForTheLockEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	waiting := make(chan struct{}, 1)
	b := &builder{opts: Options{Dir: dir}, report: func(Event) { waiting <- struct{}{} }}
	unlock, err := b.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		_, err := b.lock(ctx)
		second <- err
	}()
	<-waiting
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("lock gives %v, want %v", err, context.Canceled)
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > goroutines {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
		time.Sleep(time.Millisecond)
	}
	if n := openFiles(t); n > files {
		t.Errorf("%d open files, %d before", n, files)
	}

	// A build that keeps waiting gets the lock.
	third := make(chan error, 1)
	go func() {
		unlock, err := b.lock(t.Context())
		if err == nil {
			unlock()
		}
		third <- err
	}()
	<-waiting
	unlock()
	if err := <-third; err != nil {
		t.Errorf("lock after the other build: %v", err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
