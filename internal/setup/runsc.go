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

	"github.com/labd-dev/labd/internal/setup/gvisor"
)

const (
	runscPath = "/usr/local/bin/runsc"
	// runscBuild is the output of `runsc --version`: the version, and the number of our patch set.
	runscBuild = gvisor.Version + "+" + gvisor.Patches
	// runscMark is the linker flag that puts runscBuild into the binary. runscProblem looks for it
	// in the build information.
	runscMark = "-X gvisor.dev/gvisor/runsc/version.version=" + runscBuild
)

// runscProblem says what is wrong with the runsc at path for an engine on arch, or "". It reads the
// build information in the binary and does not execute it, because it may be for another machine.
func runscProblem(path, arch string) string {
	info, err := buildinfo.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "not installed"
	}
	if err != nil {
		return "not a build by labd, so what is in it is unknown"
	}
	if info.Main.Path != gvisor.Module {
		return "a build of " + info.Main.Path + ", not of " + gvisor.Module
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

// engineArch returns the architecture that nodes run on: the engine's, or this machine's if no
// engine answers.
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

// built returns the path of a built runsc that is not installed yet.
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
	module := gvisor.Module + "@" + gvisor.Version
	if _, err := in.host.Run(ctx, Command{Args: []string{"go", "mod", "download", module}, Env: env, Tee: p}); err != nil {
		return err
	}
	// The module cache must not be modified, so this patches a copy.
	source := filepath.Join(tmp, "source")
	if err := os.CopyFS(source, os.DirFS(filepath.Join(strings.TrimSpace(string(cache)), filepath.FromSlash(module)))); err != nil {
		return fmt.Errorf("copy gVisor's source: %w", err)
	}
	if err := gvisor.Patch(source); err != nil {
		return err
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
			// The file is replaced by a rename, so running sandboxes keep the old binary.
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
