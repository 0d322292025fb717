//go:build linux

package docker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

// Attacks of a learner who is root in a node. The comment of each test describes the attack.

// patience is the timeout for conditions. It is reached only if something is broken.
const patience = 90 * time.Second

func bash(script string) sandbox.Command {
	return sandbox.Command{Args: []string{"bash", "-c", script}, MaxOutput: 1 << 20}
}

// sh runs a script that must succeed and returns its output.
func sh(t testing.TB, n sandbox.Node, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := n.Exec(ctx, bash(script))
	if err != nil {
		t.Fatalf("Exec %q: %v", script, err)
	}
	if res.ExitCode != 0 {
		t.Fatalf("Exec %q: exit code %d: %s%s", script, res.ExitCode, res.Stdout, res.Stderr)
	}
	return string(res.Stdout)
}

// attempt runs a script that may fail and returns its output and exit code.
func attempt(t testing.TB, n sandbox.Node, script string) (out string, exit int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := n.Exec(ctx, bash(script))
	if err != nil {
		t.Fatalf("Exec %q: %v", script, err)
	}
	return string(res.Stdout) + string(res.Stderr), res.ExitCode
}

// waitFor calls f until it returns nil.
func waitFor(t testing.TB, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s: %v", what, err)
		}
		time.Sleep(wait)
	}
}

// engineAnswers waits until the node's Docker engine answers.
func engineAnswers(t testing.TB, n sandbox.Node) {
	t.Helper()
	waitFor(t, "the node's engine", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		res, err := n.Exec(ctx, bash("docker version -f '{{.Server.Version}}'"))
		if err == nil && res.ExitCode != 0 {
			err = errors.New(string(res.Stderr))
		}
		return err
	})
}

// A learner kills the engine. The node must recover.
func TestLearnerKillsTheEngine(t *testing.T) {
	b := newBed(t)
	st := b.create(t, b.driver(t), one("engine"))
	n := st.Nodes()[0]
	engineAnswers(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	events, err := n.Watch(ctx)
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	next := func(kind sandbox.EventKind) {
		t.Helper()
		for e := range events {
			if e.Kind == kind {
				return
			}
		}
		t.Fatalf("no event %s", kind)
	}
	next(sandbox.EngineUp)
	sh(t, n, "docker run -d --name kept busybox:1.37 sleep 1000")
	sh(t, n, "pkill -9 dockerd")
	next(sandbox.EngineDown)
	next(sandbox.EngineUp)
	engineAnswers(t, n)
	if got := sh(t, n, "docker ps -a --format '{{.Names}}'"); got != "kept\n" {
		t.Errorf("after the engine came back it has containers %q", got)
	}
	sh(t, n, "pkill -9 containerd; pkill -9 dockerd; true")
	next(sandbox.EngineDown)
	next(sandbox.EngineUp)
	engineAnswers(t, n)
	sh(t, n, "docker run --rm busybox:1.37 true")
}

// A learner kills labd's own processes in the node: the agent and process 1.
func TestLearnerKillsTheAgent(t *testing.T) {
	b := newBed(t)
	st := b.create(t, b.driver(t), one("agent"))
	n := st.Nodes()[0]
	sh(t, n, "echo kept > /root/note")
	comesBack := func(t *testing.T) {
		t.Helper()
		waitFor(t, "the node", func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			res, err := n.Exec(ctx, bash("cat /root/note"))
			var down *sandbox.NodeDownError
			if errors.As(err, &down) {
				err = n.Restart(ctx)
				if err == nil {
					err = errors.New("restarted")
				}
			}
			if err == nil && string(res.Stdout) != "kept\n" {
				t.Fatalf("the note reads %q", res.Stdout)
			}
			return err
		})
	}
	for _, script := range []string{
		"pkill -9 -f '^/usr/bin/labnode agent'",
		"kill -9 1",
		"kill -TERM 1; sleep 30",
		"kill -9 -1",
		"rm -rf /run/labnode; pkill -9 -f '^/usr/bin/labnode agent'",
		"pkill -STOP -f '^/usr/bin/labnode agent'",
	} {
		t.Run(script, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := n.Exec(ctx, bash(script))
			if err != nil && !errors.Is(err, sandbox.ErrNodeDown) {
				t.Errorf("Exec ends with %v, want nothing or %v", err, sandbox.ErrNodeDown)
			}
			t.Logf("Exec ended with %v", err)
			comesBack(t)
		})
	}
}

