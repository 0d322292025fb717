package check

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/sandbox"
)

// condition is one property that a container must have: whether it has it, what was seen, and what
// was expected.
type condition struct {
	ok       bool
	saw      string
	expected string
}

func (l *look) container(ctx context.Context, node sandbox.Node, p *lab.ContainerProbe) (verdict, error) {
	p = l.expandContainer(p)
	v := verdict{subject: containerSubject(p)}
	e, err := l.engine(ctx, node)
	if err != nil {
		return v, err
	}
	all, err := e.listContainers(ctx)
	if err != nil {
		return v, err
	}
	var fit []*containerRow
	var nearest []condition // conditions of the container that meets the most, for the message
	nearestOK, selected := -1, 0
	for i := range all {
		c := &all[i]
		ok, err := selects(ctx, e, p, c)
		if err != nil {
			return v, err
		}
		if !ok {
			continue
		}
		if selected++; selected > maxCandidates {
			break
		}
		conds, err := l.conditions(ctx, e, p, c)
		if errors.Is(err, errAbsent) { // it was removed after it was listed
			continue
		}
		if err != nil {
			return v, err
		}
		good := 0
		for good < len(conds) && conds[good].ok {
			good++
		}
		if good == len(conds) {
			fit = append(fit, c)
		}
		if good > nearestOK {
			nearest, nearestOK = conds, good
		}
	}
	wanted := l.text.joined(expectations(nearest, l, p))
	switch {
	case p.Count != nil:
		v.ok = len(fit) == *p.Count
		v.saw, v.expected = l.text.containers(len(fit), wanted), l.text.containers(*p.Count, wanted)
	case p.Exists != nil && !*p.Exists:
		v.ok = len(fit) == 0
		v.expected = l.text.noContainer
		if v.saw = l.text.noContainer; !v.ok {
			v.saw = l.text.state(fit[0].State, exitCode(fit[0].Status))
			if p.Name == "" {
				v.saw = l.text.named(fit[0].name(), v.saw)
			}
		}
	case len(fit) > 0:
		v.ok = true
		v.saw, v.expected = l.text.joined(sightings(nearest)), wanted
		if len(nearest) == 0 {
			v.saw, v.expected = l.text.state(fit[0].State, exitCode(fit[0].Status)), l.text.aContainer
		}
	case nearestOK < 0:
		v.saw, v.expected = l.text.noContainer, wanted
		if wanted == "" {
			v.expected = l.text.aContainer
		}
		// The author's hint, usually "run the command of this step", does not help here: without
		// the image, `docker run` fails.
		has, err := e.hasImage(ctx, p.Image)
		if err != nil {
			return v, err
		}
		if p.Image != "" && !has {
			v.saw, v.hint = l.text.joined([]string{v.saw, l.text.imageMissing(p.Image)}), l.text.restoreImage(p.Image)
		}
	default:
		miss := nearest[nearestOK]
		v.saw, v.expected = miss.saw, miss.expected
	}
	if v.ok && p.Remember != "" && len(fit) > 0 {
		if err := l.remember(ctx, e, p.Remember, fit[0]); err != nil {
			return v, err
		}
	}
	return v, nil
}

// remember adds the container's facts to the report.
func (l *look) remember(ctx context.Context, e *engine, name string, c *containerRow) error {
	d, err := e.inspect(ctx, c.ID)
	if err != nil {
		return err
	}
	if l.remembered == nil {
		l.remembered = Facts{}
	}
	l.remembered[name] = Fact{ID: c.ID, Started: engineTime(d.State.StartedAt), Finished: engineTime(d.State.FinishedAt)}
	return nil
}

func (l *look) expandContainer(p *lab.ContainerProbe) *lab.ContainerProbe {
	q := *p
	for _, s := range []*string{&q.Name, &q.Image, &q.Status, &q.Publishes, &q.NotPublishes, &q.Error, &q.Env, &q.Network} {
		*s = l.expand(*s)
	}
	q.Except, q.Labels = slices.Clone(p.Except), slices.Clone(p.Labels)
	for i := range q.Except {
		q.Except[i] = l.expand(q.Except[i])
	}
	for i := range q.Labels {
		q.Labels[i] = l.expand(q.Labels[i])
	}
	return &q
}

