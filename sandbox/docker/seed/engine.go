package seed

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/labd-dev/labd/sandbox"
)

const (
	// outputTail is the number of bytes of a failed step's output in its error.
	outputTail = 1 << 10
	// cleanupTimeout bounds the cleanup after a step, including after a cancelled build.
	cleanupTimeout = 30 * time.Second
	// containerPrefix is the prefix of the names of all containers of a build.
	containerPrefix = "labd-build-"
)

// engine is the client for the host's Docker engine.
type engine struct {
	cli     *client.Client
	arch    string // Go's name
	version string
}

func connect(ctx context.Context, host string) (*engine, error) {
	opts := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if host != "" {
		opts = append(opts, client.WithHost(host))
	}
	cli, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, fmt.Errorf("docker client: %w", err)
	}
	v, err := cli.ServerVersion(ctx)
	if err != nil {
		cli.Close()
		return nil, fmt.Errorf("%w: %w", sandbox.ErrUnavailable, err)
	}
	return &engine{cli: cli, arch: v.Arch, version: v.Version}, nil
}

func (e *engine) Close() error { return e.cli.Close() }

// imageInfo is what a build needs to know about an image.
type imageInfo struct {
	ID     string
	Labels map[string]string
	Layers int
}

// inspect returns nil if the image does not exist.
func (e *engine) inspect(ctx context.Context, ref string) (*imageInfo, error) {
	got, err := e.cli.ImageInspect(ctx, ref)
	if cerrdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", ref, err)
	}
	info := &imageInfo{ID: got.ID, Layers: len(got.RootFS.Layers)}
	if got.Config != nil {
		info.Labels = got.Config.Labels
	}
	return info, nil
}

// removeImage removes an image unless it is still in use.
func (e *engine) removeImage(ctx context.Context, ref string) error {
	_, err := e.cli.ImageRemove(ctx, ref, image.RemoveOptions{PruneChildren: true})
	if err != nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	return nil
}

// removeReplaced removes the image that had the name ref before.
func (e *engine) removeReplaced(ctx context.Context, oldID, ref string) error {
	now, err := e.inspect(ctx, ref)
	if err != nil || now == nil || now.ID == oldID {
		return err
	}
	return e.removeImage(ctx, oldID)
}

// create creates a container. Its name says where it comes from. The returned function removes it,
// even after ctx has ended.
func (e *engine) create(ctx context.Context, name string, c *container.Config, h *container.HostConfig) (string, func() error, error) {
	var id [4]byte
	rand.Read(id[:])
	made, err := e.cli.ContainerCreate(ctx, c, h, nil, nil, containerPrefix+name+"-"+hex.EncodeToString(id[:]))
	if err != nil {
		return "", nil, fmt.Errorf("create container for %s: %w", name, err)
	}
	remove := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		err := e.cli.ContainerRemove(ctx, made.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if err != nil && !cerrdefs.IsNotFound(err) {
			return fmt.Errorf("remove container of %s: %w", name, err)
		}
		return nil
	}
	return made.ID, remove, nil
}

// run starts a created container, sends it stdin (may be nil), passes each line of its output to
// log and waits for it. An exit code other than 0 is an error with the end of the output.
func (e *engine) run(ctx context.Context, id string, stdin io.Reader, log func(string)) error {
	att, err := e.cli.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdin: stdin != nil, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	defer att.Close()
	// Closing the connection when ctx ends also ends both copies below.
	stop := context.AfterFunc(ctx, func() { att.Close() })
	defer stop()

	waitC, errC := e.cli.ContainerWait(ctx, id, container.WaitConditionNextExit)
	if err := e.cli.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return fmt.Errorf("start: %w", err)
	}

	out := &lineWriter{log: log}
	var copies sync.WaitGroup
	var outErr, inErr error
	copies.Go(func() { _, outErr = stdcopy.StdCopy(out, out, att.Reader) })
	if stdin != nil {
		copies.Go(func() {
			_, inErr = io.Copy(att.Conn, stdin)
			att.CloseWrite()
		})
	}

	var status container.WaitResponse
	select {
	case status = <-waitC:
	case err := <-errC:
		att.Close()
		copies.Wait()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("wait: %w", err)
	}
	if status.StatusCode != 0 {
		att.CloseWrite()
	}
	copies.Wait()
	out.flush()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case status.StatusCode != 0:
		return fmt.Errorf("exit code %d; its last output:\n%s", status.StatusCode, out.tail())
	case status.Error != nil:
		return errors.New(status.Error.Message)
	case inErr != nil:
		return fmt.Errorf("send input: %w", inErr)
	case outErr != nil:
		return fmt.Errorf("read output: %w", outErr)
	}
	return nil
}

