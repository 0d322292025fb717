// Package agent is the client for a node's agent. A Client implements most of sandbox.Node over any
// byte stream to the agent's server (package node), using the protocol of package wire. It treats
// everything it reads from the server as untrusted.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

const (
	connectTimeout = 15 * time.Second // for one connection, including the hello
	connectFor     = 5 * time.Second  // how long a call keeps trying to reconnect
	connectBackoff = 50 * time.Millisecond
	connectMost    = 800 * time.Millisecond
	answerTimeout  = 30 * time.Second // for operations that should be answered at once
	liveStreams    = 160              // concurrent operations per session
	abortStreams   = 64               // streams that a server may leave open before the session is closed
	abortPatience  = 5 * time.Second  // time for the server to close some of them
	abortTimeout   = 10 * time.Second // for aborting one operation
	stuckGrace     = time.Second      // from a context's end until a blocked connection is closed
	breachPause    = 5 * time.Second  // pause before reconnecting to a server that violated the protocol
)

// DialFunc connects to a server, for example through an exec stream that runs `labnode dial`. If it
// knows that the node is down or gone, its error wraps sandbox.ErrNodeDown or sandbox.ErrNotFound,
// and the client does not retry.
type DialFunc func(ctx context.Context) (io.ReadWriteCloser, error)

// ClientOptions configure a Client. The zero value is usable.
type ClientOptions struct {
	Log *slog.Logger // nil for none
	// Env returns the variables of the last SetEnv; nil if there are none. A server forgets them
	// when it ends, so the client sends them over each new connection, before anything else.
	Env func() (map[string]string, error)
}

// Client implements sandbox.Node, except the methods that only a driver can: Name, Restart, Reset,
// RestoreImages. Its methods are safe for concurrent use. It connects on first use and reconnects
// when the connection breaks.
type Client struct {
	dial   DialFunc
	env    func() (map[string]string, error) // see ClientOptions
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu         sync.Mutex
	closed     bool      // guarded by mu
	session    *link     // guarded by mu: the newest; it may have broken since
	connecting *attempt  // guarded by mu: the attempt in progress
	pauseUntil time.Time // guarded by mu: set after a protocol violation
}

// link is one session with a server.
type link struct {
	*wire.Session
	live atomic.Int32 // operations that are neither finished nor aborted
}

// attempt is one attempt to connect. All callers that need a connection wait for the same one.
type attempt struct {
	done    chan struct{}
	session *link // valid once done is closed
	err     error
}

// unfinished counts the streams that the server has not closed yet.
func (l *link) unfinished() int { return l.NumStreams() - int(l.live.Load()) }

// NewClient returns a Client that connects through dial on first use.
func NewClient(dial DialFunc, opts ClientOptions) *Client {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Client{dial: dial, env: opts.Env, log: opts.Log, ctx: ctx, cancel: cancel}
}

// Close closes the connection and waits for the client's goroutines. The node and its shells keep
// running.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	session := c.session
	c.mu.Unlock()
	c.cancel()
	if session != nil {
		session.Close()
	}
	c.wg.Wait()
	return nil
}

// errClosed is returned after Close.
var errClosed = fmt.Errorf("agent client is closed: %w", sandbox.ErrNodeDown)

