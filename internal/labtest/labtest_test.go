package labtest_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labtest"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker"
	"github.com/labd-dev/labd/sandbox/docker/seed"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

// The fake's nodes are directories on this machine, so these labs use relative paths and no engine.
const front = "+++\ntitle = \"T\"\nsummary = \"S\"\nlevel = \"beginner\"\nminutes = 5\n[stack]\nimages = []\n[variables]\ncode = 6\n+++\n"

func one(t *testing.T, steps string) *lab.Lab {
	t.Helper()
	l, err := lab.LoadOne(fstest.MapFS{
		"demo/lab.md":        &fstest.MapFile{Data: []byte(front + steps)},
		"demo/files/given/x": &fstest.MapFile{Data: []byte("given")},
	}, "", "demo")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// fileStep returns a step that is done once a file with its name contains the code.
func fileStep(name, solution, more string) string {
	return fmt.Sprintf("## S {#%s}\n```check\n[[wrong]]\nid = \"w\"\nhint = \"H\"\n[[wrong.file]]\npath = \"/root/%[1]s.wrong\"\n[[file]]\npath = \"/root/%[1]s\"\nequals = \"{{code}}\"\n```\n```solution\n%s\n```\n%s", name, solution, more)
}

const write = `echo "$LAB_CODE" > `

func prove(t *testing.T, l *lab.Lab, step string) ([]labtest.Case, string) {
	t.Helper()
	fake := sandboxtest.NewFake(t, sandboxtest.FakeOptions{Engine: func(string, string) http.Handler { return http.NotFoundHandler() }})
	var out bytes.Buffer
	cases, err := (&labtest.Tester{Driver: fake, Out: &out, Step: step, Settle: 300 * time.Millisecond}).Run(t.Context(), []*lab.Lab{l})
	if err != nil {
		t.Fatal(err)
	}
	left, err := fake.List(t.Context())
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return cases, out.String()
}

// wantCases compares cases with "step name: ok" or "step name: part of the error".
func wantCases(t *testing.T, cases []labtest.Case, want ...string) {
	t.Helper()
	for i := range max(len(cases), len(want)) {
		if i >= len(cases) {
			t.Errorf("missing: %s", want[i])
			continue
		}
		c := cases[i]
		got := strings.TrimSpace(c.Step+" "+c.Name) + ": "
		if c.Err == nil {
			got += "ok"
		} else {
			got += c.Err.Error()
		}
		if i >= len(want) {
			t.Errorf("unexpected: %s", got)
			continue
		}
		name, msg, _ := strings.Cut(want[i], ": ")
		if !strings.HasPrefix(got, name+": ") || !strings.Contains(got, msg) {
			t.Errorf("case %d: %s\nwant %s", i, got, want[i])
		}
	}
}

func TestValidLabPasses(t *testing.T) {
	l := one(t, fileStep("a", write+"a; test \"$(cat given/x)\" = given", "```setup\ntouch setup-ran\n```\n```wrong {#w}\ntest -e setup-ran\ntouch a.wrong\n```\n```undo {#w}\nrm a.wrong\n```\n")+fileStep("b", write+"b", ""))
	cases, out := prove(t, l, "")
	wantCases(t, cases, "stack: ok", "a fails before: ok", "a wrong w: ok", "a passes after the solution: ok", "b fails before: ok", "b passes after the solution: ok")
	if labtest.Failed(cases) != 0 || labtest.MedianLook(cases) <= 0 || !strings.Contains(out, "ok   a ") {
		t.Errorf("failed %d, median %v\n%s", labtest.Failed(cases), labtest.MedianLook(cases), out)
	}
}

func TestMistakesInLabsAreFound(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps string
		want  []string
	}{
		{
			"check that passes before anything is done", fileStep("a", write+"a", "```setup\n"+write+"a\n```\n"),
			[]string{"stack: ok", "a fails before: passes before anything was done", "a passes after the solution: not tested"},
		},
		{
			"solution that does not solve", fileStep("a", "echo wrong > a", "") + fileStep("b", write+"b", ""),
			[]string{"stack: ok", "a fails before: ok", "a passes after the solution: no  file /root/a: saw contains `wrong`; expected contains exactly", "b step: because the step \"a\" failed"},
		},
		{
			"solution that fails", fileStep("a", "echo to stdout; echo to stderr >&2; exit 3", ""),
			[]string{"stack: ok", "a fails before: ok", "a passes after the solution: ended with exit code 3\nto stdout\nto stderr"},
		},
		{
			"unset variable in a script", fileStep("a", "echo $NONE", ""),
			[]string{"stack: ok", "a fails before: ok", "a passes after the solution: NONE: unbound variable"},
		},
		{
			"wrong state that is not recognised", fileStep("a", write+"a", "```wrong {#w}\ntouch other\n```\n"),
			[]string{"stack: ok", "a fails before: ok", "a wrong w: did not recognize \"w\"", "a passes after the solution: not tested"},
		},
		{
			"wrong state that passes", fileStep("a", write+"a", "```wrong {#w}\n"+write+"a\n```\n"),
			[]string{"stack: ok", "a fails before: ok", "a wrong w: the check passes in a wrong state", "a passes after the solution: not tested"},
		},
		{
			"undo that solves the step", fileStep("a", write+"a", "```wrong {#w}\ntouch a.wrong\n```\n```undo {#w}\nrm a.wrong\n"+write+"a\n```\n"),
			[]string{"stack: ok", "a fails before: ok", "a wrong w: passes after the wrong state was undone", "a passes after the solution: not tested"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cases, _ := prove(t, one(t, tt.steps), "")
			wantCases(t, cases, tt.want...)
		})
	}
}

