package images_test

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/sandbox/images"
)

func load(t *testing.T, arch string) *images.Catalogue {
	t.Helper()
	c, err := images.Load(arch)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func digests(c *images.Catalogue) map[string]string {
	m := map[string]string{}
	for _, r := range c.Recipes {
		m[r.Name] = r.Digest
	}
	return m
}

func TestCatalogueHasTheCourseImages(t *testing.T) {
	tags := load(t, "amd64").Tags()
	for _, want := range []string{
		"hello-world:latest", "busybox:latest", "debian:trixie", "debian:13", "debian:latest", "nginx:1.26", "nginx:latest",
		"redis:8", "redis:8.0", "redis:latest", "redis:7", "redis:7.0", "python:3.13",
	} {
		if !slices.Contains(tags, want) {
			t.Errorf("%s is not in the catalogue", want)
		}
	}
	if !slices.IsSorted(tags) {
		t.Error("tags are not sorted")
	}
}

func TestNodeRecipeHasTheEngineAndNoFuseOverlayfs(t *testing.T) {
	node := load(t, "amd64").Node()
	for _, want := range []string{"docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd", "iptables", "curl", "jq", "nano"} {
		if !slices.Contains(node.Packages, want) {
			t.Errorf("node lacks %s", want)
		}
	}
	if slices.Contains(node.Packages, "fuse-overlayfs") {
		t.Error("fuse-overlayfs makes the engine choose it over overlay2")
	}
	if !slices.Equal(node.Entrypoint, []string{"/usr/bin/labnode"}) {
		t.Errorf("entrypoint %q", node.Entrypoint)
	}
}

func TestBasesComeFirst(t *testing.T) {
	seen := map[string]bool{"": true}
	for _, r := range load(t, "amd64").Recipes {
		if !seen[r.Base] {
			t.Errorf("%s comes before its base %s", r.Name, r.Base)
		}
		seen[r.Name] = true
	}
}

func TestDigestIsStable(t *testing.T) {
	if a, b := digests(load(t, "amd64")), digests(load(t, "amd64")); !maps.Equal(a, b) {
		t.Errorf("two loads differ:\n%v\n%v", a, b)
	}
}

func TestDigestDependsOnArchitecture(t *testing.T) {
	a, b := digests(load(t, "amd64")), digests(load(t, "arm64"))
	for name := range a {
		if a[name] == b[name] {
			t.Errorf("%s has one digest for amd64 and arm64", name)
		}
	}
}

// small returns a set of recipes for tests to modify.
func small() fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		"base-x/image.toml":     file("kind = \"base\"\nsuite = \"x\"\ndescription = \"x\"\ncmd = [\"bash\"]\n"),
		"base-x/files/etc/motd": file("hello\n"),
		"base-y/image.toml":     file("kind = \"base\"\nsuite = \"y\"\ndescription = \"y\"\ncmd = [\"bash\"]\n"),
		"node/image.toml":       file("kind = \"node\"\nbase = \"base-x\"\ndescription = \"n\"\nentrypoint = [\"/init\"]\n"),
		"web/image.toml":        file("base = \"base-y\"\ndescription = \"w\"\npackages = [\"web\"]\nversion_of = \"web\"\ntags = [\"web:1.2\", \"web:latest\"]\ncmd = [\"web\"]\n"),
		"web/build.sh":          file("true\n"),
		"web/files/bin/run":     file("#!/bin/sh\n"),
	}
}

func TestDigestCoversContentAndBase(t *testing.T) {
	before, err := images.LoadFS(small(), "amd64")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		file string
		want []string // recipes whose digest changes
	}{
		"Script":     {"web/build.sh", []string{"web"}},
		"File":       {"web/files/bin/run", []string{"web"}},
		"FileOfBase": {"base-x/files/etc/motd", []string{"base-x", "node"}},
		"Recipe":     {"base-y/image.toml", []string{"base-y", "web"}},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := small()
			fsys[tt.file].Data = append(fsys[tt.file].Data, "# changed\n"...)
			after, err := images.LoadFS(fsys, "amd64")
			if err != nil {
				t.Fatal(err)
			}
			var changed []string
			old := digests(before)
			for n, d := range digests(after) {
				if old[n] != d {
					changed = append(changed, n)
				}
			}
			slices.Sort(changed)
			if !slices.Equal(changed, tt.want) {
				t.Errorf("changed: %v, want %v", changed, tt.want)
			}
		})
	}
}

func TestFilesThatAreScriptsBecomeExecutable(t *testing.T) {
	c, err := images.LoadFS(small(), "amd64")
	if err != nil {
		t.Fatal(err)
	}
	if f := c.Recipe("web").Files; len(f) != 1 || f[0].Path != "bin/run" || f[0].Mode != 0o755 {
		t.Errorf("web: %+v", f)
	}
	if f := c.Recipe("base-x").Files; len(f) != 1 || f[0].Path != "etc/motd" || f[0].Mode != 0o644 {
		t.Errorf("base-x: %+v", f)
	}
}

func TestBadRecipesAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		file, text, want string
	}{
		"UnknownKey":     {"web/image.toml", "colour = 1\n", `recipe web: image.toml: unknown key "colour"`},
		"WrongType":      {"web/image.toml", "tags = 1\n", "recipe web: image.toml:"},
		"UnknownBase":    {"web/image.toml", "base = \"base-z\"\ndescription = \"w\"\ntags = [\"w:1\"]\ncmd = [\"w\"]\n", `base "base-z"`},
		"UnknownKind":    {"web/image.toml", "kind = \"odd\"\ndescription = \"w\"\n", `unknown kind "odd"`},
		"NoTags":         {"web/image.toml", "base = \"base-x\"\ndescription = \"w\"\ncmd = [\"w\"]\n", "tags"},
		"BadTag":         {"web/image.toml", "base = \"base-x\"\ndescription = \"w\"\ntags = [\"Web\"]\ncmd = [\"w\"]\n", `"Web" is no repository:tag`},
		"NoCommand":      {"web/image.toml", "base = \"base-x\"\ndescription = \"w\"\ntags = [\"w:1\"]\n", "neither cmd nor entrypoint"},
		"OptionAsName":   {"web/image.toml", "base = \"base-x\"\ndescription = \"w\"\ntags = [\"w:1\"]\ncmd = [\"w\"]\npackages = [\"--allow\"]\n", "no package name"},
		"TwoOwnersOfTag": {"web2/image.toml", "base = \"base-x\"\ndescription = \"w\"\ntags = [\"web:latest\"]\ncmd = [\"w\"]\n", "already that of"},
		"TwoNodes":       {"node2/image.toml", "kind = \"node\"\nbase = \"base-x\"\ndescription = \"n\"\ncmd = [\"w\"]\n", "2 recipes of kind node"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := small()
			fsys[tt.file] = &fstest.MapFile{Data: []byte(tt.text)}
			_, err := images.LoadFS(fsys, "amd64")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestMissingImageTOMLIsAnError(t *testing.T) {
	fsys := small()
	delete(fsys, "web/image.toml")
	if _, err := images.LoadFS(fsys, "amd64"); err == nil || !strings.Contains(err.Error(), "recipe web") {
		t.Errorf("error %v", err)
	}
	if _, err := images.LoadFS(fstest.MapFS{"x": {Mode: fs.ModeDir}}, "amd64"); err == nil {
		t.Error("an empty recipe was accepted")
	}
}

func TestVersionTags(t *testing.T) {
	r := &images.Recipe{VersionOf: "web", Tags: []string{"web:1.2", "web:latest"}}
	got, err := r.VersionTags("1:1.2.3-4+deb13u5")
	if err != nil || !slices.Equal(got, []string{"web:1.2", "web:latest", "web:1.2.3"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, other := range []string{"1.20.1-1", "1.3.0-1", "2-1", ""} {
		if got, err := r.VersionTags(other); err == nil {
			t.Errorf("version %q was accepted as web:1.2: %v", other, got)
		}
	}
	if got, err := r.VersionTags("1.2-1"); err != nil || !slices.Equal(got, r.Tags) {
		t.Errorf("version 1.2 itself: %v, %v", got, err)
	}
}

func TestUpstream(t *testing.T) {
	for in, want := range map[string]string{
		"1.26.3-3+deb13u10": "1.26.3", "5:7.0.15-1~deb12u10": "7.0.15", "1:1.37.0-6+b9": "1.37.0",
		"26.1.5+dfsg1-9+deb13u1": "26.1.5", "3.13.5-1": "3.13.5", "9": "9",
	} {
		if got := images.Upstream(in); got != want {
			t.Errorf("Upstream(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHelloProgramIsAnExecutableForEachArchitecture(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		program, err := images.HelloProgram(arch)
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.NewFile(bytes.NewReader(program))
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		if f.Machine != machine || f.Type != elf.ET_EXEC || len(f.Progs) != 1 || f.Progs[0].Filesz != uint64(len(program)) {
			t.Errorf("%s: %+v", arch, f.FileHeader)
		}
	}
	if _, err := images.HelloProgram("vax"); err == nil {
		t.Error("an unknown architecture was accepted")
	}
}

func TestHelloProgramGreetsAndExits(t *testing.T) {
	program, err := images.HelloProgram(runtime.GOARCH)
	if err != nil || runtime.GOOS != "linux" {
		t.Skipf("no greeting program for this machine: %v", err)
	}
	name := filepath.Join(t.TempDir(), "hello")
	if err := os.WriteFile(name, program, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), name).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(out), "\nHello from Docker!\n") || !strings.HasSuffix(string(out), "debian bash\n\n") {
		t.Errorf("it printed %q", out)
	}
}
