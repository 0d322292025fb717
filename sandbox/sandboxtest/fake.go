// Package sandboxtest contains the test suite that every sandbox.Driver must pass, and a fake
// driver that passes it.
//
// # The fake
//
// NewFake returns a driver that needs no engine, for tests of code that uses the contract. A node
// is a directory on this machine with the real agent in it, so terminals, commands, files and
// connections behave exactly as in a real node: the same protocol, shells and buffer limits. What
// the fake does not have:
//
//   - Isolation. Commands are real processes of this machine with the rights of the test. ReadFile,
//     WriteFile, Command.Dir and Unix sockets in Dial use the node's root directory. Commands reach
//     their files by relative paths or $HOME; an absolute path in a script is a path of the
//     machine.
//   - An engine, unless FakeOptions.Engine provides one. DOCKER_HOST in shells points to it, never
//     to the machine's engine.
//   - Limits and networks.
//
// Tests simulate failures with SetCreateError, Kill, SetUnavailable, Spoil and RemoveImages, and a
// restart of labd with Reopen.
package sandboxtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
)

// defaultImages is the content of the fake's seed unless FakeOptions.Images is set.
var defaultImages = []string{"busybox:1.37", "debian:trixie", "hello-world:latest", "nginx:1.26", "redis:7", "redis:8"}

// FakeOptions configure a Fake. The zero value is usable.
type FakeOptions struct {
	Images      []string                              // content of the seed; nil means defaultImages
	Engine      func(stack, node string) http.Handler // serves each node's /var/run/docker.sock; nil for no engine
	CreateDelay time.Duration                         // minimum duration of Create
	Capacity    int                                   // maximum number of stacks; 0 means no limit
	Profile     sandbox.Profile                       // result of Profile; the zero value means a profile named "fake"
}

// Fake is a driver without an engine.
type Fake struct {
	w *world

	mu     sync.Mutex
	open   map[*fakeStack]struct{} // guarded by mu
	closed bool                    // guarded by mu
}

var _ sandbox.Driver = (*Fake)(nil)

// world is the state that survives a restart of labd: the stacks, and the failures that tests have
// set.
type world struct {
	opts FakeOptions
	dir  string

	mu          sync.Mutex
	drivers     []*Fake              // guarded by mu
	stacks      map[string]*fakeInfo // guarded by mu; nil while Create is making the stack
	made        int                  // guarded by mu: number of directories made, used as their names
	createErr   error                // guarded by mu
	unavailable bool                 // guarded by mu
}

// fakeInfo is one stack.
type fakeInfo struct {
	info  sandbox.Info
	hosts []*host
}

// NewFake returns a fake without stacks. At the end of the test it ends and removes everything.
func NewFake(t testing.TB, opts FakeOptions) *Fake {
	t.Helper()
	if opts.Images == nil {
		opts.Images = defaultImages
	}
	if opts.Profile == (sandbox.Profile{}) {
		opts.Profile = sandbox.Profile{Name: "fake", Fidelity: sandbox.FidelityMost, SharesKernel: true, Reason: "A fake for tests: nodes are directories."}
	}
	// The path of t.TempDir can be too long for a Unix socket.
	dir, err := os.MkdirTemp("", "labd-fake")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{opts: opts, dir: dir, stacks: map[string]*fakeInfo{}}
	f := w.driver()
	t.Cleanup(func() {
		if err := errors.Join(w.end(), os.RemoveAll(dir)); err != nil {
			t.Errorf("end the fake: %v", err)
		}
	})
	return f
}

func (w *world) driver() *Fake {
	f := &Fake{w: w, open: map[*fakeStack]struct{}{}}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drivers = append(w.drivers, f)
	return f
}

// end closes all drivers and ends all stacks.
func (w *world) end() error {
	w.mu.Lock()
	drivers, stacks := w.drivers, w.stacks
	w.drivers, w.stacks = nil, map[string]*fakeInfo{}
	w.mu.Unlock()
	var errs []error
	for _, f := range drivers {
		errs = append(errs, f.Close())
	}
	for _, s := range stacks {
		if s != nil {
			errs = append(errs, s.destroy())
		}
	}
	return errors.Join(errs...)
}

// Reopen closes the driver and returns another one with the same stacks, as after a restart of
// labd.
func (f *Fake) Reopen(t testing.TB) *Fake {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.w.driver()
}

