package site

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html/template"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/page"
)

// maxFeed is how many lessons a feed has.
const maxFeed = 50

// extraFiles returns the files for browsers, search engines and feed readers: manifests, feeds,
// sitemap and robots.txt.
func (b *builder) extraFiles(pages []*page.Facts) []output {
	var out []output
	for _, lang := range b.model.Langs {
		pre := course.LangPrefix(lang, b.opts.DefaultLang)
		out = append(out, output{path: pre + page.ManifestFile, data: func() ([]byte, error) { return b.manifest(lang) }})
		if b.opts.BaseURL != "" {
			out = append(out, output{path: pre + page.FeedFile, data: func() ([]byte, error) { return b.feed(lang) }})
		}
	}
	robots := "User-agent: *\nAllow: /\n"
	if b.opts.BaseURL != "" {
		out = append(out, output{path: "sitemap.xml", data: func() ([]byte, error) { return b.sitemap(pages) }, whole: true})
		robots += "Sitemap: " + b.design.Absolute(b.design.Base()+"sitemap.xml") + "\n"
	}
	return append(out, output{path: "robots.txt", data: func() ([]byte, error) { return []byte(robots), nil }})
}

// manifest returns the web app manifest, with which browsers install the site as an app.
func (b *builder) manifest(lang string) ([]byte, error) {
	title := course.Plain(b.pages.Title(lang))
	manifest := map[string]any{
		"name": title, "short_name": title, "lang": lang, "start_url": b.design.URL(lang, ""),
		"scope": b.design.Base(), "display": "minimal-ui", "background_color": "#ffffff", "theme_color": "#1558d6",
	}
	if icon := b.design.Icon(); icon != "" {
		manifest["icons"] = []map[string]string{{"src": b.design.Base() + icon, "type": "image/svg+xml", "sizes": "any"}}
	}
	data, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the manifest: %w", err)
	}
	return append(data, '\n'), nil
}

type sitemapURL struct {
	Loc     string        `xml:"loc"`
	LastMod string        `xml:"lastmod,omitempty"`
	Links   []sitemapLink `xml:"xhtml:link"`
}

type sitemapLink struct {
	Rel  string `xml:"rel,attr"`
	Lang string `xml:"hreflang,attr"`
	Href string `xml:"href,attr"`
}

// sitemap lists all pages except those that only repeat the text of another page.
func (b *builder) sitemap(pages []*page.Facts) ([]byte, error) {
	set := struct {
		XMLName xml.Name     `xml:"urlset"`
		NS      string       `xml:"xmlns,attr"`
		XHTML   string       `xml:"xmlns:xhtml,attr"`
		URLs    []sitemapURL `xml:"url"`
	}{NS: "http://www.sitemaps.org/schemas/sitemap/0.9", XHTML: "http://www.w3.org/1999/xhtml"}
	for _, p := range pages {
		if p.Listed {
			u := sitemapURL{Loc: b.design.Absolute(p.URL), LastMod: p.Updated}
			for _, a := range p.Alternates {
				u.Links = append(u.Links, sitemapLink{Rel: "alternate", Lang: a.Lang, Href: a.URL})
			}
			set.URLs = append(set.URLs, u)
		}
	}
	return marshalXML(set)
}

type atomLink struct {
	Rel  string `xml:"rel,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomName struct {
	Name string `xml:"name"`
}

type atomEntry struct {
	Title     string     `xml:"title"`
	ID        string     `xml:"id"`
	Link      atomLink   `xml:"link"`
	Published string     `xml:"published,omitempty"`
	Updated   string     `xml:"updated"`
	Authors   []atomName `xml:"author"`
	Summary   string     `xml:"summary,omitempty"`
}

// feed returns the Atom feed of a language, with the newest lessons that have a date.
func (b *builder) feed(lang string) ([]byte, error) {
	title, home := course.Plain(b.pages.Title(lang)), b.design.Absolute(b.design.URL(lang, ""))
	feed := struct {
		XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		Lang    string      `xml:"xml:lang,attr"`
		Title   string      `xml:"title"`
		ID      string      `xml:"id"`
		Links   []atomLink  `xml:"link"`
		Updated string      `xml:"updated"`
		Author  atomName    `xml:"author"`
		Entries []atomEntry `xml:"entry"`
	}{
		Lang: lang, Title: title, ID: home, Author: atomName{title},
		Links: []atomLink{{Href: home}, {Rel: "self", Href: b.design.Absolute(b.design.URL(lang, page.FeedFile))}},
		// Atom requires a time, also for a feed without entries.
		Updated: time.Unix(0, 0).UTC().Format(time.RFC3339),
	}
	var dated []*course.Lesson
	for _, e := range b.model.Lessons() {
		if !b.model.Pick(e.Texts, lang).Date.IsZero() {
			dated = append(dated, e)
		}
	}
	slices.SortStableFunc(dated, func(x, y *course.Lesson) int {
		return b.model.Pick(y.Texts, lang).Date.Compare(b.model.Pick(x.Texts, lang).Date)
	})
	for _, e := range dated[:min(len(dated), maxFeed)] {
		t := b.model.Pick(e.Texts, lang)
		url := b.design.Absolute(b.design.URL(lang, e.Path()))
		a := atomEntry{
			Title: course.Plain(t.Title), ID: url, Link: atomLink{Href: url}, Summary: course.Plain(t.Summary),
			Updated: t.Date.UTC().Format(time.RFC3339),
		}
		if at := b.src.Updated[t.Name]; at.After(t.Date) {
			a.Updated = at.UTC().Format(time.RFC3339)
		}
		a.Published = t.Date.UTC().Format(time.RFC3339)
		feed.Updated = max(feed.Updated, a.Updated)
		for _, name := range t.Authors {
			a.Authors = append(a.Authors, atomName{name})
		}
		feed.Entries = append(feed.Entries, a)
	}
	return marshalXML(feed)
}

func marshalXML(v any) ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteString(xml.Header)
	enc := xml.NewEncoder(&buf)
	enc.Indent("", " ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("writing XML: %w", err)
	}
	buf.WriteByte('\n')
	return buf.Bytes(), nil
}

// aliasPages returns a page for every old address of a lesson, which redirects to the lesson.
func (b *builder) aliasPages() []output {
	var out []output
	for _, lang := range b.model.Langs {
		for _, e := range b.model.Lessons() {
			t := e.Texts[lang]
			if t == nil {
				continue
			}
			for _, alias := range t.Aliases {
				file := strings.TrimPrefix(path.Clean("/"+alias), "/")
				if path.Ext(file) == "" {
					file = path.Join(file, "index.html")
				}
				out = append(out, output{path: file, data: func() ([]byte, error) {
					to, title := template.HTMLEscapeString(b.design.URL(lang, e.Path())), template.HTMLEscapeString(course.Plain(t.Title))
					return []byte(`<!doctype html><html lang="` + template.HTMLEscapeString(lang) +
						`"><meta charset="utf-8"><title>` + title + `</title><meta http-equiv="refresh" content="0; url=` + to +
						`"><link rel="canonical" href="` + to + `"><p><a href="` + to + `">` + title + "</a></p></html>\n"), nil
				}})
			}
		}
	}
	return out
}
