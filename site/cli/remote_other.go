//go:build !linux

package cli

// remote says whether a folder is on a file system that others may write to without this system knowing. It isn't known here.
func remote(string) bool { return false }
