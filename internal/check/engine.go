package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/labd-dev/labd/sandbox"
)

// Limits on answers of a node's engine. They are untrusted: the learner may have replaced the
// engine.
const (
	engineSocket    = "/var/run/docker.sock"
	maxEngineHeader = 64 << 10
	maxEngineError  = 4 << 10
	maxListing      = 8 << 20
	maxInspect      = 1 << 20
	maxEvents       = 2 << 20
	maxCandidates   = 64 // containers that one probe inspects
	eventsTimeout   = 2 * time.Second
	minAPIMinor     = 41
	maxAPIMinor     = 47 // the answers used here are the same from 1.41 to 1.47, which newer engines also support
	engineIdleConns = 2
)

// errEngineStarting means that the engine's socket does not answer: the engine is starting, or the
// learner stopped it.
var errEngineStarting = errors.New("the engine does not answer")

// errAbsent is the engine's status 404.
var errAbsent = errors.New("no such object in the engine")

// engine is a node's Docker engine during one check. It fetches every listing at most once.
type engine struct {
	node   sandbox.Node
	client *http.Client
	prefix string // "/v1.41"
	failed error  // why the connection failed

	containers []containerRow
	images     []imageRow
	networks   []networkRow
	details    map[string]*containerDetail
	have       struct{ containers, images, networks bool }
}

type containerRow struct {
	ID      string `json:"Id"`
	Names   []string
	Image   string
	ImageID string
	State   string
	Status  string
	Labels  map[string]string
	Created int64

	NetworkSettings struct {
		Networks map[string]json.RawMessage
	}
}

// name returns the container's own name. Links add names with more than one slash.
func (c *containerRow) name() string {
	for _, n := range c.Names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n
		}
	}
	return short(c.ID)
}

type portBinding struct {
	HostIP   string `json:"HostIp"`
	HostPort string
}

type containerDetail struct {
	State struct {
		Status     string
		ExitCode   int
		Error      string
		StartedAt  string
		FinishedAt string
	}
	Config struct {
		Image string
		Env   []string
	}
	HostConfig struct {
		PortBindings map[string][]portBinding
	}
	NetworkSettings struct {
		Ports map[string][]portBinding
	}
}

type imageRow struct {
	ID       string `json:"Id"`
	RepoTags []string
}

type networkRow struct {
	Name string
}

type eventRow struct {
	Type   string
	Action string
	Actor  struct {
		Attributes map[string]string
	}
}

// engine returns a connection to the node's engine. If it does not answer, the check does not try
// again for each probe.
func (l *look) engine(ctx context.Context, node sandbox.Node) (*engine, error) {
	if e, ok := l.engines[node.Name()]; ok {
		return e, e.failed
	}
	e := &engine{node: node, details: map[string]*containerDetail{}}
	e.client = &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return node.Dial(ctx, "unix", engineSocket)
			},
			MaxIdleConns:           engineIdleConns,
			MaxResponseHeaderBytes: maxEngineHeader,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	l.engines[node.Name()] = e
	e.failed = e.connect(ctx)
	return e, e.failed
}

var apiVersion = regexp.MustCompile(`^1\.(\d{1,3})$`)

// connect negotiates the version of the API.
func (e *engine) connect(ctx context.Context) error {
	resp, err := e.send(ctx, "/_ping")
	if err != nil {
		return err
	}
	defer drain(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return errEngineStarting
	}
	minor := minAPIMinor
	if m := apiVersion.FindStringSubmatch(resp.Header.Get("Api-Version")); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			minor = max(minAPIMinor, min(n, maxAPIMinor))
		}
	}
	e.prefix = fmt.Sprintf("/v1.%d", minor)
	return nil
}

// send sends a GET request. If it cannot connect, the error is errEngineStarting unless the node
// itself is down.
func (e *engine) send(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine"+e.prefix+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := e.client.Do(req)
	if err == nil {
		return resp, nil
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if errors.Is(err, sandbox.ErrNodeDown) || ctx.Err() != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", errEngineStarting, err)
}

// get decodes a JSON answer of at most limit bytes into v.
func (e *engine) get(ctx context.Context, path string, limit int64, v any) error {
	resp, err := e.send(ctx, path)
	if err != nil {
		return err
	}
	defer drain(resp.Body)
	if err := statusError(resp); err != nil {
		return err
	}
	body, err := readLimited(resp.Body, limit)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("the engine's answer is invalid: %w", err)
	}
	return nil
}

// statusError returns an error with the engine's message if the status is not 200.
func statusError(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	if resp.StatusCode == http.StatusNotFound {
		return errAbsent
	}
	var m struct {
		Message string `json:"message"`
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxEngineError))
	if json.Unmarshal(body, &m) != nil || m.Message == "" {
		m.Message = http.StatusText(resp.StatusCode)
	}
	return fmt.Errorf("the engine answered %d: %s", resp.StatusCode, clean(m.Message))
}

// readLimited reads all of r. Its error wraps sandbox.ErrTooLarge if r has more than limit bytes.
func readLimited(r io.Reader, limit int64) ([]byte, error) {
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("answer over %d bytes: %w", limit, sandbox.ErrTooLarge)
	}
	return b.Bytes(), nil
}

