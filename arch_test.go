package content_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors is the house: every package of the module, and the floor it stands on. Imports go strictly down, so no two
// packages of one floor know each other, and nobody below knows what stands above.
//
// A new package needs two importers, a second implementation, a trust boundary, or to be a whole part of one that has grown past
// 2,500 lines; then it gets a line here.
var floors = []struct {
	floor int
	path  string // under the module; "." is the root package, which embeds content/ and labs/
	what  string
}{
	{0, ".", "lessons and labs as fs.FS"},
	{0, "site/internal/bundle", "TypeScript and style sheets to what browsers load"},
	{0, "site/internal/highlight", "code to coloured HTML"},
	{0, "site/internal/diagram", "diagrams of text to SVG; trusts no text"},
	{0, "internal/fault", "errors that cross to a person"},
	{0, "site/internal/snippet", "parts of files: lines, regions"},
	{0, "internal/fence", "what stands after the back-ticks of a block"},
	{0, "site/internal/mathml", "formulas of TeX to MathML"},
	{0, "site/internal/rawhtml", "what authors' HTML is made of"},
	{0, "site/internal/diskcache", "what takes long to make, kept in a folder"},
	{0, "internal/source", "authors' mistakes: file, line, the line"},
	{0, "sandbox", "the contract between labd and what runs stacks"},
	{0, "sandbox/images", "recipes of the node image and the course images"},
	{0, "site/corpus", "large courses to measure with"},

	{1, "internal/command", "commands, flags, help and exit codes of the programs"},
	{1, "internal/config", "lab.toml"},
	{1, "internal/lab", "labs, steps, checks: what an author wrote"},
	{1, "site/internal/linkcheck", "asks other servers whether linked pages are there"},
	{1, "site/internal/markdown", "Markdown to HTML, keeping line numbers"},
	{1, "site/internal/picture", "authors' images and the cards of pages, made ready for browsers"},
	{1, "site/internal/publish", "replaces a folder of files as a whole"},
	{1, "site/internal/search", "the search index of a site"},
	{1, "internal/setup/daemonjson", "gVisor in the configuration of the engine"},
	{1, "internal/static", "hands out the files of a site"},
	{1, "internal/store", "learners, sessions, progress"},
	{1, "sandbox/agent/wire", "the protocol between labd and a node"},
	{1, "sandbox/docker/seed", "builds images and the seed store"},

	{2, "site/internal/course", "courses, modules, lessons: the content tree"},
	{2, "site/internal/gallery", "publishes the images of a course"},
	{2, "site/internal/importer/dialect", "one page written for another program to a course's Markdown"},
	{2, "internal/check", "looks at a stack and judges a step"},
	{2, "site/internal/memo", "renders texts again only if something else would come of it"},
	{2, "internal/setup", "what a machine needs, and its doctor"},
	{2, "sandbox/agent", "labd's half: a node as seen through the protocol"},
	{2, "sandbox/agent/node", "the half that runs inside a node"},

	{3, "site/internal/importer", "notes and books of other programs to a course"},
	{3, "internal/labtest", "proves labs: fails before, passes after the solution"},
	{3, "site/internal/page", "makes the pages of a course"},
	{3, "internal/session", "the life of a session"},
	{3, "sandbox/agent/boot", "process 1 of a node"},
	{3, "sandbox/agent/agenttest", "both halves of the agent on one machine, for tests"},
	{3, "sandbox/docker", "the driver on the Docker Engine API"},
	{3, "sandbox/sandboxtest", "the drivers' contract suite, and the fake"},

	{4, "site", "the static site as a whole"},
	{4, "internal/web", "HTTP API, WebSockets, pages"},

	{5, "bench", "measures what a learner feels, beside its floor"},
	{5, "internal/cli", "the command labd"},
	{5, "site/cli", "the command sitegen"},

	{6, "cmd/labd", "main of the daemon"},
	{6, "cmd/labnode", "main of process 1 of a node"},
	{6, "cmd/sitegen", "main of the site generator"},
}

// pkg is what go list tells of one package.
type pkg struct {
	ImportPath string
	Name       string
	Imports    []string
}

const module = "github.com/labd-dev/labd"

