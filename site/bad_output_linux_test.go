package site_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/labd-dev/labd/site"
	"github.com/labd-dev/labd/site/corpus"
)

// siteOnSmallDisk builds a site on a disk of one megabyte. It returns the disk, the site's folder
// and the files in it.
func siteOnSmallDisk(t *testing.T) (disk, out string, files map[string]string) {
	t.Helper()
	disk = t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	out = filepath.Join(disk, "site")
	if _, err := site.Build(t.Context(), source(), out, options()); err != nil {
		t.Fatal(err)
	}
	return disk, out, read(t, out)
}

// TestAFullDiskKeepsTheOldSite builds on a disk of one megabyte: first a course that fits, then one
// that doesn't.
func TestAFullDiskKeepsTheOldSite(t *testing.T) {
	disk, out, before := siteOnSmallDisk(t)
	_, err := site.Build(t.Context(), site.Source{Content: corpus.New(200)}, out, options())
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("building on a full disk: %v", err)
	}
	if after := read(t, out); !reflect.DeepEqual(after, before) {
		t.Errorf("the old site has %d files, had %d", len(after), len(before))
	}
	entries, err := os.ReadDir(disk)
	if err != nil || len(entries) != 1 {
		t.Errorf("left over: %v, %v", entries, err)
	}
	// What fits again is built again.
	if _, err := site.Build(t.Context(), source(), out, site.Options{Assets: assetsFS(), Force: true}); err != nil {
		t.Error(err)
	}
}

// TestAnOutputFolderThatCannotBeWritten uses a disk that is mounted read-only.
func TestAnOutputFolderThatCannotBeWritten(t *testing.T) {
	disk, out, before := siteOnSmallDisk(t)
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	opts := options()
	opts.Force = true
	_, err := site.Build(t.Context(), source(), out, opts)
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "making the output folder") {
		t.Errorf("building where nothing can be written: %v", err)
	}
	if after := read(t, out); !reflect.DeepEqual(after, before) {
		t.Errorf("the old site has %d files, had %d", len(after), len(before))
	}
}
