package setup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/labd-dev/labd/internal/setup/daemonjson"
	"github.com/labd-dev/labd/sandbox/docker/isolation"
)

// TestDoctorTellsEachMachineItsWay runs the doctor on typical machines. Unless noted, they have no
// runsc, because a real binary can't be faked. TestDoctorOnThisMachine and TestRunscProblem use a
// real one.
func TestDoctorTellsEachMachineItsWay(t *testing.T) {
	runc := DoctorOptions{Isolation: isolation.Runc()}
	for _, tt := range []struct {
		name  string
		opt   DoctorOptions
		host  func(h *fakeHost)
		check string
		state State
		saw   string // part of Detail
		fix   string // part of Fix
	}{
		{"GoodServerRunsLabs", runc, func(h *fakeHost) {}, "engine", OK, "Docker 26.1.5 answers at unix:///var/run/docker.sock", ""},
		{"GoodServerWithoutRunsc", DoctorOptions{}, func(h *fakeHost) {}, "gVisor", Failure, "is not installed", "labd setup"},
		{"NoEngineInstalled", runc, func(h *fakeHost) { h.info, h.programs["dockerd"] = nil, false }, "engine", Failure,
			"no Docker engine is installed", "labd setup     (installs and starts it)"},
		{"EngineInstalledButDown", runc, func(h *fakeHost) { h.info, h.dialErr = nil, syscall.ECONNREFUSED }, "engine", Failure,
			"no engine answers at unix:///var/run/docker.sock (connection refused)", "labd setup     (starts it)"},
		{"EngineDownSkipsWhatNeedsIt", runc, func(h *fakeHost) { h.info = nil }, "cgroups", Skipped, "no engine answers", ""},
		{"DockerHostIsDead", runc, func(h *fakeHost) { h.info, h.env["DOCKER_HOST"] = nil, "tcp://10.0.0.9:2375" }, "engine", Failure,
			"DOCKER_HOST=tcp://10.0.0.9:2375", "unset DOCKER_HOST"},
		{"NeitherRootNorInTheDockerGroup", runc, func(h *fakeHost) {
			h.info, h.dialErr, h.uid, h.programs["sudo"] = nil, syscall.EACCES, 1000, true
		}, "engine", Failure, "neither root nor in the group docker", "sudo labd doctor     (or, to use the engine without sudo: sudo usermod -aG docker $USER"},
		{"NotRootWithSudo", runc, func(h *fakeHost) { h.uid, h.programs["sudo"] = 1000, true }, "rights", Warning, "not root", "sudo labd serve"},
		{"NotRootWithoutSudo", runc, func(h *fakeHost) { h.uid = 1000 }, "rights", Failure, "there is no sudo", "su -c 'labd serve'"},
		{"NotRootGetsCommandsWithSudo", DoctorOptions{}, func(h *fakeHost) { h.uid, h.programs["sudo"] = 1000, true }, "gVisor", Failure,
			"not installed", "sudo labd setup"},
		{"MacWithDockerDesktop", DoctorOptions{}, macWithDockerDesktop, "engine place", Failure,
			"in Docker Desktop's virtual machine, where gVisor can't be installed", `isolation = "runc"`},
		{"MacWithDockerDesktopSystem", DoctorOptions{}, macWithDockerDesktop, "system", Failure, "macOS (arm64)", "Linux machine"},
		{"MacWithDockerDesktopDown", DoctorOptions{}, func(h *fakeHost) { macWithDockerDesktop(h); h.info = nil }, "engine", Failure,
			"no engine answers", "open -a Docker"},
		{"MacWithColima", DoctorOptions{}, func(h *fakeHost) {
			macWithDockerDesktop(h)
			h.info = nil
			h.files["/Users/ada/.colima/default/docker.sock"] = ""
		}, "engine", Failure, "one listens at /Users/ada/.colima/default/docker.sock", "export DOCKER_HOST=unix:///Users/ada/.colima/default/docker.sock"},
		{"DockerDesktopOnLinux", DoctorOptions{}, func(h *fakeHost) {
			h.info.OperatingSystem, h.info.KernelVersion = "Docker Desktop", "6.6.16-linuxkit"
		}, "engine place", Failure, "Docker Desktop's virtual machine", "Run labd where the engine runs"},
		{"RemoteEngine", runc, func(h *fakeHost) { h.info.KernelVersion, h.info.Name = "5.15.0", "bigbox" }, "engine place", Failure,
			"on another machine (bigbox, kernel 5.15.0)", "Run labd where the engine runs"},
		{"RootlessEngine", runc, func(h *fakeHost) { h.info.SecurityOptions = []string{"name=seccomp,profile=default", "name=rootless"} },
			"engine place", Failure, "rootless", "unset DOCKER_HOST"},
		{"Windows", runc, func(h *fakeHost) { h.os = "windows" }, "system", Failure, "windows: labs need Linux", "Debian 12"},
		{"OtherLinux", runc, func(h *fakeHost) {
			h.programs["apt-get"] = false
			h.files["/etc/os-release"] = `PRETTY_NAME="Fedora Linux 42"`
		}, "system", Warning, "Fedora Linux 42 (amd64): there is no apt-get", "package manager"},
		{"RiscV", runc, func(h *fakeHost) { h.arch = "riscv64" }, "system", Failure, "riscv64", "x86-64 or 64-bit ARM"},
		{"EngineTooOld", runc, func(h *fakeHost) { h.info.ServerVersion, h.info.APIVersion = "19.03.15", "1.40" }, "engine API", Failure,
			"Docker 19.03.15 speaks API 1.40; labs need 1.41", "apt-get install docker.io"},
		{"EngineOldestThatWorks", runc, func(h *fakeHost) { h.info.APIVersion = "1.41" }, "engine API", OK, "1.41", ""},
		{"EngineOfTwoDigits", runc, func(h *fakeHost) { h.info.APIVersion = "1.141" }, "engine API", OK, "1.141", ""},
		{"CgroupV1", runc, func(h *fakeHost) { h.info.CgroupVersion, h.info.CgroupDriver = "1", "cgroupfs" }, "cgroups", OK,
			"version 1, driver cgroupfs", ""},
		{"CgroupV2", runc, func(h *fakeHost) {}, "cgroups", OK, "version 2, driver systemd", ""},
		{"NoMemoryCgroup", runc, func(h *fakeHost) { h.info.MemoryLimit = false }, "cgroups", Warning, "holds no memory limit", "cgroup_enable=memory"},
		{"EngineIsARM", runc, func(h *fakeHost) { h.info.Architecture = "aarch64" }, "processor", Warning,
			"the engine runs on arm64, labd is built for amd64", "GOARCH=arm64 make build"},
		{"EngineIs32Bit", runc, func(h *fakeHost) { h.info.Architecture = "armv7l" }, "processor", Failure, "armv7l", "64-bit"},
		{"RuntimeNotRegistered", DoctorOptions{}, func(h *fakeHost) { delete(h.info.Runtimes, "runsc") }, "runtime", Failure,
			"runtime runsc is not registered", "labd setup"},
		{"RuntimeWithoutOverlayFlag", DoctorOptions{}, func(h *fakeHost) {
			h.info.Runtimes["runsc"] = engineRuntime{Path: "/usr/local/bin/runsc", Args: []string{"--net-raw"}}
		}, "runtime", Failure, "registered without --overlay2=none", "labd setup"},
		{"RuntimeOfAnotherRunsc", DoctorOptions{}, func(h *fakeHost) {
			h.info.Runtimes["runsc"] = engineRuntime{Path: "/usr/bin/runsc", Args: daemonjson.Args()}
		}, "runtime", Failure, "/usr/bin/runsc, not the proven ", "labd setup"},
		{"ProfileRuncNeedsNoGVisor", runc, func(h *fakeHost) { delete(h.info.Runtimes, "runsc") }, "runtime", Skipped, "not needed", ""},
		{"NoLoopDevices", runc, func(h *fakeHost) { delete(h.files, "/dev/loop-control") }, "disks", Failure, "no loop devices", "modprobe loop"},
		{"LoopDevicesForbidden", runc, func(h *fakeHost) { h.noAccess = map[string]error{"/dev/loop-control": fs.ErrPermission} },
			"disks", Failure, "no loop devices (permission denied)", "modprobe loop"},
		{"RootInAContainerCannotMount", runc, func(h *fakeHost) { h.files["/proc/self/status"] = "CapEff:\t00000000a80425fb\n" },
			"disks", Failure, "no CAP_SYS_ADMIN", "outside of that container"},
		{"NoMkfs", runc, func(h *fakeHost) { h.programs["mkfs.ext4"] = false }, "disks", Failure, "no mkfs.ext4", "labd setup"},
		{"SeedMissing", seedIs(Seed{Problem: "no images are built"}), func(h *fakeHost) {}, "seed", Failure, "no images are built", "labd images build"},
		{"SeedStale", seedIs(Seed{Problem: "the images changed", Usable: true}), func(h *fakeHost) {}, "seed", Warning, "the images changed", "labd images build"},
		{"SeedWithoutItsNodeImage", seedIs(Seed{NodeImage: "labd/node:1", Usable: true}), func(h *fakeHost) { h.nodeImage = "labd/node:0" }, "seed",
			Failure, "the engine does not have the image of nodes, labd/node:1", "labd images build"},
		{"SeedWithItsNodeImage", seedIs(Seed{NodeImage: "labd/node:1", Usable: true, Detail: "6 images"}), func(h *fakeHost) { h.nodeImage = "labd/node:1" },
			"seed", OK, "6 images", ""},
		{"SeedCurrent", seedIs(Seed{Detail: "6 images"}), func(h *fakeHost) {}, "seed", OK, "6 images", ""},
		{"PortInUse", runc, func(h *fakeHost) { h.listen = syscall.EADDRINUSE }, "port", Warning, "127.0.0.1:8080 is in use", "ss -ltnp 'sport = :8080'"},
		{"PortForRootOnly", runc, func(h *fakeHost) { h.listen = syscall.EACCES }, "port", Failure, "may not listen", "above 1023"},
		{"AddressOfAnotherMachine", runc, func(h *fakeHost) { h.listen = syscall.EADDRNOTAVAIL }, "port", Failure, "can't listen on", "of this machine"},
		{"DiskNearlyFull", runc, func(h *fakeHost) { h.free = 1 << 30 }, "space", Failure, "1.0 GiB free", "docker system df"},
		{"DiskFilling", runc, func(h *fakeHost) { h.free = 5 << 30 }, "space", Warning, "5.0 GiB free", "docker system df"},
		{"LittleMemory", runc, func(h *fakeHost) { h.info.MemTotal = 1 << 30 }, "memory", Warning, "1.0 GiB", "4 GiB"},
		{"PackageMissing", runc, func(h *fakeHost) { h.programs["mmdebstrap"] = false }, "packages", Failure, "mmdebstrap makes the base image",
			"apt-get install -y --no-install-recommends mmdebstrap"},
		{"GoMissing", runc, func(h *fakeHost) { h.programs["go"] = false }, "Go", Warning, "not in PATH", "go.dev/dl"},
		{"GoTooOld", runc, func(h *fakeHost) { h.run["go env GOVERSION"] = answer("go1.19.8\n") }, "Go", Warning, "go1.19.8", "go.dev/dl"},
		{"NodeMissing", runc, func(h *fakeHost) { h.programs["npm"] = false }, "Node.js", Warning, "npm is not in PATH", "nodejs.org"},
		{"NodeTooOld", runc, func(h *fakeHost) { h.run["node --version"] = answer("v12.22.12\n") }, "Node.js", Warning, "v12.22.12", "nodejs.org"},
		{"BadConfig", DoctorOptions{Isolation: isolation.Runc(), ConfigErr: errors.New(`lab.toml:3: unknown key "lisen"`)}, func(h *fakeHost) {}, "lab.toml",
			Failure, `unknown key "lisen"`, "Fix the file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := debianServer()
			tt.host(h)
			r := diagnose(t, h, tt.opt)
			got := find(t, r, tt.check)
			if got.State != tt.state || !strings.Contains(got.Detail, tt.saw) || !strings.Contains(got.Fix, tt.fix) {
				t.Errorf("check %q\n got %+v\nwant state %s, detail with %q, fix with %q", tt.check, got, tt.state, tt.saw, tt.fix)
			}
			if got.State == Failure && r.LabsCanRun {
				t.Error("a failure, yet the report says labs can run")
			}
			for _, c := range r.Checks {
				if (c.State == Failure || c.State == Warning) && c.Fix == "" {
					t.Errorf("%s is %s without saying how to fix it: %s", c.Name, c.State, c.Detail)
				}
				if c.Detail == "" {
					t.Errorf("%s says nothing", c.Name)
				}
			}
		})
	}
}