// SetCreateError makes every Create fail with err after it has made part of the stack. Nil ends
// that.
func (f *Fake) SetCreateError(err error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	f.w.createErr = err
}

// SetUnavailable simulates an engine that dies or comes back. While it is unavailable all
// connections are closed and every call fails with ErrUnavailable. The nodes keep running; to end
// them too, call Kill.
func (f *Fake) SetUnavailable(unavailable bool) {
	f.w.mu.Lock()
	f.w.unavailable = unavailable
	var hosts []*host
	for _, s := range f.w.stacks {
		if s != nil {
			hosts = append(hosts, s.hosts...)
		}
	}
	f.w.mu.Unlock()
	if unavailable {
		for _, h := range hosts {
			h.disconnect()
		}
	}
}

// Kill ends a node with all its processes. Its files are kept, and Restart brings it back.
func (f *Fake) Kill(t testing.TB, stack, node string, reason sandbox.DownReason) {
	t.Helper()
	if err := f.host(t, stack, node).stop(reason); err != nil {
		t.Fatal(err)
	}
}

// RemoveImages simulates a learner who removes all images from a node's engine.
func (f *Fake) RemoveImages(t testing.TB, stack, node string) {
	t.Helper()
	h := f.host(t, stack, node)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.imagesRemoved = true
}

// ImagesRemoved reports whether the images are still removed.
func (f *Fake) ImagesRemoved(t testing.TB, stack, node string) bool {
	t.Helper()
	h := f.host(t, stack, node)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.imagesRemoved
}

// Root returns the directory that is the node's root directory.
func (f *Fake) Root(t testing.TB, stack, node string) string {
	t.Helper()
	return f.host(t, stack, node).root
}

// Spoil makes a stack broken, as if labd had crashed in Create some time ago.
func (f *Fake) Spoil(t testing.TB, stack string, ago time.Duration) {
	t.Helper()
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	s := f.w.stacks[stack]
	if s == nil {
		t.Fatalf("fake: no stack %s", stack)
		return
	}
	s.info.Broken = true
	s.info.Created = time.Now().Add(-ago)
}

func (f *Fake) host(t testing.TB, stack, node string) *host {
	t.Helper()
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if s := f.w.stacks[stack]; s != nil {
		for _, h := range s.hosts {
			if h.name == node {
				return h
			}
		}
	}
	t.Fatalf("fake: no node %s in stack %s", node, stack)
	return nil
}

// usable returns an ErrUnavailable after SetUnavailable(true) or Close.
func (f *Fake) usable(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f.mu.Lock()
	closed := f.closed
	f.mu.Unlock()
	if closed {
		return fmt.Errorf("%w: the driver is closed", sandbox.ErrUnavailable)
	}
	return f.w.available()
}

func (w *world) available() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unavailable {
		return fmt.Errorf("%w: the test said so", sandbox.ErrUnavailable)
	}
	return nil
}

// Create implements sandbox.Driver.
func (f *Fake) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Stack, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	for _, n := range spec.Nodes {
		for _, image := range n.Images {
			if !slices.Contains(f.w.opts.Images, image) {
				return nil, fmt.Errorf("node %s: %w: %s", n.Name, sandbox.ErrImageMissing, image)
			}
		}
	}
	if err := f.w.reserve(spec.ID); err != nil {
		return nil, err
	}
	made, err := f.create(ctx, spec)
	f.w.mu.Lock()
	if err != nil {
		delete(f.w.stacks, spec.ID)
	} else {
		f.w.stacks[spec.ID] = made
	}
	f.w.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("create stack %s: %w", spec.ID, err)
	}
	return f.connect(made)
}

// reserve reserves the id.
func (w *world) reserve(id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.stacks[id]; ok {
		return fmt.Errorf("%w: a stack with this id exists", sandbox.ErrInvalid)
	}
	if w.opts.Capacity > 0 && len(w.stacks) >= w.opts.Capacity {
		return fmt.Errorf("%w: %d stacks run", sandbox.ErrCapacity, len(w.stacks))
	}
	w.stacks[id] = nil
	return nil
}

