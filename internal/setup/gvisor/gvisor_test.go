package gvisor

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPatchesThatDoNotFitAreRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("return EINTR\nreturn EINTR\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := patch{File: "a.go", Old: "EINTR", New: "ERESTARTSYS", Times: 1}
	if err := p.apply(dir); err == nil || !strings.Contains(err.Error(), "2 times, not 1") {
		t.Errorf("two places instead of one: %v", err)
	}
	p.Times = 2
	if err := p.apply(dir); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a.go")); err != nil || string(got) != "return ERESTARTSYS\nreturn ERESTARTSYS\n" {
		t.Errorf("%q, %v", got, err)
	}
	p.File = "b.go"
	if err := p.apply(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such file: %v", err)
	}
}

// The patches are tried on gVisor's source when it is in the module cache, as after labd setup.
func TestThePatchesFitTheRelease(t *testing.T) {
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(cache)), Module+"@"+Version)
	if _, err := os.Stat(source); err != nil {
		t.Skip("gVisor's source is not in the module cache")
	}
	dir := t.TempDir()
	copied := map[string]bool{}
	for _, p := range append(basicPatches(), dockerPatches()...) {
		name := filepath.Join(dir, filepath.FromSlash(p.File))
		if copied[name] {
			continue
		}
		copied[name] = true
		data, err := os.ReadFile(filepath.Join(source, filepath.FromSlash(p.File)))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range dockerAdditions() {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, filepath.FromSlash(a.File))), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := Patch(dir); err != nil {
		t.Fatal(err)
	}
	if err := Patch(dir); err == nil {
		t.Error("patched twice")
	}
}
