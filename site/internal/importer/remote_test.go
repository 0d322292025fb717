//go:build !race

package importer_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/internal/importer"
)

// sites is a Fetcher that answers from memory.
type sites map[string]string

func (s sites) Fetch(_ context.Context, address string) ([]byte, error) {
	if data, ok := s[address]; ok {
		return []byte(data), nil
	}
	return nil, errors.New("the server answered 404 Not Found")
}

func TestPicturesFromOtherSitesAreCopied(t *testing.T) {
	src := vault(map[string]string{
		"m/a.md": "![one](https://example.org/x/One%20Pic.png?v=1) ![two](//example.org/none.gif) <img src=\"https://example.org/evil\" alt=evil> ![text](https://example.org/text)",
		"m/b.md": "![one](https://example.org/x/One%20Pic.png?v=1) ![badge](https://example.org/badge)",
	})
	others := sites{
		"https://example.org/x/One%20Pic.png?v=1": picture(t), "https://example.org/text": "no picture",
		"https://example.org/badge": `<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>`,
		"https://example.org/evil":  `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`,
	}
	course, rep := convert(t, src, importer.Options{Fetch: others})
	build(t, course, "en")
	if got := string(course["en/m/a.md"].Data); !strings.Contains(got, "![one](one-pic.png) [two](https://example.org/none.gif) [evil](https://example.org/evil) [text](") {
		t.Errorf("got %s", got)
	}
	if got := string(course["en/m/b.md"].Data); !strings.Contains(got, "![one](one-pic.png) ![badge](badge.svg)") {
		t.Errorf("got %s", got)
	}
	for _, want := range []string{"m/a.md:1: the picture becomes a link: it was not fetched: the server answered 404 Not Found", "it can't be published"} {
		if got := changes(rep); !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if rep.Assets != 2 {
		t.Errorf("%d files", rep.Assets)
	}
}