func containerSubject(p *lab.ContainerProbe) string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Image != "":
		return p.Image
	case len(p.Labels) > 0:
		return p.Labels[len(p.Labels)-1]
	}
	return "*"
}

// selects reports whether p is about c. If p has a name, only the name selects; the image is then a
// condition.
func selects(ctx context.Context, e *engine, p *lab.ContainerProbe, c *containerRow) (bool, error) {
	name := c.name()
	if p.Name != "" && name != p.Name || slices.Contains(p.Except, name) {
		return false, nil
	}
	for _, want := range p.Labels {
		k, val, hasVal := strings.Cut(want, "=")
		got, ok := c.Labels[k]
		if !ok || hasVal && got != val {
			return false, nil
		}
	}
	if p.Name == "" && p.Image != "" {
		return e.madeFrom(ctx, c, p.Image)
	}
	return true, nil
}

// conditions compares c with all fields of p, the most obvious first.
func (l *look) conditions(ctx context.Context, e *engine, p *lab.ContainerProbe, c *containerRow) ([]condition, error) {
	var out []condition
	t := &l.text
	add := func(ok bool, saw, expected string) { out = append(out, condition{ok, saw, expected}) }

	if p.SameAs != "" {
		ok := c.ID == l.in.Facts[p.SameAs].ID
		add(ok, pick(ok, t.sameContainer, t.otherContainer), t.sameContainer)
	}
	if p.NotSameAs != "" {
		ok := c.ID != l.in.Facts[p.NotSameAs].ID
		add(ok, pick(ok, t.otherContainer, t.sameContainer), t.otherContainer)
	}
	if p.Name != "" && p.Image != "" {
		ok, err := e.madeFrom(ctx, c, p.Image)
		if err != nil {
			return nil, err
		}
		add(ok, t.madeFrom(clean(c.Image)), t.madeFrom(p.Image))
	}
	state := t.state(c.State, exitCode(c.Status))
	if p.Running != nil {
		want := t.state("running", nil)
		if !*p.Running {
			want = t.notRunning
		}
		add((c.State == "running") == *p.Running, state, want)
	}
	if p.Status != "" {
		add(c.State == p.Status, state, t.state(p.Status, nil))
	}
	if p.Network != "" {
		_, ok := c.NetworkSettings.Networks[p.Network]
		names := make([]string, 0, len(c.NetworkSettings.Networks))
		for n := range c.NetworkSettings.Networks {
			names = append(names, clean(n))
		}
		slices.Sort(names)
		add(ok, t.onNetwork(strings.Join(names, ", ")), t.onNetwork(p.Network))
	}
	if p.ExitCode == nil && p.Publishes == "" && p.NotPublishes == "" && p.Error == "" && p.Env == "" &&
		p.RestartedSince == "" && p.Restarted == nil {
		return out, nil
	}

	d, err := e.inspect(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	if p.ExitCode != nil {
		ended := c.State == "exited" || c.State == "dead"
		saw := state
		if ended {
			saw = t.state(c.State, &d.State.ExitCode)
		}
		add(ended && d.State.ExitCode == *p.ExitCode, saw, t.state("exited", p.ExitCode))
	}
	if p.Publishes != "" || p.NotPublishes != "" {
		ports := published(c, d)
		if p.Publishes != "" {
			add(anyPort(p.Publishes, ports), t.publishes(ports), t.publishes([]string{p.Publishes}))
		}
		if p.NotPublishes != "" {
			add(!anyPort(p.NotPublishes, ports), t.publishes(ports), t.publishesNot(p.NotPublishes))
		}
	}
	if p.Error != "" {
		saw := t.noError
		if d.State.Error != "" {
			saw = t.engineSaid(clean(d.State.Error))
		}
		add(strings.Contains(d.State.Error, p.Error), saw, t.engineSaid(p.Error))
	}
	if p.Env != "" {
		key, _, _ := strings.Cut(p.Env, "=")
		saw := t.envUnset(key)
		for _, kv := range d.Config.Env {
			if k, _, _ := strings.Cut(kv, "="); k == key {
				saw = t.envSet(clean(kv))
			}
		}
		add(slices.Contains(d.Config.Env, p.Env), saw, t.envSet(p.Env))
	}
	if p.Restarted != nil {
		finished := engineTime(d.State.FinishedAt)
		was := c.State == "running" && !finished.IsZero() && engineTime(d.State.StartedAt).After(finished)
		add(was == *p.Restarted, pick(was, t.restarted, t.notRestarted), pick(*p.Restarted, t.restarted, t.notRestarted))
	}
	if p.RestartedSince != "" {
		fact := l.in.Facts[p.RestartedSince]
		since := fact.Finished
		if since.IsZero() {
			since = fact.Started
		}
		ok := !since.IsZero() && engineTime(d.State.StartedAt).After(since)
		add(ok, pick(ok, t.restarted, t.notRestarted), t.restarted)
	}
	return out, nil
}

// expectations returns the expected properties in words. It also works if there was no container to
// compare with.
func expectations(nearest []condition, l *look, p *lab.ContainerProbe) []string {
	var out []string
	if nearest != nil {
		for _, c := range nearest {
			out = append(out, c.expected)
		}
		return out
	}
	t := &l.text
	if p.Name != "" && p.Image != "" {
		out = append(out, t.madeFrom(p.Image))
	}
	if p.Running != nil && *p.Running {
		out = append(out, t.state("running", nil))
	}
	if p.Status != "" {
		out = append(out, t.state(p.Status, nil))
	}
	if p.ExitCode != nil {
		out = append(out, t.state("exited", p.ExitCode))
	}
	if p.Publishes != "" {
		out = append(out, t.publishes([]string{p.Publishes}))
	}
	return out
}

// sightings returns what was seen, without duplicates.
func sightings(conds []condition) []string {
	var out []string
	for _, c := range conds {
		if !slices.Contains(out, c.saw) {
			out = append(out, c.saw)
		}
	}
	return out
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

var exitedStatus = regexp.MustCompile(`^(?:Exited|Dead) \((-?\d{1,6})\)`)

// exitCode parses the exit code in a status text like "Exited (1) 2 hours ago". It returns nil if
// there is none.
func exitCode(status string) *int {
	m := exitedStatus.FindStringSubmatch(status)
	if m == nil {
		return nil
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return nil
	}
	return &n
}

// engineTime parses a time of the engine. Year 1 means never and gives the zero time.
func engineTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

// published lists the container's published ports as host:container/proto. For a running container
// these are the actual ports, for others the configured ones.
func published(c *containerRow, d *containerDetail) []string {
	from := d.HostConfig.PortBindings
	if c.State == "running" {
		from = d.NetworkSettings.Ports
	}
	var out []string
	for port, binds := range from {
		for _, b := range binds {
			s := b.HostPort + ":" + port
			if !slices.Contains(out, s) { // IPv4 and IPv6 are listed separately
				out = append(out, s)
			}
		}
	}
	slices.Sort(out)
	return out
}

// anyPort reports whether one of ports (host:container/proto) matches the pattern, in which "*"
// stands for any port.
func anyPort(pattern string, ports []string) bool {
	whost, wport, _ := strings.Cut(pattern, ":")
	if !strings.Contains(wport, "/") {
		wport += "/tcp"
	}
	for _, p := range ports {
		host, port, _ := strings.Cut(p, ":")
		if !strings.Contains(port, "/") {
			port += "/tcp"
		}
		anyContainer := strings.HasPrefix(wport, "*/") && strings.TrimPrefix(wport, "*") == port[strings.IndexByte(port, '/'):]
		if (whost == "*" || whost == host) && (anyContainer || wport == port) {
			return true
		}
	}
	return false
}
