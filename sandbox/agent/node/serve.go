// Package node is the half of the agent that runs inside a node. It answers labd's half (package agent) in the protocol
// of package wire: commands, files, connections, events, and terminals.
//
// # Terminals
//
// A terminal is a login shell on a PTY that belongs to the node half. All of its output has absolute sequence numbers
// from 0; the last scrollback bytes are kept. Bytes that an attached reader has not read are never overwritten: the PTY is
// not read, so the child blocks. A reader that takes nothing for readerPatience is dropped. With nobody attached
// the oldest bytes go. Several may be attached at once; the size is that of the last attach or resize.
//
// # Trust
//
// Labd is trusted and bounded all the same, so that a mistake in it does not end a node. The learner, who is root here,
// may remove, replace or kill whatever this package looks after: sockets and FIFOs come back, and what he forges are
// events, which only say that it is worth looking.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

const (
	maxSessions    = 16               // connections of labd at once; there is one, and the rest of those that broke
	requestTimeout = 20 * time.Second // for the request that starts an operation
	readerPatience = 60 * time.Second
	defaultShell   = "/bin/bash"
	defaultPath    = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Options are what a node half needs to know of the machine it runs on. The zero value is a node's.
type Options struct {
	Env    []string     // environment of shells and commands as KEY=value; nil is the process's own
	Home   string       // home of shells and commands; "" is /root
	Shell  string       // "" is /bin/bash
	Engine string       // unix socket of the engine to watch; "" for none
	Prompt string       // path of the FIFO in which shells tell that a command finished; "" for none
	Spare  bool         // start a shell at once, so that the first terminal opened has its prompt already
	Log    *slog.Logger // nil for none
}

// server is one run of Serve.
type server struct {
	opts Options
	hub  hub

	wg sync.WaitGroup // terminals

	mu        sync.Mutex
	vars      map[string]string    // guarded by mu: variables that labd has set
	env       []string             // guarded by mu: environment of shells and commands, vars included; never changed in place
	terminals map[string]*terminal // guarded by mu
	order     []string             // guarded by mu: ids, oldest first
	spare     *terminal            // guarded by mu: a shell that waits for the first open; nil if there is none
	closing   bool                 // guarded by mu
}

// Serve is the node half. It answers on ln until ctx ends, then closes ln, ends all terminals and waits for everything it
// started. It returns nil at ctx's end and an error when ln fails.
func Serve(ctx context.Context, ln net.Listener, opts Options) error {
	if opts.Home == "" {
		opts.Home = "/root"
	}
	if opts.Shell == "" {
		opts.Shell = defaultShell
	}
	if opts.Env == nil {
		opts.Env = os.Environ()
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{opts: opts, env: shellEnv(opts, nil), terminals: map[string]*terminal{}}

	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.closeTerminals()
	defer cancel()
	if opts.Spare {
		if err := s.prepareSpare(); err != nil {
			opts.Log.Warn("no spare shell", "err", err)
		}
	}
	if opts.Prompt != "" {
		wg.Go(func() { s.watchPrompts(ctx) })
	}
	if opts.Engine != "" {
		wg.Go(func() { s.watchEngine(ctx) })
	}
	wg.Go(func() {
		<-ctx.Done()
		ln.Close()
	})

	slots := make(chan struct{}, maxSessions)
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept: %w", err)
		}
		select {
		case slots <- struct{}{}:
		default:
			conn.Close()
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := s.session(ctx, conn); err != nil && ctx.Err() == nil {
				s.opts.Log.Info("session ended", "err", err)
			}
		})
	}
}

// shellEnv is the environment of shells and commands. vars take precedence over those of opts.
func shellEnv(opts Options, vars map[string]string) []string {
	env := map[string]string{
		"PATH": defaultPath,
		"LANG": "C.UTF-8",
		"USER": "root",
	}
	for _, kv := range opts.Env {
		if k, v, ok := strings.Cut(kv, "="); ok && k != "" {
			env[k] = v
		}
	}
	maps.Copy(env, vars)
	env["HOME"] = opts.Home
	env["SHELL"] = opts.Shell
	return sortedEnv(env)
}

// setEnv replaces the variables that labd has set. A spare shell has the old ones, so a new one takes its place.
func (s *server) setEnv(vars map[string]string) error {
	if err := sandbox.CheckEnv(vars); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return fmt.Errorf("the node stops: %w", sandbox.ErrNodeDown)
	}
	if maps.Equal(s.vars, vars) {
		return nil
	}
	s.vars, s.env = vars, shellEnv(s.opts, vars)
	old := s.spare
	if old == nil {
		return nil
	}
	s.wg.Go(old.hangup)
	var err error
	if s.spare, err = s.startShell(spareSize); err != nil {
		s.opts.Log.Warn("no spare shell", "err", err) // the first terminal starts its own
	}
	return nil
}

