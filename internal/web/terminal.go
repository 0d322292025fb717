package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/sandbox"
)

const (
	subprotocol = "labd.terminal.v1"

	maxFrame     = 64 << 10         // bytes of one message from the client
	pingEvery    = 20 * time.Second // keeps proxies from closing an idle connection, and finds dead clients
	pongTimeout  = 60 * time.Second // without any message or pong from the client
	stallLimit   = 30 * time.Second // for the client to read, or to acknowledge, some output
	closeTimeout = 5 * time.Second  // for the client to answer a close frame
	ackWindow    = 1 << 20          // bytes sent beyond the last acknowledgement
	idleBuffer   = 2 << 10          // bytes of the output buffer that an idle terminal keeps
	busyBuffer   = 32 << 10         // bytes of the buffer that it borrows while there is more output
	inputBuffer  = 16 << 10         // bytes of the buffer that it borrows while it reads a frame
)

// closeGone is the close code for a session that has ended. The other codes are those of RFC 6455.
const closeGone = 4410

// upgrader leaves compression off: it would cost each terminal 90 KiB and delay the echo of each key. The buffers are
// small because most terminals are idle. Messages that are longer are written without being copied into them.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  1 << 10,
	WriteBufferSize: 4 << 10,
	WriteBufferPool: &sync.Pool{},
	Subprotocols:    []string{subprotocol},
	CheckOrigin:     func(*http.Request) bool { return true }, // ServeHTTP has checked it
}

var (
	busyBuffers  = sync.Pool{New: func() any { return new([busyBuffer]byte) }}
	inputBuffers = sync.Pool{New: func() any { return new([inputBuffer]byte) }}
)

// terminal is one WebSocket connected to a shell. One goroutine copies output and one copies input. Pings are sent by a
// timer, so an idle terminal costs no other goroutine.
//
// It closes in one of these ways:
//   - close sends a close frame and detaches from the shell. input reads on until the client has answered, because closing
//     a TCP connection with unread input resets it, and then the client would not see the close code.
//   - shutDown does the same when labd stops, but input still reaches the shell until the client has answered: the client
//     won't send it again.
//   - drop closes the connection at once, when nothing can be sent on it.
type terminal struct {
	s     *Server
	ws    *websocket.Conn
	shell *session.Terminal
	ping  *time.Timer

	sending   sync.Mutex    // held while a data message is written
	acked     atomic.Int64  // sequence number up to which the client has drawn; -1 if it never sent an ack
	ack       chan struct{} // has a token when acked has changed
	sent      atomic.Int64  // sequence number of the next byte to send
	closing   chan struct{} // closed when the close handshake begins
	closeOnce sync.Once

	shuttingDown atomic.Bool // closing because labd stops: input still reaches the shell
	detachOnce   sync.Once
}

// getTerminal upgrades the connection to a WebSocket. The handler returns at once, which frees the buffers and the
// goroutine that net/http holds for a request.
func (s *Server) getTerminal(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learner(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	id, tid := r.PathValue("id"), r.PathValue("tid")
	if err := s.tickets.redeem(q.Get("ticket"), grant{learner: learner, session: id, terminal: tid}, time.Now()); err != nil {
		return err
	}
	if !slices.Contains(websocket.Subprotocols(r), subprotocol) {
		return fault.New(fault.Invalid, "The WebSocket must offer the subprotocol "+subprotocol+".", nil)
	}
	from, err1 := strconv.ParseInt(q.Get("from"), 10, 64)
	cols, err2 := strconv.ParseUint(q.Get("cols"), 10, 16)
	rows, err3 := strconv.ParseUint(q.Get("rows"), 10, 16)
	if err := errors.Join(err1, err2, err3); err != nil || from < -1 {
		return fault.New(fault.Invalid, "from, cols and rows must be numbers.", err)
	}
	shell, err := s.cfg.Shells.Attach(r.Context(), learner, id, tid, from, sandbox.Size{Cols: uint16(cols), Rows: uint16(rows)})
	if err != nil {
		return err
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		// Upgrade has answered already, so an error must not be returned.
		if err := shell.Close(); err != nil {
			s.log.Warn("a terminal was not closed cleanly", "session", id, "terminal", tid, "err", err)
		}
		return nil
	}
	ws.SetReadLimit(maxFrame)
	t := &terminal{s: s, ws: ws, shell: shell, ack: make(chan struct{}, 1), closing: make(chan struct{})}
	t.acked.Store(-1)
	t.sent.Store(shell.Start())
	ws.SetPongHandler(func(string) error { return t.extendDeadline() })
	t.ping = time.AfterFunc(pingEvery, func() { t.guard(t.sendPing) })
	s.mu.Lock()
	if closed := s.closed; closed {
		s.mu.Unlock()
		t.ping.Stop()
		t.close(websocket.CloseGoingAway, "labd is being restarted")
		_ = ws.Close()
		return nil
	}
	s.terminals[t] = struct{}{}
	s.wg.Add(2)
	s.mu.Unlock()
	for _, direction := range []func(){t.output, t.input} {
		go func() {
			defer s.wg.Done()
			t.guard(direction)
		}()
	}
	return nil
}

// guard runs f and recovers from its panics, which close the terminal and leave labd running.
func (t *terminal) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			t.s.log.Error("a terminal failed", "err", p, "stack", string(debug.Stack()))
			t.close(websocket.CloseInternalServerErr, "")
		}
	}()
	f()
}

