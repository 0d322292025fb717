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
	// stackBits is the prefix length of a stack's subnet: 16 addresses, enough for maxNodes nodes
	// and a gateway.
	stackBits = 28
	// firstNode is the position of the first node's address in the subnet. The gateway has the one
	// before.
	firstNode = 2
	// subnetAttempts bounds the number of subnets that are skipped because the host uses them.
	subnetAttempts = 32
	// networkPatience is how long a network may stay in use after its containers are gone.
	networkPatience = 10 * time.Second
)

// defaultSubnets is used if Config.Subnets is not set.
var defaultSubnets = netip.MustParsePrefix("10.213.0.0/16")

// The names of the bridges have prefixes, so that a few firewall rules cover all stacks of all
// instances.
const (
	bridgePrefix   = "labd"                // of all bridges
	internalPrefix = bridgePrefix + "i"    // of bridges without a route outward
	outwardPrefix  = bridgePrefix + "o"    // of bridges with a route to the internet only
	bridgeIDLen    = 15 - len("labdi") - 1 // interface names have at most 15 bytes
)

// wiring says how the nodes of a stack are connected.
type wiring string

const (
	wiredNone     wiring = "none"     // a single node with a loopback interface only
	wiredInternal wiring = "internal" // the nodes reach each other and nothing else
	wiredInternet wiring = "internet" // the nodes reach each other and the internet
)

// wiringFor returns the most restrictive wiring that fits spec.
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

// stackNetwork is the network of a stack.
type stackNetwork struct {
	id     string
	subnet netip.Prefix
}

// address returns the address of node i.
func (n stackNetwork) address(i int) netip.Addr {
	a := n.subnet.Addr()
	for range firstNode + i {
		a = a.Next()
	}
	return a
}

// pool assigns subnets of one prefix. It asks the engine each time which are in use, so it stores
// nothing.
type pool struct {
	prefix netip.Prefix
	// taken contains subnets that were assigned but are not in the engine's list yet, so that
	// concurrent calls of Create get different ones. Guarded by the driver's netMu.
	taken map[netip.Prefix]bool
}

// next returns the first subnet that is not taken and does not overlap any of used. ErrCapacity if
// there is none.
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

// following returns the next subnet of the same size. It is invalid after the last address.
func following(p netip.Prefix) netip.Prefix {
	b := p.Addr().As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n += 1 << (32 - p.Bits())
	if n == 0 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), p.Bits())
}

// createNetwork creates the stack's network in a subnet of its own, and adds its removal to u.
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
		// The engine's list of networks does not include other interfaces and routes of the host.
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
		// The host gets no address in the network, so the nodes can reach only each other.
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

// reserveSubnet returns a free subnet that nobody else gets until releaseSubnet.
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

// removeNetwork removes a network. It retries while the engine still detaches containers. name may
// be an id. It returns nil if there is none.
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

// filter selects objects of this instance, and of one stack unless id is "".
func (d *Driver) filter(id string) filters.Args {
	f := filters.NewArgs(filters.Arg("label", labelInstance+"="+d.cfg.Instance))
	if id != "" {
		f.Add("label", labelStack+"="+id)
	}
	return f
}

func (d *Driver) networkName(stack string) string { return "labd_" + d.cfg.Instance + "_" + stack }

// bridgeName returns the host's interface name for a network: a hash that fits the kernel's limit.
func bridgeName(w wiring, networkName string) string {
	sum := sha256.Sum256([]byte(networkName))
	prefix := internalPrefix
	if w == wiredInternet {
		prefix = outwardPrefix
	}
	return prefix + "-" + hex.EncodeToString(sum[:])[:bridgeIDLen]
}

// disableIPv6 removes the link-local address that the kernel assigns to a bridge.
func disableIPv6(bridge string) error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+bridge+"/disable_ipv6", []byte("1"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("turn off IPv6 on %s: %w", bridge, err)
	}
	return nil
}
