package site

import (
	"cmp"
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/page"
	"github.com/labd-dev/labd/site/internal/search"
)

// searchIndexes are the empty indexes of all languages.
func (b *builder) searchIndexes() map[string]*search.Index {
	out := map[string]*search.Index{}
	for _, lang := range b.model.Langs {
		out[lang] = search.New()
	}
	return out
}

// searchPath is where a file of a language's index is.
func (b *builder) searchPath(lang, name string) string {
	return course.LangPrefix(lang, b.opts.DefaultLang) + page.SearchFolder + name
}

// writeIndexes writes the files of all indexes, some while others are made.
func (b *builder) writeIndexes(ctx context.Context, indexes map[string]*search.Index, write func(name string, data []byte) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(b.opts.Workers)
	for lang, index := range indexes {
		err := index.Each(func(f search.File) error {
			g.Go(func() error { return write(b.searchPath(lang, f.Name), f.Data) })
			return ctx.Err()
		})
		if err != nil {
			return cmp.Or(g.Wait(), err)
		}
	}
	return g.Wait()
}
