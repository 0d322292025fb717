package content_test

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// concurrencyPackages are imports that mark a test as concurrent.
var concurrencyPackages = []string{"sync", "sync/atomic", "net/http/httptest", "golang.org/x/sync/errgroup"}

// concurrent returns why a test file must run with the race detector, "" if it need not.
func concurrent(f *ast.File) (reason string) {
	for _, imported := range f.Imports {
		if name, _ := strconv.Unquote(imported.Path.Value); slices.Contains(concurrencyPackages, name) {
			return "it imports " + name
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			reason = "it starts a goroutine"
		case *ast.SelectorExpr:
			if n.Sel.Name == "Parallel" {
				reason = "it calls Parallel"
			}
		}
		return reason == ""
	})
	return reason
}

// phase reports whether a file is excluded from the race detector, and returns an error if it may not be.
func phase(name string, src []byte) (computing bool, wrong error) {
	f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return false, err
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() > f.Package || !constraint.IsGoBuild(c.Text) || !strings.Contains(c.Text, "race") {
				continue
			}
			if c.Text != "//go:build !race" || !strings.HasSuffix(name, "_test.go") {
				return false, fmt.Errorf("%s: %q: only test files may depend on the race detector, and only with //go:build !race, which the Makefile searches for", name, c.Text)
			}
			if reason := concurrent(f); reason != "" {
				return true, fmt.Errorf("%s: %s, but the race detector never runs it: move that test to a file without //go:build !race", name, reason)
			}
			return true, nil
		}
	}
	return false, nil
}

// TestNoTestIsLeftOutOfBothPhases checks that `make test` runs each test with the race detector or without it.
func TestNoTestIsLeftOutOfBothPhases(t *testing.T) {
	folders := map[string]bool{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "build" || d.Name() == "node_modules" || d.Name() == ".git"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		src, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			return err
		}
		computing, wrong := phase(name, src)
		if wrong != nil {
			t.Error(wrong)
		}
		if computing {
			folders["./"+path.Dir(name)+"/"] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := exec.CommandContext(t.Context(), "make", "-n", "test-go").Output()
	if err != nil {
		t.Fatalf("make -n test-go: %v", err)
	}
	var all bool
	var second []string
	for line := range strings.Lines(string(plan)) {
		words := strings.Fields(line)
		switch {
		case !slices.Contains(words, "test"):
		case slices.Contains(words, "-race"):
			all = slices.Contains(words, "./...") && !strings.Contains(line, "-run") && !strings.Contains(line, "-skip")
		default:
			second = words
		}
	}
	if !all {
		t.Errorf("make test-go does not run ./... with the race detector:\n%s", plan)
	}
	for folder := range folders {
		if !slices.Contains(second, folder) {
			t.Errorf("make test-go runs %s, but not %s without the race detector", second, folder)
		}
	}
	if len(folders) == 0 {
		t.Error("no test file is excluded from the race detector: the second phase is not needed")
	}
}

func TestThePhasesOfFiles(t *testing.T) {
	for _, tt := range []struct{ name, file, src, wrong string }{
		{"Usual", "a_test.go", "package a\nfunc f() { go f() }", ""},
		{"Computing", "a_test.go", "//go:build !race\n\npackage a\n", ""},
		{"Goroutine", "a_test.go", "//go:build !race\n\npackage a\nfunc f() { go f() }", "starts a goroutine"},
		{"Sync", "a_test.go", "//go:build !race\n\npackage a\nimport \"sync\"\nvar _ sync.Mutex", "imports sync"},
		{"Parallel", "a_test.go", "//go:build !race\n\npackage a\nfunc f(t T) { t.Parallel() }", "calls Parallel"},
		{"OnlyUnderRace", "a_test.go", "//go:build race\n\npackage a\n", "only with"},
		{"TwoTags", "a_test.go", "//go:build !race && linux\n\npackage a\n", "only with"},
		{"Program", "a.go", "//go:build !race\n\npackage a\n", "only test files"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := phase(tt.file, []byte(tt.src))
			if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("said %v, want %q", err, tt.wrong)
			}
		})
	}
}
