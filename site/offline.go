package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/labd-dev/labd/site/internal/bundle"
	"github.com/labd-dev/labd/site/internal/page"
	"github.com/labd-dev/labd/site/internal/search"
)

// worker returns the service worker. If pages are not kept for offline reading, that is a script
// which removes an earlier service worker and its caches.
func (b *builder) worker() ([]byte, error) {
	base := b.design.Base()
	site := map[string]any{"base": base}
	entry := "ts/unsw.ts"
	if files := b.design.Shell(); files != nil {
		entry = "ts/sw.ts"
		shell := []string{}
		offline := map[string]string{}
		for _, lang := range b.model.Langs {
			url := b.design.URL(lang, page.OfflineFolder)
			offline[b.design.URL(lang, "")] = url
			shell = append(shell, url)
		}
		for _, f := range files {
			shell = append(shell, base+f)
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

// offlineFiles are the service worker and what it reads. Without searches only their paths are
// right.
func (b *builder) offlineFiles(pages []*page.Facts, searches savedSearches) []output {
	if _, err := fs.Stat(b.opts.Assets, "ts/sw.ts"); errors.Is(err, fs.ErrNotExist) {
		return nil // assets of somebody's own, without a worker
	}
	out := []output{{path: page.WorkerFile, data: b.worker}}
	lists := map[string]*savedList{}
	for _, p := range pages {
		if p.Save == "" {
			continue
		}
		l := lists[p.Save]
		if l == nil {
			l = &savedList{}
			lists[p.Save] = l
			out = append(out, output{path: strings.TrimPrefix(p.Save, b.design.Base()), whole: true, data: func() ([]byte, error) {
				found, err := searches[p.Lang]()
				if err != nil {
					return nil, err
				}
				return json.Marshal(savedList{Bytes: l.Bytes + found.Bytes, Files: slices.Concat(l.Files, found.Files)})
			}})
		}
		l.add(p.URL, p.Size)
	}
	return out
}

// savedList is the list of files for saving a course: its pages and the search. The service worker
// finds images in the pages.
type savedList struct {
	Bytes int      `json:"bytes"`
	Files []string `json:"files"`
}

func (l *savedList) add(url string, size int) {
	l.Files = append(l.Files, url)
	l.Bytes += size
}

// savedSearch is what the search of a language needs without a network.
func (b *builder) savedSearch(lang string, files []search.Size, pages []*page.Facts) savedList {
	var l savedList
	url := b.design.URL(lang, page.SearchFolder)
	for _, p := range pages {
		if p.URL == url {
			l.add(url, p.Size)
		}
	}
	for _, f := range b.design.SearchScripts() {
		l.add(b.design.Base()+f.Path, len(f.Data))
	}
	for _, f := range files {
		l.add(url+f.Name, f.Bytes)
	}
	return l
}
