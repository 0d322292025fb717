package course_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/corpus"
	"github.com/labd-dev/labd/site/internal/course"
)

func files(m map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range m {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// small is a course without mistakes, with a test's changes. An empty text deletes a file.
func small(changes map[string]string) fstest.MapFS {
	m := map[string]string{
		"en/_index.md":     "+++\ntitle = \"Course\"\n+++\n",
		"en/one/_index.md": "+++\ntitle = \"One\"\n+++\n",
		"en/one/start.md":  "+++\ntitle = \"Start\"\n+++\nText.\n",
	}
	for name, text := range changes {
		if m[name] = text; text == "" {
			delete(m, name)
		}
	}
	return files(m)
}

// look reads a tree and returns its model, mistakes and warnings.
func look(t *testing.T, content fs.FS, opts course.Options) (*course.Model, string, string) {
	t.Helper()
	tree, err := course.Load(t.Context(), course.Source{Content: content})
	if err != nil {
		t.Fatal(err)
	}
	return model(tree, opts)
}

func model(tree *course.Tree, opts course.Options) (*course.Model, string, string) {
	var errs, warnings source.List
	m := tree.Model(opts, &errs, &warnings)
	said := func(l source.List) string {
		if err := l.Err(); err != nil {
			return err.Error()
		}
		return ""
	}
	return m, said(errs), said(warnings)
}

func TestMistakes(t *testing.T) {
	front := func(lines string) string { return "+++\ntitle = \"T\"\n" + lines + "\n+++\n" }
	for _, tt := range []struct {
		name    string
		changes map[string]string
		want    string // "" if there must be none
	}{
		{"Nothing", nil, ""},
		{"Level", map[string]string{"en/one/start.md": front(`level = "easy"`)},
			"content/en/one/start.md:3:1: level must be beginner, intermediate or advanced, not \"easy\"\n    3 | level = \"easy\"\n      | ^"},
		{"Lab", map[string]string{"en/one/start.md": front(`lab = "dmo"`)}, `start.md:3:1: there is no lab "dmo" (did you mean "demo"?)`},
		{"Prerequisite", map[string]string{"en/one/b.md": front(`prerequisites = ["strat"]`)}, `b.md:3:1: there is no lesson "strat" (did you mean "one/start"?)`},
		{"OwnPrerequisite", map[string]string{"en/one/b.md": front(`prerequisites = ["b"]`)}, "can't be its own prerequisite"},
		{"DraftPrerequisite", map[string]string{"en/one/b.md": front(`prerequisites = ["d"]`), "en/one/d.md": front("draft = true")}, `the lesson "d" is a draft`},
		{"PrerequisiteInADraftModule", map[string]string{"en/one/b.md": front(`prerequisites = ["m/d"]`), "en/m/_index.md": front("draft = true"), "en/m/d.md": front("")}, `the lesson "m/d" is a draft`},
		{"Minutes", map[string]string{"en/one/start.md": front("minutes = -1")}, "minutes can't be negative"},
		{"NoModuleIndex", map[string]string{"en/two/a.md": front("")}, "content/en/two/_index.md: this file is missing"},
		{"NoCourseIndex", map[string]string{"en/two/m/_index.md": front(""), "en/two/m/a.md": front("")}, "content/en/two/_index.md: this file is missing: it gives the course its title"},
		{"Stray", map[string]string{"en/stray.md": front("")}, "content/en/stray.md: is not in a module"},
		{"NearlyTheGlossary", map[string]string{"en/glosary.md": front("")}, `content/en/glosary.md: is not in a module (did you mean "glossary.md"?)`},
		{"NearlyAnIndex", map[string]string{"en/index.md": front("")}, `content/en/index.md: is not in a module (did you mean "_index.md"?)`},
		{"TooDeep", map[string]string{"en/one/a/b.md": front("")}, "if one is a course, its module a needs an _index.md"},
		{"LessonOfACourse", map[string]string{"en/g/_index.md": front(""), "en/g/m/_index.md": front(""), "en/g/m/a.md": front(""), "en/g/b.md": front("")}, "content/en/g/b.md: g is a course, because it has modules; its lessons are <lang>/g/<module>/<lesson>.md"},
		{"TooDeepInACourse", map[string]string{"en/g/_index.md": front(""), "en/g/m/_index.md": front(""), "en/g/m/a/b/c.md": front("")}, "content/en/g/m/a/b/c.md: is not a lesson"},
		{"NoLanguage", map[string]string{"drafts/a/b.md": front(""), "drafts/a/c.md": front("")}, "content/drafts: texts must be in a folder per language"},
		{"AtTheRoot", map[string]string{"notes.md": front("")}, "content/notes.md: lessons must be in the folder of their language: content/en/<module>/notes.md"},
		{"OneLanguageButNotTheDefault", map[string]string{"en/_index.md": "", "en/one/_index.md": "", "en/one/start.md": "", "zh/_index.md": front("")}, `content: there are no texts in "en", the default language, but in zh; build with -lang zh`},
		{"OneLanguage", map[string]string{"en/one/_index.md": "", "en/one/start.md": ""}, ""},
		{"Nul", map[string]string{"en/one/start.md": "+++\ntitle = \"a\x00\"\n+++\n"}, "start.md:2: a NUL byte"},
		{"Latin1", map[string]string{"en/one/start.md": "+++\ntitle = \"caf\xe9\"\n+++\n"}, "start.md:2: not UTF-8"},
		{"BOMAndCRLF", map[string]string{"en/one/start.md": "\xef\xbb\xbf+++\r\ntitle = \"T\"\r\n+++\r\nText\r\n"}, ""},
		{"UnclosedFront", map[string]string{"en/one/start.md": "+++\ntitle = \"T\"\nText\n"}, "start.md:1:1: the front matter is not closed"},
		{"HugeFront", map[string]string{"en/one/start.md": front("summary = \"" + strings.Repeat("x", 1<<20) + `"`)}, "start.md:1: the front matter is larger than 64 KiB"},
		{"HugeFile", map[string]string{"en/one/start.md": front("") + strings.Repeat("x", 5<<20)}, "start.md: the file is larger than 4 MiB"},
		{"DuplicateKey", map[string]string{"en/one/start.md": front(`title = "U"`)}, "start.md:3:1: not TOML: the key \"title\" is set twice"},
		{"UnknownKey", map[string]string{"en/one/start.md": front(`titel = "U"`)}, `start.md:3:1: unknown key "titel" (did you mean "title"?)`},
		{"LessonKeyOfAModule", map[string]string{"en/one/_index.md": front("tags = []")}, `en/one/_index.md:3:1: unknown key "tags"`},
		{"Space", map[string]string{"en/one/a b.md": front("")}, `content/en/one/a b.md: the name "a b" becomes an address, so it can't have ' '; call it "a-b"`},
		{"Hash", map[string]string{"en/one/c#.md": front("")}, `the name "c#" becomes an address, so it can't have '#'`},
		{"QuestionMark", map[string]string{"en/one/why?.md": front("")}, `the name "why?" becomes an address, so it can't have '?'; call it "why"`},
		{"SpaceInAModule", map[string]string{"en/a b/_index.md": front(""), "en/a b/c.md": front("")}, `content/en/a b/_index.md: the name "a b" becomes an address`},
		{"HashInAFile", map[string]string{"en/one/a#b.png": "x"}, "content/en/one/a#b.png: the file name becomes an address, so it can't have '#'"},
		{"Chinese", map[string]string{"en/one/开始.md": front(""), "en/one/图.txt": "x"}, ""},
		{"Case", map[string]string{"en/one/Start.md": front("")}, "content/en/one/start.md: the address /one/start/ and that of content/en/one/Start.md, /one/Start/, differ only in case"},
		{"CaseAcrossLanguages", map[string]string{"zh/one/Start.md": front("")}, "differ only in case"},
		{"CaseOfFiles", map[string]string{"en/one/A.txt": "x", "en/one/a.txt": "x"}, "content/en/one/a.txt: the address /one/a.txt and that of content/en/one/A.txt, /one/A.txt, differ only in case"},
		{"NormalForm", map[string]string{"en/one/caf\u00e9.md": front(""), "en/one/cafe\u0301.md": front("")}, `look the same and differ only in how their letters are encoded ("one/caf\u00e9", "one/cafe\u0301")`},
		{"NormalFormAcrossLanguages", map[string]string{"en/one/caf\u00e9.md": front(""), "zh/one/cafe\u0301.md": front("")}, "look the same and differ only"},
		{"NormalFormOfFiles", map[string]string{"en/one/\u00c5.txt": "x", "en/one/\u212b.txt": "x"}, "look the same and differ only"},
		{"NormalFormAndCase", map[string]string{"en/one/CAF\u00c9.txt": "x", "en/one/cafe\u0301.txt": "x"}, "differ only in case"},
		{"FileOfTwoNames", map[string]string{"en/one/start/index.md": front("")}, "content/en/one/start/index.md: has the same address as content/en/one/start.md"},
		{"FileAgainstPage", map[string]string{"en/one/start/index.html": "x"}, "content/en/one/start/index.html: has the same address as content/en/one/start.md, /one/start/"},
		{"FileAgainstTheSite", map[string]string{"en/robots.txt": "x"}, "content/en/robots.txt: has the same address as a page of the site itself, /robots.txt"},
		{"AliasAgainstPage", map[string]string{"en/one/b.md": front(`aliases = ["/one/start"]`)}, `b.md:3:1: the alias "/one/start" has the same address as content/en/one/start.md`},
		{"AliasAgainstAlias", map[string]string{"en/one/b.md": front(`aliases = ["/old/"]`), "zh/one/b.md": front(`aliases = ["/old/"]`)}, `content/zh/one/b.md:3:1: the alias "/old/" has the same address as content/en/one/b.md, /old; remove it`},
		{"AliasesPerLanguage", map[string]string{"en/one/b.md": front(`aliases = ["/old/"]`), "zh/one/b.md": front(`aliases = ["/zh/old/"]`)}, ""},
		{"AliasElsewhere", map[string]string{"en/one/b.md": front(`aliases = ["https://example.org/"]`)}, "must be an address within the site"},
		{"ReservedModule", map[string]string{"en/labs/_index.md": front(""), "en/labs/a.md": front("")}, `a module can't be called "labs"`},
		{"ReservedCourse", map[string]string{"en/tags/_index.md": front(""), "en/tags/m/_index.md": front(""), "en/tags/m/a.md": front("")}, "content/en/tags/_index.md: has the same address as a page of the site itself"},
		{"ModuleLikeALanguage", map[string]string{"en/zh/_index.md": front(""), "en/zh/a.md": front(""), "zh/_index.md": front("")}, "rename this folder"},
		{"TagsOfOnePage", map[string]string{"en/one/start.md": front(`tags = ["C", "C++"]`)}, `start.md:3:1: the tag "C++" would have the same page as "C"`},
		{"TagsOfOneWord", map[string]string{"en/one/start.md": front(`tags = ["docker run", "Docker-Run"]`)}, ""},
		{"TagOfSigns", map[string]string{"en/one/start.md": front(`tags = ["++"]`)}, "has no letter and no digit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, said, _ := look(t, small(tt.changes), course.Options{Labs: []*lab.Lab{{ID: "demo"}}})
			if tt.want == "" && said != "" || !strings.Contains(said, tt.want) {
				t.Errorf("said\n%s\nwant\n%s", said, tt.want)
			}
		})
	}
}

func TestNoContent(t *testing.T) {
	_, said, _ := look(t, fstest.MapFS{}, course.Options{})
	if !strings.Contains(said, "content: there is nothing to publish; a course starts with the file en/_index.md") {
		t.Errorf("said %q", said)
	}
	if _, err := course.Load(t.Context(), course.Source{Content: os.DirFS(filepath.Join(t.TempDir(), "gone"))}); err == nil {
		t.Error("a folder that isn't there was read")
	}
}

func TestWarnings(t *testing.T) {
	_, said, warned := look(t, small(map[string]string{
		"en/_index.md": "", "en/two/_index.md": "+++\ntitle = \"Two\"\n+++\n", "en/three/_index.md": "+++\ntitle = \"Three\"\n+++\n", "en/three/d.md": "+++\ntitle = \"D\"\ndraft = true\n+++\n",
	}), course.Options{})
	if said != "" {
		t.Errorf("said %s", said)
	}
	for _, want := range []string{"content/en/_index.md: this file is missing", "content/en/two/_index.md: this module has no lessons"} {
		if !strings.Contains(warned, want) {
			t.Errorf("warned\n%s\nwant\n%s", warned, want)
		}
	}
	if strings.Contains(warned, "three") {
		t.Errorf("a module whose lessons are drafts is one that is being written:\n%s", warned)
	}
}

func TestSettings(t *testing.T) {
	m, said, _ := look(t, small(map[string]string{"course.toml": "html = true\nstrict = true\nedit = \"https://example.org/edit/{file}\"\n[external]\nskip = [\"https://a.example/\"]\n"}), course.Options{})
	if c := m.Config; said != "" || !c.HTML || !c.Strict || c.Edit != "https://example.org/edit/{file}" || !slices.Equal(c.External.Skip, []string{"https://a.example/"}) {
		t.Errorf("%+v, %s", c, said)
	}
	for text, want := range map[string]string{
		"\nhtlm = true\n":                    "content/course.toml:2:1: unknown key \"htlm\" (did you mean \"html\"?)\n    2 | htlm = true\n      | ^",
		"html = 1\n":                         "course.toml:1:1: html must be true or false, not a whole number",
		"strict = true\nstrict = true\n":     "course.toml:2:",
		"edit = \"somewhere\"\n":             "course.toml:1:1: edit must be a URL that contains {file}",
		"edit = \"javascript://x/{file}\"\n": "edit must be a URL that contains {file}",
		"[external]\nskp = []\n":             "course.toml:2:1: unknown key \"skp\" (did you mean \"skip\"?)",
		"[external]\nskip = \"x\"\n":         "course.toml:2:1: external.skip must be a list of strings",
		"[external]\nskip = [\"x\"]\n":       "course.toml:2:9: skip must be a list of URL prefixes",
		"html = \n":                          "course.toml:1:",
		"html = true\xff\n":                  "course.toml:1: not UTF-8",
	} {
		if _, said, _ := look(t, small(map[string]string{"course.toml": text}), course.Options{}); !strings.Contains(said, want) {
			t.Errorf("%q: said\n%s\nwant\n%s", text, said, want)
		}
	}
	for _, name := range []string{"Course.toml", "config.toml", "course.tml"} {
		if _, said, _ := look(t, small(map[string]string{name: ""}), course.Options{}); said != "" {
			continue // small takes away what is empty
		}
		content := small(nil)
		content[name] = &fstest.MapFile{Data: []byte("html = true\n")}
		if _, said, _ := look(t, content, course.Options{}); !strings.Contains(said, name+": settings are read from course.toml only") {
			t.Errorf("%s: said %q", name, said)
		}
	}
}

func TestCoursesModulesAndLessonsAreOrdered(t *testing.T) {
	front := func(title string, weight int, more string) string {
		return fmt.Sprintf("+++\ntitle = %q\nweight = %d\n%s\n+++\n", title, weight, more)
	}
	m, said, warned := look(t, files(map[string]string{
		"en/_index.md":         front("Main", 0, ""),
		"en/b/_index.md":       front("B", 1, ""),
		"en/b/z.md":            front("Z", 1, ""),
		"en/b/a.md":            front("A", 0, ""),
		"en/b/c/index.md":      front("C", 2, `lab = "two"`),
		"en/a/_index.md":       front("A", 2, ""),
		"en/a/only.md":         front("Only", 0, `prerequisites = ["b/z", "ops/run/deploy"]`),
		"en/ops/_index.md":     front("Ops", 0, ""),
		"en/ops/run/_index.md": front("Run", 0, ""),
		"en/ops/run/deploy.md": front("Deploy", 0, `prerequisites = ["b/z"]`),
		"zh/ops/run/deploy.md": front("部署", 0, ""),
		"en/adv/_index.md":     front("Advanced", 0, ""),
		"en/adv/m/_index.md":   front("M", 0, ""),
		"en/adv/m/l.md":        front("L", 0, ""),
		"en/adv/m/p.png":       "x",
		"en/adv/m/_part.md":    "part",
	}), course.Options{Labs: []*lab.Lab{{ID: "one"}, {ID: "two"}}})
	if said != "" || warned != "" {
		t.Fatalf("said %s, warned %s", said, warned)
	}
	var got []string
	for _, c := range m.Courses {
		got = append(got, "/"+c.Path())
		for _, l := range c.Lessons {
			got = append(got, l.Path())
		}
	}
	want := []string{"/", "b/z/", "b/c/", "b/a/", "a/only/", "/adv/", "adv/m/l/", "/ops/", "ops/run/deploy/"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if m.Labs[0].ID != "two" || !slices.Equal(m.Langs, []string{"en", "zh"}) || !slices.Equal(m.Partials, []string{"en/adv/m/_part.md"}) ||
		!slices.Equal(m.Assets, []course.Asset{{Name: "en/adv/m/p.png", Path: "adv/m/p.png"}}) {
		t.Errorf("%+v", m)
	}
	only := m.Main().Lessons[3]
	if before := m.Before(only, only.Texts["en"]); len(before) != 2 || before[1].Path() != "ops/run/deploy/" {
		t.Errorf("before %v", before)
	}
	deploy := m.Courses[2].Lessons[0]
	zh := deploy.Texts["zh"]
	if zh.Of == nil || zh.Of.Lang != "en" || len(m.Before(deploy, zh)) != 1 || m.Pick(m.Courses[1].Texts, "zh").Title != "Advanced" {
		t.Errorf("%+v", zh)
	}
}

func TestLessonsOfADraftModuleAreDrafts(t *testing.T) {
	content := small(map[string]string{"en/two/_index.md": "+++\ntitle = \"Two\"\ndraft = true\n+++\n", "en/two/a.md": "+++\ntitle = \"A\"\n+++\n"})
	m, said, _ := look(t, content, course.Options{})
	if said != "" || len(m.Main().Modules) != 1 || len(m.Main().Lessons) != 1 {
		t.Errorf("%s %+v", said, m.Main())
	}
	if m, _, _ := look(t, content, course.Options{Drafts: true}); len(m.Main().Lessons) != 2 {
		t.Errorf("%+v", m.Main())
	}
}

// author is somebody who edits a tree on disk.
type author struct {
	t   *testing.T
	dir string
}

func (a author) write(name, text string) {
	a.t.Helper()
	file := filepath.Join(a.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

func (a author) rename(from, to string) {
	a.t.Helper()
	if err := os.Rename(filepath.Join(a.dir, from), filepath.Join(a.dir, to)); err != nil {
		a.t.Fatal(err)
	}
}

func newAuthor(t *testing.T) author {
	a := author{t, t.TempDir()}
	if err := os.CopyFS(a.dir, small(map[string]string{"zh/one/start.md": "+++\ntitle = \"开始\"\n+++\n", "en/one/box.svg": "<svg/>"})); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestRefreshEqualsAFreshLoad makes every kind of change, and compares the refreshed tree with a
// new one.
func TestRefreshEqualsAFreshLoad(t *testing.T) {
	for _, named := range []bool{true, false} {
		t.Run(fmt.Sprintf("Named=%v", named), func(t *testing.T) {
			a := newAuthor(t)
			content := os.DirFS(a.dir)
			tree, err := course.Load(t.Context(), course.Source{Content: content})
			if err != nil {
				t.Fatal(err)
			}
			follow := func(what string, names []string, changed ...string) {
				t.Helper()
				if !named {
					names = nil
				}
				got, err := tree.Refresh(t.Context(), names...)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if !slices.Equal(got, changed) {
					t.Errorf("%s: changed %q, want %q", what, got, changed)
				}
				m, said, warned := model(tree, course.Options{})
				fresh, freshSaid, freshWarned := look(t, content, course.Options{})
				if said != freshSaid || warned != freshWarned || outline(m) != outline(fresh) {
					t.Errorf("%s:\n%s\n%s\n%s\nread anew:\n%s\n%s\n%s", what, outline(m), said, warned, outline(fresh), freshSaid, freshWarned)
				}
			}
			follow("nothing", []string{"en/one/start.md"})
			a.write("en/one/start.md", "+++\ntitle = \"START\"\n+++\nText.\n")
			follow("a title", []string{"en/one/start.md"}, "en/one/start.md")
			a.write("en/one/new.md", "+++\ntitle = \"New\"\nprerequisites = [\"gone\"]\n+++\n")
			follow("a new lesson with a mistake", []string{"en/one/new.md"}, "en/one/new.md")
			a.write("en/one/gone.md", "+++\ntitle = \"Gone\"\n+++\n")
			follow("what it needs", []string{"en/one/gone.md"}, "en/one/gone.md")
			a.rename("en/one/gone.md", "en/one/there.md")
			follow("a new name", []string{"en/one/gone.md", "en/one/there.md"}, "en/one/gone.md", "en/one/there.md")
			a.rename("en/one", "en/two")
			follow("a new name of a folder", []string{"en/one", "en/two"},
				"en/one/_index.md", "en/one/box.svg", "en/one/new.md", "en/one/start.md", "en/one/there.md",
				"en/two/_index.md", "en/two/box.svg", "en/two/new.md", "en/two/start.md", "en/two/there.md")
			a.write("en/two/deep/_index.md", "+++\ntitle = \"Deep\"\n+++\n")
			follow("a module becomes a course", []string{"en/two/deep"}, "en/two/deep/_index.md")
			if err := os.RemoveAll(filepath.Join(a.dir, "en/two")); err != nil {
				t.Fatal(err)
			}
			follow("a folder is gone", []string{"en/two"},
				"en/two/_index.md", "en/two/box.svg", "en/two/deep/_index.md", "en/two/new.md", "en/two/start.md", "en/two/there.md")
			a.write("course.toml", "htlm = true\n")
			follow("settings", []string{"course.toml"}, "course.toml")
			if err := os.Symlink("/etc", filepath.Join(a.dir, "en/two")); err != nil {
				t.Fatal(err)
			}
			follow("a link", []string{"en/two/hostname"}, "en/two")
			a.write("en/.hidden/x.md", "x")
			follow("a hidden file", []string{"en/.hidden/x.md"})
		})
	}
}

// outline describes a model as text, to compare two of them.
func outline(m *course.Model) string {
	var b strings.Builder
	fmt.Fprintln(&b, m.Langs, m.Assets, m.Partials, m.Config)
	m.EachText(func(t *course.Text) { fmt.Fprintf(&b, "%s %s %+v %q\n", t.Lang, t.Name, t.Front, t.Doc.Body) })
	for _, c := range m.Courses {
		for _, l := range c.Lessons {
			fmt.Fprintln(&b, l.Path(), len(l.Texts))
		}
	}
	return b.String()
}

func TestSymbolicLinksAreNotFollowed(t *testing.T) {
	a := newAuthor(t)
	outside := t.TempDir()
	author{t, outside}.write("secret.md", "+++\ntitle = \"Secret\"\n+++\n")
	for name, target := range map[string]string{"en/one/a.md": outside + "/secret.md", "en/out": outside, "en/loop": "../en", "en/one/gone.md": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(a.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(a.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, content := range []fs.FS{os.DirFS(a.dir), root.FS()} {
		m, said, _ := look(t, content, course.Options{})
		for _, name := range []string{"en/one/a.md", "en/out", "en/loop", "en/one/gone.md"} {
			if !strings.Contains(said, "content/"+name+": symbolic links are not followed; replace the link by a copy of the file") {
				t.Errorf("%s isn't among\n%s", name, said)
			}
		}
		if len(m.Main().Lessons) != 1 {
			t.Errorf("%d lessons", len(m.Main().Lessons))
		}
	}
}

// vanishing is a file system whose files disappear after they are listed.
type vanishing struct {
	fs.FS
	gone string
}

func (v vanishing) Open(name string) (fs.File, error) {
	if name == v.gone {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return v.FS.Open(name)
}

func TestAFileMayDisappearDuringALoad(t *testing.T) {
	content := small(map[string]string{"en/one/gone.md": "+++\ntitle = \"Gone\"\n+++\n"})
	m, said, _ := look(t, vanishing{content, "en/one/gone.md"}, course.Options{})
	if said != "" || len(m.Main().Lessons) != 1 {
		t.Errorf("%s, %d lessons", said, len(m.Main().Lessons))
	}
}

func TestAnUnreadableFileIsReportedWithOtherMistakes(t *testing.T) {
	content := failing{small(map[string]string{"en/one/b.md": "no front matter\n"}), "en/one/start.md"}
	_, said, _ := look(t, content, course.Options{})
	if !strings.Contains(said, "content/en/one/start.md: can't be read: on fire") || !strings.Contains(said, "b.md:1: the title is missing") {
		t.Errorf("said %s", said)
	}
}

type failing struct {
	fs.FS
	name string
}

func (f failing) Open(name string) (fs.File, error) {
	if name == f.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("on fire")}
	}
	return f.FS.Open(name)
}

func TestTenThousandTags(t *testing.T) {
	content := small(nil)
	for i := range 200 {
		var tags []string
		for j := range 50 {
			tags = append(tags, fmt.Sprintf("%q", fmt.Sprintf("tag %d", i*50+j)))
		}
		content[fmt.Sprintf("en/one/l%03d.md", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "+++\ntitle = \"L\"\ntags = [%s]\n+++\n", strings.Join(tags, ", "))}
	}
	m, said, _ := look(t, content, course.Options{})
	n := 0
	m.EachText(func(t *course.Text) { n += len(t.Tags) })
	if said != "" || n != 10_000 {
		t.Errorf("%d tags, said %s", n, said)
	}
}

// TestRewordedFindsChangesThatOtherPagesDependOn changes one text in every way.
func TestRewordedFindsChangesThatOtherPagesDependOn(t *testing.T) {
	const name, before = "en/one/start.md", "+++\ntitle = \"Start\"\nweight = 3\ntags = [\"a\"]\n+++\nText.\n"
	for _, c := range []struct {
		after string
		ok    bool
	}{
		{before, true},
		{strings.Replace(before, "Text.", "Another text.", 1), true},
		{strings.Replace(before, "Start", "Another title", 1), true},
		{strings.Replace(before, "weight", "summary = \"What it is.\"\nauthors = [\"Ann\"]\nweight", 1), true},
		{strings.Replace(before, "weight = 3", "weight = 4", 1), false},
		{strings.Replace(before, "\"a\"", "\"a\", \"b\"", 1), false},
		{strings.Replace(before, "weight", "draft = true\nweight", 1), false},
		{strings.Replace(before, "weight", "aliases = [\"/old/\"]\nweight", 1), false},
		{strings.Replace(before, "title", "titel", 1), false},
		{"no front matter", false},
	} {
		content := fstest.MapFS{
			"en/_index.md": {Data: []byte("+++\ntitle = \"Course\"\n+++\n")}, "en/one/_index.md": {Data: []byte("+++\ntitle = \"One\"\n+++\n")},
			name: {Data: []byte(before)}, "zh/one/start.md": {Data: []byte("+++\ntitle = \"开始\"\n+++\n")},
		}
		tree, err := course.Load(t.Context(), course.Source{Content: content})
		if err != nil {
			t.Fatal(err)
		}
		var errs, warnings source.List
		texts := tree.Model(course.Options{}, &errs, &warnings).Main().Lessons[0].Texts
		content[name] = &fstest.MapFile{Data: []byte(c.after)}
		if _, err := tree.Refresh(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		now, ok := tree.Reworded(texts["en"])
		if ok != c.ok {
			t.Errorf("%q: %v, want %v", c.after, ok, c.ok)
		}
		if ok && (string(now.Doc.Content) != c.after || !strings.Contains(c.after, now.Title) || now.Weight != 3) {
			t.Errorf("%q: the text is now %+v", c.after, now)
		}
		if zh, ok := tree.Reworded(texts["zh"]); !ok || zh.Weight != 3 {
			t.Errorf("%q: the translation is other: %v, %+v", c.after, ok, zh)
		}
	}
}

func BenchmarkModel(b *testing.B) {
	tree, err := course.Load(b.Context(), course.Source{Content: corpus.New(10_000)})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		model(tree, course.Options{})
	}
}

func BenchmarkRefreshOne(b *testing.B) {
	content := corpus.New(10_000)
	tree, err := course.Load(b.Context(), course.Source{Content: content})
	if err != nil {
		b.Fatal(err)
	}
	const name = "en/module-010/lesson-00500.md"
	for i := 0; b.Loop(); i++ {
		content[name].Data = append(content[name].Data, 'x')
		if changed, err := tree.Refresh(b.Context(), name); err != nil || len(changed) != 1 {
			b.Fatal(changed, err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	if err := os.CopyFS(dir, corpus.New(10_000)); err != nil {
		b.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, _ error) error { return os.Chtimes(name, old, old) })
	if err != nil {
		b.Fatal(err)
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			if _, err := course.Load(b.Context(), course.Source{Content: os.DirFS(dir)}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		tree, err := course.Load(b.Context(), course.Source{Content: os.DirFS(dir)})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if changed, err := tree.Refresh(b.Context()); err != nil || len(changed) > 0 {
				b.Fatal(changed, err)
			}
		}
	})
}

func TestOnlyTheMainCourseHasAFooter(t *testing.T) {
	m, errs, _ := look(t, small(map[string]string{"en/_index.md": "+++\ntitle = \"Course\"\nfooter = \"Ours.\"\n+++\n"}), course.Options{})
	if got := m.Pick(m.Main().Texts, "en").Footer; errs != "" || got != "Ours." {
		t.Errorf("footer %q, mistakes %q", got, errs)
	}
	if _, errs, _ := look(t, small(map[string]string{"en/one/_index.md": "+++\ntitle = \"One\"\nfooter = \"Ours.\"\n+++\n"}), course.Options{}); !strings.Contains(errs, `unknown key "footer"`) {
		t.Errorf("a module's footer: %q", errs)
	}
}
