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

// minFreeDisk is the free space that the host must keep. If a sparse file can't grow, the file
// system on it loses data.
const minFreeDisk = 1 << 30

// disk is a node's file system: an ext4 image in a sparse file, loop-mounted on the host. Its
// top-level directories are mounted over the node's (seed.DiskDirs). Apart from a tmpfs, nothing
// else in a node is writable, so the size of the disk bounds everything that a learner can write.
//
// A learner owns every file in those directories, including symbolic links, so labd never opens a
// path below them on the host.
type disk struct {
	dir     string // directory on the host with everything of the node
	trusted bool   // the node shares the host's kernel, so device files and set-user-ID programs must work
}

func (d disk) image() string { return filepath.Join(d.dir, "disk.img") }
func (d disk) mount() string { return filepath.Join(d.dir, "mnt") }

// Create copies the seed's template with the given size and mounts it.
func (d disk) Create(ctx context.Context, s *seed.Seed, size int64) error {
	if err := os.MkdirAll(d.mount(), 0o700); err != nil {
		return fmt.Errorf("make node directory: %w", err)
	}
	if err := s.Disk(ctx, d.image(), size); err != nil {
		return err
	}
	return d.Mount()
}

// next is the file of a disk that will replace the current one.
func (d disk) next() string { return d.image() + ".next" }

// Prepare makes a fresh disk of the same size. Replace puts it in place.
func (d disk) Prepare(ctx context.Context, s *seed.Seed) error {
	info, err := os.Lstat(d.image())
	if err != nil {
		return fmt.Errorf("look at node disk: %w", err)
	}
	if err := os.Remove(d.next()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove unfinished disk: %w", err)
	}
	return s.Disk(ctx, d.next(), info.Size())
}

// Replace replaces the disk with the one made by Prepare, and mounts it. The node must be stopped.
func (d disk) Replace(ctx context.Context) error {
	if err := unmount(ctx, d.mount()); err != nil {
		return err
	}
	if err := os.Rename(d.next(), d.image()); err != nil {
		return fmt.Errorf("replace node disk: %w", err)
	}
	return d.Mount()
}

// env is the file on the host with the variables of Node.SetEnv, a JSON object.
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
		err = fmt.Errorf("%w: %w", sandbox.ErrNotFound, err) // the stack was destroyed with its directory
	}
	if err != nil {
		return fmt.Errorf("keep environment variables: %w", err)
	}
	return nil
}

// readEnv returns the variables of the last writeEnv, nil if there are none.
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