// create creates the nodes. On an error it removes them.
func (f *Fake) create(ctx context.Context, spec sandbox.Spec) (*fakeInfo, error) {
	labels := maps.Clone(spec.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	s := &fakeInfo{info: sandbox.Info{ID: spec.ID, Labels: labels, Created: time.Now()}}
	err := func() error {
		for _, n := range spec.Nodes {
			h, err := f.w.newHost(spec.ID, n)
			if err != nil {
				return err
			}
			s.hosts = append(s.hosts, h)
		}
		f.w.mu.Lock()
		err := f.w.createErr
		f.w.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-time.After(f.w.opts.CreateDelay):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}()
	if err != nil {
		return nil, errors.Join(err, s.destroy())
	}
	return s, nil
}

// connect returns a new connection to a stack.
func (f *Fake) connect(info *fakeInfo) (*fakeStack, error) {
	s := &fakeStack{f: f, id: info.info.ID}
	for _, h := range info.hosts {
		s.nodes = append(s.nodes, newFakeNode(f.w, h))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, fmt.Errorf("%w: the driver is closed", sandbox.ErrUnavailable)
	}
	f.open[s] = struct{}{}
	return s, nil
}

// Open implements sandbox.Driver.
func (f *Fake) Open(ctx context.Context, id string) (sandbox.Stack, error) {
	if err := sandbox.CheckID(id); err != nil {
		return nil, err
	}
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	f.w.mu.Lock()
	s := f.w.stacks[id]
	f.w.mu.Unlock()
	if s == nil || s.info.Broken {
		return nil, fmt.Errorf("open stack %s: %w", id, sandbox.ErrNotFound)
	}
	return f.connect(s)
}

// List implements sandbox.Driver.
func (f *Fake) List(ctx context.Context) ([]sandbox.Info, error) {
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	var out []sandbox.Info
	for _, s := range f.w.stacks {
		if s != nil {
			info := s.info
			info.Labels = maps.Clone(info.Labels)
			out = append(out, info)
		}
	}
	slices.SortFunc(out, func(a, b sandbox.Info) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// Destroy implements sandbox.Driver.
func (f *Fake) Destroy(ctx context.Context, id string) error {
	if err := sandbox.CheckID(id); err != nil {
		return err
	}
	if err := f.usable(ctx); err != nil {
		return err
	}
	f.w.mu.Lock()
	s := f.w.stacks[id]
	if s != nil {
		delete(f.w.stacks, id)
	}
	f.w.mu.Unlock()
	if s == nil {
		return nil
	}
	if err := s.destroy(); err != nil {
		return fmt.Errorf("destroy stack %s: %w", id, err)
	}
	return nil
}

func (s *fakeInfo) destroy() error {
	var errs []error
	for _, h := range s.hosts {
		errs = append(errs, h.destroy())
	}
	return errors.Join(errs...)
}

// Ready returns nil unless the fake is unavailable.
func (f *Fake) Ready(ctx context.Context) error { return f.usable(ctx) }

// Profile returns FakeOptions.Profile.
func (f *Fake) Profile() sandbox.Profile { return f.w.opts.Profile }

// Images returns FakeOptions.Images, sorted.
func (f *Fake) Images(ctx context.Context) ([]string, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return slices.Sorted(slices.Values(f.w.opts.Images)), nil
}

// Close closes all connections. The stacks run until the end of the test.
func (f *Fake) Close() error {
	f.mu.Lock()
	f.closed = true
	open := slices.Collect(maps.Keys(f.open))
	f.mu.Unlock()
	var errs []error
	for _, s := range open {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// fakeStack implements sandbox.Stack.
type fakeStack struct {
	f     *Fake
	id    string
	nodes []*fakeNode
	once  sync.Once
}

func (s *fakeStack) ID() string { return s.id }

func (s *fakeStack) Nodes() []sandbox.Node {
	out := make([]sandbox.Node, len(s.nodes))
	for i, n := range s.nodes {
		out[i] = n
	}
	return out
}

func (s *fakeStack) Close() error {
	var errs []error
	s.once.Do(func() {
		s.f.mu.Lock()
		delete(s.f.open, s)
		s.f.mu.Unlock()
		for _, n := range s.nodes {
			errs = append(errs, n.Client.Close())
		}
	})
	return errors.Join(errs...)
}

// nextDir creates a directory with a short path for a node.
func (w *world) nextDir() (string, error) {
	w.mu.Lock()
	w.made++
	dir := filepath.Join(w.dir, fmt.Sprint(w.made))
	w.mu.Unlock()
	return dir, os.Mkdir(dir, 0o700)
}
