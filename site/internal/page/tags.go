package page

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// tag is a tag of lessons in one language.
type tag struct {
	name, slug string
	lessons    []*course.Lesson
}

// collectTags returns the tags of each language by name.
func collectTags(m *course.Model) map[string][]*tag {
	all := map[string][]*tag{}
	for _, lang := range m.Langs {
		all[lang] = tagsOf(m, lang)
	}
	return all
}

// tagsOf returns a language's tags by name. Tags with the same slug are one; the first spelling is
// shown.
func tagsOf(m *course.Model, lang string) []*tag {
	bySlug, byName := map[string]*tag{}, map[string]*tag{} // byName saves computing the same slugs again
	var tags []*tag
	for _, e := range m.Lessons() {
		for _, name := range m.Pick(e.Texts, lang).Tags {
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

// tagLinks returns links to the pages of tags.
func (m *Maker) tagLinks(lang string, names []string) []link {
	var out []link
	for _, name := range names {
		if slug := markdown.Slug(name); slug != "" {
			out = append(out, link{URL: m.URL(lang, "tags/"+slug+"/"), Title: name})
		}
	}
	return out
}

// tagsPage lists all tags of a language.
func (m *Maker) tagsPage(lang string) *draft {
	p := m.begin("tags", lang, "tags/")
	v := &tagsView{frame: &p.frame, navigation: &p.navigation}
	p.view = v
	p.Title = p.T.Tags
	p.Crumbs = []link{p.home(), {Title: p.T.Tags}}
	m.setSidebar(p, "")
	for _, t := range m.tags()[lang] {
		v.Tags = append(v.Tags, link{URL: m.URL(lang, "tags/"+t.slug+"/"), Title: t.name, Note: fmt.Sprint(len(t.lessons))})
	}
	return p
}

// tagPage lists the lessons with one tag. Tags differ between languages, so the language switch
// leads to the list of tags.
func (m *Maker) tagPage(lang string, t *tag) *draft {
	p := m.begin("tags", lang, "tags/")
	v := &tagsView{frame: &p.frame, navigation: &p.navigation, Groups: []lessonGroup{{}}}
	p.view = v
	p.URL = m.URL(lang, "tags/"+t.slug+"/")
	p.Title = t.name
	p.Description = p.T.Tags + ": " + t.name
	p.Crumbs = []link{p.home(), {URL: m.URL(lang, "tags/"), Title: p.T.Tags}, {Title: t.name}}
	m.setSidebar(p, "")
	v.Meta = []string{counted(len(t.lessons), p.T.OneLesson, p.T.LessonsCount)}
	for i, e := range t.lessons {
		v.Groups[0].Lessons = append(v.Groups[0].Lessons, m.lessonCard(e, lang, i+1))
	}
	return p
}

// glossaryPage has the course's terms. Each has an anchor, such as /glossary/#container.
func (m *Maker) glossaryPage(lang string, errs *source.List) *draft {
	p := m.begin("text", lang, "glossary/")
	p.view = &textView{frame: &p.frame, lead: &p.lead, body: &p.body, navigation: &p.navigation}
	t := m.model.Pick(m.model.Glossary, lang)
	p.Title, p.Summary = t.Title, t.Summary
	p.Crumbs = []link{p.home(), {Title: p.Title}}
	m.setSidebar(p, "")
	m.setBody(p, t, errs)
	return p
}
