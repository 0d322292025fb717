package seed

import (
	"archive/tar"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/strslice"
	"golang.org/x/sys/unix"
)

//go:embed load.sh
var loadScript string

// templateSize is the size of the template's file system. Seed.Disk makes other sizes.
const templateSize = 4 << 30

// nodeCapabilities are the capabilities that an engine needs to load images. Under gVisor they
// apply inside gVisor's kernel only.
var nodeCapabilities = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW",
	"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE",
}

// makeData writes layers/ and the template to dir, which must be empty.
func (b *builder) makeData(ctx context.Context, nodeBase string, course []built, dir string, log func(string)) error {
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o700); err != nil {
		return err
	}
	if err := b.load(ctx, nodeBase, course, work, log); err != nil {
		return fmt.Errorf("load the images: %w", err)
	}
	root := filepath.Join(work, "docker")
	if _, err := os.Stat(root); err != nil {
		return errors.New("what the engine wrote is not on this machine: the seed must be built where the engine runs")
	}
	if err := splitDataRoot(root, filepath.Join(dir, layersDir)); err != nil {
		return err
	}
	if err := archiveMetadata(root, filepath.Join(dir, layersDir, archiveFile)); err != nil {
		return fmt.Errorf("archive the images' metadata: %w", err)
	}
	disk := filepath.Join(work, "disk")
	if err := os.Rename(root, filepath.Join(disk, "var/lib/docker")); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(disk, LayersTarget), 0o755); err != nil {
		return err
	}
	if err := makeTemplate(ctx, disk, filepath.Join(dir, templateFile)); err != nil {
		return err
	}
	return os.RemoveAll(work)
}

