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
	{"image", func(t *table, p *Probe) {
		p.Image = &ImageProbe{Name: t.requiredString("name"), Exists: t.Bool("exists")}
	}},
	{"network", func(t *table, p *Probe) {
		p.Network = &NetworkProbe{Name: t.requiredString("name"), Exists: t.Bool("exists")}
	}},
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
			t.Errorf("id", "the id %q is taken in line %d", id, line)
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
			wt.Errorf("id", "the id %q may hold only a-z, 0-9 and -, at most 40", w.ID)
		} else if w.ID != "" {
			taken(wt, w.ID)
		}
		w.Probes = l.probes(wt)
		if len(w.Probes) == 0 {
			wt.Errorf("", "a wrong state needs at least one probe, as [[wrong.container]]")
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
		wt.Done()
		c.Wrong = append(c.Wrong, w)
	}
	c.Probes = l.probes(t)
	t.Done()
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
				File: t.doc.file, Line: pt.Line(),
				ID: pt.String("id"), Node: pt.String("node"), Timeout: pt.timeout("timeout"),
			}
			if hint := pt.text("hint", maxTextRunes); hint != "" {
				p.Hint = Text{DefaultLang: hint}
			}
			if pt.Has("id") && !idPattern.MatchString(p.ID) {
				pt.Errorf("id", "the id %q may hold only a-z, 0-9 and -, at most 40", p.ID)
			}
			if pt.Has("node") && !slices.Contains(l.Stack.Nodes, p.Node) {
				pt.Errorf("node", "%s", l.noNode(p.Node))
			}
			k.read(pt, &p)
			pt.Done()
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

func (t *table) container() *ContainerProbe {
	p := &ContainerProbe{
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
		t.Errorf("", "say which container: name, image or label")
	}
	if t.Has("except") && t.Has("name") {
		t.Errorf("except", "except has no meaning beside name")
	}
	if p.Status != "" && !slices.Contains(containerStates, p.Status) {
		t.Errorf("status", "status must be one of %s", strings.Join(containerStates, ", "))
	}
	for _, key := range []string{"publishes", "not_publishes"} {
		if s := t.String(key); s != "" && !portPattern.MatchString(s) {
			t.Errorf(key, "%s must be host:container, as \"8080:80\"; a side may be \"*\"", key)
		}
	}
	if p.Env != "" && !envPattern.MatchString(p.Env) {
		t.Errorf("env", "env must be KEY=value")
	}
	if p.Exists != nil && p.Count != nil {
		t.Errorf("count", "count and exists exclude each other")
	}
	for _, key := range []string{"remember", "same_as", "not_same_as", "restarted_since"} {
		if s := t.String(key); s != "" && !factPattern.MatchString(s) {
			t.Errorf(key, "%s must be a name of a-z, 0-9, - and _, at most 40", key)
		}
	}
	if p.Remember != "" && (p.Count != nil || p.Exists != nil && !*p.Exists) {
		t.Errorf("remember", "remember needs a probe that looks for one container")
	}
	return p
}

func (t *table) event() *EventProbe {
	p := &EventProbe{Action: t.requiredString("action"), Container: t.String("container"), Image: t.String("image")}
	t.notEmpty("container", "image")
	if !t.Has("container") && !t.Has("image") {
		t.Errorf("", "say whose event: container or image")
	}
	return p
}

func (t *table) http() *HTTPProbe {
	p := &HTTPProbe{
		URL: t.requiredString("url"), Method: t.String("method"), Contains: t.String("contains"), NotContains: t.String("not_contains"),
		Matches: t.String("matches"),
	}
	t.notEmpty("method", "contains", "not_contains", "matches")
	if n := t.Int("status", 100, 599); n != nil {
		p.Status = *n
	}
	if p.URL != "" {
		if u, err := url.Parse(p.URL); err != nil || u.Scheme != "http" || u.Host == "" {
			t.Errorf("url", "url must begin with http:// and a host, as \"http://localhost:8080/\"")
		}
	}
	if p.Method != "" && p.Method != "GET" && p.Method != "HEAD" {
		t.Errorf("method", "method must be GET or HEAD: a check changes nothing")
	}
	if _, err := regexp.Compile(p.Matches); err != nil {
		t.Errorf("matches", "%v", err)
	}
	return p
}

func (t *table) tcp() *TCPProbe {
	p := &TCPProbe{Address: t.requiredString("address"), Send: t.String("send"), Expect: t.String("expect"), Refused: t.Bool("refused")}
	t.notEmpty("send", "expect")
	if host, port, err := net.SplitHostPort(p.Address); p.Address != "" && (err != nil || host == "" || port == "") {
		t.Errorf("address", "address must be host:port, as \"localhost:6379\"")
	}
	if p.Refused != nil && *p.Refused && (p.Send != "" || p.Expect != "") {
		t.Errorf("refused", "where nothing listens there is nothing to send or expect")
	}
	return p
}

func (t *table) file() *FileProbe {
	p := &FileProbe{Path: t.requiredString("path"), Container: t.String("container"), Exists: t.Bool("exists"), Contains: t.String("contains")}
	t.notEmpty("container", "contains")
	if s := t.String("equals"); t.IsString("equals") {
		p.Equals = &s
	}
	if p.Path != "" && (!path.IsAbs(p.Path) || path.Clean(p.Path) != p.Path) {
		t.Errorf("path", "path must be absolute and plain, as \"/root/app/compose.yml\"")
	}
	if p.Exists != nil && !*p.Exists && (p.Equals != nil || p.Contains != "") {
		t.Errorf("exists", "a file that must not exist has no content to compare")
	}
	return p
}

func (t *table) shell() *ShellProbe {
	p := &ShellProbe{Script: t.requiredString("script")}
	return p
}
