package site_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/site"
)

// parted is a course of three modules in two parts; the lessons of the first module are in two
// parts of their own.
func parted() site.Source {
	return site.Source{Content: files(map[string]string{
		"en/_index.md":     "+++\ntitle = \"Course\"\nfooter = \"By `us`.\"\n+++\n",
		"en/one/_index.md": "+++\ntitle = \"One\"\nweight = 1\npart = \"Basics of `sh`\"\n+++\n",
		"en/one/a.md":      "+++\ntitle = \"A\"\nweight = 1\npart = \"Reading\"\n+++\nText\n",
		"en/one/b.md":      "+++\ntitle = \"B\"\nweight = 2\npart = \"Writing\"\n+++\nText\n",
		"en/one/c.md":      "+++\ntitle = \"C\"\nweight = 3\npart = \"Writing\"\n+++\nText\n",
		"en/two/_index.md": "+++\ntitle = \"Two\"\nweight = 2\npart = \"Basics of `sh`\"\n+++\n",
		"en/two/d.md":      "+++\ntitle = \"D\"\n+++\nText\n",
		"en/end/_index.md": "+++\ntitle = \"End\"\nweight = 3\npart = \"More\"\n+++\n",
		"en/end/e.md":      "+++\ntitle = \"E\"\n+++\nText\n",
	})}
}

// wantOrder fails unless the parts are in the text in this order.
func wantOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	at := 0
	for _, part := range parts {
		i := strings.Index(text[at:], part)
		if i < 0 {
			t.Fatalf("%q does not follow in order in\n%s", part, text)
		}
		at += i + len(part)
	}
}

func TestPartsAreHeadings(t *testing.T) {
	got := build(t, parted(), options())
	for _, name := range []string{"one/a/index.html", "one/index.html"} {
		wantOrder(t, got[name], `data-nav`, `<li class="nav-part">Basics of <code>sh</code></li>`, `href="/one/"`, `<li class="nav-part">Reading</li>`, `href="/one/a/"`,
			`<li class="nav-part">Writing</li>`, `href="/one/b/"`, `href="/one/c/"`, `href="/two/"`, `<li class="nav-part">More</li>`, `href="/end/"`, "</nav>")
	}
	wantOrder(t, got["one/index.html"], "<main", `<h2 class="part-title">Reading</h2>`, `href="/one/a/"`, `<h2 class="part-title">Writing</h2>`, `href="/one/b/"`, `href="/one/c/"`)
	wantOrder(t, got["index.html"], `<h2 class="section-title" id="modules-title">Basics of <code>sh</code></h2>`, `href="/one/"`, `href="/two/"`,
		`<h2 class="section-title" id="modules-title-2">More</h2>`, `href="/end/"`)
	if n := strings.Count(got["one/a/index.html"], "nav-part"); n != 4 {
		t.Errorf("%d headings in the side bar", n)
	}
}

func TestTheAuthorWritesTheFooter(t *testing.T) {
	wantIn(t, build(t, parted(), options())["one/a/index.html"], "<strong>Course</strong><span>By <code>us</code>.</span>")
	wantIn(t, build(t, source(), options())["one/start/index.html"], "<strong>Course</strong></p>")
}
