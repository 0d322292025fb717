package site

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/page"
)

// This file finds which facts about pages a change invalidates.
//
// Most changes of front matter, and most new and deleted files, change the HTML of many pages but
// the facts of few: a sidebar shows titles, but they are not facts. The facts of a page stay valid
// as long as three things do not change: the input that all pages share (sameForAll), the page's
// own input (origin), and the answers to the questions that rendering it asked (package memo).

// origin is the input of a page, besides answers and the input that all pages share.
type origin struct {
	kind     string
	text, of *source.Document // of is the original that text translates and inherits from
	lab      *lab.Lab
	updated  int64 // when text last changed, in Unix nanoseconds; 0 if unknown
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

// sameForAll reports whether the input that all pages share is the same as in old. With social
// cards it never is, because the card of a page shows the number of lessons. The only setting that
// matters is html.
func (b *builder) sameForAll(old *builder) bool {
	return old != nil && old.design == b.design && !old.cards && !b.cards &&
		slices.Equal(old.model.Langs, b.model.Langs) && old.model.Config.HTML == b.model.Config.HTML &&
		slices.Equal(old.src.Labs, b.src.Labs) && old.src.LabErr == b.src.LabErr && old.src.ContentName == b.src.ContentName
}

// places is a set of addresses, without language prefix, at which there is something else than
// before.
type places map[string]bool

// placesSince returns the addresses of changed files, and of pages that are new or gone.
func (b *builder) placesSince(old *builder, names []string) places {
	out := places{}
	add := func(rel string) {
		out[rel] = true
		if i := strings.IndexAny(rel, "?#"); i >= 0 { // a mistake in a file name, but links can lead there
			out[rel[:i]] = true
		}
	}
	for _, rel := range b.pages.Moved(old.pages) {
		add(rel)
	}
	for _, name := range names {
		if _, rel, _ := strings.Cut(name, "/"); path.Ext(rel) != ".md" { // links lead to the page of a text, not to its file
			add(rel)
		}
	}
	return out
}

// has reports whether a URL may lead to one of the places.
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

// compare marks the pages about which something else may be found than before. The caller holds mu
// and server.mu.
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
