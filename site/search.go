package site

import (
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
	p.SearchBundle = b.assets.search
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

// searchFiles are the indexes of all languages.
func (b *builder) searchFiles(pages []*outputPage) ([]builtFile, error) {
	var out []builtFile
	for _, lang := range b.model.langs {
		index := search.New()
		for i, p := range pages {
			if p.view.Lang == lang {
				index.Set(p.file, i, p.view.docs)
			}
		}
		files, err := index.Files()
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			out = append(out, builtFile{Path: langPrefix(lang, b.opts.DefaultLang) + searchFolder + f.Name, data: f.Data})
		}
	}
	return out, nil
}
