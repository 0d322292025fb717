package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// unmountPatience is how long a mount may stay busy after its container is gone. Then it is
	// unmounted lazily.
	unmountPatience = 5 * time.Second
	// loopAttempts bounds the attempts to get a free loop device, for which other processes
	// compete.
	loopAttempts = 64
)

// Mount mounts the image if it is not mounted, for example after a reboot.
func (d disk) Mount() error {
	mounted, err := isMountPoint(d.mount())
	if err != nil {
		return fmt.Errorf("look at node disk: %w", err)
	}
	if mounted {
		return nil
	}
	loop, err := attachLoop(d.image())
	if err != nil {
		return err
	}
	// AUTOCLEAR detaches the device when its last user is gone: first this descriptor, later the
	// mount.
	defer loop.Close()
	flags := uintptr(unix.MS_NOATIME)
	if !d.trusted {
		flags |= unix.MS_NODEV | unix.MS_NOSUID
	}
	// discard returns the blocks of deleted files to the host.
	if err := unix.Mount(loop.Name(), d.mount(), "ext4", flags, "discard,noinit_itable,errors=remount-ro"); err != nil {
		return fmt.Errorf("mount node disk %s: %w", d.image(), err)
	}
	if !d.trusted {
		return nil
	}
	// nodeMounts explains the propagation.
	if err := unix.Mount("", d.mount(), "", unix.MS_SHARED, ""); err != nil {
		return errors.Join(fmt.Errorf("share node disk %s: %w", d.image(), err), unix.Unmount(d.mount(), 0))
	}
	return nil
}

// Destroy unmounts the disk and deletes its directory. It returns nil if there is nothing.
func (d disk) Destroy(ctx context.Context) error {
	if err := unmount(ctx, d.mount()); err != nil {
		return err
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return fmt.Errorf("delete node disk: %w", err)
	}
	return nil
}

// unmount unmounts path. It retries while the engine still uses it.
func unmount(ctx context.Context, path string) error {
	deadline := time.Now().Add(unmountPatience)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		mounted, err := isMountPoint(path)
		if errors.Is(err, os.ErrNotExist) || err == nil && !mounted {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look at node disk: %w", err)
		}
		err = unix.Unmount(path, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EBUSY) && time.Now().After(deadline) {
			err = unix.Unmount(path, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
		}
		if err == nil {
			continue // mounts can be stacked, so look again
		}
		if !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("unmount node disk %s: %w", path, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("unmount node disk %s: %w", path, context.Cause(ctx))
		}
	}
}

// isMountPoint reports whether path is on another device than its parent directory.
func isMountPoint(path string) (bool, error) {
	var st, parent unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return false, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if err := unix.Lstat(filepath.Dir(path), &parent); err != nil {
		return false, &os.PathError{Op: "stat", Path: filepath.Dir(path), Err: err}
	}
	return st.Dev != parent.Dev, nil
}

// attachLoop attaches the file to a free loop device. The device is detached when the returned
// descriptor and all its mounts are closed.
func attachLoop(file string) (*os.File, error) {
	back, err := os.OpenFile(file, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open node disk: %w", err)
	}
	defer back.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("node disks need loop devices: %w", err)
	}
	defer control.Close()
	for range loopAttempts {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, fmt.Errorf("open loop device: %w", err)
		}
		err = configureLoop(loop, back)
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("set up %s for %s: %w", loop.Name(), file, err)
		}
	}
	return nil, fmt.Errorf("set up a loop device for %s: every free one was taken by others", file)
}

// configureLoop attaches back to loop, with AUTOCLEAR. EBUSY means that another process was faster.
func configureLoop(loop, back *os.File) error {
	info := unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}
	copy(info.File_name[:len(info.File_name)-1], back.Name())
	err := unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{Fd: uint32(back.Fd()), Info: info})
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
		return err
	}
	// Kernels before 5.8 need two calls.
	if err := unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_SET_FD, int(back.Fd())); err != nil {
		return err
	}
	if err := unix.IoctlLoopSetStatus64(int(loop.Fd()), &info); err != nil {
		_ = unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_CLR_FD, 0)
		return err
	}
	return nil
}

// freeBytes returns the space that an unprivileged user may still use on path's file system.
func freeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return int64(st.Bavail) * st.Bsize, nil
}
