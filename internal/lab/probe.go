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

// kinds are the kinds of probes, and how each reads its own keys into a Probe.
var kinds = []struct {
	name string
	read func(t *table, p *Probe)
}{
	{"container", func(t *table, p *Probe) { p.Container = t.container() }},
	{"image", func(t *table, p *Probe) { p.Image = &ImageProbe{Name: t.name("name"), Exists: t.boolean("exists")} }},
	{"network", func(t *table, p *Probe) { p.Network = &NetworkProbe{Name: t.name("name"), Exists: t.boolean("exists")} }},
	{"event", func(t *table, p *Probe) { p.Event = t.event() }},
	{"http", func(t *table, p *Probe) { p.HTTP = t.http() }},
	{"tcp", func(t *table, p *Probe) { p.TCP = t.tcp() }},
	{"file", func(t *table, p *Probe) { p.Path = t.file() }},
	{"shell", func(t *table, p *Probe) { p.Shell = t.shell() }},
}

var (
	containerStates = []string{"created", "running", "paused", "restarting", "removing", "exited", "dead"}
	portPattern     = regexp.MustCompile(`^(\*|[0-9]{1,5}):(\*|[0-9]{1,5})(/(tcp|udp|sctp))?$`)
	envPattern      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
	idPattern       = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	factPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)
)

// check reads the TOML of a check block.
func (l *Lab) check(d *document, b *block) Check {
	var c Check
	t := d.parseTOML(b.body, b.bodyLine())
	if t == nil {
		return c
	}
	ids := map[string]int{} // id -> line
	taken := func(t *table, id string) {
		if line, ok := ids[id]; ok {
			t.errorf("id", "the id %q is taken in line %d", id, line)
			return
		}
		ids[id] = t.at().line
	}
	total := 0
	for _, wt := range t.tables("wrong") {
		w := Wrong{ID: wt.str("id"), File: d.file, Line: wt.at().line}
		if hint := wt.text("hint", maxTextRunes); hint != "" {
			w.Hint = Text{DefaultLang: hint}
		}
		wt.required("id", "hint")
		if wt.has("id") && !idPattern.MatchString(w.ID) {
			wt.errorf("id", "the id %q may hold only a-z, 0-9 and -, at most 40", w.ID)
		} else if w.ID != "" {
			taken(wt, w.ID)
		}
		w.Probes = l.probes(wt)
		if len(w.Probes) == 0 {
			wt.errorf("", "a wrong state needs at least one probe, as [[wrong.container]]")
		}
		for i := range w.Probes {
			if w.Probes[i].Hint != nil || w.Probes[i].ID != "" {
				d.errorf(w.Probes[i].Line, 0, "probes of a wrong state have no id and no hint: the wrong state has them")
			}
			if c := w.Probes[i].Container; c != nil && c.Remember != "" {
				d.errorf(w.Probes[i].Line, 0, "a wrong state remembers nothing")
			}
		}
		total += len(w.Probes)
		wt.done()
		c.Wrong = append(c.Wrong, w)
	}
	c.Probes = l.probes(t)
	t.done()
	numbers := map[string]int{}
	for i := range c.Probes {
		p := &c.Probes[i]
		numbers[p.Kind()]++
		if p.ID == "" {
			p.ID = fmt.Sprintf("%s-%d", p.Kind(), numbers[p.Kind()])
		}
		if line, ok := ids[p.ID]; ok {
			d.errorf(p.Line, 0, "the id %q is taken in line %d", p.ID, line)
		}
		ids[p.ID] = p.Line
	}
	if len(c.Probes) == 0 && t.doc.noErrorsFrom(b) {
		d.errorf(b.line, 0, "this check has no probes: a step needs something to be true when it is done")
	}
	if total+len(c.Probes) > maxProbes {
		d.errorf(b.line, 0, "this check has %d probes; at most %d are allowed", total+len(c.Probes), maxProbes)
	}
	if len(c.Wrong) > maxWrongs {
		d.errorf(b.line, 0, "this check has %d wrong states; at most %d are allowed", len(c.Wrong), maxWrongs)
	}
	return c
}

// noErrorsFrom reports whether no mistake was found in b yet, so that what follows from one is not reported as another.
func (d *document) noErrorsFrom(b *block) bool {
	end := b.bodyLine() + strings.Count(string(b.body), "\n")
	for _, e := range *d.errs {
		if e.File == d.file && e.Line >= b.line && e.Line <= end {
			return false
		}
	}
	return true
}

// probes reads all probes of t, in the order in which the author wrote them.
func (l *Lab) probes(t *table) []Probe {
	var out []Probe
	for _, k := range kinds {
		for _, pt := range t.tables(k.name) {
			p := Probe{
				File: t.doc.file, Line: pt.at().line,
				ID: pt.str("id"), Node: pt.str("node"), Timeout: pt.duration("timeout", MaxProbeTimeout),
			}
			if hint := pt.text("hint", maxTextRunes); hint != "" {
				p.Hint = Text{DefaultLang: hint}
			}
			if pt.has("id") && !idPattern.MatchString(p.ID) {
				pt.errorf("id", "the id %q may hold only a-z, 0-9 and -, at most 40", p.ID)
			}
			if pt.has("node") && !slices.Contains(l.Stack.Nodes, p.Node) {
				pt.errorf("node", "%s", l.noNode(p.Node))
			}
			k.read(pt, &p)
			pt.done()
			out = append(out, p)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Line < out[j].Line })
	return out
}

// Kind names the kind of the probe as the author wrote it.
func (p *Probe) Kind() string {
	switch {
	case p.Container != nil:
		return "container"
	case p.Image != nil:
		return "image"
	case p.Network != nil:
		return "network"
	case p.Event != nil:
		return "event"
	case p.HTTP != nil:
		return "http"
	case p.TCP != nil:
		return "tcp"
	case p.Path != nil:
		return "file"
	case p.Shell != nil:
		return "shell"
	}
	return ""
}

