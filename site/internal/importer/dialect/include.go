package dialect

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
)

var (
	directive = regexp.MustCompile(`(\\?)\{\{\s*#(\w+)\s*([^}]*)\}\}`)
	anchor    = regexp.MustCompile(`ANCHOR(_END)?:\s*([\w-]+)`)
)

// expand replaces {{#include …}} and similar mdBook directives.
func (c *conv) expand(lines []syntax.Line, file string, stack []string, budget *int) []syntax.Line {
	var out []syntax.Line
	for _, l := range lines {
		if *budget -= len(l.Text) + 1; *budget < 0 {
			c.report(report.IncludeMissing, l, "the page is cut here: with its includes it is larger than %d MiB", maxExpanded>>20)
			return out
		}
		m := directive.FindStringSubmatchIndex(l.Text)
		if m == nil {
			out = append(out, l)
			continue
		}
		escaped := m[2] != m[3]
		before, after := l.Text[:m[0]], l.Text[m[1]:]
		name, arg := l.Text[m[4]:m[5]], strings.TrimSpace(l.Text[m[6]:m[7]])
		tail := []syntax.Line{{Text: after, File: l.File, N: l.N, Src: l.Src}}
		if n := len(directive.FindAllStringIndex(after, maxPerLine+1)); n > maxPerLine {
			c.report(report.ShownAsText, l, "the line has more than %d {{#…}}, so they are shown as text", maxPerLine)
		} else if n > 0 {
			tail = c.expand(tail, file, stack, budget)
		}
		if escaped {
			name = `\`
		}
		switch name {
		case `\`:
			l.Text = before + l.Text[m[3]:m[1]]
			out = append(out, l)
		case "include", "rustdoc_include", "playground", "playpen":
			words := strings.Fields(arg)
			if len(words) == 0 {
				c.report(report.IncludeMissing, l, "{{#%s}} names no file", name)
				words = []string{""}
			}
			if len(words) > 1 {
				c.report(report.CodeAttribute, l, "%q after the file is lost", strings.Join(words[1:], " "))
			}
			part := c.include(l, words[0], file, stack, budget)
			if name == "playground" || name == "playpen" {
				c.report(report.CodeAttribute, l, "the code can't be run in the page")
				fence := syntax.Line{Text: "```rust", File: l.File, N: l.N, Src: l.Src}
				end := fence
				end.Text = "```"
				part = slices.Concat([]syntax.Line{fence}, part, []syntax.Line{end})
			}
			if len(part) == 0 {
				part = []syntax.Line{{File: l.File, N: l.N, Src: l.Src}}
			}
			part[0].Text = before + part[0].Text
			out = append(out, part...)
		case "title":
			c.report(report.SettingUnknown, l, "the title %q for the browser is lost", arg)
			l.Text = before
			out = append(out, l)
		default:
			c.report(report.ShownAsText, l, "{{#%s}} is unknown, so it is shown as text", name)
			l.Text = l.Text[:m[1]]
			out = append(out, l)
		}
		if len(tail) > 0 {
			out[len(out)-1].Text += tail[0].Text
			out = append(out, tail[1:]...)
		}
	}
	return out
}

// include returns the lines of a file, or of a part of it: file, file:anchor, file:2, file:2:10,
// file::10.
func (c *conv) include(l syntax.Line, arg, from string, stack []string, budget *int) []syntax.Line {
	name, part, hasPart := strings.Cut(arg, ":")
	file, why := c.src.Find(from, name)
	if why == "" && (slices.Contains(stack, file) || len(stack) > maxIncludeDepth) {
		why = "it includes itself, or too many others"
	}
	var lines []syntax.Line
	if why == "" {
		lines, why = c.src.Read(file)
	}
	if why != "" {
		c.report(report.IncludeMissing, l, "%s is not included: %s", name, why)
		return nil
	}
	if hasPart {
		lines, why = pick(lines, part)
		if why != "" {
			c.report(report.IncludeMissing, l, "%s is not included: %s", arg, why)
			return nil
		}
	}
	lines = slices.DeleteFunc(lines, func(l syntax.Line) bool { return anchor.MatchString(l.Text) })
	return c.expand(lines, file, append(slices.Clone(stack), file), budget)
}

// pick returns the part of lines that an include names.
func pick(lines []syntax.Line, part string) ([]syntax.Line, string) {
	a, b, isRange := strings.Cut(part, ":")
	from, err1 := strconv.Atoi(a)
	to, err2 := strconv.Atoi(b)
	if (a == "" || err1 == nil) && (b == "" || err2 == nil) {
		if a == "" {
			from = 1
		}
		switch {
		case !isRange:
			to = from
		case b == "":
			to = len(lines)
		}
		if from < 1 || from > len(lines) || to < from {
			return nil, "it has no such lines"
		}
		return lines[from-1 : min(to, len(lines))], ""
	}
	var out []syntax.Line
	inside, found := false, false
	for _, l := range lines {
		if m := anchor.FindStringSubmatch(l.Text); m != nil && m[2] == part {
			inside = m[1] == ""
			found = true
			continue
		}
		if inside {
			out = append(out, l)
		}
	}
	if !found {
		return nil, fmt.Sprintf("it has no ANCHOR: %s", part)
	}
	return out, ""
}
