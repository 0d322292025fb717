package config

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/isolation"
)

// keys is every key of lab.toml, by its dotted name.
var keys = map[string]func(c *Config, v any) error{
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
	"limits.memory":             size(func(c *Config) *int64 { return &c.Limits.Node.MemoryBytes }, 128<<20),
	"limits.cpus":               setCPUs,
	"limits.pids":               setPIDs,
	"limits.disk":               size(func(c *Config) *int64 { return &c.Limits.Node.DiskBytes }, 64<<20),
}

// tables is every table of lab.toml.
var tables = []string{"log", "sandbox", "limits"}

type parser struct {
	file     string
	data     []byte
	config   Config
	lines    map[string]int // line of each key that the file sets
	mistakes source.List
}

func (p *parser) parse() {
	var tree map[string]any
	if _, err := toml.Decode(string(p.data), &tree); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			line := pe.Position.Line
			if strings.Contains(pe.Message, `got '\n'`) {
				line-- // the parser has already taken the line end that it complains about
			}
			p.mistakes.Add(source.At(p.file, p.data, line, 0, "%s", pe.Message))
		} else {
			p.mistakes.Add(&source.Error{File: p.file, Msg: err.Error()})
		}
		return
	}
	p.lines = keyLines(string(p.data))
	p.walk("", tree)
	if len(p.mistakes) == 0 {
		p.related()
	}
}

// walk sets what tree holds; prefix is "" or the table's name.
func (p *parser) walk(prefix string, tree map[string]any) {
	names := make([]string, 0, len(tree))
	for name := range tree {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		full := name
		if prefix != "" {
			full = prefix + "." + name
		}
		v := tree[name]
		if set, ok := keys[full]; ok {
			if err := set(&p.config, v); err != nil {
				p.complain(full, "%s %s", full, err.Error())
			}
			continue
		}
		if prefix == "" && contains(tables, name) {
			sub, ok := v.(map[string]any)
			if !ok {
				p.complain(full, "%s is a table: write [%s] and its keys below", full, full)
				continue
			}
			p.walk(name, sub)
			continue
		}
		p.unknown(prefix, name, full)
	}
}

func (p *parser) unknown(prefix, name, full string) {
	kind := "key"
	if prefix == "" {
		kind = "key or table"
	}
	// The same name may be right in another table: that is the commonest mistake in TOML.
	for _, other := range Keys() {
		if table, last, ok := strings.Cut(other, "."); ok && last == name {
			p.complain(full, "unknown %s %q here; it belongs below [%s]", kind, full, table)
			return
		} else if !ok && other == name {
			p.complain(full, "unknown %s %q here; it belongs above the first [table]", kind, full)
			return
		}
	}
	msg := fmt.Sprintf("unknown %s %q", kind, full)
	if near := source.Nearest(full, append(Keys(), tables...)); near != "" {
		msg += fmt.Sprintf(" (did you mean %q?)", near)
	}
	p.complain(full, "%s", msg)
}

// complain adds a mistake at the line of a key.
func (p *parser) complain(key, format string, args ...any) {
	p.mistakes.Add(source.At(p.file, p.data, p.lines[key], 0, format, args...))
}

// whicheverSet returns the first of the keys that the file sets.
func (p *parser) whicheverSet(names ...string) string {
	for _, n := range names {
		if p.lines[n] > 0 {
			return n
		}
	}
	return names[0]
}

// keyLines finds the line of each key and table header by its dotted name. It reads less than TOML: a line inside a
// multi-line string may be taken for a key, which only matters if a key of that name is wrong too.
func keyLines(text string) map[string]int {
	lines := map[string]int{}
	table := ""
	note := func(key string, line int) {
		// A dotted key names its tables too.
		for i, r := range key {
			if r == '.' && lines[key[:i]] == 0 {
				lines[key[:i]] = line
			}
		}
		if lines[key] == 0 {
			lines[key] = line
		}
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			name, _, _ := strings.Cut(strings.TrimLeft(line, "["), "]")
			table = cleanKey(name)
			note(table, i+1)
		default:
			name, _, ok := strings.Cut(line, "=")
			if !ok {
				continue
			}
			key := cleanKey(name)
			if table != "" {
				key = table + "." + key
			}
			note(key, i+1)
		}
	}
	return lines
}

// cleanKey takes spaces and quotes out of a dotted key.
func cleanKey(s string) string {
	parts := strings.Split(s, ".")
	for i := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(parts[i]), `"'`)
	}
	return strings.Join(parts, ".")
}