// name reads a required string that is not empty.
func (t *table) name(key string) string {
	s := t.str(key)
	t.required(key)
	t.notEmpty(key)
	return s
}

func (t *table) notEmpty(keys ...string) {
	for _, key := range keys {
		if s, ok := t.values[key].(string); ok && s == "" {
			t.errorf(key, "%s is empty", key)
		}
	}
}

func (t *table) container() *ContainerProbe {
	p := &ContainerProbe{
		Name: t.str("name"), Image: t.str("image"), Labels: t.strOrStrs("label"), Except: t.strs("except"),
		Exists: t.boolean("exists"), Count: t.number("count", 0, 1000), Running: t.boolean("running"), Restarted: t.boolean("restarted"),
		Status: t.str("status"), ExitCode: t.number("exit_code", 0, 255),
		Publishes: t.str("publishes"), NotPublishes: t.str("not_publishes"),
		Error: t.str("error"), Env: t.str("env"), Network: t.str("network"),
		Remember: t.str("remember"), SameAs: t.str("same_as"), NotSameAs: t.str("not_same_as"),
		RestartedSince: t.str("restarted_since"),
	}
	t.notEmpty("name", "image", "status", "publishes", "not_publishes", "error", "env", "network", "remember", "same_as", "not_same_as", "restarted_since")
	if !t.has("name") && !t.has("image") && !t.has("label") && !t.has("count") && !t.has("exists") {
		t.errorf("", "say which container: name, image or label")
	}
	if t.has("except") && t.has("name") {
		t.errorf("except", "except has no meaning beside name")
	}
	if p.Status != "" && !slices.Contains(containerStates, p.Status) {
		t.errorf("status", "status must be one of %s", strings.Join(containerStates, ", "))
	}
	for _, key := range []string{"publishes", "not_publishes"} {
		if s, ok := t.values[key].(string); ok && s != "" && !portPattern.MatchString(s) {
			t.errorf(key, "%s must be host:container, as \"8080:80\"; a side may be \"*\"", key)
		}
	}
	if p.Env != "" && !envPattern.MatchString(p.Env) {
		t.errorf("env", "env must be KEY=value")
	}
	if p.Exists != nil && p.Count != nil {
		t.errorf("count", "count and exists exclude each other")
	}
	for _, key := range []string{"remember", "same_as", "not_same_as", "restarted_since"} {
		if s, ok := t.values[key].(string); ok && s != "" && !factPattern.MatchString(s) {
			t.errorf(key, "%s must be a name of a-z, 0-9, - and _, at most 40", key)
		}
	}
	if p.Remember != "" && (p.Count != nil || p.Exists != nil && !*p.Exists) {
		t.errorf("remember", "remember needs a probe that looks for one container")
	}
	return p
}

func (t *table) event() *EventProbe {
	p := &EventProbe{Action: t.name("action"), Container: t.str("container"), Image: t.str("image")}
	t.notEmpty("container", "image")
	if !t.has("container") && !t.has("image") {
		t.errorf("", "say whose event: container or image")
	}
	return p
}

func (t *table) http() *HTTPProbe {
	p := &HTTPProbe{
		URL: t.name("url"), Method: t.str("method"), Contains: t.str("contains"), NotContains: t.str("not_contains"),
		Matches: t.str("matches"),
	}
	t.notEmpty("method", "contains", "not_contains", "matches")
	if n := t.number("status", 100, 599); n != nil {
		p.Status = *n
	}
	if p.URL != "" {
		if u, err := url.Parse(p.URL); err != nil || u.Scheme != "http" || u.Host == "" {
			t.errorf("url", "url must begin with http:// and a host, as \"http://localhost:8080/\"")
		}
	}
	if p.Method != "" && p.Method != "GET" && p.Method != "HEAD" {
		t.errorf("method", "method must be GET or HEAD: a check changes nothing")
	}
	if _, err := regexp.Compile(p.Matches); err != nil {
		t.errorf("matches", "%v", err)
	}
	return p
}

func (t *table) tcp() *TCPProbe {
	p := &TCPProbe{Address: t.name("address"), Send: t.str("send"), Expect: t.str("expect"), Refused: t.boolean("refused")}
	t.notEmpty("send", "expect")
	if host, port, err := net.SplitHostPort(p.Address); p.Address != "" && (err != nil || host == "" || port == "") {
		t.errorf("address", "address must be host:port, as \"localhost:6379\"")
	}
	if p.Refused != nil && *p.Refused && (p.Send != "" || p.Expect != "") {
		t.errorf("refused", "where nothing listens there is nothing to send or expect")
	}
	return p
}

func (t *table) file() *FileProbe {
	p := &FileProbe{Path: t.name("path"), Container: t.str("container"), Exists: t.boolean("exists"), Contains: t.str("contains")}
	t.notEmpty("container", "contains")
	if t.has("equals") {
		s := t.str("equals")
		p.Equals = &s
	} else {
		t.known = append(t.known, "equals")
	}
	if p.Path != "" && (!path.IsAbs(p.Path) || path.Clean(p.Path) != p.Path) {
		t.errorf("path", "path must be absolute and plain, as \"/root/app/compose.yml\"")
	}
	if p.Exists != nil && !*p.Exists && (p.Equals != nil || p.Contains != "") {
		t.errorf("exists", "a file that must not exist has no content to compare")
	}
	return p
}

func (t *table) shell() *ShellProbe {
	p := &ShellProbe{Script: t.name("script")}
	return p
}
