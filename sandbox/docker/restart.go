package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/wire"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

const (
	// restartTimeout bounds Restart and Reset, including the wait for the agent.
	restartTimeout = 3 * time.Minute
	// restoreTimeout bounds RestoreImages: the node's engine stops its containers, starts, and
	// starts them again.
	restoreTimeout = 3 * time.Minute
)

// restoreCommand is run inside a node.
var restoreCommand = []string{"/usr/bin/labnode", "restore-images"}

// start is a Restart or Reset in progress.
type start struct {
	done chan struct{}
	err  error // valid once done is closed
}

// exclusively runs f, one call at a time for each node. If another start is in progress it waits.
// If shared is set and the other start succeeded, it does not run f.
func (n *node) exclusively(ctx context.Context, shared bool, f func() error) error {
	for {
		n.mu.Lock()
		other := n.starting
		if other == nil {
			own := &start{done: make(chan struct{})}
			n.starting = own
			n.mu.Unlock()
			own.err = f()
			n.mu.Lock()
			n.starting = nil
			n.mu.Unlock()
			close(own.done)
			return own.err
		}
		n.mu.Unlock()
		select {
		case <-other.done:
			if shared && other.err == nil {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Restart kills the container if it still runs, and starts it. A stuck agent looks like one that is
// gone, so Restart does not rely on the container's state. A Restart during another Restart or a
// Reset only waits for that one: a node that goes down for a Reset may be noticed and restarted by
// somebody else.
func (n *node) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restartTimeout)
	defer cancel()
	err := n.exclusively(ctx, true, func() error { return n.restart(ctx) })
	if err != nil {
		return fmt.Errorf("restart node %s: %w", n.name, engineError(ctx, err))
	}
	return nil
}

func (n *node) restart(ctx context.Context) error {
	if err := n.disk.Mount(); err != nil {
		return err
	}
	if err := n.ensureFirewall(ctx); err != nil {
		return err
	}
	now := 0
	if err := n.d.cli.ContainerRestart(ctx, n.container, container.StopOptions{Timeout: &now}); err != nil {
		return n.startError(ctx, err)
	}
	return n.await(ctx)
}

// Reset replaces the node's disk and starts it again. The fresh disk comes from the seed that the
// node was created from, because its container mounts the layers of that seed. It is complete
// before the old disk is removed, so the node has a complete disk at any time.
func (n *node) Reset(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restartTimeout)
	defer cancel()
	err := n.exclusively(ctx, false, func() error { return n.reset(ctx) })
	if err != nil {
		return fmt.Errorf("reset node %s: %w", n.name, engineError(ctx, err))
	}
	return nil
}

func (n *node) reset(ctx context.Context) error {
	s, err := n.seed(ctx)
	if err != nil {
		return err
	}
	if err := n.disk.Prepare(ctx, s); err != nil {
		return err
	}
	if err := n.ensureFirewall(ctx); err != nil {
		return err
	}
	now := 0
	if err := n.d.cli.ContainerStop(ctx, n.container, container.StopOptions{Timeout: &now}); err != nil {
		return fmt.Errorf("stop container: %w", err)
	}
	if err := n.disk.Replace(ctx); err != nil {
		return err
	}
	if err := n.d.cli.ContainerStart(ctx, n.container, container.StartOptions{}); err != nil {
		return n.startError(ctx, err)
	}
	return n.await(ctx)
}

// seed returns the seed that the node was created from.
func (n *node) seed(ctx context.Context) (*seed.Seed, error) {
	info, err := n.d.cli.ContainerInspect(ctx, n.container)
	if err != nil {
		if isGone(err) {
			return nil, fmt.Errorf("%w: %w", sandbox.ErrNotFound, err)
		}
		return nil, fmt.Errorf("look at container: %w", err)
	}
	for _, m := range info.Mounts {
		if m.Destination == seed.LayersTarget {
			return seed.OfLayers(m.Source)
		}
	}
	return nil, errors.New("its container mounts no layers")
}

func (n *node) ensureFirewall(ctx context.Context) error {
	if n.wiring == wiredNone {
		return nil
	}
	return n.d.ensureFirewall(ctx)
}

// startError explains why the container did not start.
func (n *node) startError(ctx context.Context, err error) error {
	if isGone(err) {
		if down := n.d.whyDown(ctx, n.name, n.container, err); down != nil {
			return down
		}
	}
	return fmt.Errorf("start container: %w", err)
}

// RestoreImages runs labnode in the node, which does the work.
func (n *node) RestoreImages(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restoreTimeout)
	defer cancel()
	res, err := n.Exec(ctx, sandbox.Command{Args: restoreCommand})
	if err == nil && res.ExitCode != 0 {
		err = errors.New(wire.Printable(string(bytes.TrimSpace(res.Stderr))))
	}
	if err != nil {
		return fmt.Errorf("restore the images of node %s: %w", n.name, err)
	}
	return nil
}
