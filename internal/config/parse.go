package config

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/isolation"
)

// keys has a setter for every key of lab.toml, by dotted name.
var keys = map[string]setter{
	"listen":      text(func(c *Config) *string { return &c.Listen }, CheckListen),
	"base_url":    text(func(c *Config) *string { return &c.BaseURL }, parseBaseURL),
	"data_dir":    text(func(c *Config) *string { return &c.DataDir }, notEmpty),
	"seed_dir":    text(func(c *Config) *string { return &c.SeedDir }, nil),
	"content_dir": text(func(c *Config) *string { return &c.ContentDir }, nil),
	"labs_dir":    text(func(c *Config) *string { return &c.LabsDir }, nil),

	"log.format": text(func(c *Config) *string { return &c.Log.Format }, oneOf("text", "json")),
	"log.level":  text(func(c *Config) *string { return &c.Log.Level }, oneOf("debug", "info", "warn", "error")),

	"sandbox.isolation":           setIsolation,
	"sandbox.i_trust_my_learners": boolean(func(c *Config) *bool { return &c.Sandbox.ITrustMyLearners }),
	"sandbox.docker_host":         text(func(c *Config) *string { return &c.Sandbox.DockerHost }, parseDockerHost),
	"sandbox.subnets":             setSubnets,
	"sandbox.internet":            boolean(func(c *Config) *bool { return &c.Sandbox.Internet }),

	"limits.sessions":           integer(func(c *Config) *int { return &c.Limits.Sessions }, 1, 10_000),
	"limits.per_learner":        integer(func(c *Config) *int { return &c.Limits.PerLearner }, 1, 100),
	"limits.starting":           integer(func(c *Config) *int { return &c.Limits.Starting }, 1, 1000),
	"limits.shells_per_session": integer(func(c *Config) *int { return &c.Limits.ShellsPerSession }, 1, sandbox.MaxTerminals),
	"limits.session_ttl":        duration(func(c *Config) *time.Duration { return &c.Limits.SessionTTL }, time.Minute, 30*24*time.Hour),
	"limits.session_max":        duration(func(c *Config) *time.Duration { return &c.Limits.SessionMax }, time.Minute, 30*24*time.Hour),
	"limits.warn_before":        duration(func(c *Config) *time.Duration { return &c.Limits.WarnBefore }, 10*time.Second, 24*time.Hour),
	"limits.memory":             size(func(c *Config) *int64 { return &c.Limits.Node.MemoryBytes }, 128<<20, 16<<40),
	"limits.cpus":               number(func(c *Config) *float64 { return &c.Limits.Node.CPUs }, 0.1, 512),
	"limits.pids":               integer(func(c *Config) *int64 { return &c.Limits.Node.PIDs }, 64, 1_000_000),
	"limits.disk":               size(func(c *Config) *int64 { return &c.Limits.Node.DiskBytes }, 64<<20, 1<<40),

	"rates.newcomers_burst": burst(func(c *Config) *Rate { return &c.Rates.Newcomers }),
	"rates.newcomers_every": every(func(c *Config) *Rate { return &c.Rates.Newcomers }),
	"rates.starts_burst":    burst(func(c *Config) *Rate { return &c.Rates.Starts }),
	"rates.starts_every":    every(func(c *Config) *Rate { return &c.Rates.Starts }),
	"rates.terminals_burst": burst(func(c *Config) *Rate { return &c.Rates.Terminals }),
	"rates.terminals_every": every(func(c *Config) *Rate { return &c.Rates.Terminals }),
	"rates.checks_burst":    burst(func(c *Config) *Rate { return &c.Rates.Checks }),
	"rates.checks_every":    every(func(c *Config) *Rate { return &c.Rates.Checks }),
}

// burst and every return setters for the two keys of a rate.
func burst(rate func(*Config) *Rate) setter {
	return integer(func(c *Config) *int { return &rate(c).Burst }, 1, 100_000)
}

func every(rate func(*Config) *Rate) setter {
	return duration(func(c *Config) *time.Duration { return &rate(c).Every }, time.Millisecond, time.Hour)
}

// tables are the tables of lab.toml.
var tables = []string{"log", "sandbox", "limits", "rates"}

// parser parses one lab.toml.
type parser struct {
	config Config
	root   *source.Table
	tables map[string]*source.Table // tables in the file by name; "" is the root
}

// parse reads all keys. It returns false if the file is not valid TOML.
func (p *parser) parse() bool {
	if p.root == nil {
		return false
	}
	p.tables = map[string]*source.Table{"": p.root}
	for _, name := range tables {
		if t := p.root.Table(name); t != nil {
			p.tables[name] = t
		}
	}
	for _, full := range Keys() {
		if t, key := p.find(full); t != nil && t.Has(key) {
			keys[full](&p.config, t, key)
		}
	}
	for _, prefix := range append([]string{""}, tables...) {
		if t := p.tables[prefix]; t != nil {
			p.unknown(prefix, t)
		}
	}
	return true
}

