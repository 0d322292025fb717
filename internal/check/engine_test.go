package check_test

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/labd-dev/labd/internal/check"
)

// recorded is an engine that replays answers of Docker 26.1 on a node with four containers: cache
// (redis:8, running, on port 6379), cache7 (redis:7, failed because port 6379 was in use), explorer
// (debian, killed and started again) and kind_saha (hello-world, exited). Another container of
// hello-world was removed before.
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

// isAgents answers requests of the node's agent, which also watches the engine's events: there are
// none.
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
		{"[[container]]\nname = \"cache7\"\nsame_as = \"cache\"", false, "a different container than before", "the same container as before"},
		{"[[container]]\nname = \"cache7\"\nnot_same_as = \"cache\"", true, "a different container than before", ""},
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

func TestRunFetchesEachListingOnce(t *testing.T) {
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
