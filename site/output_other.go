//go:build !linux

package site

func exchange(tmp, out string) error { return replace(tmp, out) }