func macWithDockerDesktop(h *fakeHost) {
	h.os, h.arch, h.uid = "darwin", "arm64", 501
	h.env["HOME"] = "/Users/ada"
	h.programs = map[string]bool{"go": true, "node": true, "npm": true, "sudo": true}
	h.files = map[string]string{}
	h.info.OperatingSystem, h.info.Architecture, h.info.KernelVersion = "Docker Desktop", "aarch64", "6.6.16-linuxkit"
	delete(h.info.Runtimes, "runsc")
}

func seedIs(s Seed) DoctorOptions {
	return DoctorOptions{Isolation: isolation.Runc(), Seed: func(context.Context) Seed { return s }}
}

func diagnose(t *testing.T, h *fakeHost, opt DoctorOptions) Report {
	t.Helper()
	opt.Addr, opt.DataDir = "127.0.0.1:8080", "/var/lib/labd"
	m := newMachine(h, opt)
	m.runsc = filepath.Join(t.TempDir(), "runsc")
	if rt, ok := h.info.runtime("runsc"); ok && rt.Path == runscPath {
		// The engine must name the path that this test checks.
		rt.Path = m.runsc
		h.info.Runtimes["runsc"] = rt
	}
	return m.diagnose(t.Context())
}

func (i *engineInfo) runtime(name string) (engineRuntime, bool) {
	if i == nil {
		return engineRuntime{}, false
	}
	rt, ok := i.Runtimes[name]
	return rt, ok
}

