package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
)

// patience is the timeout for conditions. It is long because it is reached only if something is
// broken.
const patience = 60 * time.Second

// Options describe the driver under test.
type Options struct {
	// Reopen closes a driver and returns another one with the same stacks, as after a restart of
	// labd.
	Reopen func(t testing.TB, d sandbox.Driver) sandbox.Driver
	// Kill ends a node abruptly.
	Kill func(t testing.TB, d sandbox.Driver, stack, node string)
	// Leftovers lists what exists on the machine because of the driver, such as containers,
	// networks and mounts. The suite compares it before and after.
	Leftovers func(t testing.TB) []string
	// RemoveImages removes all images from a node's engine, as a learner may.
	RemoveImages func(t testing.TB, d sandbox.Driver, st sandbox.Stack, node sandbox.Node)
	// HasImage reports whether a node's engine has Image.
	HasImage func(t testing.TB, d sandbox.Driver, st sandbox.Stack, node sandbox.Node) bool
	// Image is the name of an image in the driver's seed.
	Image string
	// NamesResolve is set if the nodes of a stack can resolve each other's names.
	NamesResolve bool
}

// Run tests that a driver fulfils the contract of package sandbox. open returns a driver without
// stacks; Run closes it. The suite makes few stacks, because each takes a second on a real engine.
func Run(t *testing.T, open func(t *testing.T) sandbox.Driver, opts Options) {
	s := &suite{open: open, opts: opts}
	t.Run("Lifecycle", s.lifecycle)
	t.Run("Create", s.create)
	t.Run("Node", s.node)
	t.Run("Restart", s.restart)
	t.Run("Reset", s.reset)
	t.Run("Images", s.images)
	t.Run("Nodes", s.nodes)
}

type suite struct {
	open func(t *testing.T) sandbox.Driver
	opts Options
}

// driver opens a driver. At the end of the test it checks that nothing is left: no stacks, nothing
// on the machine, no goroutines.
func (s *suite) driver(t *testing.T) sandbox.Driver {
	t.Helper()
	before := s.leftovers(t)
	goroutines := runtime.NumGoroutine()
	d := s.open(t)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if after := s.leftovers(t); !slices.Equal(before, after) {
			t.Errorf("left on the machine:\n%s\nbefore:\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
		}
		waitFor(t, "goroutines to end", func() error {
			if n := runtime.NumGoroutine(); n > goroutines {
				buf := make([]byte, 256<<10)
				return fmt.Errorf("%d goroutines, %d before\n%s", n, goroutines, buf[:runtime.Stack(buf, true)])
			}
			return nil
		})
	})
	return d
}

func (s *suite) leftovers(t testing.TB) []string {
	t.Helper()
	if s.opts.Leftovers == nil {
		return nil
	}
	return s.opts.Leftovers(t)
}

// spec returns a Spec with the named nodes.
func (s *suite) spec(id string, nodes ...string) sandbox.Spec {
	spec := sandbox.Spec{ID: id, Labels: map[string]string{"owner": "ada", "lab": "suite"}}
	for _, n := range nodes {
		spec.Nodes = append(spec.Nodes, sandbox.NodeSpec{
			Name: n, Images: []string{s.opts.Image}, Env: map[string]string{"LAB_CODE": "x7 k2"},
		})
	}
	return spec
}

// wantNoStack checks that Create returned no stack with its error, because callers close any stack
// that is not nil.
func wantNoStack(t *testing.T, st sandbox.Stack) {
	t.Helper()
	if st != nil {
		t.Errorf("Create gives a stack beside its error: %#v", st)
	}
}

// mustCreate creates a stack and destroys it at the end of the test.
func mustCreate(t *testing.T, d sandbox.Driver, spec sandbox.Spec) sandbox.Stack {
	t.Helper()
	st, err := d.Create(testContext(t), spec)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Destroy(context.Background(), spec.ID); err != nil {
			t.Errorf("Destroy: %v", err)
		}
	})
	return st
}

// testContext returns a context that ends with the test or after patience.
func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// waitFor calls f until it returns nil.
func waitFor(t testing.TB, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for wait := time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s: %v", what, err)
		}
		time.Sleep(wait)
	}
}

// wantError checks that err is target.
func wantError(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got error %v, want %v", what, err, target)
	}
}

// ids returns the ids of a driver's stacks and marks broken ones.
func ids(t testing.TB, d sandbox.Driver) []string {
	t.Helper()
	list, err := d.List(testContext(t))
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	out := []string{}
	for _, info := range list {
		if info.Broken {
			info.ID += " (broken)"
		}
		out = append(out, info.ID)
	}
	return out
}

