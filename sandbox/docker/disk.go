package docker

import (
	"fmt"
	"os"
	"path/filepath"
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

// Create copies template, which has the wanted size, and mounts the copy.
func (d disk) Create(template string) error {
	if err := os.MkdirAll(d.mount(), 0o700); err != nil {
		return fmt.Errorf("make node directory: %w", err)
	}
	if err := copySparse(d.image(), template); err != nil {
		return fmt.Errorf("copy disk template: %w", err)
	}
	return d.Mount()
}
