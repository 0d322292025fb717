package page

import (
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
)

// Job is one page to make.
type Job struct {
	File string       // in the site
	Kind string       // of the page, if files of one name can be of several kinds
	Text *course.Text // its body, and all that is known of it; nil if it has none
	Lab  *lab.Lab     // that it shows
	Copy bool         // it shows only what other pages show, so nothing has to be found out about it
	make func(m *Maker, errs *source.List) *draft
}

// family is pages of a site that belong together. families is the only list of them.
type family struct {
	// jobs plans the pages of a language.
	jobs func(m *Maker, lang string, add func(rel string, j Job))
	// links are the addresses that links of texts may lead to, without language prefix; has reports
	// whether rel is one of them. Both are nil for pages that texts can't link to.
	links func(m *Maker, yield func(rel string))
	has   func(m *Maker, rel string) bool
	// moved yields the links that old doesn't have. It is links without those that old has if nil.
	moved func(m, old *Maker, yield func(rel string))
}

// families are all pages of a site, in the order of Plan.
func families() []family {
	return []family{
		{jobs: homeJob},
		{jobs: func(m *Maker, lang string, add func(string, Job)) {
			add(SearchFolder, Job{make: func(m *Maker, _ *source.List) *draft { return m.searchPage(lang) }})
			add(OfflineFolder, Job{make: func(m *Maker, _ *source.List) *draft { return m.offlinePage(lang) }})
			add("404.html", Job{make: func(m *Maker, _ *source.List) *draft { return m.notFoundPage(lang) }})
		}},
		{jobs: courseJobs, links: courseLinks, moved: courseMoved, has: func(m *Maker, rel string) bool { return m.model.HasPage(rel) }},
		single("labs/", func(m *course.Model) bool { return len(m.Labs) > 0 }, func(m *Maker, lang string) Job {
			return Job{make: func(m *Maker, _ *source.List) *draft { return m.labsPage(lang) }}
		}),
		// A page of tags exists in every language if it does in one, so readers can switch the
		// language on it.
		single("tags/", (*course.Model).Tagged, func(m *Maker, lang string) Job {
			return Job{make: func(m *Maker, _ *source.List) *draft { return m.tagsPage(lang) }}
		}),
		{jobs: func(m *Maker, lang string, add func(string, Job)) {
			for _, t := range m.tags()[lang] {
				add("tags/"+t.slug+"/", Job{make: func(m *Maker, _ *source.List) *draft { return m.tagPage(lang, t) }})
			}
		}},
		single("glossary/", func(m *course.Model) bool { return len(m.Glossary) > 0 }, func(m *Maker, lang string) Job {
			return Job{Text: m.model.Pick(m.model.Glossary, lang), make: func(m *Maker, errs *source.List) *draft { return m.glossaryPage(lang, errs) }}
		}),
		{
			jobs: func(m *Maker, lang string, add func(string, Job)) {
				for i, l := range m.model.Labs {
					add(labPath(l), Job{Lab: l, make: func(m *Maker, errs *source.List) *draft { return m.labPage(lang, l, i, errs) }})
				}
			},
			links: func(m *Maker, yield func(string)) {
				for _, l := range m.model.Labs {
					yield(labPath(l))
				}
			},
			has: func(m *Maker, rel string) bool {
				l := m.model.LabByID[strings.TrimSuffix(strings.TrimPrefix(rel, "labs/"), "/")]
				return l != nil && rel == labPath(l)
			},
		},
	}
}

// single is the family of one page, which is there or not.
func single(rel string, there func(*course.Model) bool, job func(m *Maker, lang string) Job) family {
	return family{
		jobs: func(m *Maker, lang string, add func(string, Job)) {
			if there(m.model) {
				add(rel, job(m, lang))
			}
		},
		links: func(m *Maker, yield func(string)) {
			if there(m.model) {
				yield(rel)
			}
		},
		has: func(m *Maker, asked string) bool { return asked == rel && there(m.model) },
	}
}

func labPath(l *lab.Lab) string { return "labs/" + l.ID + "/" }

// fileOf is the file of a page at an address without language prefix.
func (m *Maker) fileOf(lang, rel string) string {
	if rel == "" || strings.HasSuffix(rel, "/") {
		rel += "index.html"
	}
	return course.LangPrefix(lang, m.opts.DefaultLang) + rel
}

