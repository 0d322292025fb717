package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/command"
)

var flagName = regexp.MustCompile(`(?m)^  (-[a-z-]+)`)

// TestTheGuideNamesEveryFlag compares the reference with the help of the commands, in both
// languages.
func TestTheGuideNamesEveryFlag(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		page, err := os.ReadFile(filepath.Join("..", "..", "content", lang, "guide", "reference", "sitegen.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range Program().Commands {
			_, section, ok := strings.Cut(string(page), "\n## "+c.Name+"\n")
			if !ok {
				t.Errorf("%s: no section on %s", lang, c.Name)
				continue
			}
			section, _, _ = strings.Cut(section, "\n## ")
			if c.Name == "check" || c.Name == "serve" { // they refer to build
				_, build, _ := strings.Cut(string(page), "\n## build\n")
				build, _, _ = strings.Cut(build, "\n## ")
				section += build
			}
			calls := [][]string{{c.Name, "-h"}}
			if c.Name == "new" {
				calls = [][]string{{"new", "course", "-h"}, {"new", "lesson", "-h"}}
			}
			var help bytes.Buffer
			for _, args := range calls {
				Program().Run(t.Context(), &command.Env{Stdout: &help, Stderr: &help}, args)
			}
			for _, m := range flagName.FindAllStringSubmatch(help.String(), -1) {
				if !strings.Contains(section, "`"+m[1]+"`") {
					t.Errorf("%s: the section on %s says nothing of %s", lang, c.Name, m[1])
				}
			}
		}
	}
}

// quoted matches code in Markdown.
var quoted = regexp.MustCompile("`[^`]*`")

// TestTheGuideNamesEverySetting compares keys and defaults in the reference with lab.toml.
func TestTheGuideNamesEverySetting(t *testing.T) {
	settings, err := os.ReadFile(filepath.Join("..", "..", "lab.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{"en", "zh"} {
		page, err := os.ReadFile(filepath.Join("..", "..", "content", lang, "guide", "reference", "labd.md"))
		if err != nil {
			t.Fatal(err)
		}
		section, found := "", 0
		for line := range strings.Lines(string(settings)) {
			line = strings.TrimSpace(line)
			if name, ok := strings.CutPrefix(line, "["); ok {
				section = strings.TrimSuffix(name, "]") + "."
				continue
			}
			key, value, ok := strings.Cut(strings.TrimPrefix(line, "#"), " = ")
			if !ok || strings.ContainsAny(key, " `\"") {
				continue
			}
			found++
			key = section + key
			row := regexp.MustCompile(`(?m)^\|([^|]*` + "`" + regexp.QuoteMeta(key) + "`" + `[^|]*)\|([^|]*)\|`).FindStringSubmatch(string(page))
			if row == nil {
				t.Errorf("%s: no row for %s", lang, key)
				continue
			}
			// A row may have several settings, with one default for all or one for each in the same
			// order.
			keys, values := quoted.FindAllString(row[1], -1), quoted.FindAllString(row[2], -1)
			i := slices.Index(keys, "`"+key+"`")
			if len(values) == 1 {
				i = 0
			}
			if i >= len(values) || values[i] != "`"+value+"`" {
				t.Errorf("%s: the default of %s is %s, not %s", lang, key, value, strings.TrimSpace(row[2]))
			}
		}
		if found < 20 {
			t.Errorf("only %d settings were found in lab.toml", found)
		}
	}
}

// TestTheGuideShowsTheFilesOfANewCourse creates a course as the first page of the guide says.
func TestTheGuideShowsTheFilesOfANewCourse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my-course")
	var out bytes.Buffer
	if code := Program().Run(t.Context(), &command.Env{Stdout: &out, Stderr: &out}, []string{"new", "course", dir}); code != 0 {
		t.Fatal(out.String())
	}
	var texts []string
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if filepath.Ext(name) == ".md" {
			rel, _ := filepath.Rel(dir, name)
			texts = append(texts, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil || len(texts) == 0 {
		t.Fatal(texts, err)
	}
	for _, lang := range []string{"en", "zh"} {
		page, err := os.ReadFile(filepath.Join("..", "..", "content", lang, "guide", "start", "first-course.md"))
		if err != nil {
			t.Fatal(err)
		}
		_, tree, _ := strings.Cut(string(page), "```text\n")
		tree, _, _ = strings.Cut(tree, "```")
		if n := strings.Count(tree, "\n"); n != len(texts) {
			t.Errorf("%s: %d files are shown, there are %d", lang, n, len(texts))
		}
		for _, name := range texts {
			if !strings.Contains(tree, name+" ") {
				t.Errorf("%s: %s is not shown", lang, name)
			}
		}
	}
}