// load runs dockerd in a container of the node image, with work as its /seed, and loads the images.
func (b *builder) load(ctx context.Context, nodeBase string, course []built, work string, log func(string)) (err error) {
	var refs, args []string
	for _, c := range course {
		refs = append(refs, c.Ref)
		for _, t := range c.Tags {
			args = append(args, c.Ref, t)
		}
	}
	runtime, err := b.runtime(ctx)
	if err != nil {
		return err
	}
	log(fmt.Sprintf("loading %d images into an engine of a node", len(refs)))
	host := &container.HostConfig{
		Runtime:     runtime,
		NetworkMode: "none",
		CapDrop:     strslice.StrSlice{"ALL"},
		CapAdd:      nodeCapabilities,
		Mounts:      []mount.Mount{{Type: mount.TypeBind, Source: work, Target: "/seed"}},
	}
	if runtime != sandboxRuntime {
		// The default profiles forbid mounting overlays. The engine loads only images that were
		// built above.
		host.SecurityOpt = []string{"seccomp=unconfined", "apparmor=unconfined"}
	}
	id, remove, err := b.engine.create(ctx, b.scope+"seed", &container.Config{
		Image:      nodeBase,
		Entrypoint: strslice.StrSlice{"/bin/sh", "-eu", "-c", loadScript, "load"},
		Cmd:        args,
		OpenStdin:  true,
		StdinOnce:  true,
	}, host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	stream, err := b.engine.cli.ImageSave(ctx, refs)
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	defer stream.Close()
	return b.engine.run(ctx, id, stream, log)
}

// runtime returns the OCI runtime for the engine that loads the images.
func (b *builder) runtime(ctx context.Context) (string, error) {
	if b.opts.Runtime != "" {
		return b.opts.Runtime, nil
	}
	info, err := b.engine.cli.Info(ctx)
	if err != nil {
		return "", fmt.Errorf("engine info: %w", err)
	}
	if _, ok := info.Runtimes[sandboxRuntime]; ok {
		return sandboxRuntime, nil
	}
	return "", nil
}

// splitDataRoot moves the content of each layer to layers/<id>/diff and replaces it with a link to
// its path in a node. It also removes files that must not be equal in all engines.
func splitDataRoot(root, layers string) error {
	if err := os.Mkdir(layers, 0o755); err != nil {
		return err
	}
	overlay := filepath.Join(root, "overlay2")
	entries, err := os.ReadDir(overlay)
	if err != nil {
		return fmt.Errorf("data-root: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.Name() != "l" && e.IsDir() {
			ids = append(ids, e.Name())
		}
	}
	// A layer is checked against the layers below it, so all are checked before the first one is
	// moved.
	for _, id := range ids {
		if err := cleanLayer(overlay, id); err != nil {
			return fmt.Errorf("layer %s: %w", id, err)
		}
	}
	for _, id := range ids {
		diff := filepath.Join(overlay, id, "diff")
		to := filepath.Join(layers, id)
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
		if err := os.Rename(diff, filepath.Join(to, "diff")); err != nil {
			return fmt.Errorf("data-root: %w", err)
		}
		if err := os.Symlink(path.Join(LayersTarget, id, "diff"), diff); err != nil {
			return err
		}
	}
	for _, name := range []string{"engine-id", "network", "tmp", "runtimes", "containerd"} {
		if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return nil
}

// metadataDirs are the parts of a data root that describe images.
var metadataDirs = []string{"overlay2", "image/overlay2/layerdb/sha256", "image/overlay2/imagedb", "image/overlay2/repositories.json"}

// archiveMetadata writes the metadata of all images in the data root to a tar file, with names
// relative to the data root.
func archiveMetadata(root, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	for _, dir := range metadataDirs {
		if err == nil {
			err = filepath.WalkDir(filepath.Join(root, dir), func(p string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				return archiveEntry(w, root, p, d)
			})
		}
	}
	if err == nil {
		err = w.Close()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func archiveEntry(w *tar.Writer, root, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	link := ""
	if info.Mode().Type() == fs.ModeSymlink {
		if link, err = os.Readlink(name); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	if h.Name, err = filepath.Rel(root, name); err != nil {
		return err
	}
	h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
	if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(w, in)
	return err
}

// opaqueMarks are the attributes of a directory that hides the one below it. overlayfs sets them on
// every new directory.
var opaqueMarks = []string{"trusted.overlay.opaque", "user.overlay.opaque"}

// cleanLayer enforces the rules for layers (see package images). It rejects device nodes, which
// also mark deleted files, and directories that hide one of a lower layer. It removes the marks of
// directories that hide nothing.
func cleanLayer(overlay, id string) error {
	var below []string
	lower, err := os.ReadFile(filepath.Join(overlay, id, "lower"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for link := range strings.SplitSeq(strings.TrimSpace(string(lower)), ":") {
		if link != "" {
			below = append(below, filepath.Join(overlay, link)) // "l/NAME" is a link to ../<id>/diff
		}
	}
	diff := filepath.Join(overlay, id, "diff")
	return filepath.WalkDir(diff, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(p, diff)
		if d.Type()&fs.ModeDevice != 0 {
			return fmt.Errorf("%s is a device node or marks a deletion: the image's build.sh must not delete what its base has", name)
		}
		if !d.IsDir() {
			return nil
		}
		for _, mark := range opaqueMarks {
			err := unix.Lremovexattr(p, mark)
			if errors.Is(err, unix.ENODATA) {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %s: %w", name, mark, err)
			}
			for _, b := range below {
				if _, err := os.Lstat(filepath.Join(b, name)); err == nil {
					return fmt.Errorf("%s hides what its base has there: the image's build.sh must not delete it", name)
				}
			}
		}
		return nil
	})
}

// makeTemplate makes a sparse ext4 image from dir. It has no journal, which would cost each node 4
// MiB or more; a disk is used by one machine only, and checked before it is mounted again. Blocks
// of 2 KiB instead of 4 KiB save 0.5 MB per node, because /etc and the engine have many small
// files. Large files were equally fast.
func makeTemplate(ctx context.Context, dir, file string) error {
	return command(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-L", "labd-node", "-m", "0", "-b", strconv.Itoa(blockSize),
		"-O", "^has_journal,^resize_inode,^metadata_csum_seed",
		"-E", "lazy_itable_init=1,nodiscard,root_owner=0:0",
		"-d", dir, file, strconv.Itoa(templateSize/1024)+"k")
}

// command runs a program of e2fsprogs, which may not be in an ordinary user's PATH.
func command(ctx context.Context, name string, args ...string) error {
	bin := name
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if _, err := exec.LookPath(name); err == nil {
			break
		}
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			bin = filepath.Join(dir, name)
		}
	}
	out, err := exec.CommandContext(ctx, bin, args...).CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not installed (apt-get install e2fsprogs): %w", name, err)
	case err != nil:
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
