// Package agent is labd's way into a node. A Client offers what sandbox.Node promises, over any byte stream to the node's
// half of the agent (package node), in the protocol of package wire. It trusts nothing that it reads there.
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
	connectTimeout = 15 * time.Second // for one connection with its hello
	connectFor     = 5 * time.Second  // how long a call goes on connecting anew
	connectBackoff = 50 * time.Millisecond
	connectMost    = 800 * time.Millisecond
	answerTimeout  = 30 * time.Second // for operations that take no time of their own
	liveStreams    = 160              // operations at once
	abortStreams   = 64               // streams that a node may leave unfinished before the session is given up
	abortPatience  = 5 * time.Second  // for it to finish some of them
	abortTimeout   = 10 * time.Second // for giving up one operation
	stuckGrace     = time.Second      // from a context's end until a connection that takes nothing is given up
	breachPause    = 5 * time.Second  // before a node that broke the protocol is connected to again
)

// DialFunc makes a connection to a node half, for example an exec stream on which `labnode dial` runs. When it knows that
// the node ended or is gone, its error wraps sandbox.ErrNodeDown or sandbox.ErrNotFound: then nobody tries again.
type DialFunc func(ctx context.Context) (io.ReadWriteCloser, error)

// ClientOptions tune a Client. The zero value is good.
type ClientOptions struct {
	Log *slog.Logger // nil for none
	// Env returns the variables that were set last by SetEnv. An agent forgets them when it ends, so they are sent to it
	// over each new connection, before anything else. Nil if there are none.
	Env func() (map[string]string, error)
}

// Client is the labd half: all of sandbox.Node but Name and Restart. Its methods may be called concurrently. It connects
// when it is first used, and again when the connection broke.
type Client struct {
	dial   DialFunc
	env    func() (map[string]string, error) // see ClientOptions
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu         sync.Mutex
	closed     bool      // guarded by mu
	session    *link     // guarded by mu: the last one; may have broken since
	connecting *attempt  // guarded by mu: the one under way
	pauseUntil time.Time // guarded by mu: after a breach of the protocol
}

// link is one session with a node half.
type link struct {
	*wire.Session
	live atomic.Int32 // operations that are neither finished nor given up
}

// attempt is one try to connect, shared by all who wait for it.
type attempt struct {
	done    chan struct{}
	session *link // valid once done is closed
	err     error
}

// unfinished counts streams that the node half has yet to end.
func (l *link) unfinished() int { return l.NumStreams() - int(l.live.Load()) }

// NewClient returns a Client that reaches its node half through dial. It connects on first use.
func NewClient(dial DialFunc, opts ClientOptions) *Client {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Client{dial: dial, env: opts.Env, log: opts.Log, ctx: ctx, cancel: cancel}
}

// Close breaks the connection and waits for the client's goroutines. The node and its shells keep running.
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

// errClosed says that Close was called.
var errClosed = fmt.Errorf("agent client is closed: %w", sandbox.ErrNodeDown)

// connect returns a session that works as far as one can tell, trying for a while.
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

// join returns the attempt under way, one that already succeeded, or a new one.
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

// open makes one connection and says hello.
func (c *Client) open() (*link, error) {
	ctx, cancel := context.WithTimeout(c.ctx, connectTimeout)
	defer cancel()
	rwc, err := c.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to agent: %w", err)
	}
	// The connection has no deadlines to lean on, so that a silent node half is ended by closing it.
	hello, stopHello := context.WithTimeout(ctx, wire.HelloTimeout)
	defer stopHello()
	stop := context.AfterFunc(hello, func() { rwc.Close() })
	err = c.hello(rwc)
	if !stop() {
		err = errors.Join(errors.New("no hello in time"), err)
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
		// A node without its variables is better than none.
		c.log.Warn("the agent refused the node's environment variables", "err", err)
		return nil
	}
	return fmt.Errorf("set the node's environment variables: %w", err)
}

// hello exchanges versions. Both write first and then read, so each writes without waiting for the other: a
// synchronous pipe needs the write to run beside the read.
func (c *Client) hello(rw io.ReadWriter) error {
	wrote := make(chan error, 1)
	c.wg.Go(func() {
		_, err := io.WriteString(rw, wire.Hello)
		wrote <- err
	})
	got := make([]byte, len(wire.Hello))
	n, err := io.ReadFull(rw, got)
	if err != nil {
		// Whoever closes the connection ends the write.
		return fmt.Errorf("hello %q: %w", wire.Printable(string(got[:n])), err)
	}
	if string(got) != wire.Hello {
		return fmt.Errorf("agent says %q, want %q: %w", wire.Printable(string(got)), wire.Printable(wire.Hello), wire.ErrProtocol)
	}
	if err := <-wrote; err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	return nil
}

// call is one operation under way.
type call struct {
	client  *Client
	session *link
	stream  *yamux.Stream
	resp    *wire.Response
	unwatch func() bool // stops ctx from interrupting the stream
	over    atomic.Bool
}

// end notes, once, that the operation is finished or given up.
func (k *call) end() {
	if !k.over.Swap(true) {
		k.session.live.Add(-1)
	}
}

// start sends req and stdin and reads the response. ctx bounds all until release is called. A request that can be
// repeated is sent again over a new connection when the old one turns out to be broken.
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

// explain gives an error of startOn the meaning that callers know. A node half that broke the protocol loses its session.
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
	// Each unfinished one holds up to a window of memory until the node half ends it.
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
			session.Close() // it is stuck in sending, where deadlines don't reach
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
	// A refusal may come before the body is taken, as on a full disk, and nobody takes the rest then. After a body nothing
	// is written to the stream any more.
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

// release takes ctx off the stream: from here on its owner ends it with abort.
func (k *call) release() bool { return k.unwatch() }

// finish ends an operation that ran to its end.
func (k *call) finish() {
	k.unwatch()
	k.stream.Close()
	k.end()
}

// abort gives an operation up, whatever state it is in.
func (k *call) abort() { k.abortAfter(0) }

// abortAfter is abort that first leaves the node half some time to take in what was sent and find the stream's end itself.
func (k *call) abortAfter(grace time.Duration) {
	k.unwatch()
	k.stream.SetDeadline(wire.LongAgo())
	k.stream.Close()
	k.end()
	if k.session.IsClosed() {
		return
	}
	// Nobody waits for the answer, which is thrown away when it comes.
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

// simple runs an operation that is over with its response and may be repeated.
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

// ownTimeout tells our own patience's end from the caller's.
func ownTimeout(ctx context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("agent does not answer: %w", sandbox.ErrNodeDown)
	}
	return err
}
