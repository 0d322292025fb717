package agent_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"labd/sandbox"
	"labd/sandbox/agent"
)

func TestClientConnectsAgainAfterABreak(t *testing.T) {
	h := startHalves(t)
	for range 3 {
		if err := h.Ping(testContext(t)); err != nil {
			t.Fatal(err)
		}
		h.stop()
		h.start()
	}
	if _, err := h.Terminals(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

// Calls wait for a node half that is only just coming up, as after its start or the learner's kill.
func TestClientWaitsForANodeHalfThatComesUp(t *testing.T) {
	h := startHalves(t)
	h.stop()
	pinged := make(chan error)
	go func() { pinged <- h.Ping(testContext(t)) }()
	time.Sleep(300 * time.Millisecond)
	h.start()
	if err := <-pinged; err != nil {
		t.Fatal(err)
	}
}

func TestClientSaysThatANodeIsDown(t *testing.T) {
	checkLeaks(t)
	c := agent.NewClient(func(context.Context) (io.ReadWriteCloser, error) {
		return nil, errors.Join(errors.New("container is gone"), sandbox.ErrNodeDown)
	}, agent.ClientOptions{})
	defer c.Close()
	mustBe(t, c.Ping(testContext(t)), sandbox.ErrNodeDown)

	h := startHalves(t)
	h.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	mustBe(t, h.Ping(ctx), context.DeadlineExceeded)
	h.Client.Close()
	mustBe(t, h.Ping(testContext(t)), sandbox.ErrNodeDown)
}

// All callers share one connection, and a caller that gives up does not end it for the others.
func TestClientSharesOneConnection(t *testing.T) {
	h := startHalves(t)
	var dials atomic.Int32
	release := make(chan struct{})
	c := agent.NewClient(func(ctx context.Context) (io.ReadWriteCloser, error) {
		dials.Add(1)
		<-release
		var d net.Dialer
		return d.DialContext(ctx, "unix", h.socket)
	}, agent.ClientOptions{})
	defer c.Close()
	impatient, cancel := context.WithCancel(testContext(t))
	first := make(chan error)
	go func() { first <- c.Ping(impatient) }()
	eventually(t, "it dials", func() bool { return dials.Load() == 1 })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := c.Ping(testContext(t)); err != nil {
				t.Error(err)
			}
		})
	}
	cancel()
	mustBe(t, <-first, context.Canceled)
	close(release)
	wg.Wait()
	if n := dials.Load(); n != 1 {
		t.Fatalf("%d connections", n)
	}
}

func TestManyOperationsAtOnce(t *testing.T) {
	h := startHalves(t)
	file := filepath.Join(h.opts.Home, "f")
	if err := os.WriteFile(file, make([]byte, 100000), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for range 5 {
				if b, err := h.ReadFile(testContext(t), file, 1<<20); err != nil || len(b) != 100000 {
					t.Errorf("%d bytes, %v", len(b), err)
				}
			}
		})
	}
	wg.Wait()
}

// The learner may delete the socket, or put something else there.
func TestListenBringsTheSocketBack(t *testing.T) {
	h := startHalves(t)
	if err := os.Remove(h.socket); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(h.socket, "in/the/way"), 0o700); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the socket is back", func() bool {
		c, err := net.Dial("unix", h.socket)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	if err := h.Ping(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(h.socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
}
