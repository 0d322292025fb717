package setup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteRuntime(t *testing.T) {
	t.Run("MakesFileAndDirectory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "docker", "daemon.json")
		changed, err := writeRuntime(file, "/usr/local/bin/runsc")
		if err != nil || !changed {
			t.Fatalf("changed %v, error %v", changed, err)
		}
		if _, err := os.Stat(file + backupSuffix); !os.IsNotExist(err) {
			t.Errorf("a backup of nothing was made (%v)", err)
		}
		if changed, err := writeRuntime(file, "/usr/local/bin/runsc"); err != nil || changed {
			t.Errorf("second time: changed %v, error %v", changed, err)
		}
	})
	t.Run("BacksUpOnceAndKeepsTheMode", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "daemon.json")
		const first = `{"debug": true}`
		write(t, file, first, 0o600)
		if _, err := writeRuntime(file, "/a/runsc"); err != nil {
			t.Fatal(err)
		}
		if _, err := writeRuntime(file, "/b/runsc"); err != nil {
			t.Fatal(err)
		}
		if got := read(t, file+backupSuffix); got != first {
			t.Errorf("the backup is %q, want the file from before labd", got)
		}
		if got := read(t, file); !strings.Contains(got, "/b/runsc") {
			t.Errorf("the file is %s", got)
		}
		fi, err := os.Stat(file)
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("mode %v (%v), want 0600", fi.Mode(), err)
		}
	})
	t.Run("KeepsASymbolicLink", func(t *testing.T) {
		dir := t.TempDir()
		target, link := filepath.Join(dir, "managed.json"), filepath.Join(dir, "daemon.json")
		write(t, target, `{"debug": true}`, 0o644)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if _, err := writeRuntime(link, "/a/runsc"); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Lstat(link); err != nil || fi.Mode()&os.ModeSymlink == 0 {
			t.Errorf("the link became %v (%v)", fi.Mode(), err)
		}
		if !strings.Contains(read(t, target), "runsc") {
			t.Error("the file behind the link was not changed")
		}
	})
	t.Run("LeavesBrokenFilesAlone", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "daemon.json")
		write(t, file, `{"debug": }`, 0o644)
		if _, err := writeRuntime(file, "/a/runsc"); err == nil {
			t.Fatal("no error")
		}
		if got := read(t, file); got != `{"debug": }` {
			t.Errorf("the file became %q", got)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("left behind: %v (%v)", entries, err)
		}
	})
}

func write(t *testing.T, path, data string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), mode); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
