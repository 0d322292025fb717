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

	maxFrame    = 64 << 10         // bytes of one message from the client
	pingEvery   = 20 * time.Second // so that proxies keep the connection and the dead are noticed
	pongWithin  = 60 * time.Second // without any sign of life
	stallLimit  = 30 * time.Second // for the client to take something
	farewell    = 5 * time.Second  // for the client to answer a close
	ackWindow   = 1 << 20          // bytes that a client that acknowledges may have to draw yet
	idleBuffer  = 2 << 10          // bytes that an idle terminal keeps for output
	busyBuffer  = 32 << 10         // borrowed while there is more
	inputBuffer = 16 << 10         // borrowed while a frame is read
)

// Close codes of the protocol, beside the ones that gorilla names.
const closeGone = 4410

// upgrader: compression would cost each terminal 90 KiB and the echo of a key its latency. The buffers are small because
// most terminals are idle; long messages pass them by.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  1 << 10,
	WriteBufferSize: 4 << 10,
	WriteBufferPool: &sync.Pool{},
	Subprotocols:    []string{subprotocol},
	CheckOrigin:     func(*http.Request) bool { return true }, // admit did it
}

var (
	busyBuffers  = sync.Pool{New: func() any { return new([busyBuffer]byte) }}
	inputBuffers = sync.Pool{New: func() any { return new([inputBuffer]byte) }}
)

// terminal is one WebSocket on a shell. One goroutine carries output and one input; nothing else is needed while idle.
type terminal struct {
	s     *Server
	ws    *websocket.Conn
	shell *session.Terminal
	ping  *time.Timer

	sending sync.Mutex    // one data message is written at a time
	acked   atomic.Int64  // sequence number up to which the client has drawn; -1 if it does not tell
	ack     chan struct{} // acked has changed
	sent    atomic.Int64  // sequence number of the next byte to send
	ended   chan struct{} // closed by end
	endOnce sync.Once

	stopping  atomic.Bool // ended because labd stops: input still reaches the shell
	leaveOnce sync.Once
}

// getTerminal upgrades to a WebSocket. The handler returns at once, so that the HTTP server's buffers and goroutine don't
// stay for each terminal.
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
	t := &terminal{s: s, ws: ws, shell: shell, ack: make(chan struct{}, 1), ended: make(chan struct{})}
	t.acked.Store(-1)
	t.sent.Store(shell.Start())
	ws.SetPongHandler(func(string) error { return t.hear() })
	t.ping = time.AfterFunc(pingEvery, func() { t.guard(t.sendPing) })
	s.mu.Lock()
	if closed := s.closed; closed {
		s.mu.Unlock()
		t.ping.Stop()
		t.end(websocket.CloseGoingAway, "labd is being restarted")
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

// guard runs f in a goroutine of its own or a timer's. A panic in f ends the terminal, not labd.
func (t *terminal) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			t.s.log.Error("a terminal failed", "err", p, "stack", string(debug.Stack()))
			t.end(websocket.CloseInternalServerErr, "")
		}
	}()
	f()
}

// stop says goodbye because labd stops. What the client sent before it heard of that still reaches the shell, as the
// client won't send it again.
func (t *terminal) stop() {
	t.goodbye(websocket.CloseGoingAway, "labd is being restarted", true)
}

// end sends a close frame and leaves the shell.
func (t *terminal) end(code int, reason string) { t.goodbye(code, reason, false) }

// goodbye sends a close frame. input goes on reading until the client has answered: closing with unread input would reset
// the connection, and the client would not see why.
func (t *terminal) goodbye(code int, reason string, stopping bool) {
	t.endOnce.Do(func() {
		t.stopping.Store(stopping)
		close(t.ended)
		t.ping.Stop()
		// WriteControl fails if the client does not read; then only the end of the connection tells it.
		_ = t.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(farewell))
		_ = t.ws.SetReadDeadline(time.Now().Add(farewell))
		if stopping {
			time.AfterFunc(farewell, func() { t.guard(t.leave) }) // a shell that takes nothing must not hold up labd
			return
		}
		t.leave()
	})
}

// leave leaves the shell, which goes on.
func (t *terminal) leave() {
	t.leaveOnce.Do(func() { _ = t.shell.Close() })
}

// sendPing is a timer's, not a goroutine of each terminal.
func (t *terminal) sendPing() {
	err := t.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(stallLimit/2))
	select {
	case <-t.ended:
		return
	default:
	}
	var timeout interface{ Timeout() bool }
	if err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
		t.cut()
		return
	}
	t.ping.Reset(pingEvery)
}

