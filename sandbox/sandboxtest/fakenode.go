package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent"
	"github.com/labd-dev/labd/sandbox/agent/node"
)

const (
	// engineSocket is the path of the engine's socket in a node.
	engineSocket = "/var/run/docker.sock"
	// profile is the startup file of a fake node's login shells.
	profile = "PS1='root@%s:\\w# '\nunset HISTFILE\n"
)

// host is a fake node: a directory and a real agent.
type host struct {
	name string
	root string // the node's root directory
	env  []string

	engine *http.Server // nil for none

	mu     sync.Mutex
	cancel context.CancelFunc    // guarded by mu: ends the running agent; nil if it is not running
	served chan error            // guarded by mu: receives the result of Serve
	reason sandbox.DownReason    // guarded by mu: why the agent is not running
	vars   map[string]string     // guarded by mu: set by SetEnv
	gone   bool                  // guarded by mu: the stack was destroyed
	conns  map[net.Conn]struct{} // guarded by mu: connections to the agent

	imagesRemoved bool // guarded by mu: see Fake.RemoveImages
}

// newHost creates a node and starts its agent.
func (w *world) newHost(stack string, spec sandbox.NodeSpec) (_ *host, err error) {
	root, err := w.nextDir()
	if err != nil {
		return nil, fmt.Errorf("fake node: %w", err)
	}
	h := &host{name: spec.Name, root: root, conns: map[net.Conn]struct{}{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("fake node: %w", err), h.destroy())
		}
	}()
	if err := h.fill(); err != nil {
		return nil, err
	}
	h.env = []string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "DOCKER_HOST=unix://" + h.path(engineSocket), "TMPDIR=" + h.path("/tmp"),
	}
	for k, v := range spec.Env {
		h.env = append(h.env, k+"="+v)
	}
	if w.opts.Engine != nil {
		ln, err := net.Listen("unix", h.path(engineSocket))
		if err != nil {
			return nil, err
		}
		h.engine = &http.Server{Handler: w.opts.Engine(stack, spec.Name), ReadHeaderTimeout: time.Minute}
		go h.engine.Serve(ln) // returns after Close in destroy
	}
	return h, h.start()
}

// fill creates the directories and files of a fresh node.
func (h *host) fill() error {
	for _, dir := range []string{"root", "tmp", "run", "var/run"} {
		if err := os.MkdirAll(filepath.Join(h.root, dir), 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(h.root, "root/.bash_profile"), fmt.Appendf(nil, profile, h.name), 0o644)
}

// clear removes everything that the learner wrote, and restores the images. The engine's socket
// stays.
func (h *host) clear() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.imagesRemoved = false
	entries, err := os.ReadDir(h.root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "var" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(h.root, e.Name())); err != nil {
			return err
		}
	}
	return h.fill()
}

// path converts a node's path to a path of this machine. Relative paths are unchanged, so that the
// agent rejects them.
func (h *host) path(p string) string {
	if !strings.HasPrefix(p, "/") {
		return p
	}
	return filepath.Join(h.root, p)
}

// start starts the agent unless it is running.
func (h *host) start() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone {
		return fmt.Errorf("node %s: %w", h.name, sandbox.ErrNotFound)
	}
	if h.cancel != nil {
		return nil
	}
	ln, err := net.Listen("unix", h.path("/run/agent.sock"))
	if err != nil {
		return err
	}
	opts := node.Options{Env: h.env, Home: h.path("/root"), Prompt: h.path("/run/prompt")}
	if h.engine != nil {
		opts.Engine = h.path(engineSocket)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	h.cancel, h.served, h.reason = cancel, served, ""
	go func() { served <- node.Serve(ctx, ln, opts) }()
	return nil
}

// stop ends the agent with all its shells and waits for it.
func (h *host) stop(reason sandbox.DownReason) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cancel == nil {
		return nil
	}
	h.closeConns() // first, because a node that dies does not close its connections in an orderly way
	h.cancel()
	err := <-h.served
	h.cancel, h.served, h.reason = nil, nil, reason
	return err
}

// disconnect closes all connections to the agent.
func (h *host) disconnect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closeConns()
}

// closeConns requires h.mu.
func (h *host) closeConns() {
	for c := range h.conns {
		c.Close()
	}
	clear(h.conns)
}

