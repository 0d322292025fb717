package seed

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// publicMirror is used on machines whose apt has no Debian mirror, such as Ubuntu.
const publicMirror = "http://ftp.debian.org/debian"

// aptSetup describes where packages come from: the sources of this machine's apt.
type aptSetup struct {
	mirror   string   // of the main archive
	security string   // of the security archive, "" if the machine has none
	options  []string // lines of apt.conf that are needed to reach the mirror
}

// lines returns the lines of sources.list for a suite.
func (a aptSetup) lines(suite string) []string {
	out := []string{
		fmt.Sprintf("deb %s %s main", a.mirror, suite),
		fmt.Sprintf("deb %s %s-updates main", a.mirror, suite),
	}
	if a.security != "" {
		out = append(out, fmt.Sprintf("deb %s %s-security main", a.security, suite))
	}
	return out
}

// passedOn are the settings of the machine's apt that a build needs too: proxies, and settings for
// an old or private mirror.
var passedOn = []string{
	"Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date",
	"Acquire::Retries", "Acquire::http::Timeout", "Acquire::https::Verify-Peer", "Acquire::https::Verify-Host",
}

// readApt finds the Debian mirror in an apt configuration directory, for example /etc/apt.
func readApt(ctx context.Context, dir string) (aptSetup, error) {
	files := []string{filepath.Join(dir, "sources.list")}
	for _, pattern := range []string{"*.list", "*.sources"} {
		more, err := filepath.Glob(filepath.Join(dir, "sources.list.d", pattern))
		if err != nil {
			return aptSetup{}, err
		}
		files = append(files, more...)
	}
	var a aptSetup
	for _, f := range files {
		data, err := os.ReadFile(f)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return aptSetup{}, fmt.Errorf("read apt sources: %w", err)
		}
		uris := oneLineURIs(data)
		if strings.HasSuffix(f, ".sources") {
			uris = deb822URIs(data)
		}
		for _, u := range uris {
			p := strings.TrimRight(u, "/")
			switch {
			case strings.HasSuffix(p, "/debian-security") || strings.Contains(p, "security.debian.org"):
				if a.security == "" {
					a.security = p
				}
			case strings.HasSuffix(p, "/debian"):
				if a.mirror == "" {
					a.mirror = p
				}
			}
		}
	}
	if a.mirror == "" {
		a.mirror = publicMirror
	}
	if out, err := exec.CommandContext(ctx, "apt-config", "dump").Output(); err == nil {
		a.options = passOn(out)
	}
	return a, ctx.Err()
}

// passOn selects the passedOn settings from the output of `apt-config dump`, including those for
// single hosts (Acquire::http::Proxy::mirror.lan).
func passOn(dump []byte) []string {
	var out []string
	for line := range strings.Lines(string(dump)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, " ")
		if !ok || value == `"";` {
			continue
		}
		if slices.ContainsFunc(passedOn, func(p string) bool { return key == p || strings.HasPrefix(key, p+"::") }) {
			out = append(out, line)
		}
	}
	return out
}

// oneLineURIs returns the URIs of "deb [options] URI suite component..." lines.
func oneLineURIs(data []byte) []string {
	var out []string
	sc := bufio.NewScanner(bytes.NewReader(data))
	for sc.Scan() {
		line, _, _ := strings.Cut(sc.Text(), "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !ok {
			continue
		}
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") {
			_, rest, _ = strings.Cut(rest, "]")
		}
		if f := strings.Fields(rest); len(f) > 0 {
			out = append(out, f[0])
		}
	}
	return out
}

// deb822URIs returns the URIs of enabled stanzas of type deb.
func deb822URIs(data []byte) []string {
	var out []string
	for _, stanza := range strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n\n") {
		field := map[string]string{}
		var last string
		for line := range strings.Lines(stanza) {
			line = strings.TrimRight(line, "\n")
			switch {
			case strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
				field[last] += " " + strings.TrimSpace(line)
			default:
				k, v, _ := strings.Cut(line, ":")
				last = strings.ToLower(strings.TrimSpace(k))
				field[last] = strings.TrimSpace(v)
			}
		}
		if slices.Contains(strings.Fields(field["types"]), "deb") && !strings.EqualFold(field["enabled"], "no") {
			out = append(out, strings.Fields(field["uris"])...)
		}
	}
	return out
}
