// Package importer converts notes, books and sites made for other tools to a course. It reads an fs.FS and hands out files;
// the caller decides where they go.
//
// # Formats
//
//	obsidian     a vault: [[links]], ![[embedded notes]], > [!tip]- callouts, #tags, %%comments%%, line breaks
//	docusaurus   a site or its docs folder: docusaurus.config.js, sidebars.js, _category_.json, MDX, i18n/
//	starlight    an Astro site: astro.config.mjs, src/content/docs, asides, languages in folders
//	mdbook       a book: book.toml, SUMMARY.md, {{#include file:anchor}}, hidden lines of code
//	gitbook      a book: book.json or .gitbook.yaml, SUMMARY.md, {% hint %}, {% tabs %}
//	markdown     a folder of Markdown files
//
// # Output
//
// Files named <lang>/<module>/<lesson>.md with TOML front matter, an _index.md for the course and each module, and the
// pictures and downloads that pages link to. A table of contents or sidebar decides about modules and order; without one,
// each top-level folder is a module. A third level becomes a part of its module, deeper levels move up. Names become
// addresses of letters and digits in any script, and a number is added where two collide. Files that no page links to, and
// types that could run code in a browser, are left out.
//
// Folders with the same pages in another language become translations. A translation with the same headings takes over the
// ids of the original; one with other headings is marked as outdated.
//
// Formulas are copied where the source draws them: in vaults, in GitBook and plain Markdown, in Docusaurus with remark-math,
// and in books with mathjax-support (\\(…\\), \\[…\\], $$) or preprocessor.katex. A formula that site/internal/mathml rejects is
// shown as its source. Elsewhere a $ stays a $.
//
// # Report
//
// Everything that is lost or reads differently is in Report.Log, with file, line and the line itself. Package report groups
// it by kind. Nothing that an author wrote makes an import fail, and the result always builds.
//
// # Untrusted input
//
// The source is untrusted. HTML and scripts are removed or become visible text. Links must use http, https, mailto or tel,
// or lead to a file of the source. Symbolic links are not followed, and no path leaves the tree. JavaScript settings are
// parsed, never run (package literal). Package markdown renders each page before it is handed out, and what it rejects
// becomes plain text. Pictures are decoded once, as a broken one would make the build fail.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/importer/dialect"
	"github.com/labd-dev/labd/site/internal/importer/frontmatter"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/settings"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/importer/tree"
	sitepage "github.com/labd-dev/labd/site/internal/page"
)

// Limits on the source.
const (
	maxFiles = 50_000   // files in the tree
	maxText  = 2 << 20  // bytes of one file of text
	maxAsset = 64 << 20 // bytes of one picture or download
	maxPage  = 3 << 20  // bytes of the text of a lesson; package course reads at most 4 MiB
	maxTotal = 2 << 30  // bytes of all files that are handed out
	maxSlug  = 60       // letters of an address
)

// Format is a kind of source.
type Format = syntax.Format

// The formats that can be read.
const (
	Obsidian   = syntax.Obsidian
	Docusaurus = syntax.Docusaurus
	Starlight  = syntax.Starlight
	MDBook     = syntax.MDBook
	GitBook    = syntax.GitBook
	Markdown   = syntax.Markdown
)

// Formats lists the formats that can be read.
func Formats() []Format { return []Format{Obsidian, Docusaurus, Starlight, MDBook, GitBook, Markdown} }

// Options are the choices of whoever imports.
type Options struct {
	From Format // found out if empty
	Lang string // language of the source; if empty, that of its settings, else "en"
	Name string // of the course, if the source has none
	Site string // folder of a Docusaurus site within the source; "" is the source itself, or a folder such as website
	// Progress is told what is done, now and then. Nil is not told.
	Progress func(what string, done, total int)
	Fetch    Fetcher // of pictures on other sites; nil leaves them there
}

// Write takes one file of the course. name is a slash-separated path for which fs.ValidPath holds, each given once.
type Write func(name string, content io.Reader) error

// Report is what an import did.
type Report struct {
	Format Format
	Lang   string
	Pages  int
	Assets int
	Log    report.Log // what was lost or changed
}

// progressStep is after how many pages progress is told.
const progressStep = 20

// page is one file of the course.
type page struct {
	lang    string
	src     string // file it is made of; empty for a generated _index.md
	out     string
	section bool
	partial bool // it is there for others to include it
	front   frontmatter.Front
	lines   []syntax.Line
	order   []rank
	body    string
	ids     []string
	shared  []string          // ids of the headings that a translation has of its original
	anchors map[string]string // other targets of links: the id of a heading, or ""
	headID  string            // id of the heading that became the title
}

// run is one import.
type run struct {
	*tree.Tree // the source
	settings.Settings

	ctx        context.Context
	opts       Options
	format     Format
	langs      []string        // of the course, the default first
	originals  map[*page]*page // of translations
	embedded   map[*page]bool  // pages that others include
	drafts     map[*page]bool  // pages that the site will not have
	pages      []*page
	bySrc      map[string]*page
	byURL      map[string]*page // Docusaurus addresses without slash at the ends
	used       map[string]bool  // addresses taken, lower case
	assets     map[string]asset
	outs       map[string]bool // files of the course
	included   map[string]bool // files that are in pages
	total      int64
	log        report.Log
	remote     map[string]remote         // pictures of other sites, by address
	inclusions inclusions                // which texts are in which
	regions    map[*page]map[string]bool // parts of pages that others include, by the ids of their headings
	ready      bool                      // the headings of all pages are known
	dialect    *dialect.Converter
}

