package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
)

// fakeHost is a machine in memory. The zero value has nothing installed.
type fakeHost struct {
	os, arch  string
	uid       int
	env       map[string]string
	programs  map[string]bool
	files     map[string]string
	noAccess  map[string]error // result of Access; nil means success for everything in files
	info      *engineInfo      // nil for no engine
	dialErr   error            // error of a connection if info is nil
	free      uint64
	listen    error
	nodeImage string // the only image of the engine
	// run maps a command line to its result. Other commands fail.
	run map[string]func() (string, error)

	mu   sync.Mutex
	runs []string // guarded by mu: commands that were run
}

var _ Host = (*fakeHost)(nil)

// debianServer returns a machine without problems, with an engine that has gVisor.
func debianServer() *fakeHost {
	return &fakeHost{
		os: "linux", arch: "amd64", free: 100 << 30,
		env: map[string]string{"HOME": "/root"},
		programs: map[string]bool{"apt-get": true, "dockerd": true, "mmdebstrap": true, "mkfs.ext4": true, "losetup": true,
			"iptables": true, "go": true, "node": true, "npm": true},
		files: map[string]string{
			"/etc/os-release":                                "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
			"/proc/sys/kernel/osrelease":                     "6.1.0-13-amd64\n",
			"/proc/self/status":                              "Name:\tlabd\nCapEff:\t000001ffffffffff\n",
			"/dev/loop-control":                              "",
			"/usr/share/keyrings/debian-archive-keyring.gpg": "",
		},
		info: engine26(),
		run: map[string]func() (string, error){
			"go env GOVERSION": answer("go1.26.8\n"),
			"node --version":   answer("v20.20.2\n"),
		},
	}
}

func engine26() *engineInfo {
	return &engineInfo{
		ServerVersion: "26.1.5", APIVersion: "1.45", OperatingSystem: "Debian GNU/Linux 12 (bookworm)", OSType: "linux",
		Architecture: "x86_64", KernelVersion: "6.1.0-13-amd64", Name: "class", CgroupVersion: "2", CgroupDriver: "systemd",
		DockerRootDir: "/var/lib/docker", MemTotal: 16 << 30, MemoryLimit: true, CPUCfsQuota: true, PidsLimit: true,
		Runtimes: map[string]engineRuntime{
			"runc": {Path: "runc"}, "runsc": {Path: "/usr/local/bin/runsc", Args: []string{"--net-raw", "--overlay2=none"}}},
	}
}

func answer(out string) func() (string, error) { return func() (string, error) { return out, nil } }

func (h *fakeHost) OS() string               { return h.os }
func (h *fakeHost) Arch() string             { return h.arch }
func (h *fakeHost) UID() int                 { return h.uid }
func (h *fakeHost) Name() string             { return "class" }
func (h *fakeHost) Getenv(key string) string { return h.env[key] }

func (h *fakeHost) LookPath(name string) (string, error) {
	if h.programs[name] {
		return "/usr/bin/" + name, nil
	}
	return "", fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

func (h *fakeHost) ReadFile(path string) ([]byte, error) {
	data, ok := h.files[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(data), nil
}

func (h *fakeHost) Exists(path string) bool { _, ok := h.files[path]; return ok }

func (h *fakeHost) Access(path string) error {
	if err, ok := h.noAccess[path]; ok {
		return err
	}
	_, err := h.ReadFile(path)
	return err
}

func (h *fakeHost) Run(ctx context.Context, c Command) ([]byte, error) {
	words := strings.Join(c.Args, " ")
	h.mu.Lock()
	h.runs = append(h.runs, words)
	h.mu.Unlock()
	if f, ok := h.run[words]; ok {
		out, err := f()
		return []byte(out), err
	}
	return nil, errors.New(words + ": not on this machine")
}

func (h *fakeHost) Engine(_ context.Context, _, path string) ([]byte, error) {
	if h.info == nil {
		err := h.dialErr
		if err == nil {
			err = syscall.ENOENT
		}
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", err)}
	}
	if ref, ok := strings.CutPrefix(path, "/images/"); ok {
		if ref != h.nodeImage+"/json" {
			return nil, errors.New("no such image")
		}
		return []byte("{}"), nil
	}
	if path == "/version" {
		return json.Marshal(map[string]string{"ApiVersion": h.info.APIVersion})
	}
	return json.Marshal(h.info)
}

func (h *fakeHost) FreeBytes(string) (uint64, error) { return h.free, nil }
func (h *fakeHost) Listen(string) error              { return h.listen }
