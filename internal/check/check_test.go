package check_test

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"labd/internal/check"
	"labd/internal/lab"
	"labd/sandbox"
	"labd/sandbox/sandboxtest"
)

// recorded is an engine that answers as Docker 26.1 did on a node with four containers: cache (redis:8, running, on port
// 6379), cache7 (redis:7, which found port 6379 taken), explorer (debian, killed and started again) and kind_saha
// (hello-world, ended). A container of hello-world was destroyed before.
type recorded struct {
	t     testing.TB
	files map[string]string // path in the archive of explorer -> content

	mu    sync.Mutex
	calls []string // guarded by mu
}

func (e *recorded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isAgents(w, r) {
		return
	}
	e.mu.Lock()
	e.calls = append(e.calls, r.Method+" "+r.URL.Path)
	e.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1.45")
	serve := func(name string) {
		data, err := os.ReadFile(filepath.Join("testdata", "engine", name))
		if err != nil {
			e.t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data)
	}
	switch {
	case r.Method != http.MethodGet:
		e.t.Errorf("a check sent %s %s", r.Method, r.URL)
	case r.URL.Path == "/_ping":
		w.Header().Set("Api-Version", "1.45")
		_, _ = io.WriteString(w, "OK")
	case path == r.URL.Path:
		e.t.Errorf("%s without the version of the API", r.URL)
	case path == "/containers/json" && r.URL.RawQuery == "all=1":
		serve("containers.json")
	case path == "/images/json":
		serve("images.json")
	case path == "/networks":
		serve("networks.json")
	case path == "/events":
		var filters map[string][]string
		if err := json.Unmarshal([]byte(r.URL.Query().Get("filters")), &filters); err != nil {
			e.t.Error(err)
		}
		if fmt.Sprint(filters["event"]) == "[destroy]" {
			serve("events-destroy.json")
		}
	case strings.HasSuffix(path, "/archive"):
		e.archive(w, r, path)
	default:
		for prefix, name := range map[string]string{"adc6d33ccc8c": "cache", "6db2426b3f0e": "cache7", "54f0e1c1ffdf": "explorer"} {
			if strings.HasPrefix(path, "/containers/"+prefix) && strings.HasSuffix(path, "/json") {
				serve("inspect-" + name + ".json")
				return
			}
		}
		http.Error(w, `{"message":"No such container"}`, http.StatusNotFound)
	}
}

// isAgents answers the node's own agent, which watches the engine's events beside the check: nothing happens.
func isAgents(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/events" {
		return false
	}
	w.(http.Flusher).Flush()
	<-r.Context().Done()
	return true
}

