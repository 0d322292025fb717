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

// defaultMaxOutput is sandbox.Command's.
const defaultMaxOutput = 64 << 10

// Ping returns nil when the node half answers.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.simple(ctx, &wire.Request{Op: wire.OpPing})
	return err
}

// SetEnv is sandbox.Node's, but for keeping the variables: whoever gave ClientOptions.Env does that.
func (c *Client) SetEnv(ctx context.Context, env map[string]string) error {
	_, err := c.simple(ctx, &wire.Request{Op: wire.OpEnv, Env: env})
	return err
}

// Exec is sandbox.Node's.
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

// body reads n bytes that the response announced. An error aborts the call.
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

// ReadFile is sandbox.Node's.
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

// WriteFile is sandbox.Node's.
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

// OpenTerminal is sandbox.Node's.
func (c *Client) OpenTerminal(ctx context.Context, spec sandbox.TerminalSpec) error {
	if err := sandbox.CheckTerminalID(spec.ID); err != nil {
		return err
	}
	_, err := c.simple(ctx, &wire.Request{Op: wire.OpOpen, Terminal: spec.ID, Cols: spec.Size.Cols, Rows: spec.Size.Rows})
	return err
}

// Terminals is sandbox.Node's.
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

// CloseTerminal is sandbox.Node's.
func (c *Client) CloseTerminal(ctx context.Context, id string) error {
	_, err := c.simple(ctx, &wire.Request{Op: wire.OpClose, Terminal: id})
	return err
}

// Watch is sandbox.Node's. Its first event is the engine's present state.
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

// own runs f on a goroutine that Close waits for, unless Close was called.
func (c *Client) own(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(f)
	return true
}

// eventOrder is how events that came together are passed on.
var eventOrder = []sandbox.EventKind{sandbox.EngineDown, sandbox.EngineUp, sandbox.EngineChange, sandbox.ShellPrompt}

// forward passes events on until the stream breaks or a context ends. However fast a node sends, each kind comes at
// most once per round, and rounds keep a distance. It reports whether all that came were events.
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

// Dial is sandbox.Node's. The connection also has a CloseWrite.
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

// conn is a connection made from inside the node.
type conn struct {
	call *call
	addr addr
	once sync.Once
	read meter
}

// addr is the address as the node sees it.
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

// CloseWrite tells the other end that no more comes, and still reads what it answers.
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

// streamError gives the multiplexer's errors the meaning that callers of a connection know.
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
	case err == io.EOF: // the session's end is not the stream's
		return fmt.Errorf("connection to agent broke: %w", sandbox.ErrNodeDown)
	}
	return fmt.Errorf("connection to agent: %w: %w", err, sandbox.ErrNodeDown)
}

// meter lets go of a stream's buffer before a wait, once enough passed to have made it grow: an idle one costs nothing.
type meter struct{ passed int }

// shrinkAfter is how many bytes must have passed; a shell at which somebody types keeps its little buffer.
const shrinkAfter = 16 << 10

func (m *meter) beforeRead(stream *yamux.Stream) {
	if m.passed > shrinkAfter {
		stream.Shrink() // unless something is in it
	}
}

func (m *meter) add(n int) { m.passed += n }
