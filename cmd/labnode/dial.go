package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dialWait   = 10 * time.Second // for the agent to listen, as right after the node's start
	dialPause  = 5 * time.Millisecond
	dialBuffer = 64 << 10
)

// runDial joins standard input and output to the socket and returns when either end closes. It waits in plain blocking
// system calls: a poller would add two of them to the way of every keystroke.
func runDial(path string) error {
	fd, err := connect(path)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- pump(fd, 0) }()
	go func() { ended <- pump(1, fd) }()
	return <-ended
}

// connect connects to the socket, waiting for somebody to listen.
func connect(path string) (int, error) {
	for started := time.Now(); ; time.Sleep(dialPause) {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return 0, fmt.Errorf("socket: %w", err)
		}
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		if err == nil {
			return fd, nil
		}
		unix.Close(fd)
		if time.Since(started) > dialWait {
			return 0, fmt.Errorf("connect to %s: %w", path, err)
		}
	}
}

// pump copies from one descriptor to another until the end.
func pump(to, from int) error {
	buf := make([]byte, dialBuffer)
	for {
		n, err := unix.Read(from, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECONNRESET):
			return nil
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return nil
		}
		for p := buf[:n]; len(p) > 0; {
			n, err := unix.Write(to, p)
			switch {
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EPIPE):
				return nil
			case err != nil:
				return os.NewSyscallError("write", err)
			case n == 0:
				return io.ErrShortWrite
			}
			p = p[max(n, 0):]
		}
	}
}
