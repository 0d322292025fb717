package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/config"
	"github.com/labd-dev/labd/internal/setup"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/seed"
	"github.com/labd-dev/labd/sandbox/images"
)

// imagesStep is the last step of setup. It always runs the build, because only the build knows
// whether all images are up to date, and finds out quickly.
func imagesStep(cfg config.Config) *setup.Step {
	return &setup.Step{
		Name: "images",
		Root: true,
		Look: func(context.Context) (bool, string, error) { return false, "", nil },
		Plan: func() string {
			if _, err := seed.Open(cfg.SeedDir); err != nil {
				return "build the images of nodes (a few minutes)"
			}
			return "check whether the images are up to date"
		},
		Do: func(ctx context.Context, p *setup.Progress) (string, error) {
			s, err := seed.Build(ctx, seed.Options{
				Dir: cfg.SeedDir, Host: cfg.Sandbox.DockerHost, Labnode: findLabnode, Progress: noteImages(p),
			})
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("seed %s: %d images", s.Digest, len(s.Images)), nil
		},
	}
}

// noteImages reports the progress of a build, without tasks that are up to date.
func noteImages(p *setup.Progress) func(seed.Event) {
	begin := time.Now()
	return func(ev seed.Event) {
		switch ev.State {
		case seed.Started:
			p.Note("%s ... (at %.0f s)", ev.Task, time.Since(begin).Seconds())
		case seed.Output:
			fmt.Fprintf(p, "%s: %s\n", ev.Task, ev.Text)
		case seed.Done:
			p.Note("%s: done in %.1f s", ev.Task, ev.Elapsed.Seconds())
		case seed.Failed:
			p.Note("%s: failed after %.1f s", ev.Task, ev.Elapsed.Seconds())
		}
	}
}

// inspectSeed reports the state of the seed to the doctor.
func inspectSeed(cfg config.Config) func(context.Context) setup.Seed {
	return func(context.Context) setup.Seed {
		s, err := seed.Open(cfg.SeedDir)
		switch {
		case errors.Is(err, sandbox.ErrImageMissing):
			return setup.Seed{Problem: "the images are not built yet (" + cfg.SeedDir + ")"}
		case err != nil:
			return setup.Seed{Problem: err.Error()}
		}
		found := setup.Seed{Detail: fmt.Sprintf("%d images in %s", len(s.Images), cfg.SeedDir), NodeImage: s.NodeImage, Usable: true}
		// The list of images is the same on every architecture.
		cat, err := images.Load(runtime.GOARCH)
		if err != nil {
			found.Problem = err.Error()
			return found
		}
		var lacking []string
		for _, tag := range cat.Tags() {
			if !slices.Contains(s.Images, tag) {
				lacking = append(lacking, tag)
			}
		}
		if lacking != nil {
			found.Problem = "the images are of another version of labd. Missing: " + strings.Join(lacking, ", ")
		}
		return found
	}
}
