package cli

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/command"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

const (
	imagesBuildAbout = `Builds the images of nodes: the node image itself, and the images that labs use, which every node
shares. Skips images that have not changed. Needs the Docker engine and root.
`
	imagesListAbout = `Lists the images that every node has, as repository:tag.
`
	imagesPruneAbout = `Removes images of earlier builds that no running node uses.
`
)

// imagesFlags are the flags of all `labd images` commands.
type imagesFlags struct {
	*flag.FlagSet
	config, seedDir *string
}

func newImagesFlags(action string) imagesFlags {
	fl := flag.NewFlagSet("labd images "+action, flag.ContinueOnError)
	return imagesFlags{fl, configFlag(fl), fl.String("seed-dir", "", "`directory` of the images (default: seed_dir of lab.toml)")}
}

// parse parses the flags, reads lab.toml and returns options with the seed directory and the
// engine.
func (fl imagesFlags) parse(e *command.Env, about string, args []string) (seed.Options, error) {
	if _, err := command.Parse(fl.FlagSet, e, "usage: "+fl.Name()+" [flags]\n\n"+about, 0, args); err != nil {
		return seed.Options{}, err
	}
	cfg, err := loadConfig(*fl.config)
	if err != nil {
		return seed.Options{}, err
	}
	return seed.Options{Dir: cmp.Or(*fl.seedDir, cfg.SeedDir), Host: cfg.Sandbox.DockerHost}, nil
}

func runImagesBuild(ctx context.Context, e *command.Env, args []string) error {
	fl := newImagesFlags("build")
	force := fl.Bool("force", false, "also build images that have not changed")
	verbose := fl.Bool("verbose", false, "print the output of the builds")
	opts, err := fl.parse(e, imagesBuildAbout, args)
	if err != nil {
		return err
	}
	start := time.Now()
	opts.Labnode, opts.Force = findLabnode, *force
	opts.Progress = imagesProgress(e.Stdout, start, *verbose)
	s, err := seed.Build(ctx, opts)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "Seed %s: %d images in %d layers, node image %s (%.1f s)\n",
		s.Digest, len(s.Images), len(s.Layers), s.NodeImage, time.Since(start).Seconds())
	return nil
}

// imagesProgress returns a function that prints a line when a task starts and one when it ends,
// with the time since start.
func imagesProgress(w io.Writer, start time.Time, verbose bool) func(seed.Event) {
	return func(ev seed.Event) {
		at := time.Since(start).Seconds()
		switch ev.State {
		case seed.Started:
			fmt.Fprintf(w, "[%5.1fs] %s ...\n", at, ev.Task)
		case seed.Output:
			if verbose {
				fmt.Fprintf(w, "[%5.1fs] %s: %s\n", at, ev.Task, ev.Text)
			}
		case seed.Done:
			fmt.Fprintf(w, "[%5.1fs] %s: done in %.1f s\n", at, ev.Task, ev.Elapsed.Seconds())
		case seed.Failed:
			fmt.Fprintf(w, "[%5.1fs] %s: failed after %.1f s\n", at, ev.Task, ev.Elapsed.Seconds())
		case seed.Cached:
			if verbose {
				fmt.Fprintf(w, "[%5.1fs] %s: up to date\n", at, ev.Task)
			}
		}
	}
}

func runImagesList(_ context.Context, e *command.Env, args []string) error {
	opts, err := newImagesFlags("list").parse(e, imagesListAbout, args)
	if err != nil {
		return err
	}
	s, err := seed.Open(opts.Dir)
	if err != nil {
		return err
	}
	for _, name := range s.Images {
		fmt.Fprintln(e.Stdout, name)
	}
	return nil
}

func runImagesPrune(ctx context.Context, e *command.Env, args []string) error {
	opts, err := newImagesFlags("prune").parse(e, imagesPruneAbout, args)
	if err != nil {
		return err
	}
	removed, err := seed.Prune(ctx, opts)
	for _, what := range removed {
		fmt.Fprintf(e.Stdout, "removed %s\n", what)
	}
	if err == nil && len(removed) == 0 {
		fmt.Fprintln(e.Stdout, "nothing to remove")
	}
	return err
}

// findLabnode returns the path of the labnode binary for Linux on arch. It uses the file next to
// labd, which make creates, or else builds labnode from the source tree around the working
// directory.
func findLabnode(ctx context.Context, arch string) (string, error) {
	name := "labnode-linux-" + arch
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find labnode: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("find labnode: %w", err)
	}
	beside := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	root, err := checkoutRoot()
	if err != nil {
		return "", err
	}
	if root == "" {
		return "", fmt.Errorf("%s, the program that runs in nodes, is missing, and the working directory is not in the source tree to build it from: run `make` there", beside)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find labnode: %w", err)
	}
	out := filepath.Join(cache, "labd", name)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "./cmd/labnode")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build labnode for %s: %w\n%s", arch, err, strings.TrimSpace(string(text)))
	}
	return out, nil
}

// checkoutRoot returns the root of labd's source tree around the working directory, or "" outside
// of one.
func checkoutRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the source tree: %w", err)
	}
	for {
		_, noModule := os.Stat(filepath.Join(dir, "go.mod"))
		_, noProgram := os.Stat(filepath.Join(dir, "cmd", "labnode"))
		if noModule == nil && noProgram == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", nil
		}
		dir = parent
	}
}
