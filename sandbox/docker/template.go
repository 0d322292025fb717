package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"labd/sandbox/docker/seed"
)

// sizedTemplate returns a disk template of the wanted size. A template's file system has a size of its own; the copy
// that has another one is made once for each seed and size, so that making a node costs no more than a copy.
func (d *Driver) sizedTemplate(ctx context.Context, s *seed.Seed, size int64) (string, error) {
	st, err := os.Stat(s.Template)
	if err != nil {
		return "", fmt.Errorf("disk template: %w", err)
	}
	if size == 0 || size == st.Size() {
		return s.Template, nil
	}
	d.templateMu.Lock()
	defer d.templateMu.Unlock()
	dir := filepath.Join(d.cfg.StateDir, "templates")
	sum := sha256.Sum256([]byte(s.Digest))
	digest := hex.EncodeToString(sum[:8])
	path := filepath.Join(dir, fmt.Sprintf("%s-%d.img", digest, size))
	_, err = os.Stat(path)
	if err == nil {
		return path, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("disk template: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("disk template: %w", err)
	}
	removeStaleTemplates(dir, digest)
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("disk template: %w", err)
	}
	if err := copySparse(tmp, s.Template); err != nil {
		return "", fmt.Errorf("copy disk template: %w", err)
	}
	if err := resizeImage(ctx, tmp, size); err != nil {
		return "", errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return "", fmt.Errorf("disk template: %w", err)
	}
	return path, nil
}

// removeStaleTemplates deletes what was made from other seeds. What can't be deleted only costs disk.
func removeStaleTemplates(dir, digest string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), digest+"-") {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// resizeImage gives the file system in an image a new size. The kernel could do it while mounted, but only for processes
// with CAP_SYS_RESOURCE, which containers and some virtual machines lack.
func resizeImage(ctx context.Context, path string, size int64) error {
	// resize2fs wants a file system that was just checked; -f stands for that, as the template was never mounted.
	out, err := exec.CommandContext(ctx, "resize2fs", "-f", path, fmt.Sprintf("%dK", size>>10)).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("disk limits need resize2fs: install the package e2fsprogs: %w", err)
	}
	if err != nil {
		return fmt.Errorf("give the disk template %d bytes: %w: %s", size, err, strings.TrimSpace(string(out)))
	}
	if err := os.Truncate(path, size); err != nil {
		return fmt.Errorf("give the disk template %d bytes: %w", size, err)
	}
	return nil
}
