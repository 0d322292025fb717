// Package setup installs what labs need on a machine, and reports what is missing.
//
// Setup is a list of steps. Each step first checks whether there is something to do, so a second
// run changes nothing. A step that needs root is run through sudo if the caller is not root; all
// other steps run as the caller. A running engine is never restarted: it is told to reload its
// configuration.
//
// The doctor (doctor.go) changes nothing. Its checks use the same Host as setup.
package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Step is one step of setup.
type Step struct {
	Name string // one word; also the value of --step
	Root bool   // Do needs root
	// Look reports whether the step is done already. It changes nothing. detail is printed unless
	// it is empty.
	Look func(ctx context.Context) (done bool, detail string, err error)
	// Plan says what Do will do and how long that takes. It is called after Look.
	Plan func() string
	// Do performs the step and says what it did.
	Do func(ctx context.Context, p *Progress) (detail string, err error)
}

// Options are the options of Run.
type Options struct {
	Out   io.Writer
	Tests bool // also install what the project's tests need
	// Only is the name of the only step to run; "" means all.
	Only string
	// Endpoint is the engine's address; "" means DOCKER_HOST or the local socket.
	Endpoint string
	// Images builds the node image, the course images and the seed. Nil skips this.
	Images *Step
	// Self is the command line that runs one step of this setup, without the --step flag. It is
	// passed to sudo.
	Self []string
	// Cache is the directory for built files that root installs later.
	Cache string
}

// installer is the state that the steps share.
type installer struct {
	Options
	host     Host
	endpoint string
	paths    paths
	wait     waits
}

// paths are the files that setup writes.
type paths struct {
	runsc        string
	daemonConfig string // unless the running engine uses another one
	dockerdLog   string
	dockerdPID   string
	// containerdPID is the pid file of the containerd that dockerd starts if no service manager
	// runs one.
	containerdPID string
}

// waits are setup's timeouts.
type waits struct {
	aptLock   time.Duration
	aptRetry  time.Duration
	engine    time.Duration
	reload    time.Duration
	poll      time.Duration
	heartbeat time.Duration
}

func newInstaller(h Host, opt Options) *installer {
	endpoint := opt.Endpoint
	if endpoint == "" {
		endpoint = endpointOf(h)
	}
	return &installer{
		Options:  opt,
		host:     h,
		endpoint: endpoint,
		paths: paths{
			runsc:         runscPath,
			daemonConfig:  "/etc/docker/daemon.json",
			dockerdLog:    "/var/log/labd-dockerd.log",
			dockerdPID:    "/var/run/docker.pid",
			containerdPID: "/var/run/docker/containerd/containerd.pid",
		},
		wait: waits{
			aptLock:   2 * time.Minute,
			aptRetry:  3 * time.Second,
			engine:    time.Minute,
			reload:    20 * time.Second,
			poll:      100 * time.Millisecond,
			heartbeat: 20 * time.Second,
		},
	}
}

// CacheDir returns the default directory for built files.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place for builds: %w", err)
	}
	return filepath.Join(dir, "labd"), nil
}

// Run runs the steps in order and stops at the first error.
func Run(ctx context.Context, h Host, opt Options) error {
	if h.OS() != "linux" {
		return fmt.Errorf("setup installs on Debian and Ubuntu; this is %s. `labd doctor` tells what can be done here", h.OS())
	}
	in := newInstaller(h, opt)
	return in.run(ctx, in.steps())
}

func (in *installer) steps() []Step {
	steps := []Step{
		in.packagesStep(),
		in.engineStep(),
		in.runscBuildStep(),
		in.runscStep(),
		in.runtimeStep(),
	}
	if in.Images != nil {
		steps = append(steps, *in.Images)
	}
	return steps
}

func (in *installer) run(ctx context.Context, steps []Step) error {
	begin := time.Now()
	found := false
	for _, s := range steps {
		if in.Only != "" && s.Name != in.Only {
			continue
		}
		found = true
		if err := in.runStep(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	if !found {
		return fmt.Errorf("no step %q", in.Only)
	}
	if in.Only == "" {
		fmt.Fprintf(in.Out, "Everything that labs need is in place (%s).\n", seconds(time.Since(begin)))
	}
	return nil
}

func (in *installer) runStep(ctx context.Context, s Step) error {
	begin := time.Now()
	done, detail, err := s.Look(ctx)
	if err != nil {
		return err
	}
	if done {
		if detail != "" {
			printLine(in.Out, "✓", s.Name, detail, 0)
		}
		return nil
	}
	if s.Root && in.host.UID() != 0 {
		return in.asRoot(ctx, s)
	}
	printLine(in.Out, "…", s.Name, s.Plan(), 0)
	p := startProgress(in.Out, in.wait.heartbeat)
	detail, err = s.Do(ctx, p)
	p.stop()
	if err != nil {
		return err
	}
	printLine(in.Out, "✓", s.Name, detail, time.Since(begin))
	return nil
}

// keptEnv are the variables that a step needs and that sudo would drop: where the engine is, and
// how Go and apt reach their sources.
var keptEnv = []string{
	"PATH", "DOCKER_HOST", "LABD_SEED_DIR", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOTOOLCHAIN",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE",
}

// asRoot runs one step through sudo. It uses the terminal, so sudo can ask for a password.
func (in *installer) asRoot(ctx context.Context, s Step) error {
	sudo, err := in.host.LookPath("sudo")
	if err != nil || len(in.Self) == 0 {
		return errors.New("this needs root, and there is no sudo here: run `labd setup` as root")
	}
	args := []string{sudo, "env"}
	for _, key := range keptEnv {
		if v := in.host.Getenv(key); v != "" {
			args = append(args, key+"="+v)
		}
	}
	args = append(args, in.Self...)
	args = append(args, "--step", s.Name)
	if _, err := in.host.Run(ctx, Command{Args: args, Terminal: true}); err != nil {
		return fmt.Errorf("through sudo: %w", err)
	}
	return nil
}
