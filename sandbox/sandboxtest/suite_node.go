package sandboxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
)

// sh runs a script that must succeed and returns its output.
func sh(t testing.TB, n sandbox.Node, script string) string {
	t.Helper()
	res, err := n.Exec(testContext(t), sandbox.Command{Args: []string{"bash", "-c", script}})
	if err != nil {
		t.Fatalf("Exec %q: %v", script, err)
	}
	if res.ExitCode != 0 {
		t.Fatalf("Exec %q: exit code %d: %s", script, res.ExitCode, res.Stderr)
	}
	return string(res.Stdout)
}

// node checks every operation of a node, on one stack.
func (s *suite) node(t *testing.T) {
	d := s.driver(t)
	st := mustCreate(t, d, s.spec("node", "node1"))
	n := st.Nodes()[0]
	// first, because it must get the shell that was started in advance
	t.Run("Environment", func(t *testing.T) { environment(t, n) })
	t.Run("Exec", func(t *testing.T) { execs(t, n) })
	t.Run("Files", func(t *testing.T) { files(t, n) })
	t.Run("Dial", func(t *testing.T) { dials(t, n) })
	t.Run("Terminals", func(t *testing.T) { terminals(t, n) })
	t.Run("Attach", func(t *testing.T) { attaches(t, n) })
	t.Run("Watch", func(t *testing.T) { watches(t, n) })
}

// environment checks variables that are set after Create, as when a prepared stack is given to a
// learner.
func environment(t *testing.T, n sandbox.Node) {
	ctx := testContext(t)
	if err := n.Ping(ctx); err != nil {
		t.Errorf("Ping: %v", err)
	}
	const show = "echo [$SEAT] [$LAB_CODE]"
	set := func(env map[string]string) {
		t.Helper()
		if err := n.SetEnv(ctx, env); err != nil {
			t.Fatalf("SetEnv: %v", err)
		}
	}
	if got := sh(t, n, show); got != "[] [x7 k2]\n" {
		t.Errorf("before SetEnv a command prints %q", got)
	}
	set(map[string]string{"SEAT": "a 7", "LAB_CODE": "late"})
	if got := sh(t, n, show); got != "[a 7] [late]\n" {
		t.Errorf("after SetEnv a command prints %q", got)
	}
	first := openTerminal(t, n, "env1")
	first.send(show + "\n")
	first.expect("[a 7] [late]\r\n")

	set(map[string]string{"SEAT": "b"})
	if got := sh(t, n, show); got != "[b] [x7 k2]\n" {
		t.Errorf("after a second SetEnv a command prints %q", got)
	}
	second := openTerminal(t, n, "env2")
	second.send(show + "\n")
	second.expect("[b] [x7 k2]\r\n")
	first.send(show + "\n")
	first.expect("[a 7] [late]\r\n") // this shell was started before
	res, err := n.Exec(ctx, sandbox.Command{Args: []string{"bash", "-c", show}, Env: map[string]string{"SEAT": "c"}})
	if err != nil || string(res.Stdout) != "[c] [x7 k2]\n" {
		t.Errorf("a command with a variable of its own prints %q, %v", res.Stdout, err)
	}

	large := map[string]string{}
	for i := range 40 {
		large[fmt.Sprintf("V%d", i)] = strings.Repeat("x", 1<<10)
	}
	for name, env := range map[string]map[string]string{
		"a name with =":    {"A=B": "c"},
		"a value with NUL": {"A": "b\x00c"},
		"40 KiB":           large,
	} {
		wantError(t, "SetEnv with "+name, n.SetEnv(ctx, env), sandbox.ErrInvalid)
	}
	if got := sh(t, n, show); got != "[b] [x7 k2]\n" {
		t.Errorf("after a SetEnv that was refused a command prints %q", got)
	}
	set(nil)
	if got := sh(t, n, show); got != "[] [x7 k2]\n" {
		t.Errorf("after SetEnv of nothing a command prints %q", got)
	}
	closeTerminal(t, n, "env1")
	closeTerminal(t, n, "env2")
}

