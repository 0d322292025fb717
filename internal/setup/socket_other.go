//go:build !linux

package setup

import "errors"

// socketOwner exists on Linux only, as setup does.
func socketOwner(string) (int, error) { return 0, errors.ErrUnsupported }
