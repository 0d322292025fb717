package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/config"
	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/isolation"
)

func TestParseReportsEveryMistakeWithItsLine(t *testing.T) {
	for _, tc := range []struct {
		name  string
		toml  string
		wants []string
	}{
		{"unknown key with the nearest one", "lisen = \"127.0.0.1:1\"\n",
			[]string{`lab.toml:1:1: unknown key or table "lisen" (did you mean "listen"?)`, "    1 | lisen = "}},
		{"unknown key in a table", "[limits]\n# note\nsesions = 3\n",
			[]string{`lab.toml:3:1: unknown key "limits.sesions" (did you mean "limits.sessions"?)`, "    3 | sesions = 3"}},
		{"unknown table", "[limts]\nsessions = 3\n", []string{`lab.toml:1:1: unknown key or table "limts" (did you mean "limits"?)`}},
		{"key in the wrong table", "[log]\nsessions = 3\n", []string{`lab.toml:2:1: unknown key "log.sessions" here; it belongs below [limits]`}},
		{"table's key at the top", "isolation = \"runc\"\n", []string{`it belongs below [sandbox]`}},
		{"top key in a table", "[log]\nlisten = \"127.0.0.1:1\"\n", []string{`lab.toml:2`, `above the first [table]`}},
		{"a table written as a key", "limits = 3\n", []string{`lab.toml:1:1: limits is a table: write [limits]`}},
		{"string for integer", "[limits]\nsessions = \"40\"\n", []string{`lab.toml:2:1: limits.sessions must be a whole number, not a string`, `sessions = "40"`}},
		{"integer for string", "listen = 8080\n", []string{`lab.toml:1:1: listen must be a string, not a whole number`}},
		{"integer for size", "[limits]\nmemory = 512\n", []string{`must be a size with its unit like "768MiB", not a whole number`}},
		{"size without unit", "[limits]\nmemory = \"512\"\n", []string{`lab.toml:2:1: limits.memory must be a size`}},
		{"too small", "[limits]\nmemory = \"5MiB\"\n", []string{`must be from 128MiB to 16TiB, not "5MiB"`}},
		{"bad duration", "[limits]\nsession_ttl = \"1 hour\"\n", []string{`lab.toml:2:1: limits.session_ttl must be a duration like "1h30m"`}},
		{"integer out of range", "[limits]\nsessions = 0\n", []string{`must be from 1 to 10000, not 0`}},
		{"isolation", "[sandbox]\nisolation = \"gviser\"\n", []string{`must be one of gvisor, runc, not "gviser" (did you mean "gvisor"?)`}},
		{"boolean", "[sandbox]\ni_trust_my_learners = \"yes\"\n", []string{`must be true or false, not a string`}},
		{"subnet with host bits", "[sandbox]\nsubnets = \"10.213.0.7/16\"\n", []string{`did you mean "10.213.0.0/16"?)`}},
		{"public subnet", "[sandbox]\nsubnets = \"8.8.0.0/16\"\n", []string{`is not a private range`}},
		{"a list of subnets", "[sandbox]\nsubnets = [\"10.0.0.0/8\"]\n", []string{`lab.toml:2:1: sandbox.subnets must be a string, not a list`}},
		{"small subnet", "[sandbox]\nsubnets = \"10.0.0.0/28\"\n", []string{`too small`}},
		{"remote engine", "[sandbox]\ndocker_host = \"tcp://10.0.0.1:2375\"\n", []string{`must be a Unix socket on this machine`}},
		{"listen without port", "listen = \"localhost\"\n", []string{`lab.toml:1:1: listen must be host:port`}},
		{"listen on a name", "listen = \"labs.example.org:80\"\n", []string{`must be an IP address of this machine or localhost`}},
		{"base_url with a path", "base_url = \"https://x.example/labs\"\n", []string{`lab.toml:1:1: base_url must be scheme and host only`}},
		{"base_url without scheme", "base_url = \"x.example\"\n", []string{`must be http:// or https://`}},
		{"session_max below session_ttl", "[limits]\nsession_ttl = \"2h\"\nsession_max = \"1h\"\n", []string{`lab.toml:3:1: session_max (1h0m0s) must not be shorter than session_ttl (2h0m0s)`}},
		{"warn_before too long", "[limits]\nsession_ttl = \"5m\"\n", []string{`lab.toml:2:1: warn_before (5m0s) must be shorter`}},
		{"broken TOML", "listen = \"127.0.0.1:1\"\n[limits\nsessions = 3\n", []string{`lab.toml:2`}},
		{"same key twice", "listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n", []string{`lab.toml:2`}},
		{"dotted key", "limits.sesions = 3\n", []string{`lab.toml:1:1: unknown key "limits.sesions"`}},
		{"all at once", "lisen = 1\n[limits]\nsessions = \"x\"\nmemory = 3\n",
			[]string{"lab.toml:1:", "lab.toml:3:", "lab.toml:4:"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := config.Parse("lab.toml", []byte(tc.toml))
			if err == nil {
				t.Fatalf("accepted %q", tc.toml)
			}
			for _, want := range tc.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got  %v\nwant %s", err, want)
				}
			}
		})
	}
}

