package node_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox/agent/agenttest"
	"github.com/labd-dev/labd/sandbox/agent/node"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

// slowListener is a listener whose Close returns late, after Accept has failed, as it may on a busy
// machine.
type slowListener struct {
	net.Listener
	closed atomic.Bool
}

func (l *slowListener) Close() error {
	err := l.Listener.Close()
	time.Sleep(50 * time.Millisecond)
	l.closed.Store(true)
	return err
}

// Serve returns only after its listener is closed. Otherwise a new listener on the same path could
// lose its file to the old one.
func TestServeReturnsAfterItsListenerIsClosed(t *testing.T) {
	agenttest.CheckLeaks(t)
	ln, err := node.Listen(filepath.Join(t.TempDir(), "agent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	slow := &slowListener{Listener: ln}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := node.Serve(ctx, slow, node.Options{}); err != nil {
		t.Fatal(err)
	}
	if !slow.closed.Load() {
		t.Error("Serve returned before its listener was closed")
	}
}

// A client that violates the protocol does not harm the server.
func TestServeSurvivesBadClients(t *testing.T) {
	h := agenttest.Start(t)
	a := openTerminal(t, h, "t1")
	for _, b := range []string{"", "GET / HTTP/1.1\r\n\r\n", wire.Hello + "garbage garbage garbage", wire.Hello + "\x00\x00\x00\x01" + "\x00\x00\x00\x01" + "\x00\x00\x00\x04" + "\xff\xff\xff\xff"} {
		c, err := net.Dial("unix", h.Socket)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, b)
		c.(*net.UnixConn).CloseWrite()
		c.SetDeadline(time.Now().Add(agenttest.Patience))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		c.Close()
	}
	// Connections above the limit are rejected, and the existing one keeps working.
	var conns []net.Conn
	for range 40 {
		c, err := net.Dial("unix", h.Socket)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	send(t, a, "echo still-$((1+1))\n")
	(&reading{tb: t, a: a}).until("still-2")
	for _, c := range conns {
		c.Close()
	}
}

// The learner may delete the socket or put something else in its place.
func TestListenRecreatesTheSocket(t *testing.T) {
	h := agenttest.Start(t)
	if err := os.Remove(h.Socket); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(h.Socket, "in/the/way"), 0o700); err != nil {
		t.Fatal(err)
	}
	agenttest.Eventually(t, "the socket is back", func() bool {
		c, err := net.Dial("unix", h.Socket)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	if err := h.Ping(agenttest.Context(t)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(h.Socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
}
