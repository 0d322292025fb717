package seed

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/strslice"
	"github.com/docker/go-connections/nat"
	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/sandbox/images"
)

const (
	// repository is the prefix of built images on the host's engine. A course image's own name is
	// not used there, because the machine's owner may have an image with that name.
	repository = "labd/"
	// aptVolume is the volume that caches downloaded packages.
	aptVolume = "labd-apt-cache"
	// maxParallel bounds concurrent builds. They compete mainly for the disk and for decompression.
	maxParallel = 3

	labelTags     = "labd.tags"     // names in the nodes' engines, separated by spaces
	labelPackages = "labd.packages" // where the content came from
	versionMark   = "labd-package: "
	// cacheMount is an existing directory of every base. A new mount point would become part of the
	// layer.
	cacheMount = "/mnt"

	defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Options configure a build.
type Options struct {
	Dir  string // seed directory; "" means DefaultDir
	Host string // address of the engine; "" means DOCKER_HOST or the default
	// Labnode returns the path of the labnode binary for Linux and the architecture.
	Labnode func(ctx context.Context, arch string) (string, error)
	// Recipes are the images to build; nil means the recipes in package images.
	Recipes fs.FS
	// Progress receives progress events; may be nil. Calls come from several goroutines, but never
	// concurrently.
	Progress func(Event)
	// Force rebuilds everything.
	Force bool
	// AptDir is the machine's apt configuration; "" means /etc/apt.
	AptDir string
	// Runtime is the OCI runtime for the engine that loads the images; "" means runsc if the engine
	// has it, else the engine's default.
	Runtime string
}

// State is the state of a task.
type State string

const (
	Started State = "started"
	Output  State = "output" // one line of a task's output
	Cached  State = "cached" // nothing to do
	Done    State = "done"
	Failed  State = "failed"
)

// Event is a progress event.
type Event struct {
	Task    string // for example "image nginx"
	State   State
	Text    string        // only for Output
	Elapsed time.Duration // only for Done and Failed
}

// built is an image on the host's engine.
type built struct {
	Ref  string   // on the host's engine
	ID   string   // image id
	Tags []string // names in the nodes' engines
}

// builder is the state of one Build.
type builder struct {
	opts   Options
	engine *engine
	apt    aptSetup
	scope  string // part of the names of this seed directory's containers
	report func(Event)
}

// task runs f and reports its progress. f returns false if there was nothing to do.
func (b *builder) task(ctx context.Context, name string, f func(log func(string)) (bool, error)) error {
	start := time.Now()
	started := false
	begin := func() {
		if !started {
			started = true
			b.report(Event{Task: name, State: Started})
		}
	}
	did, err := f(func(line string) {
		begin()
		b.report(Event{Task: name, State: Output, Text: line})
	})
	elapsed := time.Since(start)
	switch {
	case err != nil:
		b.report(Event{Task: name, State: Failed, Elapsed: elapsed})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w", name, err)
	case did:
		begin()
		b.report(Event{Task: name, State: Done, Elapsed: elapsed})
	default:
		b.report(Event{Task: name, State: Cached})
	}
	return nil
}

// buildImages builds the images that the host's engine does not have. A build starts as soon as its
// base exists, in the order of the catalogue.
func (b *builder) buildImages(ctx context.Context, cat *images.Catalogue) (map[string]built, error) {
	g, ctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	changed := sync.NewCond(&mu)
	out := map[string]built{} // guarded by mu
	waiting := slices.Clone(cat.Recipes)

	// next waits until a recipe can be built; nil means that none is left.
	next := func() (*images.Recipe, error) {
		mu.Lock()
		defer mu.Unlock()
		for {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if len(waiting) == 0 {
				return nil, nil
			}
			for i, r := range waiting {
				if _, ok := out[r.Base]; ok || r.Base == "" {
					waiting = slices.Delete(waiting, i, i+1)
					return r, nil
				}
			}
			changed.Wait()
		}
	}
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		changed.Broadcast()
	})
	defer stop()

	for range maxParallel {
		g.Go(func() error {
			for {
				r, err := next()
				if r == nil || err != nil {
					return err
				}
				err = b.task(ctx, "image "+r.Name, func(log func(string)) (bool, error) {
					got, did, err := b.buildImage(ctx, cat, r, log)
					if err != nil {
						return false, err
					}
					mu.Lock()
					defer mu.Unlock()
					out[r.Name] = got
					changed.Broadcast()
					return did, nil
				})
				if err != nil {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// imageRef returns the name of a recipe's image on the host's engine.
func imageRef(r *images.Recipe) string {
	name := r.Name
	if r.Kind == images.Node {
		// labnode is added in a separate step, so that a new labnode takes a second instead of a
		// minute
		name += "-base"
	}
	return repository + name + ":" + r.Digest[:16]
}

func (b *builder) buildImage(ctx context.Context, cat *images.Catalogue, r *images.Recipe, log func(string)) (built, bool, error) {
	ref := imageRef(r)
	old, err := b.existing(ctx, ref)
	if err != nil || old.Ref != "" && !b.opts.Force {
		return old, false, err
	}
	switch r.Kind {
	case images.Base:
		err = b.makeBase(ctx, r, ref, log)
	case images.Hello:
		err = b.makeHello(ctx, r, ref)
	default:
		err = b.makeFromPackages(ctx, cat, r, ref, log)
	}
	if err != nil {
		return built{}, false, err
	}
	got, err := b.existing(ctx, ref)
	if err == nil && old.ID != "" {
		err = b.engine.removeReplaced(ctx, old.ID, ref)
	}
	return got, true, err
}

// existing returns the image if the engine has it. Its labels contain what is known only after a
// build.
func (b *builder) existing(ctx context.Context, ref string) (built, error) {
	info, err := b.engine.inspect(ctx, ref)
	if err != nil || info == nil {
		return built{}, err
	}
	return built{Ref: ref, ID: info.ID, Tags: strings.Fields(info.Labels[labelTags])}, nil
}

func (b *builder) makeHello(ctx context.Context, r *images.Recipe, ref string) error {
	program, err := images.HelloProgram(b.engine.arch)
	if err != nil {
		return err
	}
	labels := b.labels(r, "", "")
	labels[labelPackages] = "none: the program is part of labd"
	return b.importFiltered(ctx, ref, r, labels, func(w io.Writer) error {
		return writeTar(w, []tarFile{{"hello", 0o755, program}})
	})
}

// makeFromPackages builds a recipe in a container of its base.
func (b *builder) makeFromPackages(ctx context.Context, cat *images.Catalogue, r *images.Recipe, ref string, log func(string)) (err error) {
	base := cat.Recipe(r.Base)
	script := "/build/run.sh"
	id, remove, err := b.engine.create(ctx, b.scope+r.Name, &container.Config{
		Image: imageRef(base),
		Cmd:   strslice.StrSlice{"/bin/sh", "-eu", script},
	}, &container.HostConfig{
		// The mirror may be on this machine, or in a DNS zone that only the host resolves.
		NetworkMode: network.NetworkHost,
		Mounts:      []mount.Mount{{Type: mount.TypeVolume, Source: aptVolume, Target: cacheMount}},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()

	files := []tarFile{
		{"build/run.sh", 0o755, []byte(runScript(r, b.engine.arch))},
		{"build/sources.list", 0o644, []byte(strings.Join(b.apt.lines(base.Suite), "\n") + "\n")},
		{"build/apt.conf", 0o644, []byte(aptConf(r, base, b.engine.arch, b.apt.options))},
	}
	if ca, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt"); err == nil {
		// for an https mirror, because the base has no CA certificates
		files = append(files, tarFile{"build/ca.crt", 0o644, ca})
	}
	if r.Script != nil {
		files = append(files, tarFile{"build/build.sh", 0o755, r.Script})
	}
	for _, f := range recipeFiles(r) {
		f.path = path.Join("build/files", f.path)
		files = append(files, f)
	}
	if err := b.engine.put(ctx, id, files); err != nil {
		return err
	}
	version := map[string]string{}
	err = b.engine.run(ctx, id, nil, func(line string) {
		if rest, ok := strings.CutPrefix(line, versionMark); ok {
			name, v, _ := strings.Cut(rest, " ")
			version[name] = v
			return
		}
		log(line)
	})
	if err != nil {
		return err
	}

	tags, err := r.VersionTags(version[r.VersionOf])
	if err != nil {
		return err
	}
	labels := b.labels(r, version[r.VersionOf], base.Suite)
	labels[labelTags] = strings.Join(tags, " ")
	list := make([]string, 0, len(version))
	for name, v := range version {
		list = append(list, name+"="+v)
	}
	slices.Sort(list)
	labels[labelPackages] = fmt.Sprintf("Debian %s, from %s: %s", base.Suite, b.apt.mirror, strings.Join(list, " "))

	if r.Kind == images.Scratch {
		rc, _, err := b.engine.cli.CopyFromContainer(ctx, id, "/out")
		if err != nil {
			return fmt.Errorf("read /out: %w", err)
		}
		defer rc.Close()
		return b.importFiltered(ctx, ref, r, labels, func(w io.Writer) error { return stripTar(rc, w, "out/") })
	}
	return b.engine.commit(ctx, id, ref, imageConfig(r, labels))
}

// nodeImage adds labnode to the node's base image and returns the name of the result.
func (b *builder) nodeImage(ctx context.Context, r *images.Recipe, labnode string) (string, bool, error) {
	program, err := os.ReadFile(labnode)
	if err != nil {
		return "", false, fmt.Errorf("read labnode: %w", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", r.Digest)
	h.Write(program)
	ref := repository + r.Name + ":" + hex.EncodeToString(h.Sum(nil))[:16]
	old, err := b.engine.inspect(ctx, ref)
	if err != nil || old != nil && !b.opts.Force {
		return ref, false, err
	}
	info, err := b.engine.inspect(ctx, imageRef(r))
	if err != nil {
		return "", false, err
	}
	if info == nil {
		return "", false, fmt.Errorf("image %s vanished", imageRef(r))
	}
	id, remove, err := b.engine.create(ctx, b.scope+r.Name, &container.Config{Image: imageRef(r)}, nil)
	if err != nil {
		return "", false, err
	}
	err = b.engine.put(ctx, id, []tarFile{{"usr/bin/labnode", 0o755, program}})
	if err == nil {
		err = b.engine.commit(ctx, id, ref, imageConfig(r, info.Labels))
	}
	if err == nil && old != nil {
		err = b.engine.removeReplaced(ctx, old.ID, ref)
	}
	return ref, true, errors.Join(err, remove())
}

// runScript returns the script for the build container. It leaves nothing of /build in the layer.
func runScript(r *images.Recipe, arch string) string {
	packages := strings.Join(r.Packages, " ")
	return fmt.Sprintf(`export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/build/apt.conf LC_ALL=C.UTF-8
mkdir -p %[2]s/lists/partial %[2]s/archives/partial
if [ -n "%[1]s" ]; then
    apt-get -q update
    apt-get -q -y install --no-install-recommends %[1]s
    dpkg-query -W -f '%[3]s${Package} ${Version}\n' %[1]s
fi
[ ! -d /build/files ] || cp -a /build/files/. /
[ ! -e /build/build.sh ] || sh -eu /build/build.sh
find /var/log -type f -delete
find /tmp /var/tmp -mindepth 1 -delete
rm -rf /build /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old /var/lib/dpkg/*-old \
    /var/lib/dpkg/lock /var/lib/dpkg/lock-frontend /var/lib/dpkg/triggers/Lock
`, packages, cacheDir(r, arch), versionMark)
}

// cacheDir returns a recipe's part of the volume. Concurrent builds need separate directories,
// because apt locks them.
func cacheDir(r *images.Recipe, arch string) string { return cacheMount + "/" + arch + "/" + r.Name }

func aptConf(r, base *images.Recipe, arch string, options []string) string {
	dir := cacheDir(r, arch)
	return fmt.Sprintf(`Dir::Etc::SourceList "/build/sources.list";
Dir::Etc::SourceParts "/build/none";
Dir::State::Lists "%[1]s/lists";
Dir::Cache::Archives "%[1]s/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::Retries "3";
Acquire::https::CaInfo "/build/ca.crt";
APT::Sandbox::User "root";
APT::Keep-Downloaded-Packages "true";
Binary::apt-get::APT::Keep-Downloaded-Packages "true";
DPkg::Options { "--force-unsafe-io"; "--force-confold"; };
DPkg::Use-Pty "0";
`, dir) + strings.Join(options, "\n") + "\n"
}

// labels returns the labels that every image gets.
func (b *builder) labels(r *images.Recipe, version, suite string) map[string]string {
	m := map[string]string{
		"org.opencontainers.image.title":       r.Name,
		"org.opencontainers.image.description": r.Description,
		"org.opencontainers.image.vendor":      "labd",
	}
	if version != "" {
		m["org.opencontainers.image.version"] = images.Upstream(version)
	}
	if suite != "" {
		m["org.opencontainers.image.base.name"] = "debian:" + suite
	}
	if len(r.Tags) > 0 {
		m[labelTags] = strings.Join(r.Tags, " ")
	}
	return m
}

func imageConfig(r *images.Recipe, labels map[string]string) *container.Config {
	c := &container.Config{
		Entrypoint: r.Entrypoint,
		Cmd:        r.Cmd,
		Env:        append([]string{defaultPath}, r.Env...),
		WorkingDir: r.Workdir,
		StopSignal: r.StopSignal,
		Labels:     labels,
	}
	for _, p := range r.Expose {
		if c.ExposedPorts == nil {
			c.ExposedPorts = nat.PortSet{}
		}
		c.ExposedPorts[nat.Port(p)] = struct{}{}
	}
	for _, v := range r.Volumes {
		if c.Volumes == nil {
			c.Volumes = map[string]struct{}{}
		}
		c.Volumes[v] = struct{}{}
	}
	return c
}

// changes returns imageConfig as Dockerfile instructions, for an import.
func changes(r *images.Recipe, labels map[string]string) []string {
	list := func(words []string) string {
		data, _ := json.Marshal(words) // encoding strings cannot fail
		return string(data)
	}
	out := []string{"ENV " + quoteLine(defaultPath), "CMD " + list(r.Cmd)}
	if len(r.Entrypoint) > 0 {
		out = append(out, "ENTRYPOINT "+list(r.Entrypoint))
	}
	for _, e := range r.Env {
		out = append(out, "ENV "+quoteLine(e))
	}
	if r.Workdir != "" {
		out = append(out, "WORKDIR "+r.Workdir)
	}
	keys := make([]string, 0, len(labels))
	for k := range labels {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		out = append(out, "LABEL "+quoteLine(k+"="+labels[k]))
	}
	return out
}

// quoteLine quotes the value of key=value for a Dockerfile instruction.
func quoteLine(kv string) string {
	k, v, _ := strings.Cut(kv, "=")
	return k + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "\n", " ").Replace(v) + `"`
}

// stripTar copies the entries below prefix, with names relative to it.
func stripTar(r io.Reader, w io.Writer, prefix string) error {
	tr, tw := tar.NewReader(r), tar.NewWriter(w)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return tw.Close()
		}
		if err != nil {
			return fmt.Errorf("read /out: %w", err)
		}
		name, ok := strings.CutPrefix(h.Name, prefix)
		if !ok || name == "" {
			continue
		}
		h.Name = name
		if h.Typeflag == tar.TypeLink {
			h.Linkname = strings.TrimPrefix(h.Linkname, prefix)
		}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(tw, tr); err != nil {
			return err
		}
	}
}
