package site_test

import (
	"image/png"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/site"
)

func TestPagesHaveSocialCards(t *testing.T) {
	opts := options()
	opts.BaseURL = "https://example.org/x/"
	out := t.TempDir() + "/site"
	report, err := site.Build(t.Context(), source(), out, opts)
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, out)
	card := regexp.MustCompile(`<meta property="og:image" content="https://example.org/x/(assets/card-[A-Z2-7]{8}\.png)">`)
	seen := map[string]string{}
	for _, name := range []string{"index.html", "one/index.html", "one/start/index.html", "labs/demo/index.html"} {
		m := card.FindStringSubmatch(got[name])
		if m == nil {
			t.Fatalf("%s has no card: %s", name, got[name])
		}
		wantIn(t, got[name], `og:image:width" content="1200"`, `og:image:height" content="630"`, `og:image:alt" content="`, `twitter:card" content="summary_large_image"`, `og:locale" content="en_US"`)
		if other := seen[m[1]]; other != "" {
			t.Errorf("%s has the card of %s", name, other)
		}
		seen[m[1]] = name
		config, err := png.DecodeConfig(strings.NewReader(got[m[1]]))
		if err != nil || config.Width != 1200 || config.Height != 630 {
			t.Errorf("%s is %d x %d: %v", m[1], config.Width, config.Height, err)
		}
	}
	wantIn(t, got["one/start/index.html"], `og:type" content="article"`)
	wantIn(t, got["index.html"], `og:type" content="website"`)
	wantNotIn(t, got["search/index.html"], "og:image")
	// Without fonts from npm there are no Chinese letters: one warning tells so, and the pages do
	// without.
	wantIn(t, got["zh/one/start/index.html"], `og:locale" content="zh_CN"`, `twitter:card" content="summary"`)
	wantNotIn(t, got["zh/one/start/index.html"], "og:image")
	n := 0
	for _, w := range report.Warnings {
		n += strings.Count(w.Error(), "have no social card")
	}
	if n != 1 {
		t.Errorf("%d warnings: %v", n, report.Warnings)
	}
}

func TestChineseCards(t *testing.T) {
	assets := assetsFS()
	for _, name := range []string{"inter-latin-600-normal.woff", "noto-sans-sc-chinese-simplified-600-normal.woff"} {
		data, err := os.ReadFile("assets/vendor/" + name)
		if err != nil {
			t.Skip("`make assets` was not run: ", err)
		}
		assets["vendor/"+name] = &fstest.MapFile{Data: data}
	}
	opts := options()
	opts.Assets, opts.BaseURL = fs.FS(assets), "https://example.org/"
	wantIn(t, build(t, source(), opts)["zh/one/start/index.html"], `og:image" content="https://example.org/assets/card-`)
}

func TestSitesWithoutSocialCards(t *testing.T) {
	none := func(opts site.Options) {
		t.Helper()
		for name, data := range build(t, source(), opts) {
			if strings.Contains(name, "card-") || strings.Contains(data, "og:image") {
				t.Errorf("%s is a card or has one", name)
			}
		}
	}
	none(options())
	opts := options()
	opts.BaseURL, opts.Cards = "https://example.org/", site.CardsOff
	none(opts)
}
