package labrun_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labrun"
	"github.com/labd-dev/labd/sandbox"
)

// load reads a lab with these lines in its [stack] table.
func load(stack, more string) (*lab.Lab, error) {
	text := "+++\ntitle = \"T\"\nsummary = \"S\"\nlevel = \"beginner\"\nminutes = 5\n[stack]\n" + stack + "\n" + more + "\n+++\n" +
		"## One {#one}\n```check\n[[image]]\nname = \"x\"\n```\n```solution\ntrue\n```\n"
	return lab.LoadOne(fstest.MapFS{"a/lab.md": {Data: []byte(text)}}, "labs", "a")
}

// Packages lab and sandbox check names separately, because the site generator must not link the
// sandbox. If package lab accepted a name that the sandbox refuses, a lab would validate but never
// start.
func TestSpecOfEveryValidLabIsAccepted(t *testing.T) {
	for _, node := range []string{
		"node1", "a", "a-b", "a--b", strings.Repeat("a", 31), strings.Repeat("a", 32), strings.Repeat("a", 64),
		"", "a-", "-a", "1a", "localhost", "Node", "a_b", "a.b", "a b", "nöde", "a\\n", "node1/../x", "*",
	} {
		t.Run("node "+node, func(t *testing.T) {
			agree(t, fmt.Sprintf("images = [\"redis:8\"]\nnodes = [\"%s\"]", node), "")
		})
	}
	for _, image := range []string{
		"redis", "redis:8", "library/redis:8", "docker.io/library/redis:8", "docker.io/a/b:1", "a/b/c:1.0_x-Y", "registry.lab:5000/a/b:1",
		"registry.lab:5000/a", "localhost/a:1", "localhost:5000/a", "a__b:1", "a--b:1", "[::1]:5000/a:1", strings.Repeat("a", 200), "a:" + strings.Repeat("b", 128),
		"", ":", "a:", ":1", "a//b:1", "a..b:1", "a_-b", "-a", "a-", "a/", "/a", "A:1", "a b", "a:b:c", "a:-b", "a\\nb", "https://a/b:1",
		"redis@sha256:" + strings.Repeat("0", 64), "redis:8@sha256:" + strings.Repeat("0", 64), strings.Repeat("0", 64),
		strings.Repeat("a", 300), "a:" + strings.Repeat("b", 129),
	} {
		t.Run("image "+image, func(t *testing.T) {
			agree(t, fmt.Sprintf("images = [\"%s\"]", image), "")
		})
	}
	t.Run("as much as a lab may ask for", func(t *testing.T) {
		var images, vars strings.Builder
		for i := range 40 {
			fmt.Fprintf(&images, "\"image%d:1\",", i)
		}
		for i := range 16 {
			fmt.Fprintf(&vars, "v%d_%s = 32\n", i, strings.Repeat("x", 28))
		}
		if !agree(t, "nodes = [\"a\", \"b\", \"c\", \"d\", \"e\"]\nimages = ["+images.String()+"]", "[variables]\n"+vars.String()) {
			t.Error("such a lab is refused")
		}
	})
	t.Run("smallest and largest limits", func(t *testing.T) {
		for _, limits := range []string{
			"memory = \"128MiB\"\ndisk = \"64MiB\"\ncpus = 0.1\npids = 64", "memory = \"64GB\"\ndisk = \"256GiB\"\ncpus = 16\npids = 32768",
		} {
			if !agree(t, "images = [\"redis:8\"]", "[stack.limits]\n"+limits) {
				t.Errorf("a lab with these limits is refused: %s", limits)
			}
		}
	})
}

// agree reports whether the lab is valid. It fails the test if the sandbox refuses the spec of a
// valid lab.
func agree(t *testing.T, stack, more string) bool {
	t.Helper()
	l, err := load(stack, more)
	if err != nil {
		return false
	}
	if err := labrun.Spec(l, "id", l.NewVars(), nil).Check(); err != nil {
		t.Errorf("the lab validates, and then: %v", err)
	}
	return true
}

func TestNamesOfNodesAndImages(t *testing.T) {
	l, err := load("nodes = [\"web-1\"]\nimages = [\"redis\", \"docker.io/library/debian:13\", \"registry.lab:5000/team/app:1.2\"]", "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(l.Stack.Images, " "), "redis:latest debian:13 registry.lab:5000/team/app:1.2"; got != want {
		t.Errorf("the images are %s, want %s", got, want)
	}
	for stack, want := range map[string]string{
		"images = [\"redis:8\"]\nnodes = [\"localhost\"]":             "a node cannot be named localhost",
		"images = [\"redis:8\"]\nnodes = [\"a-\"]":                    "do not end with -",
		"images = [\"Redis\"]":                                        "write repository:tag, with the repository in lower case",
		"images = [\"redis@sha256:" + strings.Repeat("0", 64) + "\"]": "without a digest",
	} {
		if _, err := load(stack, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", stack, err, want)
		}
	}
}

// node is a node whose Exec returns res and records the command.
type node struct {
	sandbox.Node
	name string
	res  sandbox.Result
	got  sandbox.Command
}

func (n *node) Name() string { return n.name }

func (n *node) Exec(_ context.Context, cmd sandbox.Command) (sandbox.Result, error) {
	n.got = cmd
	return n.res, nil
}

func TestRunScript(t *testing.T) {
	first := &node{name: "node1"}
	second := &node{name: "node2", res: sandbox.Result{ExitCode: 3, Stdout: []byte("out "), Stderr: []byte("err")}}
	nodes := []sandbox.Node{first, second}
	vars := map[string]string{"code": "abc"}
	if err := labrun.RunScript(t.Context(), lab.Script{Source: "echo {{code}}"}, nodes, vars); err != nil {
		t.Error(err)
	}
	if got := first.got; len(got.Args) != 4 || got.Args[3] != "echo abc" || got.Env["LAB_CODE"] != "abc" {
		t.Errorf("the first node ran %+v", got)
	}
	err := labrun.RunScript(t.Context(), lab.Script{Node: "node2", File: "lab.md", Line: 7, Source: "exit 3"}, nodes, vars)
	var failed *labrun.ScriptError
	if !errors.As(err, &failed) || failed.ExitCode != 3 || string(failed.Output) != "out err" || err.Error() != "script at lab.md:7 ended with exit code 3" {
		t.Errorf("a script that fails: %v", err)
	}
	if err := labrun.RunScript(t.Context(), lab.Script{Node: "node3"}, nodes, vars); !errors.Is(err, sandbox.ErrNotFound) {
		t.Errorf("a script for a node that is not there: %v", err)
	}
}
