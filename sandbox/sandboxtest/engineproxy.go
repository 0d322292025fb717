package sandboxtest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// EngineProxy is a proxy in front of a Docker engine's socket. It can simulate an engine that dies:
// all streams break and no call is answered, while other clients still reach the engine.
type EngineProxy struct {
	path, engine string

	mu    sync.Mutex
	ln    net.Listener          // guarded by mu; nil after Stop
	conns map[net.Conn]struct{} // guarded by mu
	wg    sync.WaitGroup
}

// NewEngineProxy starts a proxy that listens at path and forwards to the engine's socket. It stops
// at the end of the test.
func NewEngineProxy(t testing.TB, path, engine string) *EngineProxy {
	t.Helper()
	p := &EngineProxy{path: path, engine: engine, conns: map[net.Conn]struct{}{}}
	p.Start(t)
	t.Cleanup(func() {
		p.Stop()
		p.wg.Wait()
	})
	return p
}

// Start listens. It may be called again after Stop.
func (p *EngineProxy) Start(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("unix", p.path)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.ln = ln
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.join(c) })
		}
	})
}

// Stop closes the listener, which removes the socket's file, and all connections.
func (p *EngineProxy) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ln != nil {
		p.ln.Close()
		p.ln = nil
	}
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
}

func (p *EngineProxy) join(c net.Conn) {
	e, err := net.DialTimeout("unix", p.engine, 10*time.Second)
	if err != nil {
		c.Close()
		return
	}
	p.mu.Lock()
	p.conns[c], p.conns[e] = struct{}{}, struct{}{}
	if p.ln == nil {
		c.Close()
		e.Close()
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(e, c)
		_ = e.(*net.UnixConn).CloseWrite()
	}()
	_, _ = io.Copy(c, e)
	c.Close()
	<-done
	e.Close()
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, e)
	p.mu.Unlock()
}
