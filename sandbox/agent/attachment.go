package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

// maxSeq is the largest integer that JavaScript represents exactly.
const maxSeq = 1 << 53

// attachment is the client side of an attach operation.
type attachment struct {
	call       *call
	start, end int64

	// Used only by the one reader.
	head  [wire.FrameHeader]byte
	left  int // bytes of the current frame not yet read
	ended error
	meter meter

	mu   sync.Mutex // serialises writers
	sent int64      // guarded by mu: input bytes sent
	once sync.Once
	ctx  context.Context // ends with Close
	quit context.CancelFunc
}

// Attach implements sandbox.Node.
func (c *Client) Attach(ctx context.Context, id string, from int64, size sandbox.Size) (sandbox.Attachment, error) {
	actx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	req := &wire.Request{Op: wire.OpAttach, Terminal: id, From: from, Cols: size.Cols, Rows: size.Rows}
	k, err := c.start(actx, req, nil, true)
	if err != nil {
		return nil, ownTimeout(ctx, err)
	}
	if r := k.resp; r.Start < 0 || r.End < r.Start || r.End > maxSeq {
		k.abort()
		k.session.Breach()
		return nil, fmt.Errorf("history from %d to %d: %w: %w", r.Start, r.End, wire.ErrProtocol, sandbox.ErrNodeDown)
	}
	if !k.release() {
		k.abort()
		return nil, ownTimeout(ctx, actx.Err())
	}
	a := &attachment{call: k, start: k.resp.Start, end: k.resp.End}
	a.ctx, a.quit = context.WithCancel(c.ctx)
	return a, nil
}

func (a *attachment) Start() int64 { return a.start }
func (a *attachment) End() int64   { return a.end }

// errDropped is returned when the server detached this reader because it was too slow for too long.
var errDropped = errors.New("detached from the terminal")

func (a *attachment) Read(p []byte) (int, error) {
	if a.ended != nil {
		return 0, a.ended
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := 0, error(net.ErrClosed)
	if a.ctx.Err() == nil {
		n, err = a.read(p)
	}
	if err != nil && a.ctx.Err() != nil {
		err = net.ErrClosed
	}
	if err != nil {
		a.ended = err
	}
	return n, err
}

func (a *attachment) read(p []byte) (int, error) {
	for a.left == 0 {
		a.meter.beforeRead(a.call.stream)
		if _, err := io.ReadFull(a.call.stream, a.head[:]); err != nil {
			if err = a.call.streamError(err); err == io.EOF {
				return 0, errDropped
			}
			return 0, err
		}
		kind, n, err := wire.ParseFrameHeader(a.head)
		switch {
		case err != nil:
		case kind == wire.FrameExit && n == 0:
			return 0, io.EOF
		case kind == wire.FrameOutput && n > 0:
			a.left = n
			continue
		default:
			err = fmt.Errorf("frame %q of %d bytes: %w", kind, n, wire.ErrProtocol)
		}
		a.call.session.Breach()
		return 0, fmt.Errorf("terminal: %w: %w", err, sandbox.ErrNodeDown)
	}
	n, err := a.call.stream.Read(p[:min(len(p), a.left)])
	a.left -= n
	a.meter.add(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, a.call.streamError(err)
}

// inputFrames pools buffers, so that an idle attachment holds none.
var inputFrames = sync.Pool{New: func() any { return new([wire.FrameHeader + inputPiece]byte) }}

const (
	inputPiece = 8 << 10
	inputGrace = 250 * time.Millisecond // for the last keys before Close, if the shell reads input at all
)

func (a *attachment) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	frame := inputFrames.Get().(*[wire.FrameHeader + inputPiece]byte)
	defer inputFrames.Put(frame)
	total := 0
	for total < len(p) {
		n := copy(frame[wire.FrameHeader:], p[total:])
		wire.PutFrameHeader(frame[:], wire.FrameInput, n)
		if _, err := a.call.stream.Write(frame[:wire.FrameHeader+n]); err != nil {
			return total, a.writeError(err)
		}
		total += n
		a.sent += int64(n)
	}
	return total, nil
}

func (a *attachment) Resize(size sandbox.Size) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var frame [wire.FrameHeader + wire.ResizeSize]byte
	wire.PutFrameHeader(frame[:], wire.FrameResize, wire.ResizeSize)
	binary.BigEndian.PutUint16(frame[wire.FrameHeader:], size.Cols)
	binary.BigEndian.PutUint16(frame[wire.FrameHeader+2:], size.Rows)
	_, err := a.call.stream.Write(frame[:])
	return a.writeError(err)
}

func (a *attachment) writeError(err error) error {
	if err != nil && a.ctx.Err() != nil {
		return net.ErrClosed
	}
	return a.call.streamError(err)
}

// Run uses a stream of its own, so that its answer does not wait behind output that nobody reads.
func (a *attachment) Run(id, text string) (bool, error) {
	if len(id) == 0 || len(id) > sandbox.MaxRunID || len(text) > sandbox.MaxRunText {
		return false, fmt.Errorf("run id or text: %w", sandbox.ErrInvalid)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	req := &wire.Request{Op: wire.OpRun, Stream: a.call.stream.StreamID(), After: a.sent, Run: id, Text: text}
	k, err := a.call.client.startOn(a.ctx, a.call.session, req, nil)
	if err != nil {
		if a.ctx.Err() != nil {
			return false, net.ErrClosed
		}
		return false, a.call.session.explain(err)
	}
	k.finish()
	return k.resp.Fresh, nil
}

func (a *attachment) Close() error {
	a.once.Do(func() {
		a.quit()
		a.call.abortAfter(inputGrace)
	})
	return nil
}
