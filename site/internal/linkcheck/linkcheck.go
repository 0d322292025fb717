// Package linkcheck checks links to other sites by requesting them.
//
// Each URL is requested once, however many links have it: with HEAD, then with GET if HEAD is
// refused. The response decides:
//
//	2xx                        good
//	404, 410, unknown host     a mistake: the page does not exist
//	everything else            a warning: the page may exist (the server wants a login, is busy, or is down)
//
// Redirects are followed. A permanent redirect is a warning that names the new URL. Fragments
// (#anchor) are not checked, because many pages create their anchors with JavaScript.
//
// Authors choose the URLs, and the check may run inside a school's network. To prevent server-side
// request forgery, it refuses to connect to private, loopback and link-local addresses (10/8,
// 192.168/16, 127/8, 169.254/16, …), including through host names and redirects, unless the caller
// allows it.
package linkcheck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/internal/source"
)

const (
	maxAtOnce    = 8 // concurrent requests
	maxPerHost   = 2 // concurrent requests to one host
	maxRedirects = 10
	timeout      = 20 * time.Second // for one request with its redirects
	maxWait      = 10 * time.Second // upper bound for Retry-After
	tries        = 2
)

// userAgent lets a server's owner identify these requests.
const userAgent = "Mozilla/5.0 (compatible; sitegen-linkcheck)"

// Link is a link to another site, and its place in the author's files.
type Link struct {
	URL string
	At  *source.Error // the place; Msg is ignored
}

// Checker checks links. The zero value is ready to use.
type Checker struct {
	AllowPrivate bool // connect to private addresses too
	// Wait sleeps before the second try, until ctx ends. If nil, a timer does. Tests replace it.
	Wait func(ctx context.Context, d time.Duration) error
	// Progress is called after each URL, from several goroutines. May be nil.
	Progress func(what string, done, total int)
}

// verdict is the result for one URL.
type verdict struct {
	msg  string // empty if the page exists
	warn bool   // a warning, not a mistake
}

