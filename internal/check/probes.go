package check

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/sandbox"
)

// Limits on answers of servers, on files and on output of scripts in a node.
const (
	maxHTTPHeader = 64 << 10
	maxHTTPBody   = 1 << 20
	maxTCPAnswer  = 64 << 10
	maxFile       = 1 << 20
	maxTarHeader  = 64 << 10 // of the archive besides the file
	maxScriptOut  = 16 << 10
)

func (l *look) image(ctx context.Context, node sandbox.Node, p *lab.ImageProbe) (verdict, error) {
	name := l.expand(p.Name)
	v := verdict{subject: name}
	e, err := l.engine(ctx, node)
	if err != nil {
		return v, err
	}
	found, err := e.hasImage(ctx, name)
	if err != nil {
		return v, err
	}
	l.existence(&v, found, p.Exists)
	return v, nil
}

func (l *look) network(ctx context.Context, node sandbox.Node, p *lab.NetworkProbe) (verdict, error) {
	name := l.expand(p.Name)
	v := verdict{subject: name}
	e, err := l.engine(ctx, node)
	if err != nil {
		return v, err
	}
	networks, err := e.listNetworks(ctx)
	if err != nil {
		return v, err
	}
	found := false
	for _, n := range networks {
		found = found || n.Name == name
	}
	l.existence(&v, found, p.Exists)
	return v, nil
}

// existence sets v for something that should exist, or should not exist if want is false.
func (l *look) existence(v *verdict, found bool, want *bool) {
	wanted := want == nil || *want
	v.ok = found == wanted
	v.saw = pick(found, l.text.present, l.text.absent)
	v.expected = pick(wanted, l.text.present, l.text.absent)
}

func (l *look) event(ctx context.Context, node sandbox.Node, p *lab.EventProbe) (verdict, error) {
	name, image := l.expand(p.Container), l.expand(p.Image)
	v := verdict{subject: strings.TrimSpace(p.Action + " " + name + " " + image), expected: l.text.happened}
	e, err := l.engine(ctx, node)
	if err != nil {
		return v, err
	}
	events, err := e.events(ctx, p.Action)
	if err != nil {
		return v, err
	}
	for _, ev := range events {
		a := ev.Actor.Attributes
		if (p.Action == "" || ev.Action == p.Action) && (name == "" || a["name"] == name) &&
			(image == "" || imageMatches(image, a["image"])) {
			v.ok = true
		}
	}
	v.saw = pick(v.ok, l.text.happened, l.text.didNotHappen)
	return v, nil
}

func (l *look) http(ctx context.Context, node sandbox.Node, p *lab.HTTPProbe) (verdict, error) {
	address := l.expand(p.URL)
	v := verdict{subject: address}
	method := p.Method
	if method == "" {
		method = http.MethodGet
	}
	contains, notContains, matches := l.expand(p.Contains), l.expand(p.NotContains), l.expand(p.Matches)
	var wanted []string
	if p.Status != 0 {
		wanted = append(wanted, l.text.status(p.Status))
	}
	if contains != "" {
		wanted = append(wanted, l.text.contains(contains))
	}
	if notContains != "" {
		wanted = append(wanted, l.text.notContains(notContains))
	}
	if matches != "" {
		wanted = append(wanted, l.text.matches(matches))
	}
	v.expected = l.text.joined(wanted)
	if len(wanted) == 0 {
		v.expected = l.text.listening
	}
	var re *regexp.Regexp
	if matches != "" {
		var err error
		if re, err = regexp.Compile(matches); err != nil {
			return v, fmt.Errorf("regular expression of the check: %w", err)
		}
	}

	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return v, err
	}
	req.Header.Set("User-Agent", "labd-check")
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return node.Dial(ctx, "tcp", addr)
		},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHTTPHeader,
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return l.unreachable(ctx, v, err)
	}
	defer resp.Body.Close()
	v.saw = l.text.status(resp.StatusCode)
	if p.Status != 0 && resp.StatusCode != p.Status {
		return v, nil
	}
	if contains == "" && notContains == "" && re == nil {
		v.ok = true
		return v, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHTTPBody))
	if err != nil && len(body) == 0 {
		return l.unreachable(ctx, v, err)
	}
	v.saw = l.text.joined([]string{v.saw, l.text.answer(string(body))})
	v.ok = bytes.Contains(body, []byte(contains)) &&
		(notContains == "" || !bytes.Contains(body, []byte(notContains))) &&
		(re == nil || re.Match(body))
	return v, nil
}

// unreachable turns a refused or broken connection into a verdict. It returns timeouts and the
// error of a node that is down as errors.
func (l *look) unreachable(ctx context.Context, v verdict, err error) (verdict, error) {
	if ctx.Err() != nil || errors.Is(err, sandbox.ErrNodeDown) {
		return v, err
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	v.ok = false
	v.saw = l.text.unreachable(clean(err.Error()))
	if isRefused(err) {
		v.saw = l.text.refused
	}
	return v, nil
}

// isRefused also looks at the text, because the agent transmits errors as text.
func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "connection refused")
}