func TestImportsKeepToTheFloors(t *testing.T) {
	for _, broken := range judge(listPackages(t)) {
		t.Error(broken)
	}
}

// judge returns what is wrong with the packages, each with the reason for the rule.
func judge(pkgs []pkg) []string {
	var broken []string
	complain := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	seen := map[string]bool{}
	for _, p := range pkgs {
		path := local(p.ImportPath)
		seen[path] = true
		for _, word := range strings.Split(path, "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "models", "pkg", "misc", "shared"}, word) {
				complain("%s: a package called %q says nothing of what it is for, and grows into a drawer: "+
					"put the code where it is used, or name the package after what it provides", p.ImportPath, word)
			}
		}
		floor, ok := floorOf(path)
		if !ok {
			complain("%s is not in the table of floors in arch_test.go: give it a line there, and say what it is for", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if reason := forbidden(path, imported); reason != "" {
				complain("%s imports %s: %s", p.ImportPath, imported, reason)
			}
			if !inModule(imported) {
				continue
			}
			below, ok := floorOf(local(imported))
			if !ok {
				continue // complained about on its own line
			}
			if below >= floor {
				complain("%s (floor %d) imports %s (floor %d): imports go strictly down, so that each package can be read, tested and replaced "+
					"without those above it. Move the shared part down, or let a cmd/ join the two", p.ImportPath, floor, imported, below)
			}
		}
	}
	for _, f := range floors {
		if !seen[f.path] {
			complain("the table of floors in arch_test.go names %s, which does not exist: remove the line", f.path)
		}
	}
	return broken
}

// shared are the packages under internal/ that both products use.
var shared = []string{"internal/command", "internal/fence", "internal/lab", "internal/source", "internal/static"}

// forbidden returns why the package at path may not import imported, "" if it may.
func forbidden(path, imported string) string {
	under := func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }
	within := func(dir string) bool {
		return strings.HasPrefix(imported, module+"/"+dir+"/") || imported == module+"/"+dir
	}
	external := func(prefix string) bool { return imported == prefix || strings.HasPrefix(imported, prefix+"/") }
	switch {
	case (external("github.com/docker") || external("github.com/containerd") || external("github.com/moby")) && !under("sandbox/docker"):
		return "an engine's types stay under sandbox/docker, so that labd can stand on another engine; use package sandbox"
	case imported == "net/http/pprof" || imported == "expvar":
		return "importing it puts its pages on http.DefaultServeMux, where learners may find them"
	case imported == module && path != "internal/cli" && path != "site/cli":
		return "content enters as fs.FS from the commands: tests and operators can give their own"
	case under("sandbox") && (within("internal") || within("site")):
		return "the nodes' wing stands alone: labd and the site generator build on it, never the other way"
	case under("internal") && path != "internal/cli" && within("site"):
		return "labd serves a finished site and knows nothing of how one is made; only its command builds one"
	case under("site") && within("internal") && !slices.Contains(shared, local(imported)):
		return "the site generator shares only " + strings.Join(shared, ", ") + " with labd"
	case under("site") && within("sandbox"):
		return "the site generator runs no labs"
	case (imported == "testing" || strings.HasPrefix(imported, "testing/")) && imported != "testing/fstest" && !strings.HasSuffix(path, "test"):
		return "test code belongs in _test.go files or in a package whose name ends in test"
	case imported == module+"/sandbox/agent/node" && path != "sandbox/agent/boot" && !strings.HasSuffix(path, "test"):
		return "it runs in a learner's node, not in labd: speak with it through sandbox/agent"
	case imported == module+"/sandbox/agent/agenttest" || imported == module+"/sandbox/sandboxtest" || imported == module+"/internal/labtest" && path != "internal/cli":
		return "the fake and the suites are for tests, not for programs"
	}
	return ""
}

func inModule(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

func local(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

func floorOf(path string) (int, bool) {
	for _, f := range floors {
		if f.path == path {
			return f.floor, true
		}
	}
	return 0, false
}

// listPackages asks go list for every package of the module that has code outside of tests.
func listPackages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Imports,GoFiles", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			pkg
			GoFiles []string
		}
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		if len(p.GoFiles) > 0 {
			pkgs = append(pkgs, p.pkg)
		}
	}
	return pkgs
}

