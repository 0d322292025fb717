// Package gvisor names the release of gVisor that nodes run on, and patches its source.
//
// A patch is a few replaced lines with its reason, or a new file below added/. Each has a test in a
// node that fails without it: in package sandbox/sandboxtest for terminals, in package
// sandbox/conformance for all that a Docker engine does. After a change here, increase Patches: it
// tells setup and the doctor that an installed runsc is out of date.
package gvisor

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	Module = "gvisor.dev/gvisor"
	// Version is the tested version. Older releases lack features that Docker in a node needs.
	Version = "v0.0.0-20260905035102-160fafc42237"
	// Patches names the set of patches of this package.
	Patches = "labd.7"
)

//go:embed added
var added embed.FS

// Patch changes the source of Version in dir.
func Patch(dir string) error {
	for _, p := range slices.Concat(basicPatches(), dockerPatches()) {
		if err := p.apply(dir); err != nil {
			return fmt.Errorf("patch gVisor: %w", err)
		}
	}
	for _, a := range dockerAdditions() {
		if err := a.apply(dir); err != nil {
			return fmt.Errorf("patch gVisor: %w", err)
		}
	}
	return nil
}

// patch changes a file of gVisor's source. Old must occur in it exactly Times times.
type patch struct {
	File, Old, New string
	Times          int
}

// apply patches the source in dir.
func (p patch) apply(dir string) error {
	name := filepath.Join(dir, filepath.FromSlash(p.File))
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if n := strings.Count(string(data), p.Old); n != p.Times {
		return fmt.Errorf("%s has %q %d times, not %d", p.File, p.Old, n, p.Times)
	}
	if err := os.WriteFile(name, []byte(strings.ReplaceAll(string(data), p.Old, p.New)), 0o644); err != nil {
		return err
	}
	return nil
}

// addition is a file that is added to gVisor's source.
type addition struct {
	Source string // below added/
	File   string // in gVisor's source
}

// apply copies the file into the source in dir.
func (a addition) apply(dir string) error {
	data, err := added.ReadFile("added/" + a.Source)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, filepath.FromSlash(a.File))
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s is already there", name)
	}
	return os.WriteFile(name, data, 0o644)
}