func (e *recorded) archive(w http.ResponseWriter, r *http.Request, path string) {
	name := r.URL.Query().Get("path")
	content, ok := e.files[name]
	if path != "/containers/explorer/archive" || !ok {
		http.Error(w, `{"message":"Could not find the file"}`, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/x-tar")
	tw := tar.NewWriter(w)
	h := &tar.Header{Name: filepath.Base(name), Mode: 0o644, Size: int64(len(content))}
	switch content {
	case "<dir>":
		h.Typeflag, h.Size = tar.TypeDir, 0
	case "<link>":
		h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, "/etc/passwd", 0
	}
	if err := tw.WriteHeader(h); err != nil {
		e.t.Error(err)
	}
	if h.Size > 0 {
		_, _ = io.WriteString(tw, content)
	}
	_ = tw.Close()
}

// nodes returns a stack's nodes on the fake driver, with this engine.
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

// step reads a check as an author writes it. Facts named "old" and "cache" may be compared with.
func step(t *testing.T, toml string) *lab.Step {
	t.Helper()
	before := "## Before {#before}\n```check\n[[container]]\nname = \"a\"\nremember = \"old\"\n[[container]]\nname = \"b\"\nremember = \"cache\"\n```\n```solution\ntrue\n```\n"
	text := "+++\ntitle = \"T\"\nsummary = \"S\"\nlevel = \"beginner\"\nminutes = 5\n[stack]\nimages = []\nnodes = [\"node1\", \"node2\"]\n[variables]\ncode = 6\n+++\n" +
		before + "## S {#s}\n```check\n" + toml + "\n```\n```solution\ntrue\n```\n"
	l, err := lab.LoadOne(fstest.MapFS{"l/lab.md": &fstest.MapFile{Data: []byte(text)}}, "l")
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
	// Much time, for machines that do much else.
	rep, err := (&check.Runner{ProbeTimeout: check.MaxProbeTimeout, Timeout: time.Minute}).Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestALookLeavesNothingBehind(t *testing.T) {
	_, ns := nodes(t, &recorded{t: t, files: map[string]string{"/x": "x"}})
	s := step(t, "[[container]]\nname = \"cache\"\npublishes = \"1:1\"\n[[event]]\naction = \"die\"\nimage = \"x\"\n[[file]]\ncontainer = \"explorer\"\npath = \"/x\"\n"+
		"[[http]]\nurl = \"http://127.0.0.1:1/\"\n[[tcp]]\naddress = \"127.0.0.1:1\"\n[[shell]]\nscript = \"true\"\n")
	run(t, check.Input{Step: s, Nodes: ns})
	before := runtime.NumGoroutine()
	for range 20 {
		run(t, check.Input{Step: s, Nodes: ns})
	}
	// What a look started ends by itself, but not at once.
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before+2 {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after 20 looks", before, runtime.NumGoroutine())
		}
		runtime.Gosched()
		time.Sleep(5 * time.Millisecond)
	}
}

func TestEngineProbes(t *testing.T) {
	_, ns := nodes(t, &recorded{t: t, files: map[string]string{
		"/root/hello": " x7k2p9\n", "/dir": "<dir>", "/link": "<link>", "/empty": "", "/binary": "a\x00\x1b[31mb\u202e`",
	}})
	for _, tt := range []struct {
		probe         string
		ok            bool
		saw, expected string
	}{
		{"[[container]]\nname = \"cache\"", true, "running", "a container"},
		{"[[container]]\nname = \"cach\"", false, "no such container", "a container"},
		{"[[container]]\nname = \"cach\"\nimage = \"redis:8\"\nrunning = true\npublishes = \"1:2\"", false, "no such container", "made from `redis:8`, running, publishes `1:2`"},
		{"[[container]]\nname = \"cache\"\nrunning = true\nimage = \"redis:8\"\npublishes = \"6379:6379\"", true, "made from `redis:8`, running, publishes `6379:6379`", "made from `redis:8`, running, publishes `6379:6379`"},
		{"[[container]]\nname = \"cache\"\nimage = \"redis:latest\"", true, "made from `redis:8`", "made from `redis:latest`"}, // the same image
		{"[[container]]\nname = \"cache\"\nimage = \"docker.io/library/redis:8\"", true, "made from `redis:8`", ""},
		{"[[container]]\nname = \"cache\"\nimage = \"redis\"", true, "made from `redis:8`", "made from `redis`"},
		{"[[container]]\nname = \"cache\"\nimage = \"redis:7\"", false, "made from `redis:8`", "made from `redis:7`"},
		{"[[container]]\nname = \"cache\"\nrunning = false", false, "running", "not running"},
		{"[[container]]\nname = \"cache7\"\nrunning = true", false, "created, but never started", "running"},
		{"[[container]]\nname = \"cache7\"\nerror = \"port is already allocated\"", true, "port is already allocated", "port is already allocated"},
		{"[[container]]\nname = \"cache\"\nerror = \"port\"", false, "no error from the engine", "the engine says `port`"},
		{"[[container]]\nname = \"cache7\"\nstatus = \"created\"\npublishes = \"6379:6379\"", true, "created, but never started, publishes `6379:6379`", ""},
		{"[[container]]\nname = \"cache\"\npublishes = \"6379:*\"", true, "publishes `6379:6379`", "publishes `6379:*`"},
		{"[[container]]\nname = \"cache\"\npublishes = \"*:6379/tcp\"", true, "", ""},
		{"[[container]]\nname = \"cache\"\npublishes = \"*:6379/udp\"", false, "publishes `6379:6379`", "publishes `*:6379/udp`"},
		{"[[container]]\nname = \"cache\"\npublishes = \"*:*\"\nnot_publishes = \"6379:6379\"", false, "publishes `6379:6379`", "does not publish `6379:6379`"},
		{"[[container]]\nname = \"explorer\"\npublishes = \"*:*\"", false, "publishes no port", ""},
		{"[[container]]\nname = \"explorer\"\nnot_publishes = \"*:*\"", true, "publishes no port", ""},
		{"[[container]]\nimage = \"hello-world\"\nstatus = \"exited\"", true, "exited with code 0", "exited"},
		{"[[container]]\nname = \"cache\"\nexit_code = 0", false, "running", "exited with code 0"},
		{"[[container]]\nimage = \"nginx\"\nexists = false", true, "no such container", "no such container"},
		{"[[container]]\nimage = \"redis\"\nexists = false", false, "`cache7` is created, but never started", "no such container"},
		{"[[container]]\nname = \"cache\"\nrunning = true\nexists = false", false, "running", "no such container"},
		{"[[container]]\nname = \"cache7\"\nrunning = true\nexists = false", true, "no such container", ""},
		{"[[container]]\nimage = \"redis\"\nexcept = [\"cache\", \"cache7\"]\nexists = false", true, "", ""},
		{"[[container]]\nimage = \"redis\"\nexcept = [\"cache7\"]\nrunning = true", true, "running", "running"},
		{"[[container]]\nimage = \"redis\"\ncount = 2", true, "containers: 2", "containers: 2"},
		{"[[container]]\nimage = \"redis\"\nrunning = true\ncount = 2", false, "containers: 1 (running)", "containers: 2 (running)"},
		{"[[container]]\nlabel = \"course\"", true, "running", ""},
		{"[[container]]\nlabel = [\"course=labs\", \"empty=\"]\nrunning = true", true, "running", ""},
		{"[[container]]\nlabel = \"course=lessons\"", false, "no such container", ""},
		{"[[container]]\nname = \"cache\"\nnetwork = \"bridge\"", true, "on network `bridge`", "on network `bridge`"},
		{"[[container]]\nname = \"cache\"\nnetwork = \"app\"", false, "on network `bridge`", "on network `app`"},
		{"[[container]]\nname = \"cache\"\nenv = \"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"", true, "has `PATH=", ""},
		{"[[container]]\nname = \"cache\"\nenv = \"PATH=/bin\"", false, "has `PATH=/usr", "has `PATH=/bin`"},
		{"[[container]]\nname = \"cache\"\nenv = \"MODE={{code}}\"", false, "has no `MODE`", "has `MODE=x7k2p9`"},
		{"[[container]]\nname = \"cache\"\nsame_as = \"cache\"", true, "the same container as before", "the same container as before"},
		{"[[container]]\nname = \"cache7\"\nsame_as = \"cache\"", false, "another container than before", "the same container as before"},
		{"[[container]]\nname = \"cache7\"\nnot_same_as = \"cache\"", true, "another container than before", ""},
		{"[[container]]\nname = \"cache\"\nnot_same_as = \"cache\"", false, "the same container as before", ""},
		{"[[container]]\nname = \"explorer\"\nrestarted_since = \"old\"", true, "started again since", ""},
		{"[[container]]\nname = \"cache\"\nrestarted_since = \"cache\"", false, "not started again since", "started again since"},
		{"[[container]]\nname = \"explorer\"\nrestarted = true", true, "started again since", ""},
		{"[[container]]\nname = \"cache\"\nrestarted = true", false, "not started again since", ""},

		{"[[image]]\nname = \"redis:8\"", true, "it is there", "it is there"},
		{"[[image]]\nname = \"redis\"", true, "", ""},
		{"[[image]]\nname = \"redis:9\"", false, "it is not there", "it is there"},
		{"[[image]]\nname = \"redis:8\"\nexists = false", false, "it is there", "it is not there"},
		{"[[network]]\nname = \"bridge\"", true, "it is there", ""},
		{"[[network]]\nname = \"bridg\"\nexists = false", true, "it is not there", ""},
		{"[[event]]\naction = \"destroy\"\nimage = \"hello-world\"", true, "it happened", ""},
		{"[[event]]\naction = \"destroy\"\ncontainer = \"gracious_lehmann\"", true, "", ""},
		{"[[event]]\naction = \"destroy\"\nimage = \"redis\"", false, "it has not happened", "it happened"},
		{"[[event]]\naction = \"oom\"\nimage = \"redis\"", false, "it has not happened", ""},

		{"[[file]]\ncontainer = \"explorer\"\npath = \"/root/hello\"\nequals = \"{{code}}\"", true, "contains `x7k2p9`", "contains exactly `x7k2p9`"},
		{"[[file]]\ncontainer = \"explorer\"\npath = \"/root/hello\"\nequals = \"x7\"", false, "contains `x7k2p9`", "contains exactly `x7`"},
		{"[[file]]\ncontainer = \"explorer\"\npath = \"/root/hello\"\ncontains = \"k2\"", true, "", "contains `k2`"},
		{"[[file]]\ncontainer = \"explorer\"\npath = \"/other\"", false, "it is not there", "it is there"},
		{"[[file]]\ncontainer = \"nobody\"\npath = \"/other\"\nexists = false", true, "it is not there", ""},
		{"[[file]]\ncontainer = \"explorer\"\npath = \"/root/hello\"\nexists = false", false, "it is there", "it is not there"},
		{"[[file]]\ncontainer = \"explorer\"\npath = \"/dir\"", true, "a directory", ""},
		{"[[file]]\ncontainer = \"explorer\"\npath = \"/dir\"\nequals = \"\"", false, "a directory", ""},
		{"[[file]]\ncontainer = \"explorer\"\npath = \"/link\"\ncontains = \"root\"", false, "a symbolic link", ""},
		{"[[file]]\ncontainer = \"explorer\"\npath = \"/empty\"\nequals = \"\"", true, "empty", ""},
		{"[[file]]\ncontainer = \"explorer\"\npath = \"/binary\"\nequals = \"\"", false, "contains `a[31mb'`", ""},
	} {
		t.Run(strings.ReplaceAll(tt.probe, "\n", " "), func(t *testing.T) {
			rep := run(t, check.Input{Step: step(t, tt.probe), Nodes: ns, Vars: map[string]string{"code": "x7k2p9"}, Facts: facts()})
			f := rep.Findings[0]
			if f.OK != tt.ok || rep.Passed != tt.ok || f.Pending || !strings.Contains(f.Saw, tt.saw) || !strings.Contains(f.Expected, tt.expected) {
				t.Errorf("got %+v\nwant ok %v, saw %q, expected %q", f, tt.ok, tt.saw, tt.expected)
			}
			if f.Saw == "" || f.Expected == "" || f.Subject == "" {
				t.Errorf("something is not said: %+v", f)
			}
		})
	}
}

func TestOneLookFetchesEachThingOnce(t *testing.T) {
	engine := &recorded{t: t}
	_, ns := nodes(t, engine)
	rep := run(t, check.Input{Nodes: ns, Facts: facts(), Step: step(t, `
[[wrong]]
id = "a"
hint = "A"
[[wrong.container]]
name = "cache"
not_publishes = "*:*"
[[container]]
name = "cache"
publishes = "6379:6379"
remember = "x"
[[container]]
name = "cache"
image = "redis:latest"
exit_code = 1
[[image]]
name = "redis:7"
`)})
	if len(rep.Findings) != 3 {
		t.Fatalf("findings: %+v", rep.Findings)
	}
	want := "GET /_ping, GET /v1.45/containers/json, GET /v1.45/containers/" + cacheID + "/json, GET /v1.45/images/json"
	if got := strings.Join(engine.calls, ", "); got != want {
		t.Errorf("asked %s\nwant  %s", got, want)
	}
}

func TestKnownWrongStatesComeFirstAndInOrder(t *testing.T) {
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

func TestRememberedFactsComeOnlyWithAPass(t *testing.T) {
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

func TestEngineThatDoesNotAnswerIsPending(t *testing.T) {
	_, ns := nodes(t, nil)
	rep := run(t, check.Input{Nodes: ns, Step: step(t, "[[wrong]]\nid = \"w\"\nhint = \"W\"\n[[wrong.image]]\nname = \"x\"\n[[container]]\nname = \"x\"\nhint = \"H\"\n[[file]]\npath = \"/none\"\nexists = false\n")})
	f := rep.Findings[0]
	if rep.Passed || !rep.Pending || rep.Wrong != nil || !f.Pending || f.OK || f.Hint != "" || !strings.Contains(f.Saw, "does not answer yet") {
		t.Errorf("report: %+v", rep)
	}
	if f := rep.Findings[1]; !f.OK {
		t.Errorf("a probe that needs no engine: %+v", f)
	}
}

func TestNodeThatIsDownIsAnError(t *testing.T) {
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

func TestACheckEndsWithItsContext(t *testing.T) {
	_, ns := nodes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the learner left")
	cancel(cause)
	if _, err := (&check.Runner{}).Run(ctx, check.Input{Step: step(t, "[[image]]\nname = \"x\""), Nodes: ns}); !errors.Is(err, cause) {
		t.Errorf("error: %v", err)
	}
}

func TestHTTPProbes(t *testing.T) {
	var mu sync.Mutex
	var methods []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		methods = append(methods, r.Method)
		mu.Unlock()
		switch r.URL.Path {
		case "/":
			_, _ = io.WriteString(w, "Welcome to\n\x1b[31mx7k2p9\nvisits: 12\n")
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/huge":
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "part")
		case "/silent":
			<-r.Context().Done()
		default:
			http.Error(w, "no", http.StatusNotFound)
		}
	}))
	defer srv.Close()
	_, ns := nodes(t, nil)
	for _, tt := range []struct {
		keys        string
		ok, pending bool
		saw         string
	}{
		{`url = "URL/"`, true, false, "answers with status 200"},
		{`url = "URL/"
status = 200
contains = "{{code}}"
not_contains = "Error"
matches = 'visits: \d\d'`, true, false, "answers `Welcome to [31mx7k2p9 visits: 12`"},
		{`url = "URL/"
contains = "nothing"`, false, false, "answers `Welcome"},
		{`url = "URL/"
not_contains = "Welcome"`, false, false, "answers `Welcome"},
		{`url = "URL/"
matches = 'visits: \d{3}'`, false, false, "answers `Welcome"},
		{`url = "URL/x"
status = 200`, false, false, "answers with status 404"},
		{`url = "URL/moved"
status = 302`, true, false, "answers with status 302"},
		{`url = "URL/moved"
status = 200`, false, false, "answers with status 302"},
		{`url = "URL/"
method = "HEAD"
status = 200`, true, false, "answers with status 200"},
		{`url = "URL/cut"
contains = "part"`, true, false, "answers `part`"},
		{`url = "URL/huge"`, false, false, "no connection: "},
		{`url = "URL/silent"
timeout = "50ms"`, false, true, "no answer in time"},
		{`url = "http://127.0.0.1:1/"`, false, false, "nothing listens there"},
		{`url = "http://no-such-host.invalid/"`, false, false, ""},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			rep := run(t, check.Input{Nodes: ns, Vars: map[string]string{"code": "x7k2p9"}, Step: step(t, "[[http]]\n"+strings.ReplaceAll(tt.keys, "URL", srv.URL))})
			f := rep.Findings[0]
			if f.OK != tt.ok || f.Pending != tt.pending || !strings.Contains(f.Saw, tt.saw) {
				t.Errorf("got %+v", f)
			}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(methods, " "); strings.Count(got, "HEAD") != 1 || strings.ReplaceAll(strings.ReplaceAll(got, "GET", ""), "HEAD", "") != strings.Repeat(" ", len(methods)-1) {
		t.Errorf("methods %s", got)
	}
}

func TestTCPProbes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ln.Close()
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				buf := make([]byte, 100)
				n, _ := conn.Read(buf)
				switch string(buf[:n]) {
				case "PING\r\n":
					_, _ = io.WriteString(conn, "+PO")
					_, _ = io.WriteString(conn, "NG\r\n")
				case "flood":
					junk := []byte(strings.Repeat("junk ", 1000))
					for {
						if _, err := conn.Write(junk); err != nil {
							return
						}
					}
				case "silence":
					_, _ = conn.Read(buf)
				}
			})
		}
	})
	_, ns := nodes(t, nil)
	addr := ln.Addr().String()
	for _, tt := range []struct {
		keys        string
		ok, pending bool
		saw         string
	}{
		{`address = "ADDR"`, true, false, "something listens there"},
		{"address = \"ADDR\"\nsend = \"PING\\r\\n\"\nexpect = \"+PONG\"", true, false, "contains `+PONG`"},
		{"address = \"ADDR\"\nsend = \"PING\\r\\n\"\nexpect = \"+PANG\"", false, false, "answers `+PONG`"},
		{"address = \"ADDR\"\nsend = \"flood\"\nexpect = \"x\"", false, false, "answers `junk junk"},
		{"address = \"ADDR\"\nsend = \"silence\"\nexpect = \"x\"\ntimeout = \"50ms\"", false, true, "no answer in time"},
		{"address = \"ADDR\"\nsend = \"bye\"\nexpect = \"x\"", false, false, "no connection"},
		{"address = \"ADDR\"\nrefused = true", false, false, "something listens there"},
		{"address = \"127.0.0.1:1\"\nrefused = true", true, false, "nothing listens there"},
		{"address = \"127.0.0.1:1\"", false, false, "nothing listens there"},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			rep := run(t, check.Input{Nodes: ns, Step: step(t, "[[tcp]]\n"+strings.ReplaceAll(tt.keys, "ADDR", addr))})
			f := rep.Findings[0]
			if f.OK != tt.ok || f.Pending != tt.pending || !strings.Contains(f.Saw, tt.saw) {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestFilesOfTheNode(t *testing.T) {
	_, ns := nodes(t, nil)
	for name, content := range map[string]string{"/root/app/x": "code x7\n", "/root/big": strings.Repeat("x", 1<<20+1)} {
		if err := ns[0].WriteFile(t.Context(), name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		keys string
		ok   bool
		saw  string
	}{
		{`path = "/root/app/x"`, true, "contains `code x7`"},
		{"path = \"/root/app/x\"\ncontains = \"x7\"\nequals = \"code x7\"", true, "contains `code x7`"},
		{"path = \"/root/app/x\"\ncontains = \"x8\"", false, "contains `code x7`"},
		{`path = "/root/app/y"`, false, "it is not there"},
		{"path = \"/root/app/y\"\nexists = false", true, "it is not there"},
		{"path = \"/root/app/x\"\nexists = false", false, "it is there"},
		{`path = "/root/app"`, true, "not a regular file"},
		{"path = \"/root/big\"\ncontains = \"x\"", false, "more than 1048576 bytes"},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			f := run(t, check.Input{Nodes: ns, Step: step(t, "[[file]]\n"+tt.keys)}).Findings[0]
			if f.OK != tt.ok || f.Pending || f.Saw != tt.saw {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestShellProbes(t *testing.T) {
	_, ns := nodes(t, nil)
	vars := map[string]string{"code": "x7"}
	for _, tt := range []struct {
		keys        string
		ok, pending bool
		saw         string
	}{
		{`script = "echo fine {{code}} $LAB_CODE"`, true, false, "fine x7 x7"},
		{`script = "true"`, true, false, "as it should be"},
		{`script = "echo bad >&2; exit 3"`, false, false, "bad"},
		{`script = "exit 3"`, false, false, "not as it should be (3)"},
		{`script = "false; true"`, false, false, "not as it should be (1)"},
		{`script = "head -c 10000000 /dev/zero | tr '\\0' x"`, true, false, strings.Repeat("x", 300) + "…"},
		{"script = \"exec sleep 100\"\ntimeout = \"100ms\"", false, true, "no answer in time"},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			f := run(t, check.Input{Nodes: ns, Vars: vars, Step: step(t, "[[shell]]\n"+tt.keys)}).Findings[0]
			if f.OK != tt.ok || f.Pending != tt.pending || f.Saw != tt.saw {
				t.Errorf("got %+v", f)
			}
		})
	}
}

// A learner is root in the node and can put anything in the engine's place. Whatever it answers, a check ends in its
// time, takes little memory, and does not pass.
func TestHostileEngines(t *testing.T) {
	endless := func(w http.ResponseWriter, start, part string) {
		_, _ = io.WriteString(w, start)
		junk := strings.Repeat(part, 1000)
		for {
			if _, err := io.WriteString(w, junk); err != nil {
				return
			}
		}
	}
	// raw answers on the bare connection.
	raw := func(w http.ResponseWriter, f func(net.Conn)) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		f(conn)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"endless list":   func(w http.ResponseWriter, r *http.Request) { endless(w, "[", `{"Id":"x"},`) },
		"endless string": func(w http.ResponseWriter, r *http.Request) { endless(w, `[{"Id":"`, "x") },
		"deep nesting":   func(w http.ResponseWriter, r *http.Request) { endless(w, "[", "[") },
		"wrong types":    func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, `[{"Id":5,"Names":{"a":1}}]`) },
		"an object":      func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, `{"Id":"x"}`) },
		"not JSON":       func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") },
		"nothing":        func(w http.ResponseWriter, r *http.Request) {},
		"an error": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, `{"message":"\u001b[2Jno"}`, http.StatusInternalServerError)
		},
		"an endless error": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			endless(w, "", "x")
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		},
		"strange ids": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `[{"Id":"../../images/json","Names":["/x"],"State":"running"}]`)
		},
		"silence": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"drops": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, " "); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		},
		"a header of 1 GB": func(w http.ResponseWriter, r *http.Request) {
			raw(w, func(c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
				junk := []byte(strings.Repeat("x", 1<<20))
				for range 1 << 10 {
					if _, err := c.Write(junk); err != nil {
						return
					}
				}
			})
		},
		"endless interim answers": func(w http.ResponseWriter, r *http.Request) {
			raw(w, func(c net.Conn) {
				for {
					if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"); err != nil {
						return
					}
				}
			})
		},
		"not HTTP": func(w http.ResponseWriter, r *http.Request) {
			raw(w, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n") })
		},
	} {
		for _, stage := range []string{"from the first byte", "after the greeting"} {
			t.Run(name+" "+stage, func(t *testing.T) {
				_, ns := nodes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if isAgents(w, r) {
						return
					}
					if r.URL.Path == "/_ping" && stage == "after the greeting" {
						w.Header().Set("Api-Version", "1.45/../../x")
						return
					}
					answer(w, r)
				}))
				s := step(t, "[[container]]\nname = \"x\"\nexit_code = 0\n[[image]]\nname = \"x\"\n[[network]]\nname = \"x\"\n[[event]]\naction = \"die\"\nimage = \"x\"\n[[file]]\ncontainer = \"x\"\npath = \"/x\"\n")
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				rep, err := (&check.Runner{ProbeTimeout: 200 * time.Millisecond, Timeout: time.Second}).Run(t.Context(), check.Input{Step: s, Nodes: ns})
				runtime.ReadMemStats(&after)
				if err != nil {
					t.Fatal(err)
				}
				if rep.Passed {
					t.Errorf("it passed: %+v", rep)
				}
				for _, f := range rep.Findings {
					if f.OK || len(f.Saw) > 2000 || strings.ContainsRune(f.Saw, 0x1b) {
						t.Errorf("finding: %+v", f)
					}
				}
				if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 128<<20 {
					t.Errorf("the heap grew by %d MiB", grown>>20)
				}
			})
		}
	}
}

func TestAnAuthorsMistakeIsAnError(t *testing.T) {
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
