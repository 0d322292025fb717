package site_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/site"
)

func TestIncludesAreRelativeToTheirFile(t *testing.T) {
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

func TestAMistakeInAPartialIsReportedOnce(t *testing.T) {
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

func TestHTMLIsEnabledInCourseSettings(t *testing.T) {
	content := course()
	maps.Copy(content, files(map[string]string{"en/one/h.md": "+++\ntitle = \"H\"\n+++\n<details><summary>More</summary></details>\n"}))
	src := source()
	src.Content = content
	wantIn(t, build(t, src, options())["one/h/index.html"], "&lt;summary&gt;More")
	maps.Copy(content, files(map[string]string{"course.toml": "html = true\n"}))
	wantIn(t, build(t, src, options())["one/h/index.html"], "<details><summary>More</summary></details>")
}

const labFront = "+++\ntitle = \"L\"\nsummary = \"S.\"\nlevel = \"beginner\"\nminutes = 5\n[stack]\nimages = [\"debian\"]\n[variables]\ncode = 6\n+++\n"

// labOf returns a course with one lab, made of these files.
func labOf(t *testing.T, m map[string]string) (site.Source, error) {
	t.Helper()
	src := source()
	src.Content = files(map[string]string{"en/_index.md": "+++\ntitle = \"C\"\n+++\n", "zh/_index.md": "+++\ntitle = \"课\"\n+++\n"})
	src.Labs, src.LabErr = lab.Load(files(m), "")
	return src, src.LabErr
}

const labStep = "```check\n[[image]]\nname = \"x\"\n```\n```solution\ntrue\n```\n"

func TestLabsIncludeFilesOfTheirFolder(t *testing.T) {
	text := "\n:::include _parts/end.md\n\n```{file=files/app/x.yml region=r}\n```\n" + labStep + "```hint\n:::include /_parts/hint.md#h\n```\n"
	src, err := labOf(t, map[string]string{
		"one/lab.md":              labFront + ":::include _parts/end.md\n\n## One {#one}\n" + text,
		"one/lab.zh.md":           "+++\ntitle = \"实\"\nsummary = \"验。\"\n+++\n## 一 {#one}\n:::include _parts/end.zh.md\n\n```yaml {file=files/app/x.yml lines=1}\n```\n```hint\n提示。\n```\n",
		"one/files/app/x.yml":     "a: 1\n# region r\nb: \"{{code}}\"\n# endregion r\n",
		"one/_parts/end.md":       "The end of {{code}}, see [labs](/labs/).\n\n:::include more/deep.md\n",
		"one/_parts/end.zh.md":    "完。\n",
		"one/_parts/more/deep.md": "Deep.\n",
		"one/_parts/hint.md":      "No.\n<!-- region h -->\nA hint.\n<!-- endregion h -->\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := build(t, src, options())
	en, zh := got["labs/one/index.html"], got["zh/labs/one/index.html"]
	wantIn(t, en, `The end of <span data-var="code">code</span>, see <a href="/labs/">labs</a>`, "Deep.", "{{code}}", "A hint.")
	wantNotIn(t, en, "<span class=\"nt\">a</span>", "region", "No.")
	if strings.Count(en, "Deep.") != 2 {
		t.Error("the part does not stand in both places")
	}
	wantIn(t, zh, "完。", "<span class=\"nt\">a</span>")
	for name := range got {
		if strings.Contains(name, "_parts") || strings.HasSuffix(name, ".yml") {
			t.Errorf("a part is published: %s", name)
		}
	}
}

func TestLabsCantIncludeOtherFiles(t *testing.T) {
	for try, want := range map[string]string{
		":::include ../two/_p.md":                   `"../two/_p.md" is not in the lab's folder`,
		":::include /../two/_p.md":                  `there is no file "/../two/_p.md"`,
		":::include _d/../../two/_p.md":             "is not in the lab's folder",
		":::include /etc/hosts.md":                  "there is no file",
		"```{file=\"..\\\\two\\\\_p.md\"}\n```":     "is not in the lab's folder",
		"```{file=lab.md}\n```":                     `there is no file "lab.md" in this lab; only files in files/ and files that begin with _ can be included`,
		"```{file=files}\n```":                      "there is no file",
		":::include _lop.md":                        `(did you mean "_loop.md"?)`,
		":::include _loop.md":                       "this includes itself: one/lab.md includes one/_loop.md includes one/_loop.md",
		"```{file=files/a.yml region=nothing}\n```": `one/files/a.yml has no region "nothing"`,
		"```{file=files/a.yml lines=9}\n```":        "one/files/a.yml has only 1 lines",
	} {
		src, err := labOf(t, map[string]string{
			"one/lab.md": labFront + "## One {#one}\n" + try + "\n" + labStep, "one/_loop.md": ":::include _loop.md\n", "one/files/a.yml": "a: 1\n",
			"two/lab.md": labFront + "## Two {#two}\n" + labStep, "two/_p.md": "top secret\n",
		})
		if err != nil {
			t.Fatalf("%s: %v", try, err)
		}
		_, err = site.Check(t.Context(), src, options())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "one/") || strings.Contains(err.Error(), "top secret") {
			t.Errorf("%s: %v", try, err)
		}
	}
}
