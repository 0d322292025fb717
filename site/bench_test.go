package site_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"labd/site"
	"labd/site/corpus"
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
