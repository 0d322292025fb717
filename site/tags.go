package site

import (
	"cmp"
	"fmt"
	"slices"

	"labd/internal/course"
	"labd/internal/markdown"
	"labd/internal/source"
)

// tag is a word that lessons of one language carry.
type tag struct {
	name, slug string
	lessons    []*course.Lesson
}

// collectTags returns a language's tags by name. Tags that differ only in case or signs are one; the first spelling counts.
func (b *builder) collectTags(lang string) []*tag {
	bySlug, byName := map[string]*tag{}, map[string]*tag{} // few names stand in many lessons
	var tags []*tag
	for _, e := range b.order {
		for _, name := range b.model.Pick(e.Texts, lang).Tags {
			t, known := byName[name]
			if !known {
				if slug := markdown.Slug(name); slug != "" {
					if t = bySlug[slug]; t == nil {
						t = &tag{name: name, slug: slug}
						bySlug[slug] = t
						tags = append(tags, t)
					}
				}
				byName[name] = t
			}
			if t == nil {
				continue
			}
			if n := len(t.lessons); n == 0 || t.lessons[n-1] != e {
				t.lessons = append(t.lessons, e)
			}
		}
	}
	slices.SortFunc(tags, func(a, b *tag) int { return cmp.Compare(a.slug, b.slug) })
	return tags
}

func (b *builder) anyTags() bool {
	for _, tags := range b.tags {
		if len(tags) > 0 {
			return true
		}
	}
	return false
}

// tagLinks are the tags of a text as links.
func (b *builder) tagLinks(lang string, names []string) []link {
	var out []link
	for _, name := range names {
		if slug := markdown.Slug(name); slug != "" {
			out = append(out, link{URL: b.url(lang, "tags/"+slug+"/"), Title: name})
		}
	}
	return out
}

// tagsPage lists all tags of a language.
func (b *builder) tagsPage(lang string) *page {
	p := b.page("tags", lang, "tags/")
	p.Title = p.T.Tags
	p.Crumbs = []link{{URL: p.HomeURL, Title: p.SiteTitle}, {Title: p.T.Tags, Current: true}}
	b.setSidebar(p, "")
	for _, t := range b.tags[lang] {
		p.Tags = append(p.Tags, link{URL: b.url(lang, "tags/"+t.slug+"/"), Title: t.name, Note: fmt.Sprint(len(t.lessons))})
	}
	return p
}

// tagPage lists the lessons with one tag. Tags are words of their language, so the other languages' link leads to their tags.
func (b *builder) tagPage(lang string, t *tag) *page {
	p := b.page("tags", lang, "tags/")
	p.URL = b.url(lang, "tags/"+t.slug+"/")
	p.Title = t.name
	p.Description = p.T.Tags + ": " + t.name
	p.Crumbs = []link{{URL: p.HomeURL, Title: p.SiteTitle}, {URL: b.url(lang, "tags/"), Title: p.T.Tags}, {Title: t.name, Current: true}}
	b.setSidebar(p, "")
	p.Meta = []string{counted(len(t.lessons), p.T.OneLesson, p.T.LessonsCount)}
	for i, e := range t.lessons {
		p.Lessons = append(p.Lessons, b.lessonCard(e, lang, i+1))
	}
	return p
}

// glossaryPage explains the course's terms. Each can be linked to: /glossary/#container.
func (b *builder) glossaryPage(lang string, errs *source.List) *page {
	p := b.page("text", lang, "glossary/")
	t := b.model.Pick(b.model.Glossary, lang)
	p.Title, p.Summary = t.Title, t.Summary
	p.Crumbs = []link{{URL: p.HomeURL, Title: p.SiteTitle}, {Title: p.Title, Current: true}}
	b.setSidebar(p, "")
	b.setBody(p, t, errs)
	return p
}
