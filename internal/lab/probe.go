package lab

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// kinds creates an empty probe of each kind. To add a kind, write a type with the methods of Look,
// add it here, and add a case to evaluate in package check. A test of package check fails if the
// case is missing.
var kinds = []func() Look{
	func() Look { return &ContainerProbe{} },
	func() Look { return &ImageProbe{} },
	func() Look { return &NetworkProbe{} },
	func() Look { return &EventProbe{} },
	func() Look { return &HTTPProbe{} },
	func() Look { return &TCPProbe{} },
	func() Look { return &FileProbe{} },
	func() Look { return &ShellProbe{} },
}

// Looks returns an empty probe of each kind.
func Looks() []Look {
	out := make([]Look, len(kinds))
	for i, empty := range kinds {
		out[i] = empty()
	}
	return out
}

func (*ContainerProbe) Kind() string { return "container" }
func (*ImageProbe) Kind() string     { return "image" }
func (*NetworkProbe) Kind() string   { return "network" }
func (*EventProbe) Kind() string     { return "event" }
func (*HTTPProbe) Kind() string      { return "http" }
func (*TCPProbe) Kind() string       { return "tcp" }
func (*FileProbe) Kind() string      { return "file" }
func (*ShellProbe) Kind() string     { return "shell" }

func (p *ContainerProbe) Absence() bool { return isFalse(p.Exists) }
func (p *ImageProbe) Absence() bool     { return isFalse(p.Exists) }
func (p *NetworkProbe) Absence() bool   { return isFalse(p.Exists) }
func (p *EventProbe) Absence() bool     { return false }
func (p *HTTPProbe) Absence() bool      { return false }
func (p *TCPProbe) Absence() bool       { return false }
func (p *FileProbe) Absence() bool      { return isFalse(p.Exists) }
func (p *ShellProbe) Absence() bool     { return false }

func isFalse(b *bool) bool { return b != nil && !*b }

var (
	containerStates = []string{"created", "running", "paused", "restarting", "removing", "exited", "dead"}
	portPattern     = regexp.MustCompile(`^(\*|[0-9]{1,5}):(\*|[0-9]{1,5})(/(tcp|udp|sctp))?$`)
	envPattern      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
	idPattern       = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	factPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)
)

// check reads a check block.
func (l *Lab) check(d *document, b *block) Check {
	var c Check
	t := d.parseTOML(b.body, b.bodyLine())
	if t == nil {
		return c
	}
	ids := map[string]int{} // id -> line
	taken := func(t *table, id string) {
		if line, ok := ids[id]; ok {
			t.Errorf("id", "the id %q is already used on line %d", id, line)
			return
		}
		ids[id] = t.Line()
	}
	total := 0
	for _, wt := range t.tables("wrong") {
		w := Wrong{ID: wt.String("id"), File: d.file, Line: wt.Line()}
		if hint := wt.text("hint", maxTextRunes); hint != "" {
			w.Hint = Text{DefaultLang: hint}
		}
		wt.Require("id", "hint")
		if wt.Has("id") && !idPattern.MatchString(w.ID) {
			wt.Errorf("id", "the id %q may have at most 40 of a-z, 0-9 and -", w.ID)
		} else if w.ID != "" {
			taken(wt, w.ID)
		}
		w.Probes = l.probes(wt)
		if len(w.Probes) == 0 {
			wt.Errorf("", "a wrong state needs at least one probe, for example [[wrong.container]]")
		}
		for i := range w.Probes {
			if w.Probes[i].Hint != nil || w.Probes[i].ID != "" {
				d.errorf(w.Probes[i].Line, 0, "a probe of a wrong state has no id and no hint: write them in the [[wrong]] table")
			}
			if c, ok := w.Probes[i].Look.(*ContainerProbe); ok && c.Remember != "" {
				d.errorf(w.Probes[i].Line, 0, "a probe of a wrong state cannot remember a container")
			}
		}
		total += len(w.Probes)
		wt.Done()
		c.Wrong = append(c.Wrong, w)
	}
	c.Probes = l.probes(t)
	t.Done()
	numbers := map[string]int{}
	for i := range c.Probes {
		p := &c.Probes[i]
		numbers[p.Look.Kind()]++
		if p.ID == "" {
			p.ID = fmt.Sprintf("%s-%d", p.Look.Kind(), numbers[p.Look.Kind()])
		}
		if line, ok := ids[p.ID]; ok {
			d.errorf(p.Line, 0, "the id %q is already used on line %d", p.ID, line)
		}
		ids[p.ID] = p.Line
	}
	if len(c.Probes) == 0 && t.doc.noErrorsFrom(b) {
		d.errorf(b.line, 0, "this check has no probes: add the conditions for the step to be done")
	}
	if total+len(c.Probes) > maxProbes {
		d.errorf(b.line, 0, "this check has %d probes, at most %d are allowed", total+len(c.Probes), maxProbes)
	}
	if len(c.Wrong) > maxWrongs {
		d.errorf(b.line, 0, "this check has %d wrong states, at most %d are allowed", len(c.Wrong), maxWrongs)
	}
	return c
}

