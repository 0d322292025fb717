// Package labrun runs a lab on a stack: it builds the spec for the driver, installs the lab's files
// and runs its scripts. It is separate from package lab because the site generator also reads labs,
// but must not link code that runs them.
package labrun

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/sandbox"
)

// Home is the learner's home directory in every node. Shells start there, scripts run there, and
// files are put there.
const Home = "/root"

// maxScriptOutput bounds how many bytes of a script's output are kept.
const maxScriptOutput = 64 << 10

// The build fails here if a lab's {run} block may be longer than what a terminal accepts at once.
const _ = uint(sandbox.MaxRunText - lab.MaxRunText)

// Spec describes the stack that a lab runs on, for a session with these variables.
func Spec(l *lab.Lab, id string, vars, labels map[string]string) sandbox.Spec {
	spec := sandbox.Spec{ID: id, Internet: l.Stack.Internet, Labels: maps.Clone(labels)}
	for _, n := range l.Stack.Nodes {
		spec.Nodes = append(spec.Nodes, sandbox.NodeSpec{
			Name: n, Images: slices.Clone(l.Stack.Images), Limits: sandbox.Limits(l.Stack.Limits), Env: lab.Env(vars),
		})
	}
	return spec
}

// InstallFiles writes the lab's files into every node's home directory.
func InstallFiles(ctx context.Context, l *lab.Lab, nodes []sandbox.Node) error {
	for _, n := range nodes {
		for _, f := range l.Files {
			if err := n.WriteFile(ctx, path.Join(Home, f.Path), f.Data, f.Mode); err != nil {
				return fmt.Errorf("write %s into node %s: %w", f.Path, n.Name(), err)
			}
		}
	}
	return nil
}

// RunScript runs a lab's script in its node until it ends. If the script fails, the error is a
// *ScriptError.
func RunScript(ctx context.Context, s lab.Script, nodes []sandbox.Node, vars map[string]string) error {
	i := 0
	if s.Node != "" {
		i = slices.IndexFunc(nodes, func(n sandbox.Node) bool { return n.Name() == s.Node })
	}
	if i < 0 || i >= len(nodes) {
		return fmt.Errorf("script at %s:%d: no node %q: %w", s.File, s.Line, s.Node, sandbox.ErrNotFound)
	}
	res, err := nodes[i].Exec(ctx, sandbox.Command{
		Args:      []string{"bash", "-eu", "-c", lab.Expand(s.Source, vars)},
		Env:       lab.Env(vars),
		MaxOutput: maxScriptOutput,
	})
	if err != nil {
		return fmt.Errorf("script at %s:%d: %w", s.File, s.Line, err)
	}
	if res.ExitCode != 0 {
		return &ScriptError{Script: s, ExitCode: res.ExitCode, Output: append(res.Stdout, res.Stderr...)}
	}
	return nil
}

// ScriptError is a script that ended with an exit code other than 0.
type ScriptError struct {
	Script   lab.Script
	ExitCode int
	Output   []byte
}

func (e *ScriptError) Error() string {
	return fmt.Sprintf("script at %s:%d ended with exit code %d", e.Script.File, e.Script.Line, e.ExitCode)
}
