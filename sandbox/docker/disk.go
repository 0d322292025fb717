package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

// minFreeDisk is what the host must keep free: a loop mount whose file can't grow loses data.
const minFreeDisk = 1 << 30

const (
	// layersTarget is where a node sees the seed's layers, as <id>/diff.
	layersTarget = "/var/lib/labd/layers"
	// overlayDir is where a node's engine keeps layers, on the node's disk.
	overlayDir = "var/lib/docker/overlay2"
)

// disk is one node's file system: an ext4 image in a sparse file, loop-mounted on the host. The directories at its top are
// mounted over those of the node (seed.DiskDirs). Nothing else in a node can be written but tmpfs, so the size of the disk
// bounds all that a learner can write.
//
// A learner owns every file below those directories, symbolic links included: labd never opens a path below them on the host.
type disk struct {
	dir     string // holds everything of the node on the host
	trusted bool   // the node shares the host's kernel, so device and set-user-ID files must work as usual
}

func (d disk) image() string { return filepath.Join(d.dir, "disk.img") }
func (d disk) mount() string { return filepath.Join(d.dir, "mnt") }

// Create makes the seed's disk of the wanted size, mounts it and links the engine's layers to those of the seed.
func (d disk) Create(ctx context.Context, s *seed.Seed, size int64) error {
	if err := os.MkdirAll(d.mount(), 0o700); err != nil {
		return fmt.Errorf("make node directory: %w", err)
	}
	if err := s.Disk(ctx, d.image(), size); err != nil {
		return err
	}
	if err := d.Mount(); err != nil {
		return err
	}
	return d.linkLayers(s.Layers)
}

// env is the file on the host with the variables of Node.SetEnv, as a JSON object.
func (d disk) env() string { return filepath.Join(d.dir, "env.json") }

func (d disk) writeEnv(env map[string]string) error {
	data, err := json.Marshal(env)
	if err != nil {
		return fmt.Errorf("keep environment variables: %w", err)
	}
	tmp := d.env() + ".new"
	err = os.WriteFile(tmp, data, 0o600)
	if err == nil {
		err = os.Rename(tmp, d.env())
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", sandbox.ErrNotFound, err) // the stack was destroyed, and its directory with it
	}
	if err != nil {
		return fmt.Errorf("keep environment variables: %w", err)
	}
	return nil
}

// readEnv returns the variables of the last writeEnv, nil if there was none.
func (d disk) readEnv() (map[string]string, error) {
	data, err := os.ReadFile(d.env())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var env map[string]string
	if err == nil {
		err = json.Unmarshal(data, &env)
	}
	if err != nil {
		return nil, fmt.Errorf("read environment variables: %w", err)
	}
	return env, nil
}

// linkLayers makes each layer's directory a link into layersTarget. A mount for each of them works as well, but
// every mount costs the start of a node 5 to 10 ms. The disk is as the seed made it: no learner has seen it yet.
func (d disk) linkLayers(layers []seed.Layer) error {
	if err := os.MkdirAll(filepath.Join(d.mount(), layersTarget), 0o755); err != nil {
		return fmt.Errorf("link layers: %w", err)
	}
	for _, l := range layers {
		diff := filepath.Join(d.mount(), overlayDir, l.ID, "diff")
		if err := os.Remove(diff); err != nil {
			return fmt.Errorf("link layers: %w", err)
		}
		if err := os.Symlink(filepath.Join(layersTarget, l.ID, "diff"), diff); err != nil {
			return fmt.Errorf("link layers: %w", err)
		}
	}
	return nil
}
