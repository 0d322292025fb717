package page

import (
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/search"
)

// Findable is the searchable text of a page. The zero value is that of a page that the search
// leaves out.
type Findable struct {
	url, title, summary string
	sections            []markdown.Section
}

// Docs returns the sections as documents for the search index.
func (f Findable) Docs() []*search.Doc {
	var out []search.Section
	for i, s := range f.sections {
		section := search.Section{URL: f.url, Anchor: s.ID, Page: course.Plain(f.title), Heading: s.Title, Text: s.Text, Code: s.Code}
		if i == 0 && s.ID == "" {
			section.Text = course.Plain(f.summary) + " " + s.Text
		} else if s.ID == "" {
			continue
		}
		out = append(out, section)
	}
	return search.NewDocs(out)
}

func (p *draft) findable() Findable {
	switch p.Kind {
	case "lesson", "lab", "module", "text":
		return Findable{p.URL, p.Title, p.Summary, p.sections}
	}
	return Findable{}
}
