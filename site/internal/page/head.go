package page

import (
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/labd-dev/labd/site/internal/course"
)

// maxParts is how many modules or lessons the JSON-LD description of a page lists.
const maxParts = 100

// describe fills the part of a page's head that search engines and link previews read.
func (m *Maker) describe(p *draft) error {
	if p.Description == "" {
		p.Description = p.Summary
	}
	if m.assets.Icon != "" {
		p.Icon = m.base + m.assets.Icon
	}
	p.Manifest = m.base + course.LangPrefix(p.Lang, m.opts.DefaultLang) + ManifestFile
	if m.opts.BaseURL == "" || p.NoIndex {
		return nil
	}
	p.Feed = m.Absolute(m.URL(p.Lang, FeedFile))
	if err := m.addCard(p); err != nil {
		return err
	}
	// A page that is not translated has the same text as the page in the default language.
	p.Canonical = m.Absolute(p.URL)
	if p.ContentLang != p.Lang && p.Kind != "home" && slices.Contains(m.model.Langs, p.ContentLang) {
		p.Canonical = m.Absolute(m.base + course.LangPrefix(p.ContentLang, m.opts.DefaultLang) + strings.TrimPrefix(p.URL, m.URL(p.Lang, "")))
	}
	for i := range p.Alternates {
		p.Alternates[i].Absolute = m.Absolute(p.Alternates[i].URL)
	}
	p.Default = m.Absolute(strings.Replace(p.URL, m.URL(p.Lang, ""), m.URL(m.opts.DefaultLang, ""), 1))
	if strings.Contains(p.URL, "/tags/") {
		p.Default = ""
	}
	var err error
	p.JSONLD, err = m.jsonLD(p)
	return err
}

// learning is what the JSON-LD description of a page has besides title and summary.
type learning struct {
	kind    string // Course, Module, Lesson or Hands-on lab
	minutes int
	level   string
	authors []string
	date    time.Time // of the front matter
	updated time.Time
	parts   []link
	partOf  []link // a course first, then its module
}

// jsonLD returns the page's description in the vocabulary of schema.org.
func (m *Maker) jsonLD(p *draft) (template.HTML, error) {
	l := p.learning
	if l == nil {
		return "", nil
	}
	data := map[string]any{
		"@context": "https://schema.org", "@type": "LearningResource", "name": course.Plain(p.Title), "url": m.Absolute(p.URL),
		"inLanguage": p.ContentLang, "isAccessibleForFree": true,
	}
	if l.kind == "Course" {
		data["@type"] = "Course"
	} else {
		data["learningResourceType"] = l.kind
	}
	if p.Summary != "" {
		data["description"] = course.Plain(p.Summary)
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
	parts := func(links []link, courses int) []map[string]any {
		var out []map[string]any
		for i, part := range links[:min(len(links), maxParts)] {
			kind := "LearningResource"
			if i < courses {
				kind = "Course"
			}
			out = append(out, map[string]any{"@type": kind, "name": course.Plain(part.Title), "url": m.Absolute(part.URL)})
		}
		return out
	}
	if list := parts(l.parts, 0); list != nil {
		data["hasPart"] = list
	}
	if list := parts(l.partOf, 1); list != nil {
		data["isPartOf"] = list
	}
	// Marshal sorts keys, and escapes <, > and &, so the text can't close the script element.
	text, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("describing %s: %w", p.URL, err)
	}
	return template.HTML(`<script type="application/ld+json">` + string(text) + `</script>`), nil
}
