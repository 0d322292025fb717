package web_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/labd-dev/labd/internal/store"
	"github.com/labd-dev/labd/sandbox/sandboxtest"
)

func TestStatusAndHealthNeedNoCookie(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	var st struct {
		Labs, Reason, Version string
		Sessions, Limit       int
	}
	l.call("GET", "/api/v1/status", "", http.StatusOK, &st)
	if st.Labs != "ready" || st.Version != "test" || st.Limit != 100 {
		t.Errorf("status is %+v", st)
	}
	resp, b := l.try("GET", "/healthz", "", func(r *http.Request) { r.Host = "probe.example" })
	if resp.StatusCode != http.StatusOK || string(b) != "ok\n" || len(resp.Cookies()) != 0 {
		t.Errorf("health is %d %q", resp.StatusCode, b)
	}
	w.fake.SetUnavailable(true)
	l.call("POST", "/api/v1/sessions", `{"lab": "first"}`, http.StatusCreated, nil) // fails, and has labd look at the engine
	eventually(t, "labs are off", func() bool { return !w.manager.Status().Ready })
	l.call("GET", "/api/v1/status", "", http.StatusOK, &st)
	if st.Labs != "off" || st.Reason == "" {
		t.Errorf("without an engine the status is %+v", st)
	}
	if resp, b := l.try("GET", "/", "", nil); resp.StatusCode != http.StatusOK || string(b) != "the site" {
		t.Errorf("without an engine the site is %d %q", resp.StatusCode, b)
	}
	l.refused("POST", "/api/v1/sessions", `{"lab": "first"}`, http.StatusServiceUnavailable, "labs_off")
}

func TestSessionFromStartToEnd(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	l.refused("GET", "/api/v1/sessions", "", http.StatusUnauthorized, "unauthorized")
	s := l.start()
	if s.Lab != "first" || s.Engine != "starting" || len(s.Variables["code"]) != 6 || len(s.Steps) != 2 || s.Steps[1].State != "locked" {
		t.Errorf("session is %+v", s)
	}
	var again sessionJSON
	l.call("POST", "/api/v1/sessions", `{"lab": "first", "lang": "en"}`, http.StatusOK, &again)
	if again.ID != s.ID {
		t.Errorf("asking again gave %s after %s", again.ID, s.ID)
	}
	var list struct{ Sessions []sessionJSON }
	l.call("GET", "/api/v1/sessions?lab=first", "", http.StatusOK, &list)
	if len(list.Sessions) != 1 || list.Sessions[0].ID != s.ID {
		t.Errorf("list is %+v", list)
	}
	l.call("GET", "/api/v1/sessions?lab=other", "", http.StatusOK, &list)
	if list.Sessions == nil || len(list.Sessions) != 0 {
		t.Errorf("list of another lab is %+v", list)
	}
	path := "/api/v1/sessions/" + s.ID
	var report struct {
		Passed   bool
		Findings []struct{ Kind, Hint string }
	}
	l.call("POST", path+"/steps/one/check", "", http.StatusOK, &report)
	if report.Passed || len(report.Findings) != 1 || report.Findings[0].Hint != "touch one" {
		t.Errorf("report is %+v", report)
	}
	l.refused("POST", path+"/steps/two/check", "", http.StatusConflict, "conflict")
	l.refused("POST", path+"/steps/nine/check", "", http.StatusNotFound, "not_found")
	l.refused("POST", path+"/extend", "", http.StatusConflict, "conflict")

	l.attach(s.ID, "t1", -1).typeText("touch one\n")
	eventually(t, "step one is done", func() bool {
		s = sessionJSON{}
		l.call("GET", path, "", http.StatusOK, &s)
		return s.Steps[0].State == "done" && s.Steps[1].State == "open"
	})
	if s.Steps[0].Done == nil || s.Steps[0].Report != nil {
		t.Errorf("steps are %+v", s.Steps)
	}
	var progress struct {
		Labs map[string]struct {
			Steps map[string]time.Time
			Done  bool
		}
	}
	l.call("GET", "/api/v1/progress", "", http.StatusOK, &progress)
	if p := progress.Labs["first"]; p.Done || p.Steps["one"].IsZero() {
		t.Errorf("progress is %+v", progress)
	}
	l.call("DELETE", path, "", http.StatusNoContent, nil)
	l.refused("GET", path, "", http.StatusGone, "gone")
	l.refused("DELETE", path, "", http.StatusGone, "gone")
	l.refused("POST", path+"/terminals", `{"id": "t1", "cols": 80, "rows": 24}`, http.StatusGone, "gone")
	if list, err := w.fake.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("stacks are left: %v, %v", list, err)
	}
}

