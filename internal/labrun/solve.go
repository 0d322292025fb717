package labrun

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/sandbox"
)

const (
	// Settle is the default time in which the check must see the result of a script.
	Settle = 30 * time.Second
	// lookEvery is the pause between two checks.
	lookEvery = 100 * time.Millisecond
	// scriptTimeout limits one script. The slowest scripts build images.
	scriptTimeout = 5 * time.Minute
	// engineSocket is the socket of every node's Docker engine.
	engineSocket = "/var/run/docker.sock"
)

// RunScripts runs scripts in order and stops at the first that fails.
func RunScripts(ctx context.Context, scripts []lab.Script, nodes []sandbox.Node, vars map[string]string) error {
	for _, s := range scripts {
		ctx, cancel := context.WithTimeout(ctx, scriptTimeout)
		err := RunScript(ctx, s, nodes, vars)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// OutputOf returns the last bytes of a failed script's output, at most limit, or "" if err is not a
// *ScriptError.
func OutputOf(err error, limit int) string {
	var failed *ScriptError
	if !errors.As(err, &failed) {
		return ""
	}
	out := failed.Output[max(0, len(failed.Output)-limit):]
	return strings.TrimSpace(strings.ToValidUTF8(string(out), "\uFFFD"))
}

// AwaitEngines waits until the Docker engine of every node accepts connections.
func AwaitEngines(ctx context.Context, nodes []sandbox.Node) error {
	for _, n := range nodes {
		for {
			conn, err := n.Dial(ctx, "unix", engineSocket)
			if err == nil {
				_ = conn.Close() // nothing was written, so nothing can be lost
				break
			}
			if sleep(ctx, lookEvery) != nil {
				return fmt.Errorf("the engine of %s never answered: %w", n.Name(), err)
			}
		}
	}
	return nil
}

// ErrNotSettled is the error of Await after a timeout.
var ErrNotSettled = errors.New("the check did not see what was expected")

// Await calls look repeatedly until it returns true or an error. After the time within, it returns
// ErrNotSettled.
func Await(ctx context.Context, within time.Duration, look func(context.Context) (bool, error)) error {
	deadline := time.Now().Add(within)
	for {
		done, err := look(ctx)
		if err != nil || done {
			return err
		}
		if time.Now().After(deadline) {
			return ErrNotSettled
		}
		if err := sleep(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// Solve runs the solution of a step, then calls look repeatedly until it reports that the step is
// done. The step's setup must have run before.
func Solve(ctx context.Context, step *lab.Step, nodes []sandbox.Node, vars map[string]string, within time.Duration, look func(context.Context) (bool, error)) error {
	if err := RunScripts(ctx, step.Solution, nodes, vars); err != nil {
		return err
	}
	return Await(ctx, within, look)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
