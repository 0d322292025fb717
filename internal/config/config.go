// Package config reads lab.toml, the configuration file of labd.
//
// # Format
//
// Every key is optional, and so is the file. The file lab.toml at the root of the repository
// documents every key with its default; a test compares it with Default. Sizes are strings with a
// unit ("768MiB", "8GB"). Durations are strings in the format of time.ParseDuration ("90s",
// "1h30m"). Relative paths are relative to the file.
//
// Unknown keys, values of the wrong type and values out of range are reported with file and line,
// all of them at once.
//
// The environment variable LABD_SEED_DIR, if set, overrides seed_dir. DOCKER_HOST is used if
// docker_host is empty.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/isolation"
)

// maxFile is the maximum size of lab.toml in bytes.
const maxFile = 64 << 10

// Environment variables that Load reads.
const (
	SeedDirEnv    = "LABD_SEED_DIR" // overrides seed_dir
	DockerHostEnv = "DOCKER_HOST"   // the engine if docker_host is empty
)

// Config is the configuration of labd.
type Config struct {
	Listen     string // host:port
	BaseURL    string // the site's public URL without a path; "" accepts loopback names and IP addresses
	DataDir    string // holds the database, the built site and the disks of nodes
	SeedDir    string // holds the images of nodes
	ContentDir string // lessons; "" for the embedded ones
	LabsDir    string // labs; "" for the embedded ones

	Log     Log
	Sandbox Sandbox
	Limits  Limits
	Rates   Rates
}

// Log configures labd's log.
type Log struct {
	Format string // "text" or "json"
	Level  string // "debug", "info", "warn" or "error"
}

// Sandbox configures where and how stacks run.
type Sandbox struct {
	Isolation        isolation.Profile
	ITrustMyLearners bool         // allows isolation "runc" when other machines can reach labd
	DockerHost       string       // "" for the local socket
	Subnets          netip.Prefix // range that the networks of stacks are allocated from
	Internet         bool         // gives internet access to labs that ask for it
}

// Limits are the limits of the whole server, of one learner and of one node.
type Limits struct {
	Sessions         int // sessions at once
	PerLearner       int // sessions at once of one learner
	Starting         int // stacks created at once; further ones wait
	ShellsPerSession int

	SessionTTL time.Duration // lifetime of a session, and by how much a learner extends it
	SessionMax time.Duration // maximum lifetime of a session, extensions included
	WarnBefore time.Duration // how long before the end the learner is warned

	Node sandbox.Limits // of a node whose lab sets no lower limits
}

// Rate is a token bucket: Burst requests at once, then one per Every.
type Rate struct {
	Burst int
	Every time.Duration
}

// Rates limit expensive requests of one client.
type Rates struct {
	Newcomers Rate // new learners per IP address
	Starts    Rate // stacks that a learner starts or resets
	Terminals Rate // terminals that a learner opens
	Checks    Rate // checks that a learner requests
}

// Default returns the configuration that is used without a file.
func Default() Config {
	return Config{
		Listen:  "127.0.0.1:8080",
		DataDir: "/var/lib/labd",
		Log:     Log{Format: "text", Level: "info"},
		Sandbox: Sandbox{
			Isolation: isolation.GVisor(),
			Subnets:   netip.MustParsePrefix("10.213.0.0/16"),
		},
		Limits: Limits{
			Sessions:         40,
			PerLearner:       2,
			Starting:         4,
			ShellsPerSession: 8,
			SessionTTL:       time.Hour,
			SessionMax:       4 * time.Hour,
			WarnBefore:       5 * time.Minute,
			Node: sandbox.Limits{
				MemoryBytes: 768 << 20,
				CPUs:        2,
				PIDs:        1024,
				DiskBytes:   4 << 30,
			},
		},
		Rates: Rates{
			Newcomers: Rate{Burst: 400, Every: 200 * time.Millisecond},
			Starts:    Rate{Burst: 30, Every: 2 * time.Second},
			Terminals: Rate{Burst: 300, Every: 100 * time.Millisecond},
			Checks:    Rate{Burst: 20, Every: 500 * time.Millisecond},
		},
	}
}

