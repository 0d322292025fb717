//go:build !linux

package seed

import "os"

// shareBlocks is for Linux, where nodes run; elsewhere labd only serves the site and its doctor.
func shareBlocks(dst, src *os.File) bool { return false }
