package rawhtml_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/internal/rawhtml"
)

func FuzzTags(f *testing.F) {
	for _, s := range []string{"<a href='x'>b</a>", "<!-- <a> --><b", "<a b=\"", "<a / =c d= e>", "< a><1 x>", "<A\nB = C>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		end := 0
		for _, tag := range rawhtml.Tags(s) {
			if tag.At < end || tag.End <= tag.At || tag.End > len(s) || s[tag.At] != '<' {
				t.Fatalf("%q: a tag from %d to %d after %d", s, tag.At, tag.End, end)
			}
			end = tag.End
			for _, p := range tag.Problems() {
				if p == "" {
					t.Errorf("%q: an empty problem", s)
				}
			}
		}
		if len(rawhtml.WithoutComments(s)) > len(s) || strings.Contains(rawhtml.Words(s), "<script>") {
			t.Errorf("%q becomes %q and %q", s, rawhtml.WithoutComments(s), rawhtml.Words(s))
		}
	})
}
