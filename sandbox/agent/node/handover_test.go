package node

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox/agent/wire"
)

// unixPair returns both ends of a connection.
func unixPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		ends[i] = c.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// A node that stops must not wait for the hello of a silent client.
func TestStoppingClosesAConnectionThatHasNotSaidHello(t *testing.T) {
	ours, theirs := unixPair(t)
	in, _ := pipe(t)
	input, out := pipe(t)
	handed := make(chan error, 1)
	go func() { handed <- Handover(theirs, int(in.Fd()), int(out.Fd())) }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- (&server{}).session(ctx, ours) }()
	if _, err := io.ReadFull(input, make([]byte, len(wire.Hello))); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("the session ended with %v, not because it was closed", err)
	}
	if err := <-handed; err != nil {
		t.Error(err)
	}
}
