package site_test

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/site"
)

// inline matches what a strict Content-Security-Policy forbids.
var inline = regexp.MustCompile(`(?i)<script(?:\s(?:[^>t]|t[^y])*)?>[^<]|<script(?:\s+(?:type="(?:module|text/javascript)"|async|defer))*>|<style|\sstyle=|\son[a-z]+\s*=|javascript:`)

func TestNoInlineScriptOrStyle(t *testing.T) {
	for name, p := range build(t, source(), options()) {
		if m := inline.FindString(p); m != "" && strings.HasSuffix(name, ".html") {
			t.Errorf("%s has %q", name, m)
		}
	}
}

// TestPagesHaveTheirPolicyInAMetaElement: most static hosts send no such header.
func TestPagesHaveTheirPolicyInAMetaElement(t *testing.T) {
	for name, p := range build(t, source(), options()) {
		if !strings.HasSuffix(name, ".html") || strings.Contains(p, `http-equiv="refresh"`) {
			continue
		}
		policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(p)
		if policy == nil || !strings.Contains(policy[1], "default-src &#39;self&#39;") {
			t.Errorf("%s has the policy %q", name, policy)
			continue
		}
		if lab := strings.Contains(p, "data-lab-js") || strings.Contains(p, "/assets/lab-"); strings.Contains(policy[1], "unsafe-inline") != lab {
			t.Errorf("%s has the policy %q; it has a terminal: %v", name, policy[1], lab)
		}
	}
}

func TestHostileContentStaysText(t *testing.T) {
	src := source()
	evil := `<script>alert(1)</script><img src=x onerror=alert(1)>`
	m := course()
	m["en/one/evil.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = '''" + evil + "'''\nsummary = '''" + evil + "` " + evil + "`'''\ntags = ['''" + evil + "''']\n+++\n" + evil + "\n\n## " + evil + "\n\n```" + "bash {title=\"" + evil + "\"}\n" + evil + "\n```\n")}
	src.Content = m
	l := demo()
	l.Title["en"], l.Steps[0].Title["en"], l.Summary["en"] = evil, evil, evil
	src.Labs = []*lab.Lab{l}
	for name, p := range build(t, src, options()) {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		if strings.Contains(p, "<script>alert") || strings.Contains(p, "<img src=x") {
			t.Errorf("%s carries the author's HTML", name)
		}
	}
}

var href = regexp.MustCompile(`(?:href|src|data-lab-js|data-lab-css)="([^"]*)"`)

// TestNoBrokenLinks follows every internal link and anchor of the built site.
func TestNoBrokenLinks(t *testing.T) {
	checkLinks(t, build(t, source(), options()), "/")
}

func TestBaseURLWithAPath(t *testing.T) {
	opts := options()
	opts.BaseURL = "https://example.org/course/"
	got := build(t, source(), opts)
	checkLinks(t, got, "/course/")
	wantIn(t, got["one/start/index.html"], `href="/course/one/more/#part-two"`)
}

func checkLinks(t *testing.T, got map[string]string, base string) {
	t.Helper()
	count := 0
	for name, p := range got {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		for _, m := range href.FindAllStringSubmatch(p, -1) {
			u := strings.ReplaceAll(m[1], "&amp;", "&")
			if u2, err := url.PathUnescape(u); err == nil {
				u = u2
			}
			if strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://") {
				continue
			}
			target, anchor, _ := strings.Cut(u, "#")
			anchor, err := url.PathUnescape(anchor)
			if err != nil {
				t.Errorf("%s links to %s: %v", name, u, err)
			}
			file := name
			if target != "" {
				rel, ok := strings.CutPrefix(target, base)
				if !ok {
					t.Errorf("%s links to %s, outside of %s", name, u, base)
					continue
				}
				file = rel
				if rel == "" || strings.HasSuffix(rel, "/") {
					file = path.Join(rel, "index.html")
				}
			}
			if _, ok := got[file]; !ok {
				t.Errorf("%s links to %s, which does not exist", name, u)
				continue
			}
			if anchor != "" && !strings.Contains(got[file], `id="`+anchor+`"`) {
				t.Errorf("%s links to %s, which has no such anchor", name, u)
			}
			count++
		}
	}
	if count < 100 {
		t.Errorf("only %d links were looked at", count)
	}
}

func TestNoIDTwiceOnAPage(t *testing.T) {
	ids := regexp.MustCompile(` id="([^"]*)"`)
	for name, p := range build(t, source(), options()) {
		seen := map[string]bool{}
		for _, m := range ids.FindAllStringSubmatch(p, -1) {
			if seen[m[1]] {
				t.Errorf("%s has the id %q twice", name, m[1])
			}
			seen[m[1]] = true
		}
	}
}

func TestSymbolicLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, course()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "en", "one", "p.txt")); err != nil {
		t.Fatal(err)
	}
	_, err := site.Build(t.Context(), site.Source{Content: os.DirFS(dir), Labs: []*lab.Lab{demo()}}, filepath.Join(t.TempDir(), "site"), options())
	if err == nil || !strings.Contains(err.Error(), "content/en/one/p.txt: symbolic links are not followed") {
		t.Errorf("error %v", err)
	}
}
