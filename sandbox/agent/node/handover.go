package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox/agent/wire"
)

// handoverMark is the byte that Handover sends with the descriptors. A hello never starts with it.
const handoverMark = 0

// Handover passes the descriptors of a connection with labd to the server at the other end of conn:
// it reads from in and writes to out. It returns when that connection ends. A process that copied
// between the two would cost every keystroke two more context switches.
func Handover(conn *net.UnixConn, in, out int) error {
	if _, _, err := conn.WriteMsgUnix([]byte{handoverMark}, unix.UnixRights(in, out), nil); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	buf := make([]byte, 1)
	for {
		if _, err := conn.Read(buf); err != nil {
			return nil // the server closed the connection or has ended
		}
	}
}

// transport is the connection that a session runs over.
type transport interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	Close() error
	SetDeadline(time.Time) error
}

// accepted returns the transport of an accepted connection: the connection itself, or the
// descriptors that it passes.
func accepted(c net.Conn) (transport, error) {
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return c, nil
	}
	if err := conn.SetDeadline(time.Now().Add(wire.HelloTimeout)); err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	first, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(2*4))
	n, oobn, _, _, err := conn.ReadMsgUnix(first, oob)
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	files, err := passedFiles(oob[:oobn])
	if err != nil {
		return nil, err
	}
	if n == 1 && first[0] == handoverMark && len(files) == 2 {
		return &handedOver{conn: conn, in: files[0], out: files[1]}, nil
	}
	for _, f := range files {
		f.Close()
	}
	return &begun{UnixConn: conn, first: first[:n]}, nil
}

// passedFiles returns the descriptors in a control message, registered with Go's poller.
func passedFiles(oob []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("descriptors: %w", err)
	}
	var files []*os.File
	var errs []error
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		errs = append(errs, err)
		for _, fd := range fds {
			errs = append(errs, unix.SetNonblock(fd, true))
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "labd"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		for _, f := range files {
			f.Close()
		}
		return nil, fmt.Errorf("descriptors: %w", err)
	}
	return files, nil
}

// handedOver is a connection that arrived as two descriptors.
type handedOver struct {
	conn    *net.UnixConn // closing it tells the process that passed them
	in, out *os.File
}

func (h *handedOver) Read(p []byte) (int, error)  { return h.in.Read(p) }
func (h *handedOver) Write(p []byte) (int, error) { return h.out.Write(p) }

func (h *handedOver) SetDeadline(t time.Time) error {
	return errors.Join(h.in.SetDeadline(t), h.out.SetDeadline(t))
}

func (h *handedOver) Close() error {
	return errors.Join(h.in.Close(), h.out.Close(), h.conn.Close())
}

// begun is a connection whose first byte was already read.
type begun struct {
	*net.UnixConn
	first []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	return b.UnixConn.Read(p)
}
