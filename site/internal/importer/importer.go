// Package importer converts notes, books and sites made for other tools to a course. It reads an
// fs.FS and passes each file of the course to a function. The caller decides where files go.
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
// Files are named <lang>/<module>/<lesson>.md and have TOML front matter. The course and each
// module have an _index.md. Pictures and downloads that pages link to are copied. A table of
// contents or a sidebar decides the modules and their order. Without one, each top-level folder is
// a module. A third level becomes a part of its module; deeper levels move up. Names become
// addresses of letters and digits in any script. When two addresses collide, the second gets a
// number. Files that no page links to are left out, and so are types that could run code in a
// browser.
//
// Folders with the same pages in another language become translations. A translation with the same
// headings takes over the ids of the original; one with other headings is marked as outdated.
//
// Formulas are copied where the source's own tool renders them: in vaults, in GitBook and plain
// Markdown, in Docusaurus with remark-math, and in mdBooks with mathjax-support (\\(…\\), \\[…\\],
// $$) or preprocessor.katex. A formula that site/internal/mathml rejects is shown as its source.
// Everywhere else a $ stays a $.
//
// # Report
//
// Report.Log lists everything that is lost or reads differently, with file, line and the line
// itself. Package report groups it by kind. No mistake in a page makes an import fail. The result
// is meant to build in every case; the command sitegen import checks it.
//
// # Untrusted input
//
// The source is untrusted. HTML and scripts are removed or become visible text. Links must use
// http, https, mailto or tel, or lead to a file of the source. Package tree does not follow
// symbolic links and lets no path leave the source. JavaScript settings are parsed, never run
// (package literal). Package markdown renders each page before it is written, and what it rejects
// becomes plain text. Each picture is decoded once, because a broken one would make the build fail.
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
	maxTotal = 2 << 30  // bytes of all files that are written
	maxSlug  = 60       // letters of an address
)

// Format is the tool that a source was written for.
type Format = syntax.Format

// The formats that can be imported.
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
	From Format // detected if empty
	Lang string // language of the source; if empty, the one in its settings, else "en"
	Name string // of the course, if the source has none
	Site string // folder of a Docusaurus site within the source; "" is the source itself, or a folder such as website
	// Progress is called now and then with what is done. May be nil.
	Progress func(what string, done, total int)
	Fetch    Fetcher // fetches pictures from other sites; nil leaves them there
}

// Write receives one file of the course. name is a slash-separated path for which fs.ValidPath
// holds. No name is passed twice.
type Write func(name string, content io.Reader) error

// Report is the result of an import.
type Report struct {
	Format Format
	Lang   string
	Pages  int
	Assets int
	Log    report.Log // what was lost or changed
}

// progressStep is the number of pages between two calls of Options.Progress.
const progressStep = 20

// page is one page of the course.
type page struct {
	lang    string
	src     string // file of the source; empty for a generated _index.md
	out     string
	section bool
	partial bool // only included by other pages
	front   frontmatter.Front
	lines   []syntax.Line
	order   []rank
	body    string
	ids     []string
	shared  []string          // ids of headings that a translation takes over from its original
	anchors map[string]string // id of the heading that stands for another link target, or "" for the page
	headID  string            // id of the heading that became the title
}

// run is one import.
type run struct {
	*tree.Tree // the source
	settings.Settings

	ctx        context.Context
	opts       Options
	format     Format
	langs      []string        // languages of the course, the default first
	originals  map[*page]*page // by translation
	embedded   map[*page]bool  // pages that other pages include
	drafts     map[*page]bool  // pages that the site will not publish
	pages      []*page
	bySrc      map[string]*page
	byURL      map[string]*page // by address in a Docusaurus or Starlight site, without leading and trailing slashes
	used       map[string]bool  // addresses that are taken, in lower case
	assets     map[string]asset
	outs       map[string]bool // files of the course
	included   map[string]bool // files that pages include
	total      int64
	log        report.Log
	remote     map[string]remote         // pictures from other sites, by address
	inclusions inclusions                // which pages include which
	regions    map[*page]map[string]bool // parts of pages that other pages include, by the id of their heading
	ready      bool                      // the ids of all headings are known
	dialect    *dialect.Converter
}

// Convert imports src. It returns an error if src cannot be read at all, or if write fails.
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
	for range 3 { // a broken picture or a missing part changes the pages that use it
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

// plan decides the module and the order of every page.
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

// progress reports progress to the caller of Convert.
func (r *run) progress(what string, done, total int) {
	if r.opts.Progress != nil {
		r.opts.Progress(what, done, total)
	}
}

// convertAll converts all pages. It repeats that until the ids of headings no longer change,
// because links to headings need them.
func (r *run) convertAll() error {
	before := r.log
	for range 3 {
		count := len(r.pages) + len(r.embedded)
		r.log.Truncate(before)
		r.inclusions, r.regions = newInclusions(), map[*page]map[string]bool{}
		settled := r.ready
		for i := 0; i < len(r.pages); i++ { // partials are added while pages are converted
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

// asSource returns the lines of a page as one code block. Its fence is longer than any fence in
// them.
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

// report adds an entry about a line to the log.
func (r *run) report(kind report.Kind, l syntax.Line, format string, args ...any) {
	r.log.Addf(kind, l.Place(), format, args...)
}

// reportFile adds an entry about a whole file to the log.
func (r *run) reportFile(kind report.Kind, file, format string, args ...any) {
	r.log.Addf(kind, source.Error{File: file}, format, args...)
}
