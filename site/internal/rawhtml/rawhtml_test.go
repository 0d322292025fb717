package rawhtml_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/internal/rawhtml"
)

func FuzzRead(f *testing.F) {
	for _, s := range []string{"<a href='x'>b</a>", "<!-- <a> --><b", "<a b=\"", "<a / =c d= e>", "< a><1 x>", "<A\nB = C>", "<script><b></script>", "<?a?>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := rawhtml.Read([]byte(s))
		if !strings.Contains(s, "<!--") && r.HTML != s {
			t.Errorf("%q became %q", s, r.HTML)
		}
		for _, p := range r.Problems {
			if p.At < 0 || p.At >= len(s) || s[p.At] != '<' || p.Text == "" {
				t.Errorf("%q: %+v", s, p)
			}
		}
	})
}

func TestSchemes(t *testing.T) {
	for target, want := range map[string]bool{
		"a.md": true, "//host/a": true, "#a": true, "a/b:c": true, "?a:b": true, "HTTPS://a": true, "tel:1": true, "1a:b": true, "": true,
		"javascript:x": false, " java\nscript:x": false, "data:x": false, "vbscript:x": false, "a+b-c.1:x": false,
	} {
		if got := rawhtml.AllowedScheme(target); got != want {
			t.Errorf("%q: got %v", target, got)
		}
	}
}
