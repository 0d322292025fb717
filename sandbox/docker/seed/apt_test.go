package seed

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestReadAptFindsTheMachinesMirror(t *testing.T) {
	for name, tt := range map[string]struct {
		files            map[string]string
		mirror, security string
	}{
		"Deb822": {map[string]string{"sources.list.d/debian.sources": `# a comment
Types: deb deb-src
URIs: http://mirror.lan/debian/
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.lan/debian-security
Suites: bookworm-security
Components: main
`}, "http://mirror.lan/debian", "http://mirror.lan/debian-security"},
		"OneLine": {map[string]string{"sources.list": `# deb http://old.lan/debian trixie main
deb-src http://src.lan/debian trixie main
deb [arch=amd64 signed-by=/x.gpg] https://mirror.lan/debian trixie main # inline
deb http://security.debian.org/ trixie-security main
`}, "https://mirror.lan/debian", "http://security.debian.org"},
		"DisabledStanza": {map[string]string{"sources.list.d/a.sources": `Types: deb
URIs: http://off.lan/debian
Enabled: no
Suites: trixie

Types: deb
URIs:
 http://on.lan/debian
Suites: trixie
`}, "http://on.lan/debian", ""},
		"OtherRepositoriesOnly": {map[string]string{"sources.list": "deb http://archive.lan/ubuntu noble main\n"}, publicMirror, ""},
		"Nothing":               {nil, publicMirror, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for f, text := range tt.files {
				p := filepath.Join(dir, f)
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			a, err := readApt(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if a.mirror != tt.mirror || a.security != tt.security {
				t.Errorf("mirror %q, security %q; want %q, %q", a.mirror, a.security, tt.mirror, tt.security)
			}
		})
	}
}

func TestSourcesLeaveOutASecurityArchiveTheMachineLacks(t *testing.T) {
	got := aptSetup{mirror: "http://m.lan/debian"}.lines("trixie")
	want := []string{"deb http://m.lan/debian trixie main", "deb http://m.lan/debian trixie-updates main"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAptSettingsThatReachTheMirrorArePassedOn(t *testing.T) {
	got := passOn([]byte(`Acquire "";
Acquire::http::Proxy "http://proxy.lan:3128";
Acquire::http::Proxy::direct.lan "DIRECT";
Acquire::https::Proxy "";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
DPkg::Post-Invoke:: "rm -rf /";
`))
	want := []string{
		`Acquire::http::Proxy "http://proxy.lan:3128";`, `Acquire::http::Proxy::direct.lan "DIRECT";`,
		`Acquire::Check-Valid-Until "false";`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