// find returns the table of a key and the key's name in that table. The table is nil if the file
// does not have it.
func (p *parser) find(full string) (*source.Table, string) {
	table, key, ok := strings.Cut(full, ".")
	if !ok {
		table, key = "", full
	}
	return p.tables[table], key
}

// unknown reports unknown keys of a table.
func (p *parser) unknown(prefix string, t *source.Table) {
	for _, key := range t.Keys() {
		full, kind := key, "key or table"
		if prefix != "" {
			full, kind = prefix+"."+key, "key"
		}
		if _, known := keys[full]; known || prefix == "" && slices.Contains(tables, key) {
			continue
		}
		// The most common mistake in TOML is a key in the wrong table.
		hint := source.DidYouMean(full, append(Keys(), tables...))
		for _, other := range Keys() {
			if table, last, ok := strings.Cut(other, "."); ok && last == key {
				hint = fmt.Sprintf(" here; it belongs below [%s]", table)
			} else if other == key {
				hint = " here; it belongs above the first [table]"
			}
		}
		t.Errorf(key, "unknown %s %q%s", kind, full, hint)
	}
}

// complain reports a mistake at the first of these keys that the file sets.
func (p *parser) complain(names []string, format string, args ...any) {
	for _, full := range names {
		if t, key := p.find(full); t != nil && t.Has(key) {
			t.Errorf(key, format, args...)
			return
		}
	}
	p.root.Errorf("", format, args...)
}

// Keys returns the sorted dotted names of all keys of lab.toml.
func Keys() []string {
	names := make([]string, 0, len(keys))
	for k := range keys {
		names = append(names, k)
	}
	sort.Strings(names)
	return names
}

// A setter reads one key of a table into the configuration. The table reports wrong values.
type setter func(c *Config, t *source.Table, key string)

func text(field func(*Config) *string, check func(string) error) setter {
	return func(c *Config, t *source.Table, key string) {
		s := t.String(key)
		if !t.IsString(key) {
			return
		}
		if check != nil {
			if err := check(s); err != nil {
				t.Errorf(key, "%s %v", t.Name(key), err)
				return
			}
		}
		*field(c) = s
	}
}

func boolean(field func(*Config) *bool) setter {
	return func(c *Config, t *source.Table, key string) {
		if b := t.Bool(key); b != nil {
			*field(c) = *b
		}
	}
}

func integer[T int | int64](field func(*Config) *T, low, high int64) setter {
	return func(c *Config, t *source.Table, key string) {
		if n := t.Int(key, low, high); n != nil {
			*field(c) = T(*n)
		}
	}
}

func number(field func(*Config) *float64, low, high float64) setter {
	return func(c *Config, t *source.Table, key string) {
		if n := t.Float(key, low, high); n != nil {
			*field(c) = *n
		}
	}
}

func duration(field func(*Config) *time.Duration, low, high time.Duration) setter {
	return func(c *Config, t *source.Table, key string) {
		if d := t.Duration(key, low, high); d != 0 {
			*field(c) = d
		}
	}
}

func size(field func(*Config) *int64, low, high int64) setter {
	return func(c *Config, t *source.Table, key string) {
		if n := t.Size(key, low, high); n != 0 {
			*field(c) = n
		}
	}
}

func oneOf(values ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(values, s) {
			return nil
		}
		return fmt.Errorf("must be one of %s, not %q%s", strings.Join(values, ", "), s, source.DidYouMean(s, values))
	}
}

func notEmpty(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("must not be empty")
	}
	return nil
}

func parseDockerHost(s string) error {
	if s == "" {
		return nil
	}
	if path, ok := strings.CutPrefix(s, "unix://"); ok && strings.HasPrefix(path, "/") {
		return nil
	}
	return fmt.Errorf("must be a Unix socket on this machine like \"unix:///var/run/docker.sock\", not %q", s)
}

func setIsolation(c *Config, t *source.Table, key string) {
	var s string
	text(func(*Config) *string { return &s }, oneOf(isolation.Names()...))(c, t, key)
	if profile, ok := isolation.Find(s); ok {
		c.Sandbox.Isolation = profile
	}
}

func setSubnets(c *Config, t *source.Table, key string) {
	s := t.String(key)
	if !t.IsString(key) {
		return
	}
	prefix, err := parsePrefix(s)
	if err != nil {
		t.Errorf(key, "%s: %v", t.Name(key), err)
		return
	}
	c.Sandbox.Subnets = prefix
}
