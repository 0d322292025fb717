package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/labd-dev/labd/internal/setup/daemonjson"
)

const (
	// fullSetup is the command that fixes most problems.
	fullSetup = "labd setup"
	// Disk space for the seed (about 1 GB) and for what nodes write.
	lowSpace, noSpace = 10 << 30, 2 << 30
	// An idle node takes 65 MiB, and its learner's containers more.
	lowMemory = 2 << 30
	// The oldest versions of Go and Node.js that can build labd and its pages.
	minGo, minNode = 26, 20
)

// asRoot returns the command with sudo if the user is not root.
func (m *Machine) asRoot(command string) string {
	if m.UID() == 0 {
		return command
	}
	return "sudo " + command
}

func (m *Machine) debian() bool {
	_, err := m.LookPath("apt-get")
	return err == nil
}

func checkSystem(_ context.Context, m *Machine) Result {
	arch := m.Arch()
	switch m.OS() {
	case "darwin":
		return failure("Run labd on a Linux machine or in a Linux virtual machine (Debian 12, 13 or Ubuntu), where `make run` sets up everything.\n"+
			"The site itself works here: `sitegen serve`.",
			"macOS (%s): containers run in a virtual machine, out of reach for gVisor and for the nodes' disk limits", arch)
	case "linux":
	default:
		return failure("Run labd on Linux: Debian 12, 13 or Ubuntu, where `make run` sets up everything.", "%s: labs need Linux", m.OS())
	}
	if arch != "amd64" && arch != "arm64" {
		return failure("Use a machine with an x86-64 or 64-bit ARM processor.", "%s: labs run on amd64 and arm64", arch)
	}
	name := osName(m)
	if !m.debian() {
		return warning("Install docker, mmdebstrap, e2fsprogs and iptables with this system's package manager; `labd setup` does the rest.",
			"%s (%s): there is no apt-get, so setup can't install packages", name, arch)
	}
	return ok("%s (%s)", name, arch)
}

func checkConfig(_ context.Context, m *Machine) Result {
	if m.ConfigErr != nil {
		return failure("Fix the file. Its comments explain every key.", "%v", m.ConfigErr)
	}
	return ok("isolation %s, listens on %s", m.Isolation.Name, m.Addr)
}

func osName(m *Machine) string {
	data, err := m.ReadFile("/etc/os-release")
	if err != nil {
		return "Linux"
	}
	for _, line := range strings.Split(string(data), "\n") {
		if v, found := strings.CutPrefix(line, "PRETTY_NAME="); found {
			return strings.Trim(v, `"`)
		}
	}
	return "Linux"
}

// checkRights checks for root, which labd needs to mount the nodes' disks.
func checkRights(_ context.Context, m *Machine) Result {
	if m.OS() != "linux" {
		return skipped("only matters on Linux")
	}
	if m.UID() == 0 {
		return ok("root")
	}
	if _, err := m.LookPath("sudo"); err == nil {
		return warning("sudo labd serve", "not root: labd needs root to mount the nodes' disks; sudo is here for that")
	}
	return failure("su -c 'labd serve'     (or ask this machine's administrator to install sudo and let you use it)",
		"not root, and there is no sudo: labd needs root to mount the nodes' disks")
}

// otherSockets returns where per-user engines listen. Like the docker command, labd does not look
// there by itself.
func otherSockets(m *Machine) []string {
	home := m.Getenv("HOME")
	sockets := []string{path.Join(home, ".docker/run/docker.sock"), path.Join(home, ".docker/desktop/docker.sock"),
		path.Join(home, ".colima/default/docker.sock"), path.Join(home, ".orbstack/run/docker.sock")}
	if dir := m.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		sockets = append(sockets, path.Join(dir, "docker.sock"))
	}
	return sockets
}

