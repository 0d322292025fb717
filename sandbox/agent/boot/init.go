package boot

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	stopBudget = 8 * time.Second // of the 10 s that the engine allows; dockerd may use all but stopRest
	stopRest   = 1500 * time.Millisecond
	backoffMin = 100 * time.Millisecond
	backoffMax = 5 * time.Second
	// after running for this long, a service is restarted with the shortest backoff
	steadyAfter   = 10 * time.Second
	waitPoll      = 10 * time.Millisecond
	rivalCheck    = 2 * time.Second
	lockCheck     = 50 * time.Millisecond
	maxLogAtStart = 1 << 20

	protectedScore = "-999" // oom_score_adj of the services that run the learner's containers

	containerdSocket = "/run/containerd/containerd.sock"
	containerdConfig = runDir + "/containerd.toml"
	dockerPID        = "/run/docker.pid"
)

// service is a program that process 1 keeps running.
type service struct {
	name string
	argv func() []string
	// whether it may start now, else when to ask again; nil means always
	ready func() (ok bool, again time.Duration)
	pass  func() (*os.File, error) // returns descriptor 3 of the program; nil for none
	ended func(steady bool)        // called when it has ended; steady: it had run for steadyAfter; nil for none
	keep  bool                     // never ended by the kernel when memory is short
	log   string                   // file for its output; "" means the node's own output

	pid     int // 0 while it is not running
	started time.Time
	due     time.Time // when to start it next
	backoff time.Duration
}

// supervisor is process 1. All of it runs on one goroutine.
type supervisor struct {
	self     string // path of this program
	log      *slog.Logger
	kernel   kernel
	iptables bool      // dockerd may use iptables
	engine   *listener // at engineSocket; nil if it is closed
	failed   bool      // the last dockerd ended before steadyAfter
	services []*service
	children chan os.Signal // SIGCHLD
	signals  chan os.Signal // all others
	stopping bool
}

func runInit() error {
	s := &supervisor{
		self:     "/proc/self/exe",
		log:      slog.New(slog.NewTextHandler(os.Stderr, nil)),
		children: make(chan os.Signal, 1),
		signals:  make(chan os.Signal, 16),
	}
	if exe, err := os.Executable(); err == nil {
		s.self = exe
	}
	signal.Notify(s.children, syscall.SIGCHLD)
	signal.Notify(s.signals, caughtSignals()...)

	s.kernel = findKernel()
	if err := s.prepareFiles(); err != nil {
		s.log.Error("preparing the node failed", "err", err) // go on: a node in which something is missing is better than none
	}
	agent := &service{name: "agent", argv: func() []string { return []string{s.self, "agent"} }}
	containerd := &service{name: "containerd", keep: true, log: "/var/log/containerd.log", argv: func() []string {
		// at each start, because the learner may have cleaned up /run
		if err := writeContainerdConfig(); err != nil {
			s.log.Error("writing the configuration of containerd failed", "err", err)
		}
		return []string{"containerd", "--config", containerdConfig}
	}}
	dockerd := &service{name: "dockerd", keep: true, log: "/var/log/dockerd.log", argv: s.dockerdArgs, pass: s.passEngine, ready: s.dockerdReady, ended: s.engineEnded}
	// Listen before the first shell starts. A command that is typed before dockerd is up waits,
	// instead of failing with "Cannot connect to the Docker daemon".
	var err error
	if s.engine, err = listenEngine(); err != nil {
		s.log.Error("listening on the engine socket failed", "err", err)
	}
	s.services = []*service{agent, containerd, dockerd}
	s.start(agent)
	s.start(containerd)
	s.prepareNetwork()
	s.supervise()
	s.stop(agent, dockerd)
	return nil
}

// caughtSignals returns all signals that can be caught, except SIGCHLD and the one that Go's
// runtime uses. They are caught, not ignored, because child processes inherit ignored signals.
func caughtSignals() []os.Signal {
	var list []os.Signal
	for sig := syscall.Signal(1); sig < 32; sig++ {
		switch sig {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG:
		default:
			list = append(list, sig)
		}
	}
	return list
}

