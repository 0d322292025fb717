package search_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/corpus"
	"github.com/labd-dev/labd/site/internal/search"
)

// pagesOf returns the sections of the lessons of a corpus, by file.
func pagesOf(n int) (names []string, pages [][]search.Section) {
	content := corpus.New(n)
	entries, _ := content.Glob("en/*/*.md")
	more, _ := content.Glob("en/*/*/*.md")
	for _, name := range append(entries, more...) {
		var sections []search.Section
		for i, text := range strings.Split(string(content[name].Data), "\n## ") {
			heading, rest, _ := strings.Cut(text, "\n")
			if i == 0 {
				heading = ""
			}
			sections = append(sections, search.Section{URL: "/" + name, Page: name, Heading: heading, Text: rest})
		}
		names, pages = append(names, name), append(pages, sections)
	}
	return names, pages
}

func BenchmarkNewDocs(b *testing.B) {
	_, pages := pagesOf(1000)
	for b.Loop() {
		for _, p := range pages {
			search.NewDocs(p)
		}
	}
}

func BenchmarkCorpus(b *testing.B) {
	names, pages := pagesOf(1000)
	var docs [][]*search.Doc
	for _, p := range pages {
		docs = append(docs, search.NewDocs(p))
	}
	b.Run("set", func(b *testing.B) {
		for b.Loop() {
			x := search.New()
			for i, name := range names {
				x.Set(name, i, docs[i])
			}
			x.File("index.json")
		}
	})
	x := search.New()
	for i, name := range names {
		x.Set(name, i, docs[i])
	}
	b.Run("files", func(b *testing.B) {
		for b.Loop() {
			if _, err := x.Each(b.Context(), 1, func(search.File) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}
