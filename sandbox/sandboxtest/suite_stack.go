package sandboxtest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/labd-dev/labd/sandbox"
)

// reset checks that Reset makes a node fresh and does not touch the other nodes of the stack.
func (s *suite) reset(t *testing.T) {
	d := s.driver(t)
	ctx := testContext(t)
	st := mustCreate(t, d, s.spec("reset", "node1", "node2"))
	n, other := st.Nodes()[0], st.Nodes()[1]
	if err := n.SetEnv(ctx, map[string]string{"SEAT": "c 1"}); err != nil {
		t.Fatalf("SetEnv: %v", err)
	}
	for _, n := range st.Nodes() {
		if err := n.WriteFile(ctx, "/root/work/note", []byte("mine"), 0o644); err != nil {
			t.Fatalf("WriteFile: %v", err)
		}
	}
	sh(t, n, "rm -f .bash* .profile")
	s.opts.RemoveImages(t, d, st, n)
	openTerminal(t, n, "t1")
	term := openTerminal(t, other, "t1")

	check := func() {
		t.Helper()
		if _, err := n.ReadFile(ctx, "/root/work/note", 100); !errors.Is(err, sandbox.ErrNotFound) {
			t.Errorf("ReadFile after Reset: %v, want %v", err, sandbox.ErrNotFound)
		}
		if got, err := n.Terminals(ctx); err != nil || len(got) != 0 {
			t.Errorf("Terminals after Reset: %v, %v", got, err)
		}
		if got := sh(t, n, "echo $LAB_CODE/$SEAT; ls -A .bash* | head -1"); !strings.HasPrefix(got, "x7 k2/c 1\n.bash") {
			t.Errorf("after Reset a command prints %q", got)
		}
	}
	if err := n.Reset(ctx); err != nil {
		t.Fatalf("Reset: %v", err)
	}
	check()
	if !s.opts.HasImage(t, d, st, n) {
		t.Errorf("after Reset the engine lacks %s", s.opts.Image)
	}
	openTerminal(t, n, "t1").run("echo a new shell", "new shell")
	if got := sh(t, other, "cat work/note"); got != "mine" {
		t.Errorf("Reset of one node left the other one's file as %q", got)
	}
	term.run("echo still here", "still here")

	t.Run("of a node that is down", func(t *testing.T) {
		if err := n.WriteFile(ctx, "/root/work/note", []byte("again"), 0o644); err != nil {
			t.Fatalf("WriteFile: %v", err)
		}
		s.opts.Kill(t, d, "reset", "node1")
		if err := n.Reset(ctx); err != nil {
			t.Fatalf("Reset: %v", err)
		}
		check()
	})
	t.Run("lasts over Restart", func(t *testing.T) {
		if err := n.Restart(ctx); err != nil {
			t.Fatalf("Restart: %v", err)
		}
		check()
	})
	wantIDs(t, d, "reset")
}

// images checks that RestoreImages restores images that a learner has removed.
func (s *suite) images(t *testing.T) {
	d := s.driver(t)
	ctx := testContext(t)
	st := mustCreate(t, d, s.spec("images", "node1"))
	n := st.Nodes()[0]
	if !s.opts.HasImage(t, d, st, n) {
		t.Fatalf("the node's engine lacks %s", s.opts.Image)
	}
	term := openTerminal(t, n, "t1")
	if err := n.WriteFile(ctx, "/root/note", []byte("mine"), 0o644); err != nil {
		t.Fatalf("WriteFile: %v", err)
	}
	for range 2 {
		s.opts.RemoveImages(t, d, st, n)
		if s.opts.HasImage(t, d, st, n) {
			t.Fatalf("%s can't be removed", s.opts.Image)
		}
		if err := n.RestoreImages(ctx); err != nil {
			t.Fatalf("RestoreImages: %v", err)
		}
		if !s.opts.HasImage(t, d, st, n) {
			t.Fatalf("after RestoreImages the engine lacks %s", s.opts.Image)
		}
	}
	if err := n.RestoreImages(ctx); err != nil {
		t.Errorf("RestoreImages with nothing to restore: %v", err)
	}
	term.run("cat note; echo ' and a shell'", "and a shell")
	s.opts.Kill(t, d, "images", "node1")
	wantError(t, "RestoreImages of a node that is down", n.RestoreImages(ctx), sandbox.ErrNodeDown)
}

// nodes checks a stack with several nodes, one of which goes down.
func (s *suite) nodes(t *testing.T) {
	d := s.driver(t)
	ctx := testContext(t)
	st := mustCreate(t, d, s.spec("several", "zeta", "alpha", "mid"))
	want := []string{"zeta", "alpha", "mid"}
	check := func(st sandbox.Stack) {
		t.Helper()
		var got []string
		for _, n := range st.Nodes() {
			got = append(got, n.Name())
		}
		if !slices.Equal(got, want) {
			t.Errorf("nodes are %v, want %v: the order of the spec", got, want)
		}
	}
	check(st)
	var err error
	for _, n := range st.Nodes() {
		if err := n.WriteFile(ctx, "/root/me", []byte(n.Name()), 0o644); err != nil {
			t.Fatalf("WriteFile: %v", err)
		}
	}
	for _, n := range st.Nodes() {
		if got := sh(t, n, "cat me"); got != n.Name() {
			t.Errorf("node %s has the file of %s", n.Name(), got)
		}
	}
	if s.opts.NamesResolve {
		for _, n := range st.Nodes() {
			for _, other := range want {
				sh(t, n, "getent hosts "+other)
			}
		}
	}
	if err := st.Nodes()[2].SetEnv(ctx, map[string]string{"SEAT": "only mid"}); err != nil {
		t.Fatalf("SetEnv: %v", err)
	}
	term := openTerminal(t, st.Nodes()[0], "stays")
	term.run("echo is up", "is up")
	s.opts.Kill(t, d, "several", "alpha")
	for reopened := range 2 {
		nodes := st.Nodes()
		var down *sandbox.NodeDownError
		if err := nodes[1].Ping(ctx); !errors.As(err, &down) || down.Node != "alpha" {
			t.Errorf("Ping of the node that is down: %v", err)
		}
		for i, seat := range map[int]string{0: "", 2: "only mid"} {
			if err := nodes[i].Ping(ctx); err != nil {
				t.Errorf("Ping of node %s: %v", want[i], err)
			}
			if got := sh(t, nodes[i], "echo $SEAT"); got != seat+"\n" {
				t.Errorf("node %s has SEAT=%q, want %q", want[i], got, seat)
			}
		}
		if reopened == 1 {
			break
		}
		term.run("echo still up", "still up")
		if err := st.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if st, err = d.Open(ctx, "several"); err != nil {
			t.Fatalf("Open: %v", err)
		}
		check(st)
	}
	if err := st.Nodes()[1].Restart(ctx); err != nil {
		t.Fatalf("Restart: %v", err)
	}
	if got := sh(t, st.Nodes()[1], "cat me"); got != "alpha" {
		t.Errorf("the node that was restarted has the file of %q", got)
	}
	again := attach(t, st.Nodes()[0], "stays", 0)
	again.expect("still up") // the restart of one node did not affect the shells of the others
}
