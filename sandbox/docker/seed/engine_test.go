package seed_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/client"
	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

// without skips a test because this machine lacks something. In CI that is a failure, because a
// test that is always skipped proves nothing.
func without(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// engine connects to the engine, or skips the test if there is none.
func engine(t *testing.T) *client.Client {
	t.Helper()
	if os.Getenv("LABD_TEST_ENGINE") == "off" {
		without(t, "LABD_TEST_ENGINE=off: no tests with a real engine")
	}
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cli.Close() })
	if _, err := cli.Ping(t.Context()); err != nil {
		without(t, "no Docker engine answers (%v); `labd setup` starts one", err)
	}
	if os.Geteuid() != 0 {
		without(t, "a seed is root's: run as root")
	}
	return cli
}

// labnode builds the real labnode.
func labnode(ctx context.Context, arch string) (string, error) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		return "", err
	}
	if made := filepath.Join(root, "bin", "labnode-linux-"+arch); exists(made) {
		return made, nil
	}
	out := filepath.Join(os.TempDir(), "labd-test-labnode-linux-"+arch)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "./cmd/labnode")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build labnode: %w\n%s", err, text)
	}
	return out, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// shared returns the seed that all tests on this machine use. It builds it if necessary.
func shared(t *testing.T) *seed.Seed {
	t.Helper()
	engine(t)
	dir := os.Getenv("LABD_SEED_DIR")
	if dir == "" {
		dir = seed.DefaultDir
	}
	s, err := seed.Build(t.Context(), seed.Options{Dir: dir, Labnode: labnode, Progress: func(e seed.Event) {
		if e.State == seed.Done || e.State == seed.Failed {
			t.Logf("%s: %s after %v", e.Task, e.State, e.Elapsed)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// recorder collects progress.
type recorder struct {
	mu     sync.Mutex
	events []seed.Event // guarded by mu
	on     func(seed.Event)
}

func (r *recorder) progress(e seed.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	if r.on != nil {
		r.on(e)
	}
}

func (r *recorder) count(s seed.State) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.State == s {
			n++
		}
	}
	return n
}

// few returns some of the real recipes. Their images exist already and load quickly.
func few(t *testing.T) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	recipes := os.DirFS("../../images/recipes")
	for _, name := range []string{"base-trixie", "node", "hello-world"} {
		err := fs.WalkDir(recipes, name, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(recipes, p)
			out[p] = &fstest.MapFile{Data: data}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestBuildLifecycle follows a seed directory through its states. The images are shared with the
// other tests, the data is not.
func TestBuildLifecycle(t *testing.T) {
	cli := engine(t)
	shared(t)
	dir := t.TempDir()
	opts := func(r *recorder) seed.Options {
		return seed.Options{Dir: dir, Labnode: labnode, Recipes: few(t), Progress: r.progress}
	}

	t.Run("InterruptedBuildLeavesNothing", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		rec := &recorder{on: func(e seed.Event) {
			if e.Task == "seed" && e.State == seed.Output && strings.Contains(e.Text, "is up") {
				cancel()
			}
		}}
		_, err := seed.Build(ctx, opts(rec))
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
		if got := names(t, dir); got != "lock" {
			t.Errorf("left in the directory: %s", got)
		}
		if _, err := seed.Open(dir); !errors.Is(err, sandbox.ErrImageMissing) {
			t.Errorf("open after it: %v", err)
		}
		if left := buildContainers(t, cli, dir); len(left) > 0 {
			t.Errorf("containers left: %v", left)
		}
	})

	t.Run("InterruptedImageLeavesNothing", func(t *testing.T) {
		recipes := few(t).(fstest.MapFS)
		recipes["slow/image.toml"] = &fstest.MapFile{Data: []byte("description = \"slow\"\nbase = \"base-trixie\"\ntags = [\"slow:1\"]\ncmd = [\"sh\"]\n")}
		recipes["slow/build.sh"] = &fstest.MapFile{Data: []byte("echo half way; sleep 600\n")}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		rec := &recorder{on: func(e seed.Event) {
			if e.Text == "half way" {
				cancel()
			}
		}}
		o := opts(rec)
		o.Recipes = recipes
		if _, err := seed.Build(ctx, o); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
		if got := names(t, dir); got != "lock" {
			t.Errorf("left in the directory: %s", got)
		}
		list, err := cli.ContainerList(t.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("name", "^/labd-build-.*-slow-"))})
		if err != nil || len(list) > 0 {
			t.Errorf("containers left: %v, %v", list, err)
		}
	})

	t.Run("NextBuildRemovesWhatAKilledOneLeft", func(t *testing.T) {
		if err := os.MkdirAll(filepath.Join(dir, "tmp-killed", "work"), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := seed.Build(t.Context(), opts(&recorder{})); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); got != "current-5.json data lock" {
			t.Errorf("in the directory: %s", got)
		}
		if left := buildContainers(t, cli, dir); len(left) > 0 {
			t.Errorf("containers left: %v", left)
		}
	})

	t.Run("SecondBuildDoesNothing", func(t *testing.T) {
		before, err := os.Stat(filepath.Join(dir, "current-5.json"))
		if err != nil {
			t.Fatal(err)
		}
		rec := &recorder{}
		s, err := seed.Build(t.Context(), opts(rec))
		if err != nil {
			t.Fatal(err)
		}
		if rec.count(seed.Started) != 0 || rec.count(seed.Cached) == 0 {
			t.Errorf("events: %+v", rec.events)
		}
		after, err := os.Stat(filepath.Join(dir, "current-5.json"))
		if err != nil {
			t.Fatal(err)
		}
		if !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
			t.Error("current-5.json was written again")
		}
		if again, err := seed.Open(dir); err != nil || again.Digest != s.Digest {
			t.Errorf("open gives %v, %v", again, err)
		}
	})

	t.Run("NewLabnodeKeepsTheData", func(t *testing.T) {
		old, err := seed.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(t.TempDir(), "labnode")
		if err := os.WriteFile(other, []byte("#!/bin/sh\n# another labnode\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		o := opts(&recorder{})
		o.Labnode = func(context.Context, string) (string, error) { return other, nil }
		s, err := seed.Build(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := cli.ImageRemove(context.Background(), s.NodeImage, image.RemoveOptions{}); err != nil {
				t.Error(err)
			}
		})
		if s.NodeImage == old.NodeImage || s.Digest == old.Digest {
			t.Errorf("node image %s and digest %s did not change", s.NodeImage, s.Digest)
		}
		if s.Template != old.Template {
			t.Errorf("the data was made again: %s, before %s", s.Template, old.Template)
		}
		// The two node images differ in one file, and their base layer is the same.
		if a, b := layersOf(t, cli, s.NodeImage), layersOf(t, cli, old.NodeImage); len(a) != len(b) || a[0] != b[0] || a[1] != b[1] {
			t.Errorf("layers %v and %v", a, b)
		}
	})

	t.Run("MissingLabnodeChangesNothing", func(t *testing.T) {
		old, err := seed.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		o := opts(&recorder{})
		o.Labnode = func(context.Context, string) (string, error) { return filepath.Join(dir, "nothing"), nil }
		_, err = seed.Build(t.Context(), o)
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "labnode") {
			t.Errorf("error %v", err)
		}
		if now, err := seed.Open(dir); err != nil || now.Digest != old.Digest {
			t.Errorf("the seed is now %v, %v", now, err)
		}
	})

	t.Run("AnyRuntimeCanLoadTheImages", func(t *testing.T) {
		// Where gVisor is missing, only the profile runc is left, and it needs a seed too.
		o := opts(&recorder{})
		o.Dir, o.Runtime = t.TempDir(), "runc"
		s, err := seed.Build(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if old, err := seed.Open(dir); err != nil || len(s.Layers) != len(old.Layers) || !slices.Equal(s.Images, old.Images) {
			t.Errorf("with runc %+v, with gVisor %+v, %v", s, old, err)
		}
	})

	t.Run("LayerThatDeletesFromItsBaseIsRefused", func(t *testing.T) {
		old, err := seed.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		recipes := few(t).(fstest.MapFS)
		recipes["bad/image.toml"] = &fstest.MapFile{Data: []byte("description = \"bad\"\nbase = \"base-trixie\"\ntags = [\"bad:1\"]\ncmd = [\"sh\"]\n")}
		recipes["bad/build.sh"] = &fstest.MapFile{Data: []byte("rm /etc/debian_version\n")}
		o := opts(&recorder{})
		o.Recipes = recipes
		_, err = seed.Build(t.Context(), o)
		t.Cleanup(func() {
			list, err := cli.ImageList(context.Background(), image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", "labd/bad:*"))})
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range list {
				if _, err := cli.ImageRemove(context.Background(), i.ID, image.RemoveOptions{Force: true}); err != nil {
					t.Error(err)
				}
			}
		})
		if err == nil || !strings.Contains(err.Error(), "/etc/debian_version") {
			t.Errorf("error %v", err)
		}
		if now, err := seed.Open(dir); err != nil || now.Digest != old.Digest {
			t.Errorf("the seed is now %v, %v", now, err)
		}
	})

	t.Run("PruneKeepsWhatANodeUses", func(t *testing.T) {
		s, err := seed.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		anyImage := shared(t).NodeImage
		for _, name := range []string{"used", "unused"} {
			if err := os.MkdirAll(filepath.Join(dir, "data", name, "layers", "a", "diff"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		made, err := cli.ContainerCreate(t.Context(), &container.Config{Image: anyImage}, &container.HostConfig{Mounts: []mount.Mount{
			{Type: mount.TypeBind, Source: filepath.Join(dir, "data", "used", "layers", "a", "diff"), Target: "/mnt", ReadOnly: true},
		}}, nil, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := cli.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{}); err != nil {
				t.Error(err)
			}
		})
		if _, err := seed.Prune(t.Context(), opts(&recorder{})); err != nil {
			t.Fatal(err)
		}
		data := names(t, filepath.Join(dir, "data"))
		if strings.Contains(data, "unused") || !strings.Contains(data, "used") || !exists(s.Template) {
			t.Errorf("data now holds %s", data)
		}
	})
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

// buildContainers lists containers of builds that mount something of dir.
func buildContainers(t *testing.T, cli *client.Client, dir string) []string {
	t.Helper()
	list, err := cli.ContainerList(context.Background(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("name", "^/labd-build-"))})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range list {
		for _, m := range c.Mounts {
			if strings.HasPrefix(m.Source, dir) {
				out = append(out, c.Names...)
			}
		}
	}
	return out
}

func layersOf(t *testing.T, cli *client.Client, ref string) []string {
	t.Helper()
	info, err := cli.ImageInspect(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return info.RootFS.Layers
}

func TestLayersHoldNoDevicesAndNoWhiteouts(t *testing.T) {
	s := shared(t)
	if len(s.Layers) == 0 {
		t.Fatal("no layers")
	}
	for _, l := range s.Layers {
		err := filepath.WalkDir(l.Path, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.Type()&fs.ModeDevice != 0 {
				t.Errorf("device node, or a whiteout: %s", p)
			}
			if strings.HasPrefix(d.Name(), ".wh.") {
				t.Errorf("whiteout: %s", p)
			}
			for _, attr := range []string{"trusted.overlay.opaque", "user.overlay.opaque", "trusted.overlay.whiteout"} {
				if _, err := unix.Lgetxattr(p, attr, nil); err == nil {
					t.Errorf("%s on %s", attr, p)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestLayersAreFew(t *testing.T) {
	cli := engine(t)
	s := shared(t)
	if len(s.Layers) > len(s.Images) || len(s.Layers) > 8 {
		t.Errorf("%d layers for %d names: each is a mount in each node", len(s.Layers), len(s.Images))
	}
	if n := len(layersOf(t, cli, s.NodeImage)); n > 3 {
		t.Errorf("the node image has %d layers", n)
	}
}

func TestTemplateHoldsWhatANodeNeeds(t *testing.T) {
	s := shared(t)
	dir, _ := mountDisk(t, s, 256<<20)
	entries := " " + names(t, dir) + " "
	for _, d := range seed.DiskDirs {
		if !strings.Contains(entries, " "+d.Name+" ") {
			t.Errorf("the disk lacks %s", d.Name)
		}
	}
	for name, want := range map[string]fs.FileMode{
		"etc/hosts": 0, "etc/hostname": 0, "etc/resolv.conf": 0, "etc/passwd": 0, "root/.bashrc": 0, "etc/docker": fs.ModeDir,
		"var/lib/docker/image/overlay2/repositories.json": 0, "tmp": fs.ModeDir | fs.ModeSticky, "var/tmp": fs.ModeDir | fs.ModeSticky,
	} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if got := info.Mode() & (fs.ModeType | fs.ModeSticky); got != want {
			t.Errorf("%s has mode %v, want %v", name, got, want)
		}
	}
	for _, l := range s.Layers {
		link := filepath.Join(dir, "var/lib/docker/overlay2", l.ID, "diff")
		if got, err := os.Readlink(link); err != nil || got != seed.LayersTarget+"/"+l.ID+"/diff" {
			t.Errorf("%s leads to %q, %v; want the layer's place in a node", link, got, err)
		}
	}
	for _, unique := range []string{"engine-id", "network"} {
		if exists(filepath.Join(dir, "var/lib/docker", unique)) {
			t.Errorf("var/lib/docker/%s would be the same in all nodes", unique)
		}
	}
}

func TestDiskIsSparseAndHasTheWantedSize(t *testing.T) {
	s := shared(t)
	for size, most := range map[int64]int64{128 << 20: 2 << 20, 1 << 30: 2 << 20, 4 << 30: 2 << 20, 20 << 30: 3 << 20} {
		file := filepath.Join(t.TempDir(), "disk")
		if err := s.Disk(t.Context(), file, size); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(file, &st); err != nil {
			t.Fatal(err)
		}
		if st.Size != size {
			t.Errorf("size %d, want %d", st.Size, size)
		}
		if used := st.Blocks * 512; used > most {
			t.Errorf("a disk of %d bytes uses %d at once, more than %d", size, used, most)
		}
		if out, err := exec.CommandContext(t.Context(), "e2fsck", "-fn", file).CombinedOutput(); err != nil {
			t.Errorf("e2fsck: %v\n%s", err, out)
		}
	}
}

// All labd processes and tests of a machine share a seed, and each may be the first to need a size.
func TestDisksOfANewSizeAtTheSameTime(t *testing.T) {
	s := shared(t)
	const size = 96 << 20
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			file := filepath.Join(dir, strconv.Itoa(i))
			if err := s.Disk(t.Context(), file, size); err != nil {
				t.Error(err)
				return
			}
			if out, err := exec.CommandContext(t.Context(), "e2fsck", "-fn", file).CombinedOutput(); err != nil {
				t.Errorf("e2fsck: %v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(s.Template), "tmp-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left beside the template: %v, %v", left, err)
	}
}

func TestDiskLeavesNothingWhenItFails(t *testing.T) {
	s := shared(t)
	dir := t.TempDir()
	if err := s.Disk(t.Context(), filepath.Join(dir, "a"), 1000); !errors.Is(err, sandbox.ErrInvalid) {
		t.Errorf("tiny disk: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Disk(ctx, filepath.Join(dir, "b"), 80<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := s.Disk(t.Context(), filepath.Join(dir, "c", "d"), 128<<20); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("left: %s", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "e"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Disk(t.Context(), filepath.Join(dir, "e"), 128<<20); !errors.Is(err, fs.ErrExist) {
		t.Errorf("file there: %v", err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "e")); err != nil || string(data) != "precious" {
		t.Errorf("the file that was there is now %q, %v", data, err)
	}
}

// mountDisk makes a disk from the seed and mounts it until the test ends.
func mountDisk(t *testing.T, s *seed.Seed, size int64) (dir, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "disk")
	if err := s.Disk(t.Context(), file, size); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "mnt")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop,noatime", file, dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir, file
}
