package docker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// undoTimeout bounds giving back what a failed Create had acquired. It does not depend on the caller's context, which
// may be the very thing that ended.
const undoTimeout = 2 * time.Minute

// undo is a stack of steps that give back what was acquired. Push a step before or right after acquiring, Release once
// the whole has succeeded, and Run otherwise. Safe for concurrent use, as nodes are made in parallel.
type undo struct {
	mu    sync.Mutex
	steps []undoStep // guarded by mu
}

type undoStep struct {
	what string
	fn   func(context.Context) error
}

// Push adds a step. what completes the sentence "undo: ...".
func (u *undo) Push(what string, fn func(context.Context) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.steps = append(u.steps, undoStep{what, fn})
}

// Release forgets all steps: what was acquired stays.
func (u *undo) Release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.steps = nil
}

// Run takes the steps in reverse order and returns what failed. A failed step does not stop the others.
func (u *undo) Run() error {
	ctx, cancel := context.WithTimeout(context.Background(), undoTimeout)
	defer cancel()
	u.mu.Lock()
	steps := u.steps
	u.steps = nil
	u.mu.Unlock()
	var errs []error
	for i := len(steps) - 1; i >= 0; i-- {
		if err := steps[i].fn(ctx); err != nil {
			errs = append(errs, fmt.Errorf("undo: %s: %w", steps[i].what, err))
		}
	}
	return errors.Join(errs...)
}
