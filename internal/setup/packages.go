package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// need is something that a distribution package provides.
type need struct {
	pkg     string
	program string // what the package provides: a program
	file    string // or a file
	also    string // another program that is equally good
	after   string // only needed if this program exists; the package that provides it may provide this too
	unit    string // a service in the package that must not run
	why     string
}

var labNeeds = []need{
	{pkg: "mmdebstrap", program: "mmdebstrap", why: "makes the base image from the apt mirror"},
	{pkg: "debian-archive-keyring", file: "/usr/share/keyrings/debian-archive-keyring.gpg", why: "proves the base image's packages"},
	{pkg: "e2fsprogs", program: "mkfs.ext4", why: "makes the nodes' disks"},
	{pkg: "mount", program: "losetup", why: "mounts the nodes' disks"},
	{pkg: "iptables", program: "iptables", why: "keeps nodes from the host and from each other"},
}

var testNeeds = []need{
	{pkg: "chromium", program: "chromium", also: "chromium-browser", why: "browser tests"},
	{pkg: "fonts-noto-cjk", file: "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", why: "Chinese pages in screenshots"},
	{pkg: "gcc", program: "gcc", why: "the race detector"},
	{pkg: "libc6-dev", file: "/usr/include/stdlib.h", why: "the race detector"},
	{pkg: "nginx", program: "nginx", unit: "nginx.service", why: "runs the guide's example of it"},
	{pkg: "libnginx-mod-http-brotli-static", file: "/usr/lib/nginx/modules/ngx_http_brotli_static_module.so", why: "is part of that example"},
	{pkg: "caddy", program: "caddy", unit: "caddy.service", why: "runs the guide's example of it"},
	{pkg: "openssl", program: "openssl", why: "certificates for browser tests"},
	// Before Debian 13 this is part of docker.io.
	{pkg: "docker-cli", program: "docker", after: "dockerd", why: "tests and measurements look at the engine with it"},
}

// engineNeed is only needed if no engine answers.
var engineNeed = need{pkg: "docker.io", program: "dockerd", why: "the container engine"}

func (n need) met(h Host) bool {
	if n.file != "" {
		return h.Exists(n.file)
	}
	if _, err := h.LookPath(n.program); err == nil {
		return true
	}
	if n.also != "" {
		_, err := h.LookPath(n.also)
		return err == nil
	}
	return false
}

// missing returns the packages to install.
func (in *installer) missing(ctx context.Context) []need {
	var needs []need
	if !engineNeed.met(in.host) {
		if _, err := in.host.Engine(ctx, in.endpoint, "/version"); err != nil {
			needs = append(needs, engineNeed)
		}
	}
	all := labNeeds
	if in.Tests {
		all = append(all[:len(all):len(all)], testNeeds...)
	}
	for _, n := range all {
		if n.after != "" {
			if _, err := in.host.LookPath(n.after); err != nil {
				continue
			}
		}
		if !n.met(in.host) {
			needs = append(needs, n)
		}
	}
	return needs
}

func packageNames(needs []need) []string {
	var names []string
	for _, n := range needs {
		names = append(names, n.pkg)
	}
	return names
}

func (in *installer) packagesStep() Step {
	var needs []need
	return Step{
		Name: "packages",
		Root: true,
		Look: func(ctx context.Context) (bool, string, error) {
			needs = in.missing(ctx)
			if len(needs) == 0 {
				return true, "all installed", nil
			}
			names := strings.Join(packageNames(needs), " ")
			if _, err := in.host.LookPath("apt-get"); err != nil {
				return false, "", fmt.Errorf("these are missing, and there is no apt-get here to install them: %s. "+
					"Install them with this system's own package manager and run `labd setup` again", names)
			}
			return false, "", nil
		},
		Plan: func() string { return "install " + strings.Join(packageNames(needs), " ") },
		Do: func(ctx context.Context, p *Progress) (string, error) {
			tried := map[string]bool{}
			for len(needs) > 0 {
				for _, n := range needs {
					if tried[n.pkg] {
						return "", fmt.Errorf("apt-get reported success, yet these are missing: %s", strings.Join(packageNames(needs), " "))
					}
					tried[n.pkg] = true
					p.Note("%-24s %s", n.pkg, n.why)
				}
				if err := in.maskUnits(ctx, p, needs); err != nil {
					return "", err
				}
				if err := in.install(ctx, p, packageNames(needs)); err != nil {
					return "", err
				}
				needs = in.missing(ctx)
			}
			return "installed", nil
		},
	}
}

