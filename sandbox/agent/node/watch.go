package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

const (
	promptCheck    = 2 * time.Second // interval at which the FIFO's file is checked
	engineRetryMin = 50 * time.Millisecond
	engineRetryMax = time.Second
	engineAnswer   = 10 * time.Second // for the header of the engine's response
)

// engineEvents subscribes to the engine events that can change the result of a check, and only
// those. Reading a container's files is an event too, so a check would trigger the next one.
const engineEvents = "GET /events?filters=%7B%22event%22%3A%5B" +
	"%22create%22%2C%22start%22%2C%22die%22%2C%22destroy%22%2C%22stop%22%2C%22kill%22%2C%22restart%22%2C%22pause%22%2C" +
	"%22unpause%22%2C%22rename%22%2C%22update%22%2C%22oom%22%2C%22health_status%22%2C%22extract-to-dir%22%2C%22commit%22%2C" +
	"%22pull%22%2C%22load%22%2C%22import%22%2C%22tag%22%2C%22untag%22%2C%22delete%22%2C%22prune%22%2C" +
	"%22connect%22%2C%22disconnect%22%2C%22remove%22%2C%22mount%22%2C%22unmount%22%5D%7D HTTP/1.0\r\nHost: docker\r\n\r\n"

// hub distributes events to the watches. An event is only a hint, so a slow watch gets one for
// many.
type hub struct {
	mu       sync.Mutex
	engineUp bool                     // guarded by mu
	watches  map[*watchState]struct{} // guarded by mu
}

// watchState holds the events that a watch has not sent yet.
type watchState struct {
	pending map[byte]bool // guarded by hub.mu
	more    chan struct{}
}

func (h *hub) publish(kind sandbox.EventKind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch kind {
	case sandbox.EngineUp:
		h.engineUp = true
	case sandbox.EngineDown:
		h.engineUp = false
	}
	for w := range h.watches {
		w.add(kind)
	}
}

// add requires hub.mu.
func (w *watchState) add(kind sandbox.EventKind) {
	switch kind {
	case sandbox.EngineUp:
		delete(w.pending, wire.EventByte(sandbox.EngineDown))
	case sandbox.EngineDown:
		delete(w.pending, wire.EventByte(sandbox.EngineUp))
	}
	w.pending[wire.EventByte(kind)] = true
	signal(w.more)
}

func (h *hub) join() *watchState {
	w := &watchState{pending: map[byte]bool{}, more: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watches == nil {
		h.watches = map[*watchState]struct{}{}
	}
	h.watches[w] = struct{}{}
	if h.engineUp {
		w.add(sandbox.EngineUp)
	} else {
		w.add(sandbox.EngineDown)
	}
	return w
}

func (h *hub) leave(w *watchState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watches, w)
}

// take returns and clears the pending events of w.
func (h *hub) take(w *watchState) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []byte
	for b := range w.pending {
		out = append(out, b)
	}
	clear(w.pending)
	return out
}

// watch sends events until the stream or ctx ends.
func (ss *session) watch(ctx context.Context, stream *yamux.Stream) {
	if !ss.reply(stream, &wire.Response{}) {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := ss.hub.join()
	defer ss.hub.leave(w)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer cancel()
		stream.Read(make([]byte, 1)) // the client sends nothing more, so this returns when the stream ends
	})
	defer stream.SetReadDeadline(wire.LongAgo())
	for {
		select {
		case <-w.more:
		case <-ctx.Done():
			return
		}
		stream.SetWriteDeadline(time.Now().Add(readerPatience))
		if ctx.Err() != nil {
			return
		}
		if _, err := stream.Write(ss.hub.take(w)); err != nil {
			return
		}
		if !wire.Sleep(ctx, wire.EventGap) {
			return
		}
	}
}

// watchEngine follows the engine's event stream. The engine is up while the stream is open.
func (s *server) watchEngine(ctx context.Context) {
	retry := engineRetryMin
	for ctx.Err() == nil {
		up, err := s.followEngine(ctx)
		if up {
			s.hub.publish(sandbox.EngineDown)
			s.opts.Log.Info("engine lost", "err", err)
			retry = engineRetryMin
		}
		if !wire.Sleep(ctx, retry) {
			return
		}
		retry = min(retry*5/4, engineRetryMax)
	}
}

// followEngine returns when the engine stops answering. up reports whether it ever answered.
func (s *server) followEngine(ctx context.Context) (up bool, err error) {
	var d net.Dialer
	dctx, cancel := context.WithTimeout(ctx, engineAnswer)
	defer cancel()
	conn, err := d.DialContext(dctx, "unix", s.opts.Engine)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(engineAnswer)); err != nil {
		return false, err
	}
	if _, err := io.WriteString(conn, engineEvents); err != nil {
		return false, err
	}
	r := bufio.NewReaderSize(conn, 4<<10)
	if err := readHead(r); err != nil {
		return false, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return false, err
	}
	s.hub.publish(sandbox.EngineUp)
	for {
		// Only the fact that there was an event is used. A learner could forge its content, and a
		// check looks for itself.
		if _, err := r.ReadByte(); err != nil {
			return true, err
		}
		if _, err := r.Discard(r.Buffered()); err != nil {
			return true, err
		}
		s.hub.publish(sandbox.EngineChange)
	}
}

const maxHeadLines = 64

// readHead reads the header of a successful HTTP response.
func readHead(r *bufio.Reader) error {
	for i := range maxHeadLines {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("engine's answer: %w", err)
		}
		text := strings.TrimRight(string(line), "\r\n")
		if i == 0 {
			if _, status, _ := strings.Cut(text, " "); !strings.HasPrefix(status, "200 ") {
				return fmt.Errorf("engine answers %q", wire.Printable(text))
			}
		}
		if text == "" {
			return nil
		}
	}
	return errors.New("engine's answer has too many headers")
}

// watchPrompts turns bytes in the prompt FIFO into events. It creates the FIFO again if the learner
// removed it.
func (s *server) watchPrompts(ctx context.Context) {
	buf := make([]byte, 512)
	for ctx.Err() == nil {
		f, err := openFIFO(s.opts.Prompt)
		if err != nil {
			s.opts.Log.Warn("shell prompts can't be seen", "err", err)
			if !wire.Sleep(ctx, promptCheck) {
				return
			}
			continue
		}
		stop := context.AfterFunc(ctx, func() { f.SetReadDeadline(wire.LongAgo()) })
		for ctx.Err() == nil {
			f.SetReadDeadline(time.Now().Add(promptCheck))
			if ctx.Err() != nil {
				break
			}
			n, err := f.Read(buf)
			if n > 0 {
				s.hub.publish(sandbox.ShellPrompt)
				continue
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || !samePath(f, s.opts.Prompt) {
				break
			}
		}
		stop()
		f.Close()
	}
}

// openFIFO creates the FIFO and opens it for reading and writing, so that opening does not block
// and reading never reaches an end of file.
func openFIFO(path string) (*os.File, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeNamedPipe {
		if err := os.RemoveAll(path); err != nil {
			return nil, fmt.Errorf("prompt FIFO: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return nil, fmt.Errorf("prompt FIFO: %w", err)
	}
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("prompt FIFO: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("prompt FIFO: %w", err)
	}
	return f, nil
}

// samePath reports whether path still names f.
func samePath(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}