func wantIDs(t testing.TB, d sandbox.Driver, want ...string) {
	t.Helper()
	if got := ids(t, d); !slices.Equal(got, append([]string{}, want...)) {
		t.Errorf("List gives %v, want %v", got, want)
	}
}

// lifecycle follows a stack through Create, a restart of labd and Destroy.
func (s *suite) lifecycle(t *testing.T) {
	d := s.driver(t)
	ctx := testContext(t)
	if err := d.Ready(ctx); err != nil {
		t.Fatalf("Ready: %v", err)
	}
	if p := d.Profile(); p.Name == "" || p.Reason == "" || p.Fidelity != sandbox.FidelityFull && p.Fidelity != sandbox.FidelityMost {
		t.Errorf("Profile gives %+v", p)
	}
	images, err := d.Images(ctx)
	if err != nil || !slices.Contains(images, s.opts.Image) || !slices.IsSorted(images) {
		t.Errorf("Images gives %v, %v; want a sorted list with %s", images, err, s.opts.Image)
	}
	ended, end := context.WithCancel(ctx)
	end()
	if images, err := d.Images(ended); images != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Images with a context that ended gives %v, %v", images, err)
	}
	wantIDs(t, d)

	start := time.Now().Add(-2 * time.Second) // engines store whole seconds
	st, err := d.Create(ctx, s.spec("one", "node1"))
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if st.ID() != "one" || len(st.Nodes()) != 1 || st.Nodes()[0].Name() != "node1" {
		t.Errorf("Create gives stack %q with %d nodes", st.ID(), len(st.Nodes()))
	}
	list, err := d.List(ctx)
	if err != nil || len(list) != 1 {
		t.Fatalf("List gives %v, %v; want one stack", list, err)
	}
	info := list[0]
	if info.ID != "one" || info.Broken || len(info.Labels) != 2 || info.Labels["owner"] != "ada" || info.Labels["lab"] != "suite" {
		t.Errorf("List gives %+v", info)
	}
	if info.Created.Before(start) || info.Created.After(time.Now().Add(2*time.Second)) {
		t.Errorf("stack was created at %s, want about %s", info.Created, start)
	}

	t.Run("an id is used once", func(t *testing.T) {
		twin, err := d.Create(ctx, s.spec("one", "node1"))
		wantError(t, "Create of an id that exists", err, sandbox.ErrInvalid)
		wantNoStack(t, twin)
		if got := sh(t, st.Nodes()[0], "echo still here"); got != "still here\n" {
			t.Errorf("the first stack answers %q", got)
		}
	})

	term := openTerminal(t, st.Nodes()[0], "t1")
	term.send("kept=$((6*7))\n")
	term.send("echo kept is $kept\n")
	term.expect("kept is 42")
	if err := st.Nodes()[0].WriteFile(ctx, "/root/note", []byte("from before"), 0o600); err != nil {
		t.Fatalf("WriteFile: %v", err)
	}

	// Closing the connection must not end the stack.
	if err := st.Close(); err != nil {
		t.Errorf("Stack.Close: %v", err)
	}
	if err := st.Close(); err != nil {
		t.Errorf("second Stack.Close: %v", err)
	}
	wantIDs(t, d, "one")
	d = s.opts.Reopen(t, d)
	t.Cleanup(func() { _ = d.Close() })
	wantIDs(t, d, "one")
	st, err = d.Open(ctx, "one")
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	n := st.Nodes()[0]
	if n.Name() != "node1" {
		t.Errorf("Open gives node %q", n.Name())
	}
	if got, err := n.Terminals(ctx); err != nil || !slices.Equal(got, []string{"t1"}) {
		t.Errorf("Terminals after a restart of labd: %v, %v", got, err)
	}
	term = attach(t, n, "t1", -1)
	term.expect("kept is 42") // the scrollback
	term.send("echo and now $kept\n")
	term.expect("and now 42")
	if got, err := n.ReadFile(ctx, "/root/note", 100); err != nil || string(got) != "from before" {
		t.Errorf("ReadFile after a restart of labd: %q, %v", got, err)
	}

	if err := d.Destroy(ctx, "one"); err != nil {
		t.Fatalf("Destroy: %v", err)
	}
	wantIDs(t, d)
	if err := d.Destroy(ctx, "one"); err != nil {
		t.Errorf("second Destroy: %v", err)
	}
	_, err = d.Open(ctx, "one")
	wantError(t, "Open of a destroyed stack", err, sandbox.ErrNotFound)
	_, err = n.Exec(ctx, sandbox.Command{Args: []string{"true"}})
	if !errors.Is(err, sandbox.ErrNotFound) && !errors.Is(err, sandbox.ErrNodeDown) {
		t.Errorf("Exec in a destroyed stack: got error %v, want %v or %v", err, sandbox.ErrNotFound, sandbox.ErrNodeDown)
	}
}

