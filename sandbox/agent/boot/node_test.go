package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/agent"
	"github.com/labd-dev/labd/sandbox/agent/agenttest"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

const patience = time.Minute

// capabilities are those of a node under gVisor.
var capabilities = []string{"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_ADMIN",
	"NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE"}

// container is a container of the node image on gVisor, with this checkout's labnode.
type container struct {
	*agent.Client
	id string
}

// startNode starts a node with only a loopback network and does not wait for it.
func startNode(t testing.TB) *container {
	t.Helper()
	dir := os.Getenv("LABD_SEED_DIR")
	if dir == "" {
		dir = "/var/lib/labd/seed"
	}
	s, err := seed.Open(dir)
	if errors.Is(err, sandbox.ErrImageMissing) && os.Getenv("CI") == "" {
		t.Skip("no node image: run `labd images build` first")
	}
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "labnode")
	build := exec.Command("go", "build", "-o", bin, "../../../cmd/labnode")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	args := []string{"run", "-d", "--runtime", "runsc", "--network", "none", "--memory", "1g", "--tmpfs", "/run", "--tmpfs", "/tmp",
		"-v", "/var/lib/docker", "-v", bin + ":/usr/bin/labnode:ro", "--cap-drop", "ALL", "-e", "LAB_CODE=x7k2"}
	for _, c := range capabilities {
		args = append(args, "--cap-add", c)
	}
	n := &container{id: strings.TrimSpace(engine(t, append(args, s.NodeImage)...))}
	t.Cleanup(func() { engine(t, "rm", "-f", "-v", n.id) })
	n.Client = agent.NewClient(func(context.Context) (io.ReadWriteCloser, error) { return dialNode(n.id) }, agent.ClientOptions{})
	t.Cleanup(func() { n.Client.Close() })
	return n
}

func engine(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).Output()
	if err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			err = fmt.Errorf("%w: %s", err, ee.Stderr)
		}
		t.Fatalf("docker %s: %v", args[0], err)
	}
	return string(out)
}

// execStream is a process's standard input and output.
type execStream struct {
	io.WriteCloser
	io.Reader
	cmd *exec.Cmd
}

func (s *execStream) Close() error {
	s.WriteCloser.Close()
	s.cmd.Process.Kill()
	s.cmd.Wait()
	return nil
}

func dialNode(id string) (io.ReadWriteCloser, error) { return execNode(id, "labnode", "dial") }

