package check_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

// nodes returns the nodes of a stack of the fake driver, which has this engine.
func nodes(t *testing.T, engine http.Handler) (*sandboxtest.Fake, []sandbox.Node) {
	t.Helper()
	opts := sandboxtest.FakeOptions{}
	if engine != nil {
		opts.Engine = func(string, string) http.Handler { return engine }
	}
	driver := sandboxtest.NewFake(t, opts)
	stack, err := driver.Create(t.Context(), sandbox.Spec{ID: "s", Nodes: []sandbox.NodeSpec{{Name: "node1"}, {Name: "node2"}}})
	if err != nil {
		t.Fatal(err)
	}
	return driver, stack.Nodes()
}

// step parses a check. An earlier step remembers containers as "old" and "cache".
func step(t *testing.T, toml string) *lab.Step {
	t.Helper()
	before := "## Before {#before}\n```check\n[[container]]\nname = \"a\"\nremember = \"old\"\n[[container]]\nname = \"b\"\nremember = \"cache\"\n```\n```solution\ntrue\n```\n"
	text := "+++\ntitle = \"T\"\nsummary = \"S\"\nlevel = \"beginner\"\nminutes = 5\n[stack]\nimages = []\nnodes = [\"node1\", \"node2\"]\n[variables]\ncode = 6\n+++\n" +
		before + "## S {#s}\n```check\n" + toml + "\n```\n```solution\ntrue\n```\n"
	l, err := lab.LoadOne(fstest.MapFS{"l/lab.md": &fstest.MapFile{Data: []byte(text)}}, "", "l")
	if err != nil {
		t.Fatal(err)
	}
	return l.Step("s")
}

const (
	cacheID    = "adc6d33ccc8cab843dd49864ca5dd1542a508db8544e749743c22eea0a0b2984"
	explorerID = "54f0e1c1ffdf5dd3b4585364d6ca025de7b91075abb45cacd37a77efb560305f"
)

func facts() check.Facts {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			panic(err)
		}
		return v
	}
	return check.Facts{
		"cache": {ID: cacheID, Started: at("2026-11-21T09:51:06.027199087Z")},
		"old":   {ID: explorerID, Started: at("2026-11-21T09:51:05Z"), Finished: at("2026-11-21T09:51:07.402351441Z")},
	}
}

func run(t *testing.T, in check.Input) check.Report {
	t.Helper()
	// Long timeouts, because test machines can be busy.
	rep, err := (&check.Runner{ProbeTimeout: check.MaxProbeTimeout, Timeout: time.Minute}).Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestRunLeavesNoGoroutines(t *testing.T) {
	_, ns := nodes(t, &recorded{t: t, files: map[string]string{"/x": "x"}})
	s := step(t, "[[container]]\nname = \"cache\"\npublishes = \"1:1\"\n[[event]]\naction = \"die\"\nimage = \"x\"\n[[file]]\ncontainer = \"explorer\"\npath = \"/x\"\n"+
		"[[http]]\nurl = \"http://127.0.0.1:1/\"\n[[tcp]]\naddress = \"127.0.0.1:1\"\n[[shell]]\nscript = \"true\"\n")
	run(t, check.Input{Step: s, Nodes: ns})
	before := runtime.NumGoroutine()
	for range 20 {
		run(t, check.Input{Step: s, Nodes: ns})
	}
	// Goroutines that Run started end by themselves, but not immediately.
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before+2 {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after 20 looks", before, runtime.NumGoroutine())
		}
		runtime.Gosched()
		time.Sleep(5 * time.Millisecond)
	}
}

