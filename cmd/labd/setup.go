package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"labd/internal/config"
	"labd/internal/setup"
)

const setupUsage = `usage: labd setup [--tests] [--no-images] [--config FILE]

Installs and starts what labs need on Debian and Ubuntu, and skips what is there: packages from apt, the Docker
engine, gVisor's runsc, the engine's runtime, and the images. An engine that runs is never restarted. Steps that
need root go through sudo.

`

func runSetup(ctx context.Context, e *env, args []string) error {
	fs := flag.NewFlagSet("setup", flag.ContinueOnError)
	tests := fs.Bool("tests", false, "also install what the project's tests need")
	noImages := fs.Bool("no-images", false, "leave out the images; labd images build makes them later")
	file := fs.String("config", "", "lab.toml to go by (default: the one in this directory, if there is one)")
	only := fs.String("step", "", "run one step only (sudo is called with this)")
	cache := fs.String("cache", "", "where gVisor is built (default: the user's cache directory)")
	if err := parseFlags(e, fs, setupUsage, args); err != nil {
		return helped(err)
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
		Out:      e.stdout,
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
	return config.Load("lab.toml", false)
}

// parseFlags reads the flags of a command that takes no other arguments. A mistake is a usageError.
func parseFlags(e *env, fs *flag.FlagSet, usage string, args []string) error {
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(e.stdout, usage)
		fs.SetOutput(e.stdout)
		fs.PrintDefaults()
		return err
	case err != nil:
		return &usageError{fmt.Sprintf("%v (see labd %s --help)", err, fs.Name())}
	case fs.NArg() > 0:
		return &usageError{fmt.Sprintf("unexpected argument %q (see labd %s --help)", fs.Arg(0), fs.Name())}
	}
	return nil
}

// helped turns the end of a call that asked for help into success.
func helped(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}
