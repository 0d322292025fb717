//go:build linux

package docker_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/network"
	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker"
)

// Addresses of a test network behind the host. None of them is used before its route exists.
const (
	worldGateway  = "203.0.113.1"     // the host's address
	worldPublic   = "203.0.113.10"    // represents the internet
	worldPrefix   = "/28"             // covers only these two, so that real hosts with such addresses stay reachable
	worldPrivate  = "10.253.7.7"      // a machine in the operator's network
	worldResolver = "10.253.7.53"     // a name server in the operator's network
	worldMetadata = "169.254.169.254" // a cloud's metadata service
)

// world is a network namespace that represents everything outside this host.
type world struct {
	netns string
	veth  string
}

// newWorld creates a world and removes it at the end of the test.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{netns: fmt.Sprintf("labd-test-%d", os.Getpid()), veth: fmt.Sprintf("lt%d", os.Getpid())}
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	run("netns", "add", w.netns)
	t.Cleanup(func() {
		// Deleting the namespace deletes the veth and its routes too.
		if out, err := exec.Command("ip", "netns", "del", w.netns).CombinedOutput(); err != nil {
			t.Errorf("ip netns del: %v: %s", err, out)
		}
	})
	peer := w.veth + "p"
	run("link", "add", w.veth, "type", "veth", "peer", "name", peer, "netns", w.netns)
	run("addr", "add", worldGateway+worldPrefix, "dev", w.veth)
	run("link", "set", w.veth, "up")
	in := func(args ...string) { t.Helper(); run(append([]string{"-n", w.netns}, args...)...) }
	in("link", "set", "lo", "up")
	in("addr", "add", worldPublic+worldPrefix, "dev", peer)
	in("link", "set", peer, "up")
	in("route", "add", "default", "via", worldGateway)
	for _, a := range []string{worldPrivate, worldResolver, worldMetadata} {
		in("addr", "add", a+"/32", "dev", "lo")
		run("route", "add", a+"/32", "via", worldPublic, "dev", w.veth)
		out, err := exec.Command("ip", "route", "get", a).CombinedOutput()
		if err != nil || !strings.Contains(string(out), " dev "+w.veth+" ") {
			t.Fatalf("%s is not in the test's own world: %s, %v", a, out, err)
		}
	}
	return w
}

// listen listens inside the world's namespace.
func (w *world) listen(t testing.TB, address string) *service {
	t.Helper()
	type result struct {
		ln  net.Listener
		err error
	}
	done := make(chan result)
	go func() {
		// The thread stays in the other namespace. It is never unlocked, so it ends with this
		// goroutine.
		runtime.LockOSThread()
		f, err := os.Open("/run/netns/" + w.netns)
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer f.Close()
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- result{nil, err}
			return
		}
		ln, err := net.Listen("tcp4", address)
		done <- result{ln, err}
	}()
	r := <-done
	if r.err != nil {
		t.Fatalf("listen in the test's world: %v", r.err)
	}
	return serve(t, r.ln)
}

// service is a TCP listener that counts its connections.
type service struct {
	addr    string
	port    string
	reached atomic.Int64
}

// serve answers every connection on ln with "secret" until the end of the test.
func serve(t testing.TB, ln net.Listener) *service {
	s := &service{addr: ln.Addr().String(), port: strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.reached.Add(1)
			_, _ = c.Write([]byte("secret\n"))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return s
}

// reach returns what a node receives from a TCP address that should answer.
func reach(t testing.TB, n sandbox.Node, host, port string) string {
	t.Helper()
	out, _ := attempt(t, n, fmt.Sprintf("timeout 60 bash -c 'cat < /dev/tcp/%s/%s' 2>/dev/null || true", host, port))
	return strings.TrimSpace(out)
}

// hostAddresses returns all IPv4 addresses of this host, except loopback.
func hostAddresses(t testing.TB) []string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			out = append(out, p.Addr().String())
		}
	}
	return out
}

// two returns a Spec with two nodes.
func two(id string, internet bool) sandbox.Spec {
	return sandbox.Spec{ID: id, Internet: internet, Nodes: []sandbox.NodeSpec{{Name: "node1"}, {Name: "node2"}}}
}

