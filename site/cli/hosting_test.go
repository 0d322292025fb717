package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"github.com/labd-dev/labd/internal/command"
	"github.com/labd-dev/labd/internal/static"
)

const hostingHost = "course.example.org"

// TestTheGuidesWebServersServeASite runs nginx and Caddy as the guide tells operators to, and holds
// what they answer against what labd's own server answers for the same site.
func TestTheGuidesWebServersServeASite(t *testing.T) {
	// Not t.TempDir: nginx's workers are another user's, and the path of a socket is short.
	dir, err := os.MkdirTemp("", "host")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "public")
	var said bytes.Buffer
	content := filepath.Join(dir, "content")
	for name, text := range map[string]string{"_index.md": "", "m/_index.md": "", "m/one.md": strings.Repeat("Words of a lesson.\n\n", 100), "m/two.md": "Few.\n"} {
		for _, lang := range []string{"en", "zh"} {
			file := filepath.Join(content, lang, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755),
				os.WriteFile(file, []byte("+++\ntitle = \""+strings.TrimSuffix(name, ".md")+"\"\n+++\n"+text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code := Program().Run(t.Context(), &command.Env{Stdout: &said, Stderr: &said}, []string{"build", "-content", content, "-cache", "", "-cards", "off", "-compress",
		"-base-url", "https://" + hostingHost + "/", "-out", out}); code != 0 {
		t.Fatal(said.String())
	}
	certFile, keyFile, roots := certificate(t, dir)
	for name, start := range map[string]func(t *testing.T, example string) string{
		"nginx": func(t *testing.T, example string) string {
			socket := filepath.Join(dir, "nginx.sock")
			conf := replaced(t, example,
				"listen 443 ssl;", "listen unix:"+socket+" ssl;",
				"/etc/ssl/course.crt", certFile, "/etc/ssl/course.key", keyFile,
				"/srv/course/public", out)
			// The rest is what Debian's nginx.conf says, with nothing outside of the test's folder.
			conf = "daemon off;\nuser www-data;\npid " + dir + "/nginx.pid;\nerror_log stderr;\n" +
				"include /etc/nginx/modules-enabled/*.conf;\nevents {}\nhttp {\ninclude /etc/nginx/mime.types;\n" +
				"default_type application/octet-stream;\naccess_log off;\nclient_body_temp_path " + dir + "/body;\n" +
				"proxy_temp_path " + dir + "/proxy;\nfastcgi_temp_path " + dir + "/fastcgi;\nuwsgi_temp_path " + dir + "/uwsgi;\n" +
				"scgi_temp_path " + dir + "/scgi;\n" + conf + "}\n"
			file := filepath.Join(dir, "nginx.conf")
			if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
				t.Fatal(err)
			}
			startServer(t, dir, socket, "nginx", "-e", "stderr", "-c", file)
			return socket
		},
		"Caddyfile": func(t *testing.T, example string) string {
			socket := filepath.Join(dir, "caddy.sock")
			conf := replaced(t, example,
				hostingHost+" {", "https://"+hostingHost+" {\nbind unix/"+socket+"\ntls "+certFile+" "+keyFile,
				"/srv/course/public", out)
			conf = "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\n}\n" + conf
			file := filepath.Join(dir, "Caddyfile")
			if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
				t.Fatal(err)
			}
			startServer(t, dir, socket, "caddy", "run", "--adapter", "caddyfile", "--config", file)
			return socket
		},
	} {
		t.Run(name, func(t *testing.T) {
			example := hostingExample(t, name)
			socket := start(t, example)
			client := &http.Client{
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
				Transport: &http.Transport{
					DisableCompression: true,
					TLSClientConfig:    &tls.Config{RootCAs: roots},
					DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
						return (&net.Dialer{}).DialContext(ctx, "unix", socket)
					},
				},
			}
			t.Cleanup(client.CloseIdleConnections)
			compareSite(t, client, out)
		})
	}
}

// hostingExample takes a configuration out of the guide; both languages' must be the same but for
// comments.
func hostingExample(t *testing.T, title string) string {
	t.Helper()
	var examples []string
	for _, lang := range []string{"en", "zh"} {
		page, err := os.ReadFile(filepath.Join("..", "..", "content", lang, "guide", "operations", "static.md"))
		if err != nil {
			t.Fatal(err)
		}
		_, code, ok := strings.Cut(string(page), ` {title="`+title+`"}`+"\n")
		code, _, end := strings.Cut(code, "```\n")
		if !ok || !end {
			t.Fatalf("%s: there is no block of code %q", lang, title)
		}
		examples = append(examples, regexp.MustCompile(` +#.*`).ReplaceAllString(code, ""))
	}
	if examples[0] != examples[1] {
		t.Errorf("%s: the languages differ:\n%s\n%s", title, examples[0], examples[1])
	}
	return examples[0]
}

