package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

// Labels of containers and networks. The labels of the Spec have the prefix labelSpec.
const (
	labelInstance  = "labd.instance"
	labelStack     = "labd.stack"
	labelNode      = "labd.node"
	labelNodes     = "labd.nodes" // names of the stack's nodes, in order, separated by commas
	labelWiring    = "labd.wiring"
	labelIsolation = "labd.isolation"
	labelSpec      = "labd.spec."
)

const (
	runTmpfs = "rw,nosuid,nodev,mode=755,size=64m"
	// logSize bounds the engine's log of a node's first process, because a learner can write to its
	// output.
	logSize = "1m"
	// oomScore makes the kernel kill learners' nodes first when the host runs out of memory.
	oomScore = 500
	// exitKilled is the exit code after SIGKILL. The engine may report only up to oomPatience later
	// that the process was killed for lack of memory.
	exitKilled  = 137
	oomPatience = time.Second
	// removePatience is how long the removal of a container may take.
	removePatience = 30 * time.Second
)

// capabilities are all capabilities of a node. Under gVisor they apply inside gVisor's kernel only.
var capabilities = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_ADMIN", "NET_RAW",
	"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE",
}

// nodePlan is the input for creating a node's container.
type nodePlan struct {
	spec    sandbox.NodeSpec
	limits  sandbox.Limits
	labels  map[string]string
	disk    disk
	image   string
	layers  string        // directory of the seed's layers
	network *stackNetwork // nil for none
	address string        // in the network
	hosts   []string      // name:address of every node
	dns     string        // resolv.conf on the host; "" for the engine's own
}

// createContainer creates and starts a node's container.
func (d *Driver) createContainer(ctx context.Context, name string, p nodePlan) (string, error) {
	cfg := &container.Config{
		Hostname: p.spec.Name,
		Image:    p.image,
		Env:      environ(p.spec.Env),
		Labels:   p.labels,
	}
	resp, err := d.cli.ContainerCreate(ctx, cfg, d.hostConfig(p), networkConfig(p), nil, name)
	if err != nil {
		if cerrdefs.IsConflict(err) {
			return "", fmt.Errorf("create container: %w: %w", errExists, err)
		}
		return "", fmt.Errorf("create container: %w", err)
	}
	if err := d.cli.ContainerStart(ctx, resp.ID, container.StartOptions{}); err != nil {
		return "", fmt.Errorf("start container: %w", err)
	}
	return resp.ID, nil
}

func (d *Driver) hostConfig(p nodePlan) *container.HostConfig {
	pids := p.limits.PIDs
	h := &container.HostConfig{
		Runtime:        d.profile.Runtime,
		ReadonlyRootfs: true,
		CapDrop:        []string{"ALL"},
		CapAdd:         capabilities,
		// Docker hides parts of /proc and /sys by default. The node's engine needs them to set
		// addresses and forwarding.
		MaskedPaths:   []string{},
		ReadonlyPaths: []string{},
		Tmpfs:         map[string]string{"/run": runTmpfs},
		Mounts:        nodeMounts(p),
		OomScoreAdj:   oomScore,
		LogConfig:     container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": logSize, "max-file": "1"}},
		NetworkMode:   network.NetworkNone,
		ExtraHosts:    p.hosts,
		Resources: container.Resources{
			Memory:     p.limits.MemoryBytes,
			MemorySwap: p.limits.MemoryBytes,
			NanoCPUs:   int64(p.limits.CPUs * 1e9),
			PidsLimit:  &pids,
		},
	}
	if p.network != nil {
		h.NetworkMode = container.NetworkMode(p.network.id)
	}
	if d.profile.SharesKernel {
		h.SecurityOpt = []string{"seccomp=unconfined", "apparmor=unconfined"}
		h.CgroupnsMode = container.CgroupnsModePrivate
	}
	return h
}