// connect returns a session, retrying for a limited time. The session may still turn out to be
// broken.
func (c *Client) connect(ctx context.Context) (*link, error) {
	started := time.Now()
	for backoff := connectBackoff; ; backoff = min(2*backoff, connectMost) {
		a, err := c.join()
		if err != nil {
			return nil, err
		}
		select {
		case <-a.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if a.err == nil {
			return a.session, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(a.err, sandbox.ErrNodeDown) || errors.Is(a.err, sandbox.ErrNotFound) || errors.Is(a.err, sandbox.ErrUnavailable) {
			return nil, a.err
		}
		if time.Since(started) > connectFor {
			return nil, fmt.Errorf("agent does not answer: %w: %w", a.err, sandbox.ErrNodeDown)
		}
		if !wire.Sleep(ctx, backoff) {
			return nil, ctx.Err()
		}
	}
}

// join returns the attempt in progress, one that has already succeeded, or a new one.
func (c *Client) join() (*attempt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	if c.connecting != nil {
		return c.connecting, nil
	}
	if time.Now().Before(c.pauseUntil) {
		return nil, fmt.Errorf("%w: %w", wire.ErrProtocol, sandbox.ErrNodeDown)
	}
	if c.session != nil && c.session.Breached() {
		c.session = nil
		c.pauseUntil = time.Now().Add(breachPause)
		return nil, fmt.Errorf("%w: %w", wire.ErrProtocol, sandbox.ErrNodeDown)
	}
	a := &attempt{done: make(chan struct{})}
	if c.session != nil && !c.session.IsClosed() {
		a.session = c.session
		close(a.done)
		return a, nil
	}
	c.connecting = a
	c.wg.Go(func() {
		session, err := c.open()
		c.mu.Lock()
		defer c.mu.Unlock()
		if err == nil && c.closed {
			session.Close()
			err = errClosed
		}
		if err == nil {
			c.session = session
		}
		a.session, a.err = session, err
		c.connecting = nil
		close(a.done)
	})
	return a, nil
}

// open makes one connection and exchanges hellos.
func (c *Client) open() (*link, error) {
	ctx, cancel := context.WithTimeout(c.ctx, connectTimeout)
	defer cancel()
	rwc, err := c.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to agent: %w", err)
	}
	// The connection has no read deadline, so a silent server is ended by closing the connection.
	hello, stopHello := context.WithTimeout(ctx, wire.HelloTimeout)
	defer stopHello()
	stop := context.AfterFunc(hello, func() { rwc.Close() })
	err = c.hello(rwc)
	if !stop() {
		err = errors.Join(errors.New("timed out waiting for the hello"), err)
	}
	if err != nil {
		rwc.Close()
		return nil, err
	}
	session, err := wire.Client(rwc)
	if err != nil {
		rwc.Close()
		return nil, err
	}
	l := &link{Session: session}
	if err := c.sendEnv(ctx, l); err != nil {
		session.Close()
		return nil, err
	}
	c.log.Debug("agent connected")
	return l, nil
}

// sendEnv sends the variables of ClientOptions.Env over a new session.
func (c *Client) sendEnv(ctx context.Context, l *link) error {
	if c.env == nil {
		return nil
	}
	env, err := c.env()
	if err != nil || len(env) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	k, err := c.startOn(ctx, l, &wire.Request{Op: wire.OpEnv, Env: env}, nil)
	var refused *wire.RemoteError
	switch {
	case err == nil:
		k.finish()
		return nil
	case errors.As(err, &refused):
		// A node without these variables is still usable.
		c.log.Warn("the agent refused the node's environment variables", "err", err)
		return nil
	}
	return fmt.Errorf("set the node's environment variables: %w", err)
}

// hello exchanges protocol versions. Both sides write before they read. On a synchronous pipe, such
// as net.Pipe, that needs a goroutine for the write.
func (c *Client) hello(rw io.ReadWriter) error {
	wrote := make(chan error, 1)
	c.wg.Go(func() {
		_, err := io.WriteString(rw, wire.Hello)
		wrote <- err
	})
	got := make([]byte, len(wire.Hello))
	n, err := io.ReadFull(rw, got)
	if err != nil {
		// The caller closes the connection, which ends the write.
		return fmt.Errorf("hello %q: %w", wire.Printable(string(got[:n])), err)
	}
	if string(got) != wire.Hello {
		return fmt.Errorf("agent sent the hello %q, want %q: %w", wire.Printable(string(got)), wire.Printable(wire.Hello), wire.ErrProtocol)
	}
	if err := <-wrote; err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	return nil
}

// call is one operation in progress.
type call struct {
	client  *Client
	session *link
	stream  *yamux.Stream
	resp    *wire.Response
	unwatch func() bool // stops ctx from interrupting the stream
	over    atomic.Bool
}

// end records, once, that the operation is finished or aborted.
func (k *call) end() {
	if !k.over.Swap(true) {
		k.session.live.Add(-1)
	}
}

// start sends req and body and reads the response. ctx bounds everything until release is called.
// If the connection turns out to be broken, a repeatable request is sent again over a new one.
func (c *Client) start(ctx context.Context, req *wire.Request, body []byte, repeatable bool) (*call, error) {
	for try := 0; ; try++ {
		session, err := c.connect(ctx)
		if err != nil {
			return nil, err
		}
		k, err := c.startOn(ctx, session, req, body)
		if err == nil {
			return k, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		err = session.explain(err)
		broke := errors.Is(err, sandbox.ErrNodeDown) && session.IsClosed() && !session.Breached()
		if !broke || !repeatable || try > 0 {
			return nil, err
		}
	}
}

// explain translates an error of startOn into one that callers know. After a protocol violation it
// closes the session.
func (l *link) explain(err error) error {
	var remote *wire.RemoteError
	switch {
	case errors.Is(err, wire.ErrProtocol) || l.Breached():
		l.Breach()
		return fmt.Errorf("%w: %w", err, sandbox.ErrNodeDown)
	case errors.As(err, &remote) || errors.Is(err, sandbox.ErrTooLarge) || errors.Is(err, sandbox.ErrCapacity):
		return err
	}
	return fmt.Errorf("connection to agent: %w: %w", err, sandbox.ErrNodeDown)
}

func (c *Client) startOn(ctx context.Context, session *link, req *wire.Request, body []byte) (*call, error) {
	// Each unfinished stream can hold up to one window of memory until the server closes it.
	for started := time.Now(); session.unfinished() > abortStreams; {
		if time.Since(started) > abortPatience {
			return nil, fmt.Errorf("%d operations are unfinished: %w", session.unfinished(), wire.ErrProtocol)
		}
		if !wire.Sleep(ctx, connectBackoff/10) {
			return nil, ctx.Err()
		}
	}
	if session.live.Add(1) > liveStreams {
		session.live.Add(-1)
		return nil, fmt.Errorf("%d operations: %w", liveStreams, sandbox.ErrCapacity)
	}
	k := &call{client: c, session: session}
	returned := make(chan struct{})
	defer close(returned)
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(stuckGrace)
		defer timer.Stop()
		select {
		case <-returned:
		case <-timer.C:
			session.Close() // it is blocked in a write, which deadlines do not interrupt
		}
	})
	defer stop()
	stream, err := session.OpenStream()
	if err != nil {
		k.end()
		return nil, err
	}
	k.stream = stream
	k.unwatch = context.AfterFunc(ctx, func() { stream.SetDeadline(wire.LongAgo()) })
	if err := k.exchange(req, body); err != nil {
		k.abort()
		return nil, err
	}
	return k, nil
}