// maskUnits keeps the services of new packages from starting now or at the next boot. Tests run
// servers of their own, and nobody asked for one on port 80. Without systemd, as in a container,
// policy-rc.d does the same.
func (in *installer) maskUnits(ctx context.Context, p *Progress, needs []need) error {
	if !in.host.Exists("/run/systemd/system") {
		return nil
	}
	for _, n := range needs {
		if n.unit == "" {
			continue
		}
		p.Note("systemctl mask %s   (unmask it to use it)", n.unit)
		if _, err := in.host.Run(ctx, Command{Args: []string{"systemctl", "mask", n.unit}}); err != nil {
			return fmt.Errorf("keeping %s from starting: %w", n.unit, err)
		}
	}
	return nil
}

// install updates apt's lists and installs packages. If a list can't be updated but the packages
// install, that is not an error: a single broken third-party source must not stop the setup.
func (in *installer) install(ctx context.Context, p *Progress, packages []string) error {
	begin := time.Now()
	updateErr := in.apt(ctx, p, "update")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var locked *lockedError
	if errors.As(updateErr, &locked) {
		return updateErr
	}
	if updateErr != nil {
		p.Note("apt-get update had errors; going on with the lists that are there")
	} else {
		p.Note("package lists are fresh (%s)", seconds(time.Since(begin)))
	}
	args := append([]string{"install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"}, packages...)
	if err := in.apt(ctx, p, args...); err != nil {
		return errors.Join(err, updateErr)
	}
	return nil
}

// lockedError means that another program held apt's lock for too long.
type lockedError struct {
	waited time.Duration
	detail string
}

func (e *lockedError) Error() string {
	return fmt.Sprintf("another program has used apt for more than %.0f s: %s. Let it end, or stop it, and run `labd setup` again",
		e.waited.Seconds(), e.detail)
}

// apt runs apt-get non-interactively. If another program holds apt's lock, it waits and says so.
func (in *installer) apt(ctx context.Context, p *Progress, args ...string) error {
	cmd := Command{
		Args: append([]string{"apt-get", "-q"}, args...),
		Env: []string{
			"DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none", "NEEDRESTART_SUSPEND=1",
			"LC_ALL=C", // lockLine parses the output
		},
		Tee: p,
	}
	begin := time.Now()
	for first := true; ; first = false {
		out, err := in.host.Run(ctx, cmd)
		if err == nil || ctx.Err() != nil {
			return err
		}
		line := lockLine(out)
		if line == "" {
			return err
		}
		if time.Since(begin) > in.wait.aptLock {
			return &lockedError{waited: in.wait.aptLock, detail: line}
		}
		if first {
			p.Note("another program uses apt: %s", line)
			p.Note("waiting for it, up to %.0f s", in.wait.aptLock.Seconds())
		}
		if err := sleep(ctx, in.wait.aptRetry); err != nil {
			return err
		}
	}
}

// lockLine returns apt's error message about its lock, or "".
func lockLine(out []byte) string {
	for _, line := range bytes.Split(out, []byte("\n")) {
		if bytes.Contains(line, []byte("Could not get lock")) || bytes.Contains(line, []byte("Unable to acquire the dpkg frontend lock")) {
			return strings.TrimPrefix(strings.TrimSpace(string(line)), "E: ")
		}
	}
	return ""
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