// A learner fills the disk. Only the learner's own node may be affected, and it must remain usable
// for cleaning up.
func TestLearnerFillsTheDisk(t *testing.T) {
	b := newBed(t)
	d := b.driver(t)
	const limit = 96 << 20
	spec := one("disk")
	spec.Nodes[0].Limits.DiskBytes = limit
	n := b.create(t, d, spec).Nodes()[0]
	image := filepath.Join(b.cfg.StateDir, "nodes", b.cfg.Instance, "disk", "node1", "disk.img")
	used := func() int64 {
		var st unix.Stat_t
		if err := unix.Stat(image, &st); err != nil {
			t.Fatal(err)
		}
		return st.Blocks * 512
	}
	if used() > 2<<20 {
		t.Errorf("a new node takes %d bytes of the host's disk, want at most 2 MiB", used())
	}
	for _, dir := range []string{"/root", "/var/lib/docker", "/tmp", "/etc", "/home", "/opt", "/srv", "/usr/local"} {
		out, exit := attempt(t, n, "head -c 200M /dev/zero > "+dir+"/fill")
		if exit == 0 || !strings.Contains(out, "No space left on device") {
			t.Errorf("filling %s ends with %d, %q; want no space left", dir, exit, out)
		}
	}
	if used() > limit {
		t.Errorf("the node takes %d bytes of the host's disk, its limit is %d", used(), int64(limit))
	}
	if err := n.WriteFile(t.Context(), "/root/more", make([]byte, 1<<20), 0o644); err == nil || errors.Is(err, sandbox.ErrNodeDown) {
		t.Errorf("WriteFile on a full disk gives %v, want an error that does not take the node for dead", err)
	}
	if got, err := n.ReadFile(t.Context(), "/etc/hostname", 100); err != nil || string(got) != "node1\n" {
		t.Errorf("ReadFile on a full disk: %q, %v", got, err)
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Errorf("Restart with a full disk: %v", err)
	}
	sh(t, n, "rm /*/fill /*/*/fill /var/lib/docker/fill; echo works > /root/after; sync")
	waitFor(t, "the host to get its disk back", func() error {
		if u := used(); u > 24<<20 {
			return fmt.Errorf("%d bytes are in use", u)
		}
		return nil
	})
	engineAnswers(t, n)
}