// supervise runs until SIGTERM.
func (s *supervisor) supervise() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.children:
			s.reap()
		case sig := <-s.signals:
			if sig == syscall.SIGTERM {
				return
			}
		case <-timer.C:
		}
		timer.Reset(s.startDue())
	}
}

// startDue starts the services that are due and returns how long to wait for the next one.
func (s *supervisor) startDue() time.Duration {
	next := time.Hour
	for _, sv := range s.services {
		if sv.pid != 0 {
			continue
		}
		if wait := time.Until(sv.due); wait > 0 {
			next = min(next, wait)
			continue
		}
		if sv.ready != nil {
			if ok, again := sv.ready(); !ok {
				next = min(next, again)
				continue
			}
		}
		s.start(sv)
		if sv.pid == 0 {
			next = min(next, time.Until(sv.due))
		}
	}
	return next
}

// start starts a service in a session of its own, so that signals of a terminal don't reach it.
func (s *supervisor) start(sv *service) {
	out := os.Stderr
	if sv.log != "" {
		if info, err := os.Stat(sv.log); err == nil && info.Size() > maxLogAtStart {
			os.Remove(sv.log)
		}
		f, err := os.OpenFile(sv.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
		if err == nil {
			defer f.Close()
			out = f
		}
	}
	pid, err := s.launch(sv, out)
	if err != nil {
		s.log.Error("starting a service failed", "service", sv.name, "err", err)
		sv.started = time.Time{}
		s.later(sv)
		return
	}
	sv.pid, sv.started = pid, time.Now()
	if sv.keep {
		// Profile runc's kernel may refuse this. The engine is then as likely a victim as any process of its size.
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(protectedScore), 0)
	}
}

// launch starts a service's process, with its descriptor 3 if it has one.
func (s *supervisor) launch(sv *service, out *os.File) (int, error) {
	if sv.pass == nil {
		return s.spawn(sv.argv(), out)
	}
	f, err := sv.pass()
	if err != nil {
		return 0, err
	}
	return s.spawn(sv.argv(), out, f)
}

// later schedules the next start of a service that has ended or failed to start.
func (s *supervisor) later(sv *service) {
	steady := !sv.started.IsZero() && time.Since(sv.started) > steadyAfter
	if sv.backoff == 0 || steady {
		sv.backoff = backoffMin
	}
	if sv.ended != nil {
		sv.ended(steady)
	}
	sv.due = time.Now().Add(sv.backoff)
	sv.backoff = min(2*sv.backoff, backoffMax)
}

// spawn forks and executes. It does not use package os, which would wait for the process. more are
// the descriptors from 3 on.
func (s *supervisor) spawn(argv []string, out *os.File, more ...*os.File) (int, error) {
	path, err := findProgram(argv[0])
	if err != nil {
		return 0, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	files := []uintptr{null.Fd(), out.Fd(), out.Fd()}
	for _, f := range more {
		files = append(files, f.Fd())
	}
	return syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Dir:   "/",
		Env:   os.Environ(),
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// findProgram searches a fixed list of directories. Those of the node's read-only root come first.
func findProgram(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"} {
		path := filepath.Join(dir, name)
		if unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("program %s not found", name)
}

// reap collects all children that have ended: services, and orphans, which process 1 inherits.
func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG|syscall.WUNTRACED, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		s.collected(pid, status)
	}
}

// collected records that a child has ended or was stopped.
func (s *supervisor) collected(pid int, status syscall.WaitStatus) {
	for _, sv := range s.services {
		if sv.pid != pid {
			continue
		}
		if status.Stopped() {
			// Nobody else would continue a stopped agent, and the learner's page would be dead.
			if sv.name == "agent" {
				syscall.Kill(pid, syscall.SIGCONT)
			}
			return
		}
		sv.pid = 0
		if !s.stopping {
			s.log.Warn("service ended", "service", sv.name, "exit", status.ExitStatus(), "signal", int(status.Signal()))
			s.later(sv)
		}
		return
	}
}