func checkEngine(_ context.Context, m *Machine) Result {
	if m.engineErr == nil {
		return ok("Docker %s answers at %s", m.engine.ServerVersion, m.endpoint)
	}
	err := m.engineErr
	if errors.Is(err, fs.ErrPermission) {
		return failure(m.asRoot("labd doctor")+"     (or, to use the engine without sudo: sudo usermod -aG docker $USER, then log in again)",
			"%s is there, but you may not use it: you are neither root nor in the group docker", m.endpoint)
	}
	if m.Getenv("DOCKER_HOST") != "" {
		return failure("Start that engine, or: unset DOCKER_HOST", "no engine answers at DOCKER_HOST=%s (%s)", m.endpoint, reason(err))
	}
	for _, s := range otherSockets(m) {
		if m.Access(s) == nil {
			return failure("export DOCKER_HOST=unix://"+s, "no engine answers at %s, but one listens at %s", m.endpoint, s)
		}
	}
	switch {
	case m.OS() == "darwin":
		return failure("Start Docker Desktop: open -a Docker", "no engine answers at %s (%s)", m.endpoint, reason(err))
	case m.OS() != "linux":
		return failure("Start a Docker engine.", "no engine answers at %s (%s)", m.endpoint, reason(err))
	}
	if _, lookErr := m.LookPath("dockerd"); lookErr != nil {
		return failure(m.asRoot(fullSetup)+"     (installs and starts it)", "no Docker engine is installed")
	}
	return failure(m.asRoot(fullSetup)+"     (starts it)", "Docker is installed, but no engine answers at %s (%s)", m.endpoint, reason(err))
}

// reason returns a short cause of a failed connection.
func reason(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such socket"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return err.Error()
}

func checkEngineAPI(_ context.Context, m *Machine) Result {
	if m.engineErr != nil {
		return needsEngine()
	}
	if !apiAtLeast(m.engine.APIVersion, minAPI) {
		return failure(m.asRoot("apt-get install docker.io")+"     (Docker 20.10 or later)",
			"Docker %s speaks API %s; labs need %s or later", m.engine.ServerVersion, m.engine.APIVersion, minAPI)
	}
	return ok("%s (labs need %s)", m.engine.APIVersion, minAPI)
}

func checkEnginePlace(_ context.Context, m *Machine) Result {
	if m.engineErr != nil {
		return needsEngine()
	}
	if slices.ContainsFunc(m.engine.SecurityOptions, func(s string) bool { return strings.Contains(s, "name=rootless") }) {
		return failure("unset DOCKER_HOST; "+m.asRoot(fullSetup), "a rootless engine: nodes need networks and mounts that only root can make")
	}
	here, where := m.engine.onThisKernel(m)
	if here {
		return ok("on this machine")
	}
	if !m.gvisor() {
		return failure("Run labd where the engine runs: on a Linux machine, or inside that virtual machine.",
			"the engine runs %s, so labd can't mount the nodes' disks there", where)
	}
	return failure("Run labd where the engine runs: on a Linux machine, or inside that virtual machine. Where gVisor can't be installed even there,\n"+
		"set isolation = \"runc\" and listen = \"127.0.0.1:8080\" in lab.toml: learners can then become root on that machine.",
		"the engine runs %s, where gVisor can't be installed from here", where)
}

func checkArch(_ context.Context, m *Machine) Result {
	if m.engineErr != nil {
		return needsEngine()
	}
	arch := m.engine.goArch()
	switch {
	case arch == "":
		return failure("Use an engine on an x86-64 or 64-bit ARM machine.", "the engine runs on %s; labs run on amd64 and arm64", m.engine.Architecture)
	case arch != m.Arch():
		return warning("Use the labd that is built for "+arch+": GOARCH="+arch+" make build",
			"the engine runs on %s, labd is built for %s; images and labnode are built for the engine", arch, m.Arch())
	}
	return ok("%s, as the engine's", arch)
}

func checkCgroups(_ context.Context, m *Machine) Result {
	if m.engineErr != nil {
		return needsEngine()
	}
	var lost []string
	for _, l := range []struct {
		held bool
		name string
	}{{m.engine.MemoryLimit, "memory"}, {m.engine.CPUCfsQuota, "CPU"}, {m.engine.PidsLimit, "process"}} {
		if !l.held {
			lost = append(lost, l.name)
		}
	}
	about := fmt.Sprintf("version %s, driver %s", m.engine.CgroupVersion, m.engine.CgroupDriver)
	if m.engine.CgroupDriver == "none" {
		return failure("Run the engine as root.", "%s: no limit on nodes holds", about)
	}
	if len(lost) > 0 {
		return warning("Boot with `cgroup_enable=memory swapaccount=1` on the kernel's command line (for the memory limit), or use a newer kernel.",
			"%s, but the kernel holds no %s limit: one learner can take it all", about, strings.Join(lost, " and no "))
	}
	return ok("%s; memory, CPU and process limits hold", about)
}

func (m *Machine) gvisor() bool { return m.Isolation.Runtime == daemonjson.Runtime }

