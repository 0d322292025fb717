package course

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// reserved are the addresses that the site itself uses in every language, rootFiles those that it
// uses once.
var (
	reserved  = []string{"labs", "tags", "glossary", "assets", "search", "offline", "404.html", "feed.xml", "manifest.webmanifest"}
	rootFiles = []string{"robots.txt", "sitemap.xml", "sw.js"}
)

// owner is the page or file that uses an address.
type owner struct {
	address string // as the author wrote it
	file    string // its name in messages, "" for the site itself
}

// claim is the address of a page, before it is known whether another page has the same.
type claim struct {
	key string // addressKey of the address
	owner
	wrong *source.Error // a character of its name that addresses can't have; nil if there is none
}

func (t *Tree) claim(address string, texts Texts, name string) claim {
	c := claim{key: addressKey(address), owner: owner{address: address}}
	if text := texts.first(t.src.DefaultLang); text != nil {
		c.file = text.Doc.File
	} else {
		c.file = t.file(path.Join(t.src.DefaultLang, address))
	}
	for _, r := range name {
		if strings.ContainsRune(`?#%\&"'<> `, r) || r < ' ' {
			c.wrong = &source.Error{File: c.file, Msg: fmt.Sprintf("the name %q becomes an address, so it can't have %q; call it %q", name, r, markdown.Slug(name))}
			break
		}
	}
	return c
}

// addresses finds addresses that are used twice. Addresses that differ only in case, or in Unicode
// normalization, count as the same, because they are the same on many file systems and web servers.
type addresses struct {
	pages map[string]owner // without language prefix, because every page exists in every language
	files map[string]owner // of one language
}

// addressKey maps an address, and that of its index.html, to a key that is the same for addresses
// that clash.
func addressKey(address string) string {
	key := strings.TrimSuffix(norm.NFC.String(strings.ToLower(norm.NFC.String(address))), "/")
	if key == "index.html" {
		return ""
	}
	return strings.TrimSuffix(key, "/index.html")
}

// clash returns the message that another page or file has the address of o.
func (o owner) clash(address string) string {
	who := o.file
	if who == "" {
		who = "a page of the site itself"
	}
	mine, own := strings.TrimSuffix(strings.TrimSuffix(address, "index.html"), "/"), strings.TrimSuffix(o.address, "/")
	if mine != own && norm.NFC.String(mine) == norm.NFC.String(own) {
		return fmt.Sprintf("the address /%s and that of %s look the same and differ only in how their letters are encoded (%+q, %+q), "+
			"which many systems treat as the same; rename one of them", address, who, mine, own)
	}
	if mine != own {
		return fmt.Sprintf("the address /%s and that of %s, /%s, differ only in case, which many systems treat as the same; rename one of them", address, who, o.address)
	}
	return fmt.Sprintf("has the same address as %s, /%s; rename one of them", who, o.address)
}

