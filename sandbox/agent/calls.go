package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

// defaultMaxOutput is the default of sandbox.Command.MaxOutput.
const defaultMaxOutput = 64 << 10

// Ping implements sandbox.Node.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.simple(ctx, &wire.Request{Op: wire.OpPing})
	return err
}

// SetEnv sends the variables to the server. It does not store them: ClientOptions.Env must return
// them from now on.
func (c *Client) SetEnv(ctx context.Context, env map[string]string) error {
	_, err := c.simple(ctx, &wire.Request{Op: wire.OpEnv, Env: env})
	return err
}

// Exec implements sandbox.Node.
func (c *Client) Exec(ctx context.Context, cmd sandbox.Command) (sandbox.Result, error) {
	limit := cmd.MaxOutput
	if limit <= 0 {
		limit = defaultMaxOutput
	}
	if limit > wire.MaxTransfer || len(cmd.Stdin) > wire.MaxTransfer {
		return sandbox.Result{}, fmt.Errorf("command's input or output: %w", sandbox.ErrTooLarge)
	}
	req := &wire.Request{Op: wire.OpExec, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, Size: int64(len(cmd.Stdin)), Limit: limit}
	k, err := c.start(ctx, req, cmd.Stdin, false)
	if err != nil {
		return sandbox.Result{}, err
	}
	res := sandbox.Result{ExitCode: k.resp.Exit, Truncated: k.resp.Truncated}
	if res.Stdout, err = k.body(ctx, k.resp.Stdout, limit); err == nil {
		res.Stderr, err = k.body(ctx, k.resp.Stderr, limit)
	}
	if err != nil {
		return sandbox.Result{}, err
	}
	k.finish()
	return res, nil
}

// body reads the n bytes that the response announced. An error aborts the call.
func (k *call) body(ctx context.Context, n, limit int64) ([]byte, error) {
	err := error(nil)
	var data []byte
	if n < 0 || n > limit {
		err = fmt.Errorf("body of %d bytes: %w", n, wire.ErrProtocol)
	} else if data, err = wire.ReadN(k.stream, n); err == nil {
		return data, nil
	}
	k.abort()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if errors.Is(err, wire.ErrProtocol) {
		k.session.Breach()
	}
	return nil, fmt.Errorf("agent: %w: %w", err, sandbox.ErrNodeDown)
}

// ReadFile implements sandbox.Node.
func (c *Client) ReadFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	limit = min(limit, wire.MaxTransfer)
	actx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	k, err := c.start(actx, &wire.Request{Op: wire.OpRead, Path: path, Limit: limit}, nil, true)
	if err != nil {
		return nil, ownTimeout(ctx, err)
	}
	data, err := k.body(actx, k.resp.Size, limit)
	if err != nil {
		return nil, ownTimeout(ctx, err)
	}
	k.finish()
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

// WriteFile implements sandbox.Node.
func (c *Client) WriteFile(ctx context.Context, path string, data []byte, mode fs.FileMode) error {
	if len(data) > wire.MaxTransfer {
		return fmt.Errorf("%d bytes for %s: %w", len(data), path, sandbox.ErrTooLarge)
	}
	actx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	req := &wire.Request{Op: wire.OpWrite, Path: path, Mode: uint32(mode.Perm()), Size: int64(len(data))}
	k, err := c.start(actx, req, data, true)
	if err != nil {
		return ownTimeout(ctx, err)
	}
	k.finish()
	return nil
}

// OpenTerminal implements sandbox.Node.
func (c *Client) OpenTerminal(ctx context.Context, spec sandbox.TerminalSpec) error {
	if err := sandbox.CheckTerminalID(spec.ID); err != nil {
		return err
	}
	_, err := c.simple(ctx, &wire.Request{Op: wire.OpOpen, Terminal: spec.ID, Cols: spec.Size.Cols, Rows: spec.Size.Rows})
	return err
}

// Terminals implements sandbox.Node.
func (c *Client) Terminals(ctx context.Context) ([]string, error) {
	k, err := c.simple(ctx, &wire.Request{Op: wire.OpTerminals})
	if err != nil {
		return nil, err
	}
	ids := k.resp.Terminals
	if len(ids) > sandbox.MaxTerminals || slices.ContainsFunc(ids, func(id string) bool { return sandbox.CheckTerminalID(id) != nil }) {
		k.session.Breach()
		return nil, fmt.Errorf("agent's list of terminals: %w: %w", wire.ErrProtocol, sandbox.ErrNodeDown)
	}
	return ids, nil
}

// CloseTerminal implements sandbox.Node.
func (c *Client) CloseTerminal(ctx context.Context, id string) error {
	_, err := c.simple(ctx, &wire.Request{Op: wire.OpClose, Terminal: id})
	return err
}

