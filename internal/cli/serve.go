package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	embedded "github.com/labd-dev/labd"
	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/command"
	"github.com/labd-dev/labd/internal/config"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/internal/static"
	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/internal/store/sqlite"
	"github.com/labd-dev/labd/internal/web"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker"
	"github.com/labd-dev/labd/site"
)

const (
	defaultConfig  = "lab.toml"
	headerTimeout  = 10 * time.Second // for a client to send the header of a request
	idleTimeout    = 2 * time.Minute  // between two requests on a connection
	maxHeader      = 64 << 10         // bytes of a request header
	shutdownBudget = 20 * time.Second // from the first signal to the exit of labd
)

const serveAbout = `Serves the site and the labs. lab.toml configures labd; without it, labd serves the embedded course on
127.0.0.1:8080. Ctrl-C stops labd. Running labs stay, and labd finds them when it starts again.
`

// runServe runs `labd serve`.
func runServe(ctx context.Context, e *command.Env, args []string) error {
	cfg, err := serveConfig(e, args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	log := newLogger(e.Stderr, cfg.Log)

	// The most common failures come first, before anything is created.
	ln, err := listen(cfg.Listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	unlock, err := lockDataDir(cfg.DataDir)
	if err != nil {
		return err
	}
	defer unlock()

	labs, err := publish(ctx, cfg, log)
	if err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, filepath.Join(cfg.DataDir, "labd.db"))
	if err != nil {
		return err
	}
	manager := session.New(session.Config{
		Store:    db,
		Owner:    owner(cfg.DataDir),
		Labs:     labs,
		Check:    &check.Runner{},
		Connect:  connect(cfg, log),
		Limits:   sessionLimits(cfg.Limits),
		Internet: cfg.Sandbox.Internet,
		Full:     cfg.Sandbox.Isolation.Fidelity == sandbox.FidelityFull,
		Log:      log,
	})
	if err := manager.Start(ctx); err != nil {
		return errors.Join(err, db.Close())
	}
	handler, err := web.New(web.Config{
		Labs: manager, Shells: manager, Learners: db,
		Site:    static.Handler(siteDir(cfg)),
		BaseURL: cfg.BaseURL,
		Version: version(),
		Rates: web.Rates{
			Newcomers: web.Rate(cfg.Rates.Newcomers),
			Starts:    web.Rate(cfg.Rates.Starts),
			Terminals: web.Rate(cfg.Rates.Terminals),
			Checks:    web.Rate(cfg.Rates.Checks),
		},
		Log: log,
	})
	if err != nil {
		return errors.Join(err, manager.Close(ctx), db.Close())
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // mostly clients that closed the connection
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	port := ""
	if cfg.BaseURL != "" {
		port = ", listening on " + ln.Addr().String() // for the configuration of the reverse proxy
	}
	fmt.Fprintf(e.Stdout, "labd serves on %s%s (Ctrl-C stops it; running labs stay)\n", address(cfg, ln.Addr()), port)

	select {
	case err = <-served:
		err = fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		log.Info("labd stops; running labs stay")
	}
	return errors.Join(err, shutdown(server, handler, manager, db))
}

// shutdown stops everything within shutdownBudget. A second signal stops the wait.
func shutdown(server *http.Server, handler *web.Server, manager *session.Manager, db store.Store) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), shutdownBudget, errors.New("shutdown timed out"))
	defer cancel()
	ctx, stop := signalCause(ctx)
	defer stop()
	// Close events and terminals first, because Shutdown waits for their requests.
	err := handler.Close(ctx)
	if shut := server.Shutdown(ctx); shut != nil {
		err = errors.Join(err, shut, server.Close())
	}
	return errors.Join(err, manager.Close(ctx), db.Close())
}

// signalCause returns a context that ends when the process gets another signal to stop.
func signalCause(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-c:
			cancel(errors.New("stopped by a second signal"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		cancel(nil)
		<-done
	}
}

// serveConfig parses flags and reads lab.toml.
func serveConfig(e *command.Env, args []string) (config.Config, error) {
	fl := flag.NewFlagSet("labd serve", flag.ContinueOnError)
	file := configFlag(fl)
	addr := fl.String("listen", "", "`host:port` to serve on; overrides lab.toml")
	if _, err := command.Parse(fl, e, "usage: labd serve [flags]\n\n"+serveAbout, 0, args); err != nil {
		return config.Config{}, err
	}
	if *addr != "" {
		if err := config.CheckListen(*addr); err != nil {
			return config.Config{}, command.Misuse("-listen %v", err)
		}
	}
	cfg, err := loadConfig(*file)
	if err != nil {
		return config.Config{}, err
	}
	if *addr != "" {
		cfg.Listen = *addr
	}
	return cfg, cfg.Check()
}

func newLogger(w io.Writer, cfg config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo // not reached: package config accepts only valid levels
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// listen listens on addr. Its errors say what to do.
func listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("another program already listens on %s. Stop it (`ss -ltnp` shows which one), "+
			"or choose another port with `labd serve -listen 127.0.0.1:8081` or with listen in lab.toml", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listening on %s needs root: use sudo, or a port from 1024 on", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is not an address of this machine: use one that `ip addr` shows, or 0.0.0.0 for all", addr)
	case err != nil:
		return nil, fmt.Errorf("listen: %w", err)
	}
	return ln, nil
}

