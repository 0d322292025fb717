// Package assets makes what the pages of a site load and show besides their text: bundles of
// scripts and style sheets, the icon, and the fonts of social cards.
package assets

import (
	"crypto/sha256"
	"encoding/base32"
	"io/fs"
	"slices"
	"strings"

	"github.com/labd-dev/labd/site/internal/bundle"
)

// Assets is the bundles of scripts and styles of a site.
type Assets struct {
	Theme, Site, Lab, Search, Readable bundle.Bundle
	Wide                               bundle.Bundle            // the site's scripts with the style sheet of home, course and lab pages
	lessons                            map[string]bundle.Bundle // the site's scripts with a style sheet for lessons, by the name of that
	Files                              []bundle.File            // all of them
	Icon                               string                   // path of the favicon, "" if there is none
	// LabMissing is why there is no lab bundle, "" if there is one.
	LabMissing string
}

// Build bundles scripts and styles. fsys is the assets folder.
func Build(fsys fs.FS) (*Assets, error) {
	a := &Assets{}
	var err error
	if a.Theme, err = a.bundle(fsys, "ts/theme.ts"); err != nil {
		return nil, err
	}
	if a.Site, err = a.bundle(fsys, "ts/site.ts", "css/site.css"); err != nil {
		return nil, err
	}
	if a.Search, err = a.bundle(fsys, "ts/search.ts"); err != nil {
		return nil, err
	}
	if a.Wide, err = a.styled(fsys, "css/wide.css"); err != nil {
		return nil, err
	}
	a.lessons = map[string]bundle.Bundle{}
	for _, name := range []string{textStyle, diagramStyle, moreStyle, allStyle} {
		if a.lessons[name], err = a.styled(fsys, name); err != nil {
			return nil, err
		}
	}
	if _, err := fs.Stat(fsys, "ts/readable.ts"); err == nil {
		if a.Readable, err = a.bundle(fsys, "ts/readable.ts"); err != nil {
			return nil, err
		}
	}
	a.addIcon(fsys)
	a.LabMissing = missingForLab(fsys)
	if a.LabMissing == "" {
		if a.Lab, err = a.bundle(fsys, "ts/lab.ts", "css/lab.css"); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Style sheets of lessons. A page loads the smallest that has all it needs.
const (
	textStyle    = "css/text.css"
	diagramStyle = "css/text-diagram.css"
	moreStyle    = "css/text-more.css" // quizzes, formulas, tabs and folded blocks
	allStyle     = "css/text-all.css"
)

// styled returns the site's bundle with another style sheet, if the assets have it.
func (a *Assets) styled(fsys fs.FS, style string) (bundle.Bundle, error) {
	styled := a.Site
	if _, err := fs.Stat(fsys, style); err != nil {
		return styled, nil
	}
	b, err := a.bundle(fsys, style)
	styled.CSS = b.CSS
	return styled, err
}

// Lesson returns the bundle for a lesson with this HTML.
func (a *Assets) Lesson(body string) bundle.Bundle {
	diagrams := strings.Contains(body, `<figure class="diagram"`)
	more := slices.ContainsFunc([]string{"<math", `class="quiz`, `class="tabs"`, `<details`}, func(mark string) bool {
		return strings.Contains(body, mark)
	})
	switch {
	case diagrams && more:
		return a.lessons[allStyle]
	case diagrams:
		return a.lessons[diagramStyle]
	case more:
		return a.lessons[moreStyle]
	}
	return a.lessons[textStyle]
}

// missingForLab returns which file the lab bundle lacks, "" if none. A site can be built without
// labs, and without npm.
func missingForLab(fsys fs.FS) string {
	for _, name := range []string{"ts/lab.ts", "css/lab.css", bundle.Vendor + "/xterm.mjs", bundle.Vendor + "/xterm.css"} {
		if _, err := fs.Stat(fsys, name); err != nil {
			return "site/assets/" + name + " is missing"
		}
	}
	return ""
}

// bundle bundles entry points and adds the results to files.
func (a *Assets) bundle(fsys fs.FS, entries ...string) (bundle.Bundle, error) {
	b, err := bundle.Build(fsys, entries...)
	a.Files = append(a.Files, b.All()...)
	return b, err
}

// addIcon publishes the favicon, if the assets have one.
func (a *Assets) addIcon(fsys fs.FS) {
	data, err := fs.ReadFile(fsys, "img/icon.svg")
	if err != nil {
		return
	}
	sum := sha256.Sum256(data)
	a.Icon = "assets/icon-" + base32.StdEncoding.EncodeToString(sum[:])[:8] + ".svg"
	a.Files = append(a.Files, bundle.File{Path: a.Icon, Data: data})
}

// Shell returns the paths of the files that pages need for offline reading.
func (a *Assets) Shell() []string {
	var out []string
	styled := func(name string) bundle.Bundle { return bundle.Bundle{CSS: a.lessons[name].CSS} }
	for _, b := range []bundle.Bundle{a.Theme, a.Site, {CSS: a.Wide.CSS}, styled(textStyle), styled(diagramStyle), styled(moreStyle), styled(allStyle), a.Readable} {
		for _, f := range slices.Concat(b.CSS, b.JS) {
			out = append(out, f.Path)
		}
	}
	for _, f := range a.Site.Parts {
		out = append(out, f.Path) // loaded on demand, but saved pages may need it
	}
	if a.Icon != "" {
		out = append(out, a.Icon)
	}
	return out
}