// runOnce runs a command and waits for it, reaping other children meanwhile. It returns true if the
// exit code is 0.
func (s *supervisor) runOnce(argv ...string) bool {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return false
	}
	defer null.Close()
	pid, err := s.spawn(argv, null)
	if err != nil {
		return false
	}
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return false
		case got == pid:
			return status.Exited() && status.ExitStatus() == 0
		default:
			s.collected(got, status)
		}
	}
}

// takeOver runs a program with systemd's socket activation protocol: descriptor 3 is the listening
// socket, and LISTEN_PID must be the program's process id.
const takeOver = `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`

// passEngine returns the listening socket for the next dockerd. Process 1 keeps it open, so
// commands wait while dockerd restarts. If the learner removed the socket's file, it creates a new
// socket.
func (s *supervisor) passEngine() (*os.File, error) {
	if s.engine != nil && !s.engine.reachable() {
		s.closeEngine()
	}
	if s.engine == nil {
		var err error
		if s.engine, err = listenEngine(); err != nil {
			return nil, err
		}
	}
	return s.engine.f, nil
}

// engineEnded decides whether commands may still wait for dockerd. They may when dockerd ends for
// the first time. If the next dockerd fails soon as well, for example because of its configuration,
// the socket is closed until the following attempt. Then waiting commands fail, and the learner
// sees that no engine is running.
func (s *supervisor) engineEnded(steady bool) {
	if !steady && s.failed {
		s.closeEngine()
	}
	s.failed = !steady
}

func (s *supervisor) closeEngine() {
	if s.engine != nil {
		s.engine.f.Close()
		s.engine = nil
	}
}

// dockerdArgs returns dockerd's command line. dockerd's iptables rules would fail on gVisor;
// published ports use docker-proxy there.
func (s *supervisor) dockerdArgs() []string {
	os.Remove(dockerPID) // left by a dockerd that was killed; dockerdReady has checked that none is running
	argv := []string{"/bin/sh", "-c", takeOver, "dockerd",
		"--host", "fd://",
		"--containerd", containerdSocket,
		"--storage-driver", "overlay2",
		"--shutdown-timeout", "4",
		"--log-level", "warn",
	}
	if !s.iptables {
		argv = append(argv, "--iptables=false", "--ip6tables=false")
	}
	return argv
}

// dockerdReady waits for containerd, because without it dockerd backs off for nearly a second. It
// also waits while images are being restored, and while a dockerd runs that the learner started by
// hand.
func (s *supervisor) dockerdReady() (bool, time.Duration) {
	if _, err := os.Stat(containerdSocket); err != nil {
		return false, waitPoll
	}
	if engineLocked() {
		return false, lockCheck
	}
	if enginePID() != 0 {
		return false, rivalCheck
	}
	return true, 0
}

// readPID reads a pid file. O_NONBLOCK keeps a FIFO at that path from blocking it.
func readPID(path string) int {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	buf := make([]byte, 32)
	n, err := f.Read(buf)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// stop ends dockerd, which needs time to stop its containers, then all other services. When it
// returns, the node ends. The agent is ended together with dockerd, because dockerd waits for
// clients that follow its events.
func (s *supervisor) stop(agent, dockerd *service) {
	s.stopping = true
	s.terminate([]*service{agent, dockerd}, time.Now().Add(stopBudget-stopRest))
	s.terminate(s.services, time.Now().Add(stopRest))
}

// terminate sends SIGTERM and waits until all services have ended or the deadline has passed.
func (s *supervisor) terminate(list []*service, deadline time.Time) {
	for _, sv := range list {
		if sv.pid != 0 {
			syscall.Kill(sv.pid, syscall.SIGTERM)
			syscall.Kill(sv.pid, syscall.SIGCONT)
		}
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for {
		s.reap()
		running := false
		for _, sv := range list {
			running = running || sv.pid != 0
		}
		if !running {
			return
		}
		select {
		case <-s.children:
		case <-s.signals:
		case <-timer.C:
			return
		}
	}
}
