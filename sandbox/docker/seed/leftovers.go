package seed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// removeLeftovers removes what a killed build of this directory left. The lock must be held: nothing of it is in use.
func (b *builder) removeLeftovers(ctx context.Context) error {
	list, err := b.engine.cli.ContainerList(ctx, container.ListOptions{
		All:     true,
		Filters: filters.NewArgs(filters.Arg("name", "^/"+containerPrefix+b.scope)),
	})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	var errs []error
	for _, c := range list {
		err := b.engine.cli.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if err != nil && !cerrdefs.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	stale, err := filepath.Glob(filepath.Join(b.opts.Dir, tmpPrefix+"*"))
	errs = append(errs, err)
	for _, name := range stale {
		errs = append(errs, os.RemoveAll(name))
	}
	return errors.Join(errs...)
}
