package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"labd/internal/bundle"
	"labd/internal/page"
)

// worker is the service worker; that of a site which has none takes away what an earlier one has left.
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

// offlineFiles are the service worker and what it reads.
func (b *builder) offlineFiles(pages []*page.Facts) []output {
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
			out = append(out, output{path: strings.TrimPrefix(p.Save, b.design.Base()), data: func() ([]byte, error) { return json.Marshal(l) }, whole: true})
		}
		l.Files = append(l.Files, p.URL)
		l.Bytes += p.Size
	}
	return out
}

// savedList names the pages of a course. Their pictures are found in them.
type savedList struct {
	Bytes int      `json:"bytes"`
	Files []string `json:"files"`
}
