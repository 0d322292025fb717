package setup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// defaultEndpoint is the engine's address if DOCKER_HOST is not set.
	defaultEndpoint = "unix:///var/run/docker.sock"
	// minAPI is the API version of Docker 20.10, the oldest supported engine.
	minAPI = "1.41"
	// engineTimeout bounds one request to the engine. A busy engine answers /info in well under a
	// second.
	engineTimeout = 10 * time.Second
	// maxEngineAnswer bounds the size of an answer.
	maxEngineAnswer = 4 << 20
)

// engineInfo is what setup and the doctor need from /info and /version.
type engineInfo struct {
	ServerVersion   string
	APIVersion      string // from /version
	OperatingSystem string
	OSType          string
	Architecture    string // as printed by uname -m
	KernelVersion   string
	Name            string
	CgroupVersion   string
	CgroupDriver    string
	Driver          string
	DockerRootDir   string
	MemTotal        int64
	MemoryLimit     bool
	CPUCfsQuota     bool `json:"CpuCfsQuota"`
	PidsLimit       bool
	Runtimes        map[string]engineRuntime
	SecurityOptions []string
}

type engineRuntime struct {
	Path string   `json:"path"`
	Args []string `json:"runtimeArgs"`
}

// endpointOf returns the engine's address like the docker command line does, but without contexts.
func endpointOf(h Host) string {
	if e := h.Getenv("DOCKER_HOST"); e != "" {
		return e
	}
	return defaultEndpoint
}

// inspectEngine returns information about the engine at endpoint.
func inspectEngine(ctx context.Context, h Host, endpoint string) (*engineInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	var info engineInfo
	raw, err := h.Engine(ctx, endpoint, "/info")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &info); err != nil {
		return nil, fmt.Errorf("%s does not answer like a Docker engine: %w", endpoint, err)
	}
	raw, err = h.Engine(ctx, endpoint, "/version")
	if err != nil {
		return nil, err
	}
	var version struct {
		APIVersion string `json:"ApiVersion"`
	}
	if err := json.Unmarshal(raw, &version); err != nil {
		return nil, fmt.Errorf("%s does not answer like a Docker engine: %w", endpoint, err)
	}
	info.APIVersion = version.APIVersion
	if info.ServerVersion == "" || info.APIVersion == "" {
		return nil, fmt.Errorf("%s does not answer like a Docker engine", endpoint)
	}
	return &info, nil
}

// goArch returns Go's name of the engine's architecture, or "" if labs don't run on it.
func (i *engineInfo) goArch() string {
	switch i.Architecture {
	case "x86_64", "amd64":
		return "amd64"
	case "aarch64", "arm64":
		return "arm64"
	}
	return ""
}

// onThisKernel reports whether the engine's containers run on h's kernel, and if not, where.
func (i *engineInfo) onThisKernel(h Host) (ok bool, where string) {
	switch {
	case strings.Contains(i.OperatingSystem, "Docker Desktop"):
		return false, "in Docker Desktop's virtual machine"
	case h.OS() != "linux":
		return false, "in a virtual machine (" + i.OperatingSystem + ")"
	}
	kernel, err := h.ReadFile("/proc/sys/kernel/osrelease")
	if err == nil && i.KernelVersion != "" && strings.TrimSpace(string(kernel)) != i.KernelVersion {
		return false, "on another machine (" + i.Name + ", kernel " + i.KernelVersion + ")"
	}
	return true, ""
}

// apiAtLeast compares API versions such as 1.41.
func apiAtLeast(have, want string) bool {
	parse := func(s string) (int, int) {
		major, minor, _ := strings.Cut(s, ".")
		a, _ := strconv.Atoi(major)
		b, _ := strconv.Atoi(minor)
		return a, b
	}
	a, b := parse(have)
	c, d := parse(want)
	return a > c || a == c && b >= d
}

// Engine implements Host.
func (Local) Engine(ctx context.Context, endpoint, path string) ([]byte, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("DOCKER_HOST: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	base := "http://engine"
	switch u.Scheme {
	case "unix":
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", u.Path)
		}
	case "tcp", "http":
		base = "http://" + u.Host
		if os.Getenv("DOCKER_TLS_VERIFY") != "" {
			base = "https://" + u.Host
			if transport.TLSClientConfig, err = engineTLS(); err != nil {
				return nil, err
			}
		}
	default:
		return nil, fmt.Errorf("DOCKER_HOST %q: labd speaks to engines at unix:// and tcp:// addresses", endpoint)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxEngineAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the engine answered %s to %s: %s", resp.Status, path, strings.TrimSpace(string(body)))
	}
	return body, nil
}

// engineTLS reads the client certificate from where the docker command line has it.
func engineTLS() (*tls.Config, error) {
	dir := os.Getenv("DOCKER_CERT_PATH")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(home, ".docker")
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, fmt.Errorf("the engine's client certificate: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("the engine's CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("the engine's CA holds no certificate: " + filepath.Join(dir, "ca.pem"))
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
