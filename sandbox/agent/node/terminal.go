package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

const (
	ptyRead        = 32 << 10
	rememberedRuns = 256
	hangupGrace    = 2 * time.Second        // from SIGHUP to SIGKILL
	drainQuiet     = 100 * time.Millisecond // an ended shell's output is complete after this much silence
	drainLimit     = 1 << 20                // bytes read after the shell's end, from programs that outlive it
	lineSearch     = 4 << 10                // bytes searched for the start of a line after the scrollback was cut
	maxCells       = 1000                   // maximum of columns and of rows
)

// terminal is a shell on a PTY with its scrollback.
type terminal struct {
	id  string   // guarded by server.mu; "" for the spare shell
	pty *os.File // the ptmx side; non-blocking, so that waiting for output needs no OS thread
	cmd *exec.Cmd

	input chan struct{} // a lock with a timeout: holds a token while somebody types
	runs  []string      // guarded by the token: ids of the last runs, oldest first

	space  chan struct{} // signalled when a reader has read something
	exited chan struct{} // closed when the shell has ended
	done   chan struct{} // closed when all of its output is in the ring

	mu       sync.Mutex
	ring     ring                 // guarded by mu
	readers  map[*reader]struct{} // guarded by mu
	complete bool                 // guarded by mu: set when done is closed
}

// reader is an attachment's position in a terminal's output.
type reader struct {
	pos  int64         // guarded by terminal.mu: the next byte to read
	more chan struct{} // signalled when there is something to read
}

// startTerminal starts a login shell. The caller must run copyOutput and wait.
func startTerminal(shell, dir string, env []string, size sandbox.Size) (*terminal, error) {
	cmd := exec.Command(shell)
	cmd.Args = []string{"-" + filepath.Base(shell)} // the dash makes it a login shell
	cmd.Env = env
	cmd.Dir = dir
	ptmx, tty, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	defer tty.Close()
	ptmx, err = nonBlocking(ptmx)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(setSize(ptmx, size), setUTF8(tty)); err != nil {
		ptmx.Close()
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		ptmx.Close()
		return nil, fmt.Errorf("start the shell: %w", err)
	}
	return &terminal{
		pty:     ptmx,
		cmd:     cmd,
		input:   make(chan struct{}, 1),
		space:   make(chan struct{}, 1),
		exited:  make(chan struct{}),
		done:    make(chan struct{}),
		readers: map[*reader]struct{}{},
	}, nil
}

// nonBlocking moves f's descriptor to Go's network poller. As package pty opens it, each terminal
// would block two OS threads.
func nonBlocking(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate the terminal: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make the terminal non-blocking: %w", err)
	}
	return os.NewFile(uintptr(fd), "ptmx"), nil
}

func setSize(ptmx *os.File, size sandbox.Size) error {
	if size.Cols == 0 || size.Rows == 0 {
		return nil
	}
	ws := &pty.Winsize{Cols: min(size.Cols, maxCells), Rows: min(size.Rows, maxCells)}
	if err := pty.Setsize(ptmx, ws); err != nil {
		return fmt.Errorf("resize the terminal: %w", err)
	}
	return nil
}

// signal wakes the receiver of c, a channel with room for one value.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wait waits for the shell to end.
func (t *terminal) wait() {
	t.cmd.Wait() // the exit status is not needed
	close(t.exited)
	// Programs that the shell left behind may keep the PTY open forever, so an end of file may
	// never come.
	t.pty.SetReadDeadline(time.Now().Add(drainQuiet))
}

// copyOutput copies the shell's output into the ring until the shell and its output have ended. It
// pauses while an attached reader has not read what would be overwritten.
func (t *terminal) copyOutput() {
	defer t.finish()
	raw, err := t.pty.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, ptyRead)
	drained := 0
	for {
		room := t.waitForSpace(len(buf))
		draining := false
		select {
		case <-t.exited:
			draining = true
			t.pty.SetReadDeadline(time.Now().Add(drainQuiet))
		default:
		}
		n, err := readSome(raw, buf[:room])
		if n > 0 {
			t.add(buf[:n])
		}
		if draining {
			if drained += n; err != nil || drained > drainLimit {
				return
			}
			continue
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded): // the shell has just ended: read the rest
		case errors.Is(err, unix.EIO):
			// No process has the PTY open at the moment, but a child of the shell may still open
			// /dev/tty.
			select {
			case <-t.exited:
			case <-time.After(drainQuiet):
			}
		default:
			return
		}
	}
}

// readSome waits for output and reads what there is, at most len(p) bytes. The kernel returns a
// PTY's output in small pieces; sending several together is cheaper.
func readSome(raw syscall.RawConn, p []byte) (n int, err error) {
	waitErr := raw.Read(func(fd uintptr) bool {
		for n < len(p) {
			m, e := unix.Read(int(fd), p[n:])
			switch {
			case e == unix.EINTR:
				continue
			case e == unix.EAGAIN:
				return n > 0
			case e != nil:
				err = e
				return true
			case m == 0:
				err = unix.EIO
				return true
			}
			if n += m; m < coalesceFrom {
				return true
			}
		}
		return true
	})
	if err == nil {
		err = waitErr
	}
	return n, err
}

