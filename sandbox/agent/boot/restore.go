package boot

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dataRoot = "/var/lib/docker"
	// imagesArchive contains the engine's metadata of all course images. Package seed puts it
	// beside the layers, which every node mounts read-only.
	imagesArchive = "/var/lib/labd/layers/images.tar"
	// engineLock is a lock file (flock). While it is locked, process 1 does not start dockerd. The
	// kernel releases the lock when its holder dies.
	engineLock = runDir + "/engine.lock"

	repositoriesFile = "image/overlay2/repositories.json"
	restoreTmp       = "labd-restore" // in the data root, because rename needs one file system

	engineStop   = 30 * time.Second // dockerd waits for its containers to stop
	engineStart  = time.Minute
	restorePause = 20 * time.Millisecond
)

// restoreImages gives the engine the course images back that the learner removed. Their layers are
// still there; the engine has only deleted its metadata. It reads metadata at start-up only. So
// dockerd is stopped, the metadata is put back, and process 1 starts dockerd again. Containers that
// were running are started again too.
func restoreImages(ctx context.Context) error {
	if _, err := os.Stat(imagesArchive); err != nil {
		return fmt.Errorf("the archive of the course images is missing: %w", err)
	}
	lock, err := lockEngine()
	if err != nil {
		return err
	}
	defer lock.Close()
	engine := engineClient()
	defer engine.CloseIdleConnections()
	running := runningContainers(ctx, engine)
	if err := stopEngine(ctx); err != nil {
		return err
	}
	if err := unpackImages(imagesArchive, dataRoot); err != nil {
		return err
	}
	lock.Close() // lets process 1 start dockerd
	if err := awaitEngine(ctx, engine); err != nil {
		return err
	}
	var errs []error
	for _, id := range running {
		if err := ask(ctx, engine, http.MethodPost, "/containers/"+id+"/start", nil); err != nil {
			errs = append(errs, fmt.Errorf("start container %.12s again: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// lockEngine takes the lock that keeps dockerd from being started. Closing the file releases it.
func lockEngine() (*os.File, error) {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(engineLock, os.O_CREATE|os.O_RDWR|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("the images are being restored already: %w", err)
	}
	return f, nil
}

// engineLocked reports whether the lock is held.
func engineLocked() bool {
	f, err := os.OpenFile(engineLock, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// enginePID returns the process id of the running dockerd, 0 if there is none.
func enginePID() int {
	pid := readPID(dockerPID)
	if pid <= 1 {
		return 0
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(comm)) != "dockerd" {
		return 0
	}
	return pid
}

// stopEngine ends dockerd, which first stops its containers.
func stopEngine(ctx context.Context) error {
	deadline := time.Now().Add(engineStop)
	for sig := syscall.SIGTERM; ; {
		pid := enginePID()
		if pid == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			sig = syscall.SIGKILL
		}
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop dockerd: %w", err)
		}
		// SIGTERM is sent once only: the third one would end dockerd without stopping its
		// containers.
		for enginePID() == pid && (sig == syscall.SIGKILL || time.Now().Before(deadline)) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			time.Sleep(restorePause)
		}
	}
}

// unpackImages adds the files of the archive to the data root, unless they exist. Files of other
// images stay. It unpacks into a temporary directory first, so that an interruption leaves no
// incomplete layer.
func unpackImages(archive, root string) error {
	tmp := filepath.Join(root, restoreTmp)
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := extract(archive, tmp); err != nil {
		return fmt.Errorf("unpack the course images: %w", err)
	}
	// Layers first, then the images that use them, then the names.
	for _, dir := range []string{
		"overlay2/l", "overlay2", "image/overlay2/layerdb/sha256", "image/overlay2/imagedb/metadata/sha256", "image/overlay2/imagedb/content/sha256",
	} {
		if err := moveMissing(filepath.Join(tmp, dir), filepath.Join(root, dir)); err != nil {
			return fmt.Errorf("restore the course images: %w", err)
		}
	}
	if err := mergeRepositories(filepath.Join(tmp, repositoriesFile), filepath.Join(root, repositoriesFile)); err != nil {
		return fmt.Errorf("restore the names of the course images: %w", err)
	}
	return nil
}

// extract unpacks a tar archive of directories, files and symbolic links.
func extract(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) {
			return fmt.Errorf("entry %q is outside of the archive", h.Name)
		}
		to := filepath.Join(dir, h.Name)
		if err := os.MkdirAll(filepath.Dir(to), 0o711); err != nil {
			return err
		}
		mode := h.FileInfo().Mode()
		switch h.Typeflag {
		case tar.TypeDir:
			if err = os.MkdirAll(to, mode.Perm()); err == nil {
				err = os.Chmod(to, mode.Perm())
			}
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, to)
		case tar.TypeReg:
			err = writeFrom(r, to, mode.Perm())
		default:
			err = fmt.Errorf("entry %q has the unexpected type %q", h.Name, h.Typeflag)
		}
		if err != nil {
			return err
		}
	}
}

func writeFrom(r io.Reader, name string, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// moveMissing moves the entries of from that do not exist in to.
func moveMissing(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o710); err != nil {
		return err
	}
	for _, e := range entries {
		target := filepath.Join(to, e.Name())
		if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Rename(filepath.Join(from, e.Name()), target); err != nil {
			return err
		}
	}
	return nil
}

// mergeRepositories adds the image names in the file from to those in the file to. If both have a
// name, it gets the course's image.
func mergeRepositories(from, to string) error {
	type names struct {
		Repositories map[string]map[string]string
	}
	var course, all names
	for file, into := range map[string]*names{from: &course, to: &all} {
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) && file == to {
			continue
		}
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, into); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if all.Repositories == nil {
		all.Repositories = map[string]map[string]string{}
	}
	for repository, images := range course.Repositories {
		if all.Repositories[repository] == nil {
			all.Repositories[repository] = map[string]string{}
		}
		maps.Copy(all.Repositories[repository], images)
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	tmp := from + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}

// engineClient returns an HTTP client for the node's engine.
func engineClient() *http.Client {
	var d net.Dialer
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // the engine restarts between requests
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", engineSocket)
		},
	}}
}

const maxEngineAnswer = 8 << 20

// ask sends a request to the engine and decodes the response into v, unless v is nil.
func ask(ctx context.Context, engine *http.Client, method, url string, v any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+url, nil)
	if err != nil {
		return err
	}
	resp, err := engine.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxEngineAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 400 {
		return fmt.Errorf("engine answers %s: %s", resp.Status, bytes.TrimSpace(data))
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(data, v)
}

// runningContainers returns the ids of the running containers, oldest first. It returns none if the
// engine does not answer.
func runningContainers(ctx context.Context, engine *http.Client) []string {
	ctx, cancel := context.WithTimeout(ctx, engineStop)
	defer cancel()
	var list []struct{ Id string }
	if enginePID() == 0 || ask(ctx, engine, http.MethodGet, "/containers/json", &list) != nil {
		return nil
	}
	var ids []string
	for _, c := range list {
		ids = append(ids, c.Id)
	}
	slices.Reverse(ids) // the engine lists the newest first, and a newer container may need an older one
	return ids
}

// awaitEngine waits until dockerd answers.
func awaitEngine(ctx context.Context, engine *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, engineStart)
	defer cancel()
	for {
		err := ask(ctx, engine, http.MethodGet, "/_ping", nil)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(restorePause):
		case <-ctx.Done():
			return fmt.Errorf("dockerd does not answer after the restart: %w", err)
		}
	}
}
