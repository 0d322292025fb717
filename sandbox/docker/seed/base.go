package seed

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"github.com/labd-dev/labd/sandbox/images"
)

// pullTimeout is how long a build waits for a registry's answer about the base image. Firewalls
// often drop packets to registries silently.
const pullTimeout = 8 * time.Second

// makeBase creates a base image. It pulls the image if a registry has it, else it bootstraps it
// from the machine's apt mirror. In both cases cleanTar filters the content, which becomes one
// layer.
func (b *builder) makeBase(ctx context.Context, r *images.Recipe, ref string, log func(string)) error {
	labels := b.labels(r, "", r.Suite)
	from := "docker.io/library/debian:" + r.Suite
	digest, err := b.engine.pull(ctx, "debian:"+r.Suite)
	if err == nil {
		log("pulled " + from + "@" + digest)
		labels["org.opencontainers.image.base.name"] = from
		labels["org.opencontainers.image.base.digest"] = digest
		return b.importPulled(ctx, r, ref, digest, labels)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	log(fmt.Sprintf("debian:%s cannot be pulled (%v); bootstrapping from %s", r.Suite, oneLine(err), b.apt.mirror))
	labels[labelPackages] = fmt.Sprintf("Debian %s, bootstrapped from %s", r.Suite, b.apt.mirror)
	return b.bootstrap(ctx, r, ref, labels, log)
}

// pull pulls ref if a registry answers quickly, and returns the digest.
func (e *engine) pull(ctx context.Context, ref string) (string, error) {
	quick, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	d, err := e.cli.DistributionInspect(quick, ref, "")
	if err != nil {
		return "", err
	}
	digest := string(d.Descriptor.Digest)
	repository, _, _ := strings.Cut(ref, ":")
	rc, err := e.cli.ImagePull(ctx, repository+"@"+digest, image.PullOptions{Platform: "linux/" + e.arch})
	if err != nil {
		return "", err
	}
	defer rc.Close()
	return digest, streamError(rc)
}

func (b *builder) importPulled(ctx context.Context, r *images.Recipe, ref, digest string, labels map[string]string) (err error) {
	id, remove, err := b.engine.create(ctx, b.scope+r.Name, &container.Config{Image: "debian@" + digest, Cmd: []string{"true"}}, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	rc, err := b.engine.cli.ContainerExport(ctx, id)
	if err != nil {
		return fmt.Errorf("export debian:%s: %w", r.Suite, err)
	}
	defer rc.Close()
	return b.importBase(ctx, r, ref, rc, labels)
}

// bootstrap runs mmdebstrap on this machine.
func (b *builder) bootstrap(ctx context.Context, r *images.Recipe, ref string, labels map[string]string, log func(string)) error {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return fmt.Errorf("debian:%s can be neither pulled nor bootstrapped: mmdebstrap is not installed (apt-get install mmdebstrap)", r.Suite)
	}
	args := []string{
		"--variant=minbase", "--mode=auto", "--format=tar", "--skip=output/dev", "--skip=output/mknod",
		"--architectures=" + debianArch(b.engine.arch),
		"--include=" + strings.Join(append([]string{"netbase"}, r.Packages...), ","),
		"--dpkgopt=force-unsafe-io",
	}
	for _, o := range b.apt.options {
		args = append(args, "--aptopt="+o)
	}
	for _, f := range r.Files {
		if path.Dir(f.Path) != "etc/dpkg/dpkg.cfg.d" {
			continue
		}
		for line := range strings.Lines(string(f.Data)) {
			if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				args = append(args, "--dpkgopt="+k+"="+v)
			}
		}
	}
	args = append(args, r.Suite, "-")
	args = append(args, b.apt.lines(r.Suite)...)

	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	// mmdebstrap removes its chroot after SIGTERM, but only when the program that it is running has
	// ended. So the whole process group gets the signal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = cleanupTimeout
	out := &lineWriter{log: log}
	cmd.Stderr = out
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("mmdebstrap: %w", err)
	}
	importErr := b.importBase(ctx, r, ref, stdout, labels)
	if importErr != nil {
		_, _ = io.Copy(io.Discard, stdout) // otherwise it would block forever in a write
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("mmdebstrap: %w; its last output:\n%s", err, out.tail())
	}
	return importErr
}

