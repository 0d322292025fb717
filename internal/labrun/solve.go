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
	// Settle is how long the check may take to see what a script brought about.
	Settle = 30 * time.Second
	// lookEvery is the pause between two looks.
	lookEvery = 100 * time.Millisecond
	// scriptTimeout bounds one script. Building an image is the slowest thing that labs do.
	scriptTimeout = 5 * time.Minute
	// engineSocket is where every node's Docker engine listens.
	engineSocket = "/var/run/docker.sock"
)

// RunScripts runs scripts one after another, up to the first one that fails.
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

// OutputOf returns the end of what a failed script wrote, at most limit bytes, or "" if err is not about a script.
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
				_ = conn.Close() // nothing was written to it
				break
			}
			if sleep(ctx, lookEvery) != nil {
				return fmt.Errorf("the engine of %s never answered: %w", n.Name(), err)
			}
		}
	}
	return nil
}

// ErrNotSettled means that look was never satisfied within the time.
var ErrNotSettled = errors.New("the check did not see what was expected")

// Await calls look until it returns true or an error, or until the time is over: then the error is an ErrNotSettled.
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

// Solve brings a step to its end as an author means it: the solution runs, then look is called until it says that the
// step is done. The step's setup must have run.
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
