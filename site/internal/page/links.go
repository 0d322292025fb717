package page

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
)

// resolver returns the function that turns the links of a file into URLs on pages in lang. name is
// the file's name in the content tree, "" for texts of labs.
func (m *Maker) resolver(lang, name string) func(target string, image bool) (string, error) {
	return func(target string, image bool) (string, error) {
		if target == "" || strings.HasPrefix(target, "#") || strings.HasPrefix(target, "//") || hasScheme(target) {
			return target, nil
		}
		file, rest := target, ""
		if i := strings.IndexAny(target, "?#"); i >= 0 {
			file, rest = target[:i], target[i:]
		}
		if name, err := url.PathUnescape(file); err == nil {
			file = name
		}
		var rel string
		switch {
		case strings.HasPrefix(file, "/"):
			rel = strings.TrimPrefix(path.Clean(file), "/")
			if rel != "" && path.Ext(rel) == "" {
				rel += "/"
			}
		case name == "":
			return "", fmt.Errorf("links in labs begin with a slash, such as /labs/%s", file)
		default:
			_, inLang, _ := strings.Cut(path.Join(path.Dir(name), file), "/")
			if strings.HasPrefix(path.Join(path.Dir(name), file), "..") {
				return "", fmt.Errorf("the link %q leaves the content folder", target)
			}
			switch {
			case path.Base(file) == course.IndexName, path.Base(file) == course.BundleName:
				rel = strings.TrimPrefix(path.Dir(inLang)+"/", "./")
			case path.Ext(file) == ".md":
				rel = strings.TrimSuffix(inLang, ".md") + "/"
			default:
				rel = inLang
			}
		}
		if strings.HasPrefix(rel, "labs/") && m.model.SomeLab {
			return m.URL(lang, rel) + rest, nil
		}
		if !image && m.known(rel) {
			return m.URL(lang, rel) + rest, nil
		}
		// A file in the reader's language, in that of the text, or in the default language.
		langs := []string{lang, m.opts.DefaultLang}
		if l, _, ok := strings.Cut(name, "/"); ok {
			langs = append([]string{l}, langs...)
		}
		for _, l := range langs {
			if m.files[course.LangPrefix(l, m.opts.DefaultLang)+rel] {
				return m.URL(l, rel) + rest, nil
			}
		}
		if image {
			return "", fmt.Errorf("there is no image %q%s", target, source.DidYouMean(rel, keys(m.files)))
		}
		return "", fmt.Errorf("the link %q leads to no page%s", target, source.DidYouMeanAs("/%s", rel, m.addresses()))
	}
}

func keys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func hasScheme(target string) bool {
	i := strings.IndexAny(target, ":/?#")
	return i > 0 && target[i] == ':'
}
