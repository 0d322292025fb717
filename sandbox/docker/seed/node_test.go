package seed_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox/docker/seed"
)

// engineTimeout bounds every command of a test in a node.
const engineTimeout = 90 * time.Second

// The subtests share one node, because starting one takes seconds.
func TestImagesInANode(t *testing.T) {
	s := shared(t)
	n := startNode(t, s)

	t.Run("AllAreThereWithoutAPull", func(t *testing.T) {
		n.t = t
		got := strings.Fields(n.run(`docker images --format '{{.Repository}}:{{.Tag}}'`))
		slices.Sort(got)
		if !slices.Equal(got, s.Images) {
			t.Errorf("the node has %v, the seed says %v", got, s.Images)
		}
	})
	t.Run("IdleNodeUsesLittleDisk", func(t *testing.T) {
		unix.Sync()
		var file unix.Stat_t
		if err := unix.Stat(n.file, &file); err != nil {
			t.Fatal(err)
		}
		if used := file.Blocks * 512; used > 2<<20 {
			t.Errorf("%d bytes, more than 2 MiB", used)
		}
	})
	t.Run("HelloWorld", func(t *testing.T) {
		n.t = t
		if out := n.run("docker run --name hello hello-world"); !strings.Contains(out, "Hello from Docker!") {
			t.Errorf("it said %q", out)
		}
		if out := n.run("docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' hello"); strings.TrimSpace(out) != "exited 0" {
			t.Errorf("state %q", out)
		}
	})
	t.Run("Debian", func(t *testing.T) {
		n.t = t
		if out := n.run("docker run --rm debian:13 sh -c 'cat /etc/debian_version; ls -A /dev | head -1; id -u'"); !strings.HasPrefix(out, "13.") {
			t.Errorf("it said %q", out)
		}
		if out := n.run("echo 'echo from bash' | docker run -i --rm debian"); out != "from bash\n" {
			t.Errorf("the default command is not a shell: %q", out)
		}
	})
	t.Run("BusyBox", func(t *testing.T) {
		n.t = t
		if out := n.run("docker run --rm busybox sh -c 'echo x | sed s/x/y/; vi --help 2>&1 | head -1; id -un'"); !strings.HasPrefix(out, "y\nBusyBox v1.37") || !strings.HasSuffix(out, "root\n") {
			t.Errorf("it said %q", out)
		}
	})
	t.Run("Redis", func(t *testing.T) {
		n.t = t
		n.run("docker run -d --name cache -p 6379:6379 redis:8 && docker run -d --name cache7 -p 6380:6379 redis:7")
		for port, version := range map[string]string{"6379": "redis_version:8.", "6380": "redis_version:7."} {
			// Connects through the node's port, because the server must accept clients from outside
			// its container.
			ask := `exec 3<>/dev/tcp/127.0.0.1/` + port + ` && printf 'INFO server\r\nQUIT\r\n' >&3 && timeout 5 cat <&3`
			n.eventually(ask, func(out string, code int) bool { return strings.Contains(out, version) })
		}
		if out := n.run("docker exec cache redis-cli SET k v && docker exec cache redis-cli GET k"); out != "OK\nv\n" {
			t.Errorf("redis-cli said %q", out)
		}
		if out := n.run("docker exec cache sh -c 'stat -c %U /proc/1'"); out != "redis\n" {
			t.Errorf("the server runs as %q", out)
		}
		if out := n.run("docker run --rm redis:8 redis-server --version"); !strings.Contains(out, "v=8.0") {
			t.Errorf("with a command: %q", out)
		}
		n.run("docker run -d --name cache-port redis:8 --port 7000 --appendonly yes")
		n.eventually("docker exec cache-port redis-cli -p 7000 CONFIG GET appendonly", func(out string, code int) bool { return out == "appendonly\nyes\n" })
		n.run("printf 'protected-mode yes\nport 7001\n' >/root/own.conf && docker run -d --name cache-conf -v /root/own.conf:/etc/own.conf redis:8 redis-server /etc/own.conf")
		n.eventually("docker exec cache-conf redis-cli -p 7001 CONFIG GET protected-mode", func(out string, code int) bool { return out == "protected-mode\nyes\n" })
		n.run("docker rm -fv cache cache7 cache-port cache-conf")
	})
	t.Run("Nginx", func(t *testing.T) {
		n.t = t
		n.run("docker run -d --name web -p 8080:80 nginx:1.26")
		n.eventually("curl -fsS http://127.0.0.1:8080/", func(out string, code int) bool { return strings.Contains(out, "Welcome to nginx!") })
		n.try("curl -fsS http://127.0.0.1:8080/missing")
		out := n.run("docker logs web")
		for _, want := range []string{`"GET / HTTP/1.1" 200`, `"GET /missing HTTP/1.1" 404`, "No such file or directory"} {
			if !strings.Contains(out, want) {
				t.Errorf("the log lacks %q:\n%s", want, out)
			}
		}
		n.run("mkdir -p /srv/www && echo mine >/srv/www/index.html && docker run -d --name web2 -p 8081:80 -v /srv/www:/usr/share/nginx/html:ro nginx")
		n.eventually("curl -fsS http://127.0.0.1:8081/", func(out string, code int) bool { return out == "mine\n" })
		if out := n.run("docker stop web && docker inspect -f '{{.State.ExitCode}}' web"); out != "web\n0\n" {
			t.Errorf("stop gives %q: it did not end by itself", out)
		}
		n.run("docker rm -f web web2")
	})
	t.Run("Python", func(t *testing.T) {
		n.t = t
		if out := n.run("docker run --rm python:3.13 python -c 'import sys, ssl, sqlite3, json, http.server; print(sys.version_info[:2])'"); out != "(3, 13)\n" {
			t.Errorf("it said %q", out)
		}
	})
	t.Run("BuildOnTop", func(t *testing.T) {
		n.t = t
		n.run(`mkdir -p app && printf 'FROM python:3.13\nWORKDIR /app\nCOPY app.py .\nRUN rm -r /usr/share/doc && python -m py_compile app.py\nCMD ["python", "app.py"]\n' >app/Dockerfile && echo 'print("built")' >app/app.py`)
		n.run("docker build -q -t app app")
		if out := n.run("docker run --rm app"); out != "built\n" {
			t.Errorf("it said %q", out)
		}
		n.run("docker rmi app")
	})
	t.Run("Compose", func(t *testing.T) {
		n.t = t
		n.run(`mkdir -p stack && printf 'services:\n  web:\n    image: nginx:1.26\n    ports: ["8090:80"]\n  cache:\n    image: redis:8\n' >stack/compose.yaml`)
		n.run("cd stack && docker compose up -d")
		n.eventually("curl -fsS http://127.0.0.1:8090/", func(out string, code int) bool { return code == 0 })
		n.eventually("cd stack && docker compose exec -T cache redis-cli PING", func(out string, code int) bool { return out == "PONG\n" })
		n.run("cd stack && docker compose down -v")
	})
	t.Run("RemovedImageIsGone", func(t *testing.T) {
		n.t = t
		n.run("docker rm hello && docker rmi hello-world")
		if out, code := n.try("docker image inspect hello-world"); code == 0 {
			t.Errorf("it is still there: %s", out)
		}
	})
	t.Run("Shell", func(t *testing.T) {
		n.t = t
		out := n.run(`bash -lic 'echo "$PS1|$LANG"; _complete_later; _completion_loader docker; complete -p docker' 2>/dev/null`)
		if !strings.Contains(out, `\u@\h`) || !strings.Contains(out, "C.UTF-8") || !strings.Contains(out, "complete ") {
			t.Errorf("it said %q", out)
		}
		n.run("type curl jq nano vi less ps ip ping mount iptables >/dev/null && iptables --version | grep -q legacy && ! type fuse-overlayfs")
	})
}