// cut gives up a connection that nothing can be sent on.
func (t *terminal) cut() {
	t.end(websocket.CloseTryAgainLater, "")
	_ = t.ws.Close()
}

// unsent follows a failed write. After a goodbye every write fails, and input is still being read.
func (t *terminal) unsent() {
	if t.live() {
		t.cut()
	}
}

// output carries bytes from the shell to the client, as soon as they come.
func (t *terminal) output() {
	hello := map[string]any{"type": "hello", "start": t.shell.Start(), "end": t.shell.End()}
	if t.send(hello) != nil {
		t.unsent()
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
			if !t.mayDraw() {
				t.end(websocket.CloseTryAgainLater, "nothing was read for too long")
				return
			}
			t.sent.Add(int64(n))
			if t.write(websocket.BinaryMessage, buf[:n]) != nil {
				t.unsent()
				return
			}
		}
		if err != nil {
			t.shellLost(err)
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

// shellLost tells the client why there is no more output.
func (t *terminal) shellLost(err error) {
	cause := t.shell.Cause()
	switch {
	case cause == session.ErrStopping:
		t.stop()
	case fault.CodeOf(cause) == fault.Gone:
		t.end(closeGone, "the session has ended")
	case cause == nil && errors.Is(err, io.EOF):
		if t.send(map[string]any{"type": "exit"}) != nil {
			t.cut()
			return
		}
		t.end(websocket.CloseNormalClosure, "the shell has ended")
	default:
		t.end(websocket.CloseInternalServerErr, "the machine is being brought back")
	}
}

// mayDraw waits while the client has too much to draw, and returns false when it draws nothing for too long.
func (t *terminal) mayDraw() bool {
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
		case <-t.ended:
			return true // the write fails
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

// input carries keys and control messages from the client to the shell, in their order.
func (t *terminal) input() {
	defer func() {
		t.cut()
		t.leave()
		t.s.mu.Lock()
		delete(t.s.terminals, t)
		t.s.mu.Unlock()
	}()
	for {
		if t.live() {
			// Anew for each message: the shell may have taken long to take the last one.
			_ = t.hear()
		}
		kind, r, err := t.ws.NextReader()
		if err != nil {
			return
		}
		if kind == websocket.BinaryMessage {
			err = t.keys(r)
		} else {
			err = t.control(r)
		}
		if err != nil && t.live() {
			if errors.Is(err, errProtocol) {
				t.end(websocket.ClosePolicyViolation, err.Error())
			} else {
				t.shellLost(err)
			}
		}
	}
}

// hear gives the client time for its next sign of life.
func (t *terminal) hear() error {
	err := t.ws.SetReadDeadline(time.Now().Add(pongWithin))
	if !t.live() { // end may have come between
		err = t.ws.SetReadDeadline(time.Now().Add(farewell))
	}
	return err
}

func (t *terminal) live() bool {
	select {
	case <-t.ended:
		return false
	default:
		return true
	}
}

// heard tells whether the shell still gets what the client says.
func (t *terminal) heard() bool { return t.live() || t.stopping.Load() }

// keys passes a frame on piece by piece. Once the shell is lost the rest is only read.
func (t *terminal) keys(r io.Reader) error {
	buf := inputBuffers.Get().(*[inputBuffer]byte)
	defer inputBuffers.Put(buf)
	for {
		n, err := r.Read(buf[:])
		if n > 0 && t.heard() {
			if _, err := t.shell.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return nil // NextReader says it again
		}
	}
}

var errProtocol = errors.New("not a message of " + subprotocol)

// control obeys a control message. Messages of types that are not known here are for a newer labd, and passed over.
func (t *terminal) control(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil // NextReader says it again
	}
	var m struct {
		Type string `json:"type"`
		Cols uint16 `json:"cols"`
		Rows uint16 `json:"rows"`
		ID   string `json:"id"`
		Text string `json:"text"`
		Seq  int64  `json:"seq"`
		// Before is in milliseconds since 1970, 0 for no limit.
		Before int64 `json:"before"`
	}
	if json.Unmarshal(data, &m) != nil || m.Type == "" {
		return errProtocol
	}
	if !t.heard() {
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
				t.unsent()
			}
			return nil
		}
		fresh, err := t.shell.Run(m.ID, m.Text)
		if err != nil {
			return err
		}
		if t.send(map[string]any{"type": "ran", "id": m.ID, "fresh": fresh}) != nil {
			t.unsent()
		}
	case "ping":
		// Browsers do not tell a page about the pings of the WebSocket protocol, so pages need their own.
		if t.send(map[string]any{"type": "pong"}) != nil {
			t.unsent()
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