func TestWrongStatesAreTriedFirstAndInOrder(t *testing.T) {
	_, ns := nodes(t, &recorded{t: t})
	text := `
[[wrong]]
id = "not-this"
hint = "N"
[[wrong.container]]
name = "cache"
running = true
[[wrong.container]]
name = "cache7"
running = true
[[wrong]]
id = "taken"
hint = "Look at {{code}}."
[[wrong.container]]
name = "web"
exists = false
[[wrong.container]]
name = "cache7"
error = "port is already allocated"
[[wrong]]
id = "later"
hint = "L"
[[wrong.container]]
name = "cache7"
[[container]]
name = "cache"
hint = "H"
`
	rep := run(t, check.Input{Step: step(t, text), Nodes: ns, Vars: map[string]string{"code": "x7"}})
	if rep.Passed || rep.Pending || rep.Wrong == nil || rep.Wrong.ID != "taken" || rep.Wrong.Hint != "Look at x7." || len(rep.Findings) != 0 {
		t.Fatalf("report: %+v %+v", rep, rep.Wrong)
	}
	if !strings.HasPrefix(rep.Wrong.Saw, "`cache7`: the engine says `driver failed") {
		t.Errorf("saw %q", rep.Wrong.Saw)
	}
	data, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"findings":[]`) || strings.Contains(string(data), "Remembered") || strings.Contains(string(data), "pending") {
		t.Errorf("JSON: %s", data)
	}

	rep = run(t, check.Input{Step: step(t, strings.ReplaceAll(text, "cache7", "cache8")), Nodes: ns})
	if !rep.Passed || rep.Wrong != nil || rep.Findings[0].Hint != "" {
		t.Errorf("without a wrong state: %+v", rep)
	}
}

func TestFactsAreRememberedOnlyIfTheStepPasses(t *testing.T) {
	_, ns := nodes(t, &recorded{t: t})
	one := "[[container]]\nname = \"explorer\"\nremember = \"e\"\n"
	rep := run(t, check.Input{Step: step(t, one), Nodes: ns})
	f := rep.Remembered["e"]
	if f.ID != explorerID || f.Started.Format(time.RFC3339Nano) != "2026-11-21T09:51:08.517622032Z" || f.Finished.Format(time.RFC3339Nano) != "2026-11-21T09:51:07.402351441Z" {
		t.Errorf("remembered %+v", f)
	}
	rep = run(t, check.Input{Step: step(t, one+"[[container]]\nname = \"none\"\n"), Nodes: ns})
	if rep.Passed || rep.Remembered != nil {
		t.Errorf("remembered without a pass: %+v", rep)
	}
}

func TestChinese(t *testing.T) {
	_, ns := nodes(t, &recorded{t: t})
	s := step(t, "[[container]]\nname = \"cache7\"\nrunning = true\nhint = \"H\"\n[[tcp]]\naddress = \"127.0.0.1:1\"\n[[image]]\nname = \"x\"\n[[container]]\nimage = \"hello-world\"\nexit_code = 0\n")
	s.Check.Probes[0].Hint["zh"] = "提示"
	rep := run(t, check.Input{Step: s, Nodes: ns, Lang: "zh"})
	for i, want := range []check.Finding{
		{Kind: "container", Subject: "cache7", Saw: "已创建，但从未启动", Expected: "正在运行", Hint: "提示"},
		{Kind: "tcp", Subject: "127.0.0.1:1", Saw: "没有程序在监听", Expected: "有程序在监听"},
		{Kind: "image", Subject: "x", Saw: "不存在", Expected: "存在"},
	} {
		if rep.Findings[i] != want {
			t.Errorf("got %+v\nwant %+v", rep.Findings[i], want)
		}
	}
}

func TestNodeDownIsAnError(t *testing.T) {
	driver, ns := nodes(t, &recorded{t: t})
	driver.Kill(t, "s", "node1", sandbox.DownMemory)
	for _, probe := range []string{
		"[[container]]\nname = \"cache\"", "[[http]]\nurl = \"http://localhost:1/\"", "[[tcp]]\naddress = \"localhost:1\"",
		"[[file]]\npath = \"/x\"", "[[shell]]\nscript = \"true\"",
	} {
		_, err := (&check.Runner{}).Run(t.Context(), check.Input{Step: step(t, probe), Nodes: ns})
		if !errors.Is(err, sandbox.ErrNodeDown) {
			t.Errorf("%s: %v", probe, err)
		}
	}
	rep := run(t, check.Input{Step: step(t, "[[shell]]\nnode = \"node2\"\nscript = \"true\"\n"), Nodes: ns})
	if !rep.Passed {
		t.Errorf("the other node: %+v", rep)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	_, ns := nodes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the learner left")
	cancel(cause)
	if _, err := (&check.Runner{}).Run(ctx, check.Input{Step: step(t, "[[image]]\nname = \"x\""), Nodes: ns}); !errors.Is(err, cause) {
		t.Errorf("error: %v", err)
	}
}

func TestUnknownNodeAndMissingStepAreErrors(t *testing.T) {
	_, ns := nodes(t, nil)
	s := step(t, "[[image]]\nname = \"x\"\n")
	s.Check.Probes[0].Node = "node9"
	if _, err := (&check.Runner{}).Run(t.Context(), check.Input{Step: s, Nodes: ns}); !errors.Is(err, sandbox.ErrNotFound) {
		t.Errorf("unknown node: %v", err)
	}
	if _, err := (&check.Runner{}).Run(t.Context(), check.Input{Step: s}); err == nil {
		t.Error("no nodes, no error")
	}
}
