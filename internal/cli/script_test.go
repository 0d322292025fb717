package cli

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts in testdata/script run the command labd as a user would. Each script is a text file:
// commands first, then the files that they use. To add a script, add a file. Besides the commands
// of testscript, a script can use
//
//	exits CODE COMMAND ARGS...   run a command and require this exit code
//	waitfile PATH                wait until a file exists
//	[root]                       condition: the test runs as root
//	dockerd -H unix://PATH --config-file PATH
//	                             a fake engine: answers /info and /version, and reads its file on SIGHUP
func TestMain(m *testing.M) {
	testscript.Main(withSite{m}, map[string]func(){
		"labd":    Program().Main,
		"dockerd": standInEngine,
	})
}

// withSite gives all tests one directory for the site, because building it takes ten seconds with
// the race detector.
type withSite struct{ *testing.M }

const siteEnv = "LABD_TEST_SITE"

func (w withSite) Run() int {
	dir, err := os.MkdirTemp("", "labd-site")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Setenv(siteEnv, filepath.Join(dir, "site")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return w.M.Run()
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			// Scripts must not use this machine's engine or seed by accident.
			e.Setenv("DOCKER_HOST", "unix://"+e.WorkDir+"/docker.sock")
			e.Setenv("LABD_SEED_DIR", e.WorkDir+"/seed")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "waitfile": waitfile},
	})
}

// exits implements `exits CODE COMMAND ARGS...`.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exited with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// fileWait is the timeout of waitfile.
const fileWait = time.Minute

// waitfile implements `waitfile PATH`.
func waitfile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfile PATH")
	}
	for deadline := time.Now().Add(fileWait); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not exist after a minute", args[0])
		}
	}
}

// standInEngine implements the program dockerd of the scripts.
func standInEngine() {
	host := flag.String("H", "", "where to listen")
	file := flag.String("config-file", "", "configuration, read on SIGHUP")
	api := flag.String("api", "1.45", "API version to speak")
	flag.Parse()
	if err := serveStandIn(strings.TrimPrefix(*host, "unix://"), *file, *api); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveStandIn(socket, file, api string) error {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	info := map[string]any{
		"ServerVersion": "26.1.5", "OperatingSystem": "Debian GNU/Linux 12 (bookworm)", "Architecture": "x86_64",
		"KernelVersion": strings.TrimSpace(string(kernel)), "CgroupVersion": "2", "CgroupDriver": "systemd",
		"MemTotal": 8 << 30, "MemoryLimit": true, "CpuCfsQuota": true, "PidsLimit": true,
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	answers := make(chan []byte)
	encode := func() []byte {
		data, err := json.Marshal(info)
		if err != nil {
			panic(err) // strings and numbers always marshal
		}
		return data
	}
	go func() {
		answer := encode()
		for {
			select {
			case answers <- answer:
			case <-hup:
				var config struct{ Runtimes any }
				if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &config) == nil {
					info["Runtimes"] = config.Runtimes
					answer = encode()
				}
			}
		}
	}()
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/info", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(<-answers) })
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"ApiVersion": %q}`, api) })
	return http.Serve(ln, mux)
}