// Keys lists every key of lab.toml by its dotted name, sorted.
func Keys() []string {
	names := make([]string, 0, len(keys))
	for k := range keys {
		names = append(names, k)
	}
	sort.Strings(names)
	return names
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// typeName is what an author calls the type of a TOML value.
func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a number"
	case bool:
		return "a boolean"
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	case time.Time:
		return "a date"
	}
	return fmt.Sprintf("%T", v)
}

func text(field func(*Config) *string, check func(string) error) func(*Config, any) error {
	return func(c *Config, v any) error {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("must be a string, not %s", typeName(v))
		}
		if check != nil {
			if err := check(s); err != nil {
				return err
			}
		}
		*field(c) = s
		return nil
	}
}

func boolean(field func(*Config) *bool) func(*Config, any) error {
	return func(c *Config, v any) error {
		b, ok := v.(bool)
		if !ok {
			return fmt.Errorf("must be true or false, not %s", typeName(v))
		}
		*field(c) = b
		return nil
	}
}

func integer(field func(*Config) *int, low, high int64) func(*Config, any) error {
	return func(c *Config, v any) error {
		n, ok := v.(int64)
		if !ok {
			return fmt.Errorf("must be an integer, not %s", typeName(v))
		}
		if n < low || n > high {
			return fmt.Errorf("must be from %d to %d, not %d", low, high, n)
		}
		*field(c) = int(n)
		return nil
	}
}

func duration(field func(*Config) *time.Duration, low, high time.Duration) func(*Config, any) error {
	return func(c *Config, v any) error {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("must be a duration like \"1h30m\", not %s", typeName(v))
		}
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("must be a duration like \"1h30m\", not %q", s)
		}
		if d < low || d > high {
			return fmt.Errorf("must be from %s to %s, not %s", low, high, d)
		}
		*field(c) = d
		return nil
	}
}

func size(field func(*Config) *int64, low int64) func(*Config, any) error {
	return func(c *Config, v any) error {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("must be a size with its unit like \"768MiB\", not %s", typeName(v))
		}
		n, err := ParseSize(s)
		if err != nil {
			return err
		}
		if n < low {
			return fmt.Errorf("must be at least %dMiB, not %q", low>>20, s)
		}
		*field(c) = n
		return nil
	}
}

// ParseSize reads a number of bytes with its unit: B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of 1024).
func ParseSize(s string) (int64, error) {
	number := strings.TrimRight(s, "BKMGTi ")
	unit := strings.TrimSpace(s[len(number):])
	factor, ok := map[string]float64{
		"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(n >= 0) || n*factor > math.MaxInt64/2 {
		return 0, fmt.Errorf("must be a size with its unit like \"768MiB\", not %q", s)
	}
	return int64(n * factor), nil
}

func oneOf(values ...string) func(string) error {
	return func(s string) error {
		if contains(values, s) {
			return nil
		}
		msg := fmt.Sprintf("must be one of %s, not %q", strings.Join(values, ", "), s)
		if near := source.Nearest(s, values); near != "" {
			msg += fmt.Sprintf(" (did you mean %q?)", near)
		}
		return errors.New(msg)
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
	return fmt.Errorf("must be a socket of this machine like \"unix:///var/run/docker.sock\", not %q", s)
}

func setIsolation(c *Config, v any) error {
	var s string
	if err := text(func(*Config) *string { return &s }, oneOf(isolation.Names()...))(c, v); err != nil {
		return err
	}
	c.Sandbox.Isolation, _ = isolation.Find(s)
	return nil
}

func setSubnets(c *Config, v any) error {
	var s string
	if err := text(func(*Config) *string { return &s }, nil)(c, v); err != nil {
		return err
	}
	prefix, err := parsePrefix(s)
	if err != nil {
		return err
	}
	c.Sandbox.Subnets = prefix
	return nil
}

func setCPUs(c *Config, v any) error {
	var n float64
	switch v := v.(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	default:
		return fmt.Errorf("must be a number like 1.5, not %s", typeName(v))
	}
	if !(n >= 0.1 && n <= 512) {
		return fmt.Errorf("must be from 0.1 to 512, not %v", n)
	}
	c.Limits.Node.CPUs = n
	return nil
}

func setPIDs(c *Config, v any) error {
	var n int
	if err := integer(func(*Config) *int { return &n }, 64, 1_000_000)(c, v); err != nil {
		return err
	}
	c.Limits.Node.PIDs = int64(n)
	return nil
}