// create checks which specs Create rejects, and that a failed Create leaves nothing behind.
func (s *suite) create(t *testing.T) {
	d := s.driver(t)
	before := s.leftovers(t)
	with := func(change func(*sandbox.Spec)) sandbox.Spec {
		spec := s.spec("bad", "node1")
		change(&spec)
		return spec
	}
	for _, tt := range []struct {
		name string
		spec sandbox.Spec
		want error
	}{
		{"no id", with(func(s *sandbox.Spec) { s.ID = "" }), sandbox.ErrInvalid},
		{"an id with a slash", with(func(s *sandbox.Spec) { s.ID = "../up" }), sandbox.ErrInvalid},
		{"an id that is too long", with(func(s *sandbox.Spec) { s.ID = strings.Repeat("x", 41) }), sandbox.ErrInvalid},
		{"no nodes", with(func(s *sandbox.Spec) { s.Nodes = nil }), sandbox.ErrInvalid},
		{"too many nodes", with(func(sp *sandbox.Spec) {
			sp.Nodes = nil
			for i := range 100 {
				sp.Nodes = append(sp.Nodes, sandbox.NodeSpec{Name: fmt.Sprintf("n%d", i)})
			}
		}), sandbox.ErrInvalid},
		{"two nodes of one name", with(func(s *sandbox.Spec) { s.Nodes = append(s.Nodes, s.Nodes[0]) }), sandbox.ErrInvalid},
		{"a node name that is no DNS label", with(func(s *sandbox.Spec) { s.Nodes[0].Name = "node_1" }), sandbox.ErrInvalid},
		{"a negative memory limit", with(func(s *sandbox.Spec) { s.Nodes[0].Limits.MemoryBytes = -1 }), sandbox.ErrInvalid},
		{"a negative disk limit", with(func(s *sandbox.Spec) { s.Nodes[0].Limits.DiskBytes = -1 }), sandbox.ErrInvalid},
		{"a negative CPU limit", with(func(s *sandbox.Spec) { s.Nodes[0].Limits.CPUs = -1 }), sandbox.ErrInvalid},
		{"a negative process limit", with(func(s *sandbox.Spec) { s.Nodes[0].Limits.PIDs = -1 }), sandbox.ErrInvalid},
		{"a variable that is none", with(func(s *sandbox.Spec) { s.Nodes[0].Env = map[string]string{"A=B": "c"} }), sandbox.ErrInvalid},
		{"an image without tag", with(func(s *sandbox.Spec) { s.Nodes[0].Images = []string{"nginx"} }), sandbox.ErrInvalid},
		{"an image nobody built", with(func(s *sandbox.Spec) { s.Nodes[0].Images = []string{"nobody/built:this"} }), sandbox.ErrImageMissing},
	} {
		t.Run("refuses "+tt.name, func(t *testing.T) {
			st, err := d.Create(testContext(t), tt.spec)
			wantError(t, "Create", err, tt.want)
			wantNoStack(t, st)
		})
	}
	t.Run("refuses bad ids elsewhere", func(t *testing.T) {
		_, err := d.Open(testContext(t), "../up")
		wantError(t, "Open", err, sandbox.ErrInvalid)
		wantError(t, "Destroy", d.Destroy(testContext(t), "../up"), sandbox.ErrInvalid)
		_, err = d.Open(testContext(t), "nobody")
		wantError(t, "Open of a stack that never was", err, sandbox.ErrNotFound)
		if err := d.Destroy(testContext(t), "nobody"); err != nil {
			t.Errorf("Destroy of a stack that never was: %v", err)
		}
	})
	// Nothing must be left, whenever the context ends.
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond, 600 * time.Millisecond} {
		t.Run(fmt.Sprintf("cancelled after %s", after), func(t *testing.T) {
			ctx, cancel := context.WithCancel(testContext(t))
			if after == 0 {
				cancel()
			} else {
				defer time.AfterFunc(after, cancel).Stop()
			}
			st, err := d.Create(ctx, s.spec("cancelled", "node1", "node2"))
			cancel()
			if err == nil {
				// Create was faster and has returned a normal stack.
				if got := sh(t, st.Nodes()[0], "echo works"); got != "works\n" {
					t.Errorf("the stack answers %q", got)
				}
				if err := d.Destroy(testContext(t), "cancelled"); err != nil {
					t.Errorf("Destroy: %v", err)
				}
			} else {
				wantError(t, "Create", err, context.Canceled)
				wantNoStack(t, st)
			}
			wantIDs(t, d)
			if got := s.leftovers(t); !slices.Equal(got, before) {
				t.Errorf("left on the machine: %v, before: %v", got, before)
			}
		})
	}
	t.Run("ends with its deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(testContext(t), time.Nanosecond)
		defer cancel()
		st, err := d.Create(ctx, s.spec("late", "node1"))
		wantError(t, "Create", err, context.DeadlineExceeded)
		wantNoStack(t, st)
		wantIDs(t, d)
	})
}