// environ returns the environment of shells and commands. The caller must not change it.
func (s *server) environ() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.env
}

func sortedEnv(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}

// session is one connection of a labd half.
type session struct {
	*server
	mux *yamux.Session

	mu          sync.Mutex
	operations  map[uint32]context.CancelFunc // guarded by mu: by stream
	attachments map[uint32]*attached          // guarded by mu: by stream
}

// session serves a connection until it breaks or ctx ends.
func (s *server) session(ctx context.Context, c net.Conn) error {
	defer c.Close()
	stopAccept := context.AfterFunc(ctx, func() { c.Close() })
	defer stopAccept()
	conn, err := accepted(c)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // and with it the session, as in wire.Session.Close
	defer stop()
	if err := answerHello(conn); err != nil {
		return err
	}
	mux, err := wire.Server(conn)
	if err != nil {
		return err
	}
	ss := &session{
		server:      s,
		mux:         mux,
		operations:  map[uint32]context.CancelFunc{},
		attachments: map[uint32]*attached{},
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer mux.Close()
	defer cancel()

	slots := make(chan struct{}, wire.MaxStreams)
	for {
		stream, err := mux.AcceptStream()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, yamux.ErrSessionShutdown) {
				return nil
			}
			return fmt.Errorf("session: %w", err)
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		wg.Go(func() {
			defer func() { <-slots }()
			ss.operation(ctx, stream)
		})
	}
}

// answerHello exchanges versions.
func answerHello(conn transport) error {
	if err := conn.SetDeadline(time.Now().Add(wire.HelloTimeout)); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	if _, err := io.WriteString(conn, wire.Hello); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	got := make([]byte, len(wire.Hello))
	if _, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	if string(got) != wire.Hello {
		return fmt.Errorf("hello is %q, want %q: %w", got, wire.Hello, wire.ErrProtocol)
	}
	return conn.SetDeadline(time.Time{})
}

// operation serves one stream.
func (ss *session) operation(ctx context.Context, stream *yamux.Stream) {
	defer stream.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	id := stream.StreamID()
	ss.mu.Lock()
	ss.operations[id] = cancel
	ss.mu.Unlock()
	defer func() {
		ss.mu.Lock()
		delete(ss.operations, id)
		ss.mu.Unlock()
	}()
	stop := context.AfterFunc(ctx, func() { stream.SetDeadline(wire.LongAgo()) })
	defer stop()

	stream.SetReadDeadline(time.Now().Add(requestTimeout))
	req, err := wire.ReadRequest(stream)
	if err != nil {
		ss.reply(stream, wire.Failure(err))
		return
	}
	if ctx.Err() != nil {
		return
	}
	stream.SetReadDeadline(time.Time{})
	if ctx.Err() != nil {
		stream.SetDeadline(wire.LongAgo()) // the line before may have undone the end's own
	}
	ss.dispatch(ctx, stream, req)
}

func (ss *session) dispatch(ctx context.Context, stream *yamux.Stream, req *wire.Request) {
	simple := func(resp *wire.Response, err error) {
		if err != nil {
			resp = wire.Failure(err)
		}
		ss.reply(stream, resp)
	}
	switch req.Op {
	case wire.OpPing:
		simple(&wire.Response{}, nil)
	case wire.OpDial:
		ss.dial(ctx, stream, req)
	case wire.OpEnv:
		simple(&wire.Response{}, ss.setEnv(req.Env))
	case wire.OpExec:
		ss.exec(ctx, stream, req)
	case wire.OpRead:
		ss.readFile(stream, req)
	case wire.OpWrite:
		simple(&wire.Response{}, writeFile(stream, req))
	case wire.OpOpen:
		simple(&wire.Response{}, ss.open(req))
	case wire.OpTerminals:
		simple(&wire.Response{Terminals: ss.list()}, nil)
	case wire.OpClose:
		simple(&wire.Response{}, ss.closeTerminal(req.Terminal))
	case wire.OpAttach:
		ss.attach(ctx, stream, req)
	case wire.OpRun:
		simple(ss.run(ctx, req))
	case wire.OpWatch:
		ss.watch(ctx, stream)
	case wire.OpAbort:
		ss.mu.Lock()
		cancel := ss.operations[req.Stream]
		ss.mu.Unlock()
		if cancel != nil {
			cancel()
		}
		simple(&wire.Response{}, nil)
	default:
		simple(nil, fmt.Errorf("operation %q: %w", req.Op, sandbox.ErrInvalid))
	}
}

// reply sends a response. A labd half that is gone needs none, so there is no error to handle.
func (ss *session) reply(w io.Writer, resp *wire.Response) bool {
	return wire.WriteResponse(w, resp) == nil
}