func execNode(id string, args ...string) (io.ReadWriteCloser, error) {
	cmd := exec.Command("docker", append([]string{"exec", "-i", id}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &execStream{in, out, cmd}, cmd.Start()
}

// sh runs a script in the node.
func (n *container) sh(t testing.TB, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := n.Exec(ctx, sandbox.Command{Args: []string{"bash", "-c", script}})
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return string(res.Stdout) + string(res.Stderr)
}

func (n *container) eventually(t testing.TB, what, script, want string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		res, err := n.Exec(ctx, sandbox.Command{Args: []string{"bash", "-c", script}})
		cancel()
		got = fmt.Sprintf("%s%s%v", res.Stdout, res.Stderr, err)
		if err == nil && strings.Contains(string(res.Stdout), want) {
			return
		}
	}
	t.Fatalf("timed out waiting until %s; last output %q", what, got)
}

// What a learner may do to one node, in sequence.
func TestNodeOnGVisor(t *testing.T) {
	n := startNode(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := n.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	events, err := n.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// The agent answers long before dockerd does. A command in between waits.
	if got := n.sh(t, "docker version -f '{{.Server.Version}}' && echo answered"); !strings.Contains(got, "answered") {
		t.Errorf("a command before the engine was there: %s", got)
	}
	const engineUp = "docker version -f '{{.Server.Version}}' && echo answers"
	n.eventually(t, "the engine answers", engineUp, "answers")
	for e := range events {
		if e.Kind == sandbox.EngineUp {
			break
		}
	}

	t.Run("orphans are reaped", func(t *testing.T) {
		n.sh(t, "for i in $(seq 50); do (setsid sleep 0.01 &) ; done")
		n.eventually(t, "no zombies", "ps -eo stat= | grep -c '^Z' | sed 's/^/zombies:/;s/$/:/'", "zombies:0:")
	})
	t.Run("commands get their exit codes while orphans are reaped", func(t *testing.T) {
		for i := range 40 {
			res, err := n.Exec(ctx, sandbox.Command{Args: []string{"bash", "-c", fmt.Sprintf("(setsid true &); exit %d", i)}})
			if err != nil || res.ExitCode != i {
				t.Fatalf("exit %d is %d, %v", i, res.ExitCode, err)
			}
		}
	})
	t.Run("process 1 takes no signal but SIGTERM", func(t *testing.T) {
		n.sh(t, "for s in HUP INT QUIT USR1 USR2 PIPE ALRM SEGV ABRT ILL; do kill -$s 1; done")
		n.eventually(t, "the node is there", "echo here", "here")
	})
	t.Run("terminal", func(t *testing.T) {
		if err := n.OpenTerminal(ctx, sandbox.TerminalSpec{ID: "t1", Size: sandbox.Size{Cols: 80, Rows: 24}}); err != nil {
			t.Fatal(err)
		}
		a, err := n.Attach(ctx, "t1", -1, sandbox.Size{Cols: 80, Rows: 24})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if _, err := a.Run("r1", "echo code:$LAB_CODE:; exit\n"); err != nil {
			t.Fatal(err)
		}
		out, err := io.ReadAll(a)
		if err != nil || !bytes.Contains(out, []byte("code:x7k2:")) {
			t.Fatalf("%q, %v", out, err)
		}
	})
	t.Run("the engine comes back", func(t *testing.T) {
		for _, name := range []string{"dockerd", "containerd"} {
			n.sh(t, "kill -9 $(pidof "+name+")")
			n.eventually(t, "the engine answers", engineUp, "answers")
		}
		n.sh(t, "kill -9 $(pidof dockerd); rm -f /run/docker.sock; echo 1 > /run/docker.pid")
		n.eventually(t, "the engine answers", engineUp, "answers")
	})
	t.Run("commands wait while the engine comes back", func(t *testing.T) {
		n.eventually(t, "the engine has run for a while", "ps -o etimes= -p $(pidof dockerd) | awk '$1 > 10 {print \"steady\"}'", "steady")
		n.sh(t, "kill -9 $(pidof dockerd)")
		if got := n.sh(t, engineUp); !strings.Contains(got, "answers") {
			t.Errorf("a command right after the engine's end: %s", got)
		}
	})
	t.Run("commands fail while the engine can't start", func(t *testing.T) {
		n.sh(t, "mkdir -p /etc/docker; echo '{ no JSON' >/etc/docker/daemon.json; kill -9 $(pidof dockerd)")
		n.eventually(t, "a command fails", "timeout 30 docker version >/dev/null 2>&1; echo exit:$?:", "exit:1:")
		n.sh(t, "rm /etc/docker/daemon.json")
		n.eventually(t, "the engine answers", engineUp, "answers")
	})
	t.Run("the agent comes back", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		// The command is killed together with the agent that runs it.
		if _, err := n.Exec(ctx, sandbox.Command{Args: []string{"bash", "-c", "kill -9 $PPID; sleep 100"}}); !errors.Is(err, sandbox.ErrNodeDown) {
			t.Fatal(err)
		}
		n.eventually(t, "the agent answers", "echo back", "back")
		n.sh(t, "rm -rf /run/labnode")
		n.Client.Close()
		n.Client = agent.NewClient(func(context.Context) (io.ReadWriteCloser, error) { return dialNode(n.id) }, agent.ClientOptions{})
		n.eventually(t, "the agent answers", "ls /run/labnode", "agent.sock")
		n.sh(t, "kill -9 $(pidof containerd dockerd)")
		n.eventually(t, "the engine answers", engineUp, "answers")
	})
	t.Run("it stops in time and starts again", func(t *testing.T) {
		n.eventually(t, "the engine answers", engineUp, "answers")
		engine(t, "stop", "-t", "10", n.id)
		if code := strings.TrimSpace(engine(t, "inspect", "-f", "{{.State.ExitCode}}", n.id)); code != "0" {
			t.Fatalf("exit code %s: it was killed", code)
		}
		engine(t, "start", n.id)
		n.eventually(t, "the engine answers", engineUp, "answers")
	})
}

// BenchmarkEchoOnGVisor measures the round trip of a key to a program on a PTY in a node, against
// the same bytes over an exec stream of the engine.
func BenchmarkEchoOnGVisor(b *testing.B) {
	n := startNode(b)
	n.eventually(b, "the engine answers", "docker version && echo answers", "answers")
	b.Run("floor", func(b *testing.B) {
		s, err := execNode(n.id, "cat")
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		agenttest.MeasureEcho(b, s)
	})
	b.Run("attached", func(b *testing.B) {
		ctx := b.Context()
		if err := n.OpenTerminal(ctx, sandbox.TerminalSpec{ID: "t1"}); err != nil {
			b.Fatal(err)
		}
		defer n.CloseTerminal(ctx, "t1")
		a, err := n.Attach(ctx, "t1", -1, sandbox.Size{Cols: 80, Rows: 24})
		if err != nil {
			b.Fatal(err)
		}
		defer a.Close()
		if _, err := a.Run("r", "stty raw -echo; echo up''up; exec cat\n"); err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, 4096)
		for out := ""; !strings.Contains(out, "upup"); {
			m, err := a.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			out += string(buf[:m])
		}
		n.eventually(b, "cat runs", "pgrep -x cat && echo yes", "yes")
		agenttest.MeasureEcho(b, a)
	})
}
