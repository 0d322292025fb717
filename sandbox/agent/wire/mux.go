package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

const (
	// bytes in flight per stream; also the most memory that one unread stream costs the client
	streamWindow  = 256 << 10
	keepAlive     = 15 * time.Second
	writePatience = 10 * time.Second // a connection that accepts no data for this long is dead
	openPatience  = 10 * time.Second // and so is one whose server does not accept a stream
	closePatience = time.Minute      // longest time for which a stream may be half-closed
	joinLimit     = 4 << 10          // bodies up to this size share one write with their header
	muxHeader     = 12
	muxTypeData   = 0
	muxTypeWindow = 1
	muxTypePing   = 2
	muxTypeGoAway = 3
	muxFlagSYN    = 1
	muxFlagsKnown = 15
	muxVersion    = 0
)

// Session is the client's side of a session. It ends as soon as the server violates the
// multiplexer's protocol.
type Session struct {
	*yamux.Session
	guard *guard
}

// Client starts the client's side of a session, after the hellos.
func Client(conn io.ReadWriteCloser) (*Session, error) {
	l := &ledger{}
	g := &guard{ReadWriteCloser: conn, ledger: l}
	mux, err := yamux.Client(newJoiner(g, l), muxConfig(true))
	if err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	return &Session{Session: mux, guard: g}, nil
}

// Close closes the connection first, and the session only after yamux has noticed. The other order
// can hang: in a session that is shut down, readers of streams retry in a loop until yamux has
// closed the streams, which it does only after its receive loop has ended, and the busy readers
// delay that.
func (s *Session) Close() error {
	err := s.guard.Close()
	<-s.CloseChan() // closed when yamux's receive loop ends
	return errors.Join(err, s.Session.Close())
}

// Breach closes the session because the server violated the protocol.
func (s *Session) Breach() {
	s.guard.tripped.Store(true)
	s.Close()
}

// Breached reports whether the server violated the protocol.
func (s *Session) Breached() bool { return s.guard.tripped.Load() }

// Server starts the server's side of a session, after the hellos.
func Server(conn io.ReadWriteCloser) (*yamux.Session, error) {
	mux, err := yamux.Server(newJoiner(conn, nil), muxConfig(false))
	if err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	return mux, nil
}

// muxConfig is the yamux configuration of one side. Only the client sends pings.
func muxConfig(client bool) *yamux.Config {
	return &yamux.Config{
		AcceptBacklog:          MaxStreams,
		EnableKeepAlive:        client,
		KeepAliveInterval:      keepAlive,
		ConnectionWriteTimeout: writePatience,
		MaxStreamWindowSize:    streamWindow,
		StreamOpenTimeout:      openPatience,
		StreamCloseTimeout:     closePatience,
		Logger:                 log.New(io.Discard, "", 0),
	}
}

// ledger counts what the client has allowed the server to send. A correct server never sends more.
// yamux would read and discard the excess for as long as it comes.
type ledger struct {
	bytes  atomic.Int64 // of data: what our windows allow
	frames atomic.Int64 // without data: each must be an answer to one of ours
}

const (
	frameGrant = 4 // frames without data that one of our frames can cause
	firstGrant = 64
)

// grant records a frame that the client sends.
func (l *ledger) grant(head []byte) {
	l.frames.Add(frameGrant)
	if head[1] != muxTypeWindow {
		return
	}
	n := int64(binary.BigEndian.Uint32(head[8:]))
	if binary.BigEndian.Uint16(head[2:])&muxFlagSYN != 0 {
		n += streamWindow
	}
	l.bytes.Add(n)
}

// joiner sends a data frame's header and body in one write. yamux writes them separately, which
// costs a keystroke twice the system calls and wake-ups on every hop. Only yamux's one send loop
// writes.
type joiner struct {
	io.ReadWriteCloser
	ledger *ledger // nil on the server
	held   bool
	buf    []byte // the held header; with a small body the whole frame
}

func newJoiner(rwc io.ReadWriteCloser, l *ledger) *joiner {
	return &joiner{ReadWriteCloser: rwc, ledger: l, buf: make([]byte, muxHeader, muxHeader+joinLimit)}
}

func (j *joiner) Write(p []byte) (int, error) {
	if !j.held {
		if len(p) == muxHeader && j.ledger != nil {
			j.ledger.grant(p)
		}
		if len(p) == muxHeader && p[1] == muxTypeData && binary.BigEndian.Uint32(p[8:]) > 0 {
			copy(j.buf, p)
			j.held = true
			return len(p), nil
		}
		return j.ReadWriteCloser.Write(p)
	}
	j.held = false
	if len(p) > joinLimit {
		if _, err := j.ReadWriteCloser.Write(j.buf[:muxHeader]); err != nil {
			return 0, err
		}
		return j.ReadWriteCloser.Write(p)
	}
	n, err := j.ReadWriteCloser.Write(append(j.buf[:muxHeader], p...))
	return max(n-muxHeader, 0), err
}

// guard checks what a server sends before yamux parses it, and rejects what the protocol does not
// allow. Without it a hostile node could open streams to labd, or make yamux start a goroutine for
// each of a flood of pings.
type guard struct {
	io.ReadWriteCloser
	ledger  *ledger
	tripped atomic.Bool
	head    [muxHeader]byte
	have    int    // bytes of head read so far
	skip    uint32 // bytes of the current body still to come
	err     error

	once     sync.Once
	closeErr error
}

// Close closes the connection once; yamux calls it too.
func (g *guard) Close() error {
	g.once.Do(func() { g.closeErr = g.ReadWriteCloser.Close() })
	return g.closeErr
}

func (g *guard) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.ReadWriteCloser.Read(p)
	if g.err = g.check(p[:n]); g.err != nil {
		g.tripped.Store(true)
		return 0, g.err
	}
	return n, err
}

// check parses the frame headers in b.
func (g *guard) check(b []byte) error {
	for len(b) > 0 {
		if g.skip > 0 {
			n := min(uint64(g.skip), uint64(len(b)))
			g.skip -= uint32(n)
			b = b[n:]
			continue
		}
		n := copy(g.head[g.have:], b)
		g.have += n
		b = b[n:]
		if g.have < muxHeader {
			return nil
		}
		g.have = 0
		if err := g.checkHeader(); err != nil {
			return err
		}
	}
	return nil
}

func (g *guard) checkHeader() error {
	kind := g.head[1]
	flags := binary.BigEndian.Uint16(g.head[2:])
	id := binary.BigEndian.Uint32(g.head[4:])
	length := binary.BigEndian.Uint32(g.head[8:])
	if g.head[0] != muxVersion || kind > muxTypeGoAway || flags&^muxFlagsKnown != 0 {
		return fmt.Errorf("not a frame: %w", ErrProtocol)
	}
	if flags&muxFlagSYN != 0 {
		return fmt.Errorf("the node opened a stream or pinged: %w", ErrProtocol)
	}
	if kind == muxTypeData || kind == muxTypeWindow {
		if id%2 == 0 {
			return fmt.Errorf("frame for an impossible stream id: %w", ErrProtocol)
		}
		if length > streamWindow {
			return fmt.Errorf("frame of %d bytes: %w", length, ErrProtocol)
		}
	}
	if kind == muxTypeData && length > 0 {
		g.skip = length
		if g.ledger.bytes.Add(-int64(length)) < 0 {
			return fmt.Errorf("more data than the flow control windows allow: %w", ErrProtocol)
		}
	} else if g.ledger.frames.Add(-1) < -firstGrant {
		return fmt.Errorf("unsolicited frames: %w", ErrProtocol)
	}
	return nil
}
