//go:build !linux

package docker

import (
	"context"
	"errors"
	"fmt"
)

// errNotLinux is returned on other systems: only Linux can mount node disks. labd serves the site
// there, and its doctor explains why labs don't work.
var errNotLinux = fmt.Errorf("nodes' disks need Linux: %w", errors.ErrUnsupported)

func (d disk) Mount() error                  { return errNotLinux }
func unmount(context.Context, string) error  { return errNotLinux }
func (d disk) Destroy(context.Context) error { return errNotLinux }
func freeBytes(string) (int64, error)        { return 0, errNotLinux }
