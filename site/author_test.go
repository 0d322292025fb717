package site_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/labd-dev/labd/site"
)

// author edits a course in a folder, at random.
type author struct {
	t       *testing.T
	dir     string
	rnd     *rand.Rand
	changed []string // files and folders written since they were last asked for
	n       int
}

func (a *author) write(name, text string) {
	a.t.Helper()
	full := filepath.Join(a.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		a.t.Fatal(err)
	}
	a.changed = append(a.changed, name)
}

func (a *author) rename(from, to string) {
	a.t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(a.dir, to)), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(a.dir, from), filepath.Join(a.dir, to)); err != nil {
		a.t.Fatal(err)
	}
	a.changed = append(a.changed, from, to)
}

func (a *author) remove(name string) {
	a.t.Helper()
	if err := os.RemoveAll(filepath.Join(a.dir, name)); err != nil {
		a.t.Fatal(err)
	}
	a.changed = append(a.changed, name)
}

func (a *author) read(name string) string {
	a.t.Helper()
	data, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		a.t.Fatal(err)
	}
	return string(data)
}

// any returns a random file that fits.
func (a *author) any(fits func(name string) bool) string {
	a.t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(a.dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && fits(name) {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	if len(names) == 0 {
		return ""
	}
	return names[a.rnd.IntN(len(names))]
}

func isLesson(name string) bool {
	return strings.Count(name, "/") >= 2 && path.Ext(name) == ".md" && !isIndex(name) && !strings.HasPrefix(path.Base(name), "_")
}

func isIndex(name string) bool {
	return strings.Count(name, "/") >= 2 && path.Base(name) == "_index.md"
}

// front sets a line of the front matter of a text, and replaces one with the same key.
func (a *author) front(name, line string) {
	a.t.Helper()
	key, _, _ := strings.Cut(line, " ")
	other := regexp.MustCompile(`(?m)^`+key+` .*\n`).ReplaceAllString(a.read(name), "")
	a.write(name, strings.Replace(other, "+++\n", "+++\n"+line+"\n", 1))
}

// edit makes a random change of a kind that authors make, and returns its description.
func (a *author) edit() string {
	a.n++
	lesson := a.any(isLesson)
	switch kind := a.rnd.IntN(28); {
	case lesson == "" || kind == 0:
		name := fmt.Sprintf("en/one/new-%d.md", a.n)
		a.write(name, fmt.Sprintf("+++\ntitle = \"New %d\"\nweight = %d\n+++\n## Of number %d\n\nSome more words.\n", a.n, a.rnd.IntN(30), a.n))
		return "new " + name
	case kind < 4:
		a.write(lesson, a.read(lesson)+fmt.Sprintf("\nWord%d of the text.\n\n## Section %d\n\n```bash\necho %d\n```\n", a.n, a.n, a.n))
		return "text of " + lesson
	case kind == 4:
		text := a.read(lesson)
		_, rest, _ := strings.Cut(text, "title = ")
		_, rest, _ = strings.Cut(rest, "\n")
		a.write(lesson, fmt.Sprintf("+++\ntitle = \"Title %d\"\n", a.n)+rest)
		return "title of " + lesson
	case kind == 5:
		a.write(lesson, strings.Replace(a.read(lesson), "+++\n", fmt.Sprintf("+++\ntags = [\"tag %d\"]\n", a.n%3), 1))
		return "tags of " + lesson
	case kind == 6:
		to := path.Dir(lesson) + fmt.Sprintf("/moved-%d.md", a.n)
		a.rename(lesson, to)
		return "rename " + lesson + " to " + to
	case kind == 7:
		a.remove(lesson)
		return "delete " + lesson
	case kind == 8:
		other := a.any(isLesson)
		_, file, _ := strings.Cut(other, "/")
		file = strings.Repeat("../", strings.Count(lesson, "/")-1) + file
		a.write(lesson, a.read(lesson)+"\nSee [another]("+file+") and [a part]("+file+"#section-3).\n")
		return "link from " + lesson + " to " + other
	case kind == 9:
		a.write("en/one/box.png", onePixel(1+a.rnd.IntN(9), 1+a.rnd.IntN(9)))
		return "picture"
	case kind == 10:
		a.write(lesson, a.read(lesson)+"\n![a box](/one/box.png)\n")
		return "show a picture in " + lesson
	case kind == 11:
		from := path.Dir(lesson)
		to := fmt.Sprintf("%s/module-%d", path.Dir(from), a.n)
		a.rename(from, to)
		return "rename module " + from + " to " + to
	case kind == 12:
		_, file, _ := strings.Cut(lesson, "/")
		a.write("zh/"+file, fmt.Sprintf("+++\ntitle = \"第%d课\"\n+++\n## 第一部分 %d\n\n中文文本。\n", a.n, a.n))
		return "translate " + lesson
	case kind == 13:
		a.write("en/glossary.md", fmt.Sprintf("+++\ntitle = \"Glossary\"\n+++\nTerm %d\n: What it means.\n", a.n))
		return "glossary"
	case kind == 15:
		a.write("en/one/_part.md", fmt.Sprintf("Shared %d, see [a lesson](../two/last.md).\n\n## Shared section %d\n", a.n, a.n))
		return "shared part"
	case kind == 16:
		a.write(lesson, a.read(lesson)+"\n:::include /one/_part.md\n")
		return "include in " + lesson
	case kind == 17:
		keys := []string{"weight = %d", "summary = \"Summary %d.\"", "draft = true # %d", "aliases = [\"/old-%d/\"]", "minutes = %d", "date = 2026-01-02 # %d"}
		key := fmt.Sprintf(keys[a.rnd.IntN(len(keys))], a.n)
		a.front(lesson, key)
		return key + " of " + lesson
	case kind == 18:
		name := path.Dir(lesson) + "/_index.md"
		a.write(name, fmt.Sprintf("+++\ntitle = \"Module %d\"\nweight = %d\n+++\nAbout this module.\n", a.n, a.rnd.IntN(9)))
		return "title of " + name
	case kind == 19:
		name := fmt.Sprintf("zh/two/file-%d.txt", a.n)
		a.write(name, "A file.")
		a.write(lesson, a.read(lesson)+fmt.Sprintf("\nSee [a file](/two/file-%d.txt).\n", a.n))
		if a.rnd.IntN(2) == 0 {
			a.write("en"+strings.TrimPrefix(name, "zh"), "Another file.")
		}
		return "link to a file from " + lesson
	case kind == 20:
		html := a.rnd.IntN(2) == 0
		a.write("course.toml", fmt.Sprintf("edit = \"https://example.org/%d/{file}\"\nhtml = %v\nstrict = %v\n", a.n, html, a.rnd.IntN(4) == 0))
		if html {
			a.write(lesson, a.read(lesson)+"\n<p id=\"own\">HTML of the author.</p>\n")
		}
		return "configuration"
	case kind == 14:
		a.write("en/_index.md", fmt.Sprintf("+++\ntitle = \"Course %d\"\n+++\nWelcome.\n", a.n))
		return "course title"
	case kind == 21:
		name := fmt.Sprintf("en/course-%d/m", a.n%3)
		a.write(name+"/_index.md", fmt.Sprintf("+++\ntitle = \"Module %d\"\n+++\n", a.n))
		a.write(path.Dir(name)+"/_index.md", fmt.Sprintf("+++\ntitle = \"Course %d\"\nweight = %d\n+++\n", a.n, a.rnd.IntN(9)))
		a.write(fmt.Sprintf("%s/lesson-%d.md", name, a.n), fmt.Sprintf("+++\ntitle = \"Lesson %d\"\n+++\nOf a further course.\n", a.n))
		return "lesson of a further course, " + name
	case kind == 22:
		_, other, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(a.any(isLesson), ".md"), "/index"), "/")
		a.front(lesson, fmt.Sprintf("prerequisites = [%q]", other))
		return "prerequisite " + other + " of " + lesson
	case kind == 23:
		name := a.any(isIndex)
		a.front(name, fmt.Sprintf("draft = %v", a.rnd.IntN(3) > 0))
		return "draft " + name
	case kind == 24:
		name := a.any(isIndex)
		if a.rnd.IntN(3) == 0 {
			name = path.Dir(name)
		}
		a.remove(name)
		return "delete " + name
	case kind == 25:
		a.front(lesson, `lab = "demo"`)
		return "lab of " + lesson
	case kind == 26:
		name := path.Dir(lesson)
		lang, module, _ := strings.Cut(name, "/")
		to := fmt.Sprintf("%s/course-%d/%s", lang, a.n%3, path.Base(module))
		if _, err := os.Stat(filepath.Join(a.dir, to)); err == nil {
			return "nothing"
		}
		a.rename(name, to)
		return "move " + name + " to " + to
	default:
		// A mistake, and how it was before.
		before := a.read(lesson)
		a.write(lesson, strings.Replace(before, "title = ", "titel = ", 1))
		if a.rnd.IntN(2) == 0 {
			a.write(lesson, before)
		}
		return "mistake in " + lesson
	}
}

// restore undoes all changes.
func (a *author) restore(good map[string]string) {
	for name := range read(a.t, a.dir) {
		if _, ok := good[name]; !ok {
			a.remove(name)
		}
	}
	for name, text := range good {
		if now, err := os.ReadFile(filepath.Join(a.dir, name)); err != nil || string(now) != text {
			a.write(name, text)
		}
	}
}

func (a *author) source() site.Source {
	s := source()
	s.Content = os.DirFS(a.dir)
	return s
}