func TestStepOptionSolvesEarlierSteps(t *testing.T) {
	l := one(t, fileStep("a", write+"a", "")+fileStep("b", "cp a b", "")+fileStep("c", write+"c", ""))
	cases, _ := prove(t, l, "b")
	wantCases(t, cases, "stack: ok", "b fails before: ok", "b passes after the solution: ok")

	l = one(t, fileStep("a", "false", "")+fileStep("b", "cp a b", ""))
	cases, _ = prove(t, l, "b")
	wantCases(t, cases, "stack: ok", "a solved for b: exit code 1", "b step: not tested")
}

func TestStackThatCannotBeCreatedIsAFailedCase(t *testing.T) {
	l := one(t, fileStep("a", write+"a", ""))
	l.Stack.Images = []string{"none:1"}
	cases, _ := prove(t, l, "")
	wantCases(t, cases, "stack: image is not in the seed")
}

func TestInterruptRemovesTheStack(t *testing.T) {
	fake := sandboxtest.NewFake(t, sandboxtest.FakeOptions{Engine: func(string, string) http.Handler { return http.NotFoundHandler() }})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("interrupted")
	out := writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "fails before") {
			cancel(cause)
		}
		return len(p), nil
	})
	l := one(t, fileStep("a", "sleep 100", ""))
	if _, err := (&labtest.Tester{Driver: fake, Out: out}).Run(ctx, []*lab.Lab{l}); !errors.Is(err, cause) {
		t.Errorf("error: %v", err)
	}
	if left, err := fake.List(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestStacksOfKilledTestsAreRemoved(t *testing.T) {
	fake := sandboxtest.NewFake(t, sandboxtest.FakeOptions{})
	for id, label := range map[string]string{"old": "2020-01-01T00:00:00Z", "running": time.Now().Add(time.Hour).Format(time.RFC3339), "odd": "x", "broken": "", "being-made": ""} {
		spec := sandbox.Spec{ID: id, Nodes: []sandbox.NodeSpec{{Name: "node1"}}, Labels: map[string]string{"labtest.expires": label}}
		if _, err := fake.Create(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	fake.Spoil(t, "broken", time.Hour)
	fake.Spoil(t, "being-made", time.Second) // a stack that another process is creating also looks broken
	if _, err := (&labtest.Tester{Driver: fake, Out: &bytes.Buffer{}}).Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	infos, err := fake.List(t.Context())
	var left []string
	for _, in := range infos {
		left = append(left, in.ID)
	}
	slices.Sort(left)
	if err != nil || !slices.Equal(left, []string{"being-made", "running"}) {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestJUnit(t *testing.T) {
	cases := []labtest.Case{
		{Lab: "a", Name: "stack", Took: 1500 * time.Millisecond},
		{Lab: "a", Step: "s", Name: "fails before", Took: time.Second, Err: errors.New("first <line>\nsecond\x1b[0m \xff")},
		{Lab: "b", Name: "stack"},
	}
	var buf bytes.Buffer
	if err := labtest.WriteJUnit(&buf, cases); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Tests    int     `xml:"tests,attr"`
		Failures int     `xml:"failures,attr"`
		Time     float64 `xml:"time,attr"`
		Suites   []struct {
			Name     string  `xml:"name,attr"`
			Failures int     `xml:"failures,attr"`
			Time     float64 `xml:"time,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(buf.Bytes(), &got); err != nil {
		t.Fatalf("%v in\n%s", err, buf.String())
	}
	if got.Tests != 3 || got.Failures != 1 || got.Time != 2.5 || len(got.Suites) != 2 || got.Suites[0].Name != "a" || got.Suites[0].Failures != 1 || got.Suites[1].Cases[0].Failure != nil {
		t.Errorf("got %+v", got)
	}
	if c := got.Suites[0].Cases[1]; c.Name != "s: fails before" || c.Failure.Message != "first <line>" || c.Failure.Text != "first <line>\nsecond[0m \uFFFD" {
		t.Errorf("got %+v %+v", c, c.Failure)
	}
}

// This tests the embedded labs on real nodes.
func TestEmbeddedLabsOnRealNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the engine")
	}
	labs, err := lab.Load(os.DirFS("../../labs"), "")
	if err != nil {
		t.Fatal(err)
	}
	seedDir := os.Getenv("LABD_SEED_DIR")
	if seedDir == "" {
		seedDir = seed.DefaultDir
	}
	driver, err := docker.New(t.Context(), docker.Config{
		SeedDir: seedDir, StateDir: t.TempDir(), Instance: fmt.Sprintf("labs-%d", os.Getpid()),
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	if err := driver.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	have, err := driver.Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files, err := lab.Template("template")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range files {
		if err := os.MkdirAll(filepath.Join(dir, "template"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "template", f.Path), f.Data, f.Mode); err != nil {
			t.Fatal(err)
		}
	}
	template, err := lab.LoadOne(os.DirFS(dir), "", "template")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range append(labs, template) {
		t.Run(l.ID, func(t *testing.T) {
			if err := lab.Validate(l, have); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			cases, err := (&labtest.Tester{Driver: driver, Out: &out}).Run(t.Context(), []*lab.Lab{l})
			t.Log(out.String())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range cases {
				if c.Err != nil {
					t.Errorf("%s %s: %v", c.Step, c.Name, c.Err)
				}
			}
		})
	}
	if left, err := driver.List(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
