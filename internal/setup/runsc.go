package setup

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// runscVersion is the one that the node recipe was proven with; older releases lack what Docker in a node needs.
	runscVersion = "v0.0.0-20260905035102-160fafc42237"
	runscModule  = "gvisor.dev/gvisor"
	runscPath    = "/usr/local/bin/runsc"
	// runscBuild is what `runsc --version` says: the version with our patches.
	runscBuild = runscVersion + "+labd.1"
	// runscMark is how runscBuild gets into the binary, and how it is found there.
	runscMark = "-X gvisor.dev/gvisor/runsc/version.version=" + runscBuild
)

// patch changes a file of gVisor's source. Old must stand in it exactly Times times.
type patch struct {
	File, Old, New string
	Times          int
}

// runscPatches are the faults of runscVersion that labs can't live with.
func runscPatches() []patch {
	return []patch{{
		// Opening a fifo waits for its other end. After a signal whose handler asks for it (SA_RESTART) Linux goes on
		// waiting, but gVisor returns EINTR. runc's init waits so between create and start, and Go's runtime signals its own
		// threads: on a busy machine now and then a container would not start ("cannot start a stopped process").
		File: "pkg/sentry/kernel/pipe/vfs.go", Old: "linuxerr.EINTR\n", New: "linuxerr.ERESTARTSYS\n", Times: 2,
	}}
}

// apply patches the source in dir.
func (p patch) apply(dir string) error {
	name := filepath.Join(dir, filepath.FromSlash(p.File))
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("patch gVisor: %w", err)
	}
	if n := strings.Count(string(data), p.Old); n != p.Times {
		return fmt.Errorf("patch gVisor: %s has %q %d times, not %d", p.File, p.Old, n, p.Times)
	}
	if err := writeFileAtomic(name, []byte(strings.ReplaceAll(string(data), p.Old, p.New)), 0o644); err != nil {
		return fmt.Errorf("patch gVisor: %w", err)
	}
	return nil
}

// runscProblem tells what is wrong with the runsc at path for an engine on arch; "" if nothing is. It reads the build
// information in the binary, which may be for another machine.
func runscProblem(path, arch string) string {
	info, err := buildinfo.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "not installed"
	}
	if err != nil {
		return "not a build by labd, so what is in it is unknown"
	}
	if info.Main.Path != runscModule {
		return "a build of " + info.Main.Path + ", not of " + runscModule
	}
	marked := false
	for _, s := range info.Settings {
		switch {
		case s.Key == "-ldflags":
			marked = strings.Contains(s.Value, runscMark)
		case s.Key == "CGO_ENABLED" && s.Value != "0":
			return "linked against the C library, so it dies when a node boots"
		case s.Key == "GOARCH" && s.Value != arch:
			return "built for " + s.Value + ", but the engine runs on " + arch
		}
	}
	if !marked {
		return "another version, but labs need " + runscBuild
	}
	return ""
}

// engineArch is the architecture that nodes run on: the engine's, or this machine's while no engine answers.
func (in *installer) engineArch(ctx context.Context) (string, error) {
	info, err := inspectEngine(ctx, in.host, in.endpoint)
	if err != nil {
		return in.host.Arch(), nil
	}
	if arch := info.goArch(); arch != "" {
		return arch, nil
	}
	return "", fmt.Errorf("the engine runs on %s; labs run on amd64 and arm64", info.Architecture)
}

// built is where the runsc for arch waits for its installation.
func (in *installer) built(arch string) string {
	return filepath.Join(in.Cache, "runsc-"+runscBuild+"-"+arch)
}

func (in *installer) runscBuildStep() Step {
	var arch string
	return Step{
		Name: "runsc-build",
		Look: func(ctx context.Context) (bool, string, error) {
			var err error
			if arch, err = in.engineArch(ctx); err != nil {
				return false, "", err
			}
			if runscProblem(in.paths.runsc, arch) == "" || runscProblem(in.built(arch), arch) == "" {
				return true, "", nil
			}
			if _, err := in.host.LookPath("go"); err != nil {
				return false, "", errors.New("gVisor is built with Go, which is not in PATH: install Go from https://go.dev/dl/ and run this again")
			}
			return false, "", nil
		},
		Plan: func() string { return "build gVisor's runsc for " + arch + " (about a minute)" },
		Do: func(ctx context.Context, p *Progress) (string, error) {
			if err := in.buildRunsc(ctx, p, arch); err != nil {
				return "", err
			}
			return "built " + runscBuild, nil
		},
	}
}

func (in *installer) buildRunsc(ctx context.Context, p *Progress, arch string) error {
	if err := os.MkdirAll(in.Cache, 0o755); err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	tmp, err := os.MkdirTemp(in.Cache, "build-*")
	if err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	defer os.RemoveAll(tmp)
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOFLAGS=", "GOWORK=off"}
	cache, err := in.host.Run(ctx, Command{Args: []string{"go", "env", "GOMODCACHE"}})
	if err != nil {
		return err
	}
	module := runscModule + "@" + runscVersion
	if _, err := in.host.Run(ctx, Command{Args: []string{"go", "mod", "download", module}, Env: env, Tee: p}); err != nil {
		return err
	}
	// A copy, as nothing in the cache of modules may be changed, also not by an overlay.
	source := filepath.Join(tmp, "source")
	if err := os.CopyFS(source, os.DirFS(filepath.Join(strings.TrimSpace(string(cache)), filepath.FromSlash(module)))); err != nil {
		return fmt.Errorf("copy gVisor's source: %w", err)
	}
	for _, patch := range runscPatches() {
		if err := patch.apply(source); err != nil {
			return err
		}
	}
	bin := filepath.Join(tmp, "runsc")
	if _, err := in.host.Run(ctx, Command{
		Args: []string{"go", "build", "-C", source, "-v", "-buildvcs=false", "-ldflags=" + runscMark, "-o", bin, "./runsc"}, Env: env, Tee: p,
	}); err != nil {
		return err
	}
	if problem := runscProblem(bin, arch); problem != "" {
		return fmt.Errorf("the runsc just built is %s", problem)
	}
	return os.Rename(bin, in.built(arch))
}

func (in *installer) runscStep() Step {
	var arch, problem string
	return Step{
		Name: "runsc",
		Root: true,
		Look: func(ctx context.Context) (bool, string, error) {
			var err error
			if arch, err = in.engineArch(ctx); err != nil {
				return false, "", err
			}
			problem = runscProblem(in.paths.runsc, arch)
			return problem == "", in.paths.runsc + " " + runscBuild, nil
		},
		Plan: func() string { return "install " + in.paths.runsc + " (now: " + problem + ")" },
		Do: func(ctx context.Context, p *Progress) (string, error) {
			if problem := runscProblem(in.built(arch), arch); problem != "" {
				return "", fmt.Errorf("%s is %s: run the step runsc-build first", in.built(arch), problem)
			}
			data, err := os.ReadFile(in.built(arch))
			if err != nil {
				return "", err
			}
			if err := os.MkdirAll(filepath.Dir(in.paths.runsc), 0o755); err != nil {
				return "", err
			}
			// A rename: sandboxes that run on the old binary keep it.
			if err := writeFileAtomic(in.paths.runsc, data, 0o755); err != nil {
				return "", fmt.Errorf("install %s: %w", in.paths.runsc, err)
			}
			if arch == in.host.Arch() {
				if _, err := in.host.Run(ctx, Command{Args: []string{in.paths.runsc, "--version"}}); err != nil {
					return "", fmt.Errorf("the installed runsc does not start: %w", err)
				}
			}
			return "installed " + in.paths.runsc, nil
		},
	}
}
