package seed_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

func TestOpenWithoutASeedSaysHowToMakeOne(t *testing.T) {
	_, err := seed.Open(t.TempDir())
	if !errors.Is(err, sandbox.ErrImageMissing) || !strings.Contains(err.Error(), "labd images build") {
		t.Errorf("error %v", err)
	}
}

func TestOpenOfADamagedSeedSaysHowToMakeOne(t *testing.T) {
	dir := t.TempDir()
	current := filepath.Join(dir, "current-5.json")
	if err := os.WriteFile(current, []byte(`{"digest":"a","data":"b","node_image":"labd/node:a"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := seed.Open(dir); !errors.Is(err, sandbox.ErrImageMissing) || !strings.Contains(err.Error(), "labd images build") {
		t.Errorf("data gone: error %v", err)
	}
	if err := os.WriteFile(current, []byte(`{`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := seed.Open(dir); err == nil || !strings.Contains(err.Error(), current) {
		t.Errorf("bad JSON: error %v", err)
	}
}

func TestBuildWithoutAnEngineIsUnavailable(t *testing.T) {
	dir := t.TempDir()
	_, err := seed.Build(t.Context(), seed.Options{
		Dir: dir, Host: "unix://" + filepath.Join(dir, "no.sock"), Labnode: labnode,
	})
	if !errors.Is(err, sandbox.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}