// drain closes body. It reads a small rest first, because the connection can only then be reused.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxEngineError)
	_ = body.Close()
}

func (e *engine) listContainers(ctx context.Context) ([]containerRow, error) {
	if !e.have.containers {
		if err := e.get(ctx, "/containers/json?all=1", maxListing, &e.containers); err != nil {
			return nil, err
		}
		e.have.containers = true
	}
	return e.containers, nil
}

func (e *engine) listImages(ctx context.Context) ([]imageRow, error) {
	if !e.have.images {
		if err := e.get(ctx, "/images/json", maxListing, &e.images); err != nil {
			return nil, err
		}
		e.have.images = true
	}
	return e.images, nil
}

// hasImage reports whether the engine has an image with this name. The tag is optional.
func (e *engine) hasImage(ctx context.Context, name string) (bool, error) {
	images, err := e.listImages(ctx)
	if err != nil {
		return false, err
	}
	for _, im := range images {
		for _, tag := range im.RepoTags {
			if imageMatches(name, tag) {
				return true, nil
			}
		}
	}
	return false, nil
}

func (e *engine) listNetworks(ctx context.Context) ([]networkRow, error) {
	if !e.have.networks {
		if err := e.get(ctx, "/networks", maxListing, &e.networks); err != nil {
			return nil, err
		}
		e.have.networks = true
	}
	return e.networks, nil
}

var containerID = regexp.MustCompile(`^[0-9a-f]{12,64}$`)

// inspect returns a container's details, or errAbsent if it was removed after the listing.
func (e *engine) inspect(ctx context.Context, id string) (*containerDetail, error) {
	if d, ok := e.details[id]; ok {
		return d, nil
	}
	if !containerID.MatchString(id) {
		return nil, fmt.Errorf("the engine lists a container with the id %q", clean(id))
	}
	d := &containerDetail{}
	if err := e.get(ctx, "/containers/"+id+"/json", maxInspect, d); err != nil {
		return nil, err
	}
	e.details[id] = d
	return d, nil
}

// events returns the container events that the engine keeps. The stream ends at the current time.
// If the engine's clock differs from ours, it ends at eventsTimeout at the latest.
func (e *engine) events(ctx context.Context, action string) ([]eventRow, error) {
	filters := map[string][]string{"type": {"container"}}
	if action != "" {
		filters["event"] = []string{action}
	}
	f, err := json.Marshal(filters)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	q := url.Values{
		"since":   {"0"},
		"until":   {fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond())},
		"filters": {string(f)},
	}
	ctx, cancel := context.WithTimeout(ctx, eventsTimeout)
	defer cancel()
	resp, err := e.send(ctx, "/events?"+q.Encode())
	if err != nil {
		return nil, err
	}
	defer drain(resp.Body)
	if err := statusError(resp); err != nil {
		return nil, err
	}
	var out []eventRow
	dec := json.NewDecoder(io.LimitReader(resp.Body, maxEvents))
	for {
		var ev eventRow
		switch err := dec.Decode(&ev); {
		case err == nil:
			out = append(out, ev)
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return out, nil
		default:
			return nil, fmt.Errorf("the engine's events are invalid: %w", err)
		}
	}
}

// imageMatches reports whether ref is the image that pattern names. A pattern without a tag matches
// any tag.
func imageMatches(pattern, ref string) bool {
	prepo, ptag := splitImage(pattern)
	repo, tag := splitImage(ref)
	if ptag == "" {
		return prepo == repo
	}
	if tag == "" {
		tag = "latest"
	}
	return prepo == repo && ptag == tag
}

// splitImage splits an image name into repository and tag. It shortens the long form of names on
// Docker Hub.
func splitImage(ref string) (repo, tag string) {
	ref, _, _ = strings.Cut(ref, "@")
	for _, p := range []string{"docker.io/", "index.docker.io/", "library/"} {
		ref = strings.TrimPrefix(ref, p)
	}
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		return ref[:i], ref[i+1:]
	}
	return ref, ""
}

// madeFrom reports whether the container was created from the image that pattern names. The engine
// lists the name that the container was created with. The image can have other names too, and is
// listed by id if it lost its name.
func (e *engine) madeFrom(ctx context.Context, c *containerRow, pattern string) (bool, error) {
	if imageMatches(pattern, c.Image) {
		return true, nil
	}
	if bare := strings.TrimPrefix(c.Image, "sha256:"); containerID.MatchString(bare) {
		d, err := e.inspect(ctx, c.ID)
		if err != nil {
			return false, ignoreAbsent(err)
		}
		if imageMatches(pattern, d.Config.Image) {
			return true, nil
		}
	}
	images, err := e.listImages(ctx)
	if err != nil {
		return false, err
	}
	for _, im := range images {
		if im.ID != c.ImageID || im.ID == "" {
			continue
		}
		for _, tag := range im.RepoTags {
			if imageMatches(pattern, tag) {
				return true, nil
			}
		}
	}
	return false, nil
}

func ignoreAbsent(err error) error {
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}

func short(id string) string { return id[:min(len(id), 12)] }
