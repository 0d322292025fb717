//go:build linux

package docker_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker"
	"github.com/labd-dev/labd/sandbox/docker/isolation"
	"github.com/labd-dev/labd/sandbox/docker/seed"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

// These tests use real nodes on this machine's engine. `make test` installs the engine, the runtime
// and the seed. `go test -short` skips them.

// testSubnets differs from the driver's default, so tests and a labd can share an engine.
var testSubnets = netip.MustParsePrefix("10.214.0.0/16")

// bed is a test bed: an instance on the engine with a state directory of its own.
type bed struct {
	cfg docker.Config
	cli *client.Client
}

// newBed returns a bed. At the end of the test nothing of it may be left.
func newBed(t testing.TB, change ...func(*docker.Config)) *bed {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the engine")
	}
	seedDir := os.Getenv("LABD_SEED_DIR")
	if seedDir == "" {
		seedDir = seed.DefaultDir
	}
	cli, err := client.NewClientWithOpts(client.WithHost(docker.DefaultHost), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{cli: cli, cfg: docker.Config{
		SeedDir: seedDir, StateDir: t.TempDir(), Subnets: testSubnets,
		Instance: fmt.Sprintf("test-%d-%s", os.Getpid(), filepath.Base(t.TempDir())),
		Defaults: sandbox.Limits{MemoryBytes: 1 << 30},
		Log:      slog.New(slog.NewTextHandler(logWriter{t}, nil)),
	}}
	for _, c := range change {
		c(&b.cfg)
	}
	t.Cleanup(func() {
		if left := b.leftovers(t); len(left) > 0 {
			t.Errorf("left on the machine:\n%s", strings.Join(left, "\n"))
		}
		b.sweep(t)
		cli.Close()
	})
	return b
}

// sweep removes what a failed test left behind.
func (b *bed) sweep(t testing.TB) {
	d, err := docker.New(context.Background(), b.cfg)
	if err != nil {
		t.Error(err)
		return
	}
	defer d.Close()
	list, err := d.List(context.Background())
	if err != nil {
		t.Error(err)
	}
	for _, info := range list {
		if err := d.Destroy(context.Background(), info.ID); err != nil {
			t.Error(err)
		}
	}
}

// open returns a driver.
func (b *bed) open(t testing.TB) *docker.Driver {
	t.Helper()
	d, err := docker.New(t.Context(), b.cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return d
}

// driver returns a driver and closes it at the end of the test.
func (b *bed) driver(t testing.TB) *docker.Driver {
	t.Helper()
	d := b.open(t)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return d
}

// create creates a stack and destroys it at the end of the test.
func (b *bed) create(t testing.TB, d *docker.Driver, spec sandbox.Spec) sandbox.Stack {
	t.Helper()
	st, err := d.Create(t.Context(), spec)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Destroy(context.Background(), spec.ID); err != nil {
			t.Errorf("Destroy: %v", err)
		}
	})
	return st
}

// one returns a Spec with one node.
func one(id string) sandbox.Spec {
	return sandbox.Spec{ID: id, Nodes: []sandbox.NodeSpec{{Name: "node1"}}}
}

// container returns the name of a node's container.
func (b *bed) container(stack, node string) string {
	return "labd_" + b.cfg.Instance + "_" + stack + "_" + node
}

// kill kills a node's container.
func (b *bed) kill(t testing.TB, stack, node string) {
	t.Helper()
	if err := b.cli.ContainerKill(t.Context(), b.container(stack, node), "KILL"); err != nil {
		t.Fatalf("kill node: %v", err)
	}
}

// leftovers lists the containers, networks, mounts, loop devices and files of this bed.
func (b *bed) leftovers(t testing.TB) []string {
	t.Helper()
	ctx := context.Background()
	var out []string
	label := filters.NewArgs(filters.Arg("label", "labd.instance="+b.cfg.Instance))
	containers, err := b.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: label})
	if err != nil {
		t.Fatalf("list containers: %v", err)
	}
	for _, c := range containers {
		out = append(out, "container "+c.Names[0])
	}
	networks, err := b.cli.NetworkList(ctx, network.ListOptions{Filters: label})
	if err != nil {
		t.Fatalf("list networks: %v", err)
	}
	for _, n := range networks {
		out = append(out, "network "+n.Name)
	}
	out = append(out, b.mounts(t)...)
	out = append(out, b.loops(t)...)
	entries, err := filepath.Glob(filepath.Join(b.cfg.StateDir, "nodes", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, "file "+e)
	}
	slices.Sort(out)
	return out
}

// mounts lists this bed's mounts.
func (b *bed) mounts(t testing.TB) []string {
	t.Helper()
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if words := strings.Fields(sc.Text()); strings.HasPrefix(words[4], b.cfg.StateDir) {
			out = append(out, "mount "+words[4])
		}
	}
	return out
}

// loops lists the loop devices that hold this bed's files.
func (b *bed) loops(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		back, err := os.ReadFile(f)
		if err == nil && strings.HasPrefix(string(back), b.cfg.StateDir) {
			out = append(out, "loop device of "+strings.TrimSpace(string(back)))
		}
	}
	return out
}

// logWriter writes a driver's log to the test's log.
type logWriter struct{ t testing.TB }

func (w logWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func TestDriverKeepsTheContract(t *testing.T) {
	for _, profile := range isolation.All() {
		t.Run(profile.Name, func(t *testing.T) {
			b := newBed(t, func(c *docker.Config) { c.Isolation = profile.Name })
			sandboxtest.Run(t, func(t *testing.T) sandbox.Driver { return b.open(t) }, sandboxtest.Options{
				Image: "redis:7",
				Reopen: func(t testing.TB, d sandbox.Driver) sandbox.Driver {
					t.Helper()
					if err := d.Close(); err != nil {
						t.Fatalf("Close: %v", err)
					}
					return b.open(t)
				},
				Kill: func(t testing.TB, _ sandbox.Driver, stack, node string) { b.kill(t, stack, node) },
				RemoveImages: func(t testing.TB, _ sandbox.Driver, _ sandbox.Stack, n sandbox.Node) {
					engineAnswers(t, n)
					sh(t, n, "docker system prune -af")
				},
				HasImage: func(t testing.TB, _ sandbox.Driver, _ sandbox.Stack, n sandbox.Node) bool {
					engineAnswers(t, n)
					_, exit := attempt(t, n, "docker image inspect redis:7")
					return exit == 0
				},
				Leftovers:    b.leftovers,
				NamesResolve: true,
			})
		})
	}
}