func TestLearnerIsAnonymousUntilNamed(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	l.refused("GET", "/api/v1/me", "", http.StatusUnauthorized, "unauthorized")
	l.call("GET", "/api/v1/progress", "", http.StatusOK, nil) // gives the cookie
	me := func() string {
		t.Helper()
		resp, b := l.try("GET", "/api/v1/me", "", nil)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("answered %d %s", resp.StatusCode, b)
		}
		return strings.TrimSpace(string(b))
	}
	if got := me(); got != `{"class":null,"name":null,"role":"learner"}` {
		t.Errorf("an anonymous learner is %s", got)
	}
	if err := w.db.SetLearner(t.Context(), store.Learner{ID: 1, Name: "Ada", Role: store.RoleInstructor, Class: "autumn"}); err != nil {
		t.Fatal(err)
	}
	if got := me(); got != `{"class":"autumn","name":"Ada","role":"instructor"}` {
		t.Errorf("a named learner is %s", got)
	}
}

func TestResetAndStartOverHTTP(t *testing.T) {
	w := newWorld(t, func(w *world) {
		// A replay waits for the engine of the new machine.
		w.fake = sandboxtest.NewFake(t, sandboxtest.FakeOptions{Engine: func(string, string) http.Handler { return http.NotFoundHandler() }})
	})
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	c.typeText("touch one\n")
	eventually(t, "step one is done", func() bool {
		l.call("GET", "/api/v1/sessions/"+s.ID, "", http.StatusOK, &s)
		return s.Steps[0].State == "done"
	})
	if n := s.Nodes[0]; n.Name != "node1" || n.State != "up" {
		t.Errorf("the node is %+v", n)
	}
	path := "/api/v1/sessions/" + s.ID + "/reset"
	w.learner().refused("POST", path, `{}`, http.StatusUnauthorized, "unauthorized")
	l.call("POST", path, `{"start_over": false}`, http.StatusAccepted, &s)
	if s.State != "creating" {
		t.Errorf("while the new machine is made: %s", s.State)
	}
	if code := c.closed(); code != websocket.CloseInternalServerErr {
		t.Errorf("the terminal was closed with %d", code)
	}
	eventually(t, "the step was replayed", func() bool {
		s = sessionJSON{}
		l.call("GET", strings.TrimSuffix(path, "/reset"), "", http.StatusOK, &s)
		return s.State == "ready" && s.Steps[1].State == "open" && s.Replay == nil
	})
	l.call("DELETE", "/api/v1/sessions/"+s.ID, "", http.StatusNoContent, nil)
	l.call("POST", "/api/v1/sessions", `{"lab": "first", "start_over": true}`, http.StatusCreated, &s)
	eventually(t, "it began at its start", func() bool {
		s2 := sessionJSON{}
		l.call("GET", "/api/v1/sessions/"+s.ID, "", http.StatusOK, &s2)
		return s2.State == "ready" && s2.Steps[0].State == "open" && s2.Replay == nil
	})
	l.refused("POST", "/api/v1/sessions/"+s.ID+"/nodes/node9/restore-images", "", http.StatusNotFound, "not_found")
}

func TestCookieHasProtectingAttributes(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	resp, _ := l.try("GET", "/api/v1/progress", "", nil)
	cookies := resp.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies are %v", cookies)
	}
	c := cookies[0]
	if c.Name != "labd_learner" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Secure || len(c.Value) < 20 {
		t.Errorf("cookie is %+v", c)
	}
	if resp, _ := l.try("GET", "/api/v1/progress", "", nil); len(resp.Cookies()) != 0 {
		t.Error("a known learner got another cookie")
	}
	for _, value := range []string{"", "x", strings.Repeat("A", 26), strings.Repeat("A", 4000), "' OR 1=1 --"} {
		stranger := w.learner()
		resp, b := stranger.try("GET", "/api/v1/sessions", "", func(r *http.Request) {
			r.Header.Set("Cookie", "labd_learner="+value)
		})
		expectProblem(t, resp, b, http.StatusUnauthorized, "unauthorized")
	}
}

