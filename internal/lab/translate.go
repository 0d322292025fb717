package lab

import (
	"bytes"
	"sort"
	"strings"

	"github.com/labd-dev/labd/internal/source"
)

// translate adds the text of a translation to l, and reports where it does not match.
func (l *Lab) translate(d *document, lang string) {
	if d.front != nil {
		if t := d.parseTOML(d.front, d.frontLine); t != nil {
			t.Require("title", "summary")
			title, summary := t.text("title", maxTitleRunes), t.text("summary", maxTextRunes)
			if l.Title != nil && l.Summary != nil {
				l.Title[lang], l.Summary[lang] = title, summary
			}
			for _, key := range t.Keys() {
				if key != "title" && key != "summary" {
					t.Errorf(key, "a translation has title and summary only: %s stands in %s", key, labFile)
				}
			}
		}
	}
	l.placeholders(d, d.frontLine+bytes.Count(d.front, []byte("\n")))
	if l.Intro != nil {
		l.Intro[lang] = d.intro
	}
	for i, s := range d.sections {
		if i >= len(l.Steps) {
			d.errorf(s.line, 0, "%s has no step %q here: it has %d steps", labFile, s.anchor, len(l.Steps))
			continue
		}
		step := l.Steps[i]
		if s.anchor != step.Anchor {
			d.errorf(s.line, 0, "step %d of %s has the anchor %q, this one %q", i+1, labFile, step.Anchor, s.anchor)
			continue
		}
		step.Title[lang] = s.title
		step.Body[lang] = s.body
		l.translateBlocks(d, s, step, lang)
		sameCode(d, s, step)
	}
	for _, step := range l.Steps[min(len(d.sections), len(l.Steps)):] {
		d.errorf(len(d.lines), 0, "the step %q of %s is missing", step.Anchor, labFile)
	}
}

func (l *Lab) translateBlocks(d *document, s *section, step *Step, lang string) {
	var messages *block
	for _, b := range s.blocks {
		switch b.info.Lang {
		case "hint":
			step.Hints[lang] = append(step.Hints[lang], Markdown{File: d.file, Line: b.bodyLine(), Source: b.body})
			if strings.TrimSpace(string(b.body)) == "" {
				d.errorf(b.line, 0, "this hint block is empty")
			}
		case "messages":
			if messages != nil {
				d.errorf(b.line, 0, "a step has one messages block: the first is in line %d", messages.line)
				continue
			}
			messages = b
		default:
			d.errorf(b.line, 0, "a translation has no %s block: it stands in %s", b.info.Lang, labFile)
		}
	}
	if want, got := len(step.Hints[DefaultLang]), len(step.Hints[lang]); want != got {
		d.errorf(s.line, 0, "%s has %d hints in this step, this file %d", labFile, want, got)
	}
	step.messages(d, s, messages, lang)
}

// messages reads the translated hints of a check. Every hint must have one.
func (s *Step) messages(d *document, sec *section, b *block, lang string) {
	hints := map[string]Text{}
	for i := range s.Check.Wrong {
		hints[s.Check.Wrong[i].ID] = s.Check.Wrong[i].Hint
	}
	for i := range s.Check.Probes {
		if s.Check.Probes[i].Hint != nil {
			hints[s.Check.Probes[i].ID] = s.Check.Probes[i].Hint
		}
	}
	ids := make([]string, 0, len(hints))
	for id := range hints {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	line := sec.line
	given := map[string]bool{}
	if b != nil {
		line = b.line
		t := d.parseTOML(b.body, b.bodyLine())
		if t == nil {
			return
		}
		for _, id := range ids {
			if !t.Has(id) {
				continue
			}
			given[id] = true
			if text := t.text(id, maxTextRunes); hints[id] != nil {
				hints[id][lang] = text
			}
		}
		for _, key := range t.Keys() {
			if _, ok := hints[key]; ok {
				continue
			}
			t.Errorf(key, "the check has no hint %q%s", key, source.Suggest(key, ids))
		}
	}
	for _, id := range ids {
		if !given[id] {
			d.errorf(line, 0, "the hint %q of the check is not translated: add it to the step's messages block", id)
		}
	}
}

// sameCode compares the {run} and {save} blocks: a translation that runs something else is an accident.
func sameCode(d *document, s *section, step *Step) {
	if len(s.code) != len(step.code) {
		d.errorf(s.line, 0, "%s has %d run and save blocks in this step, this file %d", labFile, len(step.code), len(s.code))
		return
	}
	for i, b := range s.code {
		want := step.code[i]
		if !b.info.doesTheSame(want.info) {
			d.errorf(b.line, 0, "this block has other attributes than the one in line %d of %s: lang, run and save must be the same", want.line, labFile)
		} else if uncommented(b.body) != uncommented(want.body) {
			d.errorf(b.line, 0, "this block has other commands than the one in line %d of %s", want.line, labFile)
		}
	}
}

// uncommented is body without comments, empty lines and white space at line ends.
func uncommented(body []byte) string {
	var out []string
	for _, l := range strings.Split(string(body), "\n") {
		if i := strings.Index(" "+l, " #"); i >= 0 {
			l = l[:i]
		}
		if l = strings.TrimRight(l, " \t\r"); strings.TrimSpace(l) != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}
