package setup

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// runscVersion is the tested version of gVisor. Older releases lack features that Docker in a
	// node needs.
	runscVersion = "v0.0.0-20260905035102-160fafc42237"
	runscModule  = "gvisor.dev/gvisor"
	runscPath    = "/usr/local/bin/runsc"
	// runscBuild is the output of `runsc --version`: the version, and the number of our patch set.
	runscBuild = runscVersion + "+labd.5"
	// runscMark is the linker flag that puts runscBuild into the binary. runscProblem looks for it
	// in the build information.
	runscMark = "-X gvisor.dev/gvisor/runsc/version.version=" + runscBuild
)

// patch changes a file of gVisor's source. Old must occur in it exactly Times times.
type patch struct {
	File, Old, New string
	Times          int
}

// runscPatches returns the bug fixes that labs need on top of runscVersion. After a change here,
// increase the number in runscBuild: it tells setup and the doctor that an installed runsc is out
// of date.
func runscPatches() []patch {
	const (
		lineDiscipline = "pkg/sentry/fsimpl/devpts/line_discipline.go"
		queueFile      = "pkg/sentry/fsimpl/devpts/queue.go"
	)
	return []patch{{
		// open(2) of a FIFO blocks until the other end is opened. Linux restarts it after a signal
		// whose handler has SA_RESTART, but gVisor returns EINTR. runc's init process blocks there
		// between create and start, and the Go runtime signals its own threads, so on a busy
		// machine some containers failed with "cannot start a stopped process".
		File: "pkg/sentry/kernel/pipe/vfs.go", Old: "linuxerr.EINTR\n", New: "linuxerr.ERESTARTSYS\n", Times: 2,
	}, {
		// ECHOCTL: Linux echoes a control character as ^X. gVisor accepts the flag but echoes the
		// character itself, so an arrow key that is pressed while a command runs moves the cursor,
		// and a terminal's answer to a query is echoed as a new query, which the terminal answers
		// again. See echo_char in Linux's drivers/tty/n_tty.c.
		File: lineDiscipline, Times: 1,
		Old: "\t\t\tl.outQueue.writeBytes(cBytes, l)\n",
		New: "\t\t\tl.outQueue.writeBytes(l.echo(cBytes), l)\n",
	}, {
		// The same for the characters that send a signal, which gVisor does not echo at all: Ctrl-C
		// shows ^C. See n_tty_receive_signal_char.
		File: lineDiscipline, Times: 3,
		Old: "\t\t\tif l.termios.LEnabled(linux.ISIG) {\n",
		New: "\t\t\tif l.termios.LEnabled(linux.ISIG) {\n" +
			"\t\t\t\tif l.termios.LEnabled(linux.ECHO) {\n" +
			"\t\t\t\t\tl.outQueue.writeBytes(l.echo(cBytes), l)\n" +
			"\t\t\t\t\tnotifyEcho = true\n" +
			"\t\t\t\t}\n",
	}, {
		// An end of file (Ctrl-D at the start of a line) was lost if more input waited behind it,
		// for example when a learner pastes a text for cat, Ctrl-D and the next command.
		File: queueFile, Times: 1,
		Old: "return int64(n) + int64(pktHdrLen), nPushed > 0, notifyEcho, nil",
		New: "return int64(n) + int64(pktHdrLen), nPushed > 0 && n > 0, notifyEcho, nil",
	}, {
		// Linux handles Ctrl-C, Ctrl-\\ and Ctrl-Z at once and discards the input that nobody has
		// read yet, unless NOFLSH is set. gVisor kept them behind a line that waited to be read:
		// after a learner had typed ahead, or pasted several commands, Ctrl-C did not end the first
		// one. See isig in n_tty.c.
		File: queueFile, Times: 1,
		Old: "\t\tq.waitBufAppend(buf)\n",
		New: "\t\tq.waitBufAppend(l.discardBeforeSignal(q, buf))\n",
	}, {
		File: lineDiscipline, Times: 1,
		Old: "// peek returns the size in bytes",
		New: `// discardBeforeSignal discards all unread input of q if the new input buf has characters that send a signal. It returns
// what is left of buf: these characters, and what follows the last one.
func (l *lineDiscipline) discardBeforeSignal(q *queue, buf []byte) []byte {
	if q != &l.inQueue || !l.termios.LEnabled(linux.ISIG) || l.termios.LEnabled(linux.NOFLSH) {
		return buf
	}
	var signals []byte
	rest := 0
	for i, c := range buf {
		switch c {
		case 0: // a control character that is turned off
		case l.termios.ControlCharacters[linux.VINTR], l.termios.ControlCharacters[linux.VQUIT], l.termios.ControlCharacters[linux.VSUSP]:
			signals = append(signals, c)
			rest = i + 1
		}
	}
	if signals == nil {
		return buf
	}
	q.readBuf, q.readable = nil, false
	q.waitBuf, q.waitBufLen = nil, 0
	return append(signals, buf[rest:]...)
}

// peek returns the size in bytes`,
	}, {
		File: lineDiscipline, Times: 1,
		Old: "// shouldDiscard returns whether c should be discarded.",
		New: `// echo returns what is echoed for c: with ECHOCTL, ^X for a control character.
func (l *lineDiscipline) echo(c []byte) []byte {
	if !l.termios.LEnabled(linux.ECHOCTL) || c[0] >= ' ' && c[0] != 0x7f || c[0] == '\n' || c[0] == '\t' {
		return c
	}
	return []byte{'^', c[0] ^ 0x40}
}

// shouldDiscard returns whether c should be discarded.`,
	}}
}

