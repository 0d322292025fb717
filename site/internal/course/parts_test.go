package course_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/internal/course"
)

// TestPartsAreHeadingsOverNeighbours has a course whose modules are in two parts, the second
// translated.
func TestPartsAreHeadingsOverNeighbours(t *testing.T) {
	module := func(title string, weight int, part string) string {
		front := fmt.Sprintf("title = %q\nweight = %d\n", title, weight)
		if part != "" {
			front += fmt.Sprintf("part = %q\n", part)
		}
		return "+++\n" + front + "+++\n"
	}
	m, errs, warnings := look(t, small(map[string]string{
		"en/one/_index.md":   module("One", 1, "Basics"),
		"en/two/_index.md":   module("Two", 2, "Basics"),
		"en/three/_index.md": module("Three", 3, "More"),
		"en/two/a.md":        module("A", 1, "First"), "en/two/b.md": module("B", 2, "Second"),
		"en/three/a.md":    module("A", 1, ""),
		"zh/two/_index.md": module("二", 0, "基础"), "zh/two/a.md": module("甲", 0, ""),
	}), course.Options{})
	if errs != "" || warnings != "" {
		t.Fatalf("%s\n%s", errs, warnings)
	}
	texts := func(modules []*course.Module) (out []course.Texts) {
		for _, s := range modules {
			out = append(out, s.Texts)
		}
		return out
	}
	modules := m.Main().Modules
	if got := m.PartHeadings(texts(modules), "en"); !slices.Equal(got, []string{"Basics", "", "More"}) {
		t.Errorf("en: %q", got)
	}
	if got := m.PartHeadings(texts(modules), "zh"); !slices.Equal(got, []string{"基础", "", "More"}) {
		t.Errorf("zh: %q", got)
	}
	lessons := []course.Texts{modules[1].Lessons[0].Texts, modules[1].Lessons[1].Texts}
	if got := m.PartHeadings(lessons, "zh"); !slices.Equal(got, []string{"First", "Second"}) {
		t.Errorf("a translation without part has %q", got)
	}
}

func TestMisleadingPartsAreReported(t *testing.T) {
	module := func(weight int, front string) string {
		return fmt.Sprintf("+++\ntitle = \"M\"\nweight = %d\n%s+++\n", weight, front)
	}
	lesson := "+++\ntitle = \"L\"\n+++\n"
	_, errs, warnings := look(t, small(map[string]string{
		"en/one/_index.md": module(1, "part = \"A\"\n"),
		"en/two/_index.md": module(2, ""), "en/two/l.md": lesson,
		"en/three/_index.md": module(3, "part = \"A\"\n"), "en/three/l.md": lesson,
		"en/more/_index.md": module(1, "part = \"A\"\n"), "en/more/m/_index.md": module(1, ""), "en/more/m/l.md": lesson,
	}), course.Options{})
	for _, want := range []string{
		"content/en/two/_index.md: has no part, but follows pages of the part \"A\"",
		"content/en/three/_index.md:4:1: the part \"A\" appears twice",
	} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no warning %q in\n%s", want, warnings)
		}
	}
	if want := "content/en/more/_index.md:4:1: a course is in no part"; !strings.Contains(errs, want) {
		t.Errorf("no mistake %q in\n%s", want, errs)
	}
}
