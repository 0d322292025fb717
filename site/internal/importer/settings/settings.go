// Package settings finds out which tool a source was made for, and reads that tool's settings:
// where the pages are, what the course is called, its languages, and whether formulas are drawn.
//
//	obsidian     .obsidian/app.json
//	docusaurus   docusaurus.config.js, the name of the sidebars file, i18n/
//	starlight    the call of starlight() in astro.config.mjs
//	mdbook       book.toml
//	gitbook      .gitbook.yaml, book.json
//
// Settings are untrusted. JavaScript is parsed and never run, and a path that leaves the source is
// reported and not followed. Settings that cannot be read are reported, and the import goes on
// without.
package settings

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/importer/literal"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/importer/tree"
)

// Settings is the configuration of a source.
type Settings struct {
	Root         string // folder of the pages within the source
	Static       string // folder of files that Docusaurus or Starlight publishes unchanged; may be empty
	Lang         string // BCP 47 tag; empty if neither the user nor the source gives one
	Book         Book
	Translations []Translation
	SidebarFile  string        // of Docusaurus; may be empty
	Sidebar      literal.Array // of Starlight; may be nil
	SummaryFile  string        // table of contents of a book; may be empty
	Aliases      [][2]string   // beginnings of addresses, and the folders that they mean
	Notation     syntax.Notation
	Breaks       bool            // a line break within a paragraph is shown as one
	Used         map[string]bool // settings files that were read
}

// Book is the title page of a book or site.
type Book struct {
	Title, Summary string
	Authors        []string
}

// Translation is a folder with the pages of another language.
type Translation struct{ Tag, Root string }

// reader reads the settings of one source.
type reader struct {
	*tree.Tree
	Settings
	site string
	log  *report.Log
}

// Read reads the settings of a source. lang is the language that the user asked for, or empty. site
// is the folder of a Docusaurus site within the source, or empty.
func Read(t *tree.Tree, format syntax.Format, lang, site string, log *report.Log) (Settings, error) {
	r := &reader{Tree: t, site: site, log: log, Settings: Settings{Root: ".", Lang: lang, Used: map[string]bool{}}}
	switch format {
	case syntax.Obsidian:
		r.Notation = syntax.Notation{Inline: true, Display: true}
		r.Breaks = !r.strictBreaks()
	case syntax.Docusaurus:
		r.findDocs()
	case syntax.Starlight:
		r.findStarlight()
	case syntax.MDBook:
		r.findBook()
	case syntax.GitBook:
		r.findGitBook()
	case syntax.Markdown:
		r.Notation = syntax.Notation{Inline: true, Display: true}
	default:
		return Settings{}, fmt.Errorf("unknown format %q; known: obsidian, docusaurus, starlight, mdbook, gitbook, markdown", format)
	}
	if format != syntax.MDBook && format != syntax.GitBook {
		r.findTranslations()
	}
	r.Translations = distinct(r.Translations, cmp.Or(r.Lang, "en"))
	return r.Settings, nil
}

// distinct keeps the first folder of each language, and none of the course's own language. zh-CN/
// and zh_cn/ would write the same files otherwise.
func distinct(list []Translation, lang string) []Translation {
	seen := map[string]bool{strings.ToLower(lang): true}
	return slices.DeleteFunc(list, func(t Translation) bool {
		again := seen[strings.ToLower(t.Tag)]
		seen[strings.ToLower(t.Tag)] = true
		return again
	})
}

// File reads a settings file written in JavaScript. If it cannot, it reports that and returns nil.
func (s *Settings) File(t *tree.Tree, name string, log *report.Log) literal.Value {
	text, refused := t.Read(name)
	if refused == "" {
		v, err := literal.Parse(text)
		if err == nil {
			s.Used[name] = true
			return v
		}
		refused = err.Error()
	}
	log.Addf(report.SettingsBroken, source.Error{File: name}, "is not used: %s", refused)
	return nil
}

// Detect returns the format of a source.
func Detect(src fs.FS) (syntax.Format, error) {
	exists := func(name string) bool { _, err := fs.Stat(src, name); return err == nil }
	if exists(".obsidian") {
		return syntax.Obsidian, nil
	}
	if tree.First(src, siteFolders, docusaurusConfigs()) != "" {
		return syntax.Docusaurus, nil
	}
	switch {
	case exists("book.toml"):
		return syntax.MDBook, nil
	case exists("book.json") || exists(".gitbook.yaml") || exists("SUMMARY.md") || exists("summary.md"):
		return syntax.GitBook, nil
	case exists("src/SUMMARY.md"):
		return syntax.MDBook, nil
	}
	for _, name := range []string{"sidebars.js", "sidebars.ts"} {
		if exists(name) {
			return syntax.Docusaurus, nil
		}
	}
	for _, name := range StarlightConfigs() {
		if exists(name) && exists("src/content/docs") {
			return syntax.Starlight, nil
		}
	}
	mdx, pages, files := false, 0, 0
	stop := errors.New("enough was seen")
	err := fs.WalkDir(src, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if files++; files > tree.MaxFiles {
			return stop
		}
		base := path.Base(name)
		if d.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "node_modules") {
			return fs.SkipDir
		}
		if mdx = base == "_category_.json" || base == "_category_.yml" || strings.HasSuffix(base, ".mdx"); mdx {
			return stop
		}
		if _, ok := tree.PageStem(base); ok {
			pages++
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, stop):
		return "", fmt.Errorf("detecting the format: %w", err)
	case mdx:
		return syntax.Docusaurus, nil
	case pages > 0:
		return syntax.Markdown, nil
	}
	return "", errors.New("the folder has no Markdown files")
}

// strictBreaks reports whether the vault sets strictLineBreaks. Without it, Obsidian shows a single
// line break as a line break; Markdown shows it as a space.
func (r *reader) strictBreaks() bool {
	f, err := r.FS.Open(".obsidian/app.json")
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // read-only
	var app struct{ StrictLineBreaks bool }
	return json.NewDecoder(io.LimitReader(f, tree.MaxText)).Decode(&app) == nil && app.StrictLineBreaks
}
