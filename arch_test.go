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

// floors lists every package of the module with its level. A package may import only packages of lower
// levels. Packages on the same level do not know each other.
//
// A new package needs two importers, a second implementation, a trust boundary, or an origin in a
// package of more than 2,500 lines. It then gets a line here and one in CONTRIBUTING.md.
var floors = []struct {
	floor int
	path  string // under the module; "." is the root package, which embeds content/ and labs/
	what  string
}{
	{0, ".", "embedded lessons and labs"},
	{0, "site/internal/bundle", "bundles TypeScript and CSS"},
	{0, "site/internal/highlight", "syntax highlighting"},
	{0, "site/internal/diagram", "diagrams to SVG; input is untrusted"},
	{0, "internal/fault", "errors shown to people"},
	{0, "site/internal/snippet", "regions and lines of source files"},
	{0, "internal/fence", "info strings of fenced code blocks"},
	{0, "site/internal/cjk", "emphasis in Chinese, Japanese and Korean Markdown"},
	{0, "site/internal/rawhtml", "HTML written by authors"},
	{0, "site/internal/mathml", "TeX to MathML"},
	{0, "site/internal/diskcache", "a size-bounded disk cache"},
	{0, "internal/source", "mistakes in authors' files, with file and line; TOML"},
	{0, "sandbox", "the contract between labd and drivers"},
	{0, "sandbox/images", "image recipes"},
	{0, "site/corpus", "generates courses for benchmarks"},

	{1, "internal/command", "command-line parsing"},
	{1, "internal/lab", "lab files"},
	{1, "site/internal/linkcheck", "checks external links"},
	{1, "site/internal/markdown", "Markdown to HTML with line numbers"},
	{1, "site/internal/picture", "decodes untrusted images, encodes them for the web"},
	{1, "site/internal/publish", "replaces a folder atomically"},
	{1, "site/internal/search", "the search index"},
	{1, "internal/setup/gvisor", "the release of gVisor that nodes run on, and its patches"},
	{1, "internal/setup/daemonjson", "edits the Docker daemon's configuration"},
	{1, "internal/static", "serves the files of a site"},
	{0, "internal/store", "the port to the database: learners, sessions, progress"},
	{1, "internal/store/sqlite", "the database in a SQLite file"},
	{1, "internal/store/storetest", "the test suite of every database"},
	{1, "sandbox/conformance", "compares a node's Docker engine with a plain one"},
	{1, "sandbox/agent/wire", "the protocol between labd and a node's agent"},
	{1, "sandbox/docker/isolation", "the isolation profiles of the Docker driver"},
	{1, "sandbox/docker/seed", "builds images and the seed"},

	{2, "internal/config", "lab.toml"},
	{2, "site/internal/course", "the content tree"},
	{2, "site/internal/gallery", "publishes images in the sizes pages need"},
	{0, "site/internal/importer/literal", "values of JavaScript settings files, read without running them"},
	{0, "site/internal/importer/markup", "HTML and JSX in Markdown"},
	{1, "site/internal/importer/report", "what an import lost or changed"},
	{2, "site/internal/assets", "scripts, styles and fonts of pages"},
	{0, "site/internal/paper", "HTML of lessons for print pages"},
	{2, "site/internal/i18n", "words of the interface in every language"},
	{2, "site/internal/importer/fetch", "fetches pictures from other servers; their addresses are untrusted"},
	{2, "site/internal/importer/container", "blocks of other dialects that hold others"},
	{1, "site/internal/importer/syntax", "lines, code and quotes of imported pages"},
	{2, "site/internal/importer/tree", "files of a source that is imported; untrusted paths"},
	{2, "site/internal/importer/frontmatter", "front matter of imported pages; untrusted YAML"},
	{3, "site/internal/importer/settings", "settings of the tool that a source was made for; untrusted"},
	{3, "site/internal/importer/dialect", "converts one page from another tool's dialect"},
	{2, "internal/check", "evaluates a step's checks against a stack"},
	{2, "internal/labrun", "runs a lab on a stack: spec, files, scripts"},
	{2, "site/internal/memo", "caches rendered texts until they are stale"},
	{2, "internal/setup", "checks and installs what a machine needs"},
	{2, "sandbox/agent", "the agent's client, used by labd"},
	{2, "sandbox/agent/node", "the agent's server, in a node"},

	{4, "site/internal/importer", "converts other tools' material to courses"},
	{3, "internal/labtest", "tests labs with their solutions"},
	{3, "site/internal/page", "renders pages"},
	{3, "internal/steps", "leads a learner through the steps of a lab"},
	{3, "sandbox/agent/boot", "process 1 of a node"},
	{3, "sandbox/agent/agenttest", "agent client and server in one process, for tests"},
	{3, "sandbox/docker", "the driver for the Docker Engine API"},
	{3, "sandbox/sandboxtest", "contract tests for drivers, and the fake"},

	{4, "site", "builds, previews and checks a site"},
	{4, "internal/session", "session lifecycle"},

	{5, "internal/web", "HTTP API, WebSockets, pages"},

	{6, "bench", "benchmarks user-visible latency against a baseline"},
	{6, "internal/cli", "the command labd"},
	{6, "site/cli", "the command sitegen"},

	{7, "cmd/labd", "main"},
	{7, "cmd/labnode", "main"},
	{7, "cmd/sitegen", "main"},
}