// restart checks that a node's end is detected and that Restart brings it back with its files.
func (s *suite) restart(t *testing.T) {
	d := s.driver(t)
	ctx := testContext(t)
	st, err := d.Create(ctx, s.spec("restart", "node1"))
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Destroy(context.Background(), "restart"); err != nil {
			t.Errorf("Destroy: %v", err)
		}
		_ = d.Close()
	})
	n := st.Nodes()[0]
	if err := n.SetEnv(ctx, map[string]string{"SEAT": "b 3"}); err != nil {
		t.Fatalf("SetEnv: %v", err)
	}
	term := openTerminal(t, n, "t1")
	if err := n.WriteFile(ctx, "/root/work/compose.yml", []byte("services: {}\n"), 0o640); err != nil {
		t.Fatalf("WriteFile: %v", err)
	}
	events, err := n.Watch(ctx)
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	slow := make(chan error, 1)
	go func() {
		_, err := n.Exec(ctx, sandbox.Command{Args: []string{"sleep", "1000"}})
		slow <- err
	}()
	waitFor(t, "the command to run", func() error {
		if sh(t, n, "ps ax -o args | grep -c '^sleep 1000$' || true") == "0\n" {
			return errors.New("no such process")
		}
		return nil
	})

	s.opts.Kill(t, d, "restart", "node1")

	wantError(t, "Exec under way", <-slow, sandbox.ErrNodeDown)
	for range events {
		// wait until it is closed
	}
	_, err = term.readAll()
	wantError(t, "Read of a terminal", err, sandbox.ErrNodeDown)
	_, err = n.Exec(ctx, sandbox.Command{Args: []string{"true"}})
	wantError(t, "Exec", err, sandbox.ErrNodeDown)
	var down *sandbox.NodeDownError
	if !errors.As(err, &down) || down.Node != "node1" || down.Reason == "" {
		t.Errorf("Exec does not say which node is down and why: %v", err)
	}
	_, err = n.ReadFile(ctx, "/root/work/compose.yml", 100)
	wantError(t, "ReadFile", err, sandbox.ErrNodeDown)
	_, err = n.Watch(ctx)
	wantError(t, "Watch", err, sandbox.ErrNodeDown)
	wantError(t, "Ping", n.Ping(ctx), sandbox.ErrNodeDown)
	wantIDs(t, d, "restart") // a node that is down does not make the stack broken

	// A labd that starts now must also be able to bring the node back.
	d = s.opts.Reopen(t, d)
	st, err = d.Open(ctx, "restart")
	if err != nil {
		t.Fatalf("Open of a stack whose node is down: %v", err)
	}
	n = st.Nodes()[0]
	if err := n.Restart(ctx); err != nil {
		t.Fatalf("Restart: %v", err)
	}
	if got, err := n.ReadFile(ctx, "/root/work/compose.yml", 100); err != nil || string(got) != "services: {}\n" {
		t.Errorf("ReadFile after Restart: %q, %v", got, err)
	}
	if got, err := n.Terminals(ctx); err != nil || len(got) != 0 {
		t.Errorf("Terminals after Restart: %v, %v", got, err)
	}
	if got := sh(t, n, "echo $LAB_CODE/$SEAT"); got != "x7 k2/b 3\n" {
		t.Errorf("after Restart, LAB_CODE and SEAT are %q", got)
	}
	term = openTerminal(t, n, "t1")
	term.run("echo back again", "back again")
	term.send("echo [$SEAT]\n")
	term.expect("[b 3]\r\n")

	t.Run("of a node that runs", func(t *testing.T) {
		if err := n.Restart(ctx); err != nil {
			t.Fatalf("Restart: %v", err)
		}
		if got := sh(t, n, "cat work/compose.yml"); got != "services: {}\n" {
			t.Errorf("file after Restart: %q", got)
		}
	})
}
