package site

import (
	"encoding/json"
	"fmt"
	"html/template"
	"time"
)

// maxParts is how many parts of a course its description for machines names.
const maxParts = 100

// learning is what search engines are told about a page that teaches, besides its title.
type learning struct {
	kind    string // in words: Lesson, Module, Hands-on lab; "Course" for a course
	minutes int
	level   string
	authors []string
	date    time.Time // of the front matter
	updated time.Time
	parts   []link
	partOf  []link // a course first, then its module
}

// jsonLD describes the page in the words of schema.org.
func (b *builder) jsonLD(p *page) (template.HTML, error) {
	l := p.learning
	if l == nil {
		return "", nil
	}
	data := map[string]any{
		"@context": "https://schema.org", "@type": "LearningResource", "name": withoutTicks(p.Title), "url": b.absolute(p.URL),
		"inLanguage": p.ContentLang, "isAccessibleForFree": true,
	}
	if l.kind == "Course" {
		data["@type"] = "Course"
	} else {
		data["learningResourceType"] = l.kind
	}
	if p.Summary != "" {
		data["description"] = withoutTicks(p.Summary)
	}
	if l.minutes > 0 {
		data["timeRequired"] = fmt.Sprintf("PT%dM", l.minutes)
	}
	if l.level != "" {
		data["educationalLevel"] = l.level
	}
	if !l.date.IsZero() {
		data["datePublished"] = l.date.UTC().Format(time.DateOnly)
	}
	if !l.updated.IsZero() {
		data["dateModified"] = l.updated.UTC().Format(time.RFC3339)
	}
	var authors []map[string]any
	for _, name := range l.authors {
		authors = append(authors, map[string]any{"@type": "Person", "name": name})
	}
	if authors != nil {
		data["author"] = authors
	}
	parts := func(links []link, course int) []map[string]any {
		var out []map[string]any
		for i, part := range links[:min(len(links), maxParts)] {
			kind := "LearningResource"
			if i < course {
				kind = "Course"
			}
			out = append(out, map[string]any{"@type": kind, "name": withoutTicks(part.Title), "url": b.absolute(part.URL)})
		}
		return out
	}
	if list := parts(l.parts, 0); list != nil {
		data["hasPart"] = list
	}
	if list := parts(l.partOf, 1); list != nil {
		data["isPartOf"] = list
	}
	// Marshal sorts keys and escapes <, > and &, so the text can't leave the element.
	text, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("describing %s: %w", p.URL, err)
	}
	return template.HTML(`<script type="application/ld+json">` + string(text) + `</script>`), nil
}
