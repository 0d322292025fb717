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
	// awaitFirst and awaitLongest are the pauses between two attempts to reach an agent.
	awaitFirst   = 10 * time.Millisecond
	awaitLongest = time.Second
)

// node is a sandbox.Node: its agent does all that concerns the inside of the node.
type node struct {
	*agent.Client
	d         *Driver
	name      string
	container string // id
	disk      disk
	wiring    wiring
	envMu     sync.Mutex // one SetEnv at a time

	mu       sync.Mutex
	starting *start // guarded by mu: the Restart or Reset under way
}

var _ sandbox.Node = (*node)(nil)

func (d *Driver) newNode(name, containerID string, disk disk, w wiring) *node {
	n := &node{d: d, name: name, container: containerID, disk: disk, wiring: w}
	n.Client = agent.NewClient(n.dial, agent.ClientOptions{Log: d.log.With("node", name), Env: disk.readEnv})
	return n
}

func (n *node) Name() string { return n.name }

// SetEnv keeps the variables on the host, out of the learner's reach, and gives them to the agent. The agent forgets
// them when it ends; the client sends them again whenever it connects.
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

// dial connects to the agent. Where it can't, the error says whether the engine, the node or only the agent is away.
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

// await returns when the agent answers, or when waiting longer can't help.
func (n *node) await(ctx context.Context) error {
	err := await(ctx, n.Ping)
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("node %s: %w", n.name, context.Cause(ctx))
	}
	return err
}

// await calls ping until it returns nil, ctx ends, or the node is known to be down. It pauses between calls: after an
// agent broke the protocol, ping fails at once for some seconds, and without a pause one node would keep a core busy.
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
