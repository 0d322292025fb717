// Package docker is the driver that runs learners' stacks on a Docker Engine on this machine.
//
// # Nodes
//
// A node is one container of the node image with a read-only root file system. Everything that a
// learner can write is on the node's disk, an ext4 image in a sparse file. labd mounts it on the
// host, and its directories are bind-mounted into the container (see seed.DiskDirs). So one limit
// holds for everything, and the files outlive the container's process. The layers of the course
// images are one more bind mount, read-only and shared by all nodes. Symbolic links lead the node's
// engine to them.
//
// # What belongs to a stack
//
//	container  labd_<instance>_<stack>_<node>     one per node
//	network    labd_<instance>_<stack>            only with several nodes or internet
//	directory  <state>/nodes/<instance>/<stack>/<node>/{disk.img,mnt,env.json,resolv.conf}
//
// Containers and networks carry the labels labd.instance, labd.stack, labd.nodes and others. The
// driver keeps no other state than these labels and directories, so a labd with the same instance
// name and state directory finds the stacks again. Instances never touch each other's stacks.
//
// # Network
//
// A single node without internet has no network. Several nodes share a bridge on which the host has
// no address. With internet the bridge also has a route outward. The host's firewall drops packets
// from these bridges to the host itself and to private and link-local addresses.
//
// # Trust
//
// The engine and labd are both root on one machine and share its mount namespace. Nodes are not
// trusted at all: labd never opens a path below the mount of a node's disk, because every such path
// can be a symbolic link.
package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/isolation"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

const (
	// callTimeout bounds one request to the engine. Starting forty nodes at once took 37 s on two
	// cores.
	callTimeout = 2 * time.Minute
	// agentPatience is how long the agent of a started node may take to answer.
	agentPatience = 2 * time.Minute
	// readyTimeout bounds Ready, because people wait for the page that calls it.
	readyTimeout = 5 * time.Second
)

// DefaultHost is the address of the local engine.
const DefaultHost = "unix:///var/run/docker.sock"

// errExists is an ErrInvalid: a stack with this id exists already.
var errExists = fmt.Errorf("%w: a stack with this id exists", sandbox.ErrInvalid)

var instancePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Config is the configuration of a Driver. Only SeedDir and StateDir are required.
type Config struct {
	Host      string // the engine, as unix:///path; DefaultHost if empty
	Isolation string // name of a profile of package isolation; the default profile if empty
	SeedDir   string // directory of the seed, see package seed
	StateDir  string // node disks are in its subdirectory nodes
	// IPv4 range for stack networks, 16 addresses per stack; must not be used for anything else
	Subnets   netip.Prefix
	Defaults  sandbox.Limits // limits of nodes whose spec has none
	Instance  string         // distinguishes several labd processes on one engine; 1-32 of [a-z0-9-], "labd" if empty
	Resolvers []netip.Addr   // name servers of stacks with internet; the host's if empty
	Log       *slog.Logger   // discards if nil
}

// Driver is a sandbox.Driver on a Docker Engine of this machine.
type Driver struct {
	cfg       Config
	profile   isolation.Profile
	cli       *client.Client
	log       *slog.Logger
	resolvers []netip.Addr

	agreeing chan struct{} // a lock with a timeout, for negotiating the API version
	agreed   atomic.Bool   // the API version is negotiated

	firewallMu sync.Mutex

	netMu   sync.Mutex
	subnets *pool // guarded by netMu

	mu     sync.Mutex
	busy   map[string]chan struct{} // stacks in Create, Open or Destroy; closed when done; guarded by mu
	making map[string]bool          // stacks in Create; guarded by mu
	open   map[*stack]struct{}      // guarded by mu
	closed bool                     // guarded by mu
	usable bool                     // the engine is known to have the runtime; guarded by mu
}

var _ sandbox.Driver = (*Driver)(nil)

// New returns a driver. The engine need not answer yet and the seed need not exist: Ready checks
// both.
func New(ctx context.Context, cfg Config) (*Driver, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := checkConfig(&cfg); err != nil {
		return nil, err
	}
	cli, err := client.NewClientWithOpts(client.WithHost(cfg.Host), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("engine client for %s: %w", cfg.Host, err)
	}
	profile, _ := isolation.Find(cfg.Isolation) // checkConfig has checked the name
	d := &Driver{
		cfg:       cfg,
		profile:   profile,
		cli:       cli,
		log:       cfg.Log,
		resolvers: cfg.Resolvers,
		agreeing:  make(chan struct{}, 1),
		subnets:   &pool{prefix: cfg.Subnets, taken: map[netip.Prefix]bool{}},
		busy:      map[string]chan struct{}{},
		making:    map[string]bool{},
		open:      map[*stack]struct{}{},
	}
	if len(d.resolvers) == 0 {
		d.resolvers = hostResolvers("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
	}
	return d, nil
}

// checkConfig fills in defaults. Its error says what to change.
func checkConfig(cfg *Config) error {
	if runtime.GOOS != "linux" {
		return errors.New("the Docker driver needs Linux: run labd in a Linux machine, or without labs")
	}
	if os.Geteuid() != 0 {
		return errors.New("the Docker driver mounts the nodes' disks and must run as root: start labd with sudo")
	}
	if cfg.Host == "" {
		cfg.Host = DefaultHost
	}
	if !strings.HasPrefix(cfg.Host, "unix://") {
		return invalid("engine %s: nodes' disks are mounted on this machine, so the engine must be here too, at unix:///path", cfg.Host)
	}
	if cfg.Isolation == "" {
		cfg.Isolation = isolation.GVisor().Name
	}
	if _, ok := isolation.Find(cfg.Isolation); !ok {
		return invalid("isolation %q: must be one of %s", cfg.Isolation, strings.Join(isolation.Names(), ", "))
	}
	if cfg.SeedDir == "" || cfg.StateDir == "" {
		return invalid("the seed and state directories must be set")
	}
	for _, dir := range []*string{&cfg.SeedDir, &cfg.StateDir} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return err
		}
		*dir = abs
	}
	if !cfg.Subnets.IsValid() {
		cfg.Subnets = defaultSubnets
	}
	if !cfg.Subnets.Addr().Is4() || cfg.Subnets.Bits() > stackBits {
		return invalid("subnets %s: must be an IPv4 prefix of at most %d bits", cfg.Subnets, stackBits)
	}
	if cfg.Instance == "" {
		cfg.Instance = "labd"
	}
	if !instancePattern.MatchString(cfg.Instance) {
		return invalid("instance %q: must be 1-32 of [a-z0-9-]", cfg.Instance)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Defaults.Check(); err != nil {
		return fmt.Errorf("default limits: %w", err)
	}
	return nil
}

