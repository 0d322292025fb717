package importer

import (
	"regexp"
	"strings"

	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/importer/tree"
)

var (
	summaryEntry = regexp.MustCompile(`^([ \t]*)((?:[-*+]|\d+[.)])[ \t]+)?\[(.*)\]\(\s*<?([^)>]*?)>?\s*\)\s*$`)
	summaryLabel = regexp.MustCompile(`^([ \t]*)((?:[-*+]|\d+[.)])[ \t]+)([^\[\]]+?)[ \t]*$`)
	summaryPart  = regexp.MustCompile(`^#+[ \t]+(.*?)[ \t]*$`)
)

// summary reads SUMMARY.md.
func (r *run) summary() []chapter {
	lines, refused := r.Lines(r.SummaryFile)
	if refused != "" {
		r.reportFile(report.SettingsBroken, r.SummaryFile, "is lost: %s", refused)
		return nil
	}
	var out []chapter
	var indents []int
	part, first := "", true
	for _, l := range lines {
		trimmed := strings.TrimSpace(l.Text)
		if m := summaryPart.FindStringSubmatch(trimmed); m != nil {
			if !first {
				part, indents = syntax.OneLine(syntax.Plain(m[1])), nil
			}
			first = false
			continue
		}
		if trimmed == "" || strings.Trim(trimmed, "-* _") == "" {
			continue
		}
		first = false
		m := summaryEntry.FindStringSubmatch(l.Text)
		if m == nil {
			if h := summaryLabel.FindStringSubmatch(l.Text); h != nil { // a chapter title without a page
				m = []string{"", h[1], h[2], h[3], "\x00"}
			}
		}
		if m == nil {
			r.report(report.ChapterMissing, l, "this line of the table of contents is left out: it is not a chapter")
			continue
		}
		c := chapter{title: syntax.OneLine(syntax.Plain(m[3])), at: l, part: part}
		if m[2] != "" {
			indent := len(strings.ReplaceAll(m[1], "\t", "    "))
			for len(indents) > 0 && indents[len(indents)-1] >= indent {
				indents = indents[:len(indents)-1]
			}
			c.depth = len(indents)
			indents = append(indents, indent)
		}
		if m[4] == "\x00" {
			out = append(out, c)
			continue
		}
		if m[4] == "" {
			r.report(report.ChapterUnwritten, l, "the chapter %q is not written yet, so it is left out", c.title)
			continue
		}
		name, _, _ := strings.Cut(unescapePath(m[4]), "#")
		file, why := tree.Join(r.Root, name)
		if why == "" {
			if _, ok := r.Files[file]; !ok {
				why = "it does not exist"
			}
		}
		if why != "" {
			r.report(report.ChapterMissing, l, "the chapter is left out: %s", why)
			continue
		}
		c.file = file
		out = append(out, c)
	}
	return out
}

// planBook plans a book by its table of contents, or by its folders if it has none.
func (r *run) planBook() {
	if r.SummaryFile == "" {
		r.planFolders()
		return
	}
	r.planOutline(r.summary(), nil)
}
