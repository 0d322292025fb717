// Package images contains the recipes of the node image and of the course images, and the catalogue
// made from them.
//
// # Recipe
//
// A recipe is a directory recipes/<name> with
//
//	image.toml   name, content and start command of the image
//	build.sh     optional: run as root by `sh -eu` after packages and files are in place
//	files/       optional: copied to / of the image; a file that begins with #! becomes executable
//
// image.toml has these keys; an unknown key is an error.
//
//	description  one line; becomes a label
//	kind         "course" (default), "node", "base", "scratch" or "hello"; see Kind
//	suite        base only: the Debian suite
//	base         name of the base recipe
//	packages     Debian packages; recommended packages are not installed
//	version_of   the package that determines the image's version; the tags must agree with it
//	tags         names in a node's engine, as repository:tag
//	entrypoint, cmd, env, expose, volumes, workdir, stop_signal   as in a Dockerfile
//
// # Rules for layers
//
// All nodes share the layers of the course images. An image is one layer, or its base and one more.
// Layers contain no device nodes, because gVisor can't create them, and no whiteouts: a build.sh
// may delete only files of its own packages, never files of the base. The second rule does not
// apply to the node image.
//
// # Digest
//
// A recipe's digest covers its files, its base's digest, the architecture and Revision. It is the
// tag of the built image on the host's engine, so an unchanged recipe is never built twice.
package images

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Revision is part of every digest. Increase it when the builder's output for an unchanged recipe
// changes.
const Revision = 2

//go:embed all:recipes
var recipes embed.FS

// Kind says how an image is built.
type Kind string

const (
	Course  Kind = "course"  // base and one layer, loaded into every node
	Node    Kind = "node"    // base and one layer: the image of the nodes
	Base    Kind = "base"    // one layer made from a Debian suite; also a course image if it has tags
	Scratch Kind = "scratch" // one layer: the files that build.sh puts into /out
	Hello   Kind = "hello"   // one layer: the program of HelloProgram
)

// Recipe is one image to build.
type Recipe struct {
	Name        string `toml:"-"` // directory name
	Digest      string `toml:"-"` // hex SHA-256; see the package comment
	Description string
	Kind        Kind
	Suite       string
	Base        string
	Packages    []string
	VersionOf   string `toml:"version_of"`
	Tags        []string
	Entrypoint  []string
	Cmd         []string
	Env         []string
	Expose      []string
	Volumes     []string
	Workdir     string
	StopSignal  string `toml:"stop_signal"`

	Script []byte `toml:"-"` // build.sh, nil if there is none
	Files  []File `toml:"-"` // files/, sorted by path
}

// File is a file of an image.
type File struct {
	Path string // relative to /, slash separated
	Mode fs.FileMode
	Data []byte
}

// Catalogue contains all recipes for one architecture. A base comes before the images built on it.
type Catalogue struct {
	Arch    string
	Recipes []*Recipe
}

// Load returns the catalogue of this package's recipes. arch is Go's name of the architecture.
func Load(arch string) (*Catalogue, error) {
	sub, err := fs.Sub(recipes, "recipes")
	if err != nil {
		return nil, err
	}
	return LoadFS(sub, arch)
}

// LoadFS is Load for other recipes.
func LoadFS(fsys fs.FS, arch string) (*Catalogue, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("read recipes: %w", err)
	}
	c := &Catalogue{Arch: arch}
	content := map[string]string{}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		r, sum, err := load(fsys, e.Name())
		if err != nil {
			return nil, fmt.Errorf("recipe %s: %w", e.Name(), err)
		}
		c.Recipes = append(c.Recipes, r)
		content[r.Name] = sum
	}
	slices.SortStableFunc(c.Recipes, func(a, b *Recipe) int { return order(a) - order(b) })
	for _, r := range c.Recipes {
		h := sha256.New()
		fmt.Fprintf(h, "revision %d\narch %s\ncontent %s\n", Revision, arch, content[r.Name])
		if r.Base != "" {
			base := c.Recipe(r.Base)
			if base == nil || base.Kind != Base {
				return nil, fmt.Errorf("recipe %s: base %q is no recipe of kind base", r.Name, r.Base)
			}
			fmt.Fprintf(h, "base %s\n", base.Digest)
		}
		if r.Kind == Hello {
			program, err := HelloProgram(arch)
			if err != nil {
				return nil, err
			}
			h.Write(program)
		}
		r.Digest = hex.EncodeToString(h.Sum(nil))
	}
	return c, c.validate()
}