// checkAddresses reports pages and files with the same address, and names that can't be part of an
// address.
func (a *assembly) checkAddresses() {
	n := 0
	for _, c := range a.Courses {
		n += 1 + len(c.Modules) + len(c.Lessons)
	}
	at := &addresses{pages: make(map[string]owner, n), files: map[string]owner{}}
	for _, name := range reserved {
		at.pages[name] = owner{address: name}
	}
	for _, name := range rootFiles {
		at.files[name] = owner{address: name}
	}
	page := func(c claim) {
		if c.wrong != nil {
			a.errs.Add(c.wrong)
		}
		if other, ok := at.pages[c.key]; ok {
			a.errs.Add(&source.Error{File: c.file, Msg: other.clash(c.address)})
			return
		}
		at.pages[c.key] = c.owner
	}
	for _, c := range a.Courses {
		page(a.tree.claim(c.Path(), c.Texts, c.Slug))
		for _, m := range c.Modules {
			for _, c := range m.claims {
				page(c)
			}
		}
	}
	for _, lang := range a.Langs[1:] {
		if other, ok := at.pages[strings.ToLower(lang)]; ok {
			a.errs.Add(&source.Error{File: other.file, Msg: fmt.Sprintf("/%s/ is the address of the language %q; rename this folder", lang, lang)})
		}
	}
	file := func(lang, rel, name string) (clash string) {
		key, address := addressKey(rel), LangPrefix(lang, a.def)+rel
		if other, ok := at.pages[key]; ok {
			other.address = LangPrefix(lang, a.def) + other.address
			return other.clash(address)
		}
		key = LangPrefix(lang, a.def) + key
		if other, ok := at.files[key]; ok {
			return other.clash(address)
		}
		at.files[key] = owner{address, name}
		return ""
	}
	for _, asset := range a.Assets {
		lang, rel, _ := strings.Cut(asset.Name, "/")
		name := a.tree.file(asset.Name)
		if i := strings.IndexAny(rel, "?#%\\\"<>"); i >= 0 {
			a.wrong(asset.Name, "the file name becomes an address, so it can't have %q; rename the file", rel[i])
		}
		if clash := file(lang, rel, name); clash != "" {
			a.errs.Add(&source.Error{File: name, Msg: clash})
		}
	}
	for _, c := range a.Courses {
		for _, l := range c.Lessons {
			for _, lang := range a.Langs {
				if t := l.Texts[lang]; t != nil {
					a.checkAliases(t, file)
				}
			}
		}
	}
}

// checkAliases checks the old addresses of a lesson.
func (a *assembly) checkAliases(t *Text, file func(lang, rel, name string) string) {
	for _, alias := range t.Aliases {
		wrong := func(format string, args ...any) {
			a.errs.Add(t.wrong("aliases", format, args...))
		}
		if !strings.HasPrefix(alias, "/") || strings.ContainsAny(alias, "?#%\\\"<> ") || path.Clean(alias) == "/" {
			wrong("the alias %q must be an address within the site, such as /old/address/", alias)
			continue
		}
		rel := strings.TrimPrefix(path.Clean(alias), "/")
		lang := a.def
		if first, rest, _ := strings.Cut(rel, "/"); first != a.def && a.langs[first] {
			lang, rel = first, rest
		}
		if clash := file(lang, rel, t.Doc.File); clash != "" {
			wrong("the alias %q %s", alias, strings.Replace(clash, "; rename one of them", "; remove it, or write it with the prefix of its language", 1))
		}
	}
}

// checkTags reports tags that can't have a page, and different tags that would have the same page.
func (a *assembly) checkTags() {
	type spelling struct{ tag, file string }
	for _, lang := range a.Langs {
		bySlug := map[string]spelling{}
		same := map[string]bool{} // tags with the spelling that was first for their page
		for _, c := range a.Courses {
			for _, l := range c.Lessons {
				t := l.Texts[lang]
				if t == nil {
					continue
				}
				for _, tag := range t.Tags {
					if same[tag] {
						continue
					}
					slug := markdown.Slug(tag)
					wrong := func(format string, args ...any) {
						a.errs.Add(t.wrong("tags", format, args...))
					}
					first, ok := bySlug[slug]
					switch {
					case slug == "":
						wrong("the tag %q has no letter and no digit, so it can't have a page", tag)
					case !ok:
						bySlug[slug], same[tag] = spelling{tag, t.Doc.File}, true
					case tag != first.tag && signs(tag) != signs(first.tag):
						wrong("the tag %q would have the same page as %q in %s, /%stags/%s/; spell one of them out",
							tag, first.tag, first.file, LangPrefix(lang, a.def), slug)
					}
				}
			}
		}
	}
}

// signs returns the symbols of a tag that carry meaning, such as those of C++ and C#.
func signs(tag string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && strings.ContainsRune("+#!@$%&*=<>^~|?", r) {
			return r
		}
		return -1
	}, tag)
}
