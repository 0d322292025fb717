package check_test

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/check"
)

// A learner is root in the node and can replace the engine. Whatever it answers, a check ends in
// time, uses little memory, and does not pass.
func TestHostileEngines(t *testing.T) {
	endless := func(w http.ResponseWriter, start, part string) {
		_, _ = io.WriteString(w, start)
		junk := strings.Repeat(part, 1000)
		for {
			if _, err := io.WriteString(w, junk); err != nil {
				return
			}
		}
	}
	// raw writes the answer to the connection itself.
	raw := func(w http.ResponseWriter, f func(net.Conn)) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		f(conn)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"endless list":   func(w http.ResponseWriter, r *http.Request) { endless(w, "[", `{"Id":"x"},`) },
		"endless string": func(w http.ResponseWriter, r *http.Request) { endless(w, `[{"Id":"`, "x") },
		"deep nesting":   func(w http.ResponseWriter, r *http.Request) { endless(w, "[", "[") },
		"wrong types":    func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, `[{"Id":5,"Names":{"a":1}}]`) },
		"an object":      func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, `{"Id":"x"}`) },
		"not JSON":       func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") },
		"nothing":        func(w http.ResponseWriter, r *http.Request) {},
		"an error": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, `{"message":"\u001b[2Jno"}`, http.StatusInternalServerError)
		},
		"an endless error": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			endless(w, "", "x")
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		},
		"strange ids": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `[{"Id":"../../images/json","Names":["/x"],"State":"running"}]`)
		},
		"silence": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"drops": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, " "); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		},
		"a header of 1 GB": func(w http.ResponseWriter, r *http.Request) {
			raw(w, func(c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
				junk := []byte(strings.Repeat("x", 1<<20))
				for range 1 << 10 {
					if _, err := c.Write(junk); err != nil {
						return
					}
				}
			})
		},
		"endless interim answers": func(w http.ResponseWriter, r *http.Request) {
			raw(w, func(c net.Conn) {
				for {
					if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"); err != nil {
						return
					}
				}
			})
		},
		"not HTTP": func(w http.ResponseWriter, r *http.Request) {
			raw(w, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n") })
		},
	} {
		for _, stage := range []string{"from the first byte", "after the greeting"} {
			t.Run(name+" "+stage, func(t *testing.T) {
				_, ns := nodes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if isAgents(w, r) {
						return
					}
					if r.URL.Path == "/_ping" && stage == "after the greeting" {
						w.Header().Set("Api-Version", "1.45/../../x")
						return
					}
					answer(w, r)
				}))
				s := step(t, "[[container]]\nname = \"x\"\nexit_code = 0\n[[image]]\nname = \"x\"\n[[network]]\nname = \"x\"\n[[event]]\naction = \"die\"\nimage = \"x\"\n[[file]]\ncontainer = \"x\"\npath = \"/x\"\n")
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				rep, err := (&check.Runner{ProbeTimeout: 200 * time.Millisecond, Timeout: time.Second}).Run(t.Context(), check.Input{Step: s, Nodes: ns})
				runtime.ReadMemStats(&after)
				if err != nil {
					t.Fatal(err)
				}
				if rep.Passed {
					t.Errorf("it passed: %+v", rep)
				}
				for _, f := range rep.Findings {
					if f.OK || len(f.Saw) > 2000 || strings.ContainsRune(f.Saw, 0x1b) {
						t.Errorf("finding: %+v", f)
					}
				}
				if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 128<<20 {
					t.Errorf("the heap grew by %d MiB", grown>>20)
				}
			})
		}
	}
}
