package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/labd-dev/labd/sandbox"
)

const (
	// stackBits is the prefix length of one stack's subnet: 16 addresses, of which maxNodes nodes and a gateway are used.
	stackBits = 28
	// firstNode is the first node's address in its subnet; the one below is the gateway's.
	firstNode = 2
	// subnetAttempts bounds how often a subnet that something else on the host uses is skipped.
	subnetAttempts = 32
	// networkPatience is how long a network may stay busy after its containers are gone.
	networkPatience = 10 * time.Second
)

// defaultSubnets is the pool when Config gives none.
var defaultSubnets = netip.MustParsePrefix("10.213.0.0/16")

// Bridges are named so that one rule of the host's firewall covers every stack, also those of other instances.
const (
	bridgePrefix   = "labd"                // all of them
	internalPrefix = bridgePrefix + "i"    // no way out
	outwardPrefix  = bridgePrefix + "o"    // a way to the internet and nowhere else
	bridgeIDLen    = 15 - len("labdi") - 1 // what the kernel leaves of a name
)

// wiring is how a stack's nodes are connected.
type wiring string

const (
	wiredNone     wiring = "none"     // one node on its own: loopback only
	wiredInternal wiring = "internal" // nodes see each other and nothing else
	wiredInternet wiring = "internet" // nodes see each other and the internet
)

// wiringFor is the least that spec needs.
func wiringFor(spec sandbox.Spec) wiring {
	switch {
	case spec.Internet:
		return wiredInternet
	case len(spec.Nodes) > 1:
		return wiredInternal
	default:
		return wiredNone
	}
}

// stackNetwork is a network that a stack has.
type stackNetwork struct {
	id     string
	subnet netip.Prefix
}

// address is that of the i-th node.
func (n stackNetwork) address(i int) netip.Addr {
	a := n.subnet.Addr()
	for range firstNode + i {
		a = a.Next()
	}
	return a
}

// pool hands out subnets of one prefix. What is in use is read from the engine each time, so nothing needs to be kept.
type pool struct {
	prefix netip.Prefix
	// taken holds what was handed out and not given back yet, so that two stacks made at once differ. Guarded by the
	// driver's netMu.
	taken map[netip.Prefix]bool
}

// next returns the first subnet that neither overlaps one of used nor is taken, or ErrCapacity.
func (p *pool) next(used []netip.Prefix) (netip.Prefix, error) {
	for at := netip.PrefixFrom(p.prefix.Masked().Addr(), stackBits); at.Addr().IsValid() && p.prefix.Contains(at.Addr()); at = following(at) {
		if p.taken[at] {
			continue
		}
		free := true
		for _, u := range used {
			if u.Overlaps(at) {
				free = false
				break
			}
		}
		if free {
			return at, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("%w: every subnet of %s is in use", sandbox.ErrCapacity, p.prefix)
}

// following is the subnet after p, of the same size; invalid at the end of all addresses.
func following(p netip.Prefix) netip.Prefix {
	b := p.Addr().As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n += 1 << (32 - p.Bits())
	if n == 0 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), p.Bits())
}

// createNetwork makes the stack's network in a subnet of its own. Its removal is pushed on u.
func (d *Driver) createNetwork(ctx context.Context, spec sandbox.Spec, w wiring, u *undo) (stackNetwork, error) {
	if err := d.ensureFirewall(ctx); err != nil {
		return stackNetwork{}, err
	}
	name := d.networkName(spec.ID)
	u.Push("remove network", func(ctx context.Context) error { return d.removeNetwork(ctx, name) })
	var refused []netip.Prefix
	for range subnetAttempts {
		subnet, err := d.reserveSubnet(ctx, refused)
		if err != nil {
			return stackNetwork{}, err
		}
		id, err := d.tryNetwork(ctx, name, spec, w, subnet)
		d.releaseSubnet(subnet)
		if err == nil {
			return stackNetwork{id: id, subnet: subnet}, disableIPv6(bridgeName(w, name))
		}
		// The host's other interfaces and routes are not in the engine's list of networks.
		if !strings.Contains(err.Error(), "overlaps") {
			return stackNetwork{}, fmt.Errorf("create network: %w", err)
		}
		refused = append(refused, subnet)
	}
	return stackNetwork{}, fmt.Errorf("%w: the host uses %d subnets of %s for something else", sandbox.ErrCapacity, subnetAttempts, d.subnets.prefix)
}

