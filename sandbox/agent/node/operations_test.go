package node_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent/agenttest"
)

func TestExecReturnsOutputAndExitCode(t *testing.T) {
	h := agenttest.Start(t)
	for _, c := range []struct {
		desc   string
		cmd    sandbox.Command
		exit   int
		stdout string
		stderr string
	}{
		{"both outputs", sandbox.Command{Args: []string{"sh", "-c", "echo out; echo err >&2; exit 3"}}, 3, "out\n", "err\n"},
		{"stdin", sandbox.Command{Args: []string{"cat"}, Stdin: []byte("hello")}, 0, "hello", ""},
		{"no stdin", sandbox.Command{Args: []string{"cat"}}, 0, "", ""},
		{"environment", sandbox.Command{Args: []string{"sh", "-c", "echo $LAB_CODE $X"}, Env: map[string]string{"X": "y"}}, 0, "x7k2 y\n", ""},
		{"directory", sandbox.Command{Args: []string{"pwd"}, Dir: "/"}, 0, "/\n", ""},
		{"home", sandbox.Command{Args: []string{"pwd"}}, 0, h.Options.Home + "\n", ""},
		{"signal", sandbox.Command{Args: []string{"sh", "-c", "kill -9 $$"}}, 137, "", ""},
		{"child in the background", sandbox.Command{Args: []string{"sh", "-c", "sleep 2 & echo started"}}, 0, "started\n", ""},
	} {
		t.Run(c.desc, func(t *testing.T) {
			res, err := h.Exec(agenttest.Context(t), c.cmd)
			if err != nil {
				t.Fatal(err)
			}
			if res.ExitCode != c.exit || string(res.Stdout) != c.stdout || string(res.Stderr) != c.stderr || res.Truncated {
				t.Fatalf("got %d %q %q %v", res.ExitCode, res.Stdout, res.Stderr, res.Truncated)
			}
		})
	}
}

func TestExecTruncatesOutput(t *testing.T) {
	h := agenttest.Start(t)
	res, err := h.Exec(agenttest.Context(t), sandbox.Command{Args: []string{"sh", "-c", "head -c 50000000 /dev/zero; echo e >&2"}, MaxOutput: 100000})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Stdout) != 100000 || !res.Truncated || string(res.Stderr) != "e\n" {
		t.Fatalf("got %d bytes, truncated %v, %q", len(res.Stdout), res.Truncated, res.Stderr)
	}
	res, err = h.Exec(agenttest.Context(t), sandbox.Command{Args: []string{"head", "-c", "70000", "/dev/zero"}})
	if err != nil || len(res.Stdout) != 64<<10 {
		t.Fatalf("default keeps %d bytes, %v", len(res.Stdout), err)
	}
}

func TestExecAcceptsLargeInput(t *testing.T) {
	h := agenttest.Start(t)
	in := bytes.Repeat([]byte("0123456789abcde\n"), 4<<16)
	res, err := h.Exec(agenttest.Context(t), sandbox.Command{Args: []string{"cat"}, Stdin: in, MaxOutput: 8 << 20})
	if err != nil || !bytes.Equal(res.Stdout, in) {
		t.Fatalf("got %d bytes, %v", len(res.Stdout), err)
	}
	// A command that does not read its input does not fail.
	if res, err := h.Exec(agenttest.Context(t), sandbox.Command{Args: []string{"true"}, Stdin: in}); err != nil || res.ExitCode != 0 {
		t.Fatalf("got %d, %v", res.ExitCode, err)
	}
}

func TestExecErrors(t *testing.T) {
	h := agenttest.Start(t)
	_, err := h.Exec(agenttest.Context(t), sandbox.Command{Args: []string{"no-such-program"}})
	agenttest.MustBe(t, err, sandbox.ErrNotFound)
	_, err = h.Exec(agenttest.Context(t), sandbox.Command{})
	agenttest.MustBe(t, err, sandbox.ErrInvalid)
	_, err = h.Exec(agenttest.Context(t), sandbox.Command{Args: []string{"true"}, Dir: "/no/such"})
	agenttest.MustBe(t, err, sandbox.ErrNotFound)
	_, err = h.Exec(agenttest.Context(t), sandbox.Command{Args: []string{"echo", strings.Repeat("x", 1<<20)}})
	agenttest.MustBe(t, err, sandbox.ErrTooLarge)
}

