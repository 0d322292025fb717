package wire

import (
	"io"
	"net"
	"testing"
)

// closing is a connection that reports when it is closed.
type closing struct {
	io.ReadWriteCloser
	onClose func()
}

func (c *closing) Close() error {
	c.onClose()
	return c.ReadWriteCloser.Close()
}

func TestCloseEndsTheConnectionOnceAndBeforeTheSession(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	var s *Session
	closed := 0
	conn := &closing{ours, func() {
		if closed++; s.IsClosed() {
			t.Error("the session is shut down while its connection is open")
		}
	}}
	s, err := Client(conn)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !s.IsClosed() || closed != 1 {
		t.Errorf("closed: session %v, connection %d times", s.IsClosed(), closed)
	}
}