// importTar creates an image with one layer.
func (e *engine) importTar(ctx context.Context, ref string, layer io.Reader, changes []string) error {
	rc, err := e.cli.ImageImport(ctx, image.ImportSource{Source: layer, SourceName: "-"}, ref,
		image.ImportOptions{Changes: changes, Platform: "linux/" + e.arch})
	if err != nil {
		return fmt.Errorf("import %s: %w", ref, err)
	}
	defer rc.Close()
	return streamError(rc)
}

// commit creates an image from a container. conf replaces the container's configuration completely,
// provided that it sets Cmd.
func (e *engine) commit(ctx context.Context, id, ref string, conf *container.Config) error {
	if _, err := e.cli.ContainerCommit(ctx, id, container.CommitOptions{Reference: ref, Config: conf}); err != nil {
		return fmt.Errorf("commit %s: %w", ref, err)
	}
	return nil
}

// put copies files to a created container and creates parent directories.
func (e *engine) put(ctx context.Context, id string, files []tarFile) error {
	var buf bytes.Buffer
	if err := writeTar(&buf, files); err != nil {
		return err
	}
	if err := e.cli.CopyToContainer(ctx, id, "/", &buf, container.CopyToContainerOptions{}); err != nil {
		return fmt.Errorf("copy into container: %w", err)
	}
	return nil
}

// streamError reads the engine's JSON progress stream to its end and returns the error in it.
func streamError(r io.Reader) error {
	dec := json.NewDecoder(r)
	for {
		var m struct {
			Error string `json:"error"`
		}
		switch err := dec.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("engine's answer: %w", err)
		case m.Error != "":
			return errors.New(m.Error)
		}
	}
}

type tarFile struct {
	path string
	mode fs.FileMode
	data []byte
}

// writeTar writes files owned by root, and each parent directory once. Fixed timestamps keep the
// result reproducible.
func writeTar(w io.Writer, files []tarFile) error {
	tw := tar.NewWriter(w)
	seen := map[string]bool{".": true}
	for _, f := range files {
		var dirs []string
		for d := path.Dir(f.path); !seen[d]; d = path.Dir(d) {
			seen[d] = true
			dirs = append(dirs, d)
		}
		for i := len(dirs) - 1; i >= 0; i-- {
			if err := tw.WriteHeader(&tar.Header{Name: dirs[i] + "/", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
				return err
			}
		}
		if err := tw.WriteHeader(&tar.Header{Name: f.path, Typeflag: tar.TypeReg, Mode: int64(f.mode.Perm()), Size: int64(len(f.data))}); err != nil {
			return err
		}
		if _, err := tw.Write(f.data); err != nil {
			return err
		}
	}
	return tw.Close()
}

// lineWriter passes on whole lines and keeps the end of the output.
type lineWriter struct {
	log  func(string)
	line []byte
	last []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.last = append(w.last, p...)
	if len(w.last) > 2*outputTail {
		w.last = append(w.last[:0], w.last[len(w.last)-outputTail:]...)
	}
	w.line = append(w.line, p...)
	for {
		i := bytes.IndexByte(w.line, '\n')
		if i < 0 {
			if len(w.line) > outputTail {
				w.flush()
			}
			return len(p), nil
		}
		w.emit(string(w.line[:i]))
		w.line = w.line[i+1:]
	}
}

func (w *lineWriter) flush() {
	if len(w.line) > 0 {
		w.emit(string(w.line))
		w.line = nil
	}
}

func (w *lineWriter) emit(s string) {
	if s = strings.TrimRight(s, "\r"); s != "" && w.log != nil {
		w.log(s)
	}
}

func (w *lineWriter) tail() string {
	return strings.TrimSpace(string(w.last[max(0, len(w.last)-outputTail):]))
}
