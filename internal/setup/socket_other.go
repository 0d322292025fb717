//go:build !linux

package setup

import "errors"

// socketOwner is implemented on Linux only, like setup.
func socketOwner(string) (int, error) { return 0, errors.ErrUnsupported }
