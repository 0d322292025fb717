package seed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox"
)

// minDisk is the smallest disk that leaves some free space beside the template's files.
const minDisk = 64 << 20

// Disk makes a node's disk at path, which must not exist. It is a sparse copy of the template with
// a file system of size bytes, or of the template's size for 0. On an error path does not exist.
func (s *Seed) Disk(ctx context.Context, path string, size int64) error {
	if size != 0 && size < minDisk {
		return fmt.Errorf("disk of %d bytes: %w: at least %d", size, sandbox.ErrInvalid, minDisk)
	}
	template, err := s.sized(ctx, size)
	if err != nil {
		return fmt.Errorf("disk template of %d bytes: %w", size, err)
	}
	dst, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make disk: %w", err)
	}
	if err := fill(dst, template); err != nil {
		return errors.Join(fmt.Errorf("copy disk template: %w", err), os.Remove(path))
	}
	return nil
}

// sized returns a template with a file system of the given size. Templates are kept, so creating a
// node needs only a copy. Several processes share a seed. If they make the same size concurrently,
// each makes a complete one, all are equal, and the last one is kept.
func (s *Seed) sized(ctx context.Context, size int64) (string, error) {
	if size == 0 || size/blockSize == templateSize/blockSize {
		return s.Template, nil
	}
	path := filepath.Join(s.dir, strconv.FormatInt(size, 10)+".ext4")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	dst, err := os.CreateTemp(s.dir, tmpPrefix+"*")
	if err != nil {
		return "", err
	}
	err = fill(dst, s.Template)
	if err == nil {
		err = command(ctx, "resize2fs", dst.Name(), strconv.FormatInt(size/1024, 10)+"k")
	}
	if err == nil {
		err = os.Rename(dst.Name(), path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(dst.Name()))
	}
	return path, nil
}

// fill copies the image src to the empty file dst and closes it.
func fill(dst *os.File, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return errors.Join(err, dst.Close())
	}
	defer in.Close()
	err = copySparse(dst, in)
	return errors.Join(err, dst.Close())
}

// copySparse copies the parts of src that contain data. If the file system supports it, the copy
// shares the blocks.
func copySparse(dst, src *os.File) error {
	if shareBlocks(dst, src) {
		return nil
	}
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if err := dst.Truncate(info.Size()); err != nil {
		return err
	}
	for pos := int64(0); ; {
		start, err := src.Seek(pos, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // only a hole follows
		}
		if err != nil {
			return err
		}
		end, err := src.Seek(start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(dst, start), io.NewSectionReader(src, start, end-start)); err != nil {
			return err
		}
		pos = end
	}
}
