package seed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
)

// removeLeftovers removes what a killed build of this directory left. The caller holds the lock, so
// nothing of it is in use.
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

// pruneAge protects images that another checkout on this engine may have built just now.
const pruneAge = time.Hour

// Prune removes what older builds left: seed data that no container mounts, and images under labd/
// that belong neither to the current recipes nor to the current seed, are not used by a container
// and are older than pruneAge. It returns what it removed.
func Prune(ctx context.Context, opts Options) (removed []string, err error) {
	b, done, err := newBuilder(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer done()
	data, err := os.ReadFile(filepath.Join(b.opts.Dir, currentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var current manifest
	if err := json.Unmarshal(data, &current); err != nil {
		return nil, err
	}
	used, err := b.usedData(ctx)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(b.opts.Dir, dataDir))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name() == current.Data || used[e.Name()] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(b.opts.Dir, dataDir, e.Name())); err != nil {
			return removed, err
		}
		removed = append(removed, "seed data "+e.Name())
	}
	refs, err := b.staleImages(ctx, current)
	if err != nil {
		return removed, err
	}
	for _, ref := range refs {
		if err := b.engine.removeImage(ctx, ref); err != nil {
			return removed, err
		}
		if info, err := b.engine.inspect(ctx, ref); err != nil {
			return removed, err
		} else if info == nil {
			removed = append(removed, "image "+ref)
		}
	}
	return removed, nil
}

// usedData returns the names of the data directories that a container mounts, running or not.
func (b *builder) usedData(ctx context.Context) (map[string]bool, error) {
	list, err := b.engine.cli.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	used := map[string]bool{}
	prefix := filepath.Join(b.opts.Dir, dataDir) + "/"
	for _, c := range list {
		for _, m := range c.Mounts {
			if rest, ok := strings.CutPrefix(m.Source, prefix); ok {
				name, _, _ := strings.Cut(rest, "/")
				used[name] = true
			}
		}
	}
	return used, nil
}

// staleImages returns the built images that the current recipes don't build and the current seed
// doesn't use.
func (b *builder) staleImages(ctx context.Context, current manifest) ([]string, error) {
	cat, err := b.catalogue()
	if err != nil {
		return nil, err
	}
	keep := map[string]bool{current.NodeImage: true}
	for _, r := range cat.Recipes {
		keep[imageRef(r)] = true
	}
	list, err := b.engine.cli.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", repository+"*:*"))})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	return stale(list, keep, time.Now().Add(-pruneAge)), nil
}

// stale returns the names under labd/ that are not in keep and whose image was built before a time.
func stale(list []image.Summary, keep map[string]bool, before time.Time) []string {
	var out []string
	for _, i := range list {
		if !time.Unix(i.Created, 0).Before(before) {
			continue
		}
		for _, ref := range i.RepoTags {
			if strings.HasPrefix(ref, repository) && !keep[ref] {
				out = append(out, ref)
			}
		}
	}
	slices.Sort(out)
	return out
}