// Recipe returns the recipe with the given name, nil if there is none.
func (c *Catalogue) Recipe(name string) *Recipe {
	for _, r := range c.Recipes {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Node returns the recipe of the node image.
func (c *Catalogue) Node() *Recipe {
	for _, r := range c.Recipes {
		if r.Kind == Node {
			return r
		}
	}
	return nil
}

// InNodes returns the recipes of the images that every node's engine has.
func (c *Catalogue) InNodes() []*Recipe {
	var out []*Recipe
	for _, r := range c.Recipes {
		if len(r.Tags) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// Tags returns the names of all course images that are known before a build, sorted. A seed also
// has names with the full version (nginx:1.26.3).
func (c *Catalogue) Tags() []string {
	var out []string
	for _, r := range c.Recipes {
		out = append(out, r.Tags...)
	}
	slices.Sort(out)
	return out
}

// VersionTags returns the recipe's tags and the one for the version found in the image. It checks
// the version: a tag that looks like a version must be a prefix of it.
func (r *Recipe) VersionTags(version string) ([]string, error) {
	if r.VersionOf == "" {
		return r.Tags, nil
	}
	upstream := Upstream(version)
	tags := slices.Clone(r.Tags)
	var repository string
	for _, t := range r.Tags {
		repo, tag, _ := strings.Cut(t, ":")
		repository = repo
		if tag[0] < '0' || tag[0] > '9' {
			continue
		}
		if tag != upstream && !strings.HasPrefix(upstream, tag+".") {
			return nil, fmt.Errorf("image %s has %s %s inside: change the tag in its image.toml", t, r.VersionOf, upstream)
		}
	}
	if repository != "" && tagPattern.MatchString(repository+":"+upstream) && !slices.Contains(tags, repository+":"+upstream) {
		tags = append(tags, repository+":"+upstream)
	}
	return tags, nil
}

// Upstream returns the upstream version of a Debian version: "5:7.0.15-1~deb12u4" is "7.0.15".
func Upstream(debian string) string {
	if _, after, ok := strings.Cut(debian, ":"); ok {
		debian = after
	}
	if i := strings.LastIndexByte(debian, '-'); i >= 0 {
		debian = debian[:i]
	}
	if i := strings.IndexAny(debian, "+~"); i >= 0 {
		debian = debian[:i]
	}
	return debian
}

func order(r *Recipe) int {
	switch r.Kind {
	case Base:
		return 0
	case Node: // the longest build first
		return 1
	default:
		return 2
	}
}

func load(fsys fs.FS, name string) (*Recipe, string, error) {
	conf, err := fs.ReadFile(fsys, path.Join(name, "image.toml"))
	if err != nil {
		return nil, "", err
	}
	r := &Recipe{Name: name, Kind: Course}
	meta, err := toml.NewDecoder(bytes.NewReader(conf)).Decode(r)
	if err != nil {
		return nil, "", fmt.Errorf("image.toml: %w", err)
	}
	if extra := meta.Undecoded(); len(extra) > 0 {
		return nil, "", fmt.Errorf("image.toml: unknown key %q", extra[0].String())
	}
	h := sha256.New()
	fmt.Fprintf(h, "image.toml %d\n%s", len(conf), conf)
	r.Script, err = fs.ReadFile(fsys, path.Join(name, "build.sh"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	fmt.Fprintf(h, "build.sh %d\n%s", len(r.Script), r.Script)
	root := path.Join(name, "files")
	err = fs.WalkDir(fsys, root, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && p == root {
			return fs.SkipAll
		}
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(data, []byte("#!")) {
			mode = 0o755
		}
		f := File{Path: strings.TrimPrefix(p, root+"/"), Mode: mode, Data: data}
		fmt.Fprintf(h, "file %s %o %d\n%s", f.Path, f.Mode, len(data), data)
		r.Files = append(r.Files, f)
		return nil
	})
	return r, hex.EncodeToString(h.Sum(nil)), err
}

var (
	tagPattern     = regexp.MustCompile(`^[a-z0-9]+([._/-][a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	packagePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
)

func (c *Catalogue) validate() error {
	nodes := 0
	owner := map[string]string{}
	for _, r := range c.Recipes {
		fail := func(format string, args ...any) error {
			return fmt.Errorf("recipe %s: "+format, append([]any{r.Name}, args...)...)
		}
		if r.Description == "" {
			return fail("no description")
		}
		switch r.Kind {
		case Base:
			if r.Suite == "" || r.Base != "" {
				return fail("a base has a suite and no base of its own")
			}
		case Node:
			nodes++
			fallthrough
		case Course, Scratch:
			if r.Base == "" {
				return fail("no base")
			}
		case Hello:
		default:
			return fail("unknown kind %q", r.Kind)
		}
		if (r.Kind == Course || r.Kind == Scratch || r.Kind == Hello) == (len(r.Tags) == 0) && r.Kind != Base {
			return fail("exactly the images in nodes have tags")
		}
		if r.Kind == Scratch && len(r.Script) == 0 {
			return fail("build.sh is missing: it fills /out")
		}
		if len(r.Cmd)+len(r.Entrypoint) == 0 {
			return fail("neither cmd nor entrypoint")
		}
		for _, p := range r.Packages {
			if !packagePattern.MatchString(p) {
				return fail("%q is no package name", p)
			}
		}
		if r.VersionOf != "" && !slices.Contains(r.Packages, r.VersionOf) {
			return fail("version_of %q is not among its packages", r.VersionOf)
		}
		for _, t := range r.Tags {
			if !tagPattern.MatchString(t) {
				return fail("%q is no repository:tag", t)
			}
			if other, ok := owner[t]; ok {
				return fail("tag %s is already that of %s", t, other)
			}
			owner[t] = r.Name
		}
	}
	if nodes != 1 {
		return fmt.Errorf("%d recipes of kind node, want one", nodes)
	}
	return nil
}
