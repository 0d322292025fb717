//go:build linux

package docker_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker"
	"github.com/labd-dev/labd/sandbox/docker/isolation"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

func TestNewSaysWhatIsWrong(t *testing.T) {
	good := docker.Config{SeedDir: "/seed", StateDir: "/state"}
	for _, tt := range []struct {
		name   string
		change func(*docker.Config)
		want   string
	}{
		{"an engine elsewhere", func(c *docker.Config) { c.Host = "tcp://10.0.0.1:2376" }, "must be here too"},
		{"an unknown isolation", func(c *docker.Config) { c.Isolation = "chroot" }, `"chroot"`},
		{"no state directory", func(c *docker.Config) { c.StateDir = "" }, "state directories"},
		{"a subnet pool that is too small", func(c *docker.Config) { c.Subnets = netip.MustParsePrefix("10.0.0.0/30") }, "10.0.0.0/30"},
		{"an IPv6 subnet pool", func(c *docker.Config) { c.Subnets = netip.MustParsePrefix("fd00::/64") }, "IPv4"},
		{"a bad instance name", func(c *docker.Config) { c.Instance = "A_b" }, `"A_b"`},
		{"a default limit that can't work", func(c *docker.Config) { c.Defaults.MemoryBytes = 1 }, "memory limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := good
			tt.change(&cfg)
			_, err := docker.New(t.Context(), cfg)
			if os.Geteuid() != 0 {
				if err == nil || !strings.Contains(err.Error(), "root") {
					t.Fatalf("without root New gives %v", err)
				}
				if os.Getenv("CI") != "" {
					t.Fatal("CI runs these tests as root")
				}
				t.Skip("needs root for the rest")
			}
			if !errors.Is(err, sandbox.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New gives %v, want an ErrInvalid with %q", err, tt.want)
			}
		})
	}
}

func TestNewReturnsNoDriverWithAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d, err := docker.New(ctx, docker.Config{SeedDir: "/seed", StateDir: "/state"})
	if d != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("New with a context that ended gives %v, %v", d, err)
	}
}

func TestReadySaysWhatIsMissing(t *testing.T) {
	b := newBed(t)
	for _, tt := range []struct {
		name   string
		change func(*docker.Config)
		want   error
		text   string
	}{
		{"the engine", func(c *docker.Config) { c.Host = "unix://" + t.TempDir() + "/none.sock" }, sandbox.ErrUnavailable, "none.sock"},
		{"the seed", func(c *docker.Config) { c.SeedDir = t.TempDir() }, sandbox.ErrImageMissing, "labd images build"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			other := *b
			tt.change(&other.cfg)
			d := other.driver(t)
			if err := d.Ready(t.Context()); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Ready gives %v, want %v with %q", err, tt.want, tt.text)
			}
			if _, err := d.Create(t.Context(), one("missing")); !errors.Is(err, tt.want) {
				t.Errorf("Create gives %v, want %v", err, tt.want)
			}
		})
	}
}

