package setup

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func getsid(pid int) (int, error) { return unix.Getsid(pid) }

// standIn is the variable that makes this test binary run as a fake dockerd.
const standIn = "LABD_TEST_DOCKERD_SOCKET"

func TestMain(m *testing.M) {
	if socket := os.Getenv(standIn); socket != "" {
		if err := serveStandIn(socket, os.Getenv("LABD_TEST_DOCKERD_CONFIG")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// serveStandIn answers /info and /version with the runtimes in its configuration file. It reads the
// file again only on SIGHUP.
func serveStandIn(socket, config string) error {
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, unix.SIGHUP)
	info := engine26()
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	info.KernelVersion = strings.TrimSpace(string(release))
	info.Runtimes = nil
	asked := make(chan *engineInfo)
	go func() {
		for {
			select {
			case <-hup:
				var file struct{ Runtimes map[string]engineRuntime }
				data, err := os.ReadFile(config)
				if err == nil && json.Unmarshal(data, &file) == nil {
					next := *info
					next.Runtimes = file.Runtimes
					info = &next
				}
			case asked <- info:
			}
		}
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("/info", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(<-asked) })
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"ApiVersion": "1.45"}`) })
	fmt.Println("ready")
	return http.Serve(ln, mux)
}

// startStandIn runs the fake under the name dockerd and returns its endpoint and process.
func startStandIn(t *testing.T, config string, flags ...string) (endpoint string, pid int) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Linux names a process after its executable, and setup looks for dockerd.
	name := filepath.Join(dir, "dockerd")
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "docker.sock")
	cmd := exec.Command(name, flags...)
	cmd.Env = append(os.Environ(), standIn+"="+socket, "LABD_TEST_DOCKERD_CONFIG="+config)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // killed above
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the stand-in printed %q (%v)", line, err)
	}
	return "unix://" + socket, cmd.Process.Pid
}

// localHost is this machine, seen as root and limited to the test's files and processes.
type localHost struct{ Local }

func (localHost) UID() int                 { return 0 }
func (localHost) Getenv(key string) string { return "" }
func (localHost) Run(context.Context, Command) ([]byte, error) {
	return nil, fmt.Errorf("nothing is run in this test")
}

func TestRuntimeIsRegisteredWithARunningDaemon(t *testing.T) {
	config := filepath.Join(t.TempDir(), "daemon.json")
	write(t, config, `{"debug": true, "runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}`, 0o644)
	endpoint, pid := startStandIn(t, config, "--config-file="+config, "--data-root", "/nowhere")
	in, out := testInstaller(t, localHost{}, Options{Endpoint: endpoint})
	if err := runOne(t, in, in.runtimeStep()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"wrote " + config, fmt.Sprintf("told dockerd (process %d)", pid), "✓ runtime      runsc is registered: --net-raw --overlay2=none"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it did not say %q:\n%s", want, out)
		}
	}
	if got := read(t, config); !strings.Contains(got, `"debug": true`) || !strings.Contains(got, "nvidia-container-runtime") {
		t.Errorf("other settings are gone:\n%s", got)
	}
	out.Reset()
	if err := runOne(t, in, in.runtimeStep()); err != nil || strings.Contains(out.String(), "told dockerd") {
		t.Errorf("the second run did not skip (%v):\n%s", err, out)
	}
}

func TestRuntimeThatTheDaemonWouldForgetIsWrittenAgain(t *testing.T) {
	config := filepath.Join(t.TempDir(), "daemon.json")
	endpoint, _ := startStandIn(t, config, "--config-file", config)
	in, _ := testInstaller(t, localHost{}, Options{Endpoint: endpoint})
	if err := runOne(t, in, in.runtimeStep()); err != nil {
		t.Fatal(err)
	}
	first := read(t, config)
	write(t, config, `{"debug": true}`, 0o644)
	if err := runOne(t, in, in.runtimeStep()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, config); !strings.Contains(got, in.paths.runsc) || !strings.Contains(got, "debug") {
		t.Errorf("the file is %s, want the runtime in it again, as in %s", got, first)
	}
}

func TestRuntimeLeavesABrokenConfigurationAlone(t *testing.T) {
	config := filepath.Join(t.TempDir(), "daemon.json")
	write(t, config, "{\n  \"debug\": true,\n}\n", 0o644)
	endpoint, _ := startStandIn(t, config, "--config-file", config)
	in, _ := testInstaller(t, localHost{}, Options{Endpoint: endpoint})
	err := runOne(t, in, in.runtimeStep())
	if err == nil || !strings.Contains(err.Error(), config+":3") {
		t.Errorf("error %v, want the file and line", err)
	}
	if got := read(t, config); got != "{\n  \"debug\": true,\n}\n" {
		t.Errorf("the file became %q", got)
	}
}

func TestRuntimeSaysWhyFlagsAndFileDoNotMix(t *testing.T) {
	config := filepath.Join(t.TempDir(), "daemon.json")
	endpoint, _ := startStandIn(t, config, "--config-file", config, "--add-runtime", "nvidia=/usr/bin/nvidia")
	in, _ := testInstaller(t, localHost{}, Options{Endpoint: endpoint})
	err := runOne(t, in, in.runtimeStep())
	if err == nil || !strings.Contains(err.Error(), "--add-runtime") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(config); !os.IsNotExist(err) {
		t.Errorf("a file was written all the same (%v)", err)
	}
}

func TestRuntimeThatTheDaemonDoesNotTake(t *testing.T) {
	config := filepath.Join(t.TempDir(), "daemon.json")
	// This daemon reads another file than its flags say. It behaves like a daemon that rejects the
	// new configuration.
	endpoint, _ := startStandIn(t, config+".elsewhere", "--config-file", config)
	in, _ := testInstaller(t, localHost{}, Options{Endpoint: endpoint})
	in.wait.reload = 0
	if err := runOne(t, in, in.runtimeStep()); err == nil || !strings.Contains(err.Error(), "did not take "+config) {
		t.Errorf("error %v", err)
	}
}
