//go:build !linux

package docker

import (
	"context"
	"errors"
	"fmt"
)

// errNotLinux is why there are no nodes on other systems: their disks are mounted by Linux. labd serves the site there,
// and its doctor says so.
var errNotLinux = fmt.Errorf("nodes' disks need Linux: %w", errors.ErrUnsupported)

func (d disk) Mount() error                  { return errNotLinux }
func unmount(context.Context, string) error  { return errNotLinux }
func (d disk) Destroy(context.Context) error { return errNotLinux }
func freeBytes(string) (int64, error)        { return 0, errNotLinux }
