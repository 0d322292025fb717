package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/isolation"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

// minFreeMemory is the memory that must be available before another stack is created.
const minFreeMemory = 256 << 20

// stack is a connection to one stack.
type stack struct {
	d     *Driver
	id    string
	nodes []*node
	once  sync.Once
}

var _ sandbox.Stack = (*stack)(nil)

func (s *stack) ID() string { return s.id }

func (s *stack) Nodes() []sandbox.Node {
	out := make([]sandbox.Node, len(s.nodes))
	for i, n := range s.nodes {
		out[i] = n
	}
	return out
}

// Close closes the connections to the nodes.
func (s *stack) Close() error {
	var errs []error
	s.once.Do(func() {
		s.d.mu.Lock()
		delete(s.d.open, s)
		s.d.mu.Unlock()
		for _, n := range s.nodes {
			errs = append(errs, n.Client.Close())
		}
	})
	return errors.Join(errs...)
}

// newStack returns a connection to existing nodes. It connects to them only when they are used.
func (d *Driver) newStack(id string, w wiring, names, containers []string, disks []disk) (*stack, error) {
	s := &stack{d: d, id: id}
	for i, name := range names {
		s.nodes = append(s.nodes, d.newNode(name, containers[i], disks[i], w))
	}
	d.mu.Lock()
	closed := d.closed
	if !closed {
		d.open[s] = struct{}{}
	}
	d.mu.Unlock()
	if closed {
		return nil, errors.Join(fmt.Errorf("%w: the driver is closed", sandbox.ErrUnavailable), s.Close())
	}
	return s, nil
}

// Create creates a stack. On an error it removes what it has created. It checks ctx between
// requests to the engine but never cancels one: the engine would continue, and create something
// that nobody knows of.
func (d *Driver) Create(ctx context.Context, spec sandbox.Spec) (_ sandbox.Stack, err error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	sd, err := seed.Open(d.cfg.SeedDir)
	if err != nil {
		return nil, fmt.Errorf("open seed: %w", err)
	}
	for _, n := range spec.Nodes {
		for _, image := range n.Images {
			if !slices.Contains(sd.Images, image) {
				return nil, fmt.Errorf("node %s: %w: %s", n.Name, sandbox.ErrImageMissing, image)
			}
		}
	}
	if err := d.checkCapacity(); err != nil {
		return nil, err
	}
	if err := d.agree(ctx); err != nil {
		return nil, err
	}
	if _, err := d.cli.Ping(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, d.unavailable(err)
	}
	done, err := d.claim(ctx, spec.ID, true)
	if err != nil {
		return nil, err
	}
	defer done()

	var u undo
	defer func() {
		if err == nil {
			u.Release()
			return
		}
		err = fmt.Errorf("create stack %s: %w", spec.ID, engineError(ctx, err))
		if uerr := u.Run(); uerr != nil {
			d.log.Error("A stack that could not be made was not fully undone; it is listed as broken.", "stack", spec.ID, "err", uerr)
		}
	}()
	s, err := d.create(ctx, spec, sd, &u)
	if err != nil {
		return nil, err // a nil *stack in the interface would not be nil
	}
	return s, nil
}