func (k *call) exchange(req *wire.Request, body []byte) error {
	err := wire.WriteRequest(k.stream, req)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		if k.resp, err = wire.ReadResponse(k.stream); err != nil {
			return err
		}
		return k.resp.Err()
	}
	// The server may refuse before it has read the body, for example on a full disk, and then it
	// never reads the rest. So the response is read while the body is written. Nothing else is
	// written to the stream after the body.
	answered := make(chan error, 1)
	go func() {
		var err error
		k.resp, err = wire.ReadResponse(k.stream)
		k.stream.SetWriteDeadline(wire.LongAgo())
		answered <- err
	}()
	_, writeErr := wire.WriteChunks(k.stream, body)
	if err := <-answered; err != nil {
		if writeErr != nil {
			return writeErr
		}
		return err
	}
	return k.resp.Err()
}

// release detaches the stream from ctx. From then on the owner must call abort.
func (k *call) release() bool { return k.unwatch() }

// finish ends an operation that has completed.
func (k *call) finish() {
	k.unwatch()
	k.stream.Close()
	k.end()
}

// abort cancels an operation in any state.
func (k *call) abort() { k.abortAfter(0) }

// abortAfter is abort, but first gives the server some time to process what was sent and to see the
// end of the stream.
func (k *call) abortAfter(grace time.Duration) {
	k.unwatch()
	k.stream.SetDeadline(wire.LongAgo())
	k.stream.Close()
	k.end()
	if k.session.IsClosed() {
		return
	}
	// Nobody waits for the answer to the abort; it is discarded.
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	if k.client.closed {
		return
	}
	k.client.wg.Go(func() {
		if !wire.Sleep(k.client.ctx, grace) {
			return
		}
		stream, err := k.session.OpenStream()
		if err != nil {
			return
		}
		defer stream.Close()
		stream.SetDeadline(time.Now().Add(abortTimeout))
		if wire.WriteRequest(stream, &wire.Request{Op: wire.OpAbort, Stream: k.stream.StreamID()}) == nil {
			wire.ReadResponse(stream)
		}
	})
}

// simple runs an operation that ends with its response and may be repeated.
func (c *Client) simple(ctx context.Context, req *wire.Request) (*call, error) {
	actx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	k, err := c.start(actx, req, nil, true)
	if err != nil {
		return nil, ownTimeout(ctx, err)
	}
	k.finish()
	return k, nil
}

// ownTimeout distinguishes our own timeout from the caller's.
func ownTimeout(ctx context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("agent does not answer: %w", sandbox.ErrNodeDown)
	}
	return err
}
