// Package seed builds what every node starts with, and keeps it on disk: the node image, the course
// images, and the seed. From the seed every node's engine gets all course images without copying
// them.
//
// # Store
//
// The seed directory (DefaultDir) contains
//
//	current-<format>.json            manifest of the newest complete build, read by Open
//	data/<digest>/layers/            mounted read-only into every node at LayersTarget
//	data/<digest>/layers/<id>/diff   content of one image layer
//	data/<digest>/layers/images.tar  the engine's metadata of all course images, for restoring removed images
//	data/<digest>/template.ext4      template of the nodes' disks
//	data/<digest>/<bytes>.ext4       the template in another size, made on demand
//	lock                             locked during a build
//	tmp-*                            a build in progress; if it was killed, the next build removes it
//
// data/<digest> is complete when it exists, because it is renamed into place. Its content never
// changes, except that sizes are added. The digest covers the recipes of the course images. The
// manifest is replaced atomically, so Open finds either the old or the new seed. Its name contains
// the format, so that an older labd on the same machine does not read a seed that it can't use.
//
// # Template
//
// The template is a sparse ext4 image whose top-level directories are DiskDirs. Each is mounted
// over the node's directory of that name, so one disk limit holds for everything that a learner
// writes. var/lib/docker is the data root of an engine that has loaded all course images. The
// content of the layers is not in it: overlay2/<id>/diff is a symbolic link to
// LayersTarget/<id>/diff. A mount for each layer would work as well, but under gVisor every mount
// takes 5 to 10 ms when a node starts.
package seed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/images"
)

// DefaultDir is the default seed directory.
const DefaultDir = "/var/lib/labd/seed"

const (
	currentFile  = "current-" + format + ".json"
	dataDir      = "data"
	layersDir    = "layers"
	archiveFile  = "images.tar" // in layersDir
	templateFile = "template.ext4"
	lockFile     = "lock"
	tmpPrefix    = "tmp-"

	// sandboxRuntime is gVisor's name in the engine's list of runtimes.
	sandboxRuntime = "runsc"
	// format is increased when older labds can't use the data, or this labd can't use older data.
	format = "5"

	blockSize = 2048

	// lockRetry is the pause between two attempts to lock the seed directory.
	lockRetry = 100 * time.Millisecond
)

// LayersTarget is the path of the layers in a node. Each layer is in <id>/diff.
const LayersTarget = "/var/lib/labd/layers"

// DiskDirs are the top-level directories of a disk and their mount points in a node.
var DiskDirs = []DiskDir{
	{"var", "/var"}, {"etc", "/etc"}, {"root", "/root"}, {"tmp", "/tmp"},
}

// DiskDir is a directory of a node's disk.
type DiskDir struct {
	Name   string // on the disk
	Target string // in the node
}

// Seed is a complete build.
type Seed struct {
	Digest    string   // of everything that nodes get
	NodeImage string   // name on the host's engine
	Images    []string // repository:tag in every node's engine, sorted
	Template  string   // path of the ext4 image
	LayersDir string   // to be mounted at LayersTarget
	Layers    []Layer

	dir string // data/<digest>
}

// Layer is one image layer. Its content is in Path, which is LayersDir/<ID>/diff.
type Layer struct {
	ID   string
	Path string
}

// manifest is the content of currentFile.
type manifest struct {
	Digest    string   `json:"digest"`
	Data      string   `json:"data"`
	NodeImage string   `json:"node_image"`
	Images    []string `json:"images"`
}

// Open returns the current seed. The error wraps sandbox.ErrImageMissing if there is none.
func Open(dir string) (*Seed, error) {
	if dir == "" {
		dir = DefaultDir
	}
	data, err := os.ReadFile(filepath.Join(dir, currentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no seed in %s; build it with `labd images build`", sandbox.ErrImageMissing, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open seed: %w", err)
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("open seed: %s: %w", filepath.Join(dir, currentFile), err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Seed{Digest: m.Digest, NodeImage: m.NodeImage, Images: m.Images}
	if err := s.openData(filepath.Join(abs, dataDir, m.Data)); err != nil {
		return nil, fmt.Errorf("%w; build it with `labd images build`", err)
	}
	return s, nil
}

// OfLayers returns the seed whose LayersDir is dir, even if it is not current. Only the fields that
// describe the data are set. It is used to reset a node that was created from an older seed.
func OfLayers(dir string) (*Seed, error) {
	s := &Seed{}
	return s, s.openData(filepath.Dir(dir))
}

// openData sets the fields that describe the data in dir.
func (s *Seed) openData(dir string) error {
	s.dir = dir
	s.LayersDir = filepath.Join(dir, layersDir)
	s.Template = filepath.Join(dir, templateFile)
	for _, file := range []string{s.Template, filepath.Join(s.LayersDir, archiveFile)} {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("%w: the seed in %s is damaged or of an older labd (%w)", sandbox.ErrImageMissing, dir, err)
		}
	}
	entries, err := os.ReadDir(s.LayersDir)
	if err != nil {
		return fmt.Errorf("open seed: %w", err)
	}
	for _, e := range entries { // sorted
		if e.IsDir() {
			s.Layers = append(s.Layers, Layer{ID: e.Name(), Path: filepath.Join(s.LayersDir, e.Name(), "diff")})
		}
	}
	if len(s.Layers) == 0 {
		return fmt.Errorf("%w: the seed in %s has no layers", sandbox.ErrImageMissing, dir)
	}
	return nil
}

// Build updates the images and the seed and returns the seed. It is quick if nothing has changed.
// If it fails or ctx ends, the previous seed stays current and no partial result is left.
func Build(ctx context.Context, opts Options) (*Seed, error) {
	if opts.Labnode == nil {
		return nil, fmt.Errorf("build images: no labnode: %w", sandbox.ErrInvalid)
	}
	b, done, err := newBuilder(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer done()
	return b.build(ctx)
}

// newBuilder locks the seed directory, connects to the engine and removes what a killed build left.
// done unlocks and disconnects.
func newBuilder(ctx context.Context, opts Options) (_ *builder, done func(), err error) {
	if opts.Dir == "" {
		opts.Dir = DefaultDir
	}
	if opts.AptDir == "" {
		opts.AptDir = "/etc/apt"
	}
	if opts.Dir, err = filepath.Abs(opts.Dir); err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("seed directory: %w", err)
	}
	b := &builder{opts: opts, report: func(Event) {}}
	if opts.Progress != nil {
		var mu sync.Mutex
		b.report = func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			opts.Progress(e)
		}
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	if b.engine, err = connect(ctx, opts.Host); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			b.engine.Close()
		}
	}()
	if b.apt, err = readApt(ctx, opts.AptDir); err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256([]byte(opts.Dir))
	b.scope = hex.EncodeToString(sum[:3]) + "-"
	if err := b.removeLeftovers(ctx); err != nil {
		return nil, nil, err
	}
	return b, func() { b.engine.Close(); unlock() }, nil
}