// noErrorsFrom reports whether no mistake was found in b yet. It avoids reporting a consequence of
// a mistake as well.
func (d *document) noErrorsFrom(b *block) bool {
	end := b.bodyLine() + strings.Count(string(b.body), "\n")
	for _, e := range *d.errs {
		if e.File == d.file && e.Line >= b.line && e.Line <= end {
			return false
		}
	}
	return true
}

// probes reads all probes of t and sorts them by line.
func (l *Lab) probes(t *table) []Probe {
	var out []Probe
	for _, empty := range kinds {
		for _, pt := range t.tables(empty().Kind()) {
			p := Probe{
				Look: empty(), File: t.doc.file, Line: pt.Line(),
				ID: pt.String("id"), Node: pt.String("node"), Timeout: pt.timeout("timeout"),
			}
			if hint := pt.text("hint", maxTextRunes); hint != "" {
				p.Hint = Text{DefaultLang: hint}
			}
			if pt.Has("id") && !idPattern.MatchString(p.ID) {
				pt.Errorf("id", "the id %q may have at most 40 of a-z, 0-9 and -", p.ID)
			}
			if pt.Has("node") && !slices.Contains(l.Stack.Nodes, p.Node) {
				pt.Errorf("node", "%s", l.noNode(p.Node))
			}
			p.Look.read(pt)
			pt.Done()
			out = append(out, p)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Line < out[j].Line })
	return out
}

func (p *ContainerProbe) read(t *table) {
	*p = ContainerProbe{
		Name: t.String("name"), Image: t.String("image"), Labels: t.stringOrStrings("label"), Except: t.Strings("except"),
		Exists: t.Bool("exists"), Count: t.Int("count", 0, 1000), Running: t.Bool("running"), Restarted: t.Bool("restarted"),
		Status: t.String("status"), ExitCode: t.Int("exit_code", 0, 255),
		Publishes: t.String("publishes"), NotPublishes: t.String("not_publishes"),
		Error: t.String("error"), Env: t.String("env"), Network: t.String("network"),
		Remember: t.String("remember"), SameAs: t.String("same_as"), NotSameAs: t.String("not_same_as"),
		RestartedSince: t.String("restarted_since"),
	}
	t.notEmpty("name", "image", "status", "publishes", "not_publishes", "error", "env", "network", "remember", "same_as", "not_same_as", "restarted_since")
	if !t.Has("name") && !t.Has("image") && !t.Has("label") && !t.Has("count") && !t.Has("exists") {
		t.Errorf("", "add name, image or label to select a container")
	}
	if t.Has("except") && t.Has("name") {
		t.Errorf("except", "except cannot be combined with name")
	}
	if p.Status != "" && !slices.Contains(containerStates, p.Status) {
		t.Errorf("status", "status must be one of %s", strings.Join(containerStates, ", "))
	}
	for _, key := range []string{"publishes", "not_publishes"} {
		if s := t.String(key); s != "" && !portPattern.MatchString(s) {
			t.Errorf(key, "%s must be host:container, for example \"8080:80\"; either port can be \"*\"", key)
		}
	}
	if p.Env != "" && !envPattern.MatchString(p.Env) {
		t.Errorf("env", "env must be KEY=value")
	}
	if p.Exists != nil && p.Count != nil {
		t.Errorf("count", "count and exists cannot be combined")
	}
	for _, key := range []string{"remember", "same_as", "not_same_as", "restarted_since"} {
		if s := t.String(key); s != "" && !factPattern.MatchString(s) {
			t.Errorf(key, "%s must be a name of at most 40 of a-z, 0-9, - and _", key)
		}
	}
	if p.Remember != "" && (p.Count != nil || p.Exists != nil && !*p.Exists) {
		t.Errorf("remember", "remember needs a probe that finds a container: remove exists and count")
	}
}