// A learner writes to what is not on the node's disk: the root file system, the layers that all
// learners share, the engine's log of the node, and files that the engine mounts.
func TestLearnerWritesOutsideTheDisk(t *testing.T) {
	b := newBed(t)
	d := b.driver(t)
	first := b.create(t, d, one("writer")).Nodes()[0]
	second := b.create(t, d, one("victim")).Nodes()[0]

	t.Run("the root file system", func(t *testing.T) {
		attempt(t, first, "mount -o remount,rw /; mount -o remount,rw,bind /")
		for _, path := range []string{"/usr/bin/labnode", "/usr/bin/new", "/boot/new", "/new"} {
			if out, exit := attempt(t, first, "echo x >> "+path); exit == 0 {
				t.Errorf("writing to %s works: %s", path, out)
			}
		}
	})
	t.Run("a layer of the seed", func(t *testing.T) {
		layers := strings.Fields(sh(t, first, "ls -d /var/lib/docker/overlay2/*/diff"))
		if len(layers) == 0 {
			t.Fatal("the node has no layers")
		}
		sd, err := seed.Open(b.cfg.SeedDir)
		if err != nil {
			t.Fatal(err)
		}
		before := fileNames(t, sd)
		for _, how := range []string{
			"true", "mount -o remount,rw /var/lib/labd/layers", "mount -o remount,bind,rw /var/lib/labd/layers",
			"mkdir -p /tmp/mnt && mount --bind /var/lib/labd/layers /tmp/mnt && mount -o remount,rw /tmp/mnt && touch /tmp/mnt/marker",
			// Below the mount is a directory of the learner's own. Writing to it works and affects
			// nobody else.
			"umount /var/lib/labd/layers",
		} {
			attempt(t, first, how+"; for d in /var/lib/labd/layers "+strings.Join(layers, " ")+"; do touch $d/marker; for f in $d/*; do mv $f $f.gone; done; done; true")
			if after := fileNames(t, sd); !slices.Equal(before, after) {
				t.Fatalf("after %q the seed has %d files, had %d", how, len(after), len(before))
			}
		}
		engineAnswers(t, second)
		sh(t, second, "docker run --rm busybox:1.37 true")
		// After a restart the node has its layers again.
		if err := first.Restart(t.Context()); err != nil {
			t.Fatalf("Restart: %v", err)
		}
		engineAnswers(t, first)
		sh(t, first, "docker run --rm busybox:1.37 true")
	})
	t.Run("the node's log", func(t *testing.T) {
		attempt(t, first, "head -c 8M /dev/zero > /proc/1/fd/1")
		info, err := b.cli.ContainerInspect(t.Context(), b.container("writer", "node1"))
		if err != nil {
			t.Fatal(err)
		}
		logs, err := filepath.Glob(info.LogPath + "*")
		if err != nil {
			t.Fatal(err)
		}
		var size int64
		for _, l := range logs {
			if st, err := os.Stat(l); err == nil {
				size += st.Size()
			}
		}
		if size > 4<<20 {
			t.Errorf("the log of a node takes %d bytes", size)
		}
	})
	t.Run("the engine's files", func(t *testing.T) {
		for _, path := range []string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"} {
			attempt(t, first, "mount -o remount,rw "+path)
			if out, exit := attempt(t, first, "echo x >> "+path); exit == 0 {
				t.Errorf("writing to %s works: %s", path, out)
			}
		}
	})
	t.Run("links in the place of mounts", func(t *testing.T) {
		// At the next start the engine mounts files at these paths. It must not follow the links
		// out of the node.
		marker := filepath.Join(t.TempDir(), "host")
		if err := os.WriteFile(marker, []byte("host"), 0o666); err != nil {
			t.Fatal(err)
		}
		attempt(t, first, fmt.Sprintf("umount /etc/hosts; rm -f /etc/hosts; ln -s %[1]s /etc/hosts; umount /var/lib/labd/layers; "+
			"rm -rf /var/lib/labd/layers; ln -s %[2]s /var/lib/labd/layers; cd /var/lib/docker/overlay2; "+
			"for d in */; do rm -rf $d/diff; ln -s %[2]s $d/diff; done; true", marker, filepath.Dir(marker)))
		err := first.Restart(t.Context())
		t.Logf("Restart gives %v", err)
		if err == nil {
			attempt(t, first, "echo node > /etc/hosts; touch /var/lib/docker/overlay2/*/diff/escaped /var/lib/labd/layers/escaped")
		}
		if got, err := os.ReadFile(marker); err != nil || string(got) != "host" {
			t.Errorf("the host's file reads %q, %v", got, err)
		}
		if entries, err := os.ReadDir(filepath.Dir(marker)); err != nil || len(entries) != 1 {
			t.Errorf("the host's directory holds %v, %v", entries, err)
		}
	})
}

