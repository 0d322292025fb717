package markdown_test

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// folder is files that include each other, by name.
type folder map[string]string

// from returns how the file called name reads others, and leads links to their place.
func (f folder) from(name string) func(string) (markdown.Included, error) {
	return func(target string) (markdown.Included, error) {
		file := path.Join(path.Dir(name), target)
		inc := markdown.Included{File: file, Looked: []string{file}}
		data, ok := f[file]
		if !ok {
			return inc, fmt.Errorf("there is no file %q: %w", target, fs.ErrNotExist)
		}
		inc.Data, inc.Include, inc.Resolve = []byte(data), f.from(file), resolveFrom(file)
		return inc, nil
	}
}

func resolveFrom(file string) func(string, bool) (string, error) {
	return func(target string, _ bool) (string, error) {
		if strings.Contains(target, "missing") {
			return "", fmt.Errorf("the link %q leads to no page", target)
		}
		return "/" + path.Join(path.Dir(file), target), nil
	}
}

func (f folder) render(name string) (*markdown.Page, source.List) {
	var errs source.List
	p := markdown.New().Render(markdown.Request{
		File: name, Line: 1, Text: []byte(f[name]), Resolve: resolveFrom(name), Include: f.from(name),
	}, &errs)
	return p, errs
}

func TestABlockShowsAFile(t *testing.T) {
	files := folder{
		"a/compose.yml": "services:\n  # region web\n  web:\n    image: nginx\n    # region ports\n    ports:\n      - 80\n    # endregion ports\n  # endregion web\n",
		"a/main.go":     "package main\n\n//#region\nfunc main() {\n\t// region of interest\n}\n//#endregion\n",
		"a/page.html":   "<p>\n<!-- #region x -->\n\t<b>\n\n\t</b>\n<!-- #endregion x -->\n</p>\r\n",
		"a/part.md":     "# region a\n\n<!-- region b -->\ntext\n<!-- endregion b -->\n",
	}
	for _, c := range []struct{ attributes, lang, want string }{
		{`file="compose.yml"`, "yaml", "services:\n  web:\n    image: nginx\n    ports:\n      - 80"},
		{`file=compose.yml region=web`, "yaml", "web:\n  image: nginx\n  ports:\n    - 80"},
		{`file=compose.yml region=ports`, "yaml", "ports:\n  - 80"},
		{`file=compose.yml region=web lines=3-5`, "yaml", "web:\n  image: nginx"},
		{`file=compose.yml lines="1,9"`, "yaml", "services:"},
		{`file=main.go`, "go", "package main\n\nfunc main() {\n\t// region of interest\n}"},
		{`file=page.html region=x`, "html", "<b>\n\n</b>"},
		{`file=../a/part.md`, "markdown", "# region a\n\ntext"},
	} {
		t.Run(c.attributes, func(t *testing.T) {
			files["a/a.md"] = "```{" + c.attributes + "}\n```\n"
			p, errs := files.render("a/a.md")
			if err := errs.Err(); err != nil {
				t.Fatal(err)
			}
			if want := `<code class="language-` + c.lang + `">`; !strings.Contains(string(p.HTML), want) {
				t.Errorf("%q is missing in %s", want, p.HTML)
			}
			if got := strings.TrimRight(p.Sections[0].Code, "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestMistakesOfBlocksThatShowFiles(t *testing.T) {
	files := folder{
		"c.yml": "# region web\na: 1\n# endregion\n# region open\n", "twice.py": "# region a\n1\n# endregion\n# region a\n2\n# endregion\n", "bin": "a\x00b", "latin": "a\xe9", "e.txt": "\n",
		"none.txt": "x\n",
	}
	for _, c := range []struct{ in, want string }{
		{"```yaml {file=d.yml}\n```\n", `a.md:1:4: there is no file "d.yml"`},
		{"```yaml {file=c.yml region=wep}\n```\n", `a.md:1:4: c.yml has no region "wep" (did you mean "web"?)`},
		{"```yaml {file=c.yml region=elsewhere}\n```\n", `a.md:1:4: c.yml has no region "elsewhere"; there are: web, open`},
		{"```yaml {file=none.txt region=x}\n```\n", `a.md:1:4: none.txt has no region "x"; mark one with comments "region x" and "endregion x"`},
		{"```yaml {file=c.yml region=open}\n```\n", `a.md:1:4: c.yml has no end of the region "open"`},
		{"```yaml {file=twice.py region=a}\n```\n", `a.md:1:4: twice.py has two regions called "a"; the second is in line 4`},
		{"```yaml {file=c.yml lines=3-9}\n```\n", `a.md:1:4: c.yml has only 4 lines`},
		{"```yaml {file=c.yml}\nx\n```\n", `a.md:1:4: the block shows c.yml, so leave it empty`},
		{"```yaml {region=web}\n```\n", `a.md:1:4: region= and lines= need a file`},
		{"```yaml {file=}\n```\n", `a.md:1:4: file needs a name`},
		{"```yaml {file=bin}\n```\n", `a.md:1:4: bin can't be shown: a NUL byte`},
		{"```yaml {file=latin}\n```\n", `a.md:1:4: latin can't be shown: not UTF-8`},
		{"```yaml {file=e.txt}\n```\n", `a.md:1:4: the chosen part of e.txt is empty`},
		{":::include\n", `a.md:1:1: include needs a file`},
		{":::include c.yml\n", "a.md:1:1: :::include takes Markdown; show a file of code with ```yaml {file=\"c.yml\"}"},
		{":::include none.md\n", `a.md:1:1: there is no file "none.md"`},
	} {
		t.Run(c.in, func(t *testing.T) {
			files["a.md"] = c.in
			_, errs := files.render("a.md")
			if len(errs) == 0 || !strings.HasPrefix(errs.Err().Error(), c.want) {
				t.Errorf("got  %v\nwant %s…", errs.Err(), c.want)
			}
		})
	}
}

func TestIncludesAnotherText(t *testing.T) {
	files := folder{
		"m/a.md": "# One {#one}\n\nIntro.\n\n:::include _s/part.md\n\n> :::include _s/part.md#end\n\n## Same\n\n[last](x.md)[^1]\n\n[^1]: Mine.\n",
		"m/_s/part.md": "+++\ntitle = \"Part\"\n+++\n## Same\n\n```go\nvar part int\n```\n\n[link](y.md) and[^1]\n\n- item\n" +
			"\n[^1]: Of the part.\n\n<!-- region end -->\n![pic](p.png)\n<!-- endregion end -->\n",
	}
	p, errs := files.render("m/a.md")
	if err := errs.Err(); err != nil {
		t.Fatal(err)
	}
	got := string(p.HTML)
	for _, want := range []string{`<a href="/m/_s/y.md">link</a>`, `<a href="/m/x.md">last</a>`, `<blockquote>` + "\n" + `<p><img src="/m/_s/p.png"`, `id="part1-fn:1"`, `id="fn:1"`} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q is not once in\n%s", want, got)
		}
	}
	if want := "[1 one One 1] [2 same-1 Same 4] [2 same Same 9]"; headings(p) != want {
		t.Errorf("headings %s, want %s", headings(p), want)
	}
	if p.Headings[1].At.File != "m/_s/part.md" {
		t.Errorf("the part's heading is in %s", p.Headings[1].At.File)
	}
	if len(p.Sections) != 4 || p.Sections[2].ID != "same-1" || p.Sections[2].Code != "var part int\n" || !strings.Contains(p.Sections[2].Text, "link and") {
		t.Errorf("sections %+v", p.Sections)
	}
	if want := "[m/_s/part.md]"; fmt.Sprint(p.Includes) != want {
		t.Errorf("includes %v, want %s", p.Includes, want)
	}
}

func TestMistakesOfAnIncludedTextAreReportedInIt(t *testing.T) {
	files := folder{
		"a.md":      "one\n\n:::include _s/b.md\n\n:::include _s/c.md#part\n",
		"_s/b.md":   "+++\ntitle = \"B\"\n+++\nTwo [x](missing.md)\n\n:::details X\n",
		"_s/c.md":   "+++\n+++\nx\n<!-- region part -->\n\nSee [x](javascript:y)\n<!-- endregion part -->\n[no](missing.md)\n",
		"b.md":      ":::include bad.md\n",
		"bad.md":    "a\x00",
		"latin.md":  "a\n\xe9\n",
		"latin2.md": ":::include latin.md\n",
	}
	_, errs := files.render("a.md")
	want := "_s/b.md:4:5: the link \"missing.md\" leads to no page\n    4 | Two [x](missing.md)\n      |     ^\n" +
		"_s/b.md:6:1: :::details is not closed by a line of :::\n    6 | :::details X\n      | ^\n" +
		"_s/c.md:6:5: links may be relative, http, https, mailto or tel, not \"javascript:y\"\n    6 | See [x](javascript:y)\n      |     ^"
	if errs.Err() == nil || errs.Err().Error() != want {
		t.Errorf("got\n%v\nwant\n%s", errs.Err(), want)
	}
	for name, want := range map[string]string{"b.md": "bad.md:1: a NUL byte", "latin2.md": "latin.md:2: not UTF-8"} {
		if _, errs := files.render(name); errs.Err() == nil || !strings.HasPrefix(errs.Err().Error(), want) {
			t.Errorf("%s: %v", name, errs.Err())
		}
	}
}

func TestCodeThatTellsOfIncludesIncludesNothing(t *testing.T) {
	p, errs := folder{"a.md": "```text\n:::include b.md\n```\n\n- x\n\n      :::include b.md\n"}.render("a.md")
	if errs.Err() != nil || strings.Count(string(p.HTML), ":::include b.md") != 2 {
		t.Errorf("%v\n%s", errs.Err(), p.HTML)
	}
}

func FuzzRegion(f *testing.F) {
	f.Add("# region a\nx\n# endregion a\n", "a")
	f.Add("<!-- #region a-b -->\n\t\n  // region\n//endregion\n<!-- #endregion -->", "a-b")
	f.Add("/* region x */\r\n/* endregion x */", "x")
	f.Fuzz(func(t *testing.T, content, region string) {
		if strings.ContainsAny(region, "\"\n`{}") || strings.TrimSpace(region) != region || region == "" {
			return
		}
		files := folder{"f.txt": content, "f.md": content, "a.md": "```{file=f.txt region=\"" + region + "\"}\n```\n\n:::include f.md#" + region + "\n"}
		p, errs := files.render("a.md")
		for _, e := range errs {
			if e.Line < 1 || e.Line > strings.Count(files[e.File], "\n")+1 {
				t.Errorf("line %d of %s: %s", e.Line, e.File, e.Msg)
			}
		}
		for line := range strings.Lines(p.Sections[0].Code) {
			if strings.TrimSpace(line) == "# region "+region {
				t.Errorf("a mark is shown: %q", p.Sections[0].Code)
			}
		}
	})
}
