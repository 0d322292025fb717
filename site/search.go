package site

import (
	"cmp"
	"context"

	"golang.org/x/sync/errgroup"

	"labd/internal/course"
	"labd/internal/search"
)

// searchFolder is where the search page and its index are.
const searchFolder = "search/"

// searchDocs makes the sections of a rendered page ready for the index.
func searchDocs(p *page) []*search.Doc {
	var out []*search.Doc
	for i, s := range p.sections {
		section := search.Section{URL: p.URL, Anchor: s.ID, Page: withoutTicks(p.Title), Heading: s.Title, Text: s.Text, Code: s.Code}
		if i == 0 && s.ID == "" {
			section.Text = withoutTicks(p.Summary) + " " + s.Text
		} else if s.ID == "" {
			continue
		}
		out = append(out, search.NewDoc(section))
	}
	return out
}

// searchPage is the page with the search field.
func (b *builder) searchPage(lang string) *page {
	p := b.page("search", lang, searchFolder)
	p.Title = p.T.Search
	p.Description = p.T.SearchHint
	p.Crumbs = []link{{URL: p.HomeURL, Title: p.SiteTitle}, {Title: p.T.Search, Current: true}}
	b.setSidebar(p, "")
	p.ExtraBundle = b.assets.search
	return p
}

// indexed says whether a page can be found by its text.
func (p *page) indexed() bool {
	switch p.Kind {
	case "lesson", "lab", "module", "text":
		return true
	}
	return false
}

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
	return course.LangPrefix(lang, b.opts.DefaultLang) + searchFolder + name
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
