package site_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/site"
)

func TestABrokenScriptFailsTheBuild(t *testing.T) {
	opts := options()
	a := assetsFS()
	a["ts/site.ts"] = &fstest.MapFile{Data: []byte("const x = ;\n")}
	opts.Assets = a
	_, err := site.Build(t.Context(), source(), filepath.Join(t.TempDir(), "site"), opts)
	if err == nil || !strings.Contains(err.Error(), "site/assets/ts/site.ts:1:11:") {
		t.Errorf("error %v", err)
	}
}

// TestAllMistakesAreReportedTogether breaks front matter, links, anchors, images and references in
// one course.
func TestAllMistakesAreReportedTogether(t *testing.T) {
	m := course()
	set := func(name, text string) { m[name] = &fstest.MapFile{Data: []byte(text)} }
	set("en/one/a.md", "+++\ntitle = \"A\"\nlab = \"dmo\"\nlevel = \"easy\"\nprerequisites = [\"strat\"]\n+++\nText\n")
	set("en/one/b.md", "+++\ntitel = \"B\"\nminutes = \"x\"\n+++\n[x](strt.md) ![p](bx.svg)\n")
	set("en/one/c.md", "+++\nweight = 1\n+++\n[x](../../../etc/passwd)\n")
	set("en/stray.md", "+++\ntitle = \"S\"\n+++\n")
	set("en/lost/d.md", "+++\ntitle = \"D\"\n+++\n")
	set("en/one/bad name?.md", "+++\ntitle = \"E\"\n+++\n")
	set("en/one/more/index.md", "+++\ntitle = \"Same\"\n+++\n")
	src := source()
	src.Content = m
	out := filepath.Join(t.TempDir(), "site")
	_, err := site.Build(t.Context(), src, out, options())
	if err == nil {
		t.Fatal("the build succeeded")
	}
	wantIn(t, err.Error(),
		`content/en/one/a.md:3:1: there is no lab "dmo" (did you mean "demo"?)`+"\n    3 | lab = \"dmo\"\n      | ^",
		`content/en/one/a.md:4:1: level must be beginner, intermediate or advanced, not "easy"`,
		`content/en/one/a.md:5:1: there is no lesson "strat" (did you mean "one/start"?)`,
		`content/en/one/b.md:2:1: unknown key "titel" (did you mean "title"?)`,
		`content/en/one/b.md:3:1: minutes must be a whole number, not a string`,
		`content/en/one/b.md:5:1: the link "strt.md" leads to no page (did you mean /one/start/?)`,
		`content/en/one/b.md:5:14: there is no image "bx.svg" (did you mean "one/box.svg"?)`,
		`content/en/one/c.md:1: the title is missing`,
		`content/en/one/c.md:4:1: the link "../../../etc/passwd" leaves the content folder`,
		`content/en/stray.md: is not in a module; lessons are <lang>/<module>/<lesson>.md`,
		`content/en/lost/_index.md: this file is missing: it gives the module its title`,
		`content/en/one/bad name?.md: the name "bad name?" becomes an address, so it can't have ' '; call it "bad-name"`,
		`has the same address as`,
	)
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Error("a failed build left an output folder")
	}
}

func TestAnchorsOfOtherPagesAreChecked(t *testing.T) {
	m := course()
	m["en/one/more.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"More\"\n+++\n## Part two\n\n[x](start.md#frst-part) [y](#part-tow) [z](/labs/demo/#helo)\n")}
	src := source()
	src.Content = m
	_, err := site.Build(t.Context(), src, filepath.Join(t.TempDir(), "site"), options())
	if err == nil {
		t.Fatal("the build succeeded")
	}
	wantIn(t, err.Error(),
		`content/en/one/more.md:6: /one/start/ has no heading #frst-part (did you mean "first-part"?)`,
		`this page has no heading #part-tow (did you mean "part-two"?)`,
		`/labs/demo/ has no heading #helo (did you mean "hello"?)`)
}

func TestTranslationsHaveTheSameSections(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"too few", "## 一\n", `content/zh/one/start.md:1: this translation ends before the section "Second part" of content/en/one/start.md:21`},
		{"other depth", "## 一\n\n### 二\n", `content/zh/one/start.md:6: this section has level 3, but level 2 in content/en/one/start.md:21, "Second part"`},
		{"too many", "## 一\n\n## 二\n\n## 三\n", "content/zh/one/start.md:8: this section has no counterpart in content/en/one/start.md\n    8 | ## 三"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := course()
			m["zh/one/start.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"开始\"\n+++\n" + c.body)}
			src := source()
			src.Content = m
			_, err := site.Check(t.Context(), src, options())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
			m["zh/one/start.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"开始\"\noutdated = true\n+++\n" + c.body)}
			if _, err := site.Check(t.Context(), src, options()); err != nil {
				t.Errorf("an outdated translation is a mistake: %v", err)
			}
		})
	}
}

func TestMistakesInLabsNameTheirLine(t *testing.T) {
	l := demo()
	l.Steps[0].Body["en"] = lab.Markdown{File: "labs/demo/lab.md", Line: 12, Source: []byte("Text\n\n[x](/labs/dem/)\n")}
	_, err := site.Build(t.Context(), site.Source{Content: course(), Labs: []*lab.Lab{l}}, filepath.Join(t.TempDir(), "site"), options())
	if err == nil {
		t.Fatal("the build succeeded")
	}
	wantIn(t, err.Error(), "labs/demo/lab.md:14:1: the link \"/labs/dem/\" leads to no page (did you mean /labs/demo/?)\n   14 | [x](/labs/dem/)")
}

func TestNoContentSaysHowToStart(t *testing.T) {
	_, err := site.Build(t.Context(), site.Source{Content: fstest.MapFS{}}, filepath.Join(t.TempDir(), "site"), options())
	if err == nil || !strings.Contains(err.Error(), "content: there is nothing to publish; a course starts with the file en/_index.md") {
		t.Errorf("error %v", err)
	}
}

func TestStrictTurnsWarningsIntoErrors(t *testing.T) {
	m := course()
	m["en/two/last.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"Last\"\n+++\na <b>c</b>\n")}
	src := source()
	src.Content = m
	out := filepath.Join(t.TempDir(), "site")
	report, err := site.Build(t.Context(), src, out, options())
	if err != nil || len(report.Warnings) != 2 {
		t.Fatalf("%v, warnings %v", err, report.Warnings)
	}
	opts := options()
	opts.Strict = true
	if _, err := site.Build(t.Context(), src, out, opts); err == nil || !strings.Contains(err.Error(), "HTML is shown as text") {
		t.Errorf("error %v", err)
	}
}

func TestCheckWritesNothing(t *testing.T) {
	report, err := site.Check(t.Context(), source(), options())
	if err != nil || report.Pages == 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestALineOfAMillionCharactersBuilds(t *testing.T) {
	src := source()
	m := course()
	m["en/one/long.md"] = &fstest.MapFile{Data: []byte("+++\ntitle = \"Long\"\n+++\n" + strings.Repeat("word *and* `code` ", 60_000) + "the-end\n")}
	src.Content = m
	got := build(t, src, options())
	wantIn(t, got["one/long/index.html"], "the-end")
}
