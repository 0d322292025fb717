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

// slug makes an address of a name.
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

// reserved are addresses that a site keeps for pages of its own.
var reservedModules = []string{"labs", "tags", "glossary", "assets", "search", "en", "zh", "404", "offline"}
var reservedLessons = []string{"index", "print"}

// address takes an address below dir that nothing else has, with a report to file if that isn't the wanted one.
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

// reportLeftOut tells of files that are in no page, folder by folder when they lie outside of the pages' root.
func (r *run) reportLeftOut() {
	outside, used := map[string]int{}, map[string]bool{}
	for _, a := range r.assets {
		used[a.file] = true // published, or reported where it was linked to
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
				r.reportFile(report.FileUnused, name, "is left out: a page whose name begins with _ is a part for others")
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
			r.reportFile(report.FileUnused, top, "is left out, with %d files that no page uses: it lies outside of %s", n, r.Root)
		} else {
			r.reportFile(report.FileUnused, top, "is left out: it lies outside of %s", r.Root)
		}
	}
}

// isSettings reports whether a file was read for what it says about the others.
func (r *run) isSettings(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, "_category_.") || name == "book.toml" && r.format == MDBook || name == r.SummaryFile && name != ""
}