func checkRunsc(_ context.Context, m *Machine) Result {
	if !m.gvisor() {
		return skipped("not needed for the profile %s", m.Isolation.Name)
	}
	if m.OS() != "linux" {
		return skipped("gVisor is for Linux")
	}
	arch := m.Arch()
	if m.engine != nil && m.engine.goArch() != "" {
		arch = m.engine.goArch()
	}
	if problem := runscProblem(m.runsc, arch); problem != "" {
		return failure(m.asRoot(fullSetup)+"     (builds and installs it)", "%s is %s", m.runsc, problem)
	}
	return ok("%s %s", m.runsc, runscBuild)
}

// checkRunscRuns starts a sandbox without network that runs `true`. It leaves nothing behind.
func checkRunscRuns(ctx context.Context, m *Machine) Result {
	switch {
	case !m.gvisor():
		return skipped("not needed for the profile %s", m.Isolation.Name)
	case m.OS() != "linux" || !m.Exists(m.runsc):
		return skipped("not checked: runsc is not installed")
	case m.UID() != 0:
		return skipped("only root can try: %s", m.asRoot("labd doctor"))
	}
	if _, err := m.Run(ctx, Command{Args: []string{m.runsc, "--network=none", "--ignore-cgroups", "do", "/bin/true"}}); err != nil {
		return failure("Run labd on the machine itself or in a virtual machine that lets programs trace each other (ptrace, seccomp),\n"+
			"or set isolation = \"runc\" in lab.toml, for learners you trust.", "a sandbox does not start here: %v", err)
	}
	return ok("a sandbox started and ended")
}

func checkRuntime(_ context.Context, m *Machine) Result {
	switch {
	case !m.gvisor():
		return skipped("not needed for the profile %s", m.Isolation.Name)
	case m.engineErr != nil:
		return needsEngine()
	}
	rt := m.engine.Runtimes[daemonjson.Runtime]
	if problem := runtimeProblem(m.engine); problem != "" {
		return failure(m.asRoot(fullSetup)+"     (registers it; the engine goes on running)", "the engine's runtime %s is %s", daemonjson.Runtime, problem)
	}
	if rt.Path != "" && rt.Path != m.runsc {
		return failure(m.asRoot(fullSetup), "the engine's runtime %s is %s, not the proven %s", daemonjson.Runtime, rt.Path, m.runsc)
	}
	return ok("%s is registered: %s", daemonjson.Runtime, strings.Join(rt.Args, " "))
}

// capSysAdmin is the number of CAP_SYS_ADMIN, which mount requires.
const capSysAdmin = 21

func checkDisks(_ context.Context, m *Machine) Result {
	if m.OS() != "linux" {
		return skipped("only matters on Linux")
	}
	if m.UID() != 0 {
		return skipped("only root can try: %s", m.asRoot("labd doctor"))
	}
	if status, err := m.ReadFile("/proc/self/status"); err == nil {
		if caps, found := capEff(string(status)); found && caps&(1<<capSysAdmin) == 0 {
			return failure("Run labd outside of that container, or give it CAP_SYS_ADMIN.", "this root may not mount (no CAP_SYS_ADMIN), as in a container")
		}
	}
	if err := m.Access("/dev/loop-control"); err != nil {
		return failure(m.asRoot("modprobe loop")+"     (in a container: give it /dev/loop-control and loop devices)",
			"no loop devices (%s): nodes' disks can't be mounted", reason(err))
	}
	if _, err := m.LookPath("mkfs.ext4"); err != nil {
		return failure(m.asRoot(fullSetup)+"     (installs e2fsprogs)", "there is no mkfs.ext4 to make nodes' disks")
	}
	return ok("loop devices and mount work for root")
}

func capEff(status string) (uint64, bool) {
	caps, err := strconv.ParseUint(statusField(status, "CapEff"), 16, 64)
	return caps, err == nil
}

func checkSeed(ctx context.Context, m *Machine) Result {
	if m.Seed == nil {
		return skipped("not checked")
	}
	s := m.Seed(ctx)
	fix := m.asRoot("labd images build")
	if s.NodeImage != "" && m.engineErr == nil {
		if _, err := m.Engine(ctx, m.endpoint, "/images/"+s.NodeImage+"/json"); err != nil {
			return failure(fix, "the engine does not have the image of nodes, %s (removed, or another engine)", s.NodeImage)
		}
	}
	switch {
	case s.Problem == "":
		return ok("%s", s.Detail)
	case s.Usable:
		return warning(fix, "%s", s.Problem)
	}
	return failure(fix, "%s", s.Problem)
}

