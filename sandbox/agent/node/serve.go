// Package node is the agent's server. It runs inside a node and serves the client (package agent)
// in the protocol of package wire: commands, files, connections, events and terminals.
//
// # Terminals
//
// A terminal is a login shell on a PTY. The server owns the PTY, so shells survive when labd
// restarts. Every byte of a shell's output has a sequence number, starting at 0, and the last
// scrollback bytes are kept. Bytes that an attached reader has not read are never overwritten: the
// server stops reading the PTY, and the program that prints blocks. A reader that reads nothing for
// readerPatience is detached. With no reader attached, the oldest bytes are overwritten. Several
// readers may be attached at once; the size is that of the last attach or resize.
//
// # Trust
//
// labd is trusted, but its requests are bounded all the same, so that a bug in labd does not take a
// node down. The learner is root here and may remove, replace or kill everything that this package
// uses. Sockets and FIFOs are created again. Forged events do no harm, as an event only says that
// something may have changed.
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
	maxSessions    = 16               // connections at once: the current one, and broken ones that have not ended yet
	requestTimeout = 20 * time.Second // for reading the request that starts an operation
	readerPatience = 60 * time.Second
	defaultShell   = "/bin/bash"
	defaultPath    = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Options describe the machine that a server runs on. The zero value is for a node.
type Options struct {
	Env    []string     // environment of shells and commands as KEY=value; nil means the process's own
	Home   string       // home directory of shells and commands; "" means /root
	Shell  string       // "" means /bin/bash
	Engine string       // Unix socket of the Docker engine to watch; "" for none
	Prompt string       // path of the FIFO through which shells report that a command finished; "" for none
	Spare  bool         // start a shell in advance, so that the first terminal has its prompt at once
	Log    *slog.Logger // nil for none
}

// server is the state of one Serve call.
type server struct {
	opts Options
	hub  hub

	wg sync.WaitGroup // goroutines of terminals

	mu   sync.Mutex
	vars map[string]string // guarded by mu: variables set by the client
	// guarded by mu: environment of shells and commands, including vars; replaced, never modified
	env       []string
	terminals map[string]*terminal // guarded by mu
	order     []string             // guarded by mu: ids, oldest first
	spare     *terminal            // guarded by mu: the shell started in advance; nil if there is none
	closing   bool                 // guarded by mu
}

// Serve accepts connections on ln until ctx ends. Then it closes ln, ends all terminals and waits
// for its goroutines. It returns nil when ctx ends and an error when ln fails.
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

// shellEnv returns the environment of shells and commands. vars take precedence over opts.Env.
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

// setEnv replaces the variables set by the client. The spare shell still has the old ones, so it is
// replaced too.
func (s *server) setEnv(vars map[string]string) error {
	if err := sandbox.CheckEnv(vars); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return fmt.Errorf("the node is shutting down: %w", sandbox.ErrNodeDown)
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
		s.opts.Log.Warn("no spare shell", "err", err) // the first terminal will start its own shell
	}
	return nil
}

// environ returns the environment of shells and commands. The caller must not modify it.
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

// session is one connection of a client.
type session struct {
	*server
	mux *yamux.Session

	mu          sync.Mutex
	operations  map[uint32]context.CancelFunc // guarded by mu: key is the stream
	attachments map[uint32]*attached          // guarded by mu: key is the stream
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
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // this ends the session too, see wire.Session.Close
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

// answerHello exchanges protocol versions.
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
		stream.SetDeadline(wire.LongAgo()) // the line above may have overwritten the deadline that ctx set
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

// reply sends a response. If that fails, the client is gone and nobody needs the response.
func (ss *session) reply(w io.Writer, resp *wire.Response) bool {
	return wire.WriteResponse(w, resp) == nil
}
