package page

import (
	"crypto/sha256"
	"encoding/base32"
	"io/fs"
	"slices"
	"strings"

	"github.com/labd-dev/labd/site/internal/bundle"
)

// assets are all bundles of a site.
type assets struct {
	theme, site, lab, search, readable bundle.Bundle
	wide                               bundle.Bundle            // the site's scripts with the style sheet of pages that are more than text
	lessons                            map[string]bundle.Bundle // the site's scripts with the style sheet of lessons, by its name
	files                              []bundle.File
	icon                               string
	// labMissing says why the lab bundle could not be built; "" if it was.
	labMissing string
}

// buildAssets bundles scripts and styles. fsys is rooted at the assets folder.
func buildAssets(fsys fs.FS) (*assets, error) {
	a := &assets{}
	var err error
	if a.theme, err = a.bundle(fsys, "ts/theme.ts"); err != nil {
		return nil, err
	}
	if a.site, err = a.bundle(fsys, "ts/site.ts", "css/site.css"); err != nil {
		return nil, err
	}
	if a.search, err = a.bundle(fsys, "ts/search.ts"); err != nil {
		return nil, err
	}
	if a.wide, err = a.styled(fsys, "css/wide.css"); err != nil {
		return nil, err
	}
	a.lessons = map[string]bundle.Bundle{}
	for _, name := range []string{textStyle, diagramStyle, moreStyle, allStyle} {
		if a.lessons[name], err = a.styled(fsys, name); err != nil {
			return nil, err
		}
	}
	if _, err := fs.Stat(fsys, "ts/readable.ts"); err == nil {
		if a.readable, err = a.bundle(fsys, "ts/readable.ts"); err != nil {
			return nil, err
		}
	}
	a.addIcon(fsys)
	a.labMissing = missingForLab(fsys)
	if a.labMissing == "" {
		if a.lab, err = a.bundle(fsys, "ts/lab.ts", "css/lab.css"); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// What lessons have for a style sheet: each page loads one, with what it needs.
const (
	textStyle    = "css/text.css"
	diagramStyle = "css/text-diagram.css"
	moreStyle    = "css/text-more.css" // quizzes, formulas, and what is folded away
	allStyle     = "css/text-all.css"
)

// styled is the site's bundle with another style sheet, if there is one.
func (a *assets) styled(fsys fs.FS, style string) (bundle.Bundle, error) {
	styled := a.site
	if _, err := fs.Stat(fsys, style); err != nil {
		return styled, nil
	}
	b, err := a.bundle(fsys, style)
	styled.CSS = b.CSS
	return styled, err
}

// lesson is the bundle of a lesson with this text.
func (a *assets) lesson(body string) bundle.Bundle {
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

// missingForLab says what the lab bundle lacks. A site without labs, or built where npm never ran, is still a site.
func missingForLab(fsys fs.FS) string {
	for _, name := range []string{"ts/lab.ts", "css/lab.css", bundle.Vendor + "/xterm.mjs", bundle.Vendor + "/xterm.css"} {
		if _, err := fs.Stat(fsys, name); err != nil {
			return "site/assets/" + name + " is not there"
		}
	}
	return ""
}

// bundle bundles entry points and notes the files.
func (a *assets) bundle(fsys fs.FS, entries ...string) (bundle.Bundle, error) {
	b, err := bundle.Build(fsys, entries...)
	a.files = append(a.files, b.All()...)
	return b, err
}

// icon publishes the picture that browsers show beside a page's title. A site whose assets have none goes without.
func (a *assets) addIcon(fsys fs.FS) {
	data, err := fs.ReadFile(fsys, "img/icon.svg")
	if err != nil {
		return
	}
	sum := sha256.Sum256(data)
	a.icon = "assets/icon-" + base32.StdEncoding.EncodeToString(sum[:])[:8] + ".svg"
	a.files = append(a.files, bundle.File{Path: a.icon, Data: data})
}

// shell are the paths of what saved pages load.
func (a *assets) shell() []string {
	var out []string
	styled := func(name string) bundle.Bundle { return bundle.Bundle{CSS: a.lessons[name].CSS} }
	for _, b := range []bundle.Bundle{a.theme, a.site, {CSS: a.wide.CSS}, styled(textStyle), styled(diagramStyle), styled(moreStyle), styled(allStyle), a.readable} {
		for _, f := range slices.Concat(b.CSS, b.JS) {
			out = append(out, f.Path)
		}
	}
	for _, f := range a.site.Parts {
		out = append(out, f.Path) // what few pages have works in a saved page too
	}
	if a.icon != "" {
		out = append(out, a.icon)
	}
	return out
}
