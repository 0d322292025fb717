package check_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/labd-dev/labd/internal/check"
)

func TestHTTPProbes(t *testing.T) {
	var mu sync.Mutex
	var methods []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		methods = append(methods, r.Method)
		mu.Unlock()
		switch r.URL.Path {
		case "/":
			_, _ = io.WriteString(w, "Welcome to\n\x1b[31mx7k2p9\nvisits: 12\n")
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/huge":
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "part")
		case "/silent":
			<-r.Context().Done()
		default:
			http.Error(w, "no", http.StatusNotFound)
		}
	}))
	defer srv.Close()
	_, ns := nodes(t, nil)
	for _, tt := range []struct {
		keys        string
		ok, pending bool
		saw         string
	}{
		{`url = "URL/"`, true, false, "answers with status 200"},
		{`url = "URL/"
status = 200
contains = "{{code}}"
not_contains = "Error"
matches = 'visits: \d\d'`, true, false, "answers `Welcome to [31mx7k2p9 visits: 12`"},
		{`url = "URL/"
contains = "nothing"`, false, false, "answers `Welcome"},
		{`url = "URL/"
not_contains = "Welcome"`, false, false, "answers `Welcome"},
		{`url = "URL/"
matches = 'visits: \d{3}'`, false, false, "answers `Welcome"},
		{`url = "URL/x"
status = 200`, false, false, "answers with status 404"},
		{`url = "URL/moved"
status = 302`, true, false, "answers with status 302"},
		{`url = "URL/moved"
status = 200`, false, false, "answers with status 302"},
		{`url = "URL/"
method = "HEAD"
status = 200`, true, false, "answers with status 200"},
		{`url = "URL/cut"
contains = "part"`, true, false, "answers `part`"},
		{`url = "URL/huge"`, false, false, "no connection: "},
		{`url = "URL/silent"
timeout = "50ms"`, false, true, "no answer in time"},
		{`url = "http://127.0.0.1:1/"`, false, false, "nothing listens there"},
		{`url = "http://no-such-host..invalid/"`, false, false, ""}, // two dots: no name server is asked, and none can be slow
	} {
		t.Run(tt.keys, func(t *testing.T) {
			rep := run(t, check.Input{Nodes: ns, Vars: map[string]string{"code": "x7k2p9"}, Step: step(t, "[[http]]\n"+strings.ReplaceAll(tt.keys, "URL", srv.URL))})
			f := rep.Findings[0]
			if f.OK != tt.ok || f.Pending != tt.pending || !strings.Contains(f.Saw, tt.saw) {
				t.Errorf("got %+v", f)
			}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(methods, " "); strings.Count(got, "HEAD") != 1 || strings.ReplaceAll(strings.ReplaceAll(got, "GET", ""), "HEAD", "") != strings.Repeat(" ", len(methods)-1) {
		t.Errorf("methods %s", got)
	}
}

func TestTCPProbes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ln.Close()
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				buf := make([]byte, 100)
				n, _ := conn.Read(buf)
				switch string(buf[:n]) {
				case "PING\r\n":
					_, _ = io.WriteString(conn, "+PO")
					_, _ = io.WriteString(conn, "NG\r\n")
				case "flood":
					junk := []byte(strings.Repeat("junk ", 1000))
					for {
						if _, err := conn.Write(junk); err != nil {
							return
						}
					}
				case "silence":
					_, _ = conn.Read(buf)
				}
			})
		}
	})
	_, ns := nodes(t, nil)
	addr := ln.Addr().String()
	for _, tt := range []struct {
		keys        string
		ok, pending bool
		saw         string
	}{
		{`address = "ADDR"`, true, false, "something listens there"},
		{"address = \"ADDR\"\nsend = \"PING\\r\\n\"\nexpect = \"+PONG\"", true, false, "contains `+PONG`"},
		{"address = \"ADDR\"\nsend = \"PING\\r\\n\"\nexpect = \"+PANG\"", false, false, "answers `+PONG`"},
		{"address = \"ADDR\"\nsend = \"flood\"\nexpect = \"x\"", false, false, "answers `junk junk"},
		{"address = \"ADDR\"\nsend = \"silence\"\nexpect = \"x\"\ntimeout = \"50ms\"", false, true, "no answer in time"},
		{"address = \"ADDR\"\nsend = \"bye\"\nexpect = \"x\"", false, false, "no connection"},
		{"address = \"ADDR\"\nrefused = true", false, false, "something listens there"},
		{"address = \"127.0.0.1:1\"\nrefused = true", true, false, "nothing listens there"},
		{"address = \"127.0.0.1:1\"", false, false, "nothing listens there"},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			rep := run(t, check.Input{Nodes: ns, Step: step(t, "[[tcp]]\n"+strings.ReplaceAll(tt.keys, "ADDR", addr))})
			f := rep.Findings[0]
			if f.OK != tt.ok || f.Pending != tt.pending || !strings.Contains(f.Saw, tt.saw) {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestFilesOfTheNode(t *testing.T) {
	_, ns := nodes(t, nil)
	for name, content := range map[string]string{"/root/app/x": "code x7\n", "/root/big": strings.Repeat("x", 1<<20+1)} {
		if err := ns[0].WriteFile(t.Context(), name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		keys string
		ok   bool
		saw  string
	}{
		{`path = "/root/app/x"`, true, "contains `code x7`"},
		{"path = \"/root/app/x\"\ncontains = \"x7\"\nequals = \"code x7\"", true, "contains `code x7`"},
		{"path = \"/root/app/x\"\ncontains = \"x8\"", false, "contains `code x7`"},
		{`path = "/root/app/y"`, false, "it is not there"},
		{"path = \"/root/app/y\"\nexists = false", true, "it is not there"},
		{"path = \"/root/app/x\"\nexists = false", false, "it is there"},
		{`path = "/root/app"`, true, "not a regular file"},
		{"path = \"/root/big\"\ncontains = \"x\"", false, "more than 1048576 bytes"},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			f := run(t, check.Input{Nodes: ns, Step: step(t, "[[file]]\n"+tt.keys)}).Findings[0]
			if f.OK != tt.ok || f.Pending || f.Saw != tt.saw {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestShellProbes(t *testing.T) {
	_, ns := nodes(t, nil)
	vars := map[string]string{"code": "x7"}
	for _, tt := range []struct {
		keys        string
		ok, pending bool
		saw         string
	}{
		{`script = "echo fine {{code}} $LAB_CODE"`, true, false, "fine x7 x7"},
		{`script = "true"`, true, false, "as expected"},
		{`script = "echo bad >&2; exit 3"`, false, false, "bad"},
		{`script = "exit 3"`, false, false, "not as expected (3)"},
		{`script = "false; true"`, false, false, "not as expected (1)"},
		{`script = "head -c 10000000 /dev/zero | tr '\\0' x"`, true, false, strings.Repeat("x", 300) + "…"},
		{"script = \"exec sleep 100\"\ntimeout = \"100ms\"", false, true, "no answer in time"},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			f := run(t, check.Input{Nodes: ns, Vars: vars, Step: step(t, "[[shell]]\n"+tt.keys)}).Findings[0]
			if f.OK != tt.ok || f.Pending != tt.pending || f.Saw != tt.saw {
				t.Errorf("got %+v", f)
			}
		})
	}
}
