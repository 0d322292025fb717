package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
)

// outwardChain is the firewall chain for packets of nodes with internet.
const outwardChain = "LABD-OUTWARD"

// forbidden are the addresses that nodes with internet must not reach: everything private to the
// host or its site, in particular cloud metadata services in 169.254.0.0/16.
var forbidden = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
}

// rule is a firewall rule. Rules with front are inserted before the existing ones.
type rule struct {
	chain string
	spec  string
	front bool
}

// firewallRules returns the rules for IPv4 and IPv6. They are in the mangle table, which is
// evaluated before the filter table that engines and firewall managers reorder. A DROP there is
// final.
func firewallRules(resolvers []netip.Addr) (v4, v6 []rule) {
	v4 = []rule{
		{chain: "INPUT", spec: "-i " + bridgePrefix + "+ -j DROP", front: true},
		{chain: "FORWARD", spec: "-i " + internalPrefix + "+ ! -o " + internalPrefix + "+ -j DROP", front: true},
		{chain: "FORWARD", spec: "! -i " + internalPrefix + "+ -o " + internalPrefix + "+ -j DROP", front: true},
		{chain: "FORWARD", spec: "-i " + outwardPrefix + "+ ! -o " + outwardPrefix + "+ -j " + outwardChain, front: true},
	}
	for _, net := range forbidden {
		v4 = append(v4, rule{chain: outwardChain, spec: "-d " + net + " -j DROP"})
	}
	for _, r := range resolvers {
		for _, proto := range []string{"udp", "tcp"} {
			v4 = append(v4, rule{
				chain: outwardChain,
				spec:  "-d " + r.String() + "/32 -p " + proto + " -m " + proto + " --dport 53 -j ACCEPT",
				front: true,
			})
		}
	}
	v6 = []rule{
		{chain: "INPUT", spec: "-i " + bridgePrefix + "+ -j DROP", front: true},
		{chain: "FORWARD", spec: "-i " + bridgePrefix + "+ -j DROP", front: true},
	}
	return v4, v6
}

// ensureFirewall adds missing rules, for example after a reboot or a firewall reload. The rules
// match labd's bridges only and are the same for all instances, so they are never removed.
func (d *Driver) ensureFirewall(ctx context.Context) error {
	d.firewallMu.Lock()
	defer d.firewallMu.Unlock()
	v4, v6 := firewallRules(d.resolvers)
	if err := applyRules(ctx, "iptables", v4); err != nil {
		return err
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		return nil // the host has no IPv6
	}
	return applyRules(ctx, "ip6tables", v6)
}

// applyRules adds the rules that the mangle table lacks. If it has all of them, that takes one
// command.
func applyRules(ctx context.Context, program string, rules []rule) error {
	out, err := iptables(ctx, program, "-S")
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for line := range strings.Lines(out) {
		have[strings.TrimSpace(line)] = true
	}
	for _, r := range rules {
		if have["-A "+r.chain+" "+r.spec] {
			continue
		}
		if strings.HasSuffix(r.spec, "-j "+outwardChain) && !have["-N "+outwardChain] {
			if _, err := iptables(ctx, program, "-N", outwardChain); err != nil {
				return err
			}
		}
		words := strings.Fields(r.spec)
		// The output of -S differs between versions; -C is reliable.
		if _, err := iptables(ctx, program, append([]string{"-C", r.chain}, words...)...); err == nil {
			continue
		}
		how := "-A"
		if r.front {
			how = "-I"
		}
		if _, err := iptables(ctx, program, append([]string{how, r.chain}, words...)...); err != nil {
			return err
		}
	}
	return nil
}

// iptables runs a command on the mangle table and waits for the xtables lock.
func iptables(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, append([]string{"-w", "-t", "mangle"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("stacks with a network need %s to keep them from the host: install the package iptables: %w", program, err)
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// hostResolvers returns the host's name servers that nodes may use. It skips loopback addresses,
// which are the host itself, and link-local ones, where clouds have their metadata.
func hostResolvers(files ...string) []netip.Addr {
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		var out []netip.Addr
		for line := range strings.Lines(string(data)) {
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "nameserver" {
				continue
			}
			a, err := netip.ParseAddr(words[1])
			if err == nil && a.Is4() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsUnspecified() {
				out = append(out, a)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}
