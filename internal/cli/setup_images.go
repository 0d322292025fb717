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

// imagesStep is setup's last step: the images and the seed. Only the build can tell whether all is up to date, and
// it tells fast, so the step always asks it.
func imagesStep(cfg config.Config) *setup.Step {
	return &setup.Step{
		Name: "images",
		Root: true,
		Look: func(context.Context) (bool, string, error) { return false, "", nil },
		Plan: func() string {
			if _, err := seed.Open(cfg.SeedDir); err != nil {
				return "build the node image, the course images and the seed (a few minutes)"
			}
			return "see whether the images and the seed are current"
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

// noteImages tells of the tasks that do something.
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

// inspectSeed is the doctor's look at the seed store.
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
		// The recipes differ by architecture only in details, not in which images there are.
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
			found.Problem = "the seed is of another labd: it lacks " + strings.Join(lacking, ", ")
		}
		return found
	}
}