// Convert imports src. The error is for a source that can't be read at all and for write's errors.
func Convert(ctx context.Context, src fs.FS, write Write, opts Options) (Report, error) {
	r := &run{
		ctx: ctx, opts: opts, format: opts.From,
		bySrc: map[string]*page{}, byURL: map[string]*page{}, used: map[string]bool{}, assets: map[string]asset{}, remote: map[string]remote{}, embedded: map[*page]bool{}, outs: map[string]bool{}, included: map[string]bool{},
	}
	if r.format == "" {
		var err error
		if r.format, err = settings.Detect(src); err != nil {
			return Report{}, err
		}
	}
	var err error
	if r.Tree, err = tree.List(ctx, src, &r.log); err != nil {
		return Report{}, err
	}
	if r.Settings, err = settings.Read(r.Tree, r.format, opts.Lang, opts.Site, &r.log); err != nil {
		return Report{}, err
	}
	if r.Lang == "" {
		r.Lang = "en"
	}
	r.langs = []string{r.Lang}
	for _, t := range r.Translations { // no module may have the address of a language
		r.langs = append(r.langs, t.Tag)
	}
	if !settings.IsLanguage(r.Lang) {
		return Report{}, fmt.Errorf("%q is not a language such as en or zh", r.Lang)
	}
	r.dialect = dialect.New(r.format, dialect.Options{Notation: r.Notation, Breaks: r.Breaks, Taken: sitepage.TemplateIDs()})
	r.plan()
	r.planTranslations()
	r.findDrafts()
	if len(r.bySrc) == 0 {
		return Report{}, errors.New("the source has no pages")
	}
	before := r.log
	if r.opts.Fetch != nil {
		if err := r.convertAll(); err != nil {
			return Report{}, err
		}
		if err := r.fetch(); err != nil {
			return Report{}, fmt.Errorf("fetching pictures: %w", err)
		}
	}
	for range 3 { // a broken picture or a part that is not there changes the pages that show it
		r.log.Truncate(before)
		if err := r.convertAll(); err != nil {
			return Report{}, err
		}
		differ := r.compareTranslations()
		again, err := r.provePictures()
		if err != nil {
			return Report{}, fmt.Errorf("reading pictures: %w", err)
		}
		if !again && !differ {
			break
		}
	}
	r.reportOutdated()
	return r.writeAll(write)
}

// plan gives every page its place.
func (r *run) plan() {
	switch r.format {
	case Docusaurus, Starlight:
		r.planSite()
	case MDBook, GitBook:
		r.planBook()
	default:
		r.planFolders()
	}
}

// progress tells whoever imports what is done.
func (r *run) progress(what string, done, total int) {
	if r.opts.Progress != nil {
		r.opts.Progress(what, done, total)
	}
}

// convertAll converts every page, again until the headings that links may lead to are settled.
func (r *run) convertAll() error {
	before := r.log
	for range 3 {
		count := len(r.pages) + len(r.embedded)
		r.log.Truncate(before)
		r.inclusions, r.regions = newInclusions(), map[*page]map[string]bool{}
		settled := r.ready
		for i := 0; i < len(r.pages); i++ { // pages that others include are added on the way
			p := r.pages[i]
			if i%progressStep == 0 {
				r.progress("pages", i, len(r.pages))
			}
			if err := r.ctx.Err(); err != nil {
				return err
			}
			ids, tags := p.ids, p.front.Tags
			got := r.dialect.Convert(p.src, p.lines, &place{r, p})
			if len(got.Text) > maxPage {
				r.reportFile(report.Fallback, p.src, "the page would be larger than %d MiB as a lesson, so it is shown as its source", maxPage>>20)
				got = dialect.Page{Text: asSource(p.lines)}
			}
			p.body, p.ids, p.anchors = got.Text, got.IDs, got.Anchors
			if !r.ready {
				p.front.Tags = tags
			}
			settled = settled && slices.Equal(ids, p.ids)
		}
		if settled && len(r.pages)+len(r.embedded) == count {
			break
		}
		r.ready = true
	}
	return nil
}

// asSource is the lines of a page in a block of code, whose fence is longer than any in them.
func asSource(lines []syntax.Line) string {
	var b strings.Builder
	fence := "~~~"
	for _, l := range lines {
		for strings.Contains(l.Src, fence) {
			fence += "~"
		}
	}
	b.WriteString(fence + "text\n")
	for _, l := range lines {
		b.WriteString(strings.ToValidUTF8(l.Src, "\uFFFD") + "\n")
	}
	b.WriteString(fence + "\n")
	return b.String()
}

func (r *run) writeAll(write Write) (Report, error) {
	rep := Report{Format: r.format, Lang: r.Lang, Pages: len(r.pages)}
	for _, p := range r.pages {
		if err := r.ctx.Err(); err != nil {
			return rep, err
		}
		text, err := p.front.Encode(p.section)
		if err != nil {
			return rep, fmt.Errorf("%s: front matter: %w", p.out, err)
		}
		if p.partial {
			text = ""
			rep.Pages--
		}
		if err := write(p.out, strings.NewReader(text+r.marked(p))); err != nil {
			return rep, err
		}
	}
	var names []string
	for name, a := range r.assets {
		if a.out != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if err := r.ctx.Err(); err != nil {
			return rep, err
		}
		if err := r.copyAsset(r.assets[name], write); err != nil {
			return rep, err
		}
		rep.Assets++
	}
	r.reportLeftOut()
	rep.Log = r.log
	return rep, nil
}

// report tells of a change at a line.
func (r *run) report(kind report.Kind, l syntax.Line, format string, args ...any) {
	r.log.Addf(kind, l.Place(), format, args...)
}

// reportFile tells of a change that concerns a whole file.
func (r *run) reportFile(kind report.Kind, file, format string, args ...any) {
	r.log.Addf(kind, source.Error{File: file}, format, args...)
}
