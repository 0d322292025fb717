package setup

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// testInstaller returns an installer that writes to a temporary directory and has short timeouts.
func testInstaller(t *testing.T, h Host, opt Options) (*installer, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	opt.Out = &out
	in := newInstaller(h, opt)
	dir := t.TempDir()
	in.Cache = filepath.Join(dir, "cache")
	in.paths = paths{
		runsc:         filepath.Join(dir, "bin", "runsc"),
		daemonConfig:  filepath.Join(dir, "docker", "daemon.json"),
		dockerdLog:    filepath.Join(dir, "dockerd.log"),
		dockerdPID:    filepath.Join(dir, "docker.pid"),
		containerdPID: filepath.Join(dir, "containerd.pid"),
	}
	in.wait = waits{
		aptLock: time.Minute, aptRetry: time.Millisecond, engine: time.Minute, reload: time.Minute,
		poll: time.Millisecond, heartbeat: time.Hour,
	}
	return in, &out
}

func runOne(t *testing.T, in *installer, s Step) error {
	t.Helper()
	return in.run(t.Context(), []Step{s})
}

const aptInstall = "apt-get -q install -y --no-install-recommends -o Dpkg::Options::=--force-confold "

// installs makes `apt-get install names` succeed and adds the programs.
func (h *fakeHost) installs(names string, programs ...string) {
	h.run[aptInstall+names] = func() (string, error) {
		for _, p := range programs {
			h.programs[p] = true
		}
		return "", nil
	}
}

func TestPackagesInstallsOnlyWhatIsMissing(t *testing.T) {
	h := debianServer()
	h.info = nil
	h.programs["dockerd"], h.programs["mmdebstrap"] = false, false
	h.run["apt-get -q update"] = answer("")
	h.installs("docker.io mmdebstrap", "dockerd", "mmdebstrap")
	in, out := testInstaller(t, h, Options{})
	if err := runOne(t, in, in.packagesStep()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"apt-get -q update", aptInstall + "docker.io mmdebstrap"}; !slices.Equal(h.runs, want) {
		t.Errorf("ran %q, want %q", h.runs, want)
	}
	if !strings.Contains(out.String(), "… packages     install docker.io mmdebstrap") {
		t.Errorf("it did not say what it does:\n%s", out)
	}
	h.runs = nil
	if err := runOne(t, in, in.packagesStep()); err != nil || h.runs != nil {
		t.Errorf("a second run ran %q (%v)", h.runs, err)
	}
}

func TestPackagesLeavesAnEngineOfAnotherMakeAlone(t *testing.T) {
	h := debianServer()
	h.programs["dockerd"] = false // as with an engine whose dockerd is not in PATH
	in, _ := testInstaller(t, h, Options{})
	if err := runOne(t, in, in.packagesStep()); err != nil || h.runs != nil {
		t.Errorf("ran %q (%v)", h.runs, err)
	}
}

func TestPackagesForTests(t *testing.T) {
	h := debianServer()
	h.run["apt-get -q update"] = answer("")
	h.installs("chromium fonts-noto-cjk gcc libc6-dev nginx libnginx-mod-http-brotli-static caddy openssl docker-cli", "chromium", "gcc", "nginx", "caddy", "openssl", "docker")
	in, _ := testInstaller(t, h, Options{Tests: true})
	err := runOne(t, in, in.packagesStep())
	// The fake installation adds programs but no files. Setup must report what is still missing.
	if err == nil || !strings.Contains(err.Error(), "apt-get reported success, yet these are missing: fonts-noto-cjk libc6-dev libnginx-mod-http-brotli-static") {
		t.Errorf("error %v", err)
	}
}

// With systemd, a package starts its server during the installation, which fails if something else
// uses the port.
func TestServersForTestsDoNotStart(t *testing.T) {
	h := debianServer()
	h.files["/run/systemd/system"] = ""
	for _, n := range testNeeds {
		h.programs[n.program], h.files[n.file] = n.program != "nginx", ""
	}
	h.run["apt-get -q update"] = answer("")
	h.run["systemctl mask nginx.service"] = answer("")
	h.installs("nginx", "nginx")
	in, _ := testInstaller(t, h, Options{Tests: true})
	if err := runOne(t, in, in.packagesStep()); err != nil {
		t.Fatal(err)
	}
	// Caddy was there before, so its service is left alone.
	if len(h.runs) != 3 || h.runs[0] != "systemctl mask nginx.service" {
		t.Errorf("ran %q", h.runs)
	}
}