// TestContributingNamesEveryPackage keeps the page for newcomers true.
func TestContributingNamesEveryPackage(t *testing.T) {
	page, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(string(page), "\n")
	for _, f := range floors {
		if !slices.ContainsFunc(rows, func(row string) bool {
			return strings.HasPrefix(row, fmt.Sprintf("| %d |", f.floor)) && strings.Contains(row, "`"+f.path+"`")
		}) {
			t.Errorf("the table in CONTRIBUTING.md has no %s on floor %d", f.path, f.floor)
		}
	}
}

// TestTheJudge holds the rules to what they promise, with packages that break each of them.
func TestTheJudge(t *testing.T) {
	whole := func() []pkg {
		var pkgs []pkg
		for _, f := range floors {
			path := module + "/" + f.path
			if f.path == "." {
				path = module
			}
			pkgs = append(pkgs, pkg{ImportPath: path})
		}
		return pkgs
	}
	if broken := judge(whole()); broken != nil {
		t.Fatalf("a house without imports is broken: %q", broken)
	}
	for _, tt := range []struct{ name, from, to, want string }{
		{"Upward", "internal/lab", module + "/internal/web", "imports go strictly down"},
		{"SameFloor", "internal/store", module + "/internal/config", "imports go strictly down"},
		{"DockerTypesElsewhere", "internal/session", "github.com/docker/docker/client", "an engine's types stay under sandbox/docker"},
		{"Pprof", "internal/web", "net/http/pprof", "http.DefaultServeMux"},
		{"ContentOutsideACommand", "internal/web", module, "content enters as fs.FS"},
		{"SiteInARoomOfLabd", "internal/web", module + "/site", "knows nothing of how one is made"},
		{"LabdInTheSite", "site", module + "/internal/store", "shares only"},
		{"SandboxInTheSite", "site", module + "/sandbox", "runs no labs"},
		{"LabdInTheSandbox", "sandbox/docker", module + "/internal/source", "stands alone"},
		{"TestingInAProgram", "internal/session", "testing", "test code belongs"},
		{"NodeHalfInLabd", "cmd/labd", module + "/sandbox/agent/node", "runs in a learner's node"},
		{"FakeInAProgram", "cmd/labd", module + "/sandbox/sandboxtest", "the fake and the suites are for tests"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pkgs := whole()
			i := slices.IndexFunc(pkgs, func(p pkg) bool { return p.ImportPath == module+"/"+tt.from })
			pkgs[i].Imports = []string{"fmt", tt.to}
			broken := judge(pkgs)
			if len(broken) == 0 || !strings.Contains(strings.Join(broken, "\n"), tt.want) {
				t.Errorf("said %q, want %q in it", broken, tt.want)
			}
		})
	}
	for _, tt := range []struct{ name, from, to string }{
		{"Down", "internal/web", module + "/sandbox"},
		{"DockerTypesInTheDriver", "sandbox/docker/seed", "github.com/docker/docker/api/types"},
		{"NodeHalfInANode", "sandbox/agent/boot", module + "/sandbox/agent/node"},
		{"ContentInACommand", "site/cli", module},
		{"SiteInLabd", "internal/cli", module + "/site"},
		{"SharedRoomInTheSite", "site/internal/page", module + "/internal/fence"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pkgs := whole()
			i := slices.IndexFunc(pkgs, func(p pkg) bool { return p.ImportPath == module+"/"+tt.from })
			pkgs[i].Imports = []string{tt.to}
			if broken := judge(pkgs); broken != nil {
				t.Errorf("said %q, want nothing", broken)
			}
		})
	}
	t.Run("NewPackage", func(t *testing.T) {
		broken := judge(append(whole(), pkg{ImportPath: module + "/internal/helpers"}))
		if len(broken) != 2 || !strings.Contains(broken[0], "drawer") || !strings.Contains(broken[1], "not in the table") {
			t.Errorf("said %q", broken)
		}
	})
	t.Run("GonePackage", func(t *testing.T) {
		broken := judge(whole()[1:])
		if len(broken) != 1 || !strings.Contains(broken[0], "remove the line") {
			t.Errorf("said %q", broken)
		}
	})
}
