package docker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// undoTimeout bounds the cleanup after a failed Create. It does not depend on the caller's context,
// which may have ended.
const undoTimeout = 2 * time.Minute

// undo is a stack of cleanup steps. Push a step for each acquired resource, call Release if
// everything succeeded, and Run otherwise. Safe for concurrent use, because nodes are created
// concurrently.
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

// Release drops all steps; the resources are kept.
func (u *undo) Release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.steps = nil
}

// Run runs the steps in reverse order and returns their errors. An error does not stop the
// remaining steps.
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
