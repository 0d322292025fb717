package site_test

import (
	"maps"
	"strings"
	"testing"

	"labd/site"
)

func TestTextsIncludeEachOtherFromTheirPlace(t *testing.T) {
	src := source()
	src.Content = files(map[string]string{
		"en/_index.md":               "+++\ntitle = \"C\"\n+++\n",
		"en/one/_index.md":           "+++\ntitle = \"M\"\n+++\n",
		"zh/one/_index.md":           "+++\ntitle = \"模块\"\n+++\n",
		"en/one/a.md":                "+++\ntitle = \"A\"\n+++\n:::include _parts/part.md\n\n:::include /_all.md\n\n```{file=files/x.yml region=r}\n```\n",
		"zh/one/a.md":                "+++\ntitle = \"甲\"\n+++\n:::include _parts/part.md\n\n```{file=files/x.yml}\n```\n",
		"en/one/_parts/part.md":      "From [b](../b.md), ![pic](pic.png)\n\n:::include more/deep.md\n",
		"en/one/_parts/more/deep.md": "deep [b](../../b.md)\n",
		"en/one/_parts/pic.png":      onePixel(3, 2),
		"en/_all.md":                 "for all\n",
		"en/one/_note.md":            "nobody includes this\n",
		"en/one/b.md":                "+++\ntitle = \"B\"\n+++\n",
		"en/one/files/x.yml":         "a: 1\n# region r\nb: 2\n# endregion r\n",
		"zh/one/files/other.yml":     "x: 1\n",
	})
	got := build(t, src, options())
	en, zh := got["one/a/index.html"], got["zh/one/a/index.html"]
	wantIn(t, en, `From <a href="/one/b/">b</a>`, `src="/assets/pic-`, `deep <a href="/one/b/">b</a>`, "for all", "<span class=\"nt\">b</span>")
	wantNotIn(t, en, "<span class=\"nt\">a</span>", "region")
	wantIn(t, zh, `From <a href="/zh/one/b/">b</a>`, `src="/assets/pic-`, "<span class=\"nt\">a</span>")
	for name := range got {
		if strings.Contains(name, "_all") || strings.Contains(name, "_note") || strings.Contains(name, "part/") || strings.HasSuffix(name, ".md") {
			t.Errorf("a part is published: %s", name)
		}
	}
	checkLinks(t, got, "/")
}

func TestAMistakeInAPartIsReportedOnceInIt(t *testing.T) {
	src := source()
	content := course()
	maps.Copy(content, files(map[string]string{
		"en/one/_p.md": "+++\n+++\n\nSee [x](nothing.md) and [y](/one/start/#nothing).\n",
		"en/one/p.md":  "+++\ntitle = \"P\"\n+++\n:::include _p.md\n",
		"en/one/q.md":  "+++\ntitle = \"Q\"\n+++\n:::include _p.md\n",
	}))
	src.Content = content
	_, err := site.Check(t.Context(), src, options())
	if err == nil || strings.Count(err.Error(), `content/en/one/_p.md:4:5: the link "nothing.md" leads to no page`) != 1 ||
		strings.Count(err.Error(), "content/en/one/_p.md:4: /one/start/ has no heading #nothing") != 1 {
		t.Error(err)
	}
}

func TestHTMLIsAskedForInTheCoursesSettings(t *testing.T) {
	content := course()
	maps.Copy(content, files(map[string]string{"en/one/h.md": "+++\ntitle = \"H\"\n+++\n<details><summary>More</summary></details>\n"}))
	src := source()
	src.Content = content
	wantIn(t, build(t, src, options())["one/h/index.html"], "&lt;summary&gt;More")
	maps.Copy(content, files(map[string]string{"course.toml": "html = true\n"}))
	wantIn(t, build(t, src, options())["one/h/index.html"], "<details><summary>More</summary></details>")
}