func (b *builder) importBase(ctx context.Context, r *images.Recipe, ref string, content io.Reader, labels map[string]string) error {
	return b.importFiltered(ctx, ref, r, labels, func(w io.Writer) error { return cleanTar(content, w, recipeFiles(r)) })
}

// importFiltered imports the output of write as ref.
func (b *builder) importFiltered(ctx context.Context, ref string, r *images.Recipe, labels map[string]string, write func(io.Writer) error) error {
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := write(pw)
		pw.CloseWithError(err)
		done <- err
	}()
	err := b.engine.importTar(ctx, ref, pr, changes(r, labels))
	pr.CloseWithError(errors.New("import ended"))
	if werr := <-done; err == nil {
		err = werr
	}
	return err
}

// unwanted are files of a fresh Debian that belong to the machine or to the build and not in an
// image. A trailing slash keeps the directory itself.
var unwanted = []string{
	"dev/", "proc/", "sys/", "run/", "tmp/", "var/tmp/", ".dockerenv",
	"etc/hostname", "etc/resolv.conf", "etc/apt/sources.list", "etc/apt/sources.list.d/", "etc/apt/apt.conf.d/99mmdebstrap",
	"etc/dpkg/dpkg.cfg.d/99mmdebstrap",
	"var/cache/apt/", "var/cache/ldconfig/", "var/cache/debconf/config.dat-old", "var/cache/debconf/templates.dat-old",
	"var/lib/apt/lists/", "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend", "var/lib/dpkg/status-old",
	"var/lib/dpkg/available-old", "var/lib/dpkg/diversions-old", "var/lib/dpkg/statoverride-old", "var/lib/dpkg/triggers/Lock",
	"var/log/",
	"usr/share/man/", "usr/share/info/", "usr/share/locale/",
}

// cleanTar copies a root file system without device nodes and unwanted files, and adds files.
func cleanTar(r io.Reader, w io.Writer, add []tarFile) error {
	replaced := map[string]bool{}
	for _, f := range add {
		replaced[f.path] = true
	}
	tr, tw := tar.NewReader(r), tar.NewWriter(w)
	have := map[string]bool{}
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read root file system: %w", err)
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if name == "" || replaced[name] || isUnwanted(name) || h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock {
			continue
		}
		if h.Typeflag == tar.TypeDir {
			have[name] = true
			name += "/"
		}
		h.Name = name
		if h.Typeflag == tar.TypeLink {
			h.Linkname = strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
		}
		h.Format = tar.FormatUnknown
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(tw, tr); err != nil {
			return err
		}
	}
	if !have["usr"] || !have["var"] {
		return errors.New("root file system is not complete")
	}
	var extra bytes.Buffer
	if err := writeTar(&extra, add); err != nil {
		return err
	}
	for tr := tar.NewReader(&extra); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return tw.Close()
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeDir && have[strings.TrimSuffix(h.Name, "/")] {
			continue
		}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(tw, tr); err != nil {
			return err
		}
	}
}

func isUnwanted(name string) bool {
	for _, u := range unwanted {
		if dir, ok := strings.CutSuffix(u, "/"); ok {
			if strings.HasPrefix(name, dir+"/") {
				return true
			}
		} else if name == u {
			return true
		}
	}
	return strings.HasPrefix(name, "usr/share/doc/") && strings.Count(name, "/") > 2 && path.Base(name) != "copyright"
}

func recipeFiles(r *images.Recipe) []tarFile {
	var out []tarFile
	for _, f := range r.Files {
		out = append(out, tarFile{f.Path, f.Mode, f.Data})
	}
	return out
}

// debianArch converts Go's name of an architecture to Debian's.
func debianArch(arch string) string {
	switch arch {
	case "386":
		return "i386"
	case "arm":
		return "armhf"
	case "ppc64le":
		return "ppc64el"
	}
	return arch
}

func oneLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}