func TestCookieIsSecureBehindHTTPS(t *testing.T) {
	w := newWorld(t, func(w *world) { w.baseURL = "https://labs.example.org" })
	resp, _ := w.learner().try("GET", "/api/v1/progress", "", func(r *http.Request) { r.Host = "labs.example.org" })
	if c := resp.Cookies(); len(c) != 1 || !c[0].Secure {
		t.Errorf("cookies are %v", c)
	}
}

func TestAnotherLearnersSessionLooksLikeNone(t *testing.T) {
	w := newWorld(t, nil)
	s := w.learner().start()
	other := w.learner()
	other.call("GET", "/api/v1/progress", "", http.StatusOK, nil)
	for _, req := range []struct{ method, path, body string }{
		{"GET", "", ""},
		{"POST", "/extend", ""},
		{"DELETE", "", ""},
		{"POST", "/steps/one/check", ""},
		{"GET", "/events", ""},
		{"POST", "/terminals", `{"id": "t1", "cols": 80, "rows": 24}`},
		{"DELETE", "/terminals/t1", ""},
	} {
		theirs := other.refused(req.method, "/api/v1/sessions/"+s.ID+req.path, req.body, http.StatusNotFound, "not_found")
		none := other.refused(req.method, "/api/v1/sessions/nosuchsession"+req.path, req.body, http.StatusNotFound, "not_found")
		if theirs.Error.Message != none.Error.Message {
			t.Errorf("%s %s tells them apart: %q and %q", req.method, req.path, theirs.Error.Message, none.Error.Message)
		}
	}
}

// Attacks: a page of another site sends requests with the learner's cookie (CSRF), and a page whose host name the attacker
// resolves to labd's address is "same-origin" for the browser (DNS rebinding). labd must refuse both.
func TestCrossSiteRequestsAreRefused(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	l.call("GET", "/api/v1/progress", "", http.StatusOK, nil)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(w.http.URL, "http://"))
	post := func(change func(*http.Request)) (*http.Response, []byte) {
		return l.try("POST", "/api/v1/sessions", `{"lab": "first"}`, change)
	}
	for name, origin := range map[string]string{
		"foreign site":        "https://evil.example",
		"other port":          "http://127.0.0.1:1",
		"other loopback name": "http://localhost:" + port,
		"sandboxed frame":     "null",
		"a file":              "file://",
		"with a path":         w.http.URL + "/x",
		"with a user":         "http://evil@" + strings.TrimPrefix(w.http.URL, "http://"),
		"a prefix":            w.http.URL + ".evil.example",
	} {
		resp, b := post(func(r *http.Request) { r.Header.Set("Origin", origin) })
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: origin %q answered %d %s", name, origin, resp.StatusCode, b)
		}
	}
	resp, b := post(func(r *http.Request) { r.Header.Del("Origin") })
	expectProblem(t, resp, b, http.StatusForbidden, "forbidden")
	for _, host := range []string{"evil.example", "evil.example:" + port, "localhost.evil.example", "127.0.0.1.evil.example", ""} {
		for _, path := range []string{"/", "/api/v1/status", "/api/v1/progress"} {
			resp, b := l.try("GET", path, "", func(r *http.Request) { r.Host = host })
			if host == "" { // the client then sends the address
				continue
			}
			expectProblem(t, resp, b, http.StatusForbidden, "forbidden")
		}
	}
	for _, host := range []string{"localhost:" + port, "127.0.0.1", "[::1]:" + port, "course.localhost:99"} {
		if resp, b := l.try("GET", "/api/v1/status", "", func(r *http.Request) { r.Host = host }); resp.StatusCode != http.StatusOK {
			t.Errorf("host %s answered %d %s", host, resp.StatusCode, b)
		}
	}
	if list, err := w.fake.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("a refused request made %v, %v", list, err)
	}
}

