package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// listenCheck is the interval at which the socket's file is checked.
const listenCheck = 2 * time.Second

// Listen listens on a Unix socket that only root may use. It creates the socket again when its file
// is removed or replaced: the learner is root and may well clean up /run.
func Listen(path string) (net.Listener, error) {
	ln, info, err := listenUnix(path)
	if err != nil {
		return nil, err
	}
	l := &lasting{
		path:   path,
		conns:  make(chan net.Conn),
		failed: make(chan error, 1),
		quit:   make(chan struct{}),
		ln:     ln,
	}
	l.wg.Go(func() { l.keep(ln, info) })
	return l, nil
}

// lasting is a listener that creates its socket file again when it is gone.
type lasting struct {
	path   string
	conns  chan net.Conn
	failed chan error
	once   sync.Once
	quit   chan struct{}
	wg     sync.WaitGroup

	mu sync.Mutex
	ln *net.UnixListener // guarded by mu: the current one
}

// listenUnix replaces whatever is at path with a socket.
func listenUnix(path string) (*net.UnixListener, fs.FileInfo, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("agent socket: %w", err)
	}
	if err := os.RemoveAll(path); err != nil {
		return nil, nil, fmt.Errorf("agent socket: %w", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, nil, fmt.Errorf("agent socket: %w", err)
	}
	ln.SetUnlinkOnClose(false) // by then the file may belong to another listener
	err = os.Chmod(path, 0o600)
	info, statErr := os.Lstat(path)
	if err := errors.Join(err, statErr); err != nil {
		ln.Close()
		return nil, nil, fmt.Errorf("agent socket: %w", err)
	}
	return ln, info, nil
}

// keep accepts connections on ln and on the listeners that replace it.
func (l *lasting) keep(ln *net.UnixListener, info fs.FileInfo) {
	for {
		ln.SetDeadline(time.Now().Add(listenCheck))
		conn, err := ln.Accept()
		switch {
		case err == nil:
			select {
			case l.conns <- conn:
			case <-l.quit:
				conn.Close()
				return
			}
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
		default:
			l.failed <- err // after Close nobody receives this
			return
		}
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, info) {
			continue
		}
		next, nextInfo, err := listenUnix(l.path)
		if err != nil {
			continue // for example a full disk, or a directory at the path; try again at the next check
		}
		ln.Close()
		ln, info = next, nextInfo
		if !l.replace(ln) {
			return
		}
	}
}

// replace makes ln the listener that Close closes. It returns false if Close was called already.
func (l *lasting) replace(ln *net.UnixListener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.quit:
		ln.Close()
		return false
	default:
	}
	l.ln = ln
	return true
}

func (l *lasting) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.failed:
		return nil, err
	case <-l.quit:
		return nil, net.ErrClosed
	}
}

func (l *lasting) Close() error {
	l.once.Do(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(l.quit)
		l.ln.Close()
	})
	l.wg.Wait()
	return nil
}

func (l *lasting) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }
