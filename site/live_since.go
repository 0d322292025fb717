package site

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/page"
)

// Most changes of front matter, and most new and deleted files, change what is shown on many pages but what is known of few:
// the titles in a side bar are no facts. What is known of a page holds as long as three things do: what all pages are made of,
// the page's origin, and the answers to the questions that rendering it asked.

// origin is what a page is made of, besides answers and what all pages are made of. Equal ones make equal facts.
type origin struct {
	kind     string
	text, of *markdown.Document // of is what text translates: it gives what the front matter of text leaves out
	lab      *lab.Lab
	updated  int64 // when text was, if that is known
}

func (b *builder) origin(j page.Job) origin {
	o := origin{kind: j.Kind, lab: j.Lab}
	if j.Text == nil {
		return o
	}
	o.text = j.Text.Doc
	if j.Text.Of != nil {
		o.of = j.Text.Of.Doc
	}
	if at := b.src.Updated[j.Text.Name]; !at.IsZero() {
		o.updated = at.UnixNano()
	}
	return o
}

// sameForAll says whether b has what all pages are made of from the same as old. Cards say how many lessons there are. Of the
// settings, html alone changes what is known of pages.
func (b *builder) sameForAll(old *builder) bool {
	return old != nil && old.design == b.design && !old.cards && !b.cards &&
		slices.Equal(old.model.Langs, b.model.Langs) && old.model.Config.HTML == b.model.Config.HTML &&
		slices.Equal(old.src.Labs, b.src.Labs) && old.src.LabErr == b.src.LabErr && old.src.ContentName == b.src.ContentName
}

// places is where links lead to something else than before, without language.
type places map[string]bool

// placesSince are the places of changed files, and of pages that are new or gone.
func (b *builder) placesSince(old *builder, names []string) places {
	out := places{}
	add := func(rel string) {
		out[rel] = true
		if i := strings.IndexAny(rel, "?#"); i >= 0 { // such a name is a mistake, but can be led to
			out[rel[:i]] = true
		}
	}
	for _, rel := range b.pages.Moved(old.pages) {
		add(rel)
	}
	for _, name := range names {
		if _, rel, _ := strings.Cut(name, "/"); path.Ext(rel) != ".md" { // a text is no place but by its page
			add(rel)
		}
	}
	return out
}

// has says whether an address may lead to one of the places.
func (p places) has(base, url string) bool {
	rel, ok := strings.CutPrefix(url, base)
	if !ok {
		return false
	}
	if i := strings.IndexAny(rel, "?#"); i >= 0 {
		rel = rel[:i]
	}
	_, inLang, _ := strings.Cut(rel, "/")
	return p[rel] || p[inLang]
}

// since is a course that was served before, and the files that have changed since then.
type since struct {
	old   *builder // nil if nothing that is known may hold
	names []string
}

// lookSince has Run look at the pages that may be others since the course was old. The caller holds mu.
func (l *Live) lookSince(old *builder, names []string) {
	if l.since == nil {
		l.since = &since{old: old}
	}
	l.since.names = append(l.since.names, names...)
	if old == nil {
		l.since.old = nil
	}
}

// compare finds the pages that may be others than they were when they were looked at. The caller holds mu for reading.
func (l *Live) compare() {
	l.found.Lock()
	defer l.found.Unlock()
	s, reworded := l.since, l.reworded
	l.since, l.reworded = nil, nil
	if l.b == nil || s == nil && reworded == nil {
		return
	}
	plan := l.plan()
	if reworded != nil {
		for _, j := range plan.jobs {
			if p := l.pages[j.File]; !j.Copy && (p == nil || p.memo.MadeOf(reworded)) {
				l.dirty[j.File] = true
			}
		}
	}
	if s == nil {
		return
	}
	l.b.check() // nobody else reads what it finds before mu is free
	for file, p := range l.pages {
		if _, ok := plan.byFile[file]; !ok {
			l.indexes[p.facts.Lang].Set(file, 0, nil)
			delete(l.pages, file)
		}
	}
	maps.DeleteFunc(l.dirty, func(file string, _ bool) bool { _, ok := plan.byFile[file]; return !ok })
	var lead func(url string) bool // says whether an address may lead to something else; nil if none does
	same := l.b.sameForAll(s.old)
	if same {
		if changed := l.b.placesSince(s.old, s.names); len(changed) > 0 {
			base := l.b.design.Base()
			lead = func(url string) bool { return changed.has(base, url) }
		}
	}
	for i, j := range plan.jobs {
		if j.Copy || plan.byFile[j.File] != i {
			continue
		}
		p := l.pages[j.File]
		if !same || p == nil || p.origin != l.b.origin(j) || p.memo.Doubted(s.names, lead) {
			l.dirty[j.File] = true
			continue
		}
		p.facts.Source = j.Text
		if p.place != i {
			p.place = i
			l.indexes[p.facts.Lang].Move(j.File, i)
		}
	}
}

// wake has Run see whether there is something to do.
func (l *Live) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}