func TestBaseURLIsTheOnlyNameAndOrigin(t *testing.T) {
	w := newWorld(t, func(w *world) { w.baseURL = "https://labs.example.org" })
	l := w.learner()
	send := func(host, origin string) int {
		resp, _ := l.try("POST", "/api/v1/sessions", `{"lab": "none"}`, func(r *http.Request) {
			r.Host = host
			r.Header.Set("Origin", origin)
		})
		return resp.StatusCode
	}
	if got := send("labs.example.org", "https://labs.example.org"); got != http.StatusNotFound {
		t.Errorf("our own page got %d", got)
	}
	if got := send("labs.example.org", "http://labs.example.org"); got != http.StatusForbidden {
		t.Errorf("the page without https got %d", got)
	}
	if got := send("other.example.org", "https://other.example.org"); got != http.StatusForbidden {
		t.Errorf("another name got %d", got)
	}
}

func TestBodiesAreBoundedAndTyped(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	l.refused("POST", "/api/v1/sessions", `{"lab": "`+strings.Repeat("x", 70<<10)+`"}`, http.StatusRequestEntityTooLarge, "too_large")
	l.refused("POST", "/api/v1/sessions", `{"lab": `, http.StatusBadRequest, "invalid")
	l.refused("POST", "/api/v1/sessions", `{"lab": 7}`, http.StatusBadRequest, "invalid")
	l.refused("POST", "/api/v1/sessions", `{"lab": "first"} trailing`, http.StatusBadRequest, "invalid")
	l.refused("POST", "/api/v1/sessions", ``, http.StatusBadRequest, "invalid")
	l.refused("POST", "/api/v1/sessions", `{"lab": "../../etc/passwd"}`, http.StatusNotFound, "not_found")
	resp, b := l.try("POST", "/api/v1/sessions", `{"lab": "first"}`, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
	expectProblem(t, resp, b, http.StatusBadRequest, "invalid")
	s := l.start()
	for _, body := range []string{
		`{"id": "t1", "cols": 0, "rows": 24}`, `{"id": "t1", "cols": 80, "rows": 70000}`, `{"id": "t1", "cols": 5000, "rows": 24}`,
		`{"id": "T 1", "cols": 80, "rows": 24}`, `{"id": "", "cols": 80, "rows": 24}`, `{"id": "../x", "cols": 80, "rows": 24}`,
	} {
		l.refused("POST", "/api/v1/sessions/"+s.ID+"/terminals", body, http.StatusBadRequest, "invalid")
	}
	l.refused("POST", "/api/v1/sessions/"+s.ID+"/terminals", `{"id": "t1", "node": "node9", "cols": 80, "rows": 24}`, http.StatusNotFound, "not_found")
	l.refused("GET", "/api/v1/nothing", "", http.StatusNotFound, "not_found")
	l.refused("PUT", "/api/v1/sessions", "", http.StatusNotFound, "not_found")
}

func TestBodyOfARequestThatNeedsNoneIsBoundedToo(t *testing.T) {
	l := newWorld(t, nil).learner()
	for _, path := range []string{"/api/v1/sessions/x/extend", "/"} {
		resp, b := l.try("POST", path, strings.Repeat("x", 1<<20), nil)
		expectProblem(t, resp, b, http.StatusRequestEntityTooLarge, "too_large")
	}
}

func TestPanicInAHandlerFailsOnlyItsRequest(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	p := l.refused("GET", "/panic", "", http.StatusInternalServerError, "internal")
	if strings.Contains(p.Error.Message, "boom") {
		t.Errorf("the message leaks: %q", p.Error.Message)
	}
	if log := w.log.String(); !strings.Contains(log, "boom in a handler") || !strings.Contains(log, p.Error.ID) || !strings.Contains(log, "harness_test.go") {
		t.Errorf("the log does not tell where: %s", log)
	}
	l.call("GET", "/api/v1/status", "", http.StatusOK, nil)
}

func TestPanicAfterTheAnswerBeganCutsTheConnection(t *testing.T) {
	w := newWorld(t, nil)
	resp, err := w.learner().http.Get(w.http.URL + "/late-panic")
	if err == nil {
		var b []byte
		b, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if strings.Contains(string(b), "internal") {
			t.Errorf("a second answer follows the first: %q", b)
		}
	}
	if err == nil {
		t.Error("the client can't see that the answer is incomplete")
	}
	eventually(t, "the log says why", func() bool { return strings.Contains(w.log.String(), "boom after the answer began") })
}

func TestEveryResponseHasSecurityHeaders(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/", "/api/v1/status", "/api/v1/nothing"} {
		resp, _ := w.learner().try("GET", path, "", nil)
		h := resp.Header
		if csp := h.Get("Content-Security-Policy"); csp != "default-src 'none'; frame-ancestors 'none'" {
			t.Errorf("%s: the policy is %q", path, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Request-Id") == "" {
			t.Errorf("%s: headers are %v", path, h)
		}
	}
}

func TestClassLimitOverHTTP(t *testing.T) {
	w := newWorld(t, func(w *world) { w.limits.Sessions = 5 })
	var created, full atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		l := w.learner()
		wg.Go(func() {
			resp, b := l.try("POST", "/api/v1/sessions", `{"lab": "first"}`, nil)
			var p problem
			switch {
			case resp.StatusCode == http.StatusCreated:
				created.Add(1)
			case resp.StatusCode == http.StatusServiceUnavailable && json.Unmarshal(b, &p) == nil && p.Error.Code == "full":
				full.Add(1)
			default:
				t.Errorf("answered %d %s", resp.StatusCode, b)
			}
		})
	}
	wg.Wait()
	if created.Load() != 5 || full.Load() != 45 {
		t.Errorf("%d sessions, %d refusals", created.Load(), full.Load())
	}
}

