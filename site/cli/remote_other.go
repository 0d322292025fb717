//go:build !linux

package cli

// remote reports whether a folder is on a network file system, where the system does not report
// changes by other machines. It is not known on this system.
func remote(string) bool { return false }