// coalesceFrom is the size of a piece after which more is probably waiting. The echo of a key is
// smaller and is sent at once.
const coalesceFrom = 512

// waitForSpace returns how many bytes may be read from the PTY now, at most limit.
func (t *terminal) waitForSpace(limit int) int {
	for {
		t.mu.Lock()
		room := scrollback
		for r := range t.readers {
			room = min(room, scrollback-int(t.ring.end-r.pos))
		}
		t.mu.Unlock()
		if room > 0 {
			return min(room, limit)
		}
		<-t.space
	}
}

// add appends output and wakes the readers.
func (t *terminal) add(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ring.append(p)
	for r := range t.readers {
		signal(r.more)
	}
}

// finish marks the output as complete.
func (t *terminal) finish() {
	t.mu.Lock()
	t.complete = true
	for r := range t.readers {
		signal(r.more)
	}
	t.mu.Unlock()
	close(t.done)
}

// attach adds a reader that starts at sequence number from, or at the oldest byte that is kept. It
// returns the reader's start and the end of the history.
func (t *terminal) attach(from int64) (r *reader, start, end int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if from < t.ring.start || from > t.ring.end {
		from = t.ring.start
		if from > 0 {
			from = t.ring.lineStart(lineSearch)
		}
	}
	r = &reader{pos: from, more: make(chan struct{}, 1)}
	t.readers[r] = struct{}{}
	return r, from, t.ring.end
}

// detach removes a reader. Output that waited for it continues.
func (t *terminal) detach(r *reader) {
	t.mu.Lock()
	delete(t.readers, r)
	t.mu.Unlock()
	signal(t.space)
}

// next copies the next bytes for r into p. If there are none, complete says whether the output has
// ended.
func (t *terminal) next(r *reader, p []byte) (n int, complete bool) {
	t.mu.Lock()
	n = t.ring.copyTo(p, r.pos)
	r.pos += int64(n)
	complete = t.complete
	t.mu.Unlock()
	if n > 0 {
		signal(t.space)
	}
	return n, complete && n == 0
}

// pending reports whether next would return something.
func (t *terminal) pending(r *reader) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.complete || r.pos < t.ring.end
}

// typeIn writes p to the PTY without mixing it with other input. It waits while the shell reads no
// input, until ctx ends.
func (t *terminal) typeIn(ctx context.Context, p []byte) error {
	if err := t.lockInput(ctx); err != nil {
		return err
	}
	defer t.unlockInput()
	return t.write(ctx, p)
}

// run types text unless id is among the last runs.
func (t *terminal) run(ctx context.Context, id, text string) (fresh bool, err error) {
	if err := t.lockInput(ctx); err != nil {
		return false, err
	}
	defer t.unlockInput()
	if slices.Contains(t.runs, id) {
		return false, nil
	}
	// Recorded before it is typed: a command that was typed only in part must not be typed again
	// either.
	t.runs = append(t.runs, id)
	if len(t.runs) > rememberedRuns {
		t.runs = slices.Delete(t.runs, 0, len(t.runs)-rememberedRuns)
	}
	return true, t.write(ctx, []byte(text))
}

func (t *terminal) lockInput(ctx context.Context) error {
	select {
	case t.input <- struct{}{}:
		return nil
	default:
	}
	select {
	case t.input <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.exited:
		return fmt.Errorf("terminal %s ended: %w", t.id, sandbox.ErrNotFound)
	}
}

func (t *terminal) unlockInput() { <-t.input }

// write writes to the PTY. The caller holds the input token.
func (t *terminal) write(ctx context.Context, p []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		t.pty.SetWriteDeadline(wire.LongAgo())
		close(interrupted)
	})
	_, err := t.pty.Write(p)
	if !stop() {
		<-interrupted
		t.pty.SetWriteDeadline(time.Time{})
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// hangup ends the shell and its foreground processes: SIGHUP, then SIGKILL. It returns when the
// shell has ended.
func (t *terminal) hangup() {
	kill := func(sig syscall.Signal) {
		select {
		case <-t.exited: // its process id may have been reused
			return
		default:
		}
		if group := t.foreground(); group > 1 {
			syscall.Kill(-group, sig)
		}
		syscall.Kill(-t.cmd.Process.Pid, sig)
		if sig == syscall.SIGHUP {
			syscall.Kill(-t.cmd.Process.Pid, syscall.SIGCONT) // a stopped shell would not handle SIGHUP
		}
	}
	kill(syscall.SIGHUP)
	grace := time.NewTimer(hangupGrace)
	defer grace.Stop()
	select {
	case <-t.exited:
		return
	case <-grace.C:
	}
	kill(syscall.SIGKILL)
	<-t.exited
}

// foreground returns the foreground process group of the terminal, or 0.
func (t *terminal) foreground() int {
	raw, err := t.pty.SyscallConn()
	if err != nil {
		return 0
	}
	group := 0
	err = raw.Control(func(fd uintptr) {
		group, err = unix.IoctlGetInt(int(fd), unix.TIOCGPGRP)
	})
	if err != nil {
		return 0
	}
	return group
}
