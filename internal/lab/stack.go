package lab

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/labd-dev/labd/sandbox"
)

// Home is the learner's home directory in every node: shells begin there, scripts run there, files are put there.
const Home = "/root"

// maxScriptOutput bounds what is kept of a script's output.
const maxScriptOutput = 64 << 10

// Spec describes the stack that the lab runs on, for a session with these variables.
func (l *Lab) Spec(id string, vars, labels map[string]string) sandbox.Spec {
	spec := sandbox.Spec{ID: id, Internet: l.Stack.Internet, Labels: maps.Clone(labels)}
	for _, n := range l.Stack.Nodes {
		spec.Nodes = append(spec.Nodes, sandbox.NodeSpec{
			Name: n, Images: slices.Clone(l.Stack.Images), Limits: l.Stack.Limits, Env: Env(vars),
		})
	}
	return spec
}

// InstallFiles puts the lab's files into every node's home directory.
func (l *Lab) InstallFiles(ctx context.Context, nodes []sandbox.Node) error {
	for _, n := range nodes {
		for _, f := range l.Files {
			if err := n.WriteFile(ctx, path.Join(Home, f.Path), f.Data, f.Mode); err != nil {
				return fmt.Errorf("put %s into %s: %w", f.Path, n.Name(), err)
			}
		}
	}
	return nil
}

// Run runs the script to its end in its node. A script that fails is an error with the end of what it said.
func (s Script) Run(ctx context.Context, nodes []sandbox.Node, vars map[string]string) error {
	i := 0
	if s.Node != "" {
		i = slices.IndexFunc(nodes, func(n sandbox.Node) bool { return n.Name() == s.Node })
	}
	if i < 0 || i >= len(nodes) {
		return fmt.Errorf("script at %s:%d: no node %q: %w", s.File, s.Line, s.Node, sandbox.ErrNotFound)
	}
	res, err := nodes[i].Exec(ctx, sandbox.Command{
		Args:      []string{"bash", "-eu", "-c", Expand(s.Source, vars)},
		Env:       Env(vars),
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

// ScriptError is a script that ended with a code other than 0.
type ScriptError struct {
	Script   Script
	ExitCode int
	Output   []byte
}

func (e *ScriptError) Error() string {
	return fmt.Sprintf("script at %s:%d ended with exit code %d", e.Script.File, e.Script.Line, e.ExitCode)
}
