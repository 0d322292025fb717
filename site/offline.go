package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"labd/internal/bundle"
)

// offlineFolder is where the page is that stands in for others without a network, and the lists of what to save.
const offlineFolder = "offline/"

// workerFile is the service worker. Its address must never change, and its place says which pages it serves.
const workerFile = "sw.js"

// maxSaved is how many pages a course may have to be offered for saving as a whole.
const maxSaved = 300

// hasWorker says whether the site keeps pages for reading without a network. A preview that is served while it is
// written does not: it would show yesterday's text.
func (b *builder) hasWorker() bool {
	return b.assets.readable.JS != nil && b.opts.LiveScript == ""
}

// worker is the service worker; that of a site which has none takes away what an earlier one has left.
func (b *builder) worker() ([]byte, error) {
	site := map[string]any{"base": b.base}
	entry := "ts/unsw.ts"
	if b.hasWorker() {
		entry = "ts/sw.ts"
		shell := []string{}
		offline := map[string]string{}
		for _, lang := range b.model.Langs {
			url := b.url(lang, offlineFolder)
			offline[b.url(lang, "")] = url
			shell = append(shell, url)
		}
		for _, built := range []bundle.Bundle{b.assets.theme, b.assets.site, {CSS: b.assets.wide.CSS}, {CSS: b.assets.lessons[textStyle].CSS},
			{CSS: b.assets.lessons[diagramStyle].CSS}, {CSS: b.assets.lessons[moreStyle].CSS}, {CSS: b.assets.lessons[allStyle].CSS}, b.assets.readable} {
			for _, f := range slices.Concat(built.CSS, built.JS) {
				shell = append(shell, b.base+f.Path)
			}
		}
		for _, f := range b.assets.site.Parts {
			shell = append(shell, b.base+f.Path) // what few pages have works in a saved page too
		}
		if b.assets.icon != "" {
			shell = append(shell, b.base+b.assets.icon)
		}
		site["shell"], site["offline"] = shell, offline
	}
	define, err := json.Marshal(site)
	if err != nil {
		return nil, fmt.Errorf("describing the site to its service worker: %w", err)
	}
	data, err := bundle.Script(b.opts.Assets, entry, map[string]string{"SITE": string(define)})
	if err != nil {
		return nil, fmt.Errorf("the service worker: %w", err)
	}
	return data, nil
}

// offlineFiles are the service worker and what it reads.
func (b *builder) offlineFiles(pages []*facts) []output {
	if _, err := fs.Stat(b.opts.Assets, "ts/sw.ts"); errors.Is(err, fs.ErrNotExist) {
		return nil // assets of somebody's own, without a worker
	}
	out := []output{{path: workerFile, data: b.worker}}
	lists := map[string]*savedList{}
	for _, p := range pages {
		if p.save == "" {
			continue
		}
		l := lists[p.save]
		if l == nil {
			l = &savedList{}
			lists[p.save] = l
			out = append(out, output{path: strings.TrimPrefix(p.save, b.base), data: func() ([]byte, error) { return json.Marshal(l) }, whole: true})
		}
		l.Files = append(l.Files, p.url)
		l.Bytes += p.size
	}
	return out
}

// savedList names the pages of a course. Their pictures are found in them.
type savedList struct {
	Bytes int      `json:"bytes"`
	Files []string `json:"files"`
}

// saveURL is the address of the list that a course's pages are on, or "" if the course can't be saved as a whole.
func (b *builder) saveURL(lang, course string, pages int) string {
	if !b.hasWorker() || pages > maxSaved {
		return ""
	}
	name := "course.json"
	if course != "" {
		name = "course-" + course + ".json"
	}
	return b.url(lang, offlineFolder+name)
}

// offlinePage stands in for a page that is not kept when there is no network.
func (b *builder) offlinePage(lang string) *page {
	p := b.page("offline", lang, offlineFolder)
	p.Title, p.Summary = p.T.Offline, p.T.OfflineText
	p.NoIndex = true
	p.ExtraBundle = b.assets.readable
	return p
}
