// Package linkcheck asks other servers whether the pages that a course links to are there.
//
// Each address is asked for once, whatever the number of its links, with HEAD and where that is refused with GET. What the
// answer means:
//
//	2xx                        good
//	404, 410, unknown host     a mistake: the reader finds nothing there
//	everything else            a warning: nobody can tell from here (a server that wants a login, is busy, or is down today)
//
// Redirects are followed; one that says "moved for good" is a warning with the new address. The part behind # is not asked
// for: many pages make their anchors in the browser.
//
// Links are an author's text, and the check may run on a school's server. So it does not connect to addresses of private
// networks, of the machine itself or of its neighbours (loopback, 10/8, 192.168/16, 169.254/16, …), also when a name or a
// redirect leads there, unless the caller allows it.
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
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/internal/source"
)

const (
	maxAtOnce    = 8 // requests under way
	maxPerHost   = 2 // of them to one host
	maxRedirects = 10
	timeout      = 20 * time.Second // for one request with its redirects
	maxWait      = 10 * time.Second // that a busy server may ask for before the second try
	tries        = 2
)

// userAgent says who asks, so that a server's owner can tell.
const userAgent = "Mozilla/5.0 (compatible; sitegen-linkcheck)"

// Link is a link to another server and where it is written.
type Link struct {
	URL string
	At  *source.Error // its place; Msg is not read
}

// Checker checks links. The zero value is ready.
type Checker struct {
	AllowPrivate bool // connect to private addresses too
	// Wait sleeps before a second try, until ctx ends. Nil sleeps by the clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// verdict is what became of an address.
type verdict struct {
	msg  string // empty if it is good
	warn bool
}

// Check asks for all links. It returns when all are answered or ctx ends; the error is then ctx's.
func (c *Checker) Check(ctx context.Context, links []Link) (mistakes, warnings source.List, err error) {
	places := map[string][]*source.Error{}
	var urls []string
	for _, l := range links {
		address, _, _ := strings.Cut(l.URL, "#")
		if places[address] == nil {
			urls = append(urls, address)
		}
		// A text that stands in for a translation has its links on several pages.
		if !slices.ContainsFunc(places[address], func(at *source.Error) bool { return *at == *l.At }) {
			places[address] = append(places[address], l.At)
		}
	}
	slices.Sort(urls)
	client := c.client()
	defer client.CloseIdleConnections()
	hosts := hostLimit{free: map[string]chan struct{}{}}
	verdicts := make([]verdict, len(urls))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(maxAtOnce)
	for i, address := range urls {
		g.Go(func() error {
			release, err := hosts.acquire(gctx, address)
			if err != nil {
				return err
			}
			defer release()
			verdicts[i] = c.ask(gctx, client, address)
			return gctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, fmt.Errorf("checking links to other servers: %w", err)
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

// hostLimit lets few requests at a time go to one host.
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

// ask finds out about one address.
func (c *Checker) ask(ctx context.Context, client *http.Client, address string) verdict {
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

// request asks once: with HEAD, and with GET where a server gives no plain answer to that. retry is how long to wait before it
// is worth asking again, 0 if it isn't.
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
				return verdict{fmt.Sprintf("%s has moved for good; link to %s", address, moved), true}, 0
			}
			return verdict{}, 0
		case method == http.MethodHead:
			// Some servers answer HEAD with anything but what GET would get.
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

// do makes one request. moved is where permanent redirects have led, if only such did.
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
	// The answer's text is of no interest: closing the connection is cheaper than reading it.
	if err := res.Body.Close(); err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	if !permanent {
		moved = ""
	}
	return res, moved, nil
}

var errPrivate = errors.New("a private address")

// failed is the verdict on an address that gave no answer.
func failed(address string, err error) (verdict, time.Duration) {
	var dns *net.DNSError
	switch {
	case errors.Is(err, errPrivate):
		return verdict{fmt.Sprintf("%s is in a private network, which readers elsewhere can't reach and this check does not connect to", address), true}, 0
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

func (c *Checker) client() *http.Client {
	dialer := &net.Dialer{Timeout: timeout}
	direct := *dialer
	if !c.AllowPrivate {
		// After names are resolved and before a packet is sent, so that no name and no redirect leads past it.
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

// proxied is a transport like t that goes through the proxies of the environment, which may well be in a private network.
func proxied(t *http.Transport, dialer *net.Dialer) *http.Transport {
	p := t.Clone()
	p.Proxy, p.DialContext = http.ProxyFromEnvironment, dialer.DialContext
	return p
}

// guarded sends requests through the environment's proxy if there is one for them, else straight.
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
	// Only the proxy knows where a name leads, but an address can be judged here.
	host := req.URL.Hostname()
	addr, err := netip.ParseAddr(host)
	if !g.allowPrivate && (err == nil && !public(addr) || cmp.Or(host, "localhost") == "localhost") {
		return nil, errPrivate
	}
	return g.proxied.RoundTrip(req)
}

// CloseIdleConnections lets http.Client close what is kept open.
func (g *guarded) CloseIdleConnections() {
	g.transport.CloseIdleConnections()
	g.proxied.CloseIdleConnections()
}

// shared is for providers' own networks (RFC 6598): as private as the rest.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}