// Plan lists every page of the site, in a fixed order.
func (m *Maker) Plan() []Job {
	n := 0
	for _, c := range m.model.Courses {
		n += 1 + 2*len(c.Modules) + len(c.Lessons)
	}
	jobs := make([]Job, 0, len(m.model.Langs)*(n+len(m.model.Labs)+8))
	for _, lang := range m.model.Langs {
		for _, f := range m.families {
			f.jobs(m, lang, func(rel string, j Job) {
				j.File = m.fileOf(lang, rel)
				jobs = append(jobs, j)
			})
		}
	}
	return jobs
}

func homeJob(m *Maker, lang string, add func(string, Job)) {
	add("", Job{Text: m.model.Pick(m.model.Main().Texts, lang), make: func(m *Maker, errs *source.List) *draft { return m.homePage(lang, errs) }})
}

func courseJobs(m *Maker, lang string, add func(string, Job)) {
	for _, c := range m.model.Courses {
		if c != m.model.Main() {
			add(c.Path(), Job{Kind: "course", Text: m.model.Pick(c.Texts, lang), make: func(m *Maker, errs *source.List) *draft { return m.coursePage(lang, c, errs) }})
		}
		for _, s := range c.Modules {
			add(s.Path(), m.moduleJob(lang, s))
		}
		for i, l := range c.Lessons {
			add(l.Path(), m.lessonJob(lang, c.Lessons, i))
		}
		for _, s := range c.Modules {
			if printed(s) {
				add(s.Path()+printFolder, Job{Copy: true, make: func(m *Maker, _ *source.List) *draft { return m.printPage(lang, s) }})
			}
		}
	}
}

func (m *Maker) moduleJob(lang string, s *course.Module) Job {
	return Job{Kind: "module", Text: m.model.Pick(s.Texts, lang), make: func(m *Maker, errs *source.List) *draft { return m.modulePage(lang, s, errs) }}
}

func (m *Maker) lessonJob(lang string, order []*course.Lesson, i int) Job {
	return Job{Kind: "lesson", Text: m.model.Pick(order[i].Texts, lang), make: func(m *Maker, errs *source.List) *draft { return m.lessonPage(lang, order, i, errs) }}
}

func courseLinks(m *Maker, yield func(string)) {
	for _, c := range m.model.Courses {
		yield(c.Path())
		for _, s := range c.Modules {
			yield(s.Path())
		}
		for _, l := range c.Lessons {
			yield(l.Path())
		}
	}
}

// courseMoved skips modules that both models share: the pages of those are the same.
func courseMoved(m, old *Maker, yield func(string)) {
	check := func(rel string) {
		if !old.model.HasPage(rel) {
			yield(rel)
		}
	}
	for _, c := range m.model.Courses {
		check(c.Path())
		for _, s := range c.Modules {
			if old.model.Module(s.Path()) == s {
				continue
			}
			check(s.Path())
			for _, l := range s.Lessons {
				check(l.Path())
			}
		}
	}
}

// Find returns the job of Plan that makes a file if that is the page of a lesson or a module. It
// needs no plan of the whole site.
func (m *Maker) Find(file string) (Job, bool) {
	rel, ok := strings.CutSuffix(file, "index.html")
	if !ok {
		return Job{}, false
	}
	lang := m.opts.DefaultLang
	if l, rest, ok := strings.Cut(rel, "/"); ok && l != lang && slices.Contains(m.model.Langs, l) {
		lang, rel = l, rest
	}
	var j Job
	if s := m.model.Module(rel); s != nil {
		j = m.moduleJob(lang, s)
	} else if e := m.model.Lesson(rel); e != nil {
		order := m.model.CourseOf(e.Module).Lessons
		j = m.lessonJob(lang, order, slices.Index(order, e))
	} else {
		return Job{}, false
	}
	j.File = file
	return j, true
}

// known reports whether links may lead to an address without language prefix.
func (m *Maker) known(rel string) bool {
	return slices.ContainsFunc(m.families, func(f family) bool { return f.has != nil && f.has(m, rel) })
}

// addresses are all that are known, sorted.
func (m *Maker) addresses() []string {
	var out []string
	for _, f := range m.families {
		if f.links != nil {
			f.links(m, func(rel string) { out = append(out, rel) })
		}
	}
	slices.Sort(out)
	return out
}

// Moved returns the addresses, without language prefix, of the pages that only one of two courses
// has.
func (m *Maker) Moved(old *Maker) []string {
	var out []string
	add := func(rel string) { out = append(out, rel) }
	for _, f := range m.families {
		switch {
		case f.moved != nil:
			f.moved(m, old, add)
			f.moved(old, m, add)
		case f.links != nil:
			only := func(a, b *Maker) {
				f.links(a, func(rel string) {
					if !f.has(b, rel) {
						add(rel)
					}
				})
			}
			only(m, old)
			only(old, m)
		}
	}
	return out
}