func (h *host) destroy() error {
	err := h.stop(sandbox.DownEnded)
	h.mu.Lock()
	h.gone = true
	h.mu.Unlock()
	if h.engine != nil {
		err = errors.Join(err, h.engine.Close())
	}
	return errors.Join(err, os.RemoveAll(h.root))
}

// dial connects to the agent.
func (h *host) dial(ctx context.Context) (io.ReadWriteCloser, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone {
		return nil, fmt.Errorf("node %s: %w", h.name, sandbox.ErrNotFound)
	}
	if h.cancel == nil {
		return nil, &sandbox.NodeDownError{Node: h.name, Reason: h.reason}
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", h.path("/run/agent.sock"))
	if err != nil {
		return nil, err
	}
	h.conns[c] = struct{}{}
	return &hostConn{Conn: c, h: h}, nil
}

// hostConn removes itself from its host when it is closed.
type hostConn struct {
	net.Conn
	h *host
}

func (c *hostConn) Close() error {
	c.h.mu.Lock()
	delete(c.h.conns, c.Conn)
	c.h.mu.Unlock()
	return c.Conn.Close()
}

// fakeNode implements sandbox.Node. It converts the paths in calls to paths below the host's
// directory.
type fakeNode struct {
	*agent.Client
	h *host
	w *world
}

var _ sandbox.Node = (*fakeNode)(nil)

func newFakeNode(w *world, h *host) *fakeNode {
	n := &fakeNode{h: h, w: w}
	n.Client = agent.NewClient(func(ctx context.Context) (io.ReadWriteCloser, error) {
		if err := w.available(); err != nil {
			return nil, err
		}
		return h.dial(ctx)
	}, agent.ClientOptions{Env: h.environ})
	return n
}

func (n *fakeNode) Name() string { return n.h.name }

// SetEnv stores the variables in the host and sends them to the agent.
func (n *fakeNode) SetEnv(ctx context.Context, env map[string]string) error {
	if err := sandbox.CheckEnv(env); err != nil {
		return err
	}
	n.h.mu.Lock()
	n.h.vars = maps.Clone(env)
	n.h.mu.Unlock()
	return n.Client.SetEnv(ctx, env)
}

// environ returns the variables of SetEnv.
func (h *host) environ() (map[string]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.vars), nil
}

func (n *fakeNode) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "unix" {
		address = n.h.path(address)
	}
	return n.Client.Dial(ctx, network, address)
}

func (n *fakeNode) Exec(ctx context.Context, cmd sandbox.Command) (sandbox.Result, error) {
	cmd.Dir = n.h.path(cmd.Dir)
	return n.Client.Exec(ctx, cmd)
}

func (n *fakeNode) ReadFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	return n.Client.ReadFile(ctx, n.h.path(path), limit)
}

func (n *fakeNode) WriteFile(ctx context.Context, path string, data []byte, mode fs.FileMode) error {
	return n.Client.WriteFile(ctx, n.h.path(path), data, mode)
}

// Restart ends the agent and starts it again.
func (n *fakeNode) Restart(ctx context.Context) error {
	if err := n.restart(ctx, nil); err != nil {
		return fmt.Errorf("restart node %s: %w", n.h.name, err)
	}
	return nil
}

// Reset is Restart with fresh directories.
func (n *fakeNode) Reset(ctx context.Context) error {
	if err := n.restart(ctx, n.h.clear); err != nil {
		return fmt.Errorf("reset node %s: %w", n.h.name, err)
	}
	return nil
}

// restart calls between, if it is not nil, while the agent is stopped.
func (n *fakeNode) restart(ctx context.Context, between func() error) error {
	if err := n.w.available(); err != nil {
		return err
	}
	if err := n.h.stop(sandbox.DownEnded); err != nil {
		return err
	}
	if between != nil {
		if err := between(); err != nil {
			return err
		}
	}
	if err := n.h.start(); err != nil {
		return err
	}
	return n.Ping(ctx)
}

// RestoreImages undoes Fake.RemoveImages.
func (n *fakeNode) RestoreImages(ctx context.Context) error {
	if err := n.Ping(ctx); err != nil {
		return fmt.Errorf("restore the images of node %s: %w", n.h.name, err)
	}
	n.h.mu.Lock()
	defer n.h.mu.Unlock()
	n.h.imagesRemoved = false
	return nil
}