func (p *ImageProbe) read(t *table) {
	*p = ImageProbe{Name: t.requiredString("name"), Exists: t.Bool("exists")}
}

func (p *NetworkProbe) read(t *table) {
	*p = NetworkProbe{Name: t.requiredString("name"), Exists: t.Bool("exists")}
}

func (p *EventProbe) read(t *table) {
	*p = EventProbe{Action: t.requiredString("action"), Container: t.String("container"), Image: t.String("image")}
	t.notEmpty("container", "image")
	if !t.Has("container") && !t.Has("image") {
		t.Errorf("", "add container or image to select events")
	}
}

func (p *HTTPProbe) read(t *table) {
	*p = HTTPProbe{
		URL: t.requiredString("url"), Method: t.String("method"), Contains: t.String("contains"), NotContains: t.String("not_contains"),
		Matches: t.String("matches"),
	}
	t.notEmpty("method", "contains", "not_contains", "matches")
	if n := t.Int("status", 100, 599); n != nil {
		p.Status = *n
	}
	if p.URL != "" {
		if u, err := url.Parse(p.URL); err != nil || u.Scheme != "http" || u.Host == "" {
			t.Errorf("url", "url must begin with http:// and a host, for example \"http://localhost:8080/\"")
		}
	}
	if p.Method != "" && p.Method != "GET" && p.Method != "HEAD" {
		t.Errorf("method", "method must be GET or HEAD: a check must not change anything")
	}
	if _, err := regexp.Compile(p.Matches); err != nil {
		t.Errorf("matches", "%v", err)
	}
}

func (p *TCPProbe) read(t *table) {
	*p = TCPProbe{Address: t.requiredString("address"), Send: t.String("send"), Expect: t.String("expect"), Refused: t.Bool("refused")}
	t.notEmpty("send", "expect")
	if host, port, err := net.SplitHostPort(p.Address); p.Address != "" && (err != nil || host == "" || port == "") {
		t.Errorf("address", "address must be host:port, for example \"localhost:6379\"")
	}
	if p.Refused != nil && *p.Refused && (p.Send != "" || p.Expect != "") {
		t.Errorf("refused", "refused cannot be combined with send or expect")
	}
}

func (p *FileProbe) read(t *table) {
	*p = FileProbe{Path: t.requiredString("path"), Container: t.String("container"), Exists: t.Bool("exists"), Contains: t.String("contains")}
	t.notEmpty("container", "contains")
	if s := t.String("equals"); t.IsString("equals") {
		p.Equals = &s
	}
	if p.Path != "" && (!path.IsAbs(p.Path) || path.Clean(p.Path) != p.Path) {
		t.Errorf("path", "path must be absolute and without . or .., for example \"/root/app/compose.yml\"")
	}
	if p.Exists != nil && !*p.Exists && (p.Equals != nil || p.Contains != "") {
		t.Errorf("exists", "exists = false cannot be combined with equals or contains")
	}
}

func (p *ShellProbe) read(t *table) {
	*p = ShellProbe{Script: t.requiredString("script")}
}
