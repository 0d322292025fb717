package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

const (
	// awaitFirst and awaitLongest bound the pause between two attempts to reach an agent.
	awaitFirst   = 10 * time.Millisecond
	awaitLongest = time.Second
)

// node implements sandbox.Node. Its agent does everything that happens inside the node.
type node struct {
	*agent.Client
	d         *Driver
	name      string
	container string // id
	disk      disk
	wiring    wiring
	envMu     sync.Mutex // serialises SetEnv

	mu       sync.Mutex
	starting *start // guarded by mu: the Restart or Reset in progress
}

var _ sandbox.Node = (*node)(nil)

func (d *Driver) newNode(name, containerID string, disk disk, w wiring) *node {
	n := &node{d: d, name: name, container: containerID, disk: disk, wiring: w}
	n.Client = agent.NewClient(n.dial, agent.ClientOptions{Log: d.log.With("node", name), Env: disk.readEnv})
	return n
}

func (n *node) Name() string { return n.name }

// SetEnv stores the variables on the host, where the learner can't change them, and sends them to
// the agent. The agent forgets them when it ends, so the client sends them again over each new
// connection.
func (n *node) SetEnv(ctx context.Context, env map[string]string) error {
	if err := sandbox.CheckEnv(env); err != nil {
		return err
	}
	n.envMu.Lock()
	defer n.envMu.Unlock()
	if err := n.disk.writeEnv(env); err != nil {
		return fmt.Errorf("node %s: %w", n.name, err)
	}
	return n.Client.SetEnv(ctx, env)
}

// dial connects to the agent. If it fails, the error says whether the engine, the node or only the
// agent does not answer.
func (n *node) dial(ctx context.Context) (io.ReadWriteCloser, error) {
	conn, err := n.d.dialExec(ctx, n.container)
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil || isUnreachable(err) {
		return nil, engineError(ctx, err)
	}
	if down := n.d.whyDown(ctx, n.name, n.container, err); down != nil {
		return nil, down
	}
	return nil, err
}

// await waits until the agent answers, or until the node is known to be down.
func (n *node) await(ctx context.Context) error {
	err := await(ctx, n.Ping)
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("node %s: %w", n.name, context.Cause(ctx))
	}
	return err
}

// await calls ping until it returns nil, ctx ends, or the node is known to be down. It pauses
// between calls. After a protocol violation ping fails immediately for some seconds, and without a
// pause a single node would keep a core busy.
func await(ctx context.Context, ping func(context.Context) error) error {
	for pause := awaitFirst; ; pause = min(2*pause, awaitLongest) {
		err := ping(ctx)
		if err == nil {
			return nil
		}
		var down *sandbox.NodeDownError
		if errors.As(err, &down) || errors.Is(err, sandbox.ErrNotFound) || errors.Is(err, sandbox.ErrUnavailable) {
			return err
		}
		if !wire.Sleep(ctx, pause) {
			return context.Cause(ctx)
		}
	}
}
