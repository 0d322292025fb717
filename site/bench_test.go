package site_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/site"
	"github.com/labd-dev/labd/site/corpus"
)

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{100, 1000} {
		src := site.Source{Content: corpus.New(n)}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := site.Build(b.Context(), src, filepath.Join(b.TempDir(), "site"), site.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEdit measures from a saved file to what a browser gets of it: the page, and the files of
// the search index that a new word is in. A title goes further than a text: it is in the menus of
// other pages.
func BenchmarkEdit(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		content := corpus.New(n)
		src := site.Source{Content: content}
		live, err := site.NewLive(b.Context(), src, site.Options{LiveScript: "/-/live.js"})
		if err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(b.Context())
		var running sync.WaitGroup
		running.Go(func() { live.Run(ctx) })
		checkedLive(b, live)
		const name, page = "en/module-003/lesson-00170.md", "module-003/lesson-00170/index.html"
		original := content[name].Data
		edits := 0
		edit := func(title bool) {
			edits++
			text := fmt.Appendf(bytes.Clone(original), "\n\nzyxword%d\n", edits)
			if title {
				text = bytes.Replace(text, []byte("Lesson 170"), fmt.Appendf(nil, "Lesson 170 zyxword%d", edits), 1)
			}
			content[name] = &fstest.MapFile{Data: text}
			live.Update(b.Context(), src, []string{name})
		}
		has := func(b *testing.B, file string) {
			b.Helper()
			data, _, err := live.File(b.Context(), file)
			if err != nil || !bytes.Contains(data, fmt.Appendf(nil, "zyxword%d", edits)) {
				b.Fatalf("%s is stale (%v)", file, err)
			}
		}
		run := func(what string, title bool, see func(b *testing.B)) {
			b.Run(fmt.Sprintf("%s/%d", what, n), func(b *testing.B) {
				for b.Loop() {
					edit(title)
					see(b)
					b.StopTimer()
					checkedLive(b, live)
					b.StartTimer()
				}
			})
		}
		searched := func(b *testing.B) {
			data, _, err := live.File(b.Context(), "search/index.json")
			if err != nil {
				b.Fatal(err)
			}
			var index struct{ Prefixes []string }
			if err := json.Unmarshal(data, &index); err != nil {
				b.Fatal(err)
			}
			longest := ""
			for _, p := range index.Prefixes {
				if strings.HasPrefix(fmt.Sprintf("zyxword%d", edits), p) && len(p) > len(longest) {
					longest = p
				}
			}
			has(b, "search/t-"+longest+".json")
		}
		run("page", false, func(b *testing.B) { has(b, page) })
		run("search", false, searched)
		run("title-page", true, func(b *testing.B) { has(b, page) })
		run("title-search", true, searched)
		stop()
		running.Wait()
	}
}