// A node's engine runs what lessons need, under both profiles and within the node's limits.
func TestNodeRunsContainers(t *testing.T) {
	for _, profile := range isolation.All() {
		t.Run(profile.Name, func(t *testing.T) {
			b := newBed(t, func(c *docker.Config) { c.Isolation = profile.Name })
			spec := one("run")
			spec.Nodes[0].Limits = sandbox.Limits{MemoryBytes: 768 << 20, CPUs: 1, PIDs: 2000, DiskBytes: 512 << 20}
			n := b.create(t, b.driver(t), spec).Nodes()[0]
			engineAnswers(t, n)
			sh(t, n, "docker run -d --name web -p 8080:80 nginx:1.26")
			waitFor(t, "the web server", func() error {
				out, exit := attempt(t, n, "curl -sSf http://localhost:8080/")
				if exit != 0 {
					return errors.New(out)
				}
				return nil
			})
			c, err := n.Dial(t.Context(), "unix", "/var/run/docker.sock")
			if err != nil {
				t.Fatalf("Dial: %v", err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, "GET /_ping HTTP/1.0\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if answer, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(answer), "OK") {
				t.Errorf("the node's engine answers %q, %v", answer, err)
			}
			// These seventeen and no others: not SYS_MODULE, SYS_RESOURCE or SYS_RAWIO.
			if got := sh(t, n, "sed -n 's/^CapBnd:\\s*//p' /proc/1/status"); got != "00000000a82c35fb\n" {
				t.Errorf("the node's capabilities are %s", got)
			}
			info, err := b.cli.ContainerInspect(t.Context(), b.container("run", "node1"))
			if err != nil {
				t.Fatal(err)
			}
			h := info.HostConfig
			if h.Privileged || !h.ReadonlyRootfs || h.Memory != 768<<20 || h.MemorySwap != h.Memory || h.NanoCPUs != 1e9 || *h.PidsLimit != 2000 {
				t.Errorf("the node's container is not limited as asked: %+v", h)
			}
			if got := strings.TrimSpace(sh(t, n, "df -B1 --output=size /root | tail -1")); len(got) != len("500000000") {
				t.Errorf("the node's disk has %s bytes, want a little below 512 MiB", got)
			}
			if err := n.Restart(t.Context()); err != nil {
				t.Fatalf("Restart: %v", err)
			}
			engineAnswers(t, n)
			if got := sh(t, n, "docker ps -a --format '{{.Names}} {{.State}}'"); got != "web exited\n" {
				t.Errorf("after Restart the engine has %q", got)
			}
		})
	}
}

// RestoreImages restores the course images and keeps everything that the learner made.
func TestRestoreImagesKeepsWhatTheLearnerMade(t *testing.T) {
	for _, profile := range isolation.All() {
		t.Run(profile.Name, func(t *testing.T) {
			b := newBed(t, func(c *docker.Config) { c.Isolation = profile.Name })
			n := b.create(t, b.driver(t), one("restore")).Nodes()[0]
			engineAnswers(t, n)
			all := sh(t, n, "docker images --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort")
			sh(t, n, `set -e
				mkdir app && printf 'FROM redis:8\nRUN echo mine > /mine\n' > app/Dockerfile
				docker build -q -t app:1 app
				docker run -d --name cache -p 6379:6379 -v data:/data app:1
				docker run -d --name ended busybox:1.37 true
				docker wait ended`)
			// A learner removes everything that can be removed. The image of a running container
			// only loses its name.
			sh(t, n, "docker system prune -af; docker rmi -f redis:8 redis:7 hello-world nginx:latest; docker tag app:1 nginx:1.26")
			started := time.Now()
			if err := n.RestoreImages(t.Context()); err != nil {
				t.Fatalf("RestoreImages: %v", err)
			}
			t.Logf("RestoreImages took %s", time.Since(started).Round(10*time.Millisecond))
			got := sh(t, n, "docker images --format '{{.Repository}}:{{.Tag}} {{.ID}}' | grep -v '^app:1 ' | sort")
			if got != all {
				t.Errorf("the engine has\n%swant\n%s", got, all)
			}
			if got := sh(t, n, "docker ps --format '{{.Names}} {{.Image}} {{.State}}'"); got != "cache app:1 running\n" {
				t.Errorf("containers that run: %q", got)
			}
			if got := sh(t, n, "docker exec cache cat /mine && docker run --rm app:1 cat /mine && docker volume ls -q"); got != "mine\nmine\ndata\n" {
				t.Errorf("the learner's image and volume: %q", got)
			}
			sh(t, n, "docker run --rm nginx:1.26 nginx -v; docker run --rm debian:13 true; docker run --rm redis:7 redis-server --version")
			if got := sh(t, n, "ls /var/lib/docker | grep labd || true"); got != "" {
				t.Errorf("left in the data root: %s", got)
			}
			if err := n.Restart(t.Context()); err != nil {
				t.Fatalf("Restart: %v", err)
			}
			engineAnswers(t, n)
			sh(t, n, "docker start cache && docker run --rm python:3.13 python --version")
		})
	}
}

// Signals must not keep a container from starting. The Go runtime in runc sends signals to its own
// threads. See package internal/setup/gvisor.
func TestContainersStartDespiteSignals(t *testing.T) {
	b := newBed(t)
	n := b.create(t, b.driver(t), one("storm")).Nodes()[0]
	engineAnswers(t, n)
	sh(t, n, "docker run -d --name cache redis:8 && mkdir x && printf 'FROM redis:8\nRUN echo a > /a\nRUN echo b > /b\n' > x/Dockerfile")
	out, exit := attempt(t, n, `
		(until [ -e /tmp/calm ]; do pkill -URG -f 'runc init'; done) &
		trap 'touch /tmp/calm; wait' EXIT
		for i in 1 2 3 4 5; do
			docker stop -t 0 cache && docker start cache || exit 1
		done
		docker build --progress plain x`)
	if exit != 0 {
		t.Errorf("exit code %d: %s", exit, out)
	}
}

func TestOpenMountsDisksAfterTheMachineRestarted(t *testing.T) {
	b := newBed(t)
	d := b.open(t)
	spec := two("reboot", false)
	st := b.create(t, b.driver(t), spec)
	for _, n := range st.Nodes() {
		sh(t, n, "echo kept by $(hostname) > note; sync")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	// After a reboot the containers exist but are stopped, and there are neither mounts nor loop
	// devices.
	for _, n := range spec.Nodes {
		b.kill(t, "reboot", n.Name)
		if err := unix.Unmount(filepath.Join(b.cfg.StateDir, "nodes", b.cfg.Instance, "reboot", n.Name, "mnt"), 0); err != nil {
			t.Fatalf("unmount: %v", err)
		}
	}
	if left := b.loops(t); len(left) > 0 {
		t.Fatalf("loop devices outlive their mounts: %v", left)
	}
	d = b.driver(t)
	list, err := d.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Broken {
		t.Fatalf("List gives %+v, %v", list, err)
	}
	st, err = d.Open(t.Context(), "reboot")
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	for _, n := range st.Nodes() {
		if _, err := n.Exec(t.Context(), bash("true")); !errors.Is(err, sandbox.ErrNodeDown) {
			t.Errorf("Exec before Restart gives %v", err)
		}
		if err := n.Restart(t.Context()); err != nil {
			t.Fatalf("Restart: %v", err)
		}
		if got := sh(t, n, "cat note"); got != "kept by "+n.Name()+"\n" {
			t.Errorf("the note reads %q", got)
		}
	}
	startServer(t, st.Nodes()[1])
	if got := reach(t, st.Nodes()[0], "node2", "8099"); got != "node" {
		t.Errorf("after the restart node1 gets %q from node2", got)
	}
}

func TestBrokenStacksAreListedAndDestroyed(t *testing.T) {
	b := newBed(t)
	d := b.driver(t)
	ctx := t.Context()
	check := func(t *testing.T, id string, labels int) {
		t.Helper()
		list, err := d.List(ctx)
		if err != nil || len(list) != 1 || list[0].ID != id || !list[0].Broken || len(list[0].Labels) != labels {
			t.Errorf("List gives %+v, %v; want %s, broken, with %d labels", list, err, id, labels)
		}
		if _, err := d.Open(ctx, id); !errors.Is(err, sandbox.ErrNotFound) {
			t.Errorf("Open gives %v", err)
		}
		if err := d.Destroy(ctx, id); err != nil {
			t.Errorf("Destroy: %v", err)
		}
		if left := b.leftovers(t); len(left) > 0 {
			t.Errorf("left after Destroy: %v", left)
		}
	}
	spec := two("broken", false)
	spec.Labels = map[string]string{"owner": "ada"}
	create := func(t *testing.T) {
		t.Helper()
		if _, err := d.Create(ctx, spec); err != nil {
			t.Fatalf("Create: %v", err)
		}
	}
	remove := func(t *testing.T, node string) {
		t.Helper()
		if err := b.cli.ContainerRemove(ctx, b.container("broken", node), container.RemoveOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("a container is gone", func(t *testing.T) {
		create(t)
		remove(t, "node2")
		check(t, "broken", 1)
	})
	t.Run("all containers are gone", func(t *testing.T) {
		create(t)
		remove(t, "node1")
		remove(t, "node2")
		check(t, "broken", 1)
	})
	t.Run("only disks are left", func(t *testing.T) {
		create(t)
		remove(t, "node1")
		remove(t, "node2")
		if err := b.cli.NetworkRemove(ctx, "labd_"+b.cfg.Instance+"_broken"); err != nil {
			t.Fatal(err)
		}
		check(t, "broken", 0)
	})
	t.Run("a node was never started", func(t *testing.T) {
		create(t)
		info, err := b.cli.ContainerInspect(ctx, b.container("broken", "node2"))
		if err != nil {
			t.Fatal(err)
		}
		remove(t, "node2")
		if _, err := b.cli.ContainerCreate(ctx, info.Config, info.HostConfig, nil, nil, b.container("broken", "node2")); err != nil {
			t.Fatal(err)
		}
		check(t, "broken", 1)
	})
	t.Run("a disk is gone", func(t *testing.T) {
		create(t)
		if err := os.Remove(filepath.Join(b.cfg.StateDir, "nodes", b.cfg.Instance, "broken", "node1", "disk.img")); err != nil {
			t.Fatal(err)
		}
		check(t, "broken", 1)
	})
}

func TestInstancesDoNotSeeEachOther(t *testing.T) {
	b := newBed(t)
	d := b.driver(t)
	other := *b
	other.cfg.Instance += "-x"
	e := other.driver(t)
	n := b.create(t, d, one("same")).Nodes()[0]
	m := other.create(t, e, one("same")).Nodes()[0]
	if err := e.Destroy(t.Context(), "same"); err != nil {
		t.Fatalf("Destroy: %v", err)
	}
	if list, err := e.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("List gives %v, %v after Destroy", list, err)
	}
	if got := sh(t, n, "echo still here"); got != "still here\n" {
		t.Errorf("the other instance's stack answers %q", got)
	}
	if _, err := m.Exec(t.Context(), bash("true")); err == nil {
		t.Error("a destroyed stack answers")
	}
}

func TestSubnetsAreReused(t *testing.T) {
	b := newBed(t, func(c *docker.Config) { c.Subnets = netip.MustParsePrefix("10.215.0.0/28") })
	d := b.driver(t)
	st, err := d.Create(t.Context(), two("first", false))
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if got := sh(t, st.Nodes()[0], "getent ahostsv4 node2"); !strings.HasPrefix(got, "10.215.0.3 ") {
		t.Errorf("node2 has the address %q", got)
	}
	if _, err := d.Create(t.Context(), two("second", false)); !errors.Is(err, sandbox.ErrCapacity) {
		t.Errorf("Create without a free subnet gives %v, want %v", err, sandbox.ErrCapacity)
	}
	b.create(t, d, one("alone")) // needs no subnet
	if err := d.Destroy(t.Context(), "first"); err != nil {
		t.Fatalf("Destroy: %v", err)
	}
	b.create(t, d, two("second", false))
}

// If the engine dies, all its connections break, and its containers may end too.
func TestEngineDiesAndComesBack(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the engine")
	}
	socket := filepath.Join(t.TempDir(), "engine.sock")
	p := sandboxtest.NewEngineProxy(t, socket, strings.TrimPrefix(docker.DefaultHost, "unix://"))
	b := newBed(t, func(c *docker.Config) { c.Host = "unix://" + socket })
	d := b.driver(t)
	spec := one("engine")
	st, err := d.Create(t.Context(), spec)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	n := st.Nodes()[0]
	sh(t, n, "echo kept > note; sync")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	events, err := n.Watch(ctx)
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}

	p.Stop()
	for range events {
		// wait until it is closed
	}
	for what, err := range map[string]error{
		"Exec":    func() error { _, err := n.Exec(ctx, bash("true")); return err }(),
		"Restart": n.Restart(ctx),
		"Ready":   d.Ready(ctx),
		"List":    func() error { _, err := d.List(ctx); return err }(),
		"Open":    func() error { _, err := d.Open(ctx, "engine"); return err }(),
		"Create":  func() error { _, err := d.Create(ctx, one("later")); return err }(),
		"Destroy": d.Destroy(ctx, "engine"),
	} {
		if !errors.Is(err, sandbox.ErrUnavailable) {
			t.Errorf("%s while the engine is away gives %v, want %v", what, err, sandbox.ErrUnavailable)
		}
	}

	// The engine comes back, and the node is still running.
	p.Start(t)
	if err := d.Ready(ctx); err != nil {
		t.Errorf("Ready: %v", err)
	}
	if got := sh(t, n, "cat note"); got != "kept\n" {
		t.Errorf("the note reads %q", got)
	}

	// The engine comes back, and the node is down.
	p.Stop()
	b.kill(t, "engine", "node1")
	p.Start(t)
	if _, err := n.Exec(ctx, bash("true")); !errors.Is(err, sandbox.ErrNodeDown) {
		t.Errorf("Exec gives %v, want %v", err, sandbox.ErrNodeDown)
	}
	if err := n.Restart(ctx); err != nil {
		t.Fatalf("Restart: %v", err)
	}
	if got := sh(t, n, "cat note"); got != "kept\n" {
		t.Errorf("after Restart the note reads %q", got)
	}
	if err := d.Destroy(ctx, "engine"); err != nil {
		t.Errorf("Destroy: %v", err)
	}
}
