package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/labd-dev/labd/internal/setup/daemonjson"
)

// backupSuffix is the suffix of the copy of daemon.json from before labd first changed it.
const backupSuffix = ".before-labd"

// writeRuntime adds the runtime runsc to the engine's configuration file. Before the first change
// it makes a copy.
func writeRuntime(file, runscPath string) (changed bool, err error) {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	exists := err == nil
	merged, changed, err := daemonjson.Merge(file, old, runscPath)
	if err != nil || !changed {
		return false, err
	}
	mode := fs.FileMode(0o644)
	if exists {
		fi, err := os.Stat(file)
		if err != nil {
			return false, err
		}
		mode = fi.Mode().Perm()
		if err := backUp(file, old, mode); err != nil {
			return false, err
		}
	} else if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return false, err
	}
	// Configuration managers often make this file a symbolic link. It stays one.
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	if err := writeFileAtomic(file, merged, mode); err != nil {
		return false, fmt.Errorf("write %s: %w", file, err)
	}
	return true, nil
}

// backUp keeps only the first copy, the one from before labd.
func backUp(file string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(file+backupSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("back up %s: %w", file, err)
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return fmt.Errorf("back up %s: %w", file, err)
	}
	return f.Close()
}
