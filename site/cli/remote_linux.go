package cli

import (
	"slices"

	"golang.org/x/sys/unix"
)

// remote reports whether a folder is on a network file system, where the system does not report
// changes by other machines.
func remote(dir string) bool {
	var info unix.Statfs_t
	if err := unix.Statfs(dir, &info); err != nil {
		return false
	}
	const cifs, smb2 = 0xFF534D42, 0xFE534D42
	return slices.Contains([]uint32{unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, cifs, smb2, unix.V9FS_MAGIC, unix.FUSE_SUPER_MAGIC,
		unix.AFS_SUPER_MAGIC, unix.CODA_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC}, uint32(info.Type))
}