// shutDown closes the terminal because labd stops.
func (t *terminal) shutDown() {
	t.startClose(websocket.CloseGoingAway, "labd is being restarted", true)
}

// close sends a close frame and detaches from the shell. Only the first call has an effect.
func (t *terminal) close(code int, reason string) { t.startClose(code, reason, false) }

func (t *terminal) startClose(code int, reason string, shuttingDown bool) {
	t.closeOnce.Do(func() {
		t.shuttingDown.Store(shuttingDown)
		close(t.closing)
		t.ping.Stop()
		// If the client does not read, this fails and the client only sees the connection end.
		_ = t.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(closeTimeout))
		_ = t.ws.SetReadDeadline(time.Now().Add(closeTimeout))
		if shuttingDown {
			time.AfterFunc(closeTimeout, func() { t.guard(t.detach) }) // a shell that reads no input must not delay the end of labd
			return
		}
		t.detach()
	})
}

// detach closes the connection to the shell. The shell keeps running.
func (t *terminal) detach() {
	t.detachOnce.Do(func() { _ = t.shell.Close() })
}

// sendPing sends a ping and starts the timer for the next one. A timeout is ignored: the client may read slowly, and output
// decides by stallLimit when it reads too slowly.
func (t *terminal) sendPing() {
	err := t.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(stallLimit/2))
	select {
	case <-t.closing:
		return
	default:
	}
	var timeout interface{ Timeout() bool }
	if err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
		t.drop()
		return
	}
	t.ping.Reset(pingEvery)
}

// drop closes the connection at once.
func (t *terminal) drop() {
	t.close(websocket.CloseTryAgainLater, "")
	_ = t.ws.Close()
}

// writeFailed drops the connection after a failed write. While the terminal closes, every write fails and input is still
// being read, so then it does nothing.
func (t *terminal) writeFailed() {
	if t.isOpen() {
		t.drop()
	}
}

// output copies bytes from the shell to the client as soon as they come.
func (t *terminal) output() {
	hello := map[string]any{"type": "hello", "start": t.shell.Start(), "end": t.shell.End()}
	if t.send(hello) != nil {
		t.writeFailed()
		return
	}
	idle := make([]byte, idleBuffer)
	var busy *[busyBuffer]byte
	defer func() {
		if busy != nil {
			busyBuffers.Put(busy)
		}
	}()
	for {
		buf := idle
		if busy != nil {
			buf = busy[:]
		}
		n, err := t.shell.Read(buf)
		if n > 0 {
			if !t.awaitAck() {
				t.close(websocket.CloseTryAgainLater, "nothing was read for too long")
				return
			}
			t.sent.Add(int64(n))
			if t.write(websocket.BinaryMessage, buf[:n]) != nil {
				t.writeFailed()
				return
			}
		}
		if err != nil {
			t.closeFor(err)
			return
		}
		switch {
		case n == len(idle) && busy == nil:
			busy = busyBuffers.Get().(*[busyBuffer]byte)
		case n < len(idle) && busy != nil:
			busyBuffers.Put(busy)
			busy = nil
		}
	}
}

// closeFor closes the terminal after err from the shell, with the close code that tells the client why.
func (t *terminal) closeFor(err error) {
	cause := t.shell.Cause()
	switch {
	case cause == session.ErrStopping:
		t.shutDown()
	case fault.CodeOf(cause) == fault.Gone:
		t.close(closeGone, "the session has ended")
	case cause == nil && errors.Is(err, io.EOF):
		if t.send(map[string]any{"type": "exit"}) != nil {
			t.drop()
			return
		}
		t.close(websocket.CloseNormalClosure, "the shell has ended")
	default:
		t.close(websocket.CloseInternalServerErr, "the machine is being restarted")
	}
}

// awaitAck waits while more than ackWindow bytes are not acknowledged. It returns false if no acknowledgement comes within
// the stall limit.
func (t *terminal) awaitAck() bool {
	var timer *time.Timer
	for {
		acked := t.acked.Load()
		if acked < 0 || t.sent.Load()-acked < ackWindow {
			return true
		}
		if timer == nil {
			timer = time.NewTimer(t.s.stall)
			defer timer.Stop()
		}
		select {
		case <-t.ack:
			timer.Reset(t.s.stall)
		case <-timer.C:
			return false
		case <-t.closing:
			return true // the next write fails
		}
	}
}

