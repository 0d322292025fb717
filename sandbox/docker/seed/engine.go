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
	// outputTail is how much of a failed step's output its error shows.
	outputTail = 1 << 10
	// cleanupTimeout bounds the removal of what a step made, also when the build was cancelled.
	cleanupTimeout = 30 * time.Second
	// containerPrefix begins the names of all containers that a build makes.
	containerPrefix = "labd-build-"
)

// engine is the host's Docker engine as a build uses it.
type engine struct {
	cli     *client.Client
	arch    string // in Go's spelling
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

// imageInfo is what a build wants to know of an image.
type imageInfo struct {
	ID     string
	Labels map[string]string
	Layers int
}

// inspect returns nil if ref does not exist.
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

// removeImage removes an image unless something needs it still.
func (e *engine) removeImage(ctx context.Context, ref string) error {
	_, err := e.cli.ImageRemove(ctx, ref, image.RemoveOptions{PruneChildren: true})
	if err != nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	return nil
}

// removeReplaced removes the image that had the name ref before another got it.
func (e *engine) removeReplaced(ctx context.Context, oldID, ref string) error {
	now, err := e.inspect(ctx, ref)
	if err != nil || now == nil || now.ID == oldID {
		return err
	}
	return e.removeImage(ctx, oldID)
}

// create makes a container whose name tells where it came from. The returned function removes it, whatever became of ctx.
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

// run starts a created container, feeds it stdin (may be nil), passes each line of output to log and waits for its end.
// An exit code other than 0 is an error that shows the end of the output.
func (e *engine) run(ctx context.Context, id string, stdin io.Reader, log func(string)) error {
	att, err := e.cli.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdin: stdin != nil, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	defer att.Close()
	// The connection ends with the context, and with it both copies below.
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

// importTar makes an image of one layer.
func (e *engine) importTar(ctx context.Context, ref string, layer io.Reader, changes []string) error {
	rc, err := e.cli.ImageImport(ctx, image.ImportSource{Source: layer, SourceName: "-"}, ref,
		image.ImportOptions{Changes: changes, Platform: "linux/" + e.arch})
	if err != nil {
		return fmt.Errorf("import %s: %w", ref, err)
	}
	defer rc.Close()
	return streamError(rc)
}

// commit makes an image of a container. Config is the whole of the image's: nothing of the container's own shows through
// as long as it sets Cmd.
func (e *engine) commit(ctx context.Context, id, ref string, conf *container.Config) error {
	if _, err := e.cli.ContainerCommit(ctx, id, container.CommitOptions{Reference: ref, Config: conf}); err != nil {
		return fmt.Errorf("commit %s: %w", ref, err)
	}
	return nil
}

// put copies files into a created container. Directories on the way are made.
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

// streamError reads the engine's JSON progress to its end and returns the error in it.
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

// writeTar writes files owned by root, each directory once. The times are fixed so that nothing depends on the clock.
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

// lineWriter passes whole lines on and remembers the last of what it saw.
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