// apply patches the source in dir.
func (p patch) apply(dir string) error {
	name := filepath.Join(dir, filepath.FromSlash(p.File))
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("patch gVisor: %w", err)
	}
	if n := strings.Count(string(data), p.Old); n != p.Times {
		return fmt.Errorf("patch gVisor: %s has %q %d times, not %d", p.File, p.Old, n, p.Times)
	}
	if err := writeFileAtomic(name, []byte(strings.ReplaceAll(string(data), p.Old, p.New)), 0o644); err != nil {
		return fmt.Errorf("patch gVisor: %w", err)
	}
	return nil
}

// runscProblem says what is wrong with the runsc at path for an engine on arch, or "". It reads the
// build information in the binary and does not execute it, because it may be for another machine.
func runscProblem(path, arch string) string {
	info, err := buildinfo.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "not installed"
	}
	if err != nil {
		return "not a build by labd, so what is in it is unknown"
	}
	if info.Main.Path != runscModule {
		return "a build of " + info.Main.Path + ", not of " + runscModule
	}
	marked := false
	for _, s := range info.Settings {
		switch {
		case s.Key == "-ldflags":
			marked = strings.Contains(s.Value, runscMark)
		case s.Key == "CGO_ENABLED" && s.Value != "0":
			return "linked against the C library, so it dies when a node boots"
		case s.Key == "GOARCH" && s.Value != arch:
			return "built for " + s.Value + ", but the engine runs on " + arch
		}
	}
	if !marked {
		return "another version, but labs need " + runscBuild
	}
	return ""
}

// engineArch returns the architecture that nodes run on: the engine's, or this machine's if no
// engine answers.
func (in *installer) engineArch(ctx context.Context) (string, error) {
	info, err := inspectEngine(ctx, in.host, in.endpoint)
	if err != nil {
		return in.host.Arch(), nil
	}
	if arch := info.goArch(); arch != "" {
		return arch, nil
	}
	return "", fmt.Errorf("the engine runs on %s; labs run on amd64 and arm64", info.Architecture)
}

// built returns the path of a built runsc that is not installed yet.
func (in *installer) built(arch string) string {
	return filepath.Join(in.Cache, "runsc-"+runscBuild+"-"+arch)
}

