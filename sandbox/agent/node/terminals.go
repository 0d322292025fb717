package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

// promptCommand is bash's PROMPT_COMMAND. It runs before each prompt and starts no process.
//
// First it resets the terminal, because a program that was killed (vi, htop) leaves its modes
// behind. It leaves the alternate screen, resets modes and colours (DECSTR), and turns mouse and
// focus reports off. Leaving the alternate screen also restores the cursor, so the cursor is saved
// first.
//
// Then it reports through a FIFO that a command has finished. The FIFO is opened for reading and
// writing, so that opening does not block when nobody reads.
//
// The OSC 133 sequences are the shell integration marks that VS Code, iTerm2 and Windows Terminal
// use: D;status after a command, A before the prompt, B at its end, where the learner types, and C
// before a command's output (PS0). From them the browser knows whether a command would be typed at
// a prompt or into a program.
const promptCommand = `printf '\e]133;D;%%s\a\e7\e[?1049l\e[!p\e[?25h\e[?9;1000;1002;1003;1004;1005;1006;1015;1016l\e]133;A\a' "$?"; ` +
	`[[ $PS1 == *133\;B* ]] || PS1+='\[\e]133;B\a\]'; [[ -p %[1]s ]] && printf . 1<>%[1]s`

// promptMarks are further variables of bash that print marks: before a command's output, and in the
// prompt for the next line of an incomplete command.
var promptMarks = []string{`PS0=\e]133;C\a`, `PS2=\[\e]133;P;k=s\a\]> `}

// open starts a terminal unless it is already running.
func (s *server) open(req *wire.Request) error {
	if err := sandbox.CheckTerminalID(req.Terminal); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return fmt.Errorf("the node is shutting down: %w", sandbox.ErrNodeDown)
	}
	if s.terminals[req.Terminal] != nil {
		return nil
	}
	if len(s.terminals) >= sandbox.MaxTerminals {
		return fmt.Errorf("%d terminals are open: %w", len(s.terminals), sandbox.ErrCapacity)
	}
	size := sandbox.Size{Cols: req.Cols, Rows: req.Rows}
	t := s.takeSpare(size)
	if t == nil {
		var err error
		if t, err = s.startShell(size); err != nil {
			return err
		}
	}
	t.id = req.Terminal
	s.terminals[t.id] = t
	s.order = append(s.order, t.id)
	return nil
}

// startShell starts a terminal without an id. The caller holds s.mu.
func (s *server) startShell(size sandbox.Size) (*terminal, error) {
	env := append(slices.Clone(s.env), "TERM=xterm-256color", "COLORTERM=truecolor")
	if s.opts.Prompt != "" {
		env = append(env, "PROMPT_COMMAND="+fmt.Sprintf(promptCommand, s.opts.Prompt))
		env = append(env, promptMarks...)
	}
	t, err := startTerminal(s.opts.Shell, s.opts.Home, env, size)
	if err != nil {
		return nil, err
	}
	s.wg.Go(t.wait)
	s.wg.Go(func() {
		t.copyOutput()
		s.forget(t)
	})
	return t, nil
}

// spareSize is the size of the spare shell until a client opens it.
var spareSize = sandbox.Size{Cols: 80, Rows: 24}

// prepareSpare starts the spare shell.
func (s *server) prepareSpare() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	s.spare, err = s.startShell(spareSize)
	return err
}

// takeSpare returns the spare shell, resized, or nil if there is none. The caller holds s.mu.
func (s *server) takeSpare(size sandbox.Size) *terminal {
	t := s.spare
	if t == nil || setSize(t.pty, size) != nil {
		return nil
	}
	s.spare = nil
	return t
}

// forget removes a terminal whose output is complete. Closing the PTY sends SIGHUP to programs that
// the shell left behind.
func (s *server) forget(t *terminal) {
	s.mu.Lock()
	if s.spare == t {
		s.spare = nil
	}
	s.remove(t)
	s.mu.Unlock()
	t.pty.Close()
}

func (s *server) terminal(id string) (*terminal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.terminals[id]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("terminal %q: %w", wire.Printable(id), sandbox.ErrNotFound)
}

func (s *server) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

// closeTerminal ends a terminal and waits for it.
func (s *server) closeTerminal(id string) error {
	t, err := s.terminal(id)
	if err != nil {
		return nil
	}
	t.hangup()
	// The id becomes free even if slow readers have not read the rest of the output yet.
	s.mu.Lock()
	s.remove(t)
	s.mu.Unlock()
	return nil
}

// remove frees a terminal's id. The caller holds s.mu.
func (s *server) remove(t *terminal) {
	if s.terminals[t.id] != t {
		return // a new terminal uses the id already
	}
	delete(s.terminals, t.id)
	s.order = slices.DeleteFunc(s.order, func(id string) bool { return id == t.id })
}

// closeTerminals ends all terminals and waits for them.
func (s *server) closeTerminals() {
	s.mu.Lock()
	s.closing = true
	var wg sync.WaitGroup
	for _, t := range s.terminals {
		wg.Go(t.hangup)
	}
	if s.spare != nil {
		wg.Go(s.spare.hangup)
	}
	s.mu.Unlock()
	wg.Wait()
	s.wg.Wait()
}