func (l *look) tcp(ctx context.Context, node sandbox.Node, p *lab.TCPProbe) (verdict, error) {
	address, send, expect := l.expand(p.Address), l.expand(p.Send), l.expand(p.Expect)
	v := verdict{subject: address, expected: l.text.listening}
	wantRefused := p.Refused != nil && *p.Refused
	if wantRefused {
		v.expected = l.text.refused
	} else if expect != "" {
		v.expected = l.text.contains(expect)
	}
	conn, err := node.Dial(ctx, "tcp", address)
	if err != nil {
		v, err := l.unreachable(ctx, v, err)
		v.ok = err == nil && wantRefused
		return v, err
	}
	defer conn.Close()
	v.saw = l.text.listening
	if wantRefused {
		return v, nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if send != "" {
		if _, err := io.WriteString(conn, send); err != nil {
			return l.unreachable(ctx, v, err)
		}
	}
	if expect == "" {
		v.ok = true
		return v, nil
	}
	var got []byte
	buf := make([]byte, 4096)
	for len(got) < maxTCPAnswer {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		if bytes.Contains(got, []byte(expect)) {
			v.ok, v.saw = true, l.text.contains(expect)
			return v, nil
		}
		if err != nil {
			if len(got) == 0 {
				return l.unreachable(ctx, v, err)
			}
			break
		}
	}
	v.saw = l.text.answer(string(got))
	return v, nil
}

func (l *look) file(ctx context.Context, node sandbox.Node, p *lab.FileProbe) (verdict, error) {
	path, container := l.expand(p.Path), l.expand(p.Container)
	v := verdict{subject: path}
	if container != "" {
		v.subject = container + ":" + path
	}
	wantExists := p.Exists == nil || *p.Exists
	var wanted []string
	if p.Equals != nil {
		wanted = append(wanted, l.text.equals(strings.TrimSpace(l.expand(*p.Equals))))
	}
	if p.Contains != "" {
		wanted = append(wanted, l.text.contains(l.expand(p.Contains)))
	}
	if v.expected = l.text.joined(wanted); v.expected == "" {
		v.expected = pick(wantExists, l.text.present, l.text.absent)
	}

	data, note, err := l.readFile(ctx, node, container, path)
	if err != nil {
		return v, err
	}
	if !wantExists {
		v.ok = note == l.text.absent
		v.saw = pick(v.ok, l.text.absent, l.text.present)
		return v, nil
	}
	if note != "" {
		v.saw = note
		v.ok = len(wanted) == 0 && note != l.text.absent // a directory exists too
		return v, nil
	}
	v.saw = l.text.content(string(data))
	v.ok = (p.Equals == nil || strings.TrimSpace(string(data)) == strings.TrimSpace(l.expand(*p.Equals))) &&
		strings.Contains(string(data), l.expand(p.Contains))
	return v, nil
}

// readFile returns the content of a file in the node or in a container, or a note that says why
// there is no content.
func (l *look) readFile(ctx context.Context, node sandbox.Node, container, path string) (data []byte, note string, err error) {
	if container == "" {
		data, err = node.ReadFile(ctx, path, maxFile)
		switch {
		case err == nil:
			return data, "", nil
		case errors.Is(err, sandbox.ErrNotFound):
			return nil, l.text.absent, nil
		case errors.Is(err, sandbox.ErrTooLarge):
			return nil, l.text.tooLarge(maxFile), nil
		case errors.Is(err, sandbox.ErrInvalid):
			return nil, l.text.notRegular, nil
		}
		return nil, "", err
	}
	e, err := l.engine(ctx, node)
	if err != nil {
		return nil, "", err
	}
	resp, err := e.send(ctx, "/containers/"+url.PathEscape(container)+"/archive?"+url.Values{"path": {path}}.Encode())
	if err != nil {
		return nil, "", err
	}
	defer drain(resp.Body)
	if err := statusError(resp); errors.Is(err, errAbsent) {
		return nil, l.text.absent, nil
	} else if err != nil {
		return nil, "", err
	}
	tr := tar.NewReader(io.LimitReader(resp.Body, maxFile+maxTarHeader))
	h, err := tr.Next()
	if err != nil {
		return nil, "", fmt.Errorf("the engine's archive is invalid: %w", err)
	}
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir:
		return nil, l.text.aFolder, nil
	case tar.TypeSymlink:
		return nil, l.text.aLink, nil
	default:
		return nil, l.text.notRegular, nil
	}
	data, err = readLimited(tr, maxFile)
	if errors.Is(err, sandbox.ErrTooLarge) {
		return nil, l.text.tooLarge(maxFile), nil
	}
	return data, "", err
}

func (l *look) shell(ctx context.Context, node sandbox.Node, p *lab.ShellProbe) (verdict, error) {
	v := verdict{subject: "bash", expected: l.text.scriptHolds}
	res, err := node.Exec(ctx, sandbox.Command{
		Args:      []string{"bash", "-eu", "-c", l.expand(p.Script)},
		Env:       lab.Env(l.in.Vars),
		MaxOutput: maxScriptOut,
	})
	if err != nil {
		return v, err
	}
	v.ok = res.ExitCode == 0
	out := clean(string(res.Stdout))
	if out == "" {
		out = clean(string(res.Stderr))
	}
	switch {
	case out != "":
		v.saw = out
	case v.ok:
		v.saw = l.text.scriptHolds
	default:
		v.saw = l.text.scriptFails + " (" + strconv.Itoa(res.ExitCode) + ")"
	}
	return v, nil
}