// startServer starts a server in a node that answers with the node's name. It returns its address
// for other nodes.
func startServer(t testing.TB, n sandbox.Node) string {
	t.Helper()
	const script = `use IO::Socket::INET; my $l = IO::Socket::INET->new(Listen => 9, LocalPort => 8099, ReuseAddr => 1) or die;
		while (my $c = $l->accept) { print $c "node\n"; close $c }`
	sh(t, n, "perl -e '"+script+"' > /dev/null 2>&1 & disown")
	waitFor(t, "the node's server", func() error {
		if got := reach(t, n, "127.0.0.1", "8099"); got != "node" {
			return fmt.Errorf("it answers %q", got)
		}
		return nil
	})
	return strings.Fields(sh(t, n, "getent ahostsv4 $(hostname)"))[0]
}

// A learner who is root in a node changes addresses and routes and tries to reach what is
// forbidden: the host's services, other learners' nodes, the cloud's metadata service, the
// operator's network, the internet.
func TestLearnerLeavesTheNetwork(t *testing.T) {
	b := newBed(t, func(c *docker.Config) { c.Resolvers = []netip.Addr{netip.MustParseAddr(worldResolver)} })
	d := b.driver(t)
	t.Cleanup(func() {
		for _, proto := range []string{"udp", "tcp"} {
			_ = exec.Command("iptables", "-w", "-t", "mangle", "-D", "LABD-OUTWARD", "-d", worldResolver, "-p", proto, "-m", proto,
				"--dport", "53", "-j", "ACCEPT").Run()
		}
	})
	w := newWorld(t)
	public := w.listen(t, worldPublic+":80")
	private := w.listen(t, worldPrivate+":80")
	metadata := w.listen(t, worldMetadata+":80")
	resolver := w.listen(t, worldResolver+":53")
	resolverWeb := w.listen(t, worldResolver+":80")
	hostLn, err := net.Listen("tcp", ":0") // IPv4 and IPv6
	if err != nil {
		t.Fatal(err)
	}
	host := serve(t, hostLn)
	udp, err := net.ListenPacket("udp", ":"+host.port)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()

	// All of them must answer the host. Otherwise their silence would prove nothing.
	for _, s := range []*service{public, private, metadata, resolver, resolverWeb} {
		c, err := net.DialTimeout("tcp", s.addr, 5*time.Second)
		if err != nil {
			t.Fatalf("the host can't reach %s: %v", s.addr, err)
		}
		c.Close()
		waitFor(t, "the service to count", func() error {
			if s.reached.Swap(0) == 0 {
				return errors.New("nobody yet")
			}
			return nil
		})
	}

	alone := b.create(t, d, one("alone")).Nodes()[0]
	inside := b.create(t, d, two("inside", false)).Nodes()
	outward := b.create(t, d, two("outward", true)).Nodes()
	spec := one("abroad")
	spec.Internet = true
	abroad := b.create(t, d, spec).Nodes()
	foreign := b.create(t, d, two("foreign", false)).Nodes()[:1]
	attackers := map[string]sandbox.Node{"alone": alone, "inside": inside[0], "outward": outward[0]}

	t.Run("nodes of one stack reach each other by name", func(t *testing.T) {
		for _, nodes := range [][]sandbox.Node{inside, outward} {
			startServer(t, nodes[1])
			if got := reach(t, nodes[0], "node2", "8099"); got != "node" {
				t.Errorf("node1 gets %q from node2", got)
			}
		}
	})
	t.Run("internet only where the stack asks for it", func(t *testing.T) {
		if got := reach(t, outward[0], worldPublic, "80"); got != "secret" {
			t.Errorf("a stack with internet gets %q from there", got)
		}
		public.reached.Store(0)
		for _, n := range []sandbox.Node{alone, inside[0]} {
			if got := reachAny(t, n, []string{worldPublic + "/80"}); len(got) > 0 {
				t.Errorf("a stack without internet gets %q from there", got)
			}
		}
		if public.reached.Load() != 0 {
			t.Error("a stack without internet reached it")
		}
	})
	t.Run("a name server of the operator answers on its port only", func(t *testing.T) {
		if got := sh(t, outward[0], "cat /etc/resolv.conf"); got != "nameserver "+worldResolver+"\n" {
			t.Errorf("resolv.conf reads %q", got)
		}
		if got := reach(t, outward[0], worldResolver, "53"); got != "secret" {
			t.Errorf("a stack with internet gets %q from its name server", got)
		}
		if got := reachAny(t, outward[0], []string{worldResolver + "/80"}); len(got) > 0 {
			t.Errorf("a stack with internet gets %q from another port of the name server", got)
		}
	})

	// A learner may add routes through every address that could be a gateway.
	gateways := map[string][]string{}
	for name, nodes := range map[string][]sandbox.Node{"inside": inside, "outward": outward} {
		own := netip.MustParseAddr(strings.Fields(sh(t, nodes[0], "getent ahostsv4 node1"))[0])
		gateways[name] = []string{own.Prev().String()}
	}
	var others []string
	for _, nodes := range [][]sandbox.Node{foreign, abroad} {
		others = append(others, startServer(t, nodes[0]))
	}
	for name, n := range attackers {
		t.Run(name, func(t *testing.T) {
			var targets []string
			for _, a := range append(hostAddresses(t), gateways[name]...) {
				targets = append(targets, a+"/"+host.port)
			}
			for _, a := range []string{worldMetadata, worldPrivate} {
				targets = append(targets, a+"/80")
			}
			for _, a := range others {
				targets = append(targets, a+"/8099")
			}
			try := func(how string) {
				t.Helper()
				for _, got := range reachAny(t, n, targets) {
					t.Errorf("%s: reaches %s", how, got)
				}
			}
			try("as it is")
			for _, gw := range gateways[name] {
				attempt(t, n, "ip route replace default via "+gw+" dev eth0; ip neigh replace "+gw+" lladdr "+b.bridgeMAC(t, name)+" dev eth0")
				try("with a route by " + gw)
			}
			attempt(t, n, "ip addr add 172.17.0.77/16 dev eth0; ip addr add 169.254.1.1/16 dev eth0; ip route add default dev eth0; "+
				"ip -6 addr add fe80::1234/64 dev eth0 nodad")
			for _, a := range hostLinkLocal(t) {
				targets = append(targets, a+"%eth0/"+host.port)
			}
			try("with addresses of others")
		})
	}
	if got := host.reached.Load(); got != 0 {
		t.Errorf("nodes reached the host's TCP service %d times", got)
	}
	for _, s := range []*service{private, metadata, resolverWeb} {
		if got := s.reached.Load(); got != 0 {
			t.Errorf("nodes reached %s %d times", s.addr, got)
		}
	}
	if err := udp.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, from, err := udp.ReadFrom(make([]byte, 100)); err == nil {
		t.Errorf("nodes reached the host's UDP service: %d bytes from %s", n, from)
	}
}

