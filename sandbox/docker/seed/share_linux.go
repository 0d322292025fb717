package seed

import (
	"os"

	"golang.org/x/sys/unix"
)

// shareBlocks makes dst a copy of src that shares its blocks. It returns false if the file system
// does not support that.
func shareBlocks(dst, src *os.File) bool {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil
}
