package site_test

import (
	"maps"
	"os"
	"path/filepath"
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

// TestNothingOutsideTheContentIsIncluded lets a lesson try every way to the file beside the content folder.
func TestNothingOutsideTheContentIsIncluded(t *testing.T) {
	dir := t.TempDir()
	content := filepath.Join(dir, "content")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("secret.md", "top secret\n")
	write("content/en/_index.md", "+++\ntitle = \"C\"\n+++\n")
	write("content/en/one/_index.md", "+++\ntitle = \"M\"\n+++\n")
	if err := os.Symlink("../../../secret.md", filepath.Join(content, "en/one/_link.md")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("../../..", filepath.Join(content, "en/one/_up")); err != nil {
		t.Fatal(err)
	}
	for try, want := range map[string]string{
		":::include ../../../secret.md":                  "is not in the content folder",
		":::include /../../secret.md":                    "there is no file",
		":::include /../../../../../../etc/hosts.md":     "there is no file",
		":::include " + dir + "/secret.md":               "there is no file",
		":::include _link.md":                            "it is not a plain file",
		":::include _up/secret.md":                       "is not a plain folder",
		"```{file=../../../secret.md}\n```":              "is not in the content folder",
		"```{file=_link.md}\n```":                        "it is not a plain file",
		"```{file=_up/secret.md}\n```":                   "is not a plain folder",
		"```{file=\"..\\\\..\\\\..\\\\secret.md\"}\n```": "is not in the content folder",
		"```{file=..}\n```":                              "it is not a plain file",
		"```{file=_lnik.md}\n```":                        `(did you mean "_link.md"?)`,
		"```{file=nowhere/a.yml}\n```":                   "there is no folder content/en/one/nowhere",
	} {
		write("content/en/one/a.md", "+++\ntitle = \"A\"\n+++\n"+try+"\n")
		report, err := site.Check(t.Context(), site.Source{Content: os.DirFS(content)}, options())
		if err == nil || !strings.Contains(err.Error(), "content/en/one/a.md:4:") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "top secret") {
			t.Errorf("%s: %v %v", try, report, err)
		}
	}
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