func execs(t *testing.T, n sandbox.Node) {
	ctx := testContext(t)
	bash := func(script string) sandbox.Command { return sandbox.Command{Args: []string{"bash", "-c", script}} }
	must := func(t *testing.T, cmd sandbox.Command) sandbox.Result {
		t.Helper()
		res, err := n.Exec(ctx, cmd)
		if err != nil {
			t.Fatalf("Exec: %v", err)
		}
		return res
	}
	t.Run("keeps output and exit code apart", func(t *testing.T) {
		res := must(t, bash("echo out; echo err >&2; exit 3"))
		if res.ExitCode != 3 || string(res.Stdout) != "out\n" || string(res.Stderr) != "err\n" || res.Truncated {
			t.Errorf("got %+v", res)
		}
	})
	t.Run("gives stdin, environment and directory", func(t *testing.T) {
		sh(t, n, "mkdir -p sub")
		home := strings.TrimSpace(sh(t, n, "pwd"))
		cmd := bash("cat; echo; echo $LAB_CODE/$MORE; basename $PWD")
		cmd.Stdin, cmd.Env, cmd.Dir = []byte("typed"), map[string]string{"MORE": "a b"}, "/root/sub"
		if got := string(must(t, cmd).Stdout); got != "typed\nx7 k2/a b\nsub\n" {
			t.Errorf("got %q", got)
		}
		if got := sh(t, n, "echo $HOME"); got != home+"\n" {
			t.Errorf("commands start in %s, home is %s", home, got)
		}
	})
	t.Run("names the signal that killed it", func(t *testing.T) {
		if res := must(t, bash("kill -TERM $$")); res.ExitCode != 128+15 {
			t.Errorf("exit code %d, want 143", res.ExitCode)
		}
	})
	t.Run("drops output past the limit", func(t *testing.T) {
		cmd := bash("head -c 300000 /dev/zero | tr '\\0' x; echo end >&2")
		cmd.MaxOutput = 1000
		res := must(t, cmd)
		if len(res.Stdout) != 1000 || string(res.Stderr) != "end\n" || !res.Truncated || res.ExitCode != 0 {
			t.Errorf("got %d bytes, stderr %q, truncated %v, exit code %d", len(res.Stdout), res.Stderr, res.Truncated, res.ExitCode)
		}
		cmd.MaxOutput = 0
		if res := must(t, cmd); len(res.Stdout) != 64<<10 || !res.Truncated {
			t.Errorf("without a limit got %d bytes, want 64 KiB", len(res.Stdout))
		}
	})
	t.Run("of a program that does not exist", func(t *testing.T) {
		if _, err := n.Exec(ctx, sandbox.Command{Args: []string{"no-such-program"}}); !errors.Is(err, sandbox.ErrNotFound) {
			t.Errorf("got error %v, want %v", err, sandbox.ErrNotFound)
		}
	})
	t.Run("without a program", func(t *testing.T) {
		if _, err := n.Exec(ctx, sandbox.Command{}); !errors.Is(err, sandbox.ErrInvalid) {
			t.Errorf("got error %v, want %v", err, sandbox.ErrInvalid)
		}
	})
	t.Run("ends with its context, children too", func(t *testing.T) {
		short, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			_, err := n.Exec(short, bash("sleep 4321 & echo $! > child; wait"))
			ended <- err
		}()
		var pid string
		waitFor(t, "the child", func() error {
			data, err := n.ReadFile(ctx, "/root/child", 100)
			pid = strings.TrimSpace(string(data))
			if err == nil && pid == "" {
				err = errors.New("no process id yet")
			}
			return err
		})
		cancel()
		wantError(t, "Exec", <-ended, context.Canceled)
		waitFor(t, "the child's end", func() error {
			// A child that was killed can stay as a zombie until its new parent reaps it.
			if state := sh(t, n, "ps -o stat= -p "+pid+" || true"); state != "" && !strings.HasPrefix(state, "Z") {
				return fmt.Errorf("process %s still runs: %s", pid, state)
			}
			return nil
		})
	})
	t.Run("many at once", func(t *testing.T) {
		errs := make(chan error)
		for i := range 8 {
			go func() {
				res, err := n.Exec(ctx, bash("echo "+strconv.Itoa(i)))
				if err == nil && string(res.Stdout) != strconv.Itoa(i)+"\n" {
					err = fmt.Errorf("command %d printed %q", i, res.Stdout)
				}
				errs <- err
			}()
		}
		for range 8 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

func files(t *testing.T, n sandbox.Node) {
	ctx := testContext(t)
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	const path = "/root/deep/er/file.bin"
	if err := n.WriteFile(ctx, path, content, 0o640); err != nil {
		t.Fatalf("WriteFile: %v", err)
	}
	got, err := n.ReadFile(ctx, path, int64(len(content)))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("ReadFile gives %d bytes, %v", len(got), err)
	}
	if got := sh(t, n, "stat -c %a deep/er/file.bin"); got != "640\n" {
		t.Errorf("mode is %q, want 640", got)
	}
	_, err = n.ReadFile(ctx, path, int64(len(content))-1)
	wantError(t, "ReadFile over the limit", err, sandbox.ErrTooLarge)
	_, err = n.ReadFile(ctx, "/root/nothing", 100)
	wantError(t, "ReadFile of nothing", err, sandbox.ErrNotFound)
	if _, err = n.ReadFile(ctx, "/root/deep", 100); err == nil {
		t.Error("ReadFile of a directory gives no error")
	}
	sh(t, n, "mkfifo fifo")
	if _, err = n.ReadFile(ctx, "/root/fifo", 100); err == nil {
		t.Error("ReadFile of a FIFO gives no error")
	}

	if err := n.WriteFile(ctx, path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatalf("WriteFile over a file: %v", err)
	}
	if got := sh(t, n, "stat -c '%a %s' deep/er/file.bin; ls -A deep/er"); got != "755 10\nfile.bin\n" {
		t.Errorf("after replacing: %q", got)
	}
	if err := n.WriteFile(ctx, "/root/empty", nil, fs.FileMode(0o644)); err != nil {
		t.Errorf("WriteFile of nothing: %v", err)
	}
	if got, err := n.ReadFile(ctx, "/root/empty", 0); err != nil || len(got) != 0 {
		t.Errorf("ReadFile of an empty file: %q, %v", got, err)
	}
	if err := n.WriteFile(ctx, "/root/deep", []byte("x"), 0o644); err == nil {
		t.Error("WriteFile over a directory gives no error")
	}
}

func dials(t *testing.T, n sandbox.Node) {
	ctx := testContext(t)
	t.Run("joins a TCP port, with half-close", func(t *testing.T) {
		// Answers once with all it got, in capitals.
		const server = `use IO::Socket::INET; my $l = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die;
			open(my $f, ">", "port.new"); print $f $l->sockport; close $f; rename "port.new", "port";
			my $c = $l->accept; local $/; my $x = <$c>; print $c uc $x; close $c;`
		ended := make(chan error, 1)
		go func() {
			_, err := n.Exec(ctx, sandbox.Command{Args: []string{"perl", "-e", server}})
			ended <- err
		}()
		var port string
		waitFor(t, "the server", func() error {
			data, err := n.ReadFile(ctx, "/root/port", 100)
			port = string(data)
			return err
		})
		c, err := n.Dial(ctx, "tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatalf("Dial: %v", err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "hello through the agent"); err != nil {
			t.Fatal(err)
		}
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatalf("CloseWrite: %v", err)
		}
		if got, err := io.ReadAll(c); err != nil || string(got) != "HELLO THROUGH THE AGENT" {
			t.Errorf("got %q, %v", got, err)
		}
		if err := <-ended; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	t.Run("tells a port on which nothing listens", func(t *testing.T) {
		_, err := n.Dial(ctx, "tcp", "127.0.0.1:1")
		if err == nil || errors.Is(err, sandbox.ErrNodeDown) || errors.Is(err, sandbox.ErrUnavailable) {
			t.Errorf("got error %v, want one of the connection only", err)
		}
		_, err = n.Dial(ctx, "unix", "/root/no.sock")
		if err == nil || errors.Is(err, sandbox.ErrNodeDown) || errors.Is(err, sandbox.ErrUnavailable) {
			t.Errorf("got error %v, want one of the connection only", err)
		}
	})
	t.Run("refuses other networks", func(t *testing.T) {
		_, err := n.Dial(ctx, "udp", "127.0.0.1:53")
		wantError(t, "Dial", err, sandbox.ErrInvalid)
	})
}

func watches(t *testing.T, n sandbox.Node) {
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	events, err := n.Watch(ctx)
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	term := openTerminal(t, n, "watch")
	defer closeTerminal(t, n, "watch")
	wait := func(kind sandbox.EventKind) {
		t.Helper()
		for {
			select {
			case e, ok := <-events:
				if !ok {
					t.Fatalf("the channel closed before an event %s", kind)
				}
				if e.Kind == kind {
					return
				}
			case <-ctx.Done():
				t.Fatalf("no event %s", kind)
			}
		}
	}
	wait(sandbox.ShellPrompt) // the first prompt
	term.run("echo watch this", "watch this")
	wait(sandbox.ShellPrompt)
	cancel()
	deadline := time.After(patience)
	for {
		select {
		case _, ok := <-events:
			if !ok {
				return
			}
		case <-deadline:
			t.Fatal("the channel does not close with its context")
		}
	}
}

func closeTerminal(t testing.TB, n sandbox.Node, id string) {
	t.Helper()
	if err := n.CloseTerminal(testContext(t), id); err != nil {
		t.Errorf("CloseTerminal: %v", err)
	}
}

func wantTerminals(t testing.TB, n sandbox.Node, want ...string) {
	t.Helper()
	waitFor(t, "terminals "+strings.Join(want, ","), func() error {
		got, err := n.Terminals(testContext(t))
		if err == nil && !slices.Equal(got, want) && len(got)+len(want) > 0 {
			err = fmt.Errorf("they are %v", got)
		}
		return err
	})
}
