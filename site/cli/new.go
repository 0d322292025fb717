package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labd-dev/labd/internal/command"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/markdown"
)

func runNewCourse(_ context.Context, e *command.Env, args []string) error {
	fl := flag.NewFlagSet("sitegen new course", flag.ContinueOnError)
	title, lang := newFlags(fl)
	words, err := command.Parse(fl, e, "usage: sitegen new course DIR [flags]", 1, args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return command.Misuse("the folder of the new course is missing: sitegen new course DIR")
	}
	return newCourse(e, words[0], *title, *lang)
}

func runNewLesson(_ context.Context, e *command.Env, args []string) error {
	fl := flag.NewFlagSet("sitegen new lesson", flag.ContinueOnError)
	title, lang := newFlags(fl)
	content := fl.String("content", "content", "`folder` of the lessons")
	words, err := command.Parse(fl, e, "usage: sitegen new lesson [COURSE/]MODULE/NAME [flags]", 1, args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return command.Misuse("the name of the new lesson is missing: sitegen new lesson [COURSE/]MODULE/NAME")
	}
	return newLesson(e, *content, words[0], *title, *lang)
}

func newFlags(fl *flag.FlagSet) (title, lang *string) {
	return fl.String("title", "", "`title` (default: made from the name)"), fl.String("lang", "en", "`language` of the text")
}

// newCourse creates a small course that builds: a home page, a module, and a lesson with examples
// of what lessons can have.
func newCourse(e *command.Env, dir, title, lang string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("the folder %s is not empty; choose another", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if title == "" {
		title = titleOf(filepath.Base(dir))
	}
	root := filepath.Join(dir, "content", lang)
	for _, f := range []struct{ name, text string }{
		{"_index.md", front("title", title, "summary", "One sentence about what readers learn here.")},
		{"basics/_index.md", front("title", "Basics", "summary", "What this module is about.", "weight", 10)},
		{"basics/first-steps.md", front("title", "First steps", "summary", "What this lesson is about.", "weight", 10, "minutes", 5) + sampleLesson},
	} {
		if err := writeNew(filepath.Join(root, filepath.FromSlash(f.name)), f.text); err != nil {
			return err
		}
	}
	fmt.Fprintf(e.Stdout, "created the course %q in %s\nnext: cd %s && sitegen serve\n", title, dir, dir)
	return nil
}

// newLesson adds a lesson at the end of a module. It creates the module and the further course if
// they don't exist.
func newLesson(e *command.Env, content, name, title, lang string) error {
	parts := strings.Split(strings.TrimSuffix(name, ".md"), "/")
	ok := len(parts) == 2 || len(parts) == 3
	for _, part := range parts {
		ok = ok && part != "" && part == markdown.Slug(part)
	}
	if !ok {
		return command.Misuse("a lesson is named MODULE/NAME or COURSE/MODULE/NAME in small letters and hyphens, such as %s, not %q", "networks/ports", name)
	}
	folders, lesson := parts[:len(parts)-1], parts[len(parts)-1]
	module := folders[len(folders)-1]
	if err := fits(filepath.Join(content, lang, folders[0]), folders); err != nil {
		return err
	}
	if title == "" {
		title = titleOf(lesson)
	}
	dir := filepath.Join(append([]string{content, lang}, folders...)...)
	weight, err := nextWeight(dir)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, lesson+".md")
	text := front("title", title, "summary", "What this lesson is about.", "weight", weight, "draft", true) + "Text.\n"
	if err := writeNew(file, text); err != nil {
		return err
	}
	describe := func(dir, title, summary string) error {
		index := filepath.Join(dir, course.IndexName)
		err := writeNew(index, front("title", title, "summary", summary))
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		if err == nil {
			fmt.Fprintln(e.Stdout, "created", filepath.ToSlash(index))
		}
		return err
	}
	if err := describe(dir, titleOf(module), "What this module is about."); err != nil {
		return err
	}
	if len(folders) == 2 {
		if err := describe(filepath.Dir(dir), titleOf(folders[0]), "What this course is about."); err != nil {
			return err
		}
	}
	fmt.Fprintf(e.Stdout, "created %s\nit is a draft: `sitegen serve -drafts` shows it; remove the line draft = true to publish it\n", filepath.ToSlash(file))
	return nil
}

// fits returns an error if the new lesson would turn a module into a course, or would be in a
// course but in none of its modules.
func fits(dir string, folders []string) error {
	modules, err := filepath.Glob(filepath.Join(dir, "*", course.IndexName))
	if err != nil {
		return err
	}
	lessons, err := filepath.Glob(filepath.Join(dir, "[^_]*.md"))
	if err != nil {
		return err
	}
	name := folders[0]
	switch {
	case len(folders) == 1 && len(modules) > 0:
		near := filepath.Base(filepath.Dir(modules[0]))
		return fmt.Errorf("%s is a course, so its lessons are in modules: sitegen new lesson %s/%s/…", name, name, near)
	case len(folders) == 2 && len(modules) == 0 && len(lessons) > 0:
		return fmt.Errorf("%s is a module, so its lessons are named %s/…; a course is a folder of modules", name, name)
	}
	return nil
}

// nextWeight returns a weight that puts a new lesson after the others of its module.
func nextWeight(dir string) (int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	highest := 0
	for _, entry := range entries {
		if entry.Name() == course.IndexName || filepath.Ext(entry.Name()) != ".md" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(data)) {
			key, value, ok := strings.Cut(line, "=")
			if n, err := strconv.Atoi(strings.TrimSpace(value)); ok && err == nil && strings.TrimSpace(key) == "weight" {
				highest = max(highest, n)
				break
			}
		}
	}
	return highest + 10, nil
}

// writeNew creates a file, and fails if it exists.
func writeNew(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// front returns front matter with pairs of keys and values.
func front(pairs ...any) string {
	var b strings.Builder
	b.WriteString("+++\n")
	for i := 0; i+1 < len(pairs); i += 2 {
		if s, ok := pairs[i+1].(string); ok {
			// The characters to escape in a basic string of TOML.
			s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ").Replace(s)
			fmt.Fprintf(&b, "%s = \"%s\"\n", pairs[i], s)
			continue
		}
		fmt.Fprintf(&b, "%s = %v\n", pairs[i], pairs[i+1])
	}
	b.WriteString("+++\n")
	return b.String()
}

// titleOf returns "First steps" for "first-steps".
func titleOf(name string) string {
	words := strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == ' ' }), " ")
	if words == "" {
		return "Untitled"
	}
	_, n := utf8.DecodeRuneInString(words)
	return strings.ToUpper(words[:n]) + words[n:]
}

const sampleLesson = `Text is Markdown. Links name files: [the home page](../_index.md).

## Code

` + "```bash\n" + `echo "every block has a copy button"
` + "```\n\n```console {title=\"a session\"}\n" + `$ uname -s
Linux
` + "```" + `

## More

> [!TIP]
> Callouts are quotes that begin with [!NOTE], [!TIP], [!IMPORTANT], [!WARNING] or [!CAUTION].

| tables | too |
| --- | --- |
| a | b |

:::details What is hidden until it is clicked
For example an answer. Keys look like ++Ctrl+C++.
:::
`
