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

// Create makes the seed's disk of the wanted size and mounts it.
func (d disk) Create(ctx context.Context, s *seed.Seed, size int64) error {
	if err := os.MkdirAll(d.mount(), 0o700); err != nil {
		return fmt.Errorf("make node directory: %w", err)
	}
	if err := s.Disk(ctx, d.image(), size); err != nil {
		return err
	}
	return d.Mount()
}

// next is a disk in the making that is to replace the present one.
func (d disk) next() string { return d.image() + ".next" }

// Prepare makes a fresh disk of the present one's size, to be put in its place by Replace.
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

// Replace puts the disk of Prepare in place of the present one and mounts it. Nothing may use the present one any more.
func (d disk) Replace(ctx context.Context) error {
	if err := unmount(ctx, d.mount()); err != nil {
		return err
	}
	if err := os.Rename(d.next(), d.image()); err != nil {
		return fmt.Errorf("replace node disk: %w", err)
	}
	return d.Mount()
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