// lockDataDir prevents two labds from using one data directory, because each would destroy the
// other's stacks.
func lockDataDir(dir string) (unlock func(), err error) {
	err = os.MkdirAll(dir, 0o755)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(filepath.Join(dir, "labd.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("labd can't write to the data directory %s: start labd with sudo, or set data_dir in lab.toml", dir)
	case err != nil:
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another labd already uses the data directory %s: stop it, or set another data_dir in lab.toml", dir)
	}
	return func() { _ = f.Close() }, nil // also releases the lock
}

// publish loads the labs and builds the site. It does not build a site that is up to date.
func publish(ctx context.Context, cfg config.Config, log *slog.Logger) (map[string]*lab.Lab, error) {
	content, labsFS, labsName := embedded.Content(), embedded.Labs(), "labs"
	if cfg.ContentDir != "" {
		content = os.DirFS(cfg.ContentDir)
	}
	if cfg.LabsDir != "" {
		labsFS, labsName = os.DirFS(cfg.LabsDir), cfg.LabsDir
	}
	list, err := lab.Load(labsFS, labsName)
	if err != nil {
		return nil, fmt.Errorf("the labs have mistakes:\n%w", err)
	}
	src := site.Source{Content: content, ContentName: cfg.ContentDir, Labs: list}
	report, err := site.Build(ctx, src, siteDir(cfg), site.Options{BaseURL: cfg.BaseURL, Labs: true})
	if err != nil {
		return nil, fmt.Errorf("the site can't be built:\n%w", err)
	}
	if !report.Unchanged {
		for _, w := range report.Warnings {
			log.Warn(w.Error())
		}
		log.Info("the site is built", "pages", report.Pages, "took", report.Duration.Round(time.Millisecond))
	}
	labs := make(map[string]*lab.Lab, len(list))
	for _, l := range list {
		labs[l.ID] = l
	}
	return labs, nil
}

func siteDir(cfg config.Config) string { return filepath.Join(cfg.DataDir, "site") }

// connect returns a function that creates the driver. The session manager calls it until it
// succeeds.
func connect(cfg config.Config, log *slog.Logger) func(context.Context) (sandbox.Driver, error) {
	dc := driverConfig(cfg, instance(cfg.DataDir))
	dc.Log = log
	return func(ctx context.Context) (sandbox.Driver, error) {
		d, err := docker.New(ctx, dc)
		if err != nil {
			return nil, err // returning d would make a non-nil interface that holds a nil pointer
		}
		return d, nil
	}
}

// driverConfig returns the driver's configuration for lab.toml. instance separates its stacks from
// others on the same engine.
func driverConfig(cfg config.Config, instance string) docker.Config {
	return docker.Config{
		Host:      cfg.Sandbox.DockerHost,
		Isolation: cfg.Sandbox.Isolation.Name,
		SeedDir:   cfg.SeedDir,
		StateDir:  cfg.DataDir,
		Subnets:   cfg.Sandbox.Subnets,
		Defaults:  cfg.Limits.Node,
		Instance:  instance,
	}
}

// instance returns a name for the stacks of this data directory. Several labds can share an engine,
// because each only touches stacks with its own name.
func instance(dataDir string) string {
	if dataDir == config.Default().DataDir {
		return "labd"
	}
	h := sha256.Sum256([]byte(dataDir))
	return "labd-" + hex.EncodeToString(h[:5])
}

// owner returns the name of this labd in the database. It does not change when labd restarts, so
// labd finds its sessions again. Two labds never have the same name, because each locks its data
// directory.
func owner(dataDir string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return host + ":" + dataDir
}

func sessionLimits(l config.Limits) session.Limits {
	return session.Limits{
		Sessions: l.Sessions, PerLearner: l.PerLearner, Starting: l.Starting, ShellsPerSession: l.ShellsPerSession,
		TTL: l.SessionTTL, Max: l.SessionMax, WarnBefore: l.WarnBefore, Node: l.Node,
	}
}

// address returns the URL to open in a browser.
func address(cfg config.Config, addr net.Addr) string {
	if cfg.BaseURL != "" {
		return cfg.BaseURL + "/"
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "http://" + addr.String() + "/"
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := strings.Trim(info.Main.Version, "()")
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "devel") {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}