func (t *terminal) send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return t.write(websocket.TextMessage, b)
}

func (t *terminal) write(kind int, p []byte) error {
	t.sending.Lock()
	defer t.sending.Unlock()
	if err := t.ws.SetWriteDeadline(time.Now().Add(t.s.stall)); err != nil {
		return err
	}
	return t.ws.WriteMessage(kind, p)
}

// input passes keys and control messages from the client to the shell, in order.
func (t *terminal) input() {
	defer func() {
		t.drop()
		t.detach()
		t.s.mu.Lock()
		delete(t.s.terminals, t)
		t.s.mu.Unlock()
	}()
	for {
		if t.isOpen() {
			// The time that the shell took to read the last message must not count.
			_ = t.extendDeadline()
		}
		kind, r, err := t.ws.NextReader()
		if err != nil {
			return
		}
		if kind == websocket.BinaryMessage {
			err = t.forward(r)
		} else {
			err = t.handle(r)
		}
		if err != nil && t.isOpen() {
			if errors.Is(err, errProtocol) {
				t.close(websocket.ClosePolicyViolation, err.Error())
			} else {
				t.closeFor(err)
			}
		}
	}
}

// extendDeadline gives the client pongTimeout for its next message or pong.
func (t *terminal) extendDeadline() error {
	err := t.ws.SetReadDeadline(time.Now().Add(pongTimeout))
	if !t.isOpen() { // startClose may have set its own deadline in between
		err = t.ws.SetReadDeadline(time.Now().Add(closeTimeout))
	}
	return err
}

// isOpen reports whether the close handshake has not begun.
func (t *terminal) isOpen() bool {
	select {
	case <-t.closing:
		return false
	default:
		return true
	}
}

// acceptsInput reports whether input still goes to the shell.
func (t *terminal) acceptsInput() bool { return t.isOpen() || t.shuttingDown.Load() }

// forward copies the bytes of a frame to the shell. Once the terminal is closing, it reads and discards them.
func (t *terminal) forward(r io.Reader) error {
	buf := inputBuffers.Get().(*[inputBuffer]byte)
	defer inputBuffers.Put(buf)
	for {
		n, err := r.Read(buf[:])
		if n > 0 && t.acceptsInput() {
			if _, err := t.shell.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return nil // the next NextReader returns the error
		}
	}
}

var errProtocol = errors.New("not a message of " + subprotocol)

// handle carries out a control message. Unknown types are ignored: they are meant for a newer labd.
func (t *terminal) handle(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil // the next NextReader returns the error
	}
	var m struct {
		Type string `json:"type"`
		Cols uint16 `json:"cols"`
		Rows uint16 `json:"rows"`
		ID   string `json:"id"`
		Text string `json:"text"`
		Seq  int64  `json:"seq"`
		// Before is the time after which a run must not be typed, in milliseconds since 1970; 0 is no limit.
		Before int64 `json:"before"`
	}
	if json.Unmarshal(data, &m) != nil || m.Type == "" {
		return errProtocol
	}
	if !t.acceptsInput() {
		return nil
	}
	switch m.Type {
	case "resize":
		if m.Cols < 1 || m.Rows < 1 || m.Cols > session.MaxCells || m.Rows > session.MaxCells {
			return errProtocol
		}
		return t.shell.Resize(sandbox.Size{Cols: m.Cols, Rows: m.Rows})
	case "run":
		if m.ID == "" || len(m.ID) > sandbox.MaxRunID || len(m.Text) > sandbox.MaxRunText {
			return errProtocol
		}
		// A message that a proxy held back for minutes must not run a command that its learner has given up.
		if m.Before != 0 && time.Now().UnixMilli() > m.Before {
			if t.send(map[string]any{"type": "ran", "id": m.ID, "fresh": false, "late": true}) != nil {
				t.writeFailed()
			}
			return nil
		}
		fresh, err := t.shell.Run(m.ID, m.Text)
		if err != nil {
			return err
		}
		if t.send(map[string]any{"type": "ran", "id": m.ID, "fresh": fresh}) != nil {
			t.writeFailed()
		}
	case "ping":
		// Browsers do not tell a page about the pings of the WebSocket protocol, so pages need their own.
		if t.send(map[string]any{"type": "pong"}) != nil {
			t.writeFailed()
		}
	case "ack":
		if m.Seq < t.acked.Load() || m.Seq < 0 || m.Seq > t.sent.Load() {
			return errProtocol
		}
		t.acked.Store(m.Seq)
		select {
		case t.ack <- struct{}{}:
		default:
		}
	}
	return nil
}