// Load reads the file at path and applies environment variables. If the file is missing and must is
// false, it uses Default.
func Load(path string, must bool) (Config, error) {
	data, err := readFile(path)
	if err != nil {
		if !must && errors.Is(err, fs.ErrNotExist) {
			return finish(Default(), "")
		}
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	c, err := Parse(path, data)
	if err != nil {
		return Config{}, err
	}
	return finish(c, filepath.Dir(path))
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}

// finish makes paths absolute and applies environment variables and defaults that depend on other
// keys.
func finish(c Config, dir string) (Config, error) {
	c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
	for _, p := range []*string{&c.DataDir, &c.SeedDir, &c.ContentDir, &c.LabsDir} {
		if *p == "" || filepath.IsAbs(*p) {
			continue
		}
		abs, err := filepath.Abs(filepath.Join(dir, *p))
		if err != nil {
			return Config{}, fmt.Errorf("make %s absolute: %w", *p, err)
		}
		*p = abs
	}
	if env := os.Getenv(SeedDirEnv); env != "" {
		abs, err := filepath.Abs(env)
		if err != nil {
			return Config{}, fmt.Errorf("make %s absolute: %w", SeedDirEnv, err)
		}
		c.SeedDir = abs
	}
	if c.Sandbox.DockerHost == "" {
		c.Sandbox.DockerHost = os.Getenv(DockerHostEnv)
	}
	if c.SeedDir == "" {
		c.SeedDir = filepath.Join(c.DataDir, "seed")
	}
	return c, nil
}

// Loopback reports whether the listen address can be reached from this machine only.
func (c Config) Loopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// Check refuses isolation "runc" where other machines can reach labd, unless the operator trusts
// the learners. It is separate from Parse because a flag can change Listen.
func (c Config) Check() error {
	if !c.Sandbox.Isolation.SharesKernel || c.Sandbox.ITrustMyLearners {
		return nil
	}
	how := ""
	switch {
	case !c.Loopback():
		how = "listen on " + c.Listen
	case !isLocalURL(c.BaseURL): // a reverse proxy makes labd reachable
		how = "be at " + c.BaseURL
	default:
		return nil
	}
	return fmt.Errorf("isolation \"runc\" lets a learner become root on this machine, and labd would %s, "+
		"where other machines can reach it. Change one of these in lab.toml:\n"+
		"  [sandbox] isolation = \"gvisor\"          isolate learners from this machine (the default)\n"+
		"  listen = \"127.0.0.1:8080\"               serve this machine only, and leave base_url empty\n"+
		"  [sandbox] i_trust_my_learners = true    if every learner may become root here", how)
}

// isLocalURL reports whether a base URL leads to this machine only, as "" does.
func isLocalURL(baseURL string) bool {
	u, err := url.Parse(baseURL)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	addr, err := netip.ParseAddr(host)
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}

// Parse parses the content of lab.toml. file is its name in errors.
func Parse(file string, data []byte) (Config, error) {
	var mistakes source.List
	p := &parser{config: Default(), root: source.ParseTOML(file, data, data, 1, &mistakes)}
	if p.parse() && len(mistakes) == 0 {
		p.related()
	}
	if err := mistakes.Err(); err != nil {
		return Config{}, err
	}
	return p.config, nil
}

// related reports values that contradict each other.
func (p *parser) related() {
	l := p.config.Limits
	switch {
	case l.SessionMax < l.SessionTTL:
		p.complain([]string{"limits.session_max", "limits.session_ttl"},
			"session_max (%s) must not be shorter than session_ttl (%s)", l.SessionMax, l.SessionTTL)
	case l.WarnBefore >= l.SessionTTL:
		p.complain([]string{"limits.warn_before", "limits.session_ttl"},
			"warn_before (%s) must be shorter than session_ttl (%s)", l.WarnBefore, l.SessionTTL)
	}
	if l.PerLearner > l.Sessions {
		p.complain([]string{"limits.per_learner", "limits.sessions"},
			"per_learner (%d) must not be more than sessions (%d)", l.PerLearner, l.Sessions)
	}
}

func parseBaseURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("must be http:// or https:// and a host, for example \"https://labs.example.org\"")
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("must be scheme and host only: labd serves from the root of a host")
	}
	return nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is not a subnet; write it like \"10.213.0.0/16\"", s)
	case !p.Addr().Is4():
		return p, fmt.Errorf("%q must be IPv4", s)
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits set after its first %d (did you mean %q?)", s, p.Bits(), p.Masked())
	case !p.Addr().IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(p.Addr()):
		return p, fmt.Errorf("%q is not a private range (10/8, 172.16/12, 192.168/16 or 100.64/10)", s)
	case p.Bits() > 24:
		return p, fmt.Errorf("%q is too small for a class; use /24 or a larger range", s)
	}
	return p, nil
}

// CheckListen returns an error that says what is wrong with an address to listen on.
func CheckListen(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("must be host:port, for example \"127.0.0.1:8080\"")
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("port %q must be a number from 0 to 65535", port)
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("host %q must be an IP address of this machine or localhost", host)
		}
	}
	return nil
}
