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
	runscPackage = "gvisor.dev/gvisor/runsc"
	runscModule  = "gvisor.dev/gvisor"
	runscPath    = "/usr/local/bin/runsc"
)

// runscProblem tells what is wrong with the runsc at path for an engine on arch; "" if nothing is.
// `runsc --version` of a build from the module proxy names no version, so the build information in the binary is read.
func runscProblem(path, arch string) string {
	info, err := buildinfo.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "not installed"
	}
	if err != nil {
		return "not a build from the Go module proxy, so its version is unknown"
	}
	if info.Main.Path != runscModule {
		return "a build of " + info.Main.Path + ", not of " + runscModule
	}
	if info.Main.Version != runscVersion {
		return "version " + info.Main.Version + ", but labs need " + runscVersion
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "CGO_ENABLED" && s.Value != "0":
			return "linked against the C library, so it dies when a node boots"
		case s.Key == "GOARCH" && s.Value != arch:
			return "built for " + s.Value + ", but the engine runs on " + arch
		}
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
	return filepath.Join(in.Cache, "runsc-"+runscVersion+"-"+arch)
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
			return "built " + runscVersion, nil
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
	bin := filepath.Join(tmp, "runsc")
	goArch, err := in.host.Run(ctx, Command{Args: []string{"go", "env", "GOHOSTOS", "GOHOSTARCH", "GOMODCACHE"}})
	if err != nil {
		return err
	}
	host := strings.Fields(string(goArch))
	if len(host) != 3 {
		return fmt.Errorf("go env printed %q", goArch)
	}
	if host[0] == "linux" && host[1] == arch {
		env = append(env, "GOBIN="+tmp)
	} else {
		// go install refuses GOBIN for another architecture, but has a place under GOPATH for it.
		env = append(env, "GOBIN=", "GOPATH="+tmp, "GOMODCACHE="+host[2])
		bin = filepath.Join(tmp, "bin", "linux_"+arch, "runsc")
	}
	_, err = in.host.Run(ctx, Command{Args: []string{"go", "install", "-v", runscPackage + "@" + runscVersion}, Env: env, Tee: p})
	if err != nil {
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
			return problem == "", in.paths.runsc + " " + runscVersion, nil
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