// replaced replaces what only holds on an operator's machine: pairs of old and new, each old there once.
func replaced(t *testing.T, example string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if n := strings.Count(example, pairs[i]); n != 1 {
			t.Fatalf("the example has %q %d times:\n%s", pairs[i], n, example)
		}
		example = strings.Replace(example, pairs[i], pairs[i+1], 1)
	}
	return example
}

// startServer runs a server until the test ends, and waits until it accepts.
func startServer(t *testing.T, dir, socket, program string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if path, err = exec.LookPath(filepath.Join("/usr/sbin", program)); err != nil {
			t.Skip(program, " is not installed: labd setup --tests")
		}
	}
	var said output
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // nginx ends its workers, which a kill would leave
	cmd.WaitDelay = time.Minute
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it was told to end, or what it said is shown
		close(ended)
	}()
	t.Cleanup(func() { stop(); <-ended })
	until(t, program+" accepting", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", program, said.String())
		default:
		}
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// compareSite asks for all files of a site and for some that are not there, in every form.
func compareSite(t *testing.T, client *http.Client, dir string) {
	var paths []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, name)
		ext := filepath.Ext(name)
		if err == nil && d.Type().IsRegular() && ext != ".br" && ext != ".gz" && !strings.HasPrefix(rel, ".") {
			paths = append(paths, "/"+strings.TrimSuffix(filepath.ToSlash(rel), "index.html"))
		}
		return err
	})
	if err != nil || len(paths) < 20 {
		t.Fatal(len(paths), err)
	}
	own := static.Handler(dir)
	fingerprinted := map[string]int{}
	for _, path := range append(paths, "/nowhere", "/zh/nowhere/", "/m/nowhere.html", "/assets/gone-ABCDEFGH.js", "/m/one", "/zh/m") {
		for _, accept := range []string{"", "gzip", "gzip, deflate, br, zstd"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+hostingHost+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if accept != "" {
				req.Header.Set("Accept-Encoding", accept)
			}
			want := httptest.NewRecorder()
			own.ServeHTTP(want, req)
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			body := plain(t, resp.Header, resp.Body)
			if err := resp.Body.Close(); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			same := func(what string, got, want any) {
				if t.Helper(); got != want {
					t.Errorf("%s to who takes %q: %s is %q, not %q", path, accept, what, got, want)
				}
			}
			if want.Code == http.StatusMovedPermanently { // some servers say 308
				same("being a redirect", resp.StatusCode/100, 3)
				same("Location", strings.TrimPrefix(resp.Header.Get("Location"), "https://"+hostingHost), want.Header().Get("Location"))
				continue
			}
			same("the status", resp.StatusCode, want.Code)
			same("the media type", mediaType(resp.Header), mediaType(want.Header()))
			same("nosniff", resp.Header.Get("X-Content-Type-Options"), "nosniff")
			same("Content-Security-Policy", resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'self'")
			keep := want.Header().Get("Cache-Control")
			same("Cache-Control", strings.Join(resp.Header.Values("Cache-Control"), "|"), keep)
			if want.Code == http.StatusOK {
				coding := want.Header().Get("Content-Encoding")
				same("Content-Encoding", resp.Header.Get("Content-Encoding"), coding)
				if coding != "" {
					same("Vary", resp.Header.Get("Vary"), "Accept-Encoding")
				}
				if strings.Contains(keep, "immutable") {
					fingerprinted[coding]++
				}
				if resp.Header.Get("ETag") == "" {
					t.Errorf("%s to who takes %q: no ETag", path, accept)
				}
			}
			if file := plain(t, want.Header(), want.Body); !bytes.Equal(body, file) {
				t.Errorf("%s to who takes %q: %d bytes, not the %d of the file", path, accept, len(body), len(file))
			}
			if t.Failed() {
				return // one is enough to see what is wrong
			}
		}
	}
	for _, coding := range []string{"", "gzip", "br"} {
		if fingerprinted[coding] == 0 {
			t.Errorf("no file that may be kept was sent with coding %q", coding)
		}
	}
}

// plain reads what was sent, and unpacks it.
func plain(t *testing.T, head http.Header, body io.Reader) []byte {
	t.Helper()
	var err error
	switch head.Get("Content-Encoding") {
	case "gzip":
		body, err = gzip.NewReader(body)
	case "br":
		body = brotli.NewReader(body)
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// mediaType is a response's media type, in the words of today.
func mediaType(head http.Header) string {
	kind, _, err := mime.ParseMediaType(head.Get("Content-Type"))
	if err != nil {
		return err.Error()
	}
	switch kind {
	case "application/javascript":
		return "text/javascript"
	case "text/xml":
		return "application/xml"
	}
	return kind
}

// certificate makes one for the host of the examples.
func certificate(t *testing.T, dir string) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{hostingHost}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	certFile, keyFile = write("course.crt", "CERTIFICATE", cert), write("course.key", "PRIVATE KEY", raw)
	roots = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	return certFile, keyFile, roots
}