// attached is an attachment, as the run operation needs it.
type attached struct {
	terminal *terminal
	ended    <-chan struct{}

	mu    sync.Mutex
	taken int64         // guarded by mu: number of input bytes typed so far
	moved chan struct{} // guarded by mu: closed and replaced when taken grows; nil while nobody waits
}

func (a *attached) add(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken += int64(n)
	if a.moved != nil {
		close(a.moved)
		a.moved = nil
	}
}

// waitFor waits until n input bytes were typed.
func (a *attached) waitFor(ctx context.Context, n int64) error {
	for {
		a.mu.Lock()
		if a.taken >= n {
			a.mu.Unlock()
			return nil
		}
		if a.moved == nil {
			a.moved = make(chan struct{})
		}
		moved := a.moved
		a.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-a.ended:
			return fmt.Errorf("attachment ended: %w", sandbox.ErrNotFound)
		}
	}
}

// run types a command for an attachment.
func (ss *session) run(ctx context.Context, req *wire.Request) (*wire.Response, error) {
	if len(req.Run) == 0 || len(req.Run) > sandbox.MaxRunID || len(req.Text) > sandbox.MaxRunText {
		return nil, fmt.Errorf("run id or text: %w", sandbox.ErrInvalid)
	}
	ss.mu.Lock()
	a := ss.attachments[req.Stream]
	ss.mu.Unlock()
	if a == nil {
		return nil, fmt.Errorf("attachment: %w", sandbox.ErrNotFound)
	}
	if err := a.waitFor(ctx, req.After); err != nil {
		return nil, err
	}
	fresh, err := a.terminal.run(ctx, req.Run, req.Text)
	return &wire.Response{Fresh: fresh}, err
}

// attach connects the stream to a terminal until either ends.
func (ss *session) attach(ctx context.Context, stream *yamux.Stream, req *wire.Request) {
	t, err := ss.terminal(req.Terminal)
	if err != nil {
		ss.reply(stream, wire.Failure(err))
		return
	}
	if err := setSize(t.pty, sandbox.Size{Cols: req.Cols, Rows: req.Rows}); err != nil {
		ss.reply(stream, wire.Failure(err))
		return
	}
	r, start, end := t.attach(req.From)
	defer t.detach(r)

	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { stream.SetDeadline(wire.LongAgo()) })
	defer stop()
	a := &attached{terminal: t, ended: ctx.Done()}
	ss.mu.Lock()
	ss.attachments[stream.StreamID()] = a
	ss.mu.Unlock()
	if !ss.reply(stream, &wire.Response{Start: start, End: end}) {
		cancel()
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		a.input(ctx, stream)
	})
	sendOutput(ctx, stream, t, r)
	cancel()
	wg.Wait()
	ss.mu.Lock()
	delete(ss.attachments, stream.StreamID())
	ss.mu.Unlock()
}

// input types what the client sends, in order, until the stream ends or the client violates the
// protocol.
func (a *attached) input(ctx context.Context, stream io.Reader) {
	var head [wire.FrameHeader]byte
	var buf []byte
	for {
		if _, err := io.ReadFull(stream, head[:]); err != nil {
			return
		}
		kind, n, err := wire.ParseFrameHeader(head)
		if err != nil {
			return
		}
		if n > len(buf) {
			buf = make([]byte, max(n, 512))
		}
		p := buf[:n]
		if _, err := io.ReadFull(stream, p); err != nil {
			return
		}
		switch {
		case kind == wire.FrameInput:
			// A shell that has ended takes no input, but its last output may still have to be sent.
			if err := a.terminal.typeIn(ctx, p); err != nil && ctx.Err() != nil {
				return
			}
			a.add(n)
		case kind == wire.FrameResize && n == wire.ResizeSize:
			size := sandbox.Size{Cols: binary.BigEndian.Uint16(p), Rows: binary.BigEndian.Uint16(p[2:])}
			if setSize(a.terminal.pty, size) != nil {
				continue // the shell has just ended
			}
		default:
			return
		}
		if cap(buf) > idleBuffer {
			buf = nil
		}
	}
}

// idleBuffer is the largest buffer that an idle attachment keeps.
const idleBuffer = 4 << 10

// outputFrames pools buffers, so that an idle attachment holds none.
var outputFrames = sync.Pool{New: func() any { return new([wire.FrameHeader + ptyRead]byte) }}

// sendOutput sends the terminal's output to r's client. It returns when the shell or ctx ends, or
// when the client reads nothing for readerPatience.
func sendOutput(ctx context.Context, stream *yamux.Stream, t *terminal, r *reader) {
	for {
		for t.pending(r) {
			frame := outputFrames.Get().(*[wire.FrameHeader + ptyRead]byte)
			n, complete := t.next(r, frame[wire.FrameHeader:])
			kind := byte(wire.FrameOutput)
			if complete {
				kind = wire.FrameExit
			}
			wire.PutFrameHeader(frame[:], kind, n)
			stream.SetWriteDeadline(time.Now().Add(readerPatience))
			var err error
			if ctx.Err() == nil {
				_, err = stream.Write(frame[:wire.FrameHeader+n])
			}
			outputFrames.Put(frame)
			if err != nil || complete || ctx.Err() != nil {
				return
			}
		}
		select {
		case <-r.more:
		case <-ctx.Done():
			return
		}
	}
}
