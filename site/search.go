package site

import (
	"context"
	"sync"

	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/page"
	"github.com/labd-dev/labd/site/internal/search"
)

// searchIndexes returns an empty index per language.
func (b *builder) searchIndexes() map[string]*search.Index {
	out := map[string]*search.Index{}
	for _, lang := range b.model.Langs {
		out[lang] = search.New()
	}
	return out
}

// searchPath returns the path of a file of a language's index.
func (b *builder) searchPath(lang, name string) string {
	return course.LangPrefix(lang, b.opts.DefaultLang) + page.SearchFolder + name
}

// savedSearches tell, by language, what the search needs without a network.
type savedSearches map[string]func() (savedList, error)

// saveIndexes returns functions that write all files of an index once, and tell what there is. A
// nil write only tells.
func (b *builder) saveIndexes(ctx context.Context, pages []*page.Facts, indexes map[string]*search.Index, write func(name string, data []byte) error) savedSearches {
	out := savedSearches{}
	for lang, index := range indexes {
		out[lang] = sync.OnceValues(func() (savedList, error) {
			sizes, err := index.Each(ctx, b.opts.Workers, func(f search.File) error {
				if write == nil {
					return nil
				}
				return write(b.searchPath(lang, f.Name), f.Data)
			})
			return b.savedSearch(lang, sizes, pages), err
		})
	}
	return out
}