// Ready returns nil when Create could work now.
func (d *Driver) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	s, err := seed.Open(d.cfg.SeedDir)
	if err != nil {
		return fmt.Errorf("open seed: %w", err)
	}
	if err := d.checkEngine(ctx); err != nil {
		return err
	}
	_, err = d.cli.ImageInspect(ctx, s.NodeImage)
	if cerrdefs.IsNotFound(err) {
		return fmt.Errorf("%w: the engine has no node image %s; build it with `labd images build`", sandbox.ErrImageMissing, s.NodeImage)
	}
	return d.unavailable(err)
}

// agree negotiates the API version with the engine, once, before any other request. The client
// library would do so in its first request, but it writes the version while concurrent requests
// read it.
func (d *Driver) agree(ctx context.Context) error {
	if d.agreed.Load() {
		return nil
	}
	select {
	case d.agreeing <- struct{}{}:
		defer func() { <-d.agreeing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if d.agreed.Load() {
		return nil
	}
	ping, err := d.cli.Ping(ctx)
	if err == nil && ping.APIVersion == "" {
		err = errors.New("what answers is no Docker engine")
	}
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return d.unavailable(err)
	}
	d.cli.NegotiateAPIVersionPing(ping)
	d.agreed.Store(true)
	return nil
}

// checkEngine returns an ErrUnavailable unless the engine answers and has the runtime.
func (d *Driver) checkEngine(ctx context.Context) error {
	if err := d.agree(ctx); errors.Is(err, sandbox.ErrUnavailable) {
		return err
	} else if err != nil {
		return d.unavailable(err) // the engine did not answer in time
	}
	d.mu.Lock()
	usable := d.usable
	d.mu.Unlock()
	if usable {
		_, err := d.cli.Ping(ctx)
		return d.unavailable(err)
	}
	info, err := d.cli.Info(ctx)
	if err != nil {
		return d.unavailable(err)
	}
	if _, ok := info.Runtimes[d.profile.Runtime]; !ok {
		return fmt.Errorf("%w: the engine at %s has no runtime %s; `labd setup` registers it", sandbox.ErrUnavailable, d.cfg.Host, d.profile.Runtime)
	}
	d.mu.Lock()
	d.usable = true
	d.mu.Unlock()
	return nil
}

// unavailable turns any error of a request to the engine into an ErrUnavailable.
func (d *Driver) unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", sandbox.ErrUnavailable, d.cfg.Host, err)
}

// Profile returns the isolation profile of new stacks.
func (d *Driver) Profile() sandbox.Profile { return d.profile.Profile }

// Images returns the images in the seed.
func (d *Driver) Images(ctx context.Context) ([]string, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s, err := seed.Open(d.cfg.SeedDir)
	if err != nil {
		return nil, fmt.Errorf("open seed: %w", err)
	}
	images := slices.Clone(s.Images)
	slices.Sort(images)
	return images, nil
}

// Close closes the connections of all open stacks. The stacks keep running.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	open := make([]*stack, 0, len(d.open))
	for s := range d.open {
		open = append(open, s)
	}
	d.mu.Unlock()
	var errs []error
	for _, s := range open {
		errs = append(errs, s.Close())
	}
	errs = append(errs, d.cli.Close())
	return errors.Join(errs...)
}

// claim waits until no other call creates, opens or destroys the stack. The caller must call the
// returned function when done.
func (d *Driver) claim(ctx context.Context, id string, making bool) (func(), error) {
	for {
		d.mu.Lock()
		if d.closed {
			d.mu.Unlock()
			return nil, fmt.Errorf("%w: the driver is closed", sandbox.ErrUnavailable)
		}
		other := d.busy[id]
		if other == nil {
			done := make(chan struct{})
			d.busy[id] = done
			d.making[id] = making
			d.mu.Unlock()
			return func() {
				d.mu.Lock()
				delete(d.busy, id)
				delete(d.making, id)
				d.mu.Unlock()
				close(done)
			}, nil
		}
		d.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// isMaking reports whether Create is making the stack. Its parts are incomplete then, but it is not
// broken.
func (d *Driver) isMaking(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.making[id]
}

// nodesDir is the directory of the disks of this instance.
func (d *Driver) nodesDir() string { return filepath.Join(d.cfg.StateDir, "nodes", d.cfg.Instance) }

func (d *Driver) stackDir(id string) string { return filepath.Join(d.nodesDir(), id) }

// nodeDisk returns the disk of a node whose stack was made with the profile.
func (d *Driver) nodeDisk(stack, node string, profile isolation.Profile) disk {
	return disk{dir: filepath.Join(d.stackDir(stack), node), trusted: profile.SharesKernel}
}
