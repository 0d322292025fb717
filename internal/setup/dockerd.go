package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/labd-dev/labd/internal/setup/daemonjson"
)

// maxOpenFiles is dockerd's limit of open files, the same as in its service files.
const maxOpenFiles = 1 << 20

// logTail is the number of lines of dockerd's log that are shown if it fails to start.
const logTail = 8

func (in *installer) engineStep() Step {
	return Step{
		Name: "engine",
		Root: true,
		Look: func(ctx context.Context) (bool, string, error) {
			info, err := inspectEngine(ctx, in.host, in.endpoint)
			if err == nil {
				if !apiAtLeast(info.APIVersion, minAPI) {
					return false, "", fmt.Errorf("this engine (Docker %s) speaks API %s, but labs need %s (Docker 20.10) or later: upgrade the engine",
						info.ServerVersion, info.APIVersion, minAPI)
				}
				return true, "Docker " + info.ServerVersion + " answers at " + in.endpoint, nil
			}
			if ctx.Err() != nil {
				return false, "", ctx.Err()
			}
			if errors.Is(err, fs.ErrPermission) && in.host.UID() != 0 {
				// Only root can check this, and the step runs as root.
				return false, "", nil
			}
			if in.endpoint != defaultEndpoint {
				return false, "", fmt.Errorf("DOCKER_HOST is %s, where no engine answers: start that engine, or unset DOCKER_HOST and run this again (%w)",
					in.endpoint, err)
			}
			return false, "", nil
		},
		Plan: func() string { return "start the Docker engine" },
		Do:   in.startEngine,
	}
}

// startEngine starts dockerd through the service manager if one is running, else directly.
func (in *installer) startEngine(ctx context.Context, p *Progress) (string, error) {
	if pid := in.pidFromFile(); pid != 0 {
		// The installation of the package may have started it a moment ago.
		p.Note("dockerd runs as process %d; waiting for it to answer", pid)
		return in.awaitEngine(ctx, in.wait.engine, nil)
	}
	if in.host.Exists("/run/systemd/system") {
		p.Note("systemctl start docker")
		if _, err := in.host.Run(ctx, Command{Args: []string{"systemctl", "start", "docker"}, Tee: p}); err != nil {
			return "", fmt.Errorf("%w\nSee `journalctl -u docker -n 50`", err)
		}
		detail, err := in.awaitEngine(ctx, in.wait.engine, nil)
		if err != nil {
			return "", fmt.Errorf("%w: see `journalctl -u docker -n 50`", err)
		}
		return detail + ", started by systemd", nil
	}
	if in.sysvinit() {
		p.Note("service docker start")
		_, err := in.host.Run(ctx, Command{Args: []string{"service", "docker", "start"}, Tee: p})
		if err == nil {
			if detail, err := in.awaitEngine(ctx, in.wait.engine/3, nil); err == nil {
				return detail + ", started by its init script", nil
			}
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		p.Note("the init script did not bring it up; starting dockerd without it")
	}
	return in.startDockerd(ctx, p)
}

// sysvinit reports whether PID 1 is an init that runs /etc/init.d scripts.
func (in *installer) sysvinit() bool {
	comm, err := in.host.ReadFile("/proc/1/comm")
	return err == nil && strings.TrimSpace(string(comm)) == "init" &&
		in.host.Exists("/etc/inittab") && in.host.Exists("/etc/init.d/docker")
}

// startDockerd starts dockerd in a session of its own, so that it keeps running after labd and its
// terminal have ended.
func (in *installer) startDockerd(ctx context.Context, p *Progress) (string, error) {
	dockerd, err := in.host.LookPath("dockerd")
	if err != nil {
		return "", errors.New("dockerd is not in PATH, though its package is installed: try `apt-get install --reinstall docker.io`")
	}
	if err := in.mountCgroups(ctx, p); err != nil {
		return "", err
	}
	if err := in.removeStalePIDFiles(p); err != nil {
		return "", err
	}
	log, err := os.OpenFile(in.paths.dockerdLog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return "", err
	}
	defer log.Close()
	// If the limit can't be raised, the engine works with fewer containers.
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: maxOpenFiles, Max: maxOpenFiles})
	// exec.CommandContext would kill dockerd when ctx ends.
	cmd := exec.Command(dockerd, "--pidfile", in.paths.dockerdPID)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":"+strings.Join(sbin, ":"))
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start dockerd: %w", err)
	}
	pid := cmd.Process.Pid
	p.Note("dockerd is process %d; its log is %s", pid, in.paths.dockerdLog)
	ended := func() error {
		var status syscall.WaitStatus
		if got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); err == nil && got == 0 {
			return nil
		}
		return fmt.Errorf("dockerd ended; from the end of %s:\n%s", in.paths.dockerdLog, tailOf(in.paths.dockerdLog))
	}
	detail, err := in.awaitEngine(ctx, in.wait.engine, ended)
	if err != nil {
		return "", err
	}
	if err := cmd.Process.Release(); err != nil {
		return "", err
	}
	return detail + ", started without a service manager", nil
}

