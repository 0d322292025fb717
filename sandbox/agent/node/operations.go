package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/wire"
)

const (
	copyBuffer = 32 << 10
	maxPath    = 4096
	// pipeGrace is how long a command's output is still read when its background processes keep the
	// pipe open.
	pipeGrace = 250 * time.Millisecond
	dirMode   = 0o755
)

// dial connects the stream to a connection made from inside the node.
func (ss *session) dial(ctx context.Context, stream *yamux.Stream, req *wire.Request) {
	if req.Network != "tcp" && req.Network != "unix" {
		ss.reply(stream, wire.Failure(fmt.Errorf("network %q: %w", req.Network, sandbox.ErrInvalid)))
		return
	}
	d := net.Dialer{Timeout: wire.DialTimeout}
	conn, err := d.DialContext(ctx, req.Network, req.Address)
	if err != nil {
		ss.reply(stream, wire.Failure(dialError(err)))
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if !ss.reply(stream, &wire.Response{}) {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if _, err := copyPooled(conn, stream); err != nil {
			conn.Close()
			return
		}
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	})
	if _, err := copyPooled(stream, conn); err != nil {
		conn.Close()
	}
	stream.Close()
}

// dialError reports a missing socket file in the same way as a port on which nothing listens.
func dialError(err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%v: %w", err, syscall.ECONNREFUSED)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%v: %w", err, syscall.ETIMEDOUT)
	case errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("%v: %w", err, syscall.EHOSTUNREACH)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("%v: %w", err, sandbox.ErrNotFound)
	}
	return err
}

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// copyPooled copies src to dst through a pooled buffer.
func copyPooled(dst io.Writer, src io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	// The wrappers hide ReadFrom and WriteTo, which would allocate a buffer of their own.
	return io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, buf[:])
}

// exec runs a command and sends its output.
func (ss *session) exec(ctx context.Context, stream *yamux.Stream, req *wire.Request) {
	if len(req.Args) == 0 || req.Args[0] == "" || req.Limit < 1 || req.Limit > wire.MaxTransfer || req.Size < 0 || req.Size > wire.MaxTransfer {
		ss.reply(stream, wire.Failure(fmt.Errorf("command: %w", sandbox.ErrInvalid)))
		return
	}
	stdin, err := wire.ReadN(stream, req.Size)
	if err != nil {
		return
	}
	// Any further byte from the client, or the end of its stream, cancels the command.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer cancel()
		stream.Read(make([]byte, 1))
	})
	defer stream.SetReadDeadline(wire.LongAgo())

	stdout, stderr := &limited{limit: req.Limit}, &limited{limit: req.Limit}
	exit, err := ss.runCommand(ctx, req, stdin, stdout, stderr)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		ss.reply(stream, wire.Failure(err))
		return
	}
	resp := &wire.Response{
		Exit:      exit,
		Stdout:    int64(stdout.buf.Len()),
		Stderr:    int64(stderr.buf.Len()),
		Truncated: stdout.dropped || stderr.dropped,
	}
	if !ss.reply(stream, resp) {
		return
	}
	if _, err := wire.WriteChunks(stream, stdout.buf.Bytes()); err == nil {
		wire.WriteChunks(stream, stderr.buf.Bytes())
	}
}

// runCommand runs the command in a process group of its own, and kills the group when ctx ends.
func (ss *session) runCommand(ctx context.Context, req *wire.Request, stdin []byte, stdout, stderr io.Writer) (int, error) {
	env := map[string]string{}
	for _, kv := range ss.environ() {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	maps.Copy(env, req.Env)
	path, err := lookPath(req.Args[0], env["PATH"])
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Args = req.Args
	cmd.Env = sortedEnv(env)
	cmd.Dir = req.Dir
	if cmd.Dir == "" {
		cmd.Dir = ss.opts.Home
	}
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Stdout = stdout
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeGrace
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", req.Args[0], startError(err))
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		// This kills processes that were forked while Cancel killed the group.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return 0, ctx.Err()
	}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
	case errors.As(err, &exit):
	case cmd.ProcessState == nil:
		return 0, fmt.Errorf("wait for %s: %w", req.Args[0], err)
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

func startError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%v: %w", err, sandbox.ErrNotFound)
	case errors.Is(err, unix.ENOEXEC), errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%v: %w", err, sandbox.ErrInvalid)
	}
	return err
}

// lookPath searches the command's PATH, not the agent's.
func lookPath(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("program %q: %w", name, sandbox.ErrNotFound)
}

// limited keeps the first limit bytes.
type limited struct {
	buf     bytes.Buffer
	limit   int64
	dropped bool
}

func (l *limited) Write(p []byte) (int, error) {
	keep := min(int64(len(p)), l.limit-int64(l.buf.Len()))
	l.buf.Write(p[:keep])
	if keep < int64(len(p)) {
		l.dropped = true
	}
	return len(p), nil
}

// readFile sends the content of a regular file.
func (ss *session) readFile(stream *yamux.Stream, req *wire.Request) {
	data, err := readRegular(req.Path, req.Limit)
	if err != nil {
		ss.reply(stream, wire.Failure(err))
		return
	}
	if ss.reply(stream, &wire.Response{Size: int64(len(data))}) {
		wire.WriteChunks(stream, data)
	}
}

// readRegular reads a regular file. O_NONBLOCK keeps the open of a FIFO from blocking.
func readRegular(path string, limit int64) ([]byte, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if limit < 0 || limit > wire.MaxTransfer {
		return nil, fmt.Errorf("limit of %d bytes: %w", limit, sandbox.ErrInvalid)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fileError(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fileError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: %w", path, sandbox.ErrInvalid)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes: %w", path, info.Size(), sandbox.ErrTooLarge)
	}
	// The size is not reliable: files in /proc report 0, and others may grow.
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fileError(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: %w", path, sandbox.ErrTooLarge)
	}
	return data, nil
}

// writeFile replaces a file with the content from the stream.
func writeFile(stream io.Reader, req *wire.Request) error {
	if err := checkPath(req.Path); err != nil {
		return err
	}
	if req.Size < 0 || req.Size > wire.MaxTransfer || req.Mode&^uint32(fs.ModePerm) != 0 {
		return fmt.Errorf("size or mode: %w", sandbox.ErrInvalid)
	}
	dir := filepath.Dir(req.Path)
	if info, err := os.Stat(req.Path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory: %w", req.Path, sandbox.ErrInvalid)
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fileError(err)
	}
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(req.Path)+".*")
	if err != nil {
		return fileError(err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if n, err := io.CopyN(tmp, stream, req.Size); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fileError(fmt.Errorf("after %d bytes: %w", n, err))
	}
	if err := tmp.Chmod(fs.FileMode(req.Mode)); err != nil {
		return fileError(err)
	}
	if err := tmp.Close(); err != nil {
		return fileError(err)
	}
	return fileError(os.Rename(tmp.Name(), req.Path))
}

// checkPath rejects paths that cannot name a file.
func checkPath(path string) error {
	if !filepath.IsAbs(path) || len(path) > maxPath || strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("path %q: %w", wire.Printable(path), sandbox.ErrInvalid)
	}
	return nil
}

// fileError translates a file system error to the contract's errors.
func fileError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%v: %w", err, sandbox.ErrNotFound)
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENAMETOOLONG), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%v: %w", err, sandbox.ErrInvalid)
	}
	return err
}