// reachAny tries TCP and UDP on each host/port concurrently, with a short timeout, and returns
// those that answered.
func reachAny(t testing.TB, n sandbox.Node, targets []string) []string {
	t.Helper()
	var script strings.Builder
	for _, target := range targets {
		fmt.Fprintf(&script, "( r=$(timeout 2 bash -c 'cat < /dev/tcp/%[1]s'); [ -z \"$r\" ] || echo '%[1]s' says $r ) 2> /dev/null &\n"+
			"( echo hello > /dev/udp/%[1]s ) 2> /dev/null\n", target)
	}
	script.WriteString("wait\n")
	return strings.FieldsFunc(sh(t, n, script.String()), func(r rune) bool { return r == '\n' })
}

// bridgeMAC returns the MAC address of the host's bridge of a stack.
func (b *bed) bridgeMAC(t testing.TB, stack string) string {
	t.Helper()
	info, err := b.cli.NetworkInspect(t.Context(), "labd_"+b.cfg.Instance+"_"+stack, network.InspectOptions{})
	if err != nil {
		t.Fatalf("look at network: %v", err)
	}
	i, err := net.InterfaceByName(info.Options["com.docker.network.bridge.name"])
	if err != nil {
		t.Fatal(err)
	}
	return i.HardwareAddr.String()
}

// hostLinkLocal returns the link-local IPv6 addresses of the host's bridges.
func hostLinkLocal(t testing.TB) []string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
			out = append(out, p.Addr().String())
		}
	}
	return out
}