// tailOf returns the last lines of dockerd's log that report a problem, else the last lines.
func tailOf(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	var telling []string
	for _, l := range lines {
		if !strings.Contains(l, "level=info") && !strings.Contains(l, "module=grpc") && l != "" {
			telling = append(telling, l)
		}
	}
	if len(telling) == 0 {
		telling = lines
	}
	return "      " + strings.Join(telling[max(0, len(telling)-logTail):], "\n      ")
}

// awaitEngine polls until the engine answers. ended, if set, returns an error when waiting is
// pointless.
func (in *installer) awaitEngine(ctx context.Context, patience time.Duration, ended func() error) (string, error) {
	deadline := time.Now().Add(patience)
	for {
		info, err := inspectEngine(ctx, in.host, in.endpoint)
		if err == nil {
			return "Docker " + info.ServerVersion + " answers at " + in.endpoint, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if ended != nil {
			if err := ended(); err != nil {
				return "", err
			}
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no engine answers at %s after %.0f s (%w)", in.endpoint, patience.Seconds(), err)
		}
		if err := sleep(ctx, in.wait.poll); err != nil {
			return "", err
		}
	}
}

// pidFromFile returns the process id of the dockerd in the pid file, 0 if it is not running.
func (in *installer) pidFromFile() int {
	if pid := in.readPID(in.paths.dockerdPID); in.runs(pid, "dockerd") {
		return pid
	}
	return 0
}

func (in *installer) readPID(path string) int {
	data, err := in.host.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0
	}
	return pid
}

// runs reports whether process pid runs the program. A zombie does not count.
func (in *installer) runs(pid int, name string) bool {
	status, err := in.host.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if pid <= 0 || err != nil {
		return false
	}
	return statusField(string(status), "Name") == name && !strings.HasPrefix(statusField(string(status), "State"), "Z")
}

// statusField returns a field of /proc/<pid>/status.
func statusField(status, field string) string {
	for _, line := range strings.Split(status, "\n") {
		if v, found := strings.CutPrefix(line, field+":"); found {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// removeStalePIDFiles removes the pid files of a dockerd that has ended and of its containerd.
// dockerd does not start while the process id in a pid file belongs to any process.
func (in *installer) removeStalePIDFiles(p *Progress) error {
	for path, name := range map[string]string{in.paths.dockerdPID: "dockerd", in.paths.containerdPID: "containerd"} {
		if in.runs(in.readPID(path), name) {
			continue
		}
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("remove a stale pid file: %w", err)
		}
		p.Note("removed %s, which outlived its process", path)
	}
	return nil
}

// mountCgroups mounts the cgroup file systems if no init did, as in a minimal virtual machine.
func (in *installer) mountCgroups(ctx context.Context, p *Progress) error {
	const root = "/sys/fs/cgroup"
	mounts, err := in.host.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(line); len(f) > 2 && (f[2] == "cgroup" || f[2] == "cgroup2") {
			return nil
		}
	}
	p.Note("no control groups are mounted; mounting them at %s", root)
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if _, err := in.host.Run(ctx, Command{Args: []string{"mount", "-t", "cgroup2", "cgroup2", root}}); err != nil {
		return fmt.Errorf("mount control groups: %w", err)
	}
	return nil
}

// daemon is the running dockerd that listens at a Unix socket.
type daemon struct {
	pid    int
	config string // its configuration file
	flags  []string
}

// findDaemon finds the dockerd that listens at the endpoint.
func (in *installer) findDaemon(ctx context.Context) (*daemon, error) {
	u, err := url.Parse(in.endpoint)
	if err != nil || u.Scheme != "unix" {
		return nil, fmt.Errorf("the engine at %s is not a process of this machine", in.endpoint)
	}
	pid, err := socketOwner(u.Path)
	if err != nil || !in.runs(pid, "dockerd") {
		// With socket activation, systemd owns the socket.
		pid = in.pidFromFile()
	}
	if pid == 0 && in.host.Exists("/run/systemd/system") {
		out, err := in.host.Run(ctx, Command{Args: []string{"systemctl", "show", "--property", "MainPID", "--value", "docker"}})
		if err == nil {
			if n, err := strconv.Atoi(strings.TrimSpace(string(out))); err == nil && in.runs(n, "dockerd") {
				pid = n
			}
		}
	}
	if pid == 0 {
		return nil, fmt.Errorf("the engine answers at %s, but its dockerd was not found among this machine's processes", in.endpoint)
	}
	raw, err := in.host.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	d := &daemon{pid: pid, config: in.paths.daemonConfig, flags: strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00")}
	if file, ok := flagValue(d.flags, "--config-file"); ok {
		if !filepath.IsAbs(file) {
			return nil, fmt.Errorf("dockerd was started with the relative --config-file %s; labd can't tell where that is", file)
		}
		d.config = file
	}
	return d, nil
}

// flagValue returns the value of a long flag among args.
func flagValue(args []string, flag string) (string, bool) {
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, flag+"="); ok {
			return v, true
		}
		if a == flag && i+1 < len(args) {
			return args[i+1], true
		}
	}
	return "", false
}