func (b *builder) build(ctx context.Context) (*Seed, error) {
	cat, err := b.catalogue()
	if err != nil {
		return nil, err
	}
	labnode, err := b.opts.Labnode(ctx, b.engine.arch)
	if err != nil {
		return nil, err
	}
	made, err := b.buildImages(ctx, cat)
	if err != nil {
		return nil, err
	}
	var m manifest
	err = b.task(ctx, "image node with labnode", func(func(string)) (did bool, err error) {
		m.NodeImage, did, err = b.nodeImage(ctx, cat.Node(), labnode)
		return did, err
	})
	if err != nil {
		return nil, err
	}

	var course []built
	h := sha256.New()
	fmt.Fprintf(h, "format %s\n%s\nnode %s\n", format, loadScript, made[cat.Node().Name].ID)
	for _, r := range cat.InNodes() {
		c := made[r.Name]
		course = append(course, c)
		m.Images = append(m.Images, c.Tags...)
		fmt.Fprintf(h, "%s %s\n", c.ID, strings.Join(c.Tags, " "))
	}
	slices.Sort(m.Images)
	m.Data = hex.EncodeToString(h.Sum(nil))[:16]
	fmt.Fprintln(h, m.NodeImage)
	m.Digest = hex.EncodeToString(h.Sum(nil))[:16]

	err = b.task(ctx, "seed", func(log func(string)) (bool, error) {
		return b.publish(ctx, m, made[cat.Node().Name].Ref, course, log)
	})
	if err != nil {
		return nil, err
	}
	return Open(b.opts.Dir)
}

// catalogue loads the recipes for the engine's architecture.
func (b *builder) catalogue() (*images.Catalogue, error) {
	if b.opts.Recipes != nil {
		return images.LoadFS(b.opts.Recipes, b.engine.arch)
	}
	return images.Load(b.engine.arch)
}

// publish builds the data that m names, unless it exists, and makes m the current manifest.
func (b *builder) publish(ctx context.Context, m manifest, nodeBase string, course []built, log func(string)) (did bool, err error) {
	final := filepath.Join(b.opts.Dir, dataDir, m.Data)
	if _, err := os.Stat(final); errors.Is(err, fs.ErrNotExist) {
		did = true
		tmp, err := os.MkdirTemp(b.opts.Dir, tmpPrefix)
		if err != nil {
			return false, err
		}
		err = b.makeData(ctx, nodeBase, course, tmp, log)
		if err == nil {
			err = os.Chmod(tmp, 0o755)
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(final), 0o755)
		}
		if err == nil {
			err = os.Rename(tmp, final)
		}
		if err != nil {
			return false, errors.Join(err, os.RemoveAll(tmp))
		}
	} else if err != nil {
		return false, err
	}
	data, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return false, err
	}
	current := filepath.Join(b.opts.Dir, currentFile)
	if old, err := os.ReadFile(current); err == nil && string(old) == string(data) {
		return did, nil
	}
	return true, writeAtomically(current, data)
}

func writeAtomically(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), tmpPrefix)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// lock waits until no other build uses the directory.
func (b *builder) lock(ctx context.Context) (func(), error) {
	f, err := os.OpenFile(filepath.Join(b.opts.Dir, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock seed directory: %w", err)
	}
	// A blocking flock can't be interrupted by a context, so this polls.
	for waiting := false; ; waiting = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock seed directory: %w", err)
		}
		if !waiting {
			b.report(Event{Task: "seed", State: Output, Text: "waiting for another build to end"})
		}
		select {
		case <-time.After(lockRetry):
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		}
	}
}