// Check requests all links. It returns when all have a verdict, or with ctx's error when ctx ends.
func (c *Checker) Check(ctx context.Context, links []Link) (mistakes, warnings source.List, err error) {
	places := map[string][]*source.Error{}
	var urls []string
	for _, l := range links {
		address, _, _ := strings.Cut(l.URL, "#")
		if places[address] == nil {
			urls = append(urls, address)
		}
		// A text without a translation is shown on the pages of several languages, with the same
		// links.
		if !slices.ContainsFunc(places[address], func(at *source.Error) bool { return *at == *l.At }) {
			places[address] = append(places[address], l.At)
		}
	}
	slices.Sort(urls)
	client := c.client()
	defer client.CloseIdleConnections()
	hosts := hostLimit{free: map[string]chan struct{}{}}
	verdicts := make([]verdict, len(urls))
	var done atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(maxAtOnce)
	for i, address := range urls {
		g.Go(func() error {
			release, err := hosts.acquire(gctx, address)
			if err != nil {
				return err
			}
			defer release()
			verdicts[i] = c.check(gctx, client, address)
			if c.Progress != nil {
				c.Progress("links to other sites", int(done.Add(1)), len(urls))
			}
			return gctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, fmt.Errorf("checking links to other sites: %w", err)
	}
	for i, v := range verdicts {
		if v.msg == "" {
			continue
		}
		for _, at := range places[urls[i]] {
			e := *at
			e.Msg = v.msg
			if v.warn {
				warnings.Add(&e)
			} else {
				mistakes.Add(&e)
			}
		}
	}
	return mistakes, warnings, nil
}

// hostLimit limits concurrent requests per host.
type hostLimit struct {
	mu   sync.Mutex
	free map[string]chan struct{} // guarded by mu
}

func (l *hostLimit) acquire(ctx context.Context, address string) (release func(), err error) {
	host := address
	if u, err := url.Parse(address); err == nil {
		host = u.Host
	}
	l.mu.Lock()
	slots := l.free[host]
	if slots == nil {
		slots = make(chan struct{}, maxPerHost)
		l.free[host] = slots
	}
	l.mu.Unlock()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// check requests one URL, and a second time if the server was busy.
func (c *Checker) check(ctx context.Context, client *http.Client, address string) verdict {
	var v verdict
	for try := range tries {
		var wait time.Duration
		if v, wait = request(ctx, client, address); wait == 0 || try == tries-1 {
			break
		}
		if c.wait(ctx, min(wait, maxWait)) != nil {
			break
		}
	}
	return v
}

func (c *Checker) wait(ctx context.Context, d time.Duration) error {
	if c.Wait != nil {
		return c.Wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// request tries a URL once: with HEAD, then with GET if the response to HEAD is not 2xx. retry is
// how long to wait before a second try, or 0 if there is no point in one.
func request(ctx context.Context, client *http.Client, address string) (v verdict, retry time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var moved string
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		res, to, err := do(ctx, client, method, address)
		if err != nil {
			return failed(address, err)
		}
		switch code := res.StatusCode; {
		case code < 300:
			if moved = to; moved != "" {
				return verdict{fmt.Sprintf("%s has moved permanently; link to %s", address, moved), true}, 0
			}
			return verdict{}, 0
		case method == http.MethodHead:
			// Some servers don't support HEAD and answer with an error.
		case code == http.StatusNotFound || code == http.StatusGone:
			return verdict{fmt.Sprintf("%s does not exist (%s)", address, res.Status), false}, 0
		case code == http.StatusTooManyRequests || code >= 500:
			return verdict{fmt.Sprintf("%s can't be checked now (%s)", address, res.Status), true}, retryAfter(res)
		default:
			return verdict{fmt.Sprintf("%s can't be checked from here (%s)", address, res.Status), true}, 0
		}
	}
	return verdict{}, 0
}

// do sends one request. moved is the final URL if all redirects on the way were permanent, else "".
func do(ctx context.Context, client *http.Client, method, address string) (res *http.Response, moved string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("User-Agent", userAgent)
	permanent := true
	asking := *client
	asking.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if len(via) >= maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		if code := next.Response.StatusCode; code != http.StatusMovedPermanently && code != http.StatusPermanentRedirect {
			permanent = false
		}
		moved = next.URL.String()
		return nil
	}
	res, err = asking.Do(req)
	if err != nil {
		return nil, "", err
	}
	// Closing the connection is cheaper than reading a body that nobody needs.
	if err := res.Body.Close(); err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	if !permanent {
		moved = ""
	}
	return res, moved, nil
}

var errPrivate = errors.New("a private address")

// failed is the verdict on a URL that got no response.
func failed(address string, err error) (verdict, time.Duration) {
	var dns *net.DNSError
	switch {
	case errors.Is(err, errPrivate):
		return verdict{fmt.Sprintf("%s is in a private network: other readers can't reach it, and this check does not connect to it", address), true}, 0
	case errors.As(err, &dns) && dns.IsNotFound:
		return verdict{fmt.Sprintf("%s: there is no host %s", address, dns.Name), false}, 0
	case errors.Is(err, context.DeadlineExceeded):
		return verdict{fmt.Sprintf("%s did not answer in %v", address, timeout), true}, 0
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return verdict{fmt.Sprintf("%s can't be checked: %v", address, err), true}, time.Second
}

func retryAfter(res *http.Response) time.Duration {
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		return time.Second
	}
	return time.Duration(min(seconds, int(maxWait/time.Second))) * time.Second
}

// Client returns an HTTP client that does not connect to private addresses unless allowPrivate is set.
func Client(allowPrivate bool) *http.Client { return (&Checker{AllowPrivate: allowPrivate}).client() }

func (c *Checker) client() *http.Client {
	dialer := &net.Dialer{Timeout: timeout}
	direct := *dialer
	if !c.AllowPrivate {
		// Control runs after DNS resolution and before the first packet, so host names and
		// redirects can't bypass the check.
		direct.Control = func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !public(to.Addr()) {
				return errPrivate
			}
			return nil
		}
	}
	transport := &http.Transport{
		DialContext: direct.DialContext, MaxIdleConnsPerHost: maxPerHost, TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout,
		MaxResponseHeaderBytes: 256 << 10, ForceAttemptHTTP2: true,
	}
	return &http.Client{Transport: &guarded{transport: transport, proxied: proxied(transport, dialer), allowPrivate: c.AllowPrivate}}
}

// proxied returns a copy of t that uses the proxies of the environment. Those may be in a private
// network.
func proxied(t *http.Transport, dialer *net.Dialer) *http.Transport {
	p := t.Clone()
	p.Proxy, p.DialContext = http.ProxyFromEnvironment, dialer.DialContext
	return p
}

// guarded sends requests through the environment's proxy if one is set, else directly.
type guarded struct {
	transport, proxied *http.Transport
	allowPrivate       bool
}

// RoundTrip implements http.RoundTripper.
func (g *guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	proxy, err := http.ProxyFromEnvironment(req)
	if err != nil {
		return nil, err
	}
	if proxy == nil {
		return g.transport.RoundTrip(req)
	}
	// The proxy resolves host names, so only literal addresses and localhost can be refused here.
	host := req.URL.Hostname()
	addr, err := netip.ParseAddr(host)
	if !g.allowPrivate && (err == nil && !public(addr) || cmp.Or(host, "localhost") == "localhost") {
		return nil, errPrivate
	}
	return g.proxied.RoundTrip(req)
}

// CloseIdleConnections implements the optional method that http.Client.CloseIdleConnections calls.
func (g *guarded) CloseIdleConnections() {
	g.transport.CloseIdleConnections()
	g.proxied.CloseIdleConnections()
}

// shared is the address space for carrier-grade NAT (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}