func (d *Driver) create(ctx context.Context, spec sandbox.Spec, sd *seed.Seed, u *undo) (*stack, error) {
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if err := os.MkdirAll(d.nodesDir(), 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	// The directory reserves the id, also across restarts of labd.
	dir := d.stackDir(spec.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil, errExists
		}
		return nil, fmt.Errorf("make stack directory: %w", err)
	}
	u.Push("remove stack directory", func(context.Context) error { return removeEmpty(dir) })

	plans, w, err := d.prepare(call, spec, sd, u)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	names := make([]string, len(plans))
	containers := make([]string, len(plans))
	disks := make([]disk, len(plans))
	g, gctx := errgroup.WithContext(ctx)
	for i, p := range plans {
		names[i], disks[i] = p.spec.Name, p.disk
		g.Go(func() error {
			if gctx.Err() != nil {
				return context.Cause(gctx)
			}
			name := d.containerName(spec.ID, p.spec.Name)
			u.Push("remove container", func(ctx context.Context) error { return d.removeContainer(ctx, name) })
			id, err := d.createContainer(call, name, p)
			if err != nil {
				return fmt.Errorf("node %s: %w", p.spec.Name, err)
			}
			containers[i] = id
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	s, err := d.newStack(spec.ID, w, names, containers, disks)
	if err != nil {
		return nil, err
	}
	if err := s.awaitAgents(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare creates the network and, concurrently, the disks.
func (d *Driver) prepare(ctx context.Context, spec sandbox.Spec, sd *seed.Seed, u *undo) ([]nodePlan, wiring, error) {
	w := wiringFor(spec)
	plans := make([]nodePlan, len(spec.Nodes))
	g, gctx := errgroup.WithContext(ctx)
	var net *stackNetwork
	if w != wiredNone {
		g.Go(func() error {
			n, err := d.createNetwork(gctx, spec, w, u)
			net = &n
			return err
		})
	}
	for i, n := range spec.Nodes {
		p := &plans[i]
		*p = nodePlan{
			spec:   n,
			limits: effectiveLimits(n.Limits, d.cfg.Defaults),
			labels: d.stackLabels(spec),
			disk:   d.nodeDisk(spec.ID, n.Name, d.profile),
			image:  sd.NodeImage,
			layers: sd.LayersDir,
		}
		p.labels[labelNode] = n.Name
		g.Go(func() error {
			u.Push("remove disk", p.disk.Destroy)
			if err := p.disk.Create(gctx, sd, p.limits.DiskBytes); err != nil {
				return fmt.Errorf("node %s: %w", n.Name, err)
			}
			if w != wiredInternet {
				return nil
			}
			p.dns = filepath.Join(p.disk.dir, "resolv.conf")
			return os.WriteFile(p.dns, d.resolvConf(), 0o644)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, w, err
	}
	if net != nil {
		var hosts []string
		for i := range plans {
			plans[i].network, plans[i].address = net, net.address(i).String()
			hosts = append(hosts, plans[i].spec.Name+":"+plans[i].address)
		}
		for i := range plans {
			plans[i].hosts = hosts
		}
	}
	return plans, w, nil
}

// resolvConf is the content of resolv.conf in nodes with internet. The engine's own names a server
// on a loopback address, which does not exist in gVisor's network stack.
func (d *Driver) resolvConf() []byte {
	var b strings.Builder
	for _, r := range d.resolvers {
		fmt.Fprintf(&b, "nameserver %s\n", r)
	}
	return []byte(b.String())
}

// awaitAgents waits until every node's agent answers.
func (s *stack) awaitAgents(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, agentPatience,
		fmt.Errorf("%w: its agent did not answer within %s", sandbox.ErrNodeDown, agentPatience))
	defer cancel()
	g, gctx := errgroup.WithContext(ctx)
	for _, n := range s.nodes {
		g.Go(func() error { return n.await(gctx) })
	}
	return g.Wait()
}

// checkCapacity returns an ErrCapacity if the host lacks disk space or memory for another stack.
func (d *Driver) checkCapacity() error {
	if err := os.MkdirAll(d.nodesDir(), 0o700); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	free, err := freeBytes(d.nodesDir())
	if err != nil {
		return fmt.Errorf("look at free disk: %w", err)
	}
	if free < minFreeDisk {
		return fmt.Errorf("%w: %d MiB of disk are free at %s, %d are needed", sandbox.ErrCapacity, free>>20, d.nodesDir(), minFreeDisk>>20)
	}
	memory, err := availableMemory("/proc/meminfo")
	if err != nil {
		return fmt.Errorf("look at free memory: %w", err)
	}
	if memory < minFreeMemory {
		return fmt.Errorf("%w: %d MiB of memory are available, %d are needed", sandbox.ErrCapacity, memory>>20, minFreeMemory>>20)
	}
	return nil
}

// Open connects to an existing stack. It mounts the disks again after a reboot.
func (d *Driver) Open(ctx context.Context, id string) (sandbox.Stack, error) {
	if err := sandbox.CheckID(id); err != nil {
		return nil, err
	}
	if err := d.agree(ctx); err != nil {
		return nil, fmt.Errorf("open stack %s: %w", id, err)
	}
	done, err := d.claim(ctx, id, false)
	if err != nil {
		return nil, err
	}
	defer done()
	s, err := d.openStack(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("open stack %s: %w", id, engineError(ctx, err))
	}
	return s, nil
}

func (d *Driver) openStack(ctx context.Context, id string) (*stack, error) {
	list, err := d.stackContainers(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, sandbox.ErrNotFound
	}
	labels := list[0].Labels
	w := wiring(labels[labelWiring])
	names := strings.Split(labels[labelNodes], ",")
	if w != wiredNone {
		nets, err := d.stackNetworks(ctx, id)
		if err != nil {
			return nil, err
		}
		if len(nets) == 0 {
			return nil, fmt.Errorf("%w: its network is gone", sandbox.ErrNotFound)
		}
		if err := d.ensureFirewall(ctx); err != nil {
			return nil, err
		}
	}
	if why := d.incomplete(id, names, list); why != "" {
		return nil, fmt.Errorf("%w: %s", sandbox.ErrNotFound, why)
	}
	profile, ok := isolation.Find(labels[labelIsolation])
	if !ok {
		return nil, fmt.Errorf("it was made under the isolation profile %q, which this labd does not have", labels[labelIsolation])
	}
	containers := make([]string, len(names))
	disks := make([]disk, len(names))
	for i, name := range names {
		disks[i] = d.nodeDisk(id, name, profile)
		for _, c := range list {
			if c.Labels[labelNode] == name {
				containers[i] = c.ID
			}
		}
		if err := disks[i].Mount(); err != nil {
			return nil, fmt.Errorf("node %s: %w", name, err)
		}
	}
	return d.newStack(id, w, names, containers, disks)
}

// incomplete says which part of the stack is missing, or "".
func (d *Driver) incomplete(id string, names []string, list []container.Summary) string {
	for _, name := range names {
		i := slices.IndexFunc(list, func(c container.Summary) bool { return c.Labels[labelNode] == name })
		if i < 0 {
			return "node " + name + " has no container"
		}
		if list[i].State == container.StateCreated {
			return "node " + name + " was never started"
		}
		if _, err := os.Lstat(d.nodeDisk(id, name, isolation.Profile{}).image()); err != nil {
			return "node " + name + " has no disk"
		}
	}
	return ""
}

// List returns all stacks of this instance, except those that Create is making.
func (d *Driver) List(ctx context.Context) ([]sandbox.Info, error) {
	if err := d.agree(ctx); err != nil {
		return nil, err
	}
	infos, err := d.list(ctx)
	if err != nil {
		return nil, engineError(ctx, err)
	}
	return infos, nil
}

func (d *Driver) list(ctx context.Context) ([]sandbox.Info, error) {
	containers, err := d.stackContainers(ctx, "")
	if err != nil {
		return nil, err
	}
	networks, err := d.stackNetworks(ctx, "")
	if err != nil {
		return nil, err
	}
	nodes := map[string][]container.Summary{}
	for _, c := range containers {
		id := c.Labels[labelStack]
		nodes[id] = append(nodes[id], c)
	}
	wired := map[string]bool{}
	found := map[string]sandbox.Info{} // stacks that have parts other than nodes
	for _, n := range networks {
		id := n.Labels[labelStack]
		wired[id] = true
		found[id] = sandbox.Info{ID: id, Labels: specLabels(n.Labels), Created: n.Created, Broken: true}
	}
	entries, err := os.ReadDir(d.nodesDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list disks: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && found[e.Name()].ID == "" {
			found[e.Name()] = sandbox.Info{ID: e.Name(), Labels: map[string]string{}, Created: info.ModTime(), Broken: true}
		}
	}
	for id, list := range nodes {
		labels := list[0].Labels
		created := time.Unix(list[0].Created, 0)
		for _, c := range list {
			if t := time.Unix(c.Created, 0); t.Before(created) {
				created = t
			}
		}
		broken := d.incomplete(id, strings.Split(labels[labelNodes], ","), list) != "" ||
			wiring(labels[labelWiring]) != wiredNone && !wired[id]
		found[id] = sandbox.Info{ID: id, Labels: specLabels(labels), Created: created, Broken: broken}
	}
	var out []sandbox.Info
	for id, info := range found {
		if !d.isMaking(id) {
			out = append(out, info)
		}
	}
	slices.SortFunc(out, func(a, b sandbox.Info) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Destroy removes everything of the stack, even if parts are missing.
func (d *Driver) Destroy(ctx context.Context, id string) error {
	if err := sandbox.CheckID(id); err != nil {
		return err
	}
	if err := d.agree(ctx); err != nil {
		return fmt.Errorf("destroy stack %s: %w", id, err)
	}
	done, err := d.claim(ctx, id, false)
	if err != nil {
		return err
	}
	defer done()
	if err := d.destroy(ctx, id); err != nil {
		return fmt.Errorf("destroy stack %s: %w", id, engineError(ctx, err))
	}
	return nil
}

func (d *Driver) destroy(ctx context.Context, id string) error {
	containers, err := d.stackContainers(ctx, id)
	if err != nil {
		return err
	}
	var g errgroup.Group
	for _, c := range containers {
		g.Go(func() error { return d.removeContainer(ctx, c.ID) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// From here on nothing uses the network or the disks.
	networks, err := d.stackNetworks(ctx, id)
	if err != nil {
		return err
	}
	for _, n := range networks {
		if err := d.removeNetwork(ctx, n.ID); err != nil {
			return err
		}
	}
	d.closeStack(id)
	return d.removeDisks(ctx, id)
}

// closeStack closes the connections to a destroyed stack.
func (d *Driver) closeStack(id string) {
	d.mu.Lock()
	var gone []*stack
	for s := range d.open {
		if s.id == id {
			gone = append(gone, s)
		}
	}
	d.mu.Unlock()
	for _, s := range gone {
		_ = s.Close() // the connections are broken anyway
	}
}

// removeDisks removes the stack's disks, including those of nodes without a container.
func (d *Driver) removeDisks(ctx context.Context, id string) error {
	dir := d.stackDir(id)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list disks: %w", err)
	}
	for _, e := range entries {
		if err := (disk{dir: filepath.Join(dir, e.Name())}).Destroy(ctx); err != nil {
			return err
		}
	}
	return removeEmpty(dir)
}

// removeEmpty removes an empty directory. It returns nil if it does not exist.
func removeEmpty(dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove stack directory: %w", err)
	}
	return nil
}

// availableMemory returns MemAvailable of /proc/meminfo in bytes.
func availableMemory(meminfo string) (int64, error) {
	data, err := os.ReadFile(meminfo)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("%s has no MemAvailable", meminfo)
}