func (in *installer) runscBuildStep() Step {
	var arch string
	return Step{
		Name: "runsc-build",
		Look: func(ctx context.Context) (bool, string, error) {
			var err error
			if arch, err = in.engineArch(ctx); err != nil {
				return false, "", err
			}
			if runscProblem(in.paths.runsc, arch) == "" || runscProblem(in.built(arch), arch) == "" {
				return true, "", nil
			}
			if _, err := in.host.LookPath("go"); err != nil {
				return false, "", errors.New("gVisor is built with Go, which is not in PATH: install Go from https://go.dev/dl/ and run this again")
			}
			return false, "", nil
		},
		Plan: func() string { return "build gVisor's runsc for " + arch + " (about a minute)" },
		Do: func(ctx context.Context, p *Progress) (string, error) {
			if err := in.buildRunsc(ctx, p, arch); err != nil {
				return "", err
			}
			return "built " + runscBuild, nil
		},
	}
}

func (in *installer) buildRunsc(ctx context.Context, p *Progress, arch string) error {
	if err := os.MkdirAll(in.Cache, 0o755); err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	tmp, err := os.MkdirTemp(in.Cache, "build-*")
	if err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	defer os.RemoveAll(tmp)
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOFLAGS=", "GOWORK=off"}
	cache, err := in.host.Run(ctx, Command{Args: []string{"go", "env", "GOMODCACHE"}})
	if err != nil {
		return err
	}
	module := runscModule + "@" + runscVersion
	if _, err := in.host.Run(ctx, Command{Args: []string{"go", "mod", "download", module}, Env: env, Tee: p}); err != nil {
		return err
	}
	// The module cache must not be modified, so this patches a copy.
	source := filepath.Join(tmp, "source")
	if err := os.CopyFS(source, os.DirFS(filepath.Join(strings.TrimSpace(string(cache)), filepath.FromSlash(module)))); err != nil {
		return fmt.Errorf("copy gVisor's source: %w", err)
	}
	for _, patch := range slices.Concat(runscPatches(), dockerPatches()) {
		if err := patch.apply(source); err != nil {
			return err
		}
	}
	for _, added := range dockerAdditions() {
		if err := added.apply(source); err != nil {
			return err
		}
	}
	bin := filepath.Join(tmp, "runsc")
	if _, err := in.host.Run(ctx, Command{
		Args: []string{"go", "build", "-C", source, "-v", "-buildvcs=false", "-ldflags=" + runscMark, "-o", bin, "./runsc"}, Env: env, Tee: p,
	}); err != nil {
		return err
	}
	if problem := runscProblem(bin, arch); problem != "" {
		return fmt.Errorf("the runsc just built is %s", problem)
	}
	return os.Rename(bin, in.built(arch))
}

func (in *installer) runscStep() Step {
	var arch, problem string
	return Step{
		Name: "runsc",
		Root: true,
		Look: func(ctx context.Context) (bool, string, error) {
			var err error
			if arch, err = in.engineArch(ctx); err != nil {
				return false, "", err
			}
			problem = runscProblem(in.paths.runsc, arch)
			return problem == "", in.paths.runsc + " " + runscBuild, nil
		},
		Plan: func() string { return "install " + in.paths.runsc + " (now: " + problem + ")" },
		Do: func(ctx context.Context, p *Progress) (string, error) {
			if problem := runscProblem(in.built(arch), arch); problem != "" {
				return "", fmt.Errorf("%s is %s: run the step runsc-build first", in.built(arch), problem)
			}
			data, err := os.ReadFile(in.built(arch))
			if err != nil {
				return "", err
			}
			if err := os.MkdirAll(filepath.Dir(in.paths.runsc), 0o755); err != nil {
				return "", err
			}
			// The file is replaced by a rename, so running sandboxes keep the old binary.
			if err := writeFileAtomic(in.paths.runsc, data, 0o755); err != nil {
				return "", fmt.Errorf("install %s: %w", in.paths.runsc, err)
			}
			if arch == in.host.Arch() {
				if _, err := in.host.Run(ctx, Command{Args: []string{in.paths.runsc, "--version"}}); err != nil {
					return "", fmt.Errorf("the installed runsc does not start: %w", err)
				}
			}
			return "installed " + in.paths.runsc, nil
		},
	}
}