func (d *Driver) tryNetwork(ctx context.Context, name string, spec sandbox.Spec, w wiring, subnet netip.Prefix) (string, error) {
	options := map[string]string{"com.docker.network.bridge.name": bridgeName(w, name)}
	if w == wiredInternal {
		// The host gets no address in the network, so there is nothing to talk to but the other nodes.
		options["com.docker.network.bridge.inhibit_ipv4"] = "true"
	}
	noIPv6 := false
	resp, err := d.cli.NetworkCreate(ctx, name, network.CreateOptions{
		Driver:     "bridge",
		Internal:   w == wiredInternal,
		EnableIPv6: &noIPv6,
		IPAM: &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{
			Subnet: subnet.String(), Gateway: subnet.Addr().Next().String(),
		}}},
		Options: options,
		Labels:  d.stackLabels(spec),
	})
	return resp.ID, err
}

// reserveSubnet picks a free subnet and keeps others from picking it until releaseSubnet.
func (d *Driver) reserveSubnet(ctx context.Context, refused []netip.Prefix) (netip.Prefix, error) {
	d.netMu.Lock()
	defer d.netMu.Unlock()
	list, err := d.cli.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("list networks: %w", err)
	}
	used := slices.Clone(refused)
	for _, n := range list {
		for _, c := range n.IPAM.Config {
			if p, err := netip.ParsePrefix(c.Subnet); err == nil {
				used = append(used, p)
			}
		}
	}
	subnet, err := d.subnets.next(used)
	if err != nil {
		return netip.Prefix{}, err
	}
	d.subnets.taken[subnet] = true
	return subnet, nil
}

func (d *Driver) releaseSubnet(subnet netip.Prefix) {
	d.netMu.Lock()
	defer d.netMu.Unlock()
	delete(d.subnets.taken, subnet)
}

// removeNetwork removes a network by name or id, waiting while the engine still detaches containers. Nil if it is gone.
func (d *Driver) removeNetwork(ctx context.Context, name string) error {
	deadline := time.Now().Add(networkPatience)
	for {
		err := d.cli.NetworkRemove(ctx, name)
		if err == nil || cerrdefs.IsNotFound(err) {
			return nil
		}
		if !cerrdefs.IsPermissionDenied(err) && !cerrdefs.IsConflict(err) || time.Now().After(deadline) {
			return fmt.Errorf("remove network %s: %w", name, err)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("remove network %s: %w", name, context.Cause(ctx))
		}
	}
}

// stackNetworks lists the networks of one stack, or of all if id is "".
func (d *Driver) stackNetworks(ctx context.Context, id string) ([]network.Summary, error) {
	list, err := d.cli.NetworkList(ctx, network.ListOptions{Filters: d.filter(id)})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	return list, nil
}

// filter selects what carries this instance's labels, and those of one stack unless id is "".
func (d *Driver) filter(id string) filters.Args {
	f := filters.NewArgs(filters.Arg("label", labelInstance+"="+d.cfg.Instance))
	if id != "" {
		f.Add("label", labelStack+"="+id)
	}
	return f
}

func (d *Driver) networkName(stack string) string { return "labd_" + d.cfg.Instance + "_" + stack }

// bridgeName is the host interface of a network: short, and different for each network's name.
func bridgeName(w wiring, networkName string) string {
	sum := sha256.Sum256([]byte(networkName))
	prefix := internalPrefix
	if w == wiredInternet {
		prefix = outwardPrefix
	}
	return prefix + "-" + hex.EncodeToString(sum[:])[:bridgeIDLen]
}

// disableIPv6 takes the link-local address that the kernel gives every interface from a bridge.
func disableIPv6(bridge string) error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+bridge+"/disable_ipv6", []byte("1"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("turn off IPv6 on %s: %w", bridge, err)
	}
	return nil
}