func checkSpace(_ context.Context, m *Machine) Result {
	dirs := []string{m.DataDir}
	if m.engine != nil && m.engine.DockerRootDir != "" {
		if here, _ := m.engine.onThisKernel(m); here {
			dirs = append(dirs, m.engine.DockerRootDir)
		}
	}
	dir, least := "", uint64(0)
	for _, d := range dirs {
		free, err := m.FreeBytes(d)
		if err != nil {
			return warning("", "free disk space is unknown: %v", err)
		}
		if dir == "" || free < least {
			dir, least = d, free
		}
	}
	const fix = "docker system df     (what containers and images take; docker image prune frees unused images)"
	gib := float64(least) / (1 << 30)
	switch {
	case least < noSpace:
		return failure(fix, "%.1f GiB free at %s: too little for the images and a node", gib, dir)
	case least < lowSpace:
		return warning(fix, "%.1f GiB free at %s: enough for a few learners", gib, dir)
	}
	return ok("%.0f GiB free at %s", gib, dir)
}

func checkMemory(_ context.Context, m *Machine) Result {
	if m.engineErr != nil {
		return needsEngine()
	}
	gib := float64(m.engine.MemTotal) / (1 << 30)
	if m.engine.MemTotal < lowMemory {
		return warning("Use a machine with more memory: 4 GiB for yourself, 16 GiB and up for a class.", "%.1f GiB: enough to try one lab", gib)
	}
	return ok("%.0f GiB", gib)
}

func checkPort(_ context.Context, m *Machine) Result {
	err := m.Listen(m.Addr)
	switch {
	case err == nil:
		return ok("%s is free", m.Addr)
	case errors.Is(err, syscall.EADDRINUSE):
		_, port, _ := strings.Cut(m.Addr, ":")
		return warning("ss -ltnp 'sport = :"+port+"'     (shows who; or set another `listen` in lab.toml)",
			"%s is in use: labd runs already, or another program has it", m.Addr)
	case errors.Is(err, fs.ErrPermission):
		return failure("Set a `listen` port above 1023 in lab.toml, or run labd as root.", "you may not listen on %s", m.Addr)
	}
	return failure("Set a `listen` address of this machine in lab.toml, such as 127.0.0.1:8080.", "labd can't listen on %s: %v", m.Addr, err)
}

func checkPackages(_ context.Context, m *Machine) Result {
	if m.OS() != "linux" {
		return skipped("only matters on Linux")
	}
	var missing, why []string
	for _, n := range labNeeds {
		if !n.met(m) {
			missing = append(missing, n.pkg)
			why = append(why, n.pkg+" "+n.why)
		}
	}
	if missing == nil {
		return ok("all installed")
	}
	fix := m.asRoot("apt-get install -y --no-install-recommends " + strings.Join(missing, " "))
	if !m.debian() {
		fix = "Install with this system's package manager: " + strings.Join(missing, " ")
	}
	return failure(fix, "missing: %s", strings.Join(why, "; "))
}

func checkGo(ctx context.Context, m *Machine) Result {
	const fix = "Install Go 1.26 or later from https://go.dev/dl/"
	if _, err := m.LookPath("go"); err != nil {
		return warning(fix, "not in PATH: needed to build labd and gVisor, not to run them")
	}
	out, err := m.Run(ctx, Command{Args: []string{"go", "env", "GOVERSION"}})
	if err != nil {
		return warning(fix, "go does not run: %v", err)
	}
	version := strings.TrimSpace(string(out))
	var minor int
	if _, err := fmt.Sscanf(version, "go1.%d", &minor); err != nil || minor < minGo {
		return warning(fix, "%s: building labd needs go1.%d", version, minGo)
	}
	return ok("%s", version)
}

func checkNode(ctx context.Context, m *Machine) Result {
	fix := fmt.Sprintf("Install Node.js %d or later with npm from https://nodejs.org/", minNode)
	for _, program := range []string{"node", "npm"} {
		if _, err := m.LookPath(program); err != nil {
			return warning(fix, "%s is not in PATH: needed to build the pages' scripts, not to run labd", program)
		}
	}
	out, err := m.Run(ctx, Command{Args: []string{"node", "--version"}})
	if err != nil {
		return warning(fix, "node does not run: %v", err)
	}
	version := strings.TrimSpace(string(out))
	var major int
	if _, err := fmt.Sscanf(version, "v%d", &major); err != nil || major < minNode {
		return warning(fix, "%s: building the pages needs v%d", version, minNode)
	}
	return ok("%s", version)
}