// Watch implements sandbox.Node. The first event is the engine's current state.
func (c *Client) Watch(ctx context.Context) (<-chan sandbox.Event, error) {
	actx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	k, err := c.start(actx, &wire.Request{Op: wire.OpWatch}, nil, true)
	if err != nil {
		return nil, ownTimeout(ctx, err)
	}
	if !k.release() {
		k.abort()
		return nil, ownTimeout(ctx, actx.Err())
	}
	stop := context.AfterFunc(ctx, func() { k.stream.SetDeadline(wire.LongAgo()) })
	events := make(chan sandbox.Event)
	if !c.own(func() {
		defer close(events)
		defer k.abort()
		defer stop()
		if !forward(ctx, c.ctx, k.stream, events) {
			k.session.Breach()
		}
	}) {
		stop()
		k.abort()
		return nil, errClosed
	}
	return events, nil
}

// own runs f on a goroutine that Close waits for. It returns false after Close.
func (c *Client) own(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(f)
	return true
}

// eventOrder is the order in which events that arrived together are passed on.
var eventOrder = []sandbox.EventKind{sandbox.EngineDown, sandbox.EngineUp, sandbox.EngineChange, sandbox.ShellPrompt}

// forward passes events on until the stream breaks or a context ends. It limits the rate: each kind
// is sent at most once per round, with a pause between rounds, however fast the node sends. It
// returns false if it read something that is not an event.
func forward(ctx, life context.Context, stream io.Reader, events chan<- sandbox.Event) bool {
	buf := make([]byte, 128)
	for {
		n, err := stream.Read(buf)
		if err != nil {
			return true
		}
		seen := map[byte]bool{}
		for _, b := range buf[:n] {
			seen[b] = true
		}
		for _, kind := range eventOrder {
			b := wire.EventByte(kind)
			if !seen[b] {
				continue
			}
			delete(seen, b)
			select {
			case events <- sandbox.Event{Kind: kind}:
			case <-ctx.Done():
				return true
			case <-life.Done():
				return true
			}
		}
		if len(seen) > 0 {
			return false
		}
		if !wire.Sleep(ctx, wire.EventGap/2) {
			return true
		}
	}
}

// Dial implements sandbox.Node. The connection also has a CloseWrite method.
func (c *Client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	actx, cancel := context.WithTimeout(ctx, wire.DialTimeout+answerTimeout)
	defer cancel()
	k, err := c.start(actx, &wire.Request{Op: wire.OpDial, Network: network, Address: address}, nil, true)
	if err != nil {
		return nil, ownTimeout(ctx, err)
	}
	if !k.release() {
		k.abort()
		return nil, ownTimeout(ctx, actx.Err())
	}
	return &conn{call: k, addr: addr{network, address}}, nil
}

// conn is a connection that the server made inside the node.
type conn struct {
	call *call
	addr addr
	once sync.Once
	read meter
}

// addr is an address as the node sees it.
type addr struct{ network, address string }

func (a addr) Network() string { return a.network }
func (a addr) String() string  { return a.address }

func (c *conn) Read(p []byte) (int, error) {
	c.read.beforeRead(c.call.stream)
	n, err := c.call.stream.Read(p)
	c.read.add(n)
	return n, c.call.streamError(err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := wire.WriteChunks(c.call.stream, p)
	return n, c.call.streamError(err)
}

// CloseWrite ends the output; the connection can still be read.
func (c *conn) CloseWrite() error { return c.call.stream.Close() }

func (c *conn) Close() error {
	c.once.Do(c.call.abort)
	return nil
}

func (c *conn) LocalAddr() net.Addr                { return addr{c.addr.network, "node"} }
func (c *conn) RemoteAddr() net.Addr               { return c.addr }
func (c *conn) SetDeadline(t time.Time) error      { return c.call.stream.SetDeadline(t) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.call.stream.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.call.stream.SetWriteDeadline(t) }

// streamError translates errors of the multiplexer into those that users of a net.Conn expect.
func (k *call) streamError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, yamux.ErrTimeout):
		return os.ErrDeadlineExceeded
	case errors.Is(err, yamux.ErrStreamClosed):
		return net.ErrClosed
	case err == io.EOF && !k.session.IsClosed():
		return io.EOF
	case err == io.EOF: // the end of the session is not the end of the stream
		return fmt.Errorf("connection to agent broke: %w", sandbox.ErrNodeDown)
	}
	return fmt.Errorf("connection to agent: %w: %w", err, sandbox.ErrNodeDown)
}

// meter counts the bytes read from a stream. After enough of them it releases the stream's buffer
// before the next wait, so that an idle stream holds no memory.
type meter struct{ passed int }

// shrinkAfter is how many bytes must have been read. A shell at which somebody only types keeps its
// small buffer.
const shrinkAfter = 16 << 10

func (m *meter) beforeRead(stream *yamux.Stream) {
	if m.passed > shrinkAfter {
		stream.Shrink() // does nothing if the buffer is not empty
	}
}

func (m *meter) add(n int) { m.passed += n }
