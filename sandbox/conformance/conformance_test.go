package conformance_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/conformance"
)

func TestTheSuiteCanBeReadAndIsLargeEnough(t *testing.T) {
	all, err := conformance.Behaviours()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 160 {
		t.Errorf("%d behaviours, want at least 160", len(all))
	}
	core := conformance.Select(all, true, "")
	if len(core) == 0 || len(core) == len(all) {
		t.Errorf("%d of %d behaviours are in the core part", len(core), len(all))
	}
	for _, b := range all {
		for profile, reason := range b.Differs {
			if len(reason) < 20 {
				t.Errorf("%s:%d: the reason for %s is %q", b.File, b.Line, profile, reason)
			}
		}
	}
}

func TestOutputMatchesPatterns(t *testing.T) {
	for _, tt := range []struct {
		name, want, got string
		match           bool
	}{
		{"Equal", "a\nb", "a  \nb\n", true},
		{"Other", "a", "b", false},
		{"More", "a", "a\nb", false},
		{"Less", "a\nb", "a", false},
		{"InALine", "id … done", "id 123 done", true},
		{"InALineTwice", "…x…z", "axyz", true},
		{"NotInALine", "id … done", "id 123", false},
		{"Overlapping", "ab…ba", "aba", false},
		{"Lines", "a\n…\nb", "a\n1\n2\nb", true},
		{"NoLines", "a\n…\nb", "a\nb", true},
		{"LinesAtTheEnd", "a\n…", "a\nb\nc", true},
		{"LinesInVain", "a\n…\nb", "a\nc", false},
		{"Nothing", "", "\n", true},
		{"SomethingForNothing", "", "x", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (conformance.Behaviour{Want: tt.want}).Match(tt.got); got != tt.match {
				t.Errorf("match is %v", got)
			}
		})
	}
}

func TestMistakesInASuiteAreNamed(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"NoScript", "=== a\n---\nx\n", `a.txt:1: "a" needs a script`},
		{"NoOutput", "=== a\ntrue\n", `a.txt:1: "a" needs a script`},
		{"NoReason", "=== a\ndiffers gvisor\ntrue\n---\n", "a.txt:2: write"},
		{"Twice", "=== a\ntrue\n---\n=== a\ntrue\n---\n", `a.txt:4: "a" is already in a.txt`},
		{"Early", "true\n", "a.txt:1: text before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := conformance.Parse(fstest.MapFS{"a.txt": {Data: []byte(tt.file)}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// machine prints the same for every script.
type machine struct {
	out     string
	scripts []string
	err     error
}

func (m *machine) Exec(_ context.Context, c sandbox.Command) (sandbox.Result, error) {
	m.scripts = append(m.scripts, c.Args[2])
	return sandbox.Result{Stdout: []byte(m.out)}, m.err
}

func TestADifferenceMustBeNamedAndANamedOneMustBeTrue(t *testing.T) {
	b := conformance.Behaviour{Name: "b", File: "f.txt", Line: 3, Script: "echo a", Want: "a", Differs: map[string]string{"gvisor": "it has no b"}}
	for _, tt := range []struct{ out, profile, want string }{
		{"a", "runc", ""},
		{"x", "gvisor", ""},
		{"x", "runc", `f.txt:3: "b"`},
		{"a", "gvisor", `"b" works on gvisor now: remove its line`},
	} {
		m := &machine{out: tt.out}
		r, err := conformance.Run(t.Context(), m, b)
		if err != nil {
			t.Fatal(err)
		}
		if p := r.Problem(tt.profile); (p == "") != (tt.want == "") || !strings.Contains(p, tt.want) {
			t.Errorf("%q on %s: %q, want %q", tt.out, tt.profile, p, tt.want)
		}
		if len(m.scripts) != 2 || !strings.Contains(m.scripts[1], "docker rm") {
			t.Errorf("ran %d scripts, want the behaviour's and the clean-up", len(m.scripts))
		}
	}
	if _, err := conformance.Run(t.Context(), &machine{err: errors.New("gone")}, b); err == nil {
		t.Error("a machine that fails gives no error")
	}
}

// The page is written by this test when LABD_FIDELITY names it.
func TestThePageOfDifferencesIsUpToDate(t *testing.T) {
	all, err := conformance.Behaviours()
	if err != nil {
		t.Fatal(err)
	}
	want := conformance.Report(all, "gvisor", conformance.Reference)
	if name := os.Getenv("LABD_FIDELITY"); name != "" {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("../../docs/fidelity.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("docs/fidelity.md does not name the differences of behaviours/: run make fidelity")
	}
}