// All nodes mount the same directories. What one learner could change there, all others would run.
func TestRootInANodeCannotWriteToASharedLayer(t *testing.T) {
	s := shared(t)
	n := startNode(t, s)
	for i, l := range s.Layers {
		before := fingerprint(t, l.Path)
		dir := "/var/lib/docker/overlay2/" + l.ID + "/diff"
		if out, code := n.try("echo x >" + dir + "/evil"); code == 0 || !strings.Contains(out, "Read-only file system") {
			t.Errorf("a plain write gives %q", out)
		}
		attacks := []string{
			"chmod 777 " + dir,
			"mount -o remount,rw " + dir + "; mount -o remount,rw,bind " + dir + "; echo x >" + dir + "/evil",
			"mkdir -p /tmp/b && mount --bind " + dir + " /tmp/b; mount -o remount,rw,bind /tmp/b; echo x >/tmp/b/evil",
			"mkdir -p /tmp/o/m /tmp/o/w && mount -t overlay o -o lowerdir=/tmp,upperdir=" + dir + ",workdir=/tmp/o/w /tmp/o/m && echo x >/tmp/o/m/evil",
			"echo x >/proc/1/root" + dir + "/evil",
			"unshare -m sh -c 'mount -o remount,rw,bind " + dir + "; echo x >" + dir + "/evil'",
			"rm -rf " + dir + "/*",
		}
		if i == 0 {
			attacks = append(attacks, "docker run --rm --privileged -v "+dir+":/x debian sh -c 'mount -o remount,rw /x; echo x >/x/evil; rm -rf /x/*'")
		}
		// Finally the layer is unmounted. Then the node sees its own disk there, and no other node
		// is affected.
		attacks = append(attacks, "umount /tmp/b /tmp/o/m; umount "+dir+" || umount -l "+dir+"; echo x >"+dir+"/evil; chmod 700 "+dir)
		out, _ := n.try("(" + strings.Join(attacks, ") 2>&1\n(") + ") 2>&1")
		if after := fingerprint(t, l.Path); after != before {
			t.Fatalf("root in a node changed layer %s:\n%s", l.ID, out)
		}
	}
}

