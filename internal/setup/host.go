package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Host is the machine that setup and the doctor work on. Tests use fake ones.
type Host interface {
	OS() string   // as runtime.GOOS
	Arch() string // as runtime.GOARCH
	UID() int
	Name() string // host name
	Getenv(key string) string
	// LookPath finds a program in PATH and in the sbin directories, which are often not in an
	// ordinary user's PATH.
	LookPath(name string) (string, error)
	ReadFile(path string) ([]byte, error)
	Exists(path string) bool
	// Access returns nil if path can be opened for reading and writing, or is an existing
	// directory.
	Access(path string) error
	// Run runs a program and waits for it. The error includes the end of its output.
	Run(ctx context.Context, cmd Command) ([]byte, error)
	// Engine sends GET path to the engine's API.
	Engine(ctx context.Context, endpoint, path string) ([]byte, error)
	// FreeBytes returns the free space on the file system of path or of its nearest existing
	// parent.
	FreeBytes(path string) (uint64, error)
	// Listen returns nil if the TCP address is free.
	Listen(addr string) error
}

// Command is a program to run on a Host.
type Command struct {
	Args []string
	Env  []string  // added to the environment
	Tee  io.Writer // also receives the output while the program runs; may be nil
	// Terminal connects the program to this process's standard streams, so sudo can ask for a
	// password. Then Run returns no output.
	Terminal bool
}

// maxOutput bounds the output that Run returns. The end is kept, because errors are there.
const maxOutput = 1 << 20

// stopGrace is the time between SIGTERM and SIGKILL for a program whose context has ended.
const stopGrace = 10 * time.Second

// sbin are the directories of system programs, which are often not in an ordinary user's PATH.
var sbin = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// Local is the machine this process runs on.
type Local struct{}

var _ Host = Local{}

func (Local) OS() string               { return runtime.GOOS }
func (Local) Arch() string             { return runtime.GOARCH }
func (Local) UID() int                 { return os.Geteuid() }
func (Local) Getenv(key string) string { return os.Getenv(key) }

func (Local) Name() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

func (Local) LookPath(name string) (string, error) {
	p, err := exec.LookPath(name)
	if err == nil {
		return p, nil
	}
	for _, dir := range sbin {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", err
}

func (Local) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

func (Local) Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (Local) Access(path string) error {
	fi, err := os.Stat(path)
	if err != nil || fi.IsDir() {
		return err
	}
	if fi.Mode()&fs.ModeSocket != 0 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func (Local) Run(ctx context.Context, c Command) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	// SIGTERM lets a package manager finish its current operation.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	if c.Terminal {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(c.Args, " "), err)
		}
		return nil, nil
	}
	out := &tailBuffer{limit: maxOutput}
	var w io.Writer = out
	if c.Tee != nil {
		w = io.MultiWriter(out, c.Tee)
	}
	cmd.Stdout, cmd.Stderr = w, w
	err := cmd.Run()
	if err != nil && ctx.Err() != nil {
		return out.Bytes(), fmt.Errorf("%s: %w", c.Args[0], ctx.Err())
	}
	if err != nil {
		return out.Bytes(), &runError{args: c.Args, err: err, output: out.Bytes()}
	}
	return out.Bytes(), nil
}

// runError is the error of a failed program, with the end of its output.
type runError struct {
	args   []string
	err    error
	output []byte
}

// shownLines is the number of lines of a failed program's output in the error.
const shownLines = 15

func (e *runError) Error() string {
	msg := strings.Join(e.args, " ") + ": " + e.err.Error()
	lines := strings.Split(strings.TrimSpace(string(e.output)), "\n")
	if len(lines) > shownLines {
		lines = lines[len(lines)-shownLines:]
	}
	for _, l := range lines {
		if l = strings.TrimRight(l, " \r"); l != "" {
			msg += "\n      " + l
		}
	}
	return msg
}

func (e *runError) Unwrap() error { return e.err }

// tailBuffer keeps the last limit bytes written to it.
type tailBuffer struct {
	limit int
	buf   []byte
}

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.buf = append(b.buf, p...)
	if len(b.buf) > 2*b.limit {
		b.buf = append([]byte(nil), b.buf[len(b.buf)-b.limit:]...)
	}
	return len(p), nil
}

func (b *tailBuffer) Bytes() []byte {
	if len(b.buf) > b.limit {
		return b.buf[len(b.buf)-b.limit:]
	}
	return b.buf
}

func (Local) FreeBytes(path string) (uint64, error) {
	for {
		var st syscall.Statfs_t
		err := syscall.Statfs(path, &st)
		if err == nil {
			return st.Bavail * uint64(st.Bsize), nil
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return 0, fmt.Errorf("free space of %s: %w", path, err)
		}
		path = parent
	}
}

func (Local) Listen(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return ln.Close()
}

// writeFileAtomic replaces path. Readers see the old or the new content, also after a crash.
func writeFileAtomic(path string, data []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = io.Copy(f, bytes.NewReader(data)); err != nil {
		return err
	}
	if err = f.Chmod(mode); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
