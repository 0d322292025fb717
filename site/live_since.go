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

// since is how the course changed since the checker last compared it.
type since struct {
	old   *builder // the course that was checked; nil if nothing that was found may still hold
	names []string // files that changed
}

// compare marks the pages about which something else may be found than before. The caller holds mu and server.mu.
func (c *checker) compare(e *edition) {
	change, reworded := c.since, c.reworded
	c.since, c.reworded = nil, nil
	if change == nil && reworded == nil {
		return
	}
	plan := e.plan()
	if reworded != nil {
		for _, j := range plan.jobs {
			if p := c.pages[j.File]; !j.Copy && (p == nil || p.memo.MadeOf(reworded)) {
				c.dirty[j.File] = true
			}
		}
	}
	if change == nil {
		return
	}
	e.b.check() // the checker is the only one that reads what this finds before mu is free
	c.forget(plan)
	same := e.b.sameForAll(change.old)
	var lead func(url string) bool // reports whether an address may lead to something else now; nil if none does
	if same {
		if changed := e.b.placesSince(change.old, change.names); len(changed) > 0 {
			base := e.b.design.Base()
			lead = func(url string) bool { return changed.has(base, url) }
		}
	}
	for i, j := range plan.jobs {
		if j.Copy || plan.byFile[j.File] != i {
			continue
		}
		p := c.pages[j.File]
		if !same || p == nil || p.origin != e.b.origin(j) || p.memo.Doubtful(change.names, lead) {
			c.dirty[j.File] = true
			continue
		}
		p.facts.Source = j.Text
		if p.place != i {
			p.place = i
			c.indexOf(p.facts.Lang).Move(j.File, i)
		}
	}
}

// forget drops what was found about pages that are gone. The caller holds mu.
func (c *checker) forget(plan *plan) {
	for file, p := range c.pages {
		if _, ok := plan.byFile[file]; !ok {
			c.indexOf(p.facts.Lang).Set(file, 0, nil)
			delete(c.pages, file)
		}
	}
	maps.DeleteFunc(c.dirty, func(file string, _ bool) bool { _, ok := plan.byFile[file]; return !ok })
}