// fileNames lists all files in the layers of a seed.
func fileNames(t testing.TB, s *seed.Seed) []string {
	t.Helper()
	var out []string
	for _, l := range s.Layers {
		err := filepath.WalkDir(l.Path, func(path string, _ fs.DirEntry, err error) error {
			out = append(out, path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// A learner runs a fork bomb. It stops at the node's limit, other nodes are not affected, and the
// node becomes usable again.
func TestLearnerForkBombs(t *testing.T) {
	b := newBed(t)
	d := b.driver(t)
	spec := one("bomb")
	spec.Nodes[0].Limits = sandbox.Limits{PIDs: 512, MemoryBytes: 512 << 20, CPUs: 0.5}
	st := b.create(t, d, spec)
	n := st.Nodes()[0]
	other := b.create(t, d, one("other")).Nodes()[0]
	sh(t, n, "echo kept > /root/note; sync")
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := n.Exec(ctx, bash("b() { b | b & }; b; sleep 1000"))
		t.Logf("the bomb ended with %v", err)
	}()
	for range 20 {
		sh(t, other, "docker version > /dev/null || true")
	}
	recovers(t, n)
}

// recovers brings a node back as labd does: it restarts the node if it is down or does not answer.
func recovers(t *testing.T, n sandbox.Node) {
	t.Helper()
	waitFor(t, "the node", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		at := time.Now()
		res, err := n.Exec(ctx, bash("cat /root/note; [ $(ps ax | wc -l) -lt 60 ]"))
		t.Logf("after %s: %q %d %v", time.Since(at), res.Stdout, res.ExitCode, err)
		if err == nil && res.ExitCode == 0 && string(res.Stdout) == "kept\n" {
			return nil
		}
		rctx, rcancel := context.WithTimeout(t.Context(), patience)
		defer rcancel()
		if err := n.Restart(rctx); err != nil {
			return err
		}
		return fmt.Errorf("restarted because of %v", err)
	})
}

// A learner's process uses up the node's memory. gVisor ends the process. A process that is protected
// from that ends the node, which reports the reason and comes back with its files.
func TestLearnerUsesUpMemory(t *testing.T) {
	b := newBed(t)
	d := b.driver(t)
	spec := one("memory")
	spec.Nodes[0].Limits.MemoryBytes = 512 << 20
	n := b.create(t, d, spec).Nodes()[0]
	sh(t, n, "echo kept > /root/note; sync")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := n.Exec(ctx, bash("head -c 2G /dev/zero | tail > /dev/null; echo ${PIPESTATUS[1]}"))
	if err != nil || string(res.Stdout) != "137\n" {
		t.Fatalf("a process that uses up the memory gives %q, %v; want 137 from it and no error", res.Stdout, err)
	}
	_, err = n.Exec(ctx, bash("echo -1000 > /proc/self/oom_score_adj; head -c 2G /dev/zero | tail > /dev/null"))
	if !errors.Is(err, sandbox.ErrNodeDown) {
		t.Errorf("Exec ends with %v, want %v", err, sandbox.ErrNodeDown)
	}
	_, err = n.Exec(ctx, bash("true"))
	var down *sandbox.NodeDownError
	if !errors.As(err, &down) || down.Reason != sandbox.DownMemory {
		t.Errorf("Exec in a node that used up its memory: %v, want reason %q", err, sandbox.DownMemory)
	}
	recovers(t, n)
}

// A learner prints 100 MB. All of it arrives, and labd's memory stays bounded.
func TestLearnerPrintsAHundredMegabytes(t *testing.T) {
	b := newBed(t)
	n := b.create(t, b.driver(t), one("print")).Nodes()[0]
	size := sandbox.Size{Cols: 80, Rows: 24}
	if err := n.OpenTerminal(t.Context(), sandbox.TerminalSpec{ID: "t1", Size: size}); err != nil {
		t.Fatal(err)
	}
	a, err := n.Attach(t.Context(), "t1", 0, size)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	const total = 100 << 20
	if _, err := io.WriteString(a, fmt.Sprintf("stty -echo raw; head -c %d /dev/zero | tr '\\0' y; exit\n", total)); err != nil {
		t.Fatal(err)
	}
	var before, peak runtime.MemStats
	runtime.ReadMemStats(&before)
	at := time.Now()
	buf := make([]byte, 64<<10)
	got, reads := 0, 0
	for {
		k, err := a.Read(buf)
		for _, c := range buf[:k] {
			if c == 'y' {
				got++
			}
		}
		if reads++; reads%256 == 0 {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			if now.HeapInuse > peak.HeapInuse {
				peak = now
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
	}
	t.Logf("%.0f MB/s", float64(got)/1e6/time.Since(at).Seconds())
	if got < total {
		t.Errorf("%d bytes arrived, want %d", got, total)
	}
	if grown := int64(peak.HeapInuse) - int64(before.HeapInuse); grown > 32<<20 {
		t.Errorf("labd's heap grew by %d bytes", grown)
	}
}