func TestPackagesOfTheEngineMayBringTheCommandLineOrNot(t *testing.T) {
	for _, tt := range []struct {
		name   string
		brings []string
		rounds int
	}{
		{"Debian12", []string{"dockerd", "docker"}, 1},
		{"Debian13", []string{"dockerd"}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := debianServer()
			h.info = nil
			h.programs["dockerd"] = false
			for _, n := range testNeeds[:len(testNeeds)-1] {
				h.programs[n.program], h.files[n.file] = true, ""
			}
			h.run["apt-get -q update"] = answer("")
			h.installs("docker.io", tt.brings...)
			h.installs("docker-cli", "docker")
			in, _ := testInstaller(t, h, Options{Tests: true})
			if err := runOne(t, in, in.packagesStep()); err != nil {
				t.Fatal(err)
			}
			if len(h.runs) != 2*tt.rounds {
				t.Errorf("ran %q, want %d rounds", h.runs, tt.rounds)
			}
		})
	}
}

func TestPackagesWaitsForAptsLock(t *testing.T) {
	const complaint = "Reading package lists...\nE: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (unattended-upgr)\n"
	locked := func() (string, error) { return complaint, errors.New("exit status 100") }
	t.Run("UntilItIsFree", func(t *testing.T) {
		h := debianServer()
		h.programs["mmdebstrap"] = false
		tries := 0
		h.run["apt-get -q update"] = func() (string, error) {
			if tries++; tries < 4 {
				return locked()
			}
			return "", nil
		}
		h.installs("mmdebstrap", "mmdebstrap")
		in, out := testInstaller(t, h, Options{})
		if err := runOne(t, in, in.packagesStep()); err != nil {
			t.Fatal(err)
		}
		if strings.Count(out.String(), "held by process 812 (unattended-upgr)") != 1 {
			t.Errorf("want it said once who holds the lock:\n%s", out)
		}
	})
	t.Run("NotForEver", func(t *testing.T) {
		h := debianServer()
		h.programs["mmdebstrap"] = false
		h.run["apt-get -q update"] = locked
		in, _ := testInstaller(t, h, Options{})
		in.wait.aptLock = 0
		err := runOne(t, in, in.packagesStep())
		if err == nil || !strings.Contains(err.Error(), "held by process 812") || !strings.Contains(err.Error(), "run `labd setup` again") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("UntilItIsCancelled", func(t *testing.T) {
		h := debianServer()
		h.programs["mmdebstrap"] = false
		ctx, cancel := context.WithCancel(t.Context())
		h.run["apt-get -q update"] = func() (string, error) { cancel(); return locked() }
		in, _ := testInstaller(t, h, Options{})
		if err := in.run(ctx, []Step{in.packagesStep()}); err == nil {
			t.Error("no error")
		}
	})
}

func TestPackagesSurvivesABrokenThirdPartySource(t *testing.T) {
	h := debianServer()
	h.programs["mmdebstrap"] = false
	h.run["apt-get -q update"] = func() (string, error) { return "E: The repository has no Release file", errors.New("exit status 100") }
	h.installs("mmdebstrap", "mmdebstrap")
	in, _ := testInstaller(t, h, Options{})
	if err := runOne(t, in, in.packagesStep()); err != nil {
		t.Fatal(err)
	}
	delete(h.run, aptInstall+"mmdebstrap")
	h.programs["mmdebstrap"] = false
	if err := runOne(t, in, in.packagesStep()); err == nil || !strings.Contains(err.Error(), "install") {
		t.Errorf("error %v, want the failed install", err)
	}
}

func TestPackagesWithoutApt(t *testing.T) {
	h := debianServer()
	h.programs["apt-get"], h.programs["mmdebstrap"] = false, false
	in, _ := testInstaller(t, h, Options{})
	err := runOne(t, in, in.packagesStep())
	if err == nil || !strings.Contains(err.Error(), "no apt-get here to install them: mmdebstrap") {
		t.Errorf("error %v", err)
	}
}

func TestStepsThatNeedRootGoThroughSudo(t *testing.T) {
	h := debianServer()
	h.uid = 1000
	h.env = map[string]string{"PATH": "/usr/local/go/bin:/usr/bin", "DOCKER_HOST": "unix:///run/user/1000/docker.sock", "SECRET": "x"}
	h.programs["mmdebstrap"], h.programs["sudo"] = false, true
	const want = "/usr/bin/sudo env PATH=/usr/local/go/bin:/usr/bin DOCKER_HOST=unix:///run/user/1000/docker.sock /opt/labd setup --cache /c --step packages"
	h.run[want] = answer("")
	in, _ := testInstaller(t, h, Options{Self: []string{"/opt/labd", "setup", "--cache", "/c"}})
	if err := runOne(t, in, in.packagesStep()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(h.runs, []string{want}) {
		t.Errorf("ran %q", h.runs)
	}
	h.programs["sudo"] = false
	if err := runOne(t, in, in.packagesStep()); err == nil || !strings.Contains(err.Error(), "as root") {
		t.Errorf("error %v", err)
	}
}

func TestEngineThatAnswersIsLeftAlone(t *testing.T) {
	h := debianServer()
	in, out := testInstaller(t, h, Options{})
	if err := runOne(t, in, in.engineStep()); err != nil || h.runs != nil {
		t.Fatalf("ran %q (%v)", h.runs, err)
	}
	if !strings.Contains(out.String(), "✓ engine       Docker 26.1.5 answers at unix:///var/run/docker.sock") {
		t.Errorf("said:\n%s", out)
	}
}

func TestEngineTooOldIsRefused(t *testing.T) {
	h := debianServer()
	h.info.APIVersion = "1.40"
	in, _ := testInstaller(t, h, Options{})
	if err := runOne(t, in, in.engineStep()); err == nil || !strings.Contains(err.Error(), "speaks API 1.40") {
		t.Errorf("error %v", err)
	}
}

func TestEngineAtADeadDockerHostIsNotStartedElsewhere(t *testing.T) {
	h := debianServer()
	h.info = nil
	h.env["DOCKER_HOST"] = "unix:///home/ada/docker.sock"
	in, _ := testInstaller(t, h, Options{})
	if err := runOne(t, in, in.engineStep()); err == nil || !strings.Contains(err.Error(), "unset DOCKER_HOST") || h.runs != nil {
		t.Errorf("error %v, ran %q", err, h.runs)
	}
}

func TestEngineIsStartedByTheServiceManagerThatRuns(t *testing.T) {
	for _, tt := range []struct {
		name, command, said string
		files               map[string]string
	}{
		{"Systemd", "systemctl start docker", "started by systemd", map[string]string{"/run/systemd/system": "", "/proc/1/comm": "systemd\n"}},
		{"SysVInit", "service docker start", "started by its init script",
			map[string]string{"/proc/1/comm": "init\n", "/etc/inittab": "", "/etc/init.d/docker": ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := debianServer()
			h.info = nil
			for f, data := range tt.files {
				h.files[f] = data
			}
			h.run[tt.command] = func() (string, error) { h.info = engine26(); return "", nil }
			in, out := testInstaller(t, h, Options{})
			if err := runOne(t, in, in.engineStep()); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(h.runs, []string{tt.command}) || !strings.Contains(out.String(), tt.said) {
				t.Errorf("ran %q and said:\n%s", h.runs, out)
			}
		})
	}
}

func TestEngineThatSystemdCannotStart(t *testing.T) {
	h := debianServer()
	h.info = nil
	h.files["/run/systemd/system"] = ""
	h.run["systemctl start docker"] = func() (string, error) { return "", errors.New("Unit docker.service is masked") }
	in, _ := testInstaller(t, h, Options{})
	err := runOne(t, in, in.engineStep())
	if err == nil || !strings.Contains(err.Error(), "masked") || !strings.Contains(err.Error(), "journalctl -u docker") {
		t.Errorf("error %v", err)
	}
}

func TestEngineThatIsComingUpIsWaitedFor(t *testing.T) {
	h := debianServer()
	h.info = nil
	in, _ := testInstaller(t, h, Options{})
	h.files[in.paths.dockerdPID] = "77\n"
	h.files["/proc/77/status"] = "Name:\tdockerd\nState:\tS (sleeping)\n"
	asked := 0
	if err := runOne(t, in, Step{Name: "engine", Look: in.engineStep().Look, Plan: in.engineStep().Plan,
		Do: func(ctx context.Context, p *Progress) (string, error) {
			in.host = lateEngine{h, &asked}
			return in.startEngine(ctx, p)
		}}); err != nil {
		t.Fatal(err)
	}
	if asked < 3 || h.runs != nil {
		t.Errorf("asked %d times, ran %q", asked, h.runs)
	}
}

// lateEngine is a host whose engine answers the third request and later ones.
type lateEngine struct {
	*fakeHost
	asked *int
}

func (l lateEngine) Engine(ctx context.Context, endpoint, path string) ([]byte, error) {
	if *l.asked++; *l.asked == 3 {
		l.info = engine26()
	}
	return l.fakeHost.Engine(ctx, endpoint, path)
}

// script adds an executable shell script named dockerd to the fake host.
func script(t *testing.T, h *fakeHost, text string) *dockerdHost {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dockerd")
	write(t, path, "#!/bin/sh\n"+text, 0o755)
	h.files["/proc/self/mounts"] = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"
	h.files["/proc/1/comm"] = "my-init\n"
	return &dockerdHost{h, path}
}

type dockerdHost struct {
	*fakeHost
	dockerd string
}

func (d *dockerdHost) LookPath(name string) (string, error) {
	if name == "dockerd" {
		return d.dockerd, nil
	}
	return d.fakeHost.LookPath(name)
}

func TestDockerdThatEndsAtOnceShowsItsLog(t *testing.T) {
	h := debianServer()
	h.info = nil
	in, _ := testInstaller(t, script(t, h, "echo 'failed to start daemon: Devices cgroup is not mounted' >&2; exit 1\n"), Options{})
	err := runOne(t, in, in.engineStep())
	if err == nil || !strings.Contains(err.Error(), "dockerd ended") || !strings.Contains(err.Error(), "Devices cgroup is not mounted") {
		t.Errorf("error %v", err)
	}
}

// TestDockerdOutlivesSetup starts a fake dockerd and checks that it keeps running in a session of
// its own after the context has ended.
func TestDockerdOutlivesSetup(t *testing.T) {
	h := debianServer()
	h.info = nil
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready")
	host := &readyHost{script(t, h, "echo \"$@\"; echo $$ > "+ready+".tmp; mv "+ready+".tmp "+ready+"; exec sleep 600\n"), ready}
	in, out := testInstaller(t, host, Options{})
	// Both are stale: process 1 is not dockerd, and process 2 was a containerd that is a zombie.
	write(t, in.paths.dockerdPID, "1\n", 0o644)
	write(t, in.paths.containerdPID, "2\n", 0o644)
	h.files["/proc/1/status"] = "Name:\tinit\nState:\tS (sleeping)\n"
	h.files[in.paths.containerdPID], h.files["/proc/2/status"] = "2\n", "Name:\tcontainerd\nState:\tZ (zombie)\n"
	ctx, cancel := context.WithCancel(t.Context())
	err := in.run(ctx, []Step{in.engineStep()})
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	pid := host.pid(t)
	t.Cleanup(func() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("dockerd is gone: %v", err)
	}
	if sid, err := getsid(pid); err != nil || sid != pid {
		t.Errorf("its session is %d (%v), want its own, %d", sid, err, pid)
	}
	if got := read(t, in.paths.dockerdLog); strings.TrimSpace(got) != "--pidfile "+in.paths.dockerdPID {
		t.Errorf("log %q", got)
	}
	for _, file := range []string{in.paths.dockerdPID, in.paths.containerdPID} {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the stale %s is still there (%v)", file, err)
		}
	}
	if !strings.Contains(out.String(), "started without a service manager") {
		t.Errorf("said:\n%s", out)
	}
}

// readyHost has an engine as soon as the fake dockerd has written its file.
type readyHost struct {
	*dockerdHost
	ready string
}

func (r *readyHost) Engine(ctx context.Context, endpoint, path string) ([]byte, error) {
	if _, err := os.Stat(r.ready); err == nil {
		r.info = engine26()
	}
	return r.fakeHost.Engine(ctx, endpoint, path)
}

func (r *readyHost) pid(t *testing.T) int {
	t.Helper()
	var pid int
	for _, c := range strings.TrimSpace(read(t, r.ready)) {
		pid = pid*10 + int(c-'0')
	}
	return pid
}

func TestCgroupsAreMountedWhereNoInitDid(t *testing.T) {
	h := debianServer()
	h.files["/proc/self/mounts"] = "/dev/vda / ext4 rw 0 0\nproc /proc proc rw 0 0\n"
	h.run["mount -t cgroup2 cgroup2 /sys/fs/cgroup"] = answer("")
	in, out := testInstaller(t, h, Options{})
	p := startProgress(out, time.Hour)
	defer p.stop()
	if err := in.mountCgroups(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if len(h.runs) != 1 {
		t.Errorf("ran %q", h.runs)
	}
}

func TestRuntimeRefusesEnginesElsewhere(t *testing.T) {
	h := debianServer()
	h.info.OperatingSystem = "Docker Desktop"
	in, _ := testInstaller(t, h, Options{})
	err := runOne(t, in, in.runtimeStep())
	if err == nil || !strings.Contains(err.Error(), "Docker Desktop's virtual machine") || !strings.Contains(err.Error(), "labd doctor") {
		t.Errorf("error %v", err)
	}
}

func TestSetupOnOtherSystemsPointsToTheDoctor(t *testing.T) {
	h := debianServer()
	macWithDockerDesktop(h)
	if err := Run(t.Context(), h, Options{Out: &bytes.Buffer{}}); err == nil || !strings.Contains(err.Error(), "labd doctor") {
		t.Errorf("error %v", err)
	}
}

func TestRunscProblem(t *testing.T) {
	if got := runscProblem(filepath.Join(t.TempDir(), "runsc"), "amd64"); got != "not installed" {
		t.Errorf("no file: %q", got)
	}
	script := filepath.Join(t.TempDir(), "runsc")
	write(t, script, "#!/bin/sh\necho runsc version release-20230102.0\n", 0o755)
	if got := runscProblem(script, "amd64"); !strings.Contains(got, "not a build by labd") {
		t.Errorf("a script: %q", got)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got := runscProblem(self, "amd64"); !strings.Contains(got, "not of gvisor.dev/gvisor") {
		t.Errorf("this test's own binary: %q", got)
	}
	if _, err := os.Stat(runscPath); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("CI has runsc to look at:", err)
		}
		t.Skip("no runsc on this machine to look at:", err)
	}
	if got := runscProblem(runscPath, "riscv64"); !strings.Contains(got, "but the engine runs on riscv64") {
		t.Errorf("another architecture: %q", got)
	}
	out, err := exec.CommandContext(t.Context(), runscPath, "--version").Output()
	if err != nil || !strings.Contains(string(out), runscBuild) {
		t.Errorf("runsc --version: %q, %v; want %s", out, err, runscBuild)
	}
}

func TestProgressShowsTheLastLine(t *testing.T) {
	p := &Progress{}
	for _, b := range []byte("downloading\n10%\r20%\r30") {
		if n, err := p.Write([]byte{b}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if p.last != "20%" {
		t.Errorf("last line %q, want the last whole one", p.last)
	}
	if _, err := p.Write([]byte("%\n\n\xff\n")); err != nil || p.last != "?" {
		t.Errorf("last line %q (%v)", p.last, err)
	}
}