func find(t *testing.T, r Report, name string) Result {
	t.Helper()
	i := slices.IndexFunc(r.Checks, func(c Result) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no check %q", name)
	}
	return r.Checks[i]
}

func TestDoctorChangesNothing(t *testing.T) {
	h := debianServer()
	diagnose(t, h, DoctorOptions{})
	for _, cmd := range h.runs {
		if cmd != "go env GOVERSION" && cmd != "node --version" {
			t.Errorf("the doctor ran %q", cmd)
		}
	}
}

func TestSandboxThatDoesNotStartIsAFailure(t *testing.T) {
	h := debianServer()
	m := newMachine(h, DoctorOptions{})
	h.files[runscPath] = ""
	words := runscPath + " --network=none --ignore-cgroups do /bin/true"
	h.run[words] = func() (string, error) { return "", errors.New("ptrace: operation not permitted") }
	got := checkRunscRuns(t.Context(), m)
	if got.State != Failure || !strings.Contains(got.Detail, "operation not permitted") || got.Fix == "" {
		t.Errorf("got %+v", got)
	}
	h.run[words] = answer("")
	if got := checkRunscRuns(t.Context(), m); got.State != OK {
		t.Errorf("got %+v", got)
	}
}

func TestReportForPeopleAndPrograms(t *testing.T) {
	h := debianServer()
	h.info = nil
	h.programs["dockerd"] = false
	r := diagnose(t, h, DoctorOptions{Isolation: isolation.Runc()})

	var text bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"  ✓ system ", "  ✗ engine       no Docker engine is installed\n                 → labd setup", "  – cgroups ",
		"Labs can't run here yet; the site can.",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, &text)
		}
	}

	var out bytes.Buffer
	if err := r.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.LabsCanRun || len(back.Checks) != len(Checks()) || find(t, back, "engine").State != Failure {
		t.Errorf("got %s", &out)
	}
}