// runtimeProblem says what is wrong with the engine's runtime runsc, or "".
func runtimeProblem(info *engineInfo) string {
	rt, ok := info.Runtimes[daemonjson.Runtime]
	if !ok {
		return "not registered"
	}
	if missing := daemonjson.Missing(rt.Args); missing != nil {
		return "registered without " + strings.Join(missing, " ")
	}
	return ""
}

func (in *installer) runtimeStep() Step {
	return Step{
		Name: "runtime",
		Root: true,
		Look: func(ctx context.Context) (bool, string, error) {
			info, err := inspectEngine(ctx, in.host, in.endpoint)
			if err != nil {
				if errors.Is(err, fs.ErrPermission) && in.host.UID() != 0 {
					return false, "", nil
				}
				return false, "", err
			}
			if ok, where := info.onThisKernel(in.host); !ok {
				return false, "", fmt.Errorf("the engine runs %s, where setup can't install gVisor: use a Docker engine on this machine, "+
					"or the profile \"runc\" for learners you trust (see `labd doctor`)", where)
			}
			rt := info.Runtimes[daemonjson.Runtime]
			done := runtimeProblem(info) == "" && rt.Path == in.paths.runsc && in.runtimeLasts(ctx)
			return done, daemonjson.Runtime + " is registered: " + strings.Join(rt.Args, " "), nil
		},
		Plan: func() string { return "register gVisor with the running engine" },
		Do:   in.registerRuntime,
	}
}

// runtimeLasts reports whether the engine will still have the runtime after its next start. A
// running engine keeps runtimes that were removed from its configuration file. If that can't be
// determined, the engine's current answer counts.
func (in *installer) runtimeLasts(ctx context.Context) bool {
	d, err := in.findDaemon(ctx)
	if err != nil {
		return true
	}
	if _, ok := flagValue(d.flags, "--add-runtime"); ok {
		return true
	}
	data, err := in.host.ReadFile(d.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true
	}
	_, changed, err := daemonjson.Merge(d.config, data, in.paths.runsc)
	return err == nil && !changed
}

// registerRuntime adds the runtime to the engine's configuration file and makes the engine reload
// it. Containers keep running.
func (in *installer) registerRuntime(ctx context.Context, p *Progress) (string, error) {
	d, err := in.findDaemon(ctx)
	if err != nil {
		return "", err
	}
	if _, ok := flagValue(d.flags, "--add-runtime"); ok {
		return "", fmt.Errorf("dockerd was started with --add-runtime, and takes runtimes from its flags or from %s, not both. "+
			"Move that flag into the file, or add --add-runtime %s=%s, and restart it", d.config, daemonjson.Runtime, in.paths.runsc)
	}
	changed, err := writeRuntime(d.config, in.paths.runsc)
	if err != nil {
		return "", err
	}
	if changed {
		p.Note("wrote %s", d.config)
	}
	if err := syscall.Kill(d.pid, syscall.SIGHUP); err != nil {
		return "", fmt.Errorf("tell dockerd (process %d) to read %s: %w", d.pid, d.config, err)
	}
	p.Note("told dockerd (process %d) to read it; containers go on running", d.pid)
	deadline := time.Now().Add(in.wait.reload)
	for {
		info, err := inspectEngine(ctx, in.host, in.endpoint)
		if err == nil && runtimeProblem(info) == "" && info.Runtimes[daemonjson.Runtime].Path == in.paths.runsc {
			return daemonjson.Runtime + " is registered: " + strings.Join(info.Runtimes[daemonjson.Runtime].Args, " "), nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("dockerd did not take %s within %.0f s: its log says why (`journalctl -u docker -n 20`, or %s)",
				d.config, in.wait.reload.Seconds(), in.paths.dockerdLog)
		}
		if err := sleep(ctx, in.wait.poll); err != nil {
			return "", err
		}
	}
}
