package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"labd/internal/bundle"
	"labd/internal/course"
	"labd/internal/static"
)

// maxFeed is how many lessons a feed lists.
const maxFeed = 50

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

// absolute is an address with scheme and host, or "" if the site doesn't know where it will be.
func (b *builder) absolute(url string) string {
	if b.opts.BaseURL == "" {
		return ""
	}
	return strings.TrimSuffix(b.opts.BaseURL, "/") + "/" + strings.TrimPrefix(url, b.base)
}

// describe fills what search engines and link previews read from a page's head.
func (b *builder) describe(p *page) error {
	if p.Description == "" {
		p.Description = p.Summary
	}
	p.Policy = static.PagePolicy
	if len(p.LabBundle.JS) > 0 {
		p.Policy = static.LabPolicy
	}
	if b.assets.icon != "" {
		p.Icon = b.base + b.assets.icon
	}
	p.Manifest = b.base + course.LangPrefix(p.Lang, b.opts.DefaultLang) + "manifest.webmanifest"
	if p.Kind == "notfound" {
		p.NoIndex = true
		p.Alternates = slices.Clone(p.Alternates)
	}
	if b.opts.BaseURL == "" || p.NoIndex {
		return nil
	}
	p.Feed = b.absolute(b.url(p.Lang, "feed.xml"))
	// A page that stands in for a translation is the same text as its original.
	b.addCard(p)
	p.Canonical = b.absolute(p.URL)
	if p.ContentLang != p.Lang && p.Kind != "home" {
		p.Canonical = b.absolute(b.base + course.LangPrefix(p.ContentLang, b.opts.DefaultLang) + strings.TrimPrefix(p.URL, b.url(p.Lang, "")))
	}
	for i := range p.Alternates {
		p.Alternates[i].Absolute = b.absolute(p.Alternates[i].URL)
	}
	p.Default = b.absolute(strings.Replace(p.URL, b.url(p.Lang, ""), b.url(b.opts.DefaultLang, ""), 1))
	if strings.Contains(p.URL, "/tags/") {
		p.Default = ""
	}
	var err error
	p.JSONLD, err = b.jsonLD(p)
	return err
}

// extraFiles are the files of a site that are not pages: for browsers, search engines and feed readers.
func (b *builder) extraFiles(pages []*facts) []output {
	var out []output
	for _, lang := range b.model.Langs {
		pre := course.LangPrefix(lang, b.opts.DefaultLang)
		out = append(out, output{path: pre + "manifest.webmanifest", data: func() ([]byte, error) { return b.manifest(lang) }})
		if b.opts.BaseURL != "" {
			out = append(out, output{path: pre + "feed.xml", data: func() ([]byte, error) { return b.feed(lang) }})
		}
	}
	robots := "User-agent: *\nAllow: /\n"
	if b.opts.BaseURL != "" {
		out = append(out, output{path: "sitemap.xml", data: func() ([]byte, error) { return b.sitemap(pages) }, whole: true})
		robots += "Sitemap: " + b.absolute(b.base+"sitemap.xml") + "\n"
	}
	return append(out, output{path: "robots.txt", data: func() ([]byte, error) { return []byte(robots), nil }})
}

// manifest is what a browser needs to know to keep the site like a program.
func (b *builder) manifest(lang string) ([]byte, error) {
	home := b.page("home", lang, "")
	manifest := map[string]any{
		"name": withoutTicks(home.SiteTitle), "short_name": withoutTicks(home.SiteTitle), "lang": lang, "start_url": home.HomeURL,
		"scope": b.base, "display": "minimal-ui", "background_color": "#ffffff", "theme_color": "#1558d6",
	}
	if b.assets.icon != "" {
		manifest["icons"] = []map[string]string{{"src": b.base + b.assets.icon, "type": "image/svg+xml", "sizes": "any"}}
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

// sitemap lists the pages that are the original of their text.
func (b *builder) sitemap(pages []*facts) ([]byte, error) {
	set := struct {
		XMLName xml.Name     `xml:"urlset"`
		NS      string       `xml:"xmlns,attr"`
		XHTML   string       `xml:"xmlns:xhtml,attr"`
		URLs    []sitemapURL `xml:"url"`
	}{NS: "http://www.sitemaps.org/schemas/sitemap/0.9", XHTML: "http://www.w3.org/1999/xhtml"}
	for _, p := range pages {
		if p.listed {
			set.URLs = append(set.URLs, sitemapURL{Loc: b.absolute(p.url), LastMod: p.updated, Links: p.alternates})
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

// feed lists the newest lessons of a language that have a date.
func (b *builder) feed(lang string) ([]byte, error) {
	home := b.page("home", lang, "")
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
		Lang: lang, Title: withoutTicks(home.SiteTitle), ID: b.absolute(home.HomeURL), Author: atomName{withoutTicks(home.SiteTitle)},
		Links: []atomLink{{Href: b.absolute(home.HomeURL)}, {Rel: "self", Href: b.absolute(b.url(lang, "feed.xml"))}},
		// A feed must have a time; one without entries has never changed.
		Updated: time.Unix(0, 0).UTC().Format(time.RFC3339),
	}
	var dated []*course.Lesson
	for _, e := range b.order {
		if !b.model.Pick(e.Texts, lang).Date.IsZero() {
			dated = append(dated, e)
		}
	}
	slices.SortStableFunc(dated, func(x, y *course.Lesson) int {
		return b.model.Pick(y.Texts, lang).Date.Compare(b.model.Pick(x.Texts, lang).Date)
	})
	for _, e := range dated[:min(len(dated), maxFeed)] {
		t := b.model.Pick(e.Texts, lang)
		url := b.absolute(b.url(lang, e.Path()))
		a := atomEntry{
			Title: withoutTicks(t.Title), ID: url, Link: atomLink{Href: url}, Summary: withoutTicks(t.Summary),
			Updated: t.Date.UTC().Format(time.RFC3339),
		}
		if at := b.updated(t); at.After(t.Date) {
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

// aliasPages are the old addresses of lessons, each with a page that leads to the new one.
func (b *builder) aliasPages() []output {
	var out []output
	for _, lang := range b.model.Langs {
		for _, e := range b.order {
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
					to, title := template.HTMLEscapeString(b.url(lang, e.Path())), template.HTMLEscapeString(withoutTicks(t.Title))
					return []byte(`<!doctype html><html lang="` + template.HTMLEscapeString(lang) +
						`"><meta charset="utf-8"><title>` + title + `</title><meta http-equiv="refresh" content="0; url=` + to +
						`"><link rel="canonical" href="` + to + `"><p><a href="` + to + `">` + title + "</a></p></html>\n"), nil
				}})
			}
		}
	}
	return out
}
