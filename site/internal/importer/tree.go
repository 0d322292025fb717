package importer

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/tree"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// slug returns an address for a name.
func slug(name string) string {
	s := markdown.Slug(strings.ToValidUTF8(name, ""))
	if runes := []rune(s); len(runes) > maxSlug {
		s = strings.Trim(string(runes[:maxSlug]), "-")
	}
	if s == "" {
		return "page"
	}
	return s
}

// These addresses belong to pages that the site itself makes.
var reservedModules = []string{"labs", "tags", "glossary", "assets", "search", "en", "zh", "404", "offline"}
var reservedLessons = []string{"index", "print"}

// address returns a free address below dir: want, or want with a number. A changed address is
// reported for file.
func (r *run) address(dir, want, file string, reserved []string) string {
	got := want
	for n := 2; slices.Contains(reserved, got) || slices.ContainsFunc(r.langs, func(l string) bool { return strings.EqualFold(l, got) }) || r.used[dir+"/"+got]; n++ {
		got = fmt.Sprintf("%s-%d", want, n)
	}
	r.used[dir+"/"+got] = true
	if got != want {
		r.reportFile(report.AddressChanged, file, "the address %q is taken already, so it becomes %q", want, got)
	}
	return got
}

// reportLeftOut reports files that are in no page. Files outside the root are summed up by folder.
func (r *run) reportLeftOut() {
	outside, used := map[string]int{}, map[string]bool{}
	for _, a := range r.assets {
		used[a.file] = true // published, or reported at the link to it
	}
	for name := range r.Files {
		switch {
		case r.bySrc[name] != nil:
		case r.isSettings(name), r.included[name], r.Used[name]:
		case used[name]:
		case r.translated(name) != nil && tree.IsPage(name):
		case r.Root != "." && !strings.HasPrefix(name, r.Root+"/"):
			top, _, below := strings.Cut(name, "/")
			if below {
				top += "/"
			}
			outside[top]++
		case tree.IsPage(name):
			if stem, _ := tree.PageStem(path.Base(name)); strings.HasPrefix(stem, "_") && r.format != MDBook && r.format != GitBook {
				r.reportFile(report.FileUnused, name, "is left out: a page whose name starts with _ is a partial, and no page includes it")
			} else if r.format == MDBook || r.format == GitBook {
				r.reportFile(report.ChapterMissing, name, "is left out: SUMMARY.md does not lead to it")
			}
		case path.Ext(name) == ".canvas" || path.Ext(name) == ".base":
			r.reportFile(report.FileUnused, name, "is left out: a canvas or base has no counterpart in a course")
		default:
			r.reportFile(report.FileUnused, name, "is left out: no page links to it")
		}
	}
	for top, n := range outside {
		if strings.HasSuffix(top, "/") {
			r.reportFile(report.FileUnused, top, "is left out, with %d files that no page uses: it is outside %s", n, r.Root)
		} else {
			r.reportFile(report.FileUnused, top, "is left out: it is outside %s", r.Root)
		}
	}
}

// isSettings reports whether a file holds settings and not content.
func (r *run) isSettings(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, "_category_.") || name == "book.toml" && r.format == MDBook || name == r.SummaryFile && name != ""
}