func TestParseTakesEveryKey(t *testing.T) {
	c, err := config.Parse("lab.toml", []byte(`
listen = "0.0.0.0:80"
base_url = "https://labs.example.org"
data_dir = "/srv/labd"
[sandbox]
isolation = "runc"
i_trust_my_learners = true
docker_host = "unix:///run/other.sock"
subnets = "172.20.0.0/16"
[limits]
sessions = 300
memory = "1.5GiB"
cpus = 2
pids = 500
disk = "8GB"
session_ttl = "90m"
`))
	if err != nil {
		t.Fatal(err)
	}
	want := sandbox.Limits{MemoryBytes: 3 << 29, CPUs: 2, PIDs: 500, DiskBytes: 8e9}
	if c.Limits.Node != want {
		t.Errorf("node limits are %+v, want %+v", c.Limits.Node, want)
	}
	if c.Limits.Sessions != 300 || c.Limits.SessionTTL != 90*time.Minute || c.Sandbox.Subnets.Bits() != 16 {
		t.Errorf("got %+v", c)
	}
	if err := c.Check(); err != nil {
		t.Errorf("an operator who trusts the learners was refused: %v", err)
	}
}

func TestRuncIsRefusedOnPublicAddresses(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:8080": true, "localhost:8080": true,
		"0.0.0.0:8080": false, ":8080": false, "192.168.1.5:8080": false, "[::]:80": false,
	} {
		c := config.Default()
		c.Listen = listen
		c.Sandbox.Isolation = isolation.Runc()
		err := c.Check()
		if (err == nil) != ok {
			t.Errorf("listen %s: %v", listen, err)
		}
		if err != nil && !strings.Contains(err.Error(), "i_trust_my_learners = true") {
			t.Errorf("the error does not say what to do: %v", err)
		}
		c.Sandbox.ITrustMyLearners = true
		if err := c.Check(); err != nil {
			t.Errorf("listen %s with trust: %v", listen, err)
		}
	}
}

// The sample lab.toml documents every key with its default. With its keys uncommented, it must be
// the default configuration, and must set every key.
func TestSampleFileDocumentsEveryDefault(t *testing.T) {
	data, err := os.ReadFile("../../lab.toml")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := config.Parse("lab.toml", data); err != nil || !reflect.DeepEqual(c, config.Default()) {
		t.Errorf("as it is: %+v, %v", c, err)
	}
	var bare strings.Builder
	keys := 0
	for _, line := range strings.Split(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") && strings.Contains(rest, "=") {
			line = rest
			keys++
		}
		bare.WriteString(line + "\n")
	}
	c, err := config.Parse("lab.toml", []byte(bare.String()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, config.Default()) {
		t.Errorf("the sample says\n%+v\nthe default is\n%+v", c, config.Default())
	}
	if want := len(config.Keys()); keys != want {
		t.Errorf("the sample documents %d keys of %d: %v", keys, want, config.Keys())
	}
}

func TestLoadResolvesPathsAndEnvironment(t *testing.T) {
	t.Setenv(config.SeedDirEnv, "")
	dir := t.TempDir()
	path := filepath.Join(dir, "lab.toml")
	if err := os.WriteFile(path, []byte("data_dir = \"state\"\nlabs_dir = \"labs\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != filepath.Join(dir, "state") || c.SeedDir != filepath.Join(dir, "state", "seed") || c.LabsDir != filepath.Join(dir, "labs") {
		t.Errorf("paths are %q %q %q", c.DataDir, c.SeedDir, c.LabsDir)
	}
	t.Setenv(config.SeedDirEnv, "/elsewhere")
	if c, err = config.Load(path, true); err != nil || c.SeedDir != "/elsewhere" {
		t.Errorf("seed dir %q, %v", c.SeedDir, err)
	}

	missing := filepath.Join(dir, "none.toml")
	if _, err := config.Load(missing, true); err == nil {
		t.Error("a file that was asked for and is missing was accepted")
	}
	if c, err := config.Load(missing, false); err != nil || c.Listen != config.Default().Listen {
		t.Errorf("without a file: %+v, %v", c, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("listen = \"127.0.0.1:80\"\n[limits]\nsessions = 3\n")
	f.Add("[limits]\nmemory = \"1GiB\"\n")
	f.Add("[[limits]]\n[a.b]\n\"x.y\" = 1979-05-27\n")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := config.Parse("lab.toml", []byte(s))
		if err == nil && c.Limits.Sessions < 1 {
			t.Errorf("accepted %q as %+v", s, c)
		}
	})
}
