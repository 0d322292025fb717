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

Installs and starts what labs need on Debian and Ubuntu, and skips what is there: packages from apt, the Docker
engine, gVisor's runsc, the engine's runtime, and the images. An engine that runs is never restarted. Steps that
need root go through sudo.
`

func runSetup(ctx context.Context, e *command.Env, args []string) error {
	fs := flag.NewFlagSet("labd setup", flag.ContinueOnError)
	tests := fs.Bool("tests", false, "also install what the project's tests need")
	noImages := fs.Bool("no-images", false, "leave out the images; labd images build makes them later")
	file := configFlag(fs)
	only := fs.String("step", "", "run one step only (sudo is called with this)")
	cache := fs.String("cache", "", "where gVisor is built (default: the user's cache directory)")
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

// loadConfig reads lab.toml: the file given, or the one in the working directory if there is one.
func loadConfig(file string) (config.Config, error) {
	if file != "" {
		return config.Load(file, true)
	}
	return config.Load(defaultConfig, false)
}

// configFlag is the flag of the commands that go by lab.toml.
func configFlag(fl *flag.FlagSet) *string {
	return fl.String("config", "", "lab.toml to go by: a `file` (default: the one in this directory, if there is one)")
}
