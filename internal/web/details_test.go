package web_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// A page in Chinese must not show an English sentence of labd.
func TestEveryDetailHasAChineseSentence(t *testing.T) {
	used := findAll(t, `(?:Detailed\(|, )"([a-z_]+)"`, "../session/*.go", "../steps/*.go", "*.go")
	words := findAll(t, `(?m)^  ([a-z_]+): "[^"]*\p{Han}`, "../../site/assets/ts/lab/details.ts")
	if len(words) < 38 {
		t.Fatalf("only %d sentences were found", len(words))
	}
	for _, detail := range findAll(t, `Detailed\("([a-z_]+)"\)`, "../session/*.go", "../steps/*.go", "*.go") {
		if !slices.Contains(words, detail) {
			t.Errorf("details.ts has no sentence for %q", detail)
		}
	}
	for _, word := range words {
		if !slices.Contains(used, word) {
			t.Errorf("no error has the detail %q", word)
		}
	}
}

// findAll returns the first group of each match in the files.
func findAll(t *testing.T, pattern string, globs ...string) []string {
	t.Helper()
	var found []string
	for _, glob := range globs {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", glob, files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(data, -1) {
				found = append(found, string(m[1]))
			}
		}
	}
	return found
}
