package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/labd-dev/labd/internal/command"
	"github.com/labd-dev/labd/internal/config"
	"github.com/labd-dev/labd/internal/setup"
)

const setupUsage = `usage: labd setup [--tests] [--no-images] [--config FILE]

Installs what labs need on Debian and Ubuntu: packages, the Docker engine, the container runtime runsc
(gVisor), and the images of nodes. Skips what is already installed. Never restarts a running engine.
Steps that need root use sudo.
`

func runSetup(ctx context.Context, e *command.Env, args []string) error {
	fs := flag.NewFlagSet("labd setup", flag.ContinueOnError)
	tests := fs.Bool("tests", false, "also install what the project's tests need")
	noImages := fs.Bool("no-images", false, "do not build the images; run labd images build later")
	file := configFlag(fs)
	only := fs.String("step", "", "run only the `step` with this name; setup calls itself with it through sudo")
	cache := fs.String("cache", "", "`directory` to build gVisor in (default: the user's cache directory)")
	if _, err := command.Parse(fs, e, setupUsage, 0, args); err != nil {
		return err
	}
	cfg, err := loadConfig(*file)
	if err != nil {
		return err
	}
	if *cache == "" {
		if *cache, err = setup.CacheDir(); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	opt := setup.Options{
		Out:      e.Stdout,
		Tests:    *tests,
		Only:     *only,
		Cache:    *cache,
		Endpoint: cfg.Sandbox.DockerHost,
		Self:     []string{self, "setup", "--cache", *cache},
	}
	if *tests {
		opt.Self = append(opt.Self, "--tests")
	}
	if *file != "" {
		path, err := filepath.Abs(*file)
		if err != nil {
			return err
		}
		opt.Self = append(opt.Self, "--config", path)
	}
	if !*noImages {
		opt.Images = imagesStep(cfg)
	}
	return setup.Run(ctx, setup.Local{}, opt)
}

// loadConfig reads the given lab.toml. Without one, it reads lab.toml in the working directory if
// it exists.
func loadConfig(file string) (config.Config, error) {
	if file != "" {
		return config.Load(file, true)
	}
	return config.Load(defaultConfig, false)
}

// configFlag defines the flag -config.
func configFlag(fl *flag.FlagSet) *string {
	return fl.String("config", "", "configuration `file` (default: lab.toml in this directory, if it exists)")
}
