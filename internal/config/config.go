// Package config reads lab.toml.
//
// # Format
//
// lab.toml is TOML. Every key is optional; the file may be missing altogether. The file lab.toml at the root of the
// repository names every key with its default and what it means, and a test holds it to Default. Sizes are strings with
// a unit ("768MiB", "8GB"), durations are strings as Go writes them ("90s", "1h30m").
//
// A key that is not known, a value of the wrong type and a value that can't work are errors with file and line, and all
// mistakes of a file are reported at once. Relative paths are relative to the file.
//
// The environment variable LABD_SEED_DIR, if set, overrides seed_dir. DOCKER_HOST is used if docker_host is empty.
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

// maxFile bounds lab.toml.
const maxFile = 1 << 20

// Environment variables that Load reads.
const (
	SeedDirEnv    = "LABD_SEED_DIR" // overrides seed_dir
	DockerHostEnv = "DOCKER_HOST"   // the engine if docker_host is empty
)

// Config is what the operator decided.
type Config struct {
	Listen     string // host:port
	BaseURL    string // what learners type, without path; "" accepts loopback names and IP addresses
	DataDir    string // database, site, node disks
	SeedDir    string // images of the nodes
	ContentDir string // lessons; "" for those in the program
	LabsDir    string // labs; "" for those in the program

	Log     Log
	Sandbox Sandbox
	Limits  Limits
}

// Log is how labd reports.
type Log struct {
	Format string // "text" or "json"
	Level  string // "debug", "info", "warn" or "error"
}

// Sandbox is where stacks run.
type Sandbox struct {
	Isolation        isolation.Profile
	ITrustMyLearners bool         // allows isolation "runc" for others than this machine's own user
	DockerHost       string       // "" for the local socket
	Subnets          netip.Prefix // stacks' networks are cut from it
	Internet         bool         // labs that ask for the internet get it
}

// Limits bound the class, a learner and a node.
type Limits struct {
	Sessions         int // of the class
	PerLearner       int
	Starting         int // stacks made at the same time; the others wait
	ShellsPerSession int

	SessionTTL time.Duration // until a session ends unless extended
	SessionMax time.Duration // beyond which it can't be extended
	WarnBefore time.Duration // before the end

	Node sandbox.Limits // unless the lab asks for less
}

// Default is the configuration without a file.
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
	}
}

// Load reads the file at path. A missing file is an error only if must is set; otherwise it means Default.
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

// finish fills in what follows from the environment and from other keys.
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

// Loopback tells whether only this machine can reach the listen address.
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

// Check tells what can't be decided key by key, also for a Listen that was changed by a flag.
func (c Config) Check() error {
	if !c.Sandbox.Isolation.SharesKernel || c.Sandbox.ITrustMyLearners {
		return nil
	}
	how := ""
	switch {
	case !c.Loopback():
		how = "listen on " + c.Listen
	case !ownName(c.BaseURL): // a proxy brings others to it
		how = "be at " + c.BaseURL
	default:
		return nil
	}
	return fmt.Errorf("isolation \"runc\" lets a learner become root on this machine, and labd would %s, "+
		"where others can reach it. Do one of these in lab.toml:\n"+
		"  [sandbox] isolation = \"gvisor\"          keep learners away from this machine (the default)\n"+
		"  listen = \"127.0.0.1:8080\"               serve this machine's own user only, without base_url\n"+
		"  [sandbox] i_trust_my_learners = true    if every learner may be root here", how)
}

// ownName tells whether a base URL is one that only this machine's own user types. "" is.
func ownName(baseURL string) bool {
	u, err := url.Parse(baseURL)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	addr, err := netip.ParseAddr(host)
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}

// Parse reads the text of a lab.toml; file is its name in errors.
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

// related reports values that are good by themselves and can't work together.
func (p *parser) related() {
	l := p.config.Limits
	switch {
	case l.SessionMax < l.SessionTTL:
		p.complain([]string{"limits.session_max", "limits.session_ttl"},
			"session_max (%s) is shorter than session_ttl (%s)", l.SessionMax, l.SessionTTL)
	case l.WarnBefore >= l.SessionTTL:
		p.complain([]string{"limits.warn_before", "limits.session_ttl"},
			"warn_before (%s) must be shorter than session_ttl (%s)", l.WarnBefore, l.SessionTTL)
	}
	if l.PerLearner > l.Sessions {
		p.complain([]string{"limits.per_learner", "limits.sessions"},
			"per_learner (%d) is more than all sessions (%d)", l.PerLearner, l.Sessions)
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
		return fmt.Errorf("must be scheme and host only: labd serves from the root of its host")
	}
	return nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is no subnet, for example \"10.213.0.0/16\"", s)
	case !p.Addr().Is4():
		return p, fmt.Errorf("%q must be IPv4", s)
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits set after its first %d; did you mean %q?", s, p.Bits(), p.Masked())
	case !p.Addr().IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(p.Addr()):
		return p, fmt.Errorf("%q is not a private range (10/8, 172.16/12, 192.168/16 or 100.64/10)", s)
	case p.Bits() > 24:
		return p, fmt.Errorf("%q is too small for the stacks of a class; use /24 or larger", s)
	}
	return p, nil
}

// CheckListen tells what is wrong with an address to listen on.
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