// nodeMounts returns the mounts of the node's disk, the layers and resolv.conf.
func nodeMounts(p nodePlan) []mount.Mount {
	var out []mount.Mount
	var options *mount.BindOptions
	if p.disk.trusted {
		// dockerd needs its directory on a mount with shared or slave propagation. Otherwise it
		// bind-mounts the directory over itself, which hides the layers mounted below it. gVisor is
		// not affected.
		options = &mount.BindOptions{Propagation: mount.PropagationRSlave}
	}
	for _, m := range seed.DiskDirs {
		out = append(out, mount.Mount{
			Type: mount.TypeBind, Source: filepath.Join(p.disk.mount(), m.Name), Target: m.Target, BindOptions: options,
		})
	}
	out = append(out, mount.Mount{Type: mount.TypeBind, Source: p.layers, Target: seed.LayersTarget, ReadOnly: true})
	if p.dns != "" {
		out = append(out, mount.Mount{Type: mount.TypeBind, Source: p.dns, Target: "/etc/resolv.conf", ReadOnly: true})
	}
	return out
}

func networkConfig(p nodePlan) *network.NetworkingConfig {
	if p.network == nil {
		return nil
	}
	return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		p.network.id: {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: p.address}},
	}}
}

// environ returns the variables as KEY=value, sorted.
func environ(env map[string]string) []string {
	var out []string
	for k, v := range env {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}

// stackLabels returns the labels of the stack's containers and networks.
func (d *Driver) stackLabels(spec sandbox.Spec) map[string]string {
	var names []string
	for _, n := range spec.Nodes {
		names = append(names, n.Name)
	}
	labels := map[string]string{
		labelInstance:  d.cfg.Instance,
		labelStack:     spec.ID,
		labelNodes:     strings.Join(names, ","),
		labelWiring:    string(wiringFor(spec)),
		labelIsolation: d.profile.Name,
	}
	for k, v := range spec.Labels {
		labels[labelSpec+k] = v
	}
	return labels
}

// specLabels returns the labels that the Spec had.
func specLabels(labels map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range labels {
		if k, ok := strings.CutPrefix(k, labelSpec); ok {
			out[k] = v
		}
	}
	return out
}

func (d *Driver) containerName(stack, node string) string {
	return "labd_" + d.cfg.Instance + "_" + stack + "_" + node
}

// stackContainers lists the containers of one stack, or of all if id is "", sorted by node name.
func (d *Driver) stackContainers(ctx context.Context, id string) ([]container.Summary, error) {
	list, err := d.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: d.filter(id)})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	slices.SortFunc(list, func(a, b container.Summary) int { return cmp.Compare(a.Labels[labelNode], b.Labels[labelNode]) })
	return list, nil
}

// removeContainer kills and removes a container and waits until it is gone. name may be an id. It
// returns nil if there is none.
func (d *Driver) removeContainer(ctx context.Context, name string) error {
	deadline := time.Now().Add(removePatience)
	for {
		err := d.cli.ContainerRemove(ctx, name, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if err == nil || cerrdefs.IsNotFound(err) {
			return nil
		}
		// Another request may be removing it, or its state may be changing. Retry.
		retry := cerrdefs.IsConflict(err) || cerrdefs.IsInternal(err)
		if !retry || time.Now().After(deadline) {
			return fmt.Errorf("remove container %s: %w", name, err)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("remove container %s: %w", name, context.Cause(ctx))
		}
	}
}

// whyDown asks the engine about a container that can't be reached. It returns a NodeDownError if
// the node is down, an ErrNotFound if its container does not exist, an ErrUnavailable if the engine
// does not answer, and nil if the node is running.
func (d *Driver) whyDown(ctx context.Context, node, containerID string, cause error) error {
	var info container.InspectResponse
	for deadline := time.Now().Add(oomPatience); ; {
		var err error
		info, err = d.cli.ContainerInspect(ctx, containerID)
		if cerrdefs.IsNotFound(err) {
			return fmt.Errorf("node %s: %w", node, sandbox.ErrNotFound)
		}
		if err != nil {
			return engineError(ctx, fmt.Errorf("look at node %s: %w", node, err))
		}
		if info.State.Running && !info.State.Paused && !info.State.Dead {
			return nil
		}
		if info.State.OOMKilled || info.State.ExitCode != exitKilled || time.Now().After(deadline) {
			break
		}
		select {
		case <-time.After(oomPatience / 10):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	down := &sandbox.NodeDownError{Node: node, Reason: sandbox.DownEnded}
	if info.State.OOMKilled {
		down.Reason = sandbox.DownMemory
	}
	down.Err = errors.New("exit code " + strconv.Itoa(info.State.ExitCode))
	if cause != nil {
		down.Err = fmt.Errorf("%w (exit code %d)", cause, info.State.ExitCode)
	}
	return down
}
