//go:build linux

package docker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/conformance"
	"github.com/labd-dev/labd/sandbox/docker"
)

// Environment variables of the conformance tests; `make conformance` sets them.
const (
	fullVar = "LABD_CONFORMANCE"      // "full": all behaviours, all profiles and the reference
	onlyVar = "LABD_CONFORMANCE_ONLY" // only behaviours whose name contains this
)

// conformanceNodes is how many nodes share the behaviours: one waits for its engine while another computes.
const conformanceNodes = 2

// TestANodeBehavesLikeADockerHost runs the conformance suite: its core part on gVisor, or all of it
// everywhere.
func TestANodeBehavesLikeADockerHost(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the engine")
	}
	all, err := conformance.Behaviours()
	if err != nil {
		t.Fatal(err)
	}
	full := os.Getenv(fullVar) == "full"
	list := conformance.Select(all, !full, os.Getenv(onlyVar))
	if !full {
		judge(t, "gvisor", conform(t, list, nodes(t, "gvisor")))
		return
	}
	for _, profile := range []string{"gvisor", "runc", conformance.Reference} {
		t.Run(profile, func(t *testing.T) {
			machines := []conformance.Machine{}
			if profile == conformance.Reference {
				machines = append(machines, plainEngine(t))
			} else {
				machines = nodes(t, profile)
			}
			judge(t, profile, conform(t, list, machines))
		})
	}
}

func judge(t *testing.T, profile string, results []conformance.Result) {
	t.Helper()
	passed := 0
	for _, r := range results {
		if r.Passed {
			passed++
		}
		if p := r.Problem(profile); p != "" {
			t.Error(p)
		}
	}
	t.Logf("%s: %d of %d behaviours as on a plain Docker engine", profile, passed, len(results))
}

// conform runs behaviours on machines that behave alike.
func conform(t *testing.T, list []conformance.Behaviour, machines []conformance.Machine) []conformance.Result {
	t.Helper()
	results := make([]conformance.Result, len(list))
	next := make(chan int)
	var group sync.WaitGroup
	for _, m := range machines {
		group.Go(func() {
			for i := range next {
				r, err := conformance.Run(t.Context(), m, list[i])
				if err != nil {
					t.Error(err)
				}
				results[i] = r
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	group.Wait()
	return results
}

// nodes returns nodes of one profile with an engine that answers.
func nodes(t *testing.T, profile string) []conformance.Machine {
	t.Helper()
	b := newBed(t, func(c *docker.Config) {
		c.Isolation = profile
		c.Defaults = sandbox.Limits{MemoryBytes: 768 << 20, PIDs: 2048}
	})
	d := b.driver(t)
	var list []conformance.Machine
	for i := range conformanceNodes {
		st := b.create(t, d, one(fmt.Sprintf("conform-%s-%d", profile, i)))
		list = append(list, st.Nodes()[0])
	}
	return list
}

// plainContainer is a container of the test's with the node image's Docker engine as Debian ships it: on
// the host's kernel, with its own iptables rules and without labnode.
type plainContainer string

// Exec implements conformance.Machine.
func (p plainContainer) Exec(ctx context.Context, c sandbox.Command) (sandbox.Result, error) {
	cmd := exec.CommandContext(ctx, "docker", append([]string{"exec", string(p)}, c.Args...)...)
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return sandbox.Result{ExitCode: exit.ExitCode(), Stdout: out.Bytes()}, nil
	}
	return sandbox.Result{Stdout: out.Bytes()}, err
}

// plainEngine starts the reference: the same engine version as in a node, on the host's kernel.
func plainEngine(t *testing.T) conformance.Machine {
	t.Helper()
	output := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), "docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	images := strings.Fields(output("images", "--format", "{{.Repository}}:{{.Tag}}", "labd/*"))
	var node string
	for _, image := range images {
		if strings.HasPrefix(image, "labd/node:") {
			node = image
			break
		}
	}
	name := fmt.Sprintf("labd-reference-%d", os.Getpid())
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "rm", "-fv", name).CombinedOutput(); err != nil {
			t.Errorf("remove the reference: %v\n%s", err, out)
		}
	})
	output("run", "-d", "--name", name, "--network", "none", "--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE",
		"--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined",
		"--cgroupns", "private", "-v", "/var/lib/docker", "-v", "/var/lib/containerd", "--entrypoint", "bash", node,
		"-c", "for d in /sys/fs/cgroup/*; do mount -o remount,bind,rw $d; done; exec dockerd")
	for deadline := time.Now().Add(time.Minute); exec.Command("docker", "exec", name, "docker", "info").Run() != nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the reference engine does not answer: %s", output("logs", "--tail", "20", name))
		}
	}
	for _, image := range images {
		tags := strings.Fields(output("inspect", "--format", `{{index .Config.Labels "labd.tags"}}`, image))
		if len(tags) == 0 || strings.HasPrefix(image, "labd/node") {
			continue
		}
		load := exec.CommandContext(t.Context(), "bash", "-c", `set -o pipefail; docker save "$1" | docker exec -i "$2" docker load -q`, "bash", image, name)
		if out, err := load.CombinedOutput(); err != nil {
			t.Fatalf("copy %s to the reference: %v\n%s", image, err, out)
		}
		for _, tag := range tags {
			output("exec", name, "docker", "tag", image, tag)
		}
		output("exec", name, "docker", "rmi", image)
	}
	return plainContainer(name)
}