// pkg is the part of go list's answer that the rules need.
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

// judge returns a message for every broken rule, with the reason for the rule.
func judge(pkgs []pkg) []string {
	var broken []string
	complain := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	seen := map[string]bool{}
	for _, p := range pkgs {
		path := local(p.ImportPath)
		seen[path] = true
		for _, word := range strings.Split(path, "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "models", "pkg", "misc", "shared"}, word) {
				complain("%s: the package name %q does not say what the package provides: "+
					"move the code to its user, or name the package after what it provides", p.ImportPath, word)
			}
		}
		floor, ok := floorOf(path)
		if !ok {
			complain("%s is not in the table of floors in arch_test.go: add a line with its purpose", p.ImportPath)
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
				complain("%s (floor %d) imports %s (floor %d): a package may import lower floors only. "+
					"Move the shared part down, or connect the two in a cli package", p.ImportPath, floor, imported, below)
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
		return "Docker types stay under sandbox/docker, because drivers for other engines will follow; use package sandbox"
	case imported == "net/http/pprof" || imported == "expvar":
		return "importing it registers debug pages on http.DefaultServeMux, where learners could reach them"
	case imported == module && path != "internal/cli" && path != "site/cli":
		return "take content as an fs.FS: tests and operators supply their own"
	case under("sandbox") && (within("internal") || within("site")):
		return "sandbox imports nothing from labd or the site generator; they depend on it"
	case under("internal") && path != "internal/cli" && within("site"):
		return "labd serves a finished site; only internal/cli builds one"
	case under("site") && within("internal") && !slices.Contains(shared, local(imported)):
		return "the site generator shares only " + strings.Join(shared, ", ") + " with labd"
	case under("site") && within("sandbox"):
		return "the site generator runs no labs"
	case slices.Contains(shared, path) && (within("sandbox") || within("internal") && !slices.Contains(shared, local(imported))):
		return "the site generator links every shared package, so these may only import each other"
	case (imported == "testing" || strings.HasPrefix(imported, "testing/")) && imported != "testing/fstest" && !strings.HasSuffix(path, "test"):
		return "test code belongs in _test.go files or in a package whose name ends in test"
	case imported == module+"/sandbox/agent/node" && path != "sandbox/agent/boot" && !strings.HasSuffix(path, "test"):
		return "the agent's server runs in a learner's node, not in labd: use the client in sandbox/agent"
	case imported == module+"/sandbox/agent/agenttest" || imported == module+"/sandbox/sandboxtest" || imported == module+"/internal/labtest" && path != "internal/cli":
		return "fakes and test suites do not belong into programs"
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

// TestSitegenLinksNothingOfLabd checks the result of the rules above on the program itself, also through dependencies.
func TestSitegenLinksNothingOfLabd(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/sitegen").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, path := range strings.Fields(string(out)) {
		inLabd := strings.HasPrefix(path, module+"/internal/") && !slices.Contains(shared, local(path))
		if inLabd || strings.HasPrefix(path, module+"/sandbox") {
			t.Errorf("sitegen links %s: `go list -deps -f '{{.ImportPath}}: {{.Imports}}' ./cmd/sitegen` shows who imports it", path)
		}
	}
}

// TestContributingNamesEveryPackage compares the table in CONTRIBUTING.md with floors.
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

// TestJudgeReportsEachBrokenRule gives judge packages that break one rule each.
func TestJudgeReportsEachBrokenRule(t *testing.T) {
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
		t.Fatalf("packages without imports break a rule: %q", broken)
	}
	for _, tt := range []struct{ name, from, to, want string }{
		{"Upward", "internal/lab", module + "/internal/web", "lower floors only"},
		{"SameFloor", "internal/store/sqlite", module + "/internal/lab", "lower floors only"},
		{"DockerTypesElsewhere", "internal/session", "github.com/docker/docker/client", "Docker types stay under sandbox/docker"},
		{"Pprof", "internal/web", "net/http/pprof", "http.DefaultServeMux"},
		{"ContentOutsideACommand", "internal/web", module, "take content as an fs.FS"},
		{"SiteInARoomOfLabd", "internal/web", module + "/site", "only internal/cli builds one"},
		{"LabdInTheSite", "site", module + "/internal/store", "shares only"},
		{"SandboxInTheSite", "site", module + "/sandbox", "runs no labs"},
		{"SandboxInASharedRoom", "internal/lab", module + "/sandbox", "only import each other"},
		{"LabdInASharedRoom", "internal/lab", module + "/internal/fault", "only import each other"},
		{"LabdInTheSandbox", "sandbox/docker", module + "/internal/source", "sandbox imports nothing from"},
		{"TestingInAProgram", "internal/session", "testing", "test code belongs"},
		{"AgentServerInLabd", "cmd/labd", module + "/sandbox/agent/node", "runs in a learner's node"},
		{"FakeInAProgram", "cmd/labd", module + "/sandbox/sandboxtest", "do not belong into programs"},
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
		{"AgentServerInBoot", "sandbox/agent/boot", module + "/sandbox/agent/node"},
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
		if len(broken) != 2 || !strings.Contains(broken[0], "does not say what") || !strings.Contains(broken[1], "not in the table") {
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