func TestTooManyStartsOfOneLearner(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	for i := range 100 {
		resp, b := l.try("POST", "/api/v1/sessions", `{"lab": "none"}`, nil)
		if resp.StatusCode == http.StatusNotFound {
			continue
		}
		expectProblem(t, resp, b, http.StatusTooManyRequests, "too_many")
		if i < 10 {
			t.Errorf("refused after %d", i)
		}
		// Nobody else is held up.
		w.learner().refused("POST", "/api/v1/sessions", `{"lab": "none"}`, http.StatusNotFound, "not_found")
		return
	}
	t.Error("100 starts at once were allowed")
}

// stream opens the event stream of a session. next returns the next event.
func (l *learner) stream(id string) (next func() (sessionJSON, bool), resp *http.Response) {
	l.t.Helper()
	req, err := http.NewRequest("GET", l.w.http.URL+"/api/v1/sessions/"+id+"/events", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	resp, err = l.http.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return func() (s sessionJSON, ok bool) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &s); err != nil {
					l.t.Errorf("event %q: %v", data, err)
				}
				return s, true
			}
		}
		return s, false
	}, resp
}

func TestEventsBeginWithThePresentStateAndEndWithTheSession(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	next, resp := l.stream(s.ID)
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type is %s", got)
	}
	if first, ok := next(); !ok || first.ID != s.ID || first.State != "ready" {
		t.Fatalf("first came %+v", first)
	}
	l.attach(s.ID, "t1", -1).typeText("touch one two\n")
	var last sessionJSON
	for {
		v, ok := next()
		if !ok {
			t.Fatal("the stream ended early")
		}
		if last = v; v.Steps[1].State == "done" {
			break
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.call("DELETE", "/api/v1/sessions/"+s.ID, "", http.StatusNoContent, nil)
	}()
	for {
		v, ok := next()
		if !ok {
			break
		}
		last = v
	}
	<-done
	if last.State != "ended" {
		t.Errorf("the last event is %+v", last)
	}
}

// A suspended page reads nothing for minutes. It must not delay others, and must get the newest state afterwards.
func TestSlowReaderOfEventsDelaysNobody(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	next, _ := l.stream(s.ID)
	next()
	fast, _ := l.stream(s.ID)
	fast()
	c := l.attach(s.ID, "t1", -1)
	for i := range 30 { // each is one event at least, and nobody reads the first stream
		l.ticket(s.ID, fmt.Sprint("x", i))
	}
	c.typeText("touch one two\n")
	for {
		v, ok := fast()
		if !ok {
			t.Fatal("the other stream ended")
		}
		if v.Steps[1].State == "done" {
			break
		}
	}
	for {
		v, ok := next()
		if !ok {
			t.Fatal("the slow stream ended")
		}
		if v.Steps[1].State == "done" && len(v.Terminals) == 31 {
			break
		}
	}
}

func TestStopEndsStreams(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	next, _ := l.stream(s.ID)
	next()
	w.stop()
	for {
		if _, ok := next(); !ok {
			return
		}
	}
}