// fingerprint describes everything in a layer. For files it uses the modification time instead of
// the content.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		fmt.Fprintln(&out, p, st.Mode, st.Uid, st.Size, st.Mtim.Nano(), st.Nlink)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// node is a node started as a driver does it.
type node struct {
	t    *testing.T
	cli  *client.Client
	id   string
	file string // the file of its disk
}

func startNode(t *testing.T, s *seed.Seed) *node {
	t.Helper()
	cli := engine(t)
	info, err := cli.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := info.Runtimes["runsc"]; !ok {
		t.Fatal("the engine has no runtime runsc; `labd setup` registers it")
	}
	disk, file := mountDisk(t, s, 4<<30)
	var mounts []mount.Mount
	for _, d := range seed.DiskDirs {
		mounts = append(mounts, mount.Mount{Type: mount.TypeBind, Source: filepath.Join(disk, d.Name), Target: d.Target})
	}
	mounts = append(mounts, mount.Mount{Type: mount.TypeBind, Source: s.LayersDir, Target: seed.LayersTarget, ReadOnly: true})
	pids := int64(2000)
	made, err := cli.ContainerCreate(t.Context(), &container.Config{Image: s.NodeImage, Hostname: "node1"}, &container.HostConfig{
		Runtime: "runsc", ReadonlyRootfs: true, NetworkMode: "none", Mounts: mounts, Tmpfs: map[string]string{"/run": "exec"},
		CapDrop: []string{"ALL"},
		CapAdd: []string{
			"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_ADMIN", "NET_RAW",
			"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE",
		},
		Resources: container.Resources{Memory: 2 << 30, PidsLimit: &pids},
	}, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cli.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
			t.Error(err)
		}
	})
	if err := cli.ContainerStart(t.Context(), made.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, cli: cli, id: made.ID, file: file}
	n.eventually("docker version", func(out string, code int) bool { return code == 0 })
	return n
}

// try runs a script in the node and returns its output and exit code.
func (n *node) try(script string) (string, int) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), engineTimeout)
	defer cancel()
	made, err := n.cli.ContainerExecCreate(ctx, n.id, container.ExecOptions{
		Cmd: []string{"bash", "-c", script}, AttachStdout: true, AttachStderr: true, WorkingDir: "/root",
	})
	if err != nil {
		n.t.Fatal(err)
	}
	att, err := n.cli.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	defer att.Close()
	stop := context.AfterFunc(ctx, func() { att.Close() })
	defer stop()
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, att.Reader); err != nil {
		n.t.Fatalf("%s: %v after %q", script, err, out.String())
	}
	info, err := n.cli.ContainerExecInspect(ctx, made.ID)
	if err != nil {
		n.t.Fatal(err)
	}
	return out.String(), info.ExitCode
}

// run is try, but the script must succeed.
func (n *node) run(script string) string {
	n.t.Helper()
	out, code := n.try(script)
	if code != 0 {
		n.t.Fatalf("%s: exit code %d:\n%s", script, code, out)
	}
	return out
}

// eventually repeats a script until ok accepts the result.
func (n *node) eventually(script string, ok func(out string, code int) bool) string {
	n.t.Helper()
	for deadline := time.Now().Add(engineTimeout); ; time.Sleep(100 * time.Millisecond) {
		out, code := n.try(script)
		if ok(out, code) {
			return out
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%s: still exit code %d:\n%s", script, code, out)
		}
	}
}
