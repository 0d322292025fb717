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

// minDisk is the smallest disk that holds the template and something to work with.
const minDisk = 64 << 20

// Disk makes a node's disk at path, which must not exist: a sparse copy of the template that can grow to size bytes, or
// to the template's own size for 0. If it fails, path is as it was.
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

// sized returns the template whose file system has the wanted size. It is kept, so that making a node costs no more than
// a copy. Several processes share a seed, and each may be the first: all make one, equal and complete before it gets its
// name, and the last one stays.
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

// fill copies the image src into the empty file dst and closes it.
func fill(dst *os.File, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return errors.Join(err, dst.Close())
	}
	defer in.Close()
	err = copySparse(dst, in)
	return errors.Join(err, dst.Close())
}

// copySparse copies the parts of src that hold data. A file system that can share blocks does that instead.
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
			return nil // only a hole is left
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
