package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"github.com/labd-dev/labd/sandbox/docker/seed"
)

const engineSocket = "/var/run/docker.sock"

// nodeArgs are what a node needs when it is started by hand.
var nodeArgs = strings.Fields(`--runtime runsc --network none --cap-drop ALL
	--cap-add AUDIT_WRITE --cap-add CHOWN --cap-add DAC_OVERRIDE --cap-add FOWNER --cap-add FSETID --cap-add KILL --cap-add MKNOD
	--cap-add NET_BIND_SERVICE --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SETFCAP --cap-add SETGID --cap-add SETPCAP
	--cap-add SETUID --cap-add SYS_ADMIN --cap-add SYS_CHROOT --cap-add SYS_PTRACE`)

func nodeImage(seedDir string) (string, error) {
	s, err := seed.Open(seedDir)
	if err != nil {
		return "", err
	}
	return s.NodeImage, nil
}

// docker runs the docker command and returns its trimmed output.
func docker(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// handNode starts a node by hand, with an empty engine on a volume of its own, and returns its container's id.
func handNode(ctx context.Context, image string) (string, error) {
	args := append([]string{"run", "-d", "-v", "/var/lib/docker", "--tmpfs", "/run:exec"}, nodeArgs...)
	return docker(ctx, append(args, image)...)
}

func removeNode(id string) error {
	_, err := docker(context.Background(), "rm", "-f", "-v", id)
	return err
}

// nodeOf returns the container id of the node of a session.
func nodeOf(ctx context.Context, dir string) (string, error) {
	ids, err := docker(ctx, "ps", "-q", "--no-trunc")
	if err != nil {
		return "", err
	}
	for id := range strings.FieldsSeq(ids) {
		mounts, err := docker(ctx, "inspect", "-f", "{{range .Mounts}}{{.Source}} {{end}}", id)
		if err == nil && strings.Contains(mounts, dir+"/") {
			return id, nil
		}
	}
	return "", fmt.Errorf("no container has mounts under %s", dir)
}

// execStream is one raw exec stream of the Engine API, with a TTY so that its bytes are not framed.
type execStream struct {
	net.Conn
	r *bufio.Reader
}

func (e *execStream) Read(p []byte) (int, error) { return e.r.Read(p) }

// openExec runs a shell command in a container over one exec stream: the floor of every terminal.
func openExec(ctx context.Context, container, script string) (*execStream, error) {
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", engineSocket)
		},
		DisableKeepAlives: true,
	}}
	body, err := json.Marshal(map[string]any{
		"AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": true, "Cmd": []string{"bash", "-c", script},
	})
	if err != nil {
		return nil, err
	}
	resp, err := client.Post("http://engine/v1.41/containers/"+container+"/exec", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var created struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&created); err != nil || created.ID == "" {
		return nil, fmt.Errorf("create exec: %s: %w", resp.Status, err)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", engineSocket)
	if err != nil {
		return nil, err
	}
	start := `{"Detach":false,"Tty":true}`
	fmt.Fprintf(conn, "POST /v1.41/exec/%s/start HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", created.ID, len(start), start)
	r := bufio.NewReaderSize(conn, 64<<10)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("start exec: %w", err)
		}
		if strings.TrimSpace(line) == "" {
			return &execStream{conn, r}, nil
		}
	}
}

// memoryOf returns the anonymous and kernel memory of a container in bytes, without the page cache.
func memoryOf(ctx context.Context, container string) (int64, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", engineSocket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/v1.41/containers/"+container+"/stats?stream=false&one-shot=true", nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var s struct {
		Memory struct {
			Usage int64            `json:"usage"`
			Stats map[string]int64 `json:"stats"`
		} `json:"memory_stats"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&s); err != nil {
		return 0, err
	}
	cache := s.Memory.Stats["total_inactive_file"] + s.Memory.Stats["total_active_file"] // cgroup v1
	if cache == 0 {
		cache = s.Memory.Stats["inactive_file"] + s.Memory.Stats["active_file"] // cgroup v2
	}
	return s.Memory.Usage - cache, nil
}

// rssOf returns a process's resident memory in bytes.
func rssOf(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("no VmRSS for process %d", pid)
}
