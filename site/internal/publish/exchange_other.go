//go:build !linux

package publish

func exchange(tmp, out string) error { return replace(tmp, out) }
