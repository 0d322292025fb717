package agent_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent"
	"github.com/labd-dev/labd/sandbox/agent/agenttest"
)

func TestClientReconnects(t *testing.T) {
	h := agenttest.Start(t)
	for range 3 {
		if err := h.Ping(agenttest.Context(t)); err != nil {
			t.Fatal(err)
		}
		h.StopNode(t)
		h.StartNode(t)
	}
	if _, err := h.Terminals(agenttest.Context(t)); err != nil {
		t.Fatal(err)
	}
}

// A call waits for a server that is starting, for example after the learner has killed it.
func TestClientWaitsForAStartingServer(t *testing.T) {
	h := agenttest.Start(t)
	h.StopNode(t)
	pinged := make(chan error)
	go func() { pinged <- h.Ping(agenttest.Context(t)) }()
	time.Sleep(300 * time.Millisecond)
	h.StartNode(t)
	if err := <-pinged; err != nil {
		t.Fatal(err)
	}
}

func TestClientSaysThatANodeIsDown(t *testing.T) {
	agenttest.CheckLeaks(t)
	c := agent.NewClient(func(context.Context) (io.ReadWriteCloser, error) {
		return nil, errors.Join(errors.New("container is gone"), sandbox.ErrNodeDown)
	}, agent.ClientOptions{})
	defer c.Close()
	agenttest.MustBe(t, c.Ping(agenttest.Context(t)), sandbox.ErrNodeDown)

	h := agenttest.Start(t)
	h.StopNode(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	agenttest.MustBe(t, h.Ping(ctx), context.DeadlineExceeded)
	h.Client.Close()
	agenttest.MustBe(t, h.Ping(agenttest.Context(t)), sandbox.ErrNodeDown)
}

// All callers share one connection. A caller that gives up does not close it for the others.
func TestClientSharesOneConnection(t *testing.T) {
	h := agenttest.Start(t)
	var dials atomic.Int32
	release := make(chan struct{})
	c := agent.NewClient(func(ctx context.Context) (io.ReadWriteCloser, error) {
		dials.Add(1)
		<-release
		var d net.Dialer
		return d.DialContext(ctx, "unix", h.Socket)
	}, agent.ClientOptions{})
	defer c.Close()
	impatient, cancel := context.WithCancel(agenttest.Context(t))
	first := make(chan error)
	go func() { first <- c.Ping(impatient) }()
	agenttest.Eventually(t, "it dials", func() bool { return dials.Load() == 1 })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := c.Ping(agenttest.Context(t)); err != nil {
				t.Error(err)
			}
		})
	}
	cancel()
	agenttest.MustBe(t, <-first, context.Canceled)
	close(release)
	wg.Wait()
	if n := dials.Load(); n != 1 {
		t.Fatalf("%d connections", n)
	}
}

// lateConn is a connection that breaks while the hello is being written, and whose Write returns
// only some time after Close.
type lateConn struct {
	closed chan struct{}
	once   sync.Once
	wrote  atomic.Bool
}

func (c *lateConn) Read([]byte) (int, error) { return 0, io.EOF }

func (c *lateConn) Write([]byte) (int, error) {
	<-c.closed
	time.Sleep(50 * time.Millisecond)
	c.wrote.Store(true)
	return 0, net.ErrClosed
}

func (c *lateConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func TestCloseWaitsForTheHello(t *testing.T) {
	agenttest.CheckLeaks(t)
	conn := &lateConn{closed: make(chan struct{})}
	c := agent.NewClient(func(context.Context) (io.ReadWriteCloser, error) { return conn, nil }, agent.ClientOptions{})
	pinged := make(chan error, 1)
	go func() { pinged <- c.Ping(agenttest.Context(t)) }()
	<-conn.closed
	c.Close()
	if !conn.wrote.Load() {
		t.Error("Close returned before the hello was through")
	}
	agenttest.MustBe(t, <-pinged, sandbox.ErrNodeDown)
}

// The limit counts all concurrent operations. Above it, a session would have no stream left for an
// abort. An operation rejected by labd's own limit does not mean that the node is down.
func TestConcurrentOperationsAreLimited(t *testing.T) {
	c := hostileClient(t, operations(func(_ map[string]any, s net.Conn) { s.Write(message(`{}`)) }))
	a, err := c.Attach(agenttest.Context(t), "t1", -1, sandbox.Size{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	refused := func(err error) {
		if !errors.Is(err, sandbox.ErrCapacity) || errors.Is(err, sandbox.ErrNodeDown) {
			t.Errorf("past the limit: %v", err)
		}
	}
	const most = 160
	var under atomic.Int32
	under.Add(1) // the attachment
	var calls, watches sync.WaitGroup
	for range 2 * most {
		calls.Go(func() {
			events, err := c.Watch(agenttest.Context(t))
			if err != nil {
				refused(err)
				return
			}
			under.Add(1)
			watches.Go(func() {
				for range events {
				}
			})
		})
	}
	calls.Wait()
	_, err = a.Run("r", "x")
	refused(err)
	c.Close()
	watches.Wait()
	if n := under.Load(); n != most {
		t.Errorf("%d operations at once, want %d", n, most)
	}
}

func TestManyConcurrentOperations(t *testing.T) {
	h := agenttest.Start(t)
	file := filepath.Join(h.Options.Home, "f")
	if err := os.WriteFile(file, make([]byte, 100000), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for range 5 {
				if b, err := h.ReadFile(agenttest.Context(t), file, 1<<20); err != nil || len(b) != 100000 {
					t.Errorf("%d bytes, %v", len(b), err)
				}
			}
		})
	}
	wg.Wait()
}

// An agent that was killed and restarted does not have the variables of SetEnv. They may have been
// set by a labd that has restarted since.
func TestClientSendsVariablesOverEachNewConnection(t *testing.T) {
	h := agenttest.Start(t)
	c := agent.NewClient(func(ctx context.Context) (io.ReadWriteCloser, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", h.Socket)
	}, agent.ClientOptions{Env: func() (map[string]string, error) { return map[string]string{"SEAT": "a 7"}, nil }})
	defer c.Close()
	for range 2 {
		res, err := c.Exec(agenttest.Context(t), sandbox.Command{Args: []string{"sh", "-c", "echo $SEAT"}})
		if err != nil || string(res.Stdout) != "a 7\n" {
			t.Errorf("a command prints %q, %v", res.Stdout, err)
		}
		h.StopNode(t)
		h.StartNode(t)
		if err := h.Ping(agenttest.Context(t)); err != nil { // another client's call succeeds
			t.Fatal(err)
		}
	}
}