// When the caller's context ends, the command and its children are killed.
func TestExecKillsTheWholeGroupWhenItsContextEnds(t *testing.T) {
	h := agenttest.Start(t)
	for _, how := range []string{"context", "connection"} {
		t.Run(how, func(t *testing.T) {
			pids := filepath.Join(h.Options.Home, how)
			ctx, cancel := context.WithCancel(agenttest.Context(t))
			c := agenttest.NewClient(t, h.Socket)
			ended := make(chan error, 1)
			go func() {
				script := "trap '' HUP TERM; (trap '' HUP TERM; echo $BASHPID >> " + pids + "; while :; do sleep 100; done) & echo $$ >> " + pids + "; wait"
				_, err := c.Exec(ctx, sandbox.Command{Args: []string{"bash", "-c", script}})
				ended <- err
			}()
			var list []string
			agenttest.Eventually(t, "both run", func() bool {
				b, _ := os.ReadFile(pids)
				list = strings.Fields(string(b))
				return len(list) == 2
			})
			if how == "context" {
				cancel()
				agenttest.MustBe(t, <-ended, context.Canceled)
			} else {
				c.Close()
				agenttest.MustBe(t, <-ended, sandbox.ErrNodeDown)
			}
			cancel()
			for _, p := range list {
				pid, err := strconv.Atoi(p)
				if err != nil {
					t.Fatal(err)
				}
				agenttest.Eventually(t, "process "+p+" is gone", func() bool {
					b, err := os.ReadFile("/proc/" + p + "/stat")
					return err != nil || strings.Contains(string(b), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
				})
			}
		})
	}
}

func TestReadFile(t *testing.T) {
	h := agenttest.Start(t)
	file := func(name string) string { return filepath.Join(h.Options.Home, name) }
	big := bytes.Repeat([]byte("x"), 3<<20)
	for name, data := range map[string][]byte{"small": []byte("hi"), "empty": {}, "big": big} {
		if err := os.WriteFile(file(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := h.ReadFile(agenttest.Context(t), file(name), int64(len(data)))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if err := syscall.Mkfifo(file("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file("small"), file("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", file("loop")); err != nil {
		t.Fatal(err)
	}
	huge, err := os.Create(file("huge"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(huge.Truncate(1<<40), huge.Close()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		file("fifo"):    sandbox.ErrInvalid,
		h.Options.Home:  sandbox.ErrInvalid,
		file("loop"):    sandbox.ErrInvalid,
		"/dev/zero":     sandbox.ErrInvalid,
		h.Socket:        sandbox.ErrInvalid,
		"relative":      sandbox.ErrInvalid,
		"/nul\x00":      sandbox.ErrInvalid,
		file("absent"):  sandbox.ErrNotFound,
		file("small/x"): sandbox.ErrInvalid,
		file("huge"):    sandbox.ErrTooLarge,
		file("big"):     sandbox.ErrTooLarge,
	} {
		_, err := h.ReadFile(agenttest.Context(t), name, 1<<20)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if got, err := h.ReadFile(agenttest.Context(t), file("link"), 10); err != nil || string(got) != "hi" {
		t.Errorf("link: %q, %v", got, err)
	}
	if got, err := h.ReadFile(agenttest.Context(t), "/proc/self/status", 1<<20); err != nil || !bytes.Contains(got, []byte("Pid:")) {
		t.Errorf("proc: %q, %v", got, err)
	}
}

func TestWriteFileReplacesAtomically(t *testing.T) {
	h := agenttest.Start(t)
	path := filepath.Join(h.Options.Home, "a/b/c.yml")
	for _, data := range [][]byte{[]byte("one"), bytes.Repeat([]byte("two"), 1<<20), {}} {
		if err := h.WriteFile(agenttest.Context(t), path, data, 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Fatal(info.Mode(), err)
		}
	}
	agenttest.MustBe(t, h.WriteFile(agenttest.Context(t), h.Options.Home, nil, 0o600), sandbox.ErrInvalid)
	agenttest.MustBe(t, h.WriteFile(agenttest.Context(t), path+"/x", nil, 0o600), sandbox.ErrInvalid)
	if err := h.WriteFile(agenttest.Context(t), "/dev/full/x", nil, 0o600); err == nil {
		t.Fatal("wrote below a device")
	}
	// A symbolic link is replaced, not followed, and no temporary file is left.
	link := filepath.Join(filepath.Dir(path), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteFile(agenttest.Context(t), link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || !info.Mode().IsRegular() {
		t.Fatal(info.Mode(), err)
	}
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(list) != 2 {
		t.Fatalf("left in the directory: %v, %v", list, err)
	}
}

func TestCancelledWriteFileKeepsTheOldFile(t *testing.T) {
	h := agenttest.Start(t)
	path := filepath.Join(h.Options.Home, "f")
	if err := os.WriteFile(path, []byte("old"), fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(agenttest.Context(t))
	cancel()
	agenttest.MustBe(t, h.WriteFile(ctx, path, bytes.Repeat([]byte("n"), 32<<20), 0o600), context.Canceled)
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Fatalf("%q, %v", got, err)
	}
}

// echoServer echoes what it receives until the peer closes its side, then it sends "bye".
func echoServer(t *testing.T, network, address string) net.Addr {
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
				io.WriteString(c, "bye")
			}()
		}
	}()
	return ln.Addr()
}

func TestDialReachesTCPAndUnix(t *testing.T) {
	h := agenttest.Start(t)
	for _, a := range []net.Addr{echoServer(t, "tcp", "127.0.0.1:0"), echoServer(t, "unix", filepath.Join(t.TempDir(), "s"))} {
		c, err := h.Dial(agenttest.Context(t), a.Network(), a.String())
		if err != nil {
			t.Fatal(err)
		}
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // more than all flow control windows together
		go func() {
			c.Write(data)
			c.(interface{ CloseWrite() error }).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, append(data, "bye"...)) {
			t.Fatalf("%s: %d bytes, %v", a.Network(), len(got), err)
		}
		if c.RemoteAddr().String() != a.String() || c.RemoteAddr().Network() != a.Network() {
			t.Fatal(c.RemoteAddr())
		}
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDialErrors(t *testing.T) {
	h := agenttest.Start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	ln.Close()
	_, err = h.Dial(agenttest.Context(t), "tcp", closed)
	agenttest.MustBe(t, err, syscall.ECONNREFUSED)
	_, err = h.Dial(agenttest.Context(t), "unix", filepath.Join(h.Options.Home, "absent"))
	agenttest.MustBe(t, err, syscall.ECONNREFUSED)
	_, err = h.Dial(agenttest.Context(t), "udp", closed)
	agenttest.MustBe(t, err, sandbox.ErrInvalid)
}

func TestDialedConnectionHasDeadlines(t *testing.T) {
	h := agenttest.Start(t)
	a := echoServer(t, "tcp", "127.0.0.1:0")
	c, err := h.Dial(agenttest.Context(t), a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err = c.Read(make([]byte, 1))
	agenttest.MustBe(t, err, os.ErrDeadlineExceeded)
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("%v is no timeout", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// Closing a connection closes it in the node too, even if unread data is in between.
func TestClosingADialedConnectionClosesItInTheNode(t *testing.T) {
	h := agenttest.Start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := h.Dial(agenttest.Context(t), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	// Neither side reads, so both directions are full when Close is called.
	go peer.Write(make([]byte, 64<<20))
	c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := c.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("64 MB went nowhere: %v", err)
	}
	c.Close()
	peer.SetReadDeadline(time.Now().Add(agenttest.Patience))
	if n, err := io.Copy(io.Discard, peer); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("open after Close, %d bytes read", n)
	}
}