// TestDoctorOnThisMachine runs every check on this machine. Which of them pass depends on the
// machine; whether they agree with its state does not.
func TestDoctorOnThisMachine(t *testing.T) {
	r := Diagnose(t.Context(), Local{}, DoctorOptions{Isolation: isolation.GVisor(), Addr: "127.0.0.1:0", DataDir: t.TempDir()})
	if len(r.Checks) != len(Checks()) {
		t.Fatalf("%d results of %d checks", len(r.Checks), len(Checks()))
	}
	if got := find(t, r, "Go"); got.State != OK || !strings.HasPrefix(got.Detail, "go1.") {
		t.Errorf("Go: %+v, though it builds this test", got)
	}
	if got := find(t, r, "port"); got.State != OK {
		t.Errorf("port: %+v, though port 0 is always free", got)
	}
	_, err := os.Stat(runscPath)
	if got := find(t, r, "gVisor"); errors.Is(err, fs.ErrNotExist) && got.State != Failure || got.State == Skipped {
		t.Errorf("gVisor: %+v (%v)", got, err)
	}
	engine := find(t, r, "engine")
	if conn := (Local{}).Access("/var/run/docker.sock"); conn == nil && os.Getenv("DOCKER_HOST") == "" && engine.State != OK {
		t.Errorf("engine: %+v, though its socket answers", engine)
	}
	if engine.State == OK {
		for _, name := range []string{"engine API", "engine place", "processor", "cgroups", "memory"} {
			if got := find(t, r, name); got.State == Skipped {
				t.Errorf("%s was skipped, though the engine answers", name)
			}
		}
	}
}
