package settings

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/labd-dev/labd/site/internal/importer/tree"
)

var langTag = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// IsLanguage reports whether a text has the form of a BCP 47 tag, such as en or zh-Hans.
func IsLanguage(tag string) bool { return langTag.MatchString(tag) }

// languageTag returns the BCP 47 tag for the name of a folder or a setting, "" if it is none.
func languageTag(name string) string {
	tag, err := language.Parse(strings.ReplaceAll(name, "_", "-"))
	if err != nil || name == "" || tag == language.Und || !IsLanguage(tag.String()) {
		return ""
	}
	return tag.String()
}

// findTranslations finds folders that hold the same pages in other languages, such as zh-cn/ beside
// the English pages, or en/ and zh/.
func (r *reader) findTranslations() {
	if len(r.Translations) > 0 {
		return
	}
	type candidate struct {
		Translation
		pages map[string]bool
	}
	var found []candidate
	rest := map[string]bool{}
	for _, dir := range r.Dirs(r.Root) {
		base, _, _ := strings.Cut(strings.ToLower(dir), "-")
		if tag := languageTag(dir); tag != "" && len(base) == 2 && tag != r.Lang || tag != "" && len(base) == 2 && r.Lang == tag {
			found = append(found, candidate{Translation{tag, path.Join(r.Root, dir)}, map[string]bool{}})
		}
	}
	if len(found) == 0 {
		return
	}
	for name := range r.Files {
		stem, ok := tree.PageStem(name)
		if !ok || r.Root != "." && !strings.HasPrefix(name, r.Root+"/") {
			continue
		}
		inside := false
		for _, c := range found {
			if rel, ok := strings.CutPrefix(stem, c.Root+"/"); ok {
				c.pages[rel], inside = true, true
			}
		}
		if !inside {
			rest[strings.TrimPrefix(stem, r.Root+"/")] = true
		}
	}
	same := func(pages, others map[string]bool) bool {
		n := 0
		for name := range pages {
			if others[name] {
				n++
			}
		}
		return n > 0 && n*3 >= len(pages)
	}
	for _, c := range found {
		if same(c.pages, rest) && c.Tag != r.Lang {
			r.Translations = append(r.Translations, c.Translation)
		}
	}
	if len(r.Translations) > 0 || len(found) < 2 {
		return
	}
	// Every language has a folder. The main one is the one that the user asked for, or English, or
	// the largest.
	slices.SortStableFunc(found, func(a, b candidate) int {
		rank := func(c candidate) int {
			switch {
			case c.Tag == r.Lang:
				return 1 << 30
			case r.Lang == "" && c.Tag == "en":
				return 1 << 29
			}
			return len(c.pages)
		}
		return rank(b) - rank(a)
	})
	for _, c := range found[1:] {
		if same(c.pages, found[0].pages) {
			r.Translations = append(r.Translations, c.Translation)
		}
	}
	if len(r.Translations) > 0 {
		r.Root, r.Lang = found[0].Root, found[0].Tag
	}
}
