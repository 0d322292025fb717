package boot

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kernel says which kernel the node runs on.
type kernel string

const (
	gvisor kernel = "gvisor"
	linux  kernel = "linux"
)

// findKernel reads LABNODE_KERNEL, else the kernel log. gVisor's log mentions gVisor; Linux does
// not show its log to a container.
func findKernel() kernel {
	switch k := kernel(os.Getenv("LABNODE_KERNEL")); k {
	case gvisor, linux:
		return k
	}
	const readAll = 3
	buf := make([]byte, 8<<10)
	n, err := unix.Klogctl(readAll, buf)
	if err == nil && strings.Contains(string(buf[:n]), "gVisor") {
		return gvisor
	}
	return linux
}

// containerdToml disables plugins that a Docker engine does not use. That halves containerd's
// start-up time.
const containerdToml = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "` + containerdSocket + `"
`

func writeContainerdConfig() error {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(containerdConfig, []byte(containerdToml), 0o644)
}

// prepareFiles creates the directories and settings that the node's programs need. It continues
// after an error, because most of the node may still work.
func (s *supervisor) prepareFiles() error {
	var errs []error
	add := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	unix.Umask(0o022)
	add("run directory", os.MkdirAll(runDir, 0o755))
	for _, dir := range []string{"/var/log", "/var/lib/docker", "/var/lib/containerd", "/run/lock"} {
		add("directory", os.MkdirAll(dir, 0o755))
	}
	for _, dir := range []string{"/tmp", "/var/tmp"} {
		add("directory", os.MkdirAll(dir, 0o777))
		add("directory", os.Chmod(dir, 0o777|os.ModeSticky))
	}
	if info, err := os.Lstat("/var/run"); errors.Is(err, os.ErrNotExist) {
		add("/var/run", os.Symlink("/run", "/var/run"))
	} else if err == nil && info.IsDir() {
		// /var is on the node's disk, where sockets and pid files of the last start would remain.
		add("/var/run", unix.Mount("/run", "/var/run", "", unix.MS_BIND, ""))
	}
	add("iptables", useLegacyIptables())
	add("sudo", writeSudo())
	if s.kernel == linux {
		add("cgroups", prepareCgroups())
		add("network settings", prepareNetworkSettings())
	}
	return errors.Join(errs...)
}

// useLegacyIptables selects iptables-legacy, the variant that gVisor supports. dockerd runs
// "iptables" for the DNS of user-defined networks.
func useLegacyIptables() error {
	var errs []error
	for _, name := range []string{"iptables", "ip6tables"} {
		target, link := "/usr/sbin/"+name+"-legacy", "/etc/alternatives/"+name
		if now, err := os.Readlink(link); err != nil || now == target {
			continue
		}
		tmp := link + ".labnode"
		os.Remove(tmp)
		err := os.Symlink(target, tmp)
		if err == nil {
			err = os.Rename(tmp, link)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// prepareNetworkSettings makes /proc/sys/net writable. It belongs to the node's network namespace.
// The rest of /proc/sys belongs to the host and stays read-only.
func prepareNetworkSettings() error {
	const dir = "/proc/sys/net"
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", dir, err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("remount %s: %w", dir, err)
	}
	return nil
}

const cgroupRoot = "/sys/fs/cgroup"

// prepareCgroups makes the cgroup file systems writable. A container without --privileged gets them
// read-only.
func prepareCgroups() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &fs); err != nil {
		return err
	}
	if fs.Type == unix.CGROUP2_SUPER_MAGIC {
		if err := unix.Mount("", cgroupRoot, "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("remount: %w", err)
		}
		return delegateCgroups()
	}
	dirs, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		dir := filepath.Join(cgroupRoot, d.Name())
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("remount %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// delegateCgroups moves the node's processes into a child group, because a cgroup v2 group that has
// processes cannot delegate controllers.
func delegateCgroups() error {
	own := filepath.Join(cgroupRoot, "init")
	if err := os.MkdirAll(own, 0o755); err != nil {
		return err
	}
	procs, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, pid := range strings.Fields(string(procs)) {
		err := os.WriteFile(filepath.Join(own, "cgroup.procs"), []byte(pid), 0)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("move process %s: %w", pid, err)
		}
	}
	controllers, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range strings.Fields(string(controllers)) {
		errs = append(errs, os.WriteFile(filepath.Join(cgroupRoot, "cgroup.subtree_control"), []byte("+"+c), 0))
	}
	return errors.Join(errs...)
}

// prepareNetwork lets containers reach the node's network, if it has one.
func (s *supervisor) prepareNetwork() {
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		s.log.Warn("enabling ip_forward failed", "err", err)
	}
	if s.kernel == linux {
		s.iptables = s.runOnce("iptables", "-t", "nat", "-L", "-n")
		return
	}
	s.setKernel()
	// dockerd runs with --iptables=false, so nothing else keeps user networks apart. Traffic within a network is bridged,
	// published ports pass through docker-proxy: neither is forwarded.
	if !s.runOnce("iptables-legacy", "-P", "FORWARD", "DROP") {
		s.log.Warn("containers can reach other networks: the policy of FORWARD was not set")
	}
	name, ip := outerInterface()
	if name == "" {
		return
	}
	for _, direction := range []string{"-i", "-o"} {
		s.runOnce("iptables-legacy", "-A", "FORWARD", direction, name, "-j", "ACCEPT")
	}
	// gVisor supports no MASQUERADE, and its SNAT needs a protocol.
	for _, proto := range []string{"tcp", "udp"} {
		if !s.runOnce("iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-p", proto, "-o", name, "-j", "SNAT", "--to-source", ip) {
			s.log.Warn("adding the source NAT rule failed", "protocol", proto)
		}
	}
}

// setKernel sets parameters of gVisor's kernel to Linux's values where a Docker engine needs them.
func (s *supervisor) setKernel() {
	for name, value := range map[string]string{
		// Each container start creates a session keyring, which gVisor never frees. With its limit of 200 keyrings, all
		// later starts in the node's life failed with "disk quota exceeded".
		"/proc/sys/kernel/keys/maxkeys": "1000000",
		// dockerd takes host ports for -P and "-p PORT" from this range. gVisor's starts at 16000.
		"/proc/sys/net/ipv4/ip_local_port_range": "32768 60999",
	} {
		if err := os.WriteFile(name, []byte(value), 0); err != nil {
			s.log.Warn("setting a kernel parameter failed", "file", name, "err", err)
		}
	}
}

// engineGroup is the group that may use the engine's socket.
const engineGroup = "docker"

// listener is a socket that listens at engineSocket.
type listener struct {
	f    *os.File
	file unix.Stat_t // the status of the socket's file
}

// reachable reports whether engineSocket is still this listener's file.
func (l *listener) reachable() bool {
	var now unix.Stat_t
	return unix.Lstat(engineSocket, &now) == nil && now.Dev == l.file.Dev && now.Ino == l.file.Ino
}

// listenEngine replaces whatever is at engineSocket with a listening socket.
func listenEngine() (_ *listener, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), engineSocket)
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if err := os.RemoveAll(engineSocket); err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: engineSocket}); err != nil {
		return nil, fmt.Errorf("bind %s: %w", engineSocket, err)
	}
	if g, err := user.LookupGroup(engineGroup); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil {
			if err := os.Chown(engineSocket, 0, gid); err != nil {
				return nil, err
			}
		}
	}
	if err := os.Chmod(engineSocket, 0o660); err != nil {
		return nil, err
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", engineSocket, err)
	}
	l := &listener{f: f}
	if err := unix.Lstat(engineSocket, &l.file); err != nil {
		return nil, fmt.Errorf("look at %s: %w", engineSocket, err)
	}
	return l, nil
}
